"""Contracts of all schemes, and each against an independent solver."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cases import ALL_SCHEMES
from softunlearn.exceptions import Status
from softunlearn.weights import ClosedForm, Problem, TopK, WeightScheme


def random_problem(rng, n=6):
    return Problem(rng.normal(size=n), rng.normal(size=n), budget=rng.exponential())


@pytest.mark.parametrize("scheme", ALL_SCHEMES, ids=str)
class TestEveryScheme:
    def test_predictions_are_those_of_its_weights(self, scheme, rng):
        assert isinstance(scheme, WeightScheme)
        problem = random_problem(rng, n=50)
        weights = scheme.solve(problem)
        np.testing.assert_allclose(weights.predicted, problem.target @ weights.eps, atol=1e-12)
        np.testing.assert_allclose(weights.utility_gain, problem.utility @ weights.eps, atol=1e-12)
        assert weights.message.endswith(".")

    def test_row_order_does_not_matter(self, scheme, rng):
        problem, order = random_problem(rng, n=50), rng.permutation(50)
        shuffled = Problem(problem.target[order], problem.utility[order], problem.budget)
        np.testing.assert_allclose(
            scheme.solve(shuffled).eps, scheme.solve(problem).eps[order], atol=1e-12
        )

    def test_no_influence_or_no_budget_changes_nothing(self, scheme, rng):
        u = rng.normal(size=5)
        for problem in (Problem(np.zeros(5), u, 1.0), Problem(u, u, 0.0)):
            weights = scheme.solve(problem)
            np.testing.assert_array_equal(weights.eps, np.zeros(5))
            assert weights.status == Status.NOTHING_TO_CORRECT

    def test_the_problem_is_not_changed(self, scheme, rng):
        problem = random_problem(rng)
        a, u = problem.target.copy(), problem.utility.copy()
        scheme.solve(problem)
        np.testing.assert_array_equal(problem.target, a)
        np.testing.assert_array_equal(problem.utility, u)


def solve_with_cvxpy(problem, lam, **options):
    """Solve Eq. 6 by a generic solver; for lam = 0 its limit, the shortest solution.

    Returns eps and whether each constraint binds: a positive multiplier.
    """
    import cvxpy as cp

    eps = cp.Variable(len(problem.target))
    utility = problem.utility @ eps >= 0
    if lam == 0:
        fall = problem.target @ eps == problem.budget
        objective = cp.sum_squares(eps)
    else:
        fall = problem.target @ eps <= problem.budget
        objective = -problem.target @ eps + lam * cp.sum_squares(eps)
    options = options or {"solver": cp.CLARABEL} | dict.fromkeys(
        ("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-12
    )
    cp.Problem(cp.Minimize(objective), [fall, utility]).solve(**options)
    return eps.value, abs(fall.dual_value) > 1e-7, utility.dual_value > 1e-7


@pytest.mark.slow
def test_closed_form_equals_cvxpy_in_all_four_cases(rng):
    """400 problems; which case holds is read off CVXPY's multipliers."""
    seen = dict.fromkeys((1, 2, 3, 4), 0)
    for _ in range(400):
        problem, lam = random_problem(rng), rng.exponential()
        weights = ClosedForm(lam).solve(problem)
        expected, budget_binds, utility_binds = solve_with_cvxpy(problem, lam)
        np.testing.assert_allclose(weights.eps, expected, atol=1e-6)
        assert weights.case == 1 + budget_binds + 2 * utility_binds
        seen[weights.case] += 1
    assert min(seen.values()) >= 20


@pytest.mark.slow
def test_closed_form_without_penalty_is_the_shortest_solution(rng):
    for _ in range(100):
        problem = random_problem(rng)
        weights = ClosedForm().solve(problem)
        expected, _, utility_binds = solve_with_cvxpy(problem, lam=0)
        np.testing.assert_allclose(weights.eps, expected, atol=1e-6)
        assert weights.case == 2 + 2 * utility_binds


@pytest.mark.parametrize("nudge", [-1e-9, 0.0, 1e-9])
def test_cases_agree_on_their_borders(nudge, rng):
    """At A = 2 lam delta (1|2), A - C^2/U = 2 lam delta (3|4), and C = 0 (1|3 and 2|4).

    There a multiplier is zero and its constraint tight: interior point methods are inexact, so the
    reference is OSQP with its solution polished on the active set.
    """
    polished = {"solver": "OSQP", "eps_abs": 1e-10, "eps_rel": 1e-10, "max_iter": 10**6}
    a, u = rng.normal(size=6), rng.normal(size=6)
    u_with, u_against = (u if u @ a > 0 else -u), (u if u @ a < 0 else -u)
    lam = 0.7
    for utility in (u_with, u_against):
        length = a @ a - min(0, a @ utility) ** 2 / (utility @ utility)
        problem = Problem(a, utility, budget=length / (2 * lam) * (1 + nudge))
        expected, _, _ = solve_with_cvxpy(problem, lam, **polished)
        np.testing.assert_allclose(ClosedForm(lam).solve(problem).eps, expected, atol=1e-6)
    orthogonal = u - (u @ a) / (a @ a) * a
    for budget in (0.1, 10.0):
        problem = Problem(a, orthogonal + nudge * a, budget=budget)
        expected, _, _ = solve_with_cvxpy(problem, lam, **polished)
        np.testing.assert_allclose(ClosedForm(lam).solve(problem).eps, expected, atol=1e-6)


vectors = arrays(float, 5, elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3)))


@given(
    a=vectors, u=vectors, budget=st.floats(1e-6, 1e6), lam=st.sampled_from([0.0, 1e-3, 1.0, 1e3])
)
def test_solutions_are_feasible_and_stationary(a, u, budget, lam):
    """The KKT conditions, for anything the problem may hold."""
    weights = ClosedForm(lam).solve(Problem(a, u, budget))
    if weights.status is not Status.CORRECTED:
        assert not weights.eps.any()
        return
    scale = np.linalg.norm(weights.eps)
    assert weights.predicted <= budget * (1 + 1e-9)
    assert weights.utility_gain >= -1e-7 * scale * np.linalg.norm(u)
    mu, nu = weights.multipliers
    assert nu >= 0
    assert mu >= -1e-12
    gradient = 2 * lam * weights.eps - (1 - mu) * a - nu * u
    assert np.linalg.norm(gradient) <= 1e-9 * (np.linalg.norm(a) + nu * np.linalg.norm(u))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_influences_of_any_size_are_solved(scale, rng):
    a, u = rng.normal(size=5), rng.normal(size=5)
    expected = ClosedForm().solve(Problem(a, u, 1.0)).eps
    scaled = ClosedForm().solve(Problem(scale * a, scale * u, scale)).eps
    np.testing.assert_allclose(scaled, expected)


def test_opposed_target_and_utility_have_no_pareto_direction(rng):
    a = rng.normal(size=8)
    for factor in (1.0, 1e-8, 1e8):
        weights = ClosedForm().solve(Problem(a, -factor * a, 1.0))
        assert weights.status is Status.NO_PARETO_DIRECTION
        assert not weights.eps.any()
        assert weights.case == 0
        assert "opposed" in weights.message
    nearly = ClosedForm().solve(Problem(a, -a + 1e-4 * rng.normal(size=8), 1.0))
    assert nearly.status is Status.CORRECTED
    np.testing.assert_allclose(nearly.predicted, 1.0)


def test_top_k_removes_the_fewest_rows_that_use_up_the_budget():
    problem = Problem(np.array([-3.0, 1.0, -2.0, -1.0]), np.zeros(4), budget=4.0)
    for budget, removed in ((3.0, [0]), (3.1, [0, 2]), (5.0, [0, 2]), (6.0, [0, 2, 3])):
        weights = TopK().solve(problem.with_budget(budget))
        assert np.flatnonzero(weights.eps).tolist() == removed
        assert set(weights.eps) <= {-1.0, 0.0}
        assert weights.status is Status.CORRECTED
    out_of_reach = TopK().solve(problem.with_budget(6.1))
    assert out_of_reach.status is Status.TARGET_OUT_OF_REACH
    assert np.flatnonzero(out_of_reach.eps).tolist() == [0, 2, 3]
    assert np.flatnonzero(TopK(max_fraction=0.25).solve(problem).eps).tolist() == [0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Problem(np.ones(2), np.ones(3), 1.0), "same length"),
        (lambda: Problem(np.array([np.nan]), np.ones(1), 1.0), "`target` must be finite"),
        (lambda: Problem(np.ones(1), np.array([np.inf]), 1.0), "`utility` must be finite"),
        (lambda: Problem(np.ones(1), np.ones(1), -1.0), "`budget` must be at least 0"),
        (lambda: ClosedForm(lam=-1.0), "`lam` must be at least 0"),
        (lambda: TopK(max_fraction=0.0), "`max_fraction` must be above 0"),
    ],
)
def test_bad_input_is_one_clear_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
