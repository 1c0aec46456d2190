from dataclasses import replace

import numpy as np
import pytest

from softunlearn.exceptions import Status
from softunlearn.head import LinearHead
from softunlearn.intervals import Change
from softunlearn.paths import Frontier, Point
from softunlearn.select import RULES, Full, Rule, Select, Unchanged
from softunlearn.unlearning import Unlearned

HEAD = LinearHead(np.zeros((1, 1)), None)


def frontier(*figures, half=0.001):
    """Points of (metric, accuracy, log loss), their changes known to +- half."""
    _, accuracy, loss = figures[0]

    def change(value):
        return Change(value, value - half, value + half)

    return Frontier(
        tuple(
            Point(
                step=i / 10,
                metric=m,
                accuracy=a,
                log_loss=x,
                predicted=0.0,
                metrics=(m,),
                held=(),
                accuracy_change=change(a - accuracy),
                log_loss_change=change(x - loss),
                changed_rows=i,
                reached=Unlearned(HEAD),
                weigh=lambda: np.zeros(1),
            )
            for i, (m, a, x) in enumerate(figures)
        )
    )


FALLING = frontier((0.2, 0.850, 0.30), (0.1, 0.849, 0.31), (0.05, 0.846, 0.33), (0.08, 0.80, 0.5))


@pytest.mark.parametrize("rule", RULES.values(), ids=str)
def test_every_rule_explains_its_choice(rule):
    assert isinstance(rule, Rule)
    choice = rule.choose(FALLING)
    assert 0 <= choice.index < len(FALLING)
    assert choice.message.endswith(".")


@pytest.mark.parametrize(
    ("rule", "index", "status"),
    [
        (Select(), 1, Status.CORRECTED),  # 0.846 costs more than 0.002
        (Select(utility_loss_at_most=0.004), 2, Status.CORRECTED),
        (Select(utility_loss_at_most=1.0), 2, Status.CORRECTED),
        (Select(utility_loss_at_most=0.0), 0, Status.UTILITY_WOULD_SUFFER),
        (Select(utility="log_loss", utility_loss_at_most=0.02), 1, Status.CORRECTED),
        (Select(metric_at_most=0.1), 1, Status.CORRECTED),
        (Select(metric_at_most=0.09), 2, Status.CORRECTED),
        (Select(metric_at_most=0.01), 2, Status.TARGET_OUT_OF_REACH),
        (Select(metric_at_most=0.09, utility_loss_at_most=0.002), 1, Status.TARGET_OUT_OF_REACH),
        (Select(metric_at_most=0.3), 0, Status.NOTHING_TO_CORRECT),
        (Select(metric_at_most=0.3, utility_loss_at_most=0.0), 0, Status.NOTHING_TO_CORRECT),
        (Full(), 3, Status.CORRECTED),
        (Unchanged(), 0, Status.AUDITED),
    ],
    ids=str,
)
def test_rules_choose_as_they_say(rule, index, status):
    choice = rule.choose(FALLING)
    assert (choice.index, choice.status) == (index, status)


@pytest.mark.parametrize("rule", [Select(), Select(utility_loss_at_most=1.0), Full()], ids=str)
def test_no_rule_takes_a_point_that_is_worse_in_both(rule):
    worse = frontier((0.2, 0.85, 0.3), (0.3, 0.84, 0.4), (0.25, 0.80, 0.5))
    choice = rule.choose(worse)
    assert choice.index == 0
    assert choice.status is Status.UTILITY_WOULD_SUFFER
    assert rule.choose(frontier((0.2, 0.85, 0.3))).index == 0


def test_a_metric_target_is_reached_at_the_least_cost():
    """Not by the first point that reaches it."""
    points = frontier((0.2, 0.85, 0.3), (0.1, 0.80, 0.4), (0.08, 0.84, 0.5), (0.07, 0.83, 0.3))
    assert Select(metric_at_most=0.1).choose(points).index == 2
    assert Select(metric_at_most=0.1, utility="log_loss").choose(points).index == 3


def test_full_takes_the_step_nearest_to_the_whole_budget():
    """Frontier points past the budget may have surpassed all that are within it."""
    within, past = FALLING[:3], [replace(p, step=1 + p.step) for p in FALLING[1:3]]
    assert Full().choose(Frontier((*within, *past))).index == 2
    assert Full().choose(Frontier((FALLING[0], *past))).index == 1


def test_full_takes_the_longest_step_that_is_not_worse_in_both():
    assert Full().choose(frontier((0.2, 0.85, 0.3), (0.1, 0.7, 0.9), (0.3, 0.8, 0.5))).index == 1
    assert Full().choose(frontier((0.2, 0.85, 0.3), (0.1, 0.7, 0.9), (0.3, 0.9, 0.5))).index == 2


@pytest.mark.parametrize(
    "options", [{"utility": "speed"}, {"metric_at_most": -1.0}, {"utility_loss_at_most": np.nan}]
)
def test_bad_rules_are_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
        Select(**options)


def test_the_default_choice_takes_only_what_is_certain_not_to_cost_much():
    points = (0.2, 0.850, 0.30), (0.1, 0.849, 0.31)
    assert Select().choose(frontier(*points, half=0.018)).index == 1
    doubtful = Select().choose(frontier(*points, half=0.03))
    assert doubtful.index == 0
    assert doubtful.status is Status.UTILITY_WOULD_SUFFER
    assert "give more rows" in doubtful.message
    # whoever names a cost is taken at their word
    assert Select(utility_loss_at_most=0.002).choose(frontier(*points, half=0.03)).index == 1


def test_the_message_has_the_metric_of_one_and_the_part_that_is_left_of_several():
    assert "from 0.2000 to 0.0800" in Full().choose(FALLING).message
    points = [replace(point, metrics=(point.metric, 0.0)) for point in FALLING]
    several = Full().choose(Frontier(tuple(points))).message
    assert "the metrics fall to 8.0% of what they were" in several
