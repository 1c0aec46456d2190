import numpy as np
import pytest

from cases import ALL_UNLEARNERS, HEAD_CASES, minimise
from softunlearn.curvature import Cholesky
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.unlearning import InfluenceUpdate, Unlearner


def apply(unlearner, objective, eps, seed=0):
    return unlearner.apply(
        objective,
        eps,
        curvature=Cholesky().factor(objective),
        rng=np.random.default_rng(seed),
    ).head


@pytest.mark.parametrize("unlearner", ALL_UNLEARNERS, ids=str)
@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
class TestEveryUnlearner:
    def test_same_seed_same_head_of_the_same_shape(self, unlearner, case, rng):
        assert isinstance(unlearner, Unlearner)
        objective, eps = case.objective(rng), rng.normal(size=40)
        one, two = (apply(unlearner, objective, eps, seed=3) for _ in range(2))
        np.testing.assert_array_equal(one.theta, two.theta)
        assert one.W.shape == objective.head.W.shape
        assert one.W.dtype == objective.head.W.dtype
        assert (one.l2, one.classes) == (objective.head.l2, objective.head.classes)

    def test_head_rows_and_weights_are_untouched(self, unlearner, case, rng):
        objective, eps = case.objective(rng), rng.normal(size=40)
        before = [objective.head.theta.copy(), objective.rows.X.copy(), eps.copy()]
        apply(unlearner, objective, eps)
        for array, copy in zip((objective.head.theta, objective.rows.X, eps), before, strict=True):
            np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_influence_update_is_the_first_order_change_of_the_exact_minimiser(case, rng):
    """The error against refits under weights 1 + t eps falls as t^2."""
    objective = minimise(case.objective(rng, n=60, d=2))
    rows, eps = objective.rows, rng.normal(size=60)
    base = np.ones(60) if rows.weight is None else rows.weight

    def visible(head):
        """The parameters, less what a softmax does not see: a shift common to all classes."""
        theta = head.theta.reshape(case.k, -1)
        return theta - theta.mean(axis=0) if case.k > 1 else theta

    def error(t):
        refitted = HeadObjective(objective.head, Rows(rows.X, rows.y, None, base * (1 + t * eps)))
        updated = apply(InfluenceUpdate(), objective, t * eps)
        return np.abs(visible(updated) - visible(minimise(refitted).head)).max()

    updated = apply(InfluenceUpdate(), objective, 1e-3 * eps)
    moved = np.abs(visible(updated) - visible(objective.head)).max()
    assert moved > 1e-6
    assert error(1e-3) < 5e-3 * moved


def test_no_weights_change_nothing(rng):
    objective = HEAD_CASES[0].objective(rng)
    head = apply(InfluenceUpdate(), objective, np.zeros(40))
    np.testing.assert_array_equal(head.theta, objective.head.theta)
