"""The weights that stand for a head, against what they are defined by."""

import numpy as np
import pytest
import scipy.linalg

from softunlearn.curvature import Cholesky, ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.unlearning import InfluenceUpdate
from softunlearn.weights.explaining import explaining_weights
from tests.cases import HEAD_CASES, HeadCase, minimise


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


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_columns_that_say_the_same_do_no_harm_at_any_size(size, rng):
    """The rank of a Gram matrix is that of its columns scaled to one length."""
    X = rng.normal(size=(40, 3))
    X = np.column_stack([X, X[:, 0] - X[:, 2]]) * size
    head = LinearHead(rng.normal(size=(1, 4)) / size, None, l2=size**2)
    objective = HeadObjective(head, Rows(X, rng.integers(2, size=40)))
    objective = objective.at(head.with_theta(X.T @ rng.normal(size=40) / size**2))
    eps = np.asarray(explaining_weights(objective))
    G = objective.gradient(np.eye(40)).T / size
    shortest = -np.linalg.pinv(G.T, rcond=1e-8) @ objective.total_gradient() / size
    np.testing.assert_allclose(eps, shortest, rtol=1e-6, atol=1e-7)


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


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_a_wide_head_has_the_same_weights_by_iteration(case, rng, monkeypatch):
    import softunlearn.weights.explaining as module

    objective = case.objective(rng, n=80)
    eps = explaining_weights(objective)
    monkeypatch.setattr(module, "MAX_PARAMETERS", 0)
    monkeypatch.setattr(module, "TOLERANCE", {"exact": 1e-8})
    near = explaining_weights(objective)
    assert np.linalg.norm(near - eps) < 1e-5 * np.linalg.norm(eps)


def test_where_no_weights_lead_to_a_head_the_nearest_are_given(rng, monkeypatch):
    """Of 12 rows and 24 parameters: SciPy's least squares in the norm of M^-1."""
    import softunlearn.weights.explaining as module

    objective = HeadCase(3, intercept=True).objective(rng, n=12, d=7)
    monkeypatch.setattr(module, "MAX_PARAMETERS", 0)
    monkeypatch.setattr(module, "TOLERANCE", {"nearest": 1e-8})
    eps = explaining_weights(objective)
    G = objective.gradient(np.eye(12)).T
    gradient = objective.total_gradient()
    near = ConjugateGradients().factor(objective).near(np.eye(24))
    expected = scipy.linalg.lstsq(G @ near @ G.T, -G @ near @ gradient)[0]
    np.testing.assert_allclose(eps, expected, rtol=1e-4, atol=1e-6)
