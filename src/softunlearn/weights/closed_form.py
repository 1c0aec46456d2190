"""Soft weights in closed form (Eq. 7, with its conditions).

Stationarity gives eps = ((1 - mu) a + nu u) / (2 lam). Whether the utility constraint binds
depends on the sign of C = a . u alone, and it turns a into the direction r that costs no
utility:

    r = a               if C >= 0                r = a - C/U u        if C < 0       (U = u . u)

The budget then decides the length: eps = min(1 / (2 lam), delta / r.r) r, since a . r = r . r.
The four cases of Eq. 7 are the two answers to "does the budget bind?" for each of the two r.

Several targets or utilities are beyond the paper. Which of the constraints bind is then read off
the dual, which without bounds on eps needs nothing but the influences' own products (`dual.py`).
"""

from dataclasses import dataclass

from array_api_compat import array_namespace

from softunlearn.exceptions import Status
from softunlearn.rows import Array
from softunlearn.weights.bounded import Bounded
from softunlearn.weights.problem import OPPOSED, Problem, Weights, as_given, unchanged


@dataclass(frozen=True)
class ClosedForm:
    """The exact solution of the quadratic programme, in a few passes over a and u.

    Parameters
    ----------
    lam : float, default=0.0
        Penalty on ||eps||^2. In the limit 0, the default, the budget always binds (cases 2 and 4)
        and there is nothing to tune.

    References
    ----------
    Eq. 7.

    Examples
    --------
    >>> import numpy as np
    >>> problem = Problem(np.array([3.0, 4.0]), np.array([1.0, 0.0]), budget=5.0)
    >>> weights = ClosedForm().solve(problem)
    >>> weights.eps, weights.case
    (array([0.6, 0.8]), 2)
    """

    lam: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.lam < float("inf"):
            raise ValueError(f"`lam` must be at least 0 and finite, got {self.lam}.")

    @property
    def scales(self) -> bool:
        """Return whether the budget always binds, so that the weights are proportional to it."""
        return self.lam == 0

    def solve(self, problem: Problem) -> Weights:
        """Return the weights. eps = 0 where a = 0, delta = 0, or a and u are opposed."""
        if problem.targets.shape[1] > 1 or problem.utilities.shape[1] != 1:
            return Bounded(-float("inf"), float("inf"), self.lam).solve(problem)
        target, utility = problem.targets[:, 0], problem.utilities[:, 0]
        budget = float(problem.budgets[0])
        xp = array_namespace(target, utility)
        # in units of their largest entries no square overflows or vanishes
        a_unit, u_unit = _largest(target), _largest(utility)
        a, u = target / (a_unit or 1.0), utility / (u_unit or 1.0)
        A, C = float(xp.sum(a * a)), float(xp.sum(a * u))
        if A == 0.0 or budget == 0.0:
            return unchanged(
                problem,
                Status.NOTHING_TO_CORRECT,
                "No row has any influence on the target."
                if A == 0.0
                else "The metric is already zero.",
            )
        costs = C < 0
        U = float(xp.sum(u * u)) if costs else 1.0
        nu = -C / U if costs else 0.0
        r = a + nu * u if costs else a
        rr = float(xp.sum(r * r))
        if rr <= OPPOSED**2 * A:
            return unchanged(
                problem,
                Status.NO_PARETO_DIRECTION,
                "Every change that lowers the target raises the validation loss as much: target "
                "and utility are opposed in every row. Give another metric or more rows.",
            )
        delta, two_lam = budget / a_unit, 2 * self.lam / a_unit
        budget_binds = rr > two_lam * delta  # lam is weighed against a in its own units
        length = delta / rr if budget_binds else 1 / two_lam
        eps = length * r
        one_minus_mu = two_lam * length
        gain, fall = float(xp.sum(u * eps)), float(xp.sum(a * eps))
        missed = max(
            abs(fall - delta) / A**0.5 if budget_binds else 0.0,
            abs(gain) / U**0.5 if costs else 0.0,
        )
        return Weights(
            eps,
            predicted=as_given([a_unit * fall], problem.target),
            utility_gain=as_given([u_unit * gain], problem.utility),
            status=Status.CORRECTED,
            message="The budget is used up." if budget_binds else "lam keeps the weights small.",
            case=(4 if budget_binds else 3) if costs else (2 if budget_binds else 1),
            multipliers=(1 - one_minus_mu, one_minus_mu * nu * a_unit / (u_unit or 1.0)),
            residual=missed / (length * rr**0.5),
        )


def _largest(x: Array) -> float:
    xp = array_namespace(x)
    return float(xp.max(xp.abs(x))) if x.shape[0] else 0.0
