import numpy as np
import pytest
from scipy.linalg import solve

from cases import ALL_SOLVERS, HEAD_CASES
from softunlearn.curvature import Cholesky, Curvature, CurvatureSolver
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@pytest.mark.parametrize("solver", ALL_SOLVERS, ids=str)
class TestEverySolver:
    @pytest.mark.parametrize("case", HEAD_CASES, ids=str)
    def test_solves_for_gradients_as_the_pseudo_inverse_does(self, solver, case, rng):
        objective = case.objective(rng)
        rhs = objective.gradient(rng.normal(size=(len(objective.rows), 3)))
        curvature = solver.factor(objective)
        assert isinstance(solver, CurvatureSolver)
        assert isinstance(curvature, Curvature)
        solution = curvature.solve(rhs)
        expected = np.linalg.pinv(objective.hessian(), hermitian=True) @ rhs
        products = objective.row_products(solution.x)
        np.testing.assert_allclose(
            products, objective.row_products(expected), rtol=1e-8, atol=1e-9
        )
        assert solution.residual < 1e-10
        assert curvature.damping == 0

    def test_features_on_any_scale_are_solved_undamped(self, solver, rng):
        X, y = rng.normal(size=(200, 4)), rng.integers(2, size=200)
        head = LinearHead(np.zeros((1, 4)), np.zeros(1))
        scale = np.array([1e-6, 1.0, 1e3, 1e6])
        rhs = rng.normal(size=(5, 1))
        plain = solver.factor(HeadObjective(head, Rows(X, y))).solve(rhs)
        scaled = solver.factor(HeadObjective(head, Rows(X * scale, y)))
        full = np.append(scale, 1.0)[:, None]
        assert scaled.damping == 0
        np.testing.assert_allclose(full * scaled.solve(rhs * full).x, plain.x, rtol=1e-8)


def collinear(rng, l2=0.0):
    X, y = rng.normal(size=(50, 2)), rng.integers(2, size=50)
    X = np.column_stack([X, X[:, 0]])
    return HeadObjective(LinearHead(np.zeros((1, 3)), None, l2=l2), Rows(X, y))


def test_collinear_features_are_damped_and_reported(rng):
    objective = collinear(rng)
    rhs = objective.gradient(rng.normal(size=(50, 1)))
    curvature = Cholesky().factor(objective)
    assert 0 < curvature.damping <= 1e-9
    solution = curvature.solve(rhs)
    assert solution.residual < 1e-6
    expected = np.linalg.pinv(objective.hessian(), hermitian=True) @ rhs
    np.testing.assert_allclose(
        objective.row_products(solution.x), objective.row_products(expected), rtol=1e-5, atol=1e-7
    )
    assert Cholesky().factor(collinear(rng, l2=1.0)).damping == 0


def test_a_constant_zero_column_without_penalty_is_survived(rng):
    X = np.column_stack([rng.normal(size=50), np.zeros(50)])
    objective = HeadObjective(
        LinearHead(np.zeros((1, 2)), None), Rows(X, rng.integers(2, size=50))
    )
    x = Cholesky().factor(objective).solve(np.array([[1.0], [0.0]])).x
    np.testing.assert_allclose(x[0, 0], 1 / objective.hessian()[0, 0], rtol=1e-6)


def test_damping_asked_for_is_taken_and_said(rng):
    objective = collinear(rng, l2=1.0)
    curvature = Cholesky(damping=0.5).factor(objective)
    assert curvature.damping == 0.5
    H, rhs = objective.hessian(), rng.normal(size=(3, 1))
    expected = np.linalg.solve(H + 0.5 * np.diag(np.diag(H)), rhs)
    np.testing.assert_allclose(curvature.solve(rhs).x, expected)


def test_the_residual_is_that_of_the_undamped_system(rng):
    objective = collinear(rng, l2=1.0)
    rhs = rng.normal(size=(3, 2))
    solution = Cholesky(damping=0.1).factor(objective).solve(rhs)
    error = objective.hessian() @ solution.x - rhs
    expected = (np.linalg.norm(error, axis=0) / np.linalg.norm(rhs, axis=0)).max()
    assert expected > 1e-3
    np.testing.assert_allclose(solution.residual, expected)


def test_inverse_is_the_inverse(rng):
    objective = collinear(rng, l2=1.0)
    inverse = Cholesky().factor(objective).inverse()
    np.testing.assert_allclose(inverse @ objective.hessian(), np.eye(3), atol=1e-12)


def test_what_cannot_be_factored_is_refused_with_a_way_out():
    huge = LinearHead(np.zeros((1000, 2048)), np.zeros(1000))
    with pytest.raises(SingularCurvatureError, match=r"2,049,000 parameters, .* 31281 GiB"):
        Cholesky().factor(HeadObjective(huge, Rows(np.zeros((2, 2048)), np.array([0, 1]))))
    head = LinearHead(np.zeros((1, 1)), None)
    rows = Rows(np.array([[1e200], [1.0]]), np.array([0, 1]))
    with (
        pytest.raises(SingularCurvatureError, match=r"not finite.*Scale them"),
        np.errstate(over="ignore"),
    ):
        Cholesky().factor(HeadObjective(head, rows))
    with pytest.raises(ValueError, match="`damping` must be at least 0"):
        Cholesky(damping=-1.0)


def test_the_condition_number_is_that_of_the_hessian_scaled_to_a_unit_diagonal(rng):
    """In the norm 1, which LAPACK estimates from below."""
    X = rng.normal(size=(300, 5)) * [1.0, 1e-3, 1.0, 1e4, 1.0]
    X[:, 4] = X[:, 0] + 1e-3 * X[:, 4]
    objective = HeadObjective(LinearHead(np.zeros((1, 5)), None), Rows(X, np.arange(300) % 2))
    H = objective.hessian()
    scale = 1 / np.sqrt(np.diag(H))
    expected = np.linalg.cond(scale[:, None] * H * scale, 1)
    assert expected > 1e5
    found = Cholesky().factor(objective).condition
    assert expected / 3 <= found <= expected * (1 + 1e-6)


def test_a_refined_solution_is_nearer_than_lapacks_where_the_hessian_is_nearly_singular(rng):
    """Residuals, in extended precision, of a condition number of 1e11."""
    missing = {"ours": 0.0, "lapack": 0.0}
    for _ in range(8):
        X = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 60)) + 1e-4 * rng.normal(
            size=(400, 60)
        )
        head = LinearHead(np.zeros((1, 60)), None)
        objective = HeadObjective(head, Rows(X, rng.integers(2, size=400)))
        factor, H, b = Cholesky().factor(objective), objective.hessian(), rng.normal(size=(60, 1))
        assert factor.damping == 0
        assert factor.condition > 1e10
        for name, x in (("ours", factor.solve(b).x), ("lapack", solve(H, b, assume_a="pos"))):
            left = H.astype(np.longdouble) @ x.astype(np.longdouble) - b
            missing[name] += float(np.linalg.norm(left.astype(float)))
    assert missing["ours"] < 0.9 * missing["lapack"]
