"""Soft weights within bounds, for any number of targets and utilities.

With eps >= -1 no row's weight 1 + eps is negative, so training with the weights stays convex.
Eq. 6 with bounds has no closed form, but its dual has one variable a constraint (`dual.py`):

    lam > 0    eps = clip(A x_a + U x_u),    x_a <= 1 / (2 lam),   x_u >= 0
    lam -> 0   the same with x_a free: the smallest ||eps|| that uses up every budget

where x_a = (1 - mu) / (2 lam) and x_u = nu / (2 lam). In the limit a budget may be out of reach.
The largest part t of all budgets is then found by maximising t - ||eps||^2 / (2 kappa) for ever
larger kappa: in the dual that only holds delta . x_a at kappa, and from some kappa on neither t
nor eps changes any more. How far t is from the largest is known at every x, by duality of linear
programmes: with r = A x_a + U x_u,  t <= max r . eps / (delta . x_a).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from softunlearn.exceptions import Status
from softunlearn.weights.dual import DAMPING, TOLERANCE, Dual, Point, minimise_quadratic
from softunlearn.weights.problem import OPPOSED, Problem, Weights, as_given, unchanged
from softunlearn.weights.unit_rows import UnitRows

LARGEST = 10 / OPPOSED**2
"""Only opposed problems have multipliers above it, in units where delta has length one."""

GAP = 1e-9
"""The part reached is this close to the largest, relatively."""

GROWTH = 10.0
"""kappa grows by this factor until the gap is closed: then eps is near that of the last one."""

HUGE = 1e300
"""Stands for what overflows."""


@dataclass(frozen=True)
class Bounded:
    """The exact solution within bounds, in a handful of passes over a and u.

    Prefer it to `ClosedForm` where weights must not be negative: for algorithms that train with
    them, or to hand them on as sample weights. Beyond the paper.

    Parameters
    ----------
    lo, hi : float, default=-1.0, 1.0
        Bounds on eps, lo <= 0 <= hi; infinite: none. lo = 0 only strengthens rows, hi = 0 only
        weakens them.
    lam : float, default=0.0
        Penalty on ||eps||^2. In the limit 0, the default, the budgets are used up.

    Notes
    -----
    Where no weights within the bounds use up the budgets, the largest part of them that can be
    had, the same of each, is returned with status TARGET_OUT_OF_REACH.

    A pass over the rows costs about 10 + (m + h)^2 operations a row; there are five to ten of
    them, and a few dozen where the budget is out of reach. A penalty too small to be told from
    the limit, by rounding, is raised to one that can.

    Examples
    --------
    >>> import numpy as np
    >>> problem = Problem(np.array([3.0, 4.0]), np.array([1.0, 0.0]), budget=6.0)
    >>> Bounded(hi=0.9).solve(problem).eps
    array([0.8, 0.9])
    >>> Bounded(hi=0.5).solve(problem).message
    'Within the bounds 58.3% of the budget can be had.'
    """

    lo: float = -1.0
    hi: float = 1.0
    lam: float = 0.0
    scales = False

    def __post_init__(self) -> None:
        if not self.lo < self.hi:
            raise ValueError(f"`lo` must be below `hi`, got lo={self.lo} and hi={self.hi}.")
        if not self.lo <= 0 <= self.hi:
            raise ValueError(
                f"`lo` must be at most 0 and `hi` at least 0, got lo={self.lo} and hi={self.hi}."
            )
        if not 0 <= self.lam < float("inf"):
            raise ValueError(f"`lam` must be at least 0 and finite, got {self.lam}.")

    def solve(self, problem: Problem) -> Weights:
        """Return the weights. eps = 0 where a = 0, delta = 0, or the constraints are opposed."""
        rows, m = UnitRows.of(problem), problem.n_targets
        with np.errstate(over="ignore", under="ignore"):
            delta = np.minimum(problem.budgets / rows.unit[:m] / rows.norm[:m], HUGE)
        if not rows.nonzero[:m].any():
            message = "No row has any influence on the target."
            return unchanged(problem, Status.NOTHING_TO_CORRECT, message)
        if not delta.any():
            message = "The metric is already zero."
            return unchanged(problem, Status.NOTHING_TO_CORRECT, message)
        found = _penalised(rows, delta, self) if self.lam > 0 else _limit(rows, delta, self)
        if found is None:
            return unchanged(
                problem,
                Status.NO_PARETO_DIRECTION,
                "Every change that lowers the targets raises as much what is held, or another "
                "target, or leaves the bounds: they are opposed. Give other metrics, more rows or "
                "wider bounds.",
            )
        with np.errstate(over="ignore", under="ignore"):
            falls = found.falls * rows.norm * rows.unit
            combination = found.x / rows.norm / rows.unit
        return Weights(
            rows.clipped_sum(found.x, self.lo, self.hi),
            predicted=as_given(falls[:m], problem.target),
            utility_gain=as_given(falls[m:], problem.utility),
            status=Status.CORRECTED if found.part == 1 else Status.TARGET_OUT_OF_REACH,
            message=found.message,
            multipliers=tuple(float(value) for value in found.multipliers),
            combination=tuple(float(value) for value in combination),
            residual=found.residual,
        )


@dataclass(frozen=True, eq=False)
class _Found:
    """A solution in terms of the unit rows, the part of the budgets it reaches, and words."""

    x: Float[np.ndarray, "q"]
    falls: Float[np.ndarray, "q"]
    multipliers: Float[np.ndarray, "q"]
    residual: float
    part: float
    message: str


def _penalised(rows: UnitRows, delta: Float[np.ndarray, "m"], scheme: Bounded) -> _Found | None:
    """Return the solution for lam > 0, or None where nothing but eps = 0 is allowed."""
    m, q = len(delta), len(rows.unit)
    with np.errstate(over="ignore", under="ignore"):
        size = rows.unit * rows.norm
        most = np.minimum(size[:m] / (2 * scheme.lam), HUGE) * rows.nonzero[:m]
    reach = rows.reach(scheme.lo, scheme.hi)
    unit = float(min(np.max(delta), np.max(most), np.max(reach)))
    if unit == 0:
        return None
    raised = max(1.0, float(np.max(most)) / unit / LARGEST)
    most = most / unit / raised
    dual = Dual(
        rows,
        # ||eps|| is at most 2 sum(most): budgets above that do not bind
        _padded(np.minimum(delta / unit, 4 * np.sum(most)), q),
        lower=_padded(np.full(m, -np.inf), q),
        upper=_padded(most, q, np.inf),
        lo=scheme.lo / unit,
        hi=scheme.hi / unit,
    )
    point = dual.minimum(dual.at_zero())
    if dual.is_opposed(point) or point.length <= TOLERANCE:
        return None
    with np.errstate(over="ignore", under="ignore"):
        nu = 2 * scheme.lam * raised * unit * point.x[m:] / size[m:]
    kept_small = point.x[:m] >= most
    bounded = "" if np.isinf((scheme.lo, scheme.hi)).all() else " and the bounds"
    return _Found(
        unit * point.x,
        unit * point.falls,
        multipliers=np.append(
            1 - np.divide(point.x[:m], most, where=most > 0, out=np.ones(m)), nu
        ),
        residual=dual.residual(point),
        part=1.0,
        message=f"lam{bounded} keep the weights small."
        if kept_small.any()
        else "The budget is used up.",
    )


def _limit(rows: UnitRows, delta: Float[np.ndarray, "m"], scheme: Bounded) -> _Found | None:
    """Return the solution in the limit lam = 0, or None where no part of delta can be had."""
    m, q = len(delta), len(rows.unit)
    wanted = delta > 0
    # what each target could have alone; delta / HUGE is not yet 0
    alone = min(1.0, float(np.min(rows.reach(scheme.lo, scheme.hi)[wanted] / delta[wanted])))
    unit = alone * float(np.max(delta))
    if unit == 0:
        return None
    delta = alone * delta / unit
    budget = float(np.linalg.norm(delta))
    rows, reflection = rows.rotated(delta / budget)
    dual = Dual(
        rows,
        _padded(np.array([budget]), q),
        lower=_padded(np.full(m, -np.inf), q),
        upper=np.append(LARGEST * budget, np.full(q - 1, np.inf)),
        lo=scheme.lo / unit,
        hi=scheme.hi / unit,
    )
    point, part = dual.at_zero(), 1.0
    if alone == 1:
        point = dual.minimum(point, unless_hopeless=True)
    residual = dual.residual(point)
    if dual.is_opposed(point):
        return None
    if alone < 1 or dual.is_out_of_reach(point) or point.x[0] >= dual.upper[0]:
        point, residual = _furthest(dual)
        part = alone * min(1.0, float(point.falls[0]) / budget)
        if dual.is_opposed(point) or part <= OPPOSED * alone:
            return None
    every = "the budget" if m == 1 else "every budget"
    return _Found(
        unit * (reflection @ point.x),
        unit * (reflection @ point.falls),
        multipliers=_padded(np.ones(m), q),
        residual=residual,
        part=part,
        message="The budget is used up."
        if part == 1
        else f"Within the bounds {100 * min(part, 0.999):.3g}% of {every} can be had.",
    )


def _furthest(dual: Dual) -> tuple[Point, float]:
    """Return the weights that reach the largest part of delta, and their residual."""
    budget = float(dual.delta[0])
    kappa, x = budget, budget * np.eye(len(dual.delta))[0]
    while True:
        held = dual.with_first(kappa)
        point = held.minimum(held.at(x))
        # as kappa grows eps stays, and x follows the ray y on which r = 0 where eps is inside
        y = point.x + minimise_quadratic(
            point.hessian + DAMPING * np.eye(len(x)),
            point.hessian @ point.x,
            held.lower - point.x,
            np.where(point.x == held.lower, 0.0, held.upper - point.x),
        )
        most = min(point.support, dual.at(y).support) / kappa
        gap = 1 - point.falls[0] / most if most > 0 else 0.0
        if gap <= GAP or most <= OPPOSED * budget or kappa >= dual.upper[0]:
            return point, max(held.residual(point), float(gap))
        kappa, x = GROWTH * kappa, point.x + (GROWTH - 1) * y


def _padded(values: Float[np.ndarray, "m"], q: int, fill: float = 0.0) -> Float[np.ndarray, "q"]:
    """Return the values, then what all others are."""
    return np.append(values, np.full(q - len(values), fill))
