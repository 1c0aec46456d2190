"""New influences at every point, and steps that are taken only as far as they hold.

At a head theta the next point is aimed at metrics of (1 - t) times the original's. Of all steps
d that are predicted to get there the shortest is taken:

    minimise  q(d)   subject to   f_j + v_j . d <= (1 - t) f(0)   for every piece j of each target,
                                  h_j + x_j . d <= h(0)           for what is held.

The pieces are smooth functions whose largest is the target: differences between pairs of groups,
for instance. q is one of two lengths. In the training curvature it is the rise of the training
loss, r . d + d . H d / 2 with r its gradient here less that at the original: the points are then
those of training under a constraint on the metric, followed from the model as it is. In the
weights it is ||eps||^2 / 2 with d = -H^-1 G^T eps, the paper's (Eq. 6 and 8). With multipliers
y >= 0 the step is d = base - D y; y solves a non-negative least squares problem of a few
variables.

A further constraint, that the validation loss does not rise, is the paper's, and first order: it
is used where it costs little length and the real loss is the lower for it. A step is halved until
the targets really fell by half of what was predicted, and loss and held metrics did not run off:
a model that knows less than nothing is no correction.
The influences are new after every step, the curvature after every second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from array_api_compat import array_namespace, to_device
from scipy.optimize import nnls

from softunlearn.curvature.solver import Curvature
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.goal import Goal, Measured
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.paths.frontier import Frontier, HeadOnRows, Progress, Start, frontier
from softunlearn.rows import Array
from softunlearn.unlearning import Unlearned
from softunlearn.weights.explaining import explaining_weights

QUARTERS = 4
"""Points of a step, its end among them."""

ACCEPT = 0.5
"""Of the predicted fall of a target, the part that must be real."""

HALVINGS = 5
"""A step that fails at a thirty-second of its length ends the path."""

UTILITY_LENGTH = {"curvature": 1.1, "weights": 2.25}
"""How much longer (in q) a step may be for the constraint on the validation loss to be used.

In the curvature q is the training loss given up since the original, and a little more of it is a
long way in a direction that few training rows have."""

LOSS_FACTOR, LOSS_SLACK = 2.0, 1e-3
"""The mean validation loss may rise by so many times the predicted rise, and so many nats."""

HELD_SLACK = 0.005
"""What is held may be above its level by such a part of it: the next step brings it back."""

RIDGE = 1e-12
"""Added to the pieces' Gram matrix, of its trace: two pieces may say the same."""

FARTHEST = 1e3
"""Constraints that together need so many times the length that one of them needs contradict."""


@dataclass(frozen=True)
class Relinearised:
    """The path for soft weights and the influence update.

    Parameters
    ----------
    norm : "curvature" or "weights", default="curvature"
        What makes a step short: the rise of the training loss, or ||eps||, as in the paper.
    steps : int, default=10
        New influences are taken so many times, at equal parts of the way. Every step gives four
        points, its quarters: a point on the way costs a measurement and nothing else.
    refresh : int or None, default=2
        Take the curvature anew after so many steps, and where a step does not hold; None: only
        there. A new one costs most of the time of a step, n p^2, and gains little.

    Raises
    ------
    ValueError
        An option is out of range.

    References
    ----------
    Eq. 6 and 8 are one such step with norm="weights"; the path is beyond the paper.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=2000)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> path = su.paths.Relinearised(norm="weights", steps=5)
    >>> c = su.correct(model, train=data.train, validation=data.validation, path=path)
    >>> bool(c.frontier[-1].metric < 0.2 * c.frontier[0].metric)
    True
    """

    norm: Literal["curvature", "weights"] = "curvature"
    steps: int = 10
    refresh: int | None = 2

    def __post_init__(self) -> None:
        if self.norm not in UTILITY_LENGTH:
            raise ValueError(f'`norm` must be "curvature" or "weights", got {self.norm!r}.')
        for name in ("steps", "refresh"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}.")

    def walk(self, start: Start, progress: Progress | None = None) -> Frontier:
        """Return the frontier."""
        assert isinstance(start.correctable, HeadOnRows)
        objective, goal, points = start.correctable.objective, start.goal, []
        reference = objective.total_gradient()
        for done, found in enumerate(self._follow(start, reference), 1):
            head, measured, predicted, t = found
            points.append(
                start.point(
                    t,
                    Unlearned(head, epochs=0),
                    measured,
                    predicted=goal.metric(predicted),
                    changed_rows=len(objective.rows),
                    weigh=_weighing(objective.at(head), reference),
                )
            )
            if progress is not None:
                progress("walking the frontier", done / (QUARTERS * self.steps))
        return frontier(start.origin(), points)

    def _follow(self, start: Start, reference: Array) -> Iterator["_Found"]:
        """Yield the points of every step, until one cannot be taken."""
        assert isinstance(start.correctable, HeadOnRows)
        goal, objective = start.goal, start.correctable.objective
        curvature, here, energy = start.correctable.curvature, goal.start, 0.0
        mass = objective.mass()
        weighing: HeadObjective | None = None
        slope = 0 * reference
        for i in range(self.steps):
            t = (i + 1) / self.steps
            constraints = _Constraints.at(objective.head, goal, here, t)
            if not (constraints.excess > 0).any():
                continue  # an earlier step went further than it was aimed
            due, taken = self.refresh is not None and i % self.refresh == 0, None
            for anew, centred in ((due, due), (not due, False)):
                if anew:
                    objective = objective.read_once(hessian=True, gram=self.norm == "weights")
                    try:
                        curvature = start.solver.factor(objective) if i > 0 else curvature
                    except SingularCurvatureError:
                        return
                    slope = objective.total_gradient() - reference
                if self.norm == "weights" and (weighing is None or anew):
                    weighing = objective
                geometry = _Geometry.at(constraints, slope, curvature, weighing, centred=centred)
                taken = self._best(objective.head, mass, goal, here, constraints, geometry, energy)
                if taken is not None:
                    break
            if taken is None:
                return
            yield from _on_the_way(goal, objective.head, here, taken, t, self.steps)
            energy, slope = energy + taken.energy, slope + taken.slope_change
            objective, here = objective.at(taken.head), taken.measured
            yield taken.head, here, taken.predicted, t

    def _best(
        self,
        head: LinearHead,
        mass: float,
        goal: Goal,
        here: Measured,
        constraints: "_Constraints",
        geometry: "_Geometry",
        energy: float,
    ) -> "_Taken | None":
        """Return the step that keeps utility if it is short and good enough, or the shortest."""
        if (plain := geometry.shortest(constraints, utility=False)) is None:
            return None
        steps, kept = [plain], geometry.shortest(constraints, utility=True)
        longest = UTILITY_LENGTH[self.norm] * (energy + plain.energy())
        if kept is not None and energy + kept.energy() <= longest:
            steps.insert(0, kept)
        taken = []
        for step in steps:
            found = _taken(step, head, mass, goal, here, constraints)
            if found is not None and step is kept and found.keeps_utility(here):
                return found
            taken += [found] * (found is not None)
        # the further one; of two that went as far, the one of smaller loss
        return min(taken, key=lambda x: (-x.length, x.measured.log_loss), default=None)


_Found = tuple[LinearHead, Measured, tuple[float, ...], float]


@dataclass(frozen=True, eq=False)
class _Constraints:
    """What a step is to do: all `excess` + `gradients`^T d <= 0, the last one the utility's.

    `owner` says whose each is: the target's number, then the held metric's, -1 for utility.
    """

    excess: np.ndarray
    gradients: Array
    owner: np.ndarray
    levels: tuple[float, ...]
    held_levels: tuple[float, ...]

    @classmethod
    def at(cls, head: LinearHead, goal: Goal, here: Measured, t: float) -> "_Constraints":
        xp = array_namespace(head.W)
        levels = tuple((1 - t) * value for value in goal.start.metrics)
        held_levels = goal.start.held
        excess, gradients, owner = [], [], []
        *aims, utility = goal.linearised(head)
        for number, (aim, level) in enumerate(zip(aims, (*levels, *held_levels), strict=True)):
            excess.append(_host(aim.values) - level)
            gradients.append(aim.gradients)
            owner += [number] * len(excess[-1])
        return cls(
            np.concatenate([*excess, np.zeros(1)]),
            xp.concat([*gradients, utility.gradients], axis=1),
            np.array([*owner, -1]),
            levels,
            held_levels,
        )

    def predicted(self, d: Array) -> tuple[float, ...]:
        """Return the targets' values after a step, to first order."""
        after = self.excess + _host(self.gradients.T @ d)
        return tuple(
            float(after[self.owner == k].max()) + level for k, level in enumerate(self.levels)
        )


@dataclass(frozen=True, eq=False)
class _Step:
    """A step d, H d, its length q(t d) = linear t + quadratic t^2, and bend = d . H d / 2."""

    d: Array
    Hd: Array
    linear: float
    quadratic: float
    bend: float

    def energy(self, t: float = 1.0) -> float:
        """Return q of a part of the step."""
        return self.linear * t + self.quadratic * t * t


@dataclass(frozen=True, eq=False)
class _Geometry:
    """The length q around a head: d = base - D y has the least for multipliers y of gradients V.

    q is r . d + d . H d / 2 with base = -H^-1 r and D = H^-1 V, or ||eps||^2 / 2 with base = 0 and
    D = H^-1 G^T G H^-1 V.
    """

    slope: Array
    base: Array
    Hbase: Array
    D: Array
    HD: Array
    V: Array
    in_weights: bool

    @classmethod
    def at(
        cls,
        constraints: _Constraints,
        slope: Array,
        curvature: Curvature,
        weighing: HeadObjective | None,
        *,
        centred: bool,
    ) -> "_Geometry":
        """Return the geometry; `centred` where the curvature is the head's own.

        `weighing` is whose G measures a step by its weights; None where the curvature does.
        Elsewhere base is 0: a correction of the way so far with an older curvature overshoots.
        """
        xp, V = array_namespace(slope), constraints.gradients
        nothing = xp.zeros_like(slope)
        if weighing is not None:
            HD = weighing.gradient(weighing.row_products(curvature.solve(V).x))
            return cls(nothing, nothing, nothing, curvature.solve(HD).x, HD, V, in_weights=True)
        if not centred:
            return cls(slope, nothing, nothing, curvature.solve(V).x, V, V, in_weights=False)
        solved = curvature.solve(xp.concat([V, slope[:, None]], axis=1)).x
        return cls(slope, -solved[:, -1], -slope, solved[:, :-1], V, V, in_weights=False)

    def shortest(self, constraints: _Constraints, *, utility: bool) -> _Step | None:
        """Return the shortest step that is predicted to satisfy the constraints; None: no step."""
        used = np.flatnonzero((constraints.owner >= 0) | utility)
        K = _host(self.V.T @ self.D)[np.ix_(used, used)]
        wanted = (constraints.excess + _host(self.V.T @ self.base))[used]
        y = np.zeros(self.V.shape[1])
        if (found := multipliers((K + K.T) / 2, wanted)) is None:
            return None
        y[used] = found
        xp = array_namespace(self.V)
        y_there = xp.asarray(y, dtype=self.V.dtype, device=self.V.device)
        d = self.base - self.D @ y_there
        Hd = self.Hbase - self.HD @ y_there
        bend = 0.5 * float(xp.sum(d * Hd))
        if self.in_weights:
            return _Step(d, Hd, 0.0, 0.5 * float(y[used] @ K @ y[used]), bend)
        return _Step(d, Hd, float(xp.sum(self.slope * d)), bend, bend)


def multipliers(K: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Return y >= 0 that maximises wanted . y - y . K y / 2; None where it has no maximum.

    With K = R^T R these are the multipliers of the shortest z with R^T z >= wanted, which Lawson
    and Hanson (1974, ch. 23) find as a non-negative least squares problem whose right-hand side
    is a unit vector, however many constraints say the same. What is left over is 1 / (1 + ||z||^2)
    in the unit of the most demanding constraint.
    """
    scale = 1 / np.sqrt(np.where(np.diag(K) > 0, np.diag(K), 1.0))
    h = scale * wanted
    if (unit := h.max()) <= 0:
        return np.zeros_like(h)
    values, vectors = np.linalg.eigh(scale[:, None] * K * scale[None, :])
    R = np.sqrt(np.maximum(values, 0) + RIDGE * len(K))[:, None] * vectors.T
    E, last = np.vstack([R, h / unit]), np.append(np.zeros(len(K)), 1.0)
    u, _ = nnls(E, last)
    residual = E @ u - last
    if (left := residual @ residual) < FARTHEST**-2:
        return None
    return scale * u * (unit / left)


@dataclass(frozen=True, eq=False)
class _Taken:
    """A step as far as it held: `length` of it, where it led, and what it changed in r."""

    head: LinearHead
    measured: Measured
    predicted: tuple[float, ...]
    length: float
    energy: float
    slope_change: Array

    def keeps_utility(self, here: Measured) -> bool:
        """Return whether the whole step was taken and the real loss did not rise."""
        return self.length == 1 and self.measured.log_loss <= here.log_loss


def _taken(
    step: _Step,
    head: LinearHead,
    mass: float,
    goal: Goal,
    here: Measured,
    constraints: _Constraints,
) -> _Taken | None:
    """Return the longest of the halved steps that holds; None where none does."""
    n = len(here.loss)
    first_order = float(array_namespace(step.d).sum(constraints.gradients[:, -1] * step.d)) / n
    knowing_nothing = log(max(2, head.W.shape[0]))  # the loss where all classes are as likely
    useful = max(goal.start.log_loss, knowing_nothing) + LOSS_SLACK
    for halving in range(HALVINGS + 1):
        length = 0.5**halving
        d = length * step.d
        after = goal.measure(moved := head.with_theta(head.theta + d))
        predicted = constraints.predicted(d)
        rise = length * first_order + length**2 * step.bend / mass
        allowed = LOSS_FACTOR * max(0.0, rise) + LOSS_SLACK
        if (
            after.finite
            and all(
                was - now >= ACCEPT * (was - hoped)
                for was, now, hoped in zip(here.metrics, after.metrics, predicted, strict=True)
            )
            and after.log_loss - here.log_loss <= allowed
            and after.log_loss <= useful
            and all(
                now <= max(was, level + HELD_SLACK * abs(level))
                for was, now, level in zip(
                    here.held, after.held, constraints.held_levels, strict=True
                )
            )
        ):
            return _Taken(moved, after, predicted, length, step.energy(length), length * step.Hd)
    return None


def _on_the_way(
    goal: Goal, head: LinearHead, here: Measured, taken: _Taken, t: float, steps: int
) -> Iterator[_Found]:
    """Yield the points at the inner quarters of a step."""
    for quarter in range(1, QUARTERS):
        part = quarter / QUARTERS
        between = head.with_theta((1 - part) * head.theta + part * taken.head.theta)
        ends = zip(here.metrics, taken.predicted, strict=True)
        predicted = tuple((1 - part) * now + part * end for now, end in ends)
        yield between, goal.measure(between), predicted, t - (1 - part) / steps


def _weighing(objective: HeadObjective, reference: Array):
    return lambda: explaining_weights(objective, reference)


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"), dtype=np.float64)
