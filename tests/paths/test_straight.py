"""The straight path: what is tried at which budget, and what becomes a point."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import softunlearn as su
from softunlearn.curvature import Cholesky
from softunlearn.goal import Goal, Measured
from softunlearn.head import LinearHead
from softunlearn.metrics import Target
from softunlearn.paths import Start, Straight
from softunlearn.paths.straight import BEYOND, PATIENCE, STEPS, TRIALS
from softunlearn.rows import Rows
from softunlearn.unlearning import NTK, InfluenceUpdate, Unlearned
from softunlearn.weights import ClosedForm, Problem, TopK

PROBLEM = Problem([-3.0, 1.0, -2.0, -1.0], [0.1, 0.2, -0.1, 0.3], budget=6.0)
HEAD = LinearHead(np.zeros((1, 1)), None)
ROWS = Rows(np.zeros((10, 1)), np.arange(10) % 2)


@dataclass
class Recorder:
    """Stands for a model: its one parameter is the sum of the weights it was corrected with."""

    calls: list = field(default_factory=list)
    bad_above: float = np.inf
    bad: float = np.nan
    delivers: float = 1.0
    """How far the metric falls for every unit that the model moves."""

    original = Unlearned(HEAD)

    def unlearn(self, algorithm, eps):
        self.calls.append((algorithm, eps))
        return replace(self.original, head=LinearHead(np.array([[eps.sum()]]), None))

    def part_of_the_way(self, end, t):
        return replace(end, head=LinearHead(t * end.head.W, None))

    def measure(self, reached):
        moved = abs(float(reached.head.W[0, 0]))
        metric = self.bad if moved > self.bad_above else abs(6.0 - self.delivers * moved)
        return Measured((metric,), (), np.ones(10), np.full(10, 0.3 + moved))


class Six:
    """A metric that is 6 at the original head."""

    needs_groups = False

    def value(self, z, y, g):
        return 6.0

    def logit_gradient(self, z, y, g):
        return 0 * z


def run(scheme, algorithm, path=None, progress=None, **options):
    recorder = Recorder(**options)
    goal = Goal(HEAD, (Target(Six(), ROWS),), (), ROWS)
    start = Start(recorder, goal, PROBLEM, scheme, algorithm, Cholesky())
    return recorder, (path or Straight()).walk(start, progress)


AS_PREDICTED = 6.0 / abs(ClosedForm().solve(PROBLEM).eps.sum())
"""What an algorithm delivers that does what influence predicts."""


def test_a_closed_form_is_applied_at_every_step():
    recorder, frontier = run(ClosedForm(), InfluenceUpdate(), delivers=AS_PREDICTED)
    tried = [*STEPS, *BEYOND[:PATIENCE]]
    assert len(recorder.calls) == len(tried)
    for (_, eps), step in zip(recorder.calls, tried, strict=True):
        np.testing.assert_allclose(PROBLEM.target @ eps, 6.0 * step)
    assert [point.step for point in frontier] == [0.0, *STEPS]
    for point in frontier:
        np.testing.assert_allclose(PROBLEM.target @ point.weigh(), 6.0 * point.step, atol=1e-12)


@pytest.mark.parametrize(("part", "last"), [(1.0, 1.0), (0.5, 2.0), (0.1, 4.0)])
@pytest.mark.parametrize("algorithm", [InfluenceUpdate(), NTK(epochs=30)], ids=str)
def test_what_delivers_less_is_walked_on_while_the_metric_falls(algorithm, part, last):
    _, frontier = run(ClosedForm(), algorithm, delivers=part * AS_PREDICTED)
    assert frontier[-1].step == pytest.approx(last)
    np.testing.assert_allclose(frontier[-1].metric, 6 * (1 - part * last), atol=1e-12)


def test_on_the_line_to_a_corrected_head_every_parameter_moves_alike(census, census_model):
    c = su.correct(census_model, train=census.train, validation=census.validation, select="none")
    there = c.session.start.correctable
    theta, end = there.original.head.theta, c.frontier[-1].reached
    for t in (0.0, 0.25, 1.0, 1.5):
        found = there.part_of_the_way(end, t).head.theta
        np.testing.assert_allclose(found, (1 - t) * theta + t * end.head.theta, atol=1e-12)


def test_given_steps_are_taken_alone():
    path = Straight((0.5, 3.0))
    recorder, frontier = run(ClosedForm(), InfluenceUpdate(), path, delivers=0.1 * AS_PREDICTED)
    assert len(recorder.calls) == 2
    assert [point.step for point in frontier] == [0.0, 0.5, 3.0]


def test_progress_is_the_part_of_the_steps_that_is_done():
    told, path = [], Straight((0.5, 1.0, 3.0, 4.0))
    run(ClosedForm(), InfluenceUpdate(), path, lambda what, part: told.append(part))
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_weights_that_scale_are_trained_once_with_the_whole_budget_of_epochs():
    recorder, frontier = run(ClosedForm(), NTK(epochs=30), delivers=AS_PREDICTED)
    ((algorithm, eps),) = recorder.calls
    assert algorithm.epochs == 30
    np.testing.assert_allclose(PROBLEM.target @ eps, 6.0)
    ends = [point.head.W[0, 0] for point in frontier]
    np.testing.assert_allclose(ends, eps.sum() * np.array([0.0, *STEPS]))


@pytest.mark.parametrize("steps", [None, (0.3, 0.6, 0.9)])
@pytest.mark.parametrize("scheme", [TopK(), ClosedForm(lam=0.01)], ids=str)
def test_others_share_the_budget_among_their_trials(scheme, steps):
    recorder, _ = run(scheme, NTK(epochs=30), Straight(steps))
    assert 1 < len(recorder.calls) <= len(steps or TRIALS)
    assert sum(algorithm.epochs for algorithm, _ in recorder.calls) <= 30


def test_hard_weights_are_not_tried_twice():
    recorder, frontier = run(TopK(), InfluenceUpdate())
    assert [int((eps != 0).sum()) for _, eps in recorder.calls] == [1, 2, 3]
    assert [point.changed_rows for point in frontier] == [0, 1, 2, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_points_that_are_not_finite_or_have_no_interval_are_left_out(bad):
    _, frontier = run(TopK(), InfluenceUpdate(), bad_above=1.5, bad=bad)
    assert [point.changed_rows for point in frontier] == [0, 1]


def test_predictions_are_those_of_the_weights():
    _, frontier = run(ClosedForm(), InfluenceUpdate())
    assert frontier[-1].step > 1
    np.testing.assert_allclose(
        [p.predicted for p in frontier], [max(6 * (1 - p.step), 0) for p in frontier], atol=1e-12
    )


@pytest.mark.parametrize("steps", [(0.0, 0.5), (0.5, np.inf)])
def test_steps_that_lead_nowhere_are_refused(steps):
    with pytest.raises(ValueError, match="`steps` must be above 0 and finite"):
        Straight(steps)
