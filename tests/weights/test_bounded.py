"""Bounded weights and many constraints against CVXPY."""

import cvxpy as cp
import numpy as np
import pytest

from softunlearn.exceptions import Status
from softunlearn.weights import Bounded, ClosedForm, Problem

PRECISE = {
    "solver": cp.CLARABEL,
    "tol_gap_abs": 1e-12,
    "tol_gap_rel": 1e-12,
    "tol_feas": 1e-12,
}


def random_problem(rng, n=60, m=1, h=1, reach=0.5):
    """A problem of which the budgets are a part of what is surely within reach of the box."""
    a, u = rng.normal(size=(n, m)), rng.normal(size=(n, h))
    inside = rng.uniform(-1, 1, size=n)
    # a point of the box that satisfies the utility constraints, by construction
    inside *= np.sign(1e-9 + inside)
    inside = np.sign(a.sum(axis=1) + u.sum(axis=1)) * np.abs(inside)
    signs = np.sign(a.T @ inside)
    a = a * np.where(signs == 0, 1, signs)
    u = u * np.where(u.T @ inside < 0, -1, 1)
    return Problem(a, u, reach * (a.T @ inside))


def solved(problem, scheme, *, equal):
    """CVXPY's weights: of Eq. 6 for lam > 0, else the shortest that use up the budgets."""
    a, u, delta = problem.targets, problem.utilities, problem.budgets
    eps = cp.Variable(a.shape[0])
    constraints = [u.T @ eps >= 0, eps >= scheme.lo, eps <= scheme.hi]
    if equal:
        objective = cp.Minimize(cp.sum_squares(eps))
        constraints.append(a.T @ eps == delta)
    else:
        objective = cp.Minimize(-cp.sum(a.T @ eps) + scheme.lam * cp.sum_squares(eps))
        constraints.append(a.T @ eps <= delta)
    cp.Problem(objective, constraints).solve(**PRECISE)
    return eps.value


@pytest.mark.parametrize("h", [1, 2])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_shortest_weights_within_bounds_are_cvxpys(m, h, rng):
    active = 0
    for _ in range(10):
        problem = random_problem(rng, m=m, h=h, reach=rng.uniform(0.4, 0.95))
        scheme = Bounded(lo=-rng.uniform(0.3, 0.5), hi=0.5)
        weights = scheme.solve(problem)
        expected = solved(problem, scheme, equal=True)
        if expected is None:
            assert weights.status is Status.TARGET_OUT_OF_REACH
            continue
        assert weights.status is Status.CORRECTED
        active += int(((weights.eps == scheme.lo) | (weights.eps == scheme.hi)).sum())
        np.testing.assert_allclose(weights.eps, expected, atol=1e-6)
        assert weights.residual < 1e-8
    assert active > 0


@pytest.mark.parametrize("h", [1, 2])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_penalised_weights_within_bounds_are_cvxpys(m, h, rng):
    active = 0
    for _ in range(10):
        problem = random_problem(rng, m=m, h=h, reach=rng.uniform(0.2, 1.5))
        scheme = Bounded(lo=-0.8, hi=0.7, lam=float(rng.uniform(0.2, 3.0)))
        weights = scheme.solve(problem)
        expected = solved(problem, scheme, equal=False)
        active += int(((weights.eps == scheme.lo) | (weights.eps == scheme.hi)).sum())
        np.testing.assert_allclose(weights.eps, expected, atol=1e-6)
    assert active > 0


@pytest.mark.parametrize(("m", "h"), [(1, 1), (2, 1), (3, 2)])
def test_multipliers_are_those_of_the_stationarity_condition(m, h, rng):
    binding = 0
    for _ in range(10):
        problem = random_problem(rng, m=m, h=h, reach=rng.uniform(0.2, 1.5))
        scheme = Bounded(lo=-0.8, hi=0.7, lam=float(rng.uniform(0.2, 3.0)))
        weights = scheme.solve(problem)
        found = np.asarray(weights.multipliers)
        mu, nu = found[:m], found[m:]
        free = (problem.targets @ (1 - mu) + problem.utilities @ nu) / (2 * scheme.lam)
        np.testing.assert_allclose(weights.eps, np.clip(free, scheme.lo, scheme.hi), atol=1e-8)
        assert (found >= -1e-9).all()
        binding += int((nu > 1e-6).sum())
    assert binding > 0


@pytest.mark.parametrize("m", [1, 2, 3])
def test_of_budgets_out_of_reach_the_largest_part_is_reached(m, rng):
    for _ in range(5):
        problem = random_problem(rng, m=m, reach=4.0)
        scheme = Bounded()
        weights = scheme.solve(problem)
        a, u, delta = problem.targets, problem.utilities, problem.budgets
        eps, t = cp.Variable(a.shape[0]), cp.Variable()
        within = [eps >= -1, eps <= 1, u.T @ eps >= 0, a.T @ eps == t * delta, t <= 1]
        cp.Problem(cp.Maximize(t), within).solve(**PRECISE)
        if t.value > 1 - 1e-9:
            continue
        assert weights.status is Status.TARGET_OUT_OF_REACH
        np.testing.assert_allclose(a.T @ weights.eps, t.value * delta, rtol=1e-5)
        assert np.abs(weights.eps).max() <= 1
        assert (u.T @ weights.eps >= -1e-8).all()


@pytest.mark.parametrize("m", [1, 2, 4])
def test_without_bounds_they_are_those_of_the_closed_form(m, rng):
    for _ in range(10):
        problem = random_problem(rng, m=m, h=2 if m > 1 else 1)
        free = Bounded(-np.inf, np.inf).solve(problem)
        np.testing.assert_allclose(free.eps, ClosedForm().solve(problem).eps, atol=1e-9)


def test_closed_form_of_several_targets_is_cvxpys(rng):
    for m, h in [(2, 1), (1, 2), (3, 2), (5, 1)]:
        problem = random_problem(rng, m=m, h=h)
        expected = solved(problem, Bounded(-np.inf, np.inf), equal=True)
        np.testing.assert_allclose(ClosedForm().solve(problem).eps, expected, atol=1e-6)


def test_degenerate_problems_are_answered(rng):
    a = rng.normal(size=30)
    nothing = Bounded().solve(Problem(np.zeros(30), a, 1.0))
    assert nothing.status is Status.NOTHING_TO_CORRECT
    assert not nothing.eps.any()
    assert not Bounded().solve(Problem(a, a, 0.0)).eps.any()
    opposed = Bounded().solve(Problem(a, -a, 1.0))
    assert opposed.status is Status.NO_PARETO_DIRECTION
    assert not opposed.eps.any()
    twice = Bounded().solve(Problem(np.column_stack([a, a]), np.zeros(30), [1.0, 1.0]))
    np.testing.assert_allclose(twice.eps, Bounded().solve(Problem(a, np.zeros(30), 1.0)).eps)
    one = Bounded().solve(Problem([2.0], [0.0], 1.0))
    np.testing.assert_allclose(one.eps, [0.5])


@pytest.mark.parametrize(("lo", "hi"), [(0.0, 1.0), (-1.0, 0.0)])
def test_one_sided_bounds_are_kept(lo, hi, rng):
    problem = random_problem(rng, reach=0.1)
    weights = Bounded(lo, hi).solve(problem)
    assert weights.eps.min() >= lo
    assert weights.eps.max() <= hi
    assert weights.predicted[0] > 0


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_the_unit_of_the_influences_does_not_matter(scale, rng):
    problem = random_problem(rng)
    scaled = Problem(problem.target * scale, problem.utility / scale, problem.budgets * scale)
    np.testing.assert_allclose(
        Bounded().solve(scaled).eps, Bounded().solve(problem).eps, atol=1e-9
    )


@pytest.mark.parametrize(
    "bounds", [(1.0, 0.5), (0.2, 1.0), (-1.0, -0.5), (np.nan, 1.0), (0.0, 0.0)]
)
def test_bounds_that_hold_no_weights_are_refused(bounds):
    with pytest.raises(ValueError, match=r"`lo`|`hi`"):
        Bounded(*bounds)
