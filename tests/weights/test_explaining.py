"""The weights that stand for a head, against what they are defined by."""

import numpy as np
import pytest

from softunlearn.curvature import Cholesky
from softunlearn.unlearning import InfluenceUpdate
from softunlearn.weights.explaining import explaining_weights
from tests.cases import HEAD_CASES, minimise


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_training_under_them_is_at_rest_at_the_head(case, rng):
    objective = case.objective(rng)
    eps = np.asarray(explaining_weights(objective))
    resting = objective.reweighted(1 + eps).total_gradient().reshape(case.k, -1)
    if case.k > 1:  # a change common to all classes changes no probability
        resting = resting - resting.mean(axis=0)
    np.testing.assert_allclose(resting, 0.0, atol=1e-8)


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_no_shorter_weights_do_the_same(case, rng):
    objective = case.objective(rng)
    eps = np.asarray(explaining_weights(objective))
    n = len(objective.rows)
    G = objective.gradient(np.eye(n)).T
    shortest = -np.linalg.pinv(G.T, rcond=1e-8) @ objective.total_gradient()
    np.testing.assert_allclose(eps, shortest, atol=1e-7)


def test_small_weights_are_those_of_eq_8(rng):
    """What the influence update does under short weights is explained by these weights."""
    objective = minimise(HEAD_CASES[0].objective(rng, n=60))
    curvature = Cholesky().factor(objective)
    # weights in the span of the gradients are the shortest that do what they do
    eps = objective.row_products(rng.normal(size=(objective.head.n_parameters, 1)))[:, 0]
    eps *= 1e-4 / np.abs(eps).max()
    head = InfluenceUpdate().apply(objective, eps, curvature=curvature, rng=rng).head
    found = explaining_weights(objective.at(head))
    np.testing.assert_allclose(found, eps, rtol=1e-2, atol=1e-7)


def test_they_are_zero_at_a_head_that_was_not_at_its_optimum(rng):
    objective = HEAD_CASES[0].objective(rng)
    eps = explaining_weights(objective, objective.total_gradient())
    np.testing.assert_array_equal(eps, 0.0)
