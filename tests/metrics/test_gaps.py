"""Gaps against fairlearn, their pieces and gradients against finite differences."""

import re
from itertools import combinations
from pathlib import Path

import array_api_strict
import numpy as np
import pandas as pd
import pytest
import torch
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
)
from hypothesis import given
from hypothesis import strategies as st

from cases import HEAD_CASES
from softunlearn.goal import Goal, metric_interval
from softunlearn.losses import class_probabilities
from softunlearn.metrics import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    LogLoss,
    Target,
)
from softunlearn.metrics.gaps import positive_class
from softunlearn.metrics.metric import name_of, pieces
from softunlearn.models.groups import read_groups

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
EXACT = {"rtol": 0, "atol": 1e-15}
GAPS = (DemographicParity, EqualOpportunity, EqualizedOdds)
AGGREGATES = ("max_min", "mean_pairwise")
ALL_GAPS = [
    gap(positive=positive, aggregate=aggregate)
    for gap in GAPS
    for positive in (None, 0)
    for aggregate in AGGREGATES
]


def sure_logits(labels, n_classes):
    """Return logits of probabilities that are exactly 0 and 1."""
    one_hot = 1e3 * np.eye(n_classes)[labels]
    return one_hot if n_classes > 2 else 2 * one_hot[:, 1:] - 1e3


def mean_frame(q, g):
    return MetricFrame(
        metrics=lambda _, q: q.mean(), y_true=np.zeros(len(q)), y_pred=q, sensitive_features=g
    )


def mean_pairwise(frame):
    """Return the mean difference over pairs of groups, by a plain loop."""
    gaps = [abs(a - b) for a, b in combinations(frame.by_group.to_numpy(), 2)]
    return sum(gaps) / len(gaps)


def data(rng, n_classes=2, n_groups=3, n=400):
    k = 1 if n_classes == 2 else n_classes
    g = rng.integers(n_groups, size=n)
    z = rng.normal(size=(n, k)) + 0.3 * g[:, None] * rng.normal(size=k)
    return z, rng.integers(n_classes, size=n), g


@pytest.mark.parametrize("n_groups", [2, 3, 4, 6])
def test_label_gaps_are_fairlearns(rng, n_groups):
    z, y, g = data(rng, n_groups=n_groups)
    labels = (z[:, 0] > 0).astype(int)
    hard = sure_logits(labels, 2)
    np.testing.assert_allclose(
        DemographicParity().value(hard, y, g),
        demographic_parity_difference(y, labels, sensitive_features=g),
        **EXACT,
    )
    np.testing.assert_allclose(
        EqualizedOdds().value(hard, y, g),
        equalized_odds_difference(y, labels, sensitive_features=g),
        **EXACT,
    )


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("n_groups", [2, 3, 6])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_gaps_are_metric_frames_of_probabilities_and_losses(rng, n_classes, n_groups, aggregate):
    z, y, g = data(rng, n_classes, n_groups)
    p = class_probabilities(z)
    loss = -np.log(p[np.arange(len(y)), y])
    classes = (1,) if n_classes == 2 else range(n_classes)

    def largest(cells):
        frames = [mean_frame(q[where], g[where]) for q, where in cells]
        figure = MetricFrame.difference if aggregate == "max_min" else mean_pairwise
        return max(figure(frame) for frame in frames)

    everyone = np.ones(len(y), dtype=bool)
    odds = [(p[:, c], where) for c in classes for where in (y == c, y != c)]
    for gap, expected, tolerance in (
        (DemographicParity, largest((p[:, c], everyone) for c in classes), EXACT),
        (EqualizedOdds, largest(odds), EXACT),
        # the loss is -log p here and log(1 + e^-z) there
        (EqualOpportunity, largest((loss, y == c) for c in classes), {"rtol": 1e-13}),
    ):
        np.testing.assert_allclose(gap(aggregate=aggregate).value(z, y, g), expected, **tolerance)


def test_of_several_classes_each_is_compared_with_the_rest(rng):
    z, y, g = data(rng, n_classes=4)
    labels = z.argmax(axis=1)
    hard = sure_logits(labels, 4)
    for gap, fairlearns in (
        (DemographicParity, demographic_parity_difference),
        (EqualizedOdds, equalized_odds_difference),
    ):
        by_class = [fairlearns(y == c, labels == c, sensitive_features=g) for c in range(4)]
        np.testing.assert_allclose(gap().value(hard, y, g), max(by_class), **EXACT)
        for c in range(4):
            np.testing.assert_allclose(gap(positive=c).value(hard, y, g), by_class[c], **EXACT)


def test_combinations_of_two_columns_are_fairlearns_intersections(rng):
    z, y, _ = data(rng, n=600)
    labels = (z[:, 0] > 0).astype(int)
    columns = pd.DataFrame(
        {"sex": rng.choice(["F", "M"], size=600), "race": rng.choice(["a", "b", "c"], size=600)}
    )
    groups, hard = read_groups(columns), sure_logits(labels, 2)
    g = groups.codes(columns)
    assert len(groups.names) == 6
    np.testing.assert_allclose(
        DemographicParity().value(hard, y, g),
        demographic_parity_difference(y, labels, sensitive_features=columns),
        **EXACT,
    )
    np.testing.assert_allclose(
        EqualizedOdds().value(hard, y, g),
        equalized_odds_difference(y, labels, sensitive_features=columns),
        **EXACT,
    )
    p = class_probabilities(z)[:, 1]
    np.testing.assert_allclose(
        DemographicParity().value(z, y, g), mean_frame(p, columns).difference(), **EXACT
    )


@pytest.mark.parametrize("metric", ALL_GAPS, ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
class TestEveryGap:
    def test_gradient_and_pieces_match_finite_differences(self, metric, n_classes, rng):
        z, y, g = data(rng, n_classes, n=60)
        found, gradient, h = pieces(metric, z, y, g), metric.logit_gradient(z, y, g), 1e-6
        for i, j in np.ndindex(12, z.shape[1]):  # rows are in random order
            step = np.zeros_like(z)
            step[i, j] = h
            up, down = (z + step, y, g), (z - step, y, g)
            change = metric.value(*up) - metric.value(*down)
            np.testing.assert_allclose(gradient[i, j], change / (2 * h), atol=1e-8)
            changes = pieces(metric, *up).values - pieces(metric, *down).values
            np.testing.assert_allclose(found.logit_gradients[i, j], changes / (2 * h), atol=1e-8)

    def test_the_largest_piece_is_the_metric(self, metric, n_classes, rng):
        z, y, g = data(rng, n_classes, n_groups=4)
        found = pieces(metric, z, y, g)
        largest = found.values.argmax()
        np.testing.assert_allclose(found.values[largest], metric.value(z, y, g), **EXACT)
        np.testing.assert_allclose(
            found.logit_gradients[:, :, largest], metric.logit_gradient(z, y, g), **EXACT
        )
        comparisons = len(metric.comparisons(y, n_classes))
        each = 6 if metric.aggregate == "max_min" else 1  # pairs of four groups
        assert len(found.values) == each * comparisons

    @pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
    def test_other_array_libraries_give_the_same_pieces(self, metric, n_classes, xp, rng):
        here = data(rng, n_classes, n=60)
        there = [xp.asarray(part) for part in here]
        ours, theirs = pieces(metric, *here), pieces(metric, *there)
        assert type(theirs.values) is type(there[0])
        np.testing.assert_allclose(np.asarray(theirs.values), ours.values, atol=1e-15)
        np.testing.assert_allclose(
            np.asarray(theirs.logit_gradients), ours.logit_gradients, atol=1e-15
        )
        np.testing.assert_allclose(metric.value(*there), metric.value(*here))
        np.testing.assert_allclose(
            np.asarray(metric.logit_gradient(*there)), metric.logit_gradient(*here), atol=1e-15
        )

    def test_a_gap_of_exactly_zero_is_one_piece_without_gradient(self, metric, n_classes):
        k = 1 if n_classes == 2 else n_classes
        z, y = np.full((3 * n_classes, k), 0.3), np.repeat(np.arange(n_classes), 3)
        g = np.tile(np.arange(3), n_classes)
        assert metric.value(z, y, g) == 0
        assert not metric.logit_gradient(z, y, g).any()
        found = pieces(metric, z, y, g)
        assert not found.values.any()
        assert not found.logit_gradients.any()
        if metric.aggregate == "max_min":
            assert len(found.values) == 1


@pytest.mark.parametrize("metric", [*ALL_GAPS[::2], LogLoss()], ids=str)
@pytest.mark.parametrize("case", HEAD_CASES[::3], ids=str)
def test_pieces_at_a_head_match_finite_differences(metric, case, rng):
    objective = case.objective(rng)
    target, head = Target(metric, objective.rows), objective.head
    goal = Goal(head, (target,), (), objective.rows)

    def pieces_at(theta):
        found = goal.linearised(head.with_theta(theta))[0]
        return found.values, found.gradients

    values, gradients = pieces_at(head.theta)
    np.testing.assert_allclose(values.max(), target.value(head), rtol=1e-14)
    expected = [
        (pieces_at(head.theta + step)[0] - pieces_at(head.theta - step)[0]) / 2e-6
        for step in 1e-6 * np.eye(len(head.theta))
    ]
    np.testing.assert_allclose(gradients, expected, atol=1e-6)
    np.testing.assert_allclose(
        gradients[:, values.argmax()], target.gradient(head), rtol=1e-12, atol=1e-14
    )


def test_a_metric_without_pieces_is_its_own(rng):
    z, y, _ = data(rng)
    found = pieces(LogLoss(), z, y, None)
    assert found.values.tolist() == [LogLoss().value(z, y, None)]
    np.testing.assert_array_equal(
        found.logit_gradients[:, :, 0], LogLoss().logit_gradient(z, y, None)
    )


# logits of few values, so that groups are often tied
TIED = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(TIED, st.sampled_from(ALL_GAPS), st.sampled_from([2, 3]), st.integers(2, 5))
def test_neither_group_codes_nor_row_order_matter_even_where_groups_are_tied(
    rng, metric, n_classes, n_groups
):
    y = np.repeat(np.arange(n_classes), 3 * n_groups)
    g = np.tile(np.arange(n_groups), 3 * n_classes)
    z = rng.integers(2, size=(len(y), 1 if n_classes == 2 else n_classes)).astype(float)
    order, renamed = rng.permutation(len(y)), rng.permutation(n_groups)[g]
    value, gradient = metric.value(z, y, g), metric.logit_gradient(z, y, g)
    # sums in another order: means that were tied may now differ in their last digit
    np.testing.assert_allclose(metric.value(z, y, renamed), value, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        metric.value(z[order], y[order], g[order]), value, rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(metric.logit_gradient(z, y, renamed), gradient, **EXACT)
    assert pieces(metric, z, y, g).values.max() == pytest.approx(value, abs=1e-14)


@given(TIED, st.sampled_from(GAPS), st.integers(2, 6))
def test_the_mean_over_pairs_is_at_most_the_spread_and_equal_for_two(rng, gap, n_groups):
    z, y, g = rng.normal(size=(60, 1)), np.arange(60) % 2, np.arange(60) // 2 % n_groups
    spread, mean = gap().value(z, y, g), gap(aggregate="mean_pairwise").value(z, y, g)
    assert mean <= spread + 1e-15
    if n_groups == 2:
        np.testing.assert_allclose(mean, spread, **EXACT)
        np.testing.assert_array_equal(
            gap(aggregate="mean_pairwise").logit_gradient(z, y, g), gap().logit_gradient(z, y, g)
        )


def test_tied_groups_share_the_gradient():
    z, y, g = np.array([[1.0], [1.0], [0.0]]), np.array([0, 1, 1]), np.array([0, 1, 2])
    gradient = DemographicParity().logit_gradient(z, y, g)[:, 0]
    p = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(gradient, [p * (1 - p) / 2, p * (1 - p) / 2, -1 / 4], rtol=1e-15)


def test_a_gap_of_ones_own_is_its_comparisons_and_quantity(rng):
    class ErrorGap(EqualOpportunity):
        """The gap in the probability of a wrong answer to rows of one class."""

        def quantity(self, z, y, c):
            return 1 - class_probabilities(z)[:, c]

        def quantity_gradient(self, z, y, c):
            return -DemographicParity().quantity_gradient(z, y, c)

    z, y, g = data(rng)
    miss = 1 - class_probabilities(z)[y == 1, 1]
    expected = mean_frame(miss, g[y == 1]).difference()
    np.testing.assert_allclose(ErrorGap().value(z, y, g), expected, **EXACT)
    assert name_of(ErrorGap()) == "ErrorGap"


def test_the_gap_of_the_page_is_fairlearns_false_positive_rate_difference(rng):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    page = {}
    exec(blocks[-1], page)
    z, y, g = data(rng)
    labels = (z[:, 0] > 0).astype(int)
    frame = MetricFrame(metrics=false_positive_rate, y_true=y, y_pred=labels, sensitive_features=g)
    for aggregate, expected in (
        ("max_min", frame.difference()),
        ("mean_pairwise", mean_pairwise(frame)),
    ):
        gap = page["FalsePositives"](aggregate=aggregate)
        np.testing.assert_allclose(gap.value(sure_logits(labels, 2), y, g), expected, **EXACT)


def test_only_the_function_that_wants_one_class_refuses_several(rng):
    z = rng.normal(size=(4, 3))
    assert positive_class(2, z) == 2
    assert positive_class(None, z[:, :1]) == 1
    with pytest.raises(ValueError, match="has no default"):
        positive_class(None, z)
    for gap in GAPS:
        with pytest.raises(ValueError, match="0 to 2, got 3"):
            gap(positive=3).comparisons(np.array([0, 1, 2]), 3)


def test_a_positive_class_that_is_a_label_is_told_its_position():
    gap = DemographicParity()
    object.__setattr__(gap, "positive", "granted")  # which types, checked in tests, do not let in
    with pytest.raises(TypeError, match=r"position .* got 'granted'; .*index\(label\)"):
        gap.__post_init__()


class WorstGroup:
    """The largest mean logit of a group: a metric of one's own, which needs groups."""

    needs_groups = True

    def value(self, z, y, g):
        return max(float(z[g == k].mean()) for k in np.unique(g))


def test_the_interval_of_ones_own_metric_is_that_of_rows_drawn_with_their_groups(rng):
    z, g = rng.normal(size=(300, 1)), np.repeat([0, 1, 2], 100)
    z[g == 1] += 1.0
    found = metric_interval(WorstGroup(), z, np.zeros(300, int), g)
    draws = [rng.integers(300, size=300) for _ in range(2000)]
    values = [WorstGroup().value(z[rows], None, g[rows]) for rows in draws]
    np.testing.assert_allclose(
        [found.low, found.high], np.quantile(values, [0.025, 0.975]), atol=0.06
    )
