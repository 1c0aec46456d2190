"""Soft weights in closed form (Eq. 7, with its conditions).

Stationarity gives eps = ((1 - mu) a + nu u) / (2 lam). Whether the utility constraint binds
depends on the sign of C = a . u alone, and it turns a into the direction r that costs no
utility:

    r = a               if C >= 0                r = a - C/U u        if C < 0       (U = u . u)

The budget then decides the length: eps = min(1 / (2 lam), delta / r.r) r, since a . r = r . r.
The four cases of Eq. 7 are the two answers to "does the budget bind?" for each of the two r.

Nothing but A = a . a, C and U is needed to know eps as a combination of a and u: one pass over
them for these, and another to write eps, or none where a and u are known by their directions.

Several targets or utilities are beyond the paper. Which of the constraints bind is then read off
the dual (`dual.py`) of a problem of as few rows as there are vectors, with the same products.
"""

from dataclasses import dataclass, replace

import numpy as np

from softunlearn.exceptions import Status
from softunlearn.row_vectors import Held, Products
from softunlearn.rows import Array
from softunlearn.weights.bounded import Bounded
from softunlearn.weights.problem import OPPOSED, Problem, Weights, as_given, unchanged

CANCELLED = 1e-6
"""Where r . r is a smaller part of A, so many digits cancel in A - C^2/U that it is computed from
r itself, as a . r, in a pass of its own."""


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

    def solve(self, problem: Problem, *, out: Array | None = None) -> Weights:
        """Return the weights. eps = 0 where a = 0, delta = 0, or a and u are opposed.

        Parameters
        ----------
        problem : Problem
        out : ndarray of shape (n,), optional
            Where to put eps, for problems of arrays: at 10^8 rows new memory costs more than the
            arithmetic.
        """
        vectors = problem.vectors
        inner, unit = vectors.products.inner, vectors.products.unit
        if problem.n_targets > 1 or len(unit) != 2:
            return self._several(problem)
        (A, C), (_, U) = inner
        # in units in which no square of an influence overflows or vanishes
        delta, two_lam = float(problem.budgets[0]) / unit[0], 2 * self.lam / unit[0]
        if A == 0.0 or problem.budgets[0] == 0.0:
            return unchanged(
                problem,
                Status.NOTHING_TO_CORRECT,
                "No row has any influence on the target."
                if A == 0.0
                else "The metric is already zero.",
            )
        costs = C < 0
        r = np.array([1.0, -C / U if costs else 0.0])
        rr, ur = A + r[1] * C, C + r[1] * U
        if rr < CANCELLED * A:
            rr, ur = vectors.products_with(r / unit) / unit
        if rr <= OPPOSED**2 * A:
            return unchanged(
                problem,
                Status.NO_PARETO_DIRECTION,
                "Every change that lowers the target raises the validation loss as much: target "
                "and utility are opposed in every row. Give another metric or more rows.",
            )
        budget_binds = rr > two_lam * delta  # lam is weighed against a in its own units
        length = delta / rr if budget_binds else 1 / two_lam
        x, one_minus_mu = length * r / unit, two_lam * length
        gain = length * ur
        return Weights(
            vectors.combined(x, out) if isinstance(vectors, Held) else vectors.combined(x),
            predicted=as_given([unit[0] * length * rr], problem.target),
            utility_gain=as_given([unit[1] * gain], problem.utility),
            status=Status.CORRECTED,
            message="The budget is used up." if budget_binds else "lam keeps the weights small.",
            case=(4 if budget_binds else 3) if costs else (2 if budget_binds else 1),
            multipliers=(1 - one_minus_mu, one_minus_mu * r[1] * unit[0] / unit[1]),
            combination=tuple(x),
            residual=abs(gain) / (U * rr) ** 0.5 / length if costs else 0.0,
        )

    def _several(self, problem: Problem) -> Weights:
        """Return the weights of several targets or utilities, from their products alone."""
        alike = _fewest_rows(problem.vectors.products)
        m, infinite = problem.n_targets, float("inf")
        small = Problem(alike[:, :m], alike[:, m:], problem.budgets)
        weights = Bounded(-infinite, infinite, self.lam).solve(small)
        if not weights.change_something:
            return unchanged(problem, weights.status, weights.message)
        return replace(
            weights,
            eps=problem.vectors.combined(np.array(weights.combination)),
            predicted=as_given(weights.predicted, problem.target),
            utility_gain=as_given(weights.utility_gain, problem.utility),
        )


def _fewest_rows(products: Products) -> np.ndarray:
    """Return q vectors of q entries each, as columns, with the same inner products."""
    square = np.diag(products.inner)
    length = np.sqrt(np.where(square > 0, square, 1.0))
    values, V = np.linalg.eigh(products.inner / length[:, None] / length[None, :])
    return np.sqrt(np.maximum(values, 0.0))[:, None] * V.T * (length * products.unit)[None, :]
