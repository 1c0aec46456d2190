import array_api_strict
import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from cases import ALL_METRICS, HEAD_CASES
from softunlearn.losses import class_probabilities
from softunlearn.metrics import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    LogLoss,
    Metric,
    Target,
)
from softunlearn.metrics.gaps import positive_class, spread


@pytest.fixture(params=[1, 3], ids=["k=1", "k=3"])
def validation(request, rng):
    k, n = request.param, 60
    return rng.normal(size=(n, k)), rng.integers(max(2, k), size=n), rng.integers(3, size=n)


@pytest.mark.parametrize("metric", ALL_METRICS, ids=str)
class TestEveryMetric:
    def test_keeps_the_contract(self, metric, validation):
        assert isinstance(metric, Metric)
        z, y, g = validation
        assert metric.value(z, y, g) >= 0
        assert metric.logit_gradient(z, y, g).shape == z.shape

    def test_gradient_matches_finite_differences(self, metric, validation):
        z, y, g = validation
        expected, h = np.zeros_like(z), 1e-6
        for index in np.ndindex(z.shape):
            step = np.zeros_like(z)
            step[index] = h
            difference = metric.value(z + step, y, g) - metric.value(z - step, y, g)
            expected[index] = difference / (2 * h)
        np.testing.assert_allclose(metric.logit_gradient(z, y, g), expected, atol=1e-7)

    def test_row_order_and_group_names_do_not_matter(self, metric, validation, rng):
        z, y, g = validation
        order, renamed = rng.permutation(len(y)), np.array([2, 0, 1])[g]
        np.testing.assert_allclose(
            metric.value(z[order], y[order], renamed[order]), metric.value(z, y, g)
        )

    @pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
    def test_other_array_libraries_give_the_same(self, metric, validation, xp):
        there = [xp.asarray(part) for part in validation]
        np.testing.assert_allclose(metric.value(*there), metric.value(*validation))
        np.testing.assert_allclose(
            np.asarray(metric.logit_gradient(*there)),
            metric.logit_gradient(*validation),
            atol=1e-15,
        )

    @pytest.mark.parametrize("case", HEAD_CASES, ids=str)
    def test_target_gradient_matches_finite_differences(self, metric, case, rng):
        objective = case.objective(rng)
        target, theta = Target(metric, objective.rows), objective.head.theta
        expected = [
            (
                target.value(objective.head.with_theta(theta + step))
                - target.value(objective.head.with_theta(theta - step))
            )
            / 2e-6
            for step in 1e-6 * np.eye(len(theta))
        ]
        np.testing.assert_allclose(target.gradient(objective.head), expected, atol=1e-6)


def test_log_loss_is_scikit_learns(validation):
    z, y, _ = validation
    p = class_probabilities(z)
    expected = log_loss(y, p, labels=range(p.shape[1]))
    np.testing.assert_allclose(LogLoss("mean").value(z, y, None), expected)
    np.testing.assert_allclose(LogLoss().value(z, y, None), len(y) * expected)


def test_the_other_positive_class_mirrors_the_binary_gap(rng):
    z, y, g = rng.normal(size=(20, 1)), rng.integers(2, size=20), rng.integers(2, size=20)
    one, other = DemographicParity(positive=1), DemographicParity(positive=0)
    np.testing.assert_allclose(one.value(z, y, g), other.value(z, y, g))


def test_bad_use_is_one_clear_line(rng):
    z, y = rng.normal(size=(6, 3)), np.array([0, 1, 2] * 2)
    g = np.array([0, 1] * 3)
    with pytest.raises(ValueError, match=r"0 to 2, got None; with more than two classes"):
        positive_class(None, z)
    with pytest.raises(ValueError, match="0 to 2, got 3"):
        DemographicParity(positive=3).value(z, y, g)
    with pytest.raises(ValueError, match="needs the group of every row"):
        DemographicParity(positive=1).value(z, y, None)
    with pytest.raises(
        ValueError, match=r"of every one; for class number 1, group number 1 .* has none: give"
    ):
        EqualOpportunity(positive=1).value(z, y, np.array([0, 0, 0, 1, 0, 1]))
    with pytest.raises(ValueError, match='`aggregate` must be "max_min" or "mean_pairwise"'):
        EqualizedOdds(aggregate="median")
    with pytest.raises(ValueError, match='`reduction` must be "sum" or "mean"'):
        LogLoss("median")


def test_spread_ignores_codes_that_no_row_has_and_refuses_groups_without_such_rows():
    q, g = np.array([1.0, 3.0, 100.0]), np.array([0, 2, 2])
    assert spread(q, g, where=q < 50) == 2.0
    with pytest.raises(ValueError, match="group number 1"):
        spread(q, np.array([0, 2, 1]), where=q < 50)
    with pytest.raises(ValueError, match="got one"):
        spread(q, np.array([0, 0, 0]), where=q < 50)
