"""Conjugate gradients against SciPy: dense solves, its own conjugate gradients, and singular H."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import HEAD_CASES, HeadCase
from softunlearn.curvature import ConjugateGradients
from softunlearn.curvature.class_blocks import Inverses, SharedBasis
from softunlearn.curvature.pooled import moments
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

EXACT = ConjugateGradients(tolerance=1e-12)
NOTHING_KEPT = ConjugateGradients(tolerance=1e-12, memory=0)


def wide(rng, n=600, d=30, k=8, l2=0.5, intercept=True):
    """Return a head near its labels, on features of decaying sizes around a mean."""
    spectrum = 1 / (1 + np.arange(d))
    X = (1 + rng.normal(size=(n, d))) * spectrum
    W = 2 * rng.normal(size=(k, d)) / spectrum / np.sqrt(d)
    b = 0.3 * rng.normal(size=k) if intercept else None
    y = (X @ W.T + rng.gumbel(size=(n, k))).argmax(axis=1)
    head = LinearHead(W, b, l2=l2, classes=tuple(range(k)))
    return HeadObjective(head, Rows(X, y))


def gradients(objective, rng, m=3):
    return objective.gradient(rng.normal(size=(len(objective.rows), m)))


def in_energy(objective, x):
    """Return the norm of H of each column."""
    return np.sqrt((x * (objective.hessian() @ x)).sum(axis=0))


def dense_solution(objective, rhs):
    return np.linalg.pinv(objective.hessian(), hermitian=True) @ rhs


@pytest.mark.parametrize("solver", [EXACT, NOTHING_KEPT], ids=["kept", "nothing kept"])
@pytest.mark.parametrize("intercept", [True, False])
def test_solutions_are_those_of_a_dense_solve(solver, intercept, rng):
    objective = wide(rng, intercept=intercept)
    rhs = gradients(objective, rng)
    factored = solver.factor(objective)
    assert isinstance(factored.near.scatter, Inverses if solver.memory else SharedBasis)
    solution, expected = factored.solve(rhs), dense_solution(objective, rhs)
    error = in_energy(objective, solution.x - expected) / in_energy(objective, expected)
    assert (error < 1e-11).all()
    missing = np.linalg.norm(objective.hessian() @ solution.x - rhs, axis=0)
    np.testing.assert_allclose(
        solution.residual, (missing / np.linalg.norm(rhs, axis=0)).max(), rtol=1e-2
    )


@pytest.mark.parametrize("memory", [2**29, 0])
def test_a_class_whose_probability_underflows_is_solved_beside_the_others(memory, rng):
    objective = wide(rng)
    b = objective.head.b.copy()
    b[3] = -2000.0
    rows = Rows(objective.rows.X, np.where(objective.rows.y == 3, 0, objective.rows.y))
    head = LinearHead(objective.head.W, b, l2=0.5, classes=objective.head.classes)
    objective = HeadObjective(head, rows)
    assert objective.probabilities()[:, 3].max() == 0
    rhs = gradients(objective, rng)
    solver, expected = ConjugateGradients(memory=memory), dense_solution(objective, rhs)
    found = solver.factor(objective).solve(rhs).x
    error = in_energy(objective, found - expected) / in_energy(objective, expected)
    assert (error < 2 * solver.tolerance).all()


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("memory", [2**29, 0])
def test_the_tolerance_is_the_error_of_influences(tolerance, memory, rng):
    objective = wide(rng)
    rhs = gradients(objective, rng)
    solver = ConjugateGradients(tolerance=tolerance, memory=memory)
    solution, expected = solver.factor(objective).solve(rhs), dense_solution(objective, rhs)
    error = in_energy(objective, solution.x - expected) / in_energy(objective, expected)
    assert (error < 2 * tolerance).all()  # estimated through the approximate inverse
    a, exact = objective.row_products(solution.x), objective.row_products(expected)
    assert np.linalg.norm(a - exact) < 3 * tolerance * np.linalg.norm(exact)


@pytest.mark.parametrize("intercept", [True, False])
def test_a_classs_block_is_that_of_its_rows_where_all_are_taken(intercept, rng):
    """sum_i kappa_ic (phi_i - mu_c)(phi_i - mu_c)^T; a hundred-thousandth is added on purpose."""
    objective = wide(rng, n=50, d=30, k=3, intercept=intercept)
    X, p, added = objective.rows.X, objective.probabilities(), rng.uniform(0.5, 1, size=(3, 30))
    found = moments(objective, p, diagonal=False)
    pooled = np.zeros((30, 30))
    inverses = Inverses.of(objective, p, found, added).inverses
    for c in range(3):
        kappa = p[:, c] * (1 - p[:, c])
        mu = kappa @ X / kappa.sum() if intercept else np.zeros(30)
        block = (kappa[:, None] * (X - mu)).T @ (X - mu)
        pooled += block
        expected = np.linalg.inv(block + np.diag(added[c]))
        np.testing.assert_allclose(inverses[c], expected, atol=1e-4 * expected.max())
        np.testing.assert_allclose(found.means[c], mu, atol=1e-12)
        np.testing.assert_allclose(found.mass[c], kappa.sum())
    np.testing.assert_allclose(found.scatter, pooled, atol=1e-12)
    alone = moments(objective, p, diagonal=True)
    np.testing.assert_allclose(alone.scatter, np.diag(pooled), atol=1e-12)


def test_far_fewer_products_than_scipy_takes(rng):
    """SciPy's conjugate gradients, with H's diagonal as preconditioner, to the same error."""
    objective = wide(rng, n=2000, d=60, k=10, l2=0.01)
    rhs = gradients(objective, rng, 1)
    solution = ConjugateGradients(tolerance=1e-5).factor(objective).solve(rhs)
    expected = dense_solution(objective, rhs)
    wanted = in_energy(objective, solution.x - expected)[0]
    p, diagonal = objective.head.n_parameters, objective.hessian_diagonal()
    H = scipy.sparse.linalg.LinearOperator(
        (p, p), lambda v: objective.hvp(v[:, None])[:, 0], dtype=float
    )
    theirs, _ = scipy.sparse.linalg.cg(
        H, rhs[:, 0], rtol=1e-12, maxiter=5 * solution.iterations,
        M=scipy.sparse.diags_array(1 / diagonal),
    )  # fmt: skip
    # the error in energy falls at every step of conjugate gradients: the last is the least
    assert in_energy(objective, theirs[:, None] - expected)[0] > wanted


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), split=st.integers(1, 4), copies=st.booleans())
def test_solutions_do_not_depend_on_what_is_solved_beside_them(seed, split, copies):
    """Nor on copies, sums, zeros or sizes among the right-hand sides."""
    rng = np.random.default_rng(seed)
    objective = HeadCase(4, True).objective(rng, n=60, d=5)
    rhs = gradients(objective, rng, 5)
    if copies:
        rhs[:, 1], rhs[:, 2], rhs[:, 3] = 1e9 * rhs[:, 0], rhs[:, 0] + 1e-7 * rhs[:, 4], 0.0
    factored = EXACT.factor(objective)
    together = factored.solve(rhs).x
    apart = np.concatenate(
        [factored.solve(rhs[:, :split]).x, factored.solve(rhs[:, split:]).x], axis=1
    )
    size = np.maximum(in_energy(objective, apart), 1e-300)
    assert (in_energy(objective, together - apart) <= 1e-10 * size).all()


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_torch_solves_as_numpy_does(case, rng):
    here = case.objective(rng, n=80, d=6)
    rows, head = here.rows, here.head
    weight = None if rows.weight is None else torch.asarray(rows.weight)
    b = None if head.b is None else torch.asarray(head.b)
    there = HeadObjective(
        LinearHead(torch.asarray(head.W), b, l2=head.l2, classes=head.classes),
        Rows(torch.asarray(rows.X), torch.asarray(rows.y), None, weight),
    )
    rhs = gradients(here, rng)
    for solver in (EXACT, NOTHING_KEPT):
        theirs = solver.factor(there).solve(torch.asarray(rhs))
        assert isinstance(theirs.x, torch.Tensor)
        assert theirs.x.dtype == torch.float64
        ours = solver.factor(here).solve(rhs).x
        np.testing.assert_allclose(
            here.row_products(theirs.x.numpy()), here.row_products(ours), rtol=1e-8, atol=1e-9
        )


def test_float32_features_are_solved_in_float64(rng):
    objective = wide(rng)
    narrow = Rows(objective.rows.X.astype(np.float32), objective.rows.y)
    objective = HeadObjective(objective.head, narrow)
    rhs = gradients(objective, rng)
    solution, expected = EXACT.factor(objective).solve(rhs), dense_solution(objective, rhs)
    error = in_energy(objective, solution.x - expected) / in_energy(objective, expected)
    assert (error < 1e-11).all()


def test_features_far_from_zero_are_solved_all_the_same(rng):
    """In float32 a year has three digits of its spread: the products then turn to float64."""
    objective = wide(rng, d=5, k=3, l2=0.0)
    far = Rows(objective.rows.X + 1e5, objective.rows.y)
    W, b = objective.head.W, objective.head.b - 1e5 * objective.head.W.sum(axis=1)
    there = HeadObjective(LinearHead(W, b, classes=(0, 1, 2)), far)
    w = rng.normal(size=(len(far), 2))
    plain = EXACT.factor(objective).solve(objective.gradient(w))
    moved = ConjugateGradients(tolerance=1e-8).factor(there).solve(there.gradient(w))
    assert moved.damping == 0
    np.testing.assert_allclose(
        there.row_products(moved.x), objective.row_products(plain.x), rtol=1e-5, atol=1e-6
    )


def test_a_shift_of_all_classes_meets_the_penalty_alone(rng):
    objective = wide(rng, n=100, d=4, k=3, intercept=False)
    rhs = gradients(objective, rng, 2) + np.tile(rng.normal(size=(4, 2)), (3, 1))
    solution = EXACT.factor(objective).solve(rhs)
    np.testing.assert_allclose(solution.x, np.linalg.solve(objective.hessian(), rhs), rtol=1e-8)
    assert solution.residual < 1e-10


def test_what_h_cannot_answer_is_left_out_and_said(rng):
    """An intercept's shift is not penalised, so nothing answers a right-hand side along it."""
    objective = wide(rng, n=100, d=4, k=3)
    rhs = gradients(objective, rng, 1)
    along = np.zeros((3, 5))
    along[:, 4] = np.linalg.norm(rhs)
    solution = EXACT.factor(objective).solve(rhs + along.reshape(-1, 1))
    np.testing.assert_allclose(
        objective.row_products(solution.x),
        objective.row_products(dense_solution(objective, rhs)),
        rtol=1e-8,
        atol=1e-9,
    )
    np.testing.assert_allclose(solution.residual, np.sqrt(3 / 4), rtol=1e-6)


@pytest.mark.parametrize("memory", [2**29, 0])
@pytest.mark.parametrize("intercept", [True, False])
def test_collinear_and_constant_features_are_damped_and_said(memory, intercept, rng):
    X = rng.normal(size=(80, 3))
    X = np.column_stack([X, X[:, 0] - X[:, 1], np.zeros(80), np.full(80, 7.0)][: 5 + intercept])
    k, d = 4, X.shape[1]
    head = LinearHead(
        rng.normal(size=(k, d)), np.zeros(k) if intercept else None, classes=(0, 1, 2, 3)
    )
    objective = HeadObjective(head, Rows(X, rng.integers(4, size=80)))
    factored = ConjugateGradients(tolerance=1e-10, memory=memory).factor(objective)
    assert 0 < factored.damping <= 1e-9
    rhs = gradients(objective, rng)
    solution = factored.solve(rhs)
    assert solution.residual < 1e-6
    expected = objective.row_products(dense_solution(objective, rhs))
    np.testing.assert_allclose(objective.row_products(solution.x), expected, rtol=1e-5, atol=1e-6)

    # validation rows may have what no training row has: influences are as exact, and it is said
    seen = (
        rhs
        + np.tile(np.eye(d + intercept)[4], k)[:, None]
        * np.array([1.0, -1.0, 0.0, 0.0]).repeat(d + intercept)[:, None]
    )
    unseen = factored.solve(seen)
    assert unseen.residual > 1e-3
    np.testing.assert_allclose(objective.row_products(unseen.x), expected, rtol=1e-5, atol=1e-6)


def test_damping_asked_for_is_taken_and_said(rng):
    objective = HeadCase(1, True).objective(rng)
    factored = ConjugateGradients(tolerance=1e-12, damping=0.5).factor(objective)
    assert factored.damping == 0.5
    H, rhs = objective.hessian(), rng.normal(size=(objective.head.n_parameters, 1))
    solution = factored.solve(rhs)
    expected = np.linalg.solve(H + 0.5 * np.diag(np.diag(H)), rhs)
    np.testing.assert_allclose(solution.x, expected, rtol=1e-8)
    residual = np.linalg.norm(H @ solution.x - rhs) / np.linalg.norm(rhs)
    np.testing.assert_allclose(solution.residual, residual, rtol=1e-6)


def test_where_the_iteration_fails_more_damping_is_tried_and_reported(rng, monkeypatch):
    """Without the eigenvectors nobody knows that no training row has column 0 without column 3."""
    import softunlearn.curvature.conjugate_gradients as module

    monkeypatch.setattr(module, "MAX_BASIS", 3)
    X = rng.normal(size=(80, 3))
    X = np.column_stack([X, X[:, 0], np.zeros(80)])
    head = LinearHead(rng.normal(size=(3, 5)), None, classes=(0, 1, 2))
    objective = HeadObjective(head, Rows(X, rng.integers(3, size=80)))
    factored = ConjugateGradients().factor(objective)
    assert factored.damping == 0
    seen = gradients(objective, rng, 1)
    assert factored.solve(seen).damping == 0
    unseen = np.zeros((3, 5))
    unseen[0], unseen[1] = 10.0, -10.0
    unseen[:, 0] *= 2
    solution = factored.solve(seen + unseen.reshape(-1, 1))
    assert solution.damping > 0
    assert solution.residual > 0.01


def test_a_budget_that_does_not_do_is_an_error_with_a_way_out(rng):
    objective = wide(rng)
    factored = ConjugateGradients(tolerance=1e-12, max_iterations=2).factor(objective)
    with pytest.raises(SingularCurvatureError, match=r"error of 1e-12 in 2 products.*Train with"):
        factored.solve(gradients(objective, rng))


def test_what_is_not_finite_is_refused():
    head = LinearHead(np.zeros((3, 1)), None, classes=(0, 1, 2))
    objective = HeadObjective(head, Rows(np.array([[1e200], [1.0], [0.0]]), np.arange(3)))
    with (
        np.errstate(over="ignore"),
        pytest.raises(SingularCurvatureError, match=r"not finite.*Scale them"),
    ):
        ConjugateGradients().factor(objective)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "`tolerance` must lie between 0 and 1"),
        ({"max_iterations": 0}, "`max_iterations` must be at least 1"),
        ({"memory": -1}, "`memory` must be at least 0"),
        ({"damping": -1.0}, "`damping` must be at least 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConjugateGradients(**options)


def test_only_what_fits_the_memory_is_kept(rng):
    objective = wide(rng)  # probabilities 19,200 bytes, blocks 28,800, features 72,000
    for memory, kept in (
        (0, (0, 0, 0)),
        (20_000, (1, 0, 0)),
        (50_000, (1, 1, 0)),
        (2**29, (1, 1, 1)),
    ):
        rough = ConjugateGradients(memory=memory).factor(objective).rough
        found = (
            rough.probabilities is not None,
            rough.dense,
            rough.objective.rows.X.dtype == np.float32,
        )
        assert found == tuple(map(bool, kept))


def test_a_binary_head_of_too_many_features_for_a_basis_is_solved(rng, monkeypatch):
    import softunlearn.curvature.conjugate_gradients as module

    monkeypatch.setattr(module, "MAX_BASIS", 3)
    objective = HeadCase(1, True, weighted=True).objective(rng, n=60, d=6)
    rhs = gradients(objective, rng)
    factored = EXACT.factor(objective)
    assert np.isnan(factored.condition)
    np.testing.assert_allclose(
        factored.solve(rhs).x, np.linalg.solve(objective.hessian(), rhs), rtol=1e-8
    )
