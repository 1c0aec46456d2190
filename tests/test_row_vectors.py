"""Vectors known by their directions against the arrays that they stand for."""

import numpy as np
import pytest
import torch

from cases import HEAD_CASES
from softunlearn.curvature import Cholesky
from softunlearn.exceptions import Status
from softunlearn.row_vectors import BLOCK_ROWS, Directed, Held, entries, parts
from softunlearn.unlearning import InfluenceUpdate
from softunlearn.weights import Bounded, ClosedForm, Problem, TopK


@pytest.fixture(params=HEAD_CASES, ids=str)
def objective(request, rng):
    return request.param.objective(rng, n=60)


@pytest.fixture(params=[False, True], ids=["one pass", "with the Gram matrix"])
def directed(request, objective, rng):
    if request.param:
        objective = objective.summed(hessian=False, gram=True)
    return Directed(objective, rng.normal(size=(objective.head.n_parameters, 3)))


def test_directed_vectors_answer_as_the_arrays_do(directed, rng):
    G = directed.objective.row_products(np.eye(directed.objective.head.n_parameters))
    held, x = Held(tuple((G @ directed.s).T)), rng.normal(size=3)
    assert directed.n_rows == held.n_rows == 60
    assert directed.shape == np.asarray(directed).shape == (60, 3)
    np.testing.assert_allclose(directed.products.inner, held.products.inner, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(directed), G @ directed.s, rtol=1e-10, atol=1e-12)
    eps = directed.combined(x)
    assert eps.shape == (60,)
    np.testing.assert_allclose(np.asarray(eps), held.combined(x), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(eps.pulled[:, 0], G.T @ held.combined(x), rtol=1e-8, atol=1e-10)
    for vectors in (directed, held):
        expected = held.products.inner @ x
        np.testing.assert_allclose(vectors.products_with(x), expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(entries(eps), held.combined(x), rtol=1e-9, atol=1e-10)
    written = np.concatenate([values for _, values in parts(eps)])
    np.testing.assert_allclose(written, held.combined(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("sizes", [(1e200, 1e-200), (1e200, 1.0), (1e130, 1e130), (1.0, 1e-140)])
def test_products_of_vectors_of_any_size_lose_nothing(sizes, rng):
    """Where squares overflow or vanish, products are those of vectors of largest entry one."""
    one, other = rng.normal(size=(2, 50))
    products = Held((sizes[0] * one, sizes[1] * other)).products
    scale = np.array([np.abs(one).max(), np.abs(other).max()])
    wanted = np.array([[one @ one, one @ other], [other @ one, other @ other]])
    np.testing.assert_allclose(products.inner * np.outer(scale, scale), wanted, rtol=1e-12)
    np.testing.assert_allclose(products.unit, scale * sizes, rtol=1e-12)


@pytest.mark.parametrize("scheme", [ClosedForm(), ClosedForm(0.01), Bounded(-np.inf, np.inf)])
@pytest.mark.parametrize(("m", "h"), [(1, 1), (2, 1), (1, 2)])
def test_weights_are_those_of_arrays(scheme, m, h, rng):
    objective = HEAD_CASES[0].objective(rng, n=60, d=5)
    s = rng.normal(size=(objective.head.n_parameters, m + h))
    a, u = Directed(objective, s[:, :m]), Directed(objective, s[:, m:])
    budget = 0.1 if m == 1 else np.full(m, 0.1)
    one = scheme.solve(Problem(np.asarray(a), np.asarray(u), budget))
    other = scheme.solve(Problem(a, u, budget))
    assert other.status is one.status is Status.CORRECTED
    assert other.case == one.case
    np.testing.assert_allclose(np.asarray(other.eps), one.eps, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(other.predicted, one.predicted, rtol=1e-8)
    np.testing.assert_allclose(other.utility_gain, one.utility_gain, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(other.multipliers, one.multipliers, rtol=1e-7, atol=1e-9)


def test_the_combination_is_that_of_the_weights(rng):
    problem = Problem(rng.normal(size=50), rng.normal(size=50), 3.0)
    for scheme in (ClosedForm(), ClosedForm(0.3), Bounded(-0.2, 0.3), Bounded(-0.2, 0.3, 0.1)):
        weights = scheme.solve(problem)
        x, bounds = np.array(weights.combination), (-np.inf, np.inf)
        if isinstance(scheme, Bounded):
            bounds = scheme.lo, scheme.hi
        eps = np.clip(x[0] * problem.target + x[1] * problem.utility, *bounds)
        np.testing.assert_allclose(weights.eps, eps, rtol=1e-9, atol=1e-12)
    assert TopK().solve(problem).combination == ()


def test_the_update_under_directed_weights_is_that_under_their_entries(directed, rng):
    objective, eps = directed.objective, directed.combined(np.array([0.1, -0.2, 0.0]))
    curvature = Cholesky().factor(objective)
    one, other = (
        InfluenceUpdate().apply(objective, w, curvature=curvature, rng=rng).head.theta
        for w in (np.asarray(eps), eps)
    )
    np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-10)


def test_in_the_curvature_the_hessian_is_the_measure(objective, rng):
    V = rng.normal(size=(objective.head.n_parameters, 2))
    if len(objective.head.W) > 1:  # no gradient has a part that is common to all classes
        by_class = V.reshape(len(objective.head.W), -1, 2)
        V = (by_class - by_class.mean(axis=0)).reshape(V.shape)
    S = Cholesky().factor(objective).solve(V).x
    vectors = Directed.in_curvature(objective, S, V)
    inverse = np.linalg.pinv(objective.hessian())
    np.testing.assert_allclose(vectors.products.inner, V.T @ inverse @ V, rtol=1e-6, atol=1e-9)
    a, u = vectors.some(slice(1)), vectors.some(slice(1, 2))
    np.testing.assert_allclose(Problem(a, u, 1.0).vectors.products.inner, vectors.products.inner)


def test_arrays_of_many_blocks_are_met_whole(rng):
    n = 2 * BLOCK_ROWS + 17
    a, u, out = rng.normal(size=n), rng.normal(size=n), np.empty(n)
    held = Held((a, u))
    np.testing.assert_allclose(held.products.inner, [[a @ a, a @ u], [a @ u, u @ u]], rtol=1e-12)
    assert held.combined(np.array([2.0, -3.0]), out) is out
    np.testing.assert_allclose(out, 2 * a - 3 * u, rtol=1e-12, atol=1e-12)
    weights = ClosedForm().solve(Problem(a, u, 1.0), out=out)
    assert weights.eps is out
    np.testing.assert_allclose(a @ out, 1.0)
    there = Held((torch.from_numpy(a), torch.from_numpy(u)))
    np.testing.assert_allclose(there.products.inner, held.products.inner, rtol=1e-12)
    np.testing.assert_allclose(there.combined(np.array([2.0, -3.0])), 2 * a - 3 * u, rtol=1e-12)


@pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-5])
def test_nearly_opposed_vectors_lose_no_more_digits_than_they_must(angle, rng):
    """eps is a difference of long vectors: rounding, divided by the square of their angle."""
    a = rng.normal(size=40)
    u = -a + angle * rng.normal(size=40)
    weights = ClosedForm().solve(Problem(a, u, 1.0))
    assert weights.status is Status.CORRECTED
    np.testing.assert_allclose(a @ weights.eps, 1.0, rtol=max(1e-12, 3e-17 / angle**2))
