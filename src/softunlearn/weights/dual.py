"""The dual of the quadratic programme: one variable a constraint, however many rows.

With the rows of B the influences (targets first, then utilities), every solution has the form

    eps(x) = clip(B^T x, lo, hi)

and x minimises the convex, piecewise quadratic function

    D(x) = phi(x) - delta . x,     phi(x) = x . B eps(x) - ||eps(x)||^2 / 2,

within simple bounds on x. Its gradient is B eps - delta, the constraints' own residuals; its
generalised Hessian is B_F B_F^T over the rows F that are not at a bound. One pass over the rows
gives all of them. Newton's method on D ends after a few passes, since D has few pieces that
matter: each step minimises the quadratic model within the bounds on x, and a line search keeps D
falling where the model was too hopeful.
"""

from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace, device, to_device
from jaxtyping import Float

from softunlearn.rows import Array
from softunlearn.weights.problem import OPPOSED
from softunlearn.weights.unit_rows import UnitRows, clipped, support

TOLERANCE = 1e-11
"""Of the gradient, relative to ||eps|| where the rows of B have length one."""

DAMPING = 1e-12
"""First added to the Hessian's diagonal: it may be singular, and has a diagonal of at most 1."""

MAX_STEPS = 200
"""Newton steps; a handful is usual."""

SHORTEST = 0.01
"""A line search shortens a step to no less than this part of it at once."""

FEW = 0.1
"""Up to this part of a block's columns it is cheaper to take them out than to mask the others."""

EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Point:
    """What one pass over the rows tells about the dual at x.

    Parameters
    ----------
    x : ndarray of shape (q,)
        The multipliers.
    falls : ndarray of shape (q,)
        B eps, what every constraint's left side is.
    hessian : ndarray of shape (q, q)
        B_F B_F^T over the rows not at a bound.
    length : float
        ||eps||.
    unclipped_length : float
        ||r||, with r = B^T x.
    support : float
        The largest value of r . eps within the bounds: no weights can give more.
    """

    x: Float[np.ndarray, "q"]
    falls: Float[np.ndarray, "q"]
    hessian: Float[np.ndarray, "q q"]
    length: float
    unclipped_length: float
    support: float


@dataclass(frozen=True, eq=False)
class Dual:
    """D, with its bounds.

    Parameters
    ----------
    rows : UnitRows
        B: influences, one row a constraint, each of length about one.
    delta : ndarray of shape (q,)
        Budgets; 0 for utilities.
    lower, upper : ndarray of shape (q,)
        Bounds on x.
    lo, hi : float
        Bounds on eps.
    """

    rows: UnitRows
    delta: Float[np.ndarray, "q"]
    lower: Float[np.ndarray, "q"]
    upper: Float[np.ndarray, "q"]
    lo: float
    hi: float

    def at(self, x: Float[np.ndarray, "q"]) -> Point:
        """Return the point at x, in one pass over the rows."""
        falls, hessian = np.zeros(len(x)), self.rows.gram.copy()
        square = unclipped = total = absolute = 0.0
        first = self.rows.columns[0]
        xp = array_namespace(first)
        x_there = xp.asarray(x, dtype=xp.float64, device=device(first))
        for _, b in self.rows.blocks():
            r = x_there @ b
            eps = clipped(r, self.lo, self.hi)
            falls += _host(b @ eps)
            hessian -= _gram_of_some(b, eps != r)
            square += float(eps @ eps)
            unclipped += float(r @ r)
            total += float(xp.sum(r))
            absolute += float(xp.sum(xp.abs(r)))
        return Point(
            x,
            falls,
            hessian,
            square**0.5,
            unclipped**0.5,
            support(self.lo, self.hi, (absolute + total) / 2, (absolute - total) / 2),
        )

    def at_zero(self) -> Point:
        """Return the point at x = 0, where eps = 0."""
        nothing = np.zeros(len(self.delta))
        return Point(nothing, nothing, self.rows.gram, 0.0, 0.0, 0.0)

    def gradient(self, point: Point) -> Float[np.ndarray, "q"]:
        """Return the gradient of D, 0 where a bound on x stops the descent."""
        gradient = point.falls - self.delta
        stopped = (point.x <= self.lower) & (gradient > 0) | (point.x >= self.upper) & (
            gradient < 0
        )
        return np.where(stopped, 0.0, gradient)

    def residual(self, point: Point) -> float:
        """Return the largest entry of the gradient, relative to ||eps||."""
        largest = float(np.max(np.abs(self.gradient(point)), initial=0.0))
        return largest / point.length if point.length > 0 else float(largest > 0)

    def is_minimum(self, point: Point) -> bool:
        """Return whether the gradient is zero but for rounding, in B^T x and in its sums."""
        rounding = 4 * EPSILON * float(np.sum(np.abs(point.x)))
        largest = float(np.max(np.abs(self.gradient(point)), initial=0.0))
        return largest <= TOLERANCE * point.length + rounding

    def is_out_of_reach(self, point: Point) -> bool:
        """Return whether x proves that no weights within the bounds reach delta.

        delta . x > max r . eps: whatever eps is, it falls short of some constraint in x.
        """
        return bool(self.delta @ point.x > point.support * (1 + TOLERANCE))

    def is_opposed(self, point: Point) -> bool:
        """Return whether x proves that delta asks for weights far longer than delta itself.

        Where the constraints hold, delta . x <= r . eps <= ||r|| ||eps||.
        """
        asked = float(self.delta @ point.x) / float(np.linalg.norm(self.delta))
        return asked > 0 and point.unclipped_length <= OPPOSED * asked

    def minimum(self, point: Point, *, unless_hopeless: bool = False) -> Point:
        """Return the minimum of D by Newton's method, from a point within the bounds.

        Parameters
        ----------
        point : Point
            Where to start.
        unless_hopeless : bool, default=False
            Stop at a proof that delta is out of reach, or asks for too much.
        """
        damping = DAMPING
        for _ in range(MAX_STEPS):
            hopeless = self.is_out_of_reach(point) or self.is_opposed(point)
            if self.is_minimum(point) or (unless_hopeless and hopeless):
                break
            direction = minimise_quadratic(
                point.hessian + damping * np.eye(len(point.x)),
                point.falls - self.delta,
                self.lower - point.x,
                self.upper - point.x,
            )
            length, further = self._line_search(point, direction)
            if further is None:
                break  # rounding: no step is downhill
            # flat directions, where few rows are inside, ask for steps that are too long
            damping = max(DAMPING, damping / 10) if length == 1 else min(damping / length, 1.0)
            point = further
        return point

    def _line_search(
        self, point: Point, direction: Float[np.ndarray, "q"]
    ) -> tuple[float, Point | None]:
        """Return a step length and the point there, where D has fallen and is less steep.

        D is convex: it has fallen wherever its slope along the direction is still negative.
        """
        slope = (point.falls - self.delta) @ direction
        t = 1.0
        while slope < 0 and np.any(point.x + t * direction != point.x):
            trial = self.at(np.clip(point.x + t * direction, self.lower, self.upper))
            slope_there = (trial.falls - self.delta) @ direction
            value, rounding = self._value(point)
            fell = self._value(trial)[0] <= value + rounding
            if slope_there <= 0 or (fell and slope_there <= -slope / 2):
                return float(t), trial
            # back to where the slope's tangent is zero or, where there is none, its chord
            curvature = direction @ trial.hessian @ direction
            chord = t * slope_there / (slope_there - slope)
            back = slope_there / curvature if slope_there < t * curvature else chord
            t = float(max(t - back, SHORTEST * t))
        return 0.0, None

    def _value(self, point: Point) -> tuple[float, float]:
        """Return D, and what rounding may have added to it."""
        terms = point.x * point.falls, -point.x * self.delta, -(point.length**2) / 2
        size = sum(float(np.sum(np.abs(term))) for term in terms)
        return sum(float(np.sum(term)) for term in terms), 16 * EPSILON * size

    def with_first(self, x: float) -> "Dual":
        """Return the same dual with the first multiplier held at x."""
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[0] = upper[0] = x
        return replace(self, lower=lower, upper=upper)


def minimise_quadratic(
    H: Float[np.ndarray, "q q"],
    g: Float[np.ndarray, "q"],
    lower: Float[np.ndarray, "q"],
    upper: Float[np.ndarray, "q"],
) -> Float[np.ndarray, "q"]:
    """Return the d within bounds that minimises g . d + d . H d / 2.

    The primal active-set method: go to the minimum over the entries that are not at a bound, stop
    where one meets its bound, let go of one that wants to leave.

    Parameters
    ----------
    H : ndarray of shape (q, q)
        Positive definite.
    g : ndarray of shape (q,)
    lower, upper : ndarray of shape (q,)
        At most and at least 0; may be infinite.
    """
    d = np.zeros(len(g))
    held = (lower == 0) & (g >= 0) | (upper == 0) & (g <= 0)
    for _ in range(20 * len(g)):
        gradient, step = g + H @ d, np.zeros(len(g))
        free = np.flatnonzero(~held)
        step[free] = np.linalg.solve(H[np.ix_(free, free)], -gradient[free])
        bound = np.where(step < 0, lower, upper)
        room = np.full(len(g), np.inf)
        np.divide(bound - d, step, out=room, where=step != 0)
        first = int(np.argmin(room))
        if room[first] < 1:
            d = d + max(room[first], 0.0) * step
            d[first], held[first] = bound[first], True
            continue
        d = d + step
        gradient, rounding = g + H @ d, 4 * EPSILON * (np.abs(g) + np.abs(H) @ np.abs(d))
        inwards = np.where(d <= lower, -gradient, 0.0) + np.where(d >= upper, gradient, 0.0)
        inwards = np.where(held & (lower < upper), inwards - rounding, 0.0)
        if np.all(inwards <= 0):
            break
        held[int(np.argmax(inwards))] = False
    return d


def _gram_of_some(b: Float[Array, "q rows"], chosen: Array) -> np.ndarray | float:
    """Return the Gram matrix of the chosen columns of a block."""
    xp = array_namespace(b)
    if not bool(xp.any(chosen)):
        return 0.0
    (places,) = xp.nonzero(chosen)
    if places.shape[0] > FEW * chosen.shape[0]:
        return _host((b * xp.astype(chosen, b.dtype)) @ b.T)
    some = xp.take(b, places, axis=1)
    return _host(some @ some.T)


def _host(values: Array) -> np.ndarray:
    return np.asarray(to_device(values, "cpu"))
