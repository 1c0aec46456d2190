"""The frontier: what can be had on the way to the full correction, and which point is taken.

The utility constraint is first order, so a large step costs real utility even where none is
predicted. The budget is therefore walked in steps from 0 to delta; at each the weights are
solved for, the head is corrected, and the *real* metric and utility are measured on validation
rows. Beyond the paper, which takes the whole budget at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from softunlearn.curvature.solver import Curvature
from softunlearn.exceptions import Status
from softunlearn.head import LinearHead
from softunlearn.losses import CrossEntropy, predicted_class
from softunlearn.metrics.metric import Target
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows
from softunlearn.unlearning import Budgeted, Unlearned, Unlearner
from softunlearn.weights.problem import Problem, WeightScheme

STEPS = tuple(float(step) for step in np.linspace(0.05, 1.0, 20))
"""Fractions of the budget at which the frontier is measured."""

TRIALS = 5
"""Steps tried by an algorithm that trains anew at each: the budget of epochs is shared."""

DEFAULT_TOLERANCE = 0.002
"""Validation accuracy that the default choice may cost: what a few rows of 7,500 decide."""

ROUNDING = 1e-9
"""Of a difference of accuracies, which are fractions of at most a billion rows."""


@dataclass(frozen=True, eq=False)
class Point:
    """A corrected head and what it does on validation rows.

    Parameters
    ----------
    step : float
        Fraction of the budget; 0 is the original model.
    metric, accuracy, log_loss : float
        Measured on validation rows; the loss is a mean.
    predicted : float
        What the metric was predicted to be.
    changed_rows : int
        Rows whose weight is not what it was.
    head : LinearHead
    clipped_rows : int
        Rows whose negative weight the algorithm took as 0.
    diverged : bool
        Whether the algorithm ran away and `head` is the best it saw.
    """

    step: float
    metric: float
    accuracy: float
    log_loss: float
    predicted: float
    changed_rows: int
    head: LinearHead
    clipped_rows: int = 0
    diverged: bool = False


@dataclass(frozen=True, eq=False)
class Frontier:
    """All points walked, the original model first.

    Examples
    --------
    >>> import softunlearn as su
    >>> data = su.datasets.load("census", n_rows=2000)
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> frontier = su.correct(model, train=data.train, validation=data.validation).frontier
    >>> frontier[0].step, frontier[-1].step, len(frontier)
    (0.0, 1.0, 21)
    """

    points: tuple[Point, ...]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: int) -> Point:
        return self.points[i]

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)


@dataclass(frozen=True)
class Choice:
    """A point of the frontier and why it was taken."""

    index: int
    status: Status
    message: str


@runtime_checkable
class Rule(Protocol):
    """A way to choose a point of a frontier."""

    def choose(self, frontier: Frontier) -> Choice:
        """Return the point to take; 0, the original model, with a reason where there is none."""
        ...


@dataclass(frozen=True)
class Select:
    """Take the best metric at a limited cost, or a metric target at the least cost.

    A point worse than the original model in both metric and utility is never taken.

    Parameters
    ----------
    metric_at_most : float, optional
        Take the point of best utility whose validation metric is no larger. Where none is, the
        one of smallest metric, with status TARGET_OUT_OF_REACH.
    utility_loss_at_most : float, optional
        Validation utility that may be lost. Default: 0.002, or no limit where `metric_at_most`
        is given.
    utility : {"accuracy", "log_loss"}, default="accuracy"
        What counts as utility: accuracy, or the mean log loss in nats.

    Examples
    --------
    >>> Select(utility_loss_at_most=0.01, utility="log_loss")
    Select(metric_at_most=None, utility_loss_at_most=0.01, utility='log_loss')
    """

    metric_at_most: float | None = None
    utility_loss_at_most: float | None = None
    utility: Literal["accuracy", "log_loss"] = "accuracy"

    def __post_init__(self) -> None:
        if self.utility not in ("accuracy", "log_loss"):
            raise ValueError(f'`utility` must be "accuracy" or "log_loss", got {self.utility!r}.')
        for name in ("metric_at_most", "utility_loss_at_most"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {value}.")

    def choose(self, frontier: Frontier) -> Choice:
        """Return the point to take."""
        start, limit = frontier[0], self._limit()
        better = [i for i, point in enumerate(frontier) if point.metric < start.metric]
        if not better:
            return Choice(
                0,
                Status.UTILITY_WOULD_SUFFER,
                "No step lowered the metric on validation rows; the model is unchanged.",
            )
        allowed = [i for i in better if self._loss(frontier[i], start) <= limit + ROUNDING]
        if not allowed:
            return Choice(
                0,
                Status.UTILITY_WOULD_SUFFER,
                f"Every step that lowers the metric costs more than {limit:g} of validation "
                f"{self.utility.replace('_', ' ')}; allow more with "
                "su.Select(utility_loss_at_most=...).",
            )
        lowest = min(allowed, key=lambda i: frontier[i].metric)
        if self.metric_at_most is None:
            return _corrected(frontier, lowest)
        reached = [i for i in allowed if frontier[i].metric <= self.metric_at_most]
        if not reached:
            return Choice(
                lowest,
                Status.TARGET_OUT_OF_REACH,
                f"The metric cannot be brought to {self.metric_at_most:g}; the best that can be "
                f"had is {frontier[lowest].metric:.4f}. Allow a higher cost, or a higher metric.",
            )
        if start.metric <= self.metric_at_most:
            return Choice(
                0,
                Status.NOTHING_TO_CORRECT,
                f"The metric is {start.metric:.4f}, already at most {self.metric_at_most:g}.",
            )
        return _corrected(frontier, min(reached, key=lambda i: self._loss(frontier[i], start)))

    def _limit(self) -> float:
        if self.utility_loss_at_most is not None:
            return self.utility_loss_at_most
        return DEFAULT_TOLERANCE if self.metric_at_most is None else float("inf")

    def _loss(self, point: Point, start: Point) -> float:
        if self.utility == "accuracy":
            return start.accuracy - point.accuracy
        return point.log_loss - start.log_loss


@dataclass(frozen=True)
class Full:
    """Take the whole budget in one step, as the paper does, unless that is worse in both."""

    def choose(self, frontier: Frontier) -> Choice:
        """Return the longest step that is not worse in both metric and accuracy."""
        start = frontier[0]
        for i in range(len(frontier) - 1, 0, -1):
            point = frontier[i]
            if point.metric < start.metric or (
                point.metric == start.metric and point.accuracy > start.accuracy
            ):
                return _corrected(frontier, i)
        return Choice(
            0,
            Status.UTILITY_WOULD_SUFFER,
            "No step lowered the metric on validation rows; the model is unchanged.",
        )


@dataclass(frozen=True)
class Unchanged:
    """Take the original model: an audit, which shows what could be had and changes nothing."""

    def choose(self, frontier: Frontier) -> Choice:
        """Return the original model."""
        best = min(frontier, key=lambda point: point.metric)
        return Choice(
            0,
            Status.AUDITED,
            f"The metric is {frontier[0].metric:.4f} on validation rows and could be brought to "
            f"{best.metric:.4f}, at an accuracy of {best.accuracy:.4f} after "
            f"{frontier[0].accuracy:.4f}. Nothing was changed.",
        )


RULES: dict[str, Rule] = {"no_utility_loss": Select(), "full": Full(), "none": Unchanged()}
"""The rules that a string names."""


def measure(head: LinearHead, target: Target, validation: Rows) -> tuple[float, float, float]:
    """Return the metric, the accuracy and the mean log loss of a head."""
    z = HeadObjective(head, validation).logits()
    right = predicted_class(z) == validation.y
    loss = CrossEntropy().value(z, validation.y)
    return target.value(head), float(right.sum()) / len(validation), float(loss.sum()) / len(loss)


def walk(
    objective: HeadObjective,
    curvature: Curvature,
    problem: Problem,
    *,
    scheme: WeightScheme,
    algorithm: Unlearner,
    target: Target,
    validation: Rows,
    seed: int,
    steps: Sequence[float] = STEPS,
    progress: Callable[[str, float], None] | None = None,
) -> Frontier:
    """Return the frontier of one problem, the original head first.

    An algorithm in closed form is applied at every step. One that trains has a budget of epochs
    for the whole walk: weights that scale with the budget are trained once, and the points are
    parts of the way there; others, such as hard ones, are tried at `TRIALS` of the steps, with
    an equal share of the epochs each.

    Parameters
    ----------
    objective, curvature, problem : HeadObjective, Curvature, Problem
        Where the walk starts.
    scheme, algorithm : WeightScheme, Unlearner
        Steps 2 and 3.
    target : Target
        The metric that is measured, on the head's rows.
    validation : Rows
        Where utility is measured.
    seed : int
        Every point starts from the same random state, so that points differ by their weights.
    steps : sequence of float
        Fractions of the budget, ascending; none: the original head alone.
    progress : callable, optional
        Called with what is done and the part that is done, 0 to 1.
    """
    start, original = target.value(objective.head), objective.head

    def unlearn(algorithm: Unlearner, eps: Array) -> Unlearned:
        rng = np.random.default_rng(seed)
        return algorithm.apply(objective, eps, curvature=curvature, rng=rng)

    whole = None
    if isinstance(algorithm, Budgeted):
        if scheme.scales and steps:
            whole = unlearn(algorithm, scheme.solve(problem).eps)
        else:
            steps = steps[:: -(len(steps) // TRIALS or 1)][::-1]
            algorithm = algorithm.with_epochs(max(1, algorithm.epochs // TRIALS))
    tried = None
    points = [Point(0.0, *measure(original, target, validation), start, 0, original)]
    for done, step in enumerate(steps, 1):
        weights = scheme.solve(problem.with_budget(step * problem.budget))
        if tried is not None and bool((weights.eps == tried).all()):
            continue  # the scheme has no more to give
        tried, changed = weights.eps, int((weights.eps != 0).sum())
        if whole is not None:
            reached = replace(whole, head=_part_of_the_way(original, whole.head, step))
        elif changed:
            reached = unlearn(algorithm, weights.eps)
        else:
            reached = Unlearned(original)
        figures = measure(reached.head, target, validation)
        if all(np.isfinite(figures)):
            predicted = start - weights.predicted
            how = (reached.head, reached.clipped_rows, reached.diverged)
            points.append(Point(step, *figures, predicted, changed, *how))
        if progress is not None:
            progress("walking the frontier", done / len(steps))
    return Frontier(tuple(points))


def _part_of_the_way(start: LinearHead, end: LinearHead, t: float) -> LinearHead:
    return start.with_theta(start.theta + t * (end.theta - start.theta))


def _corrected(frontier: Frontier, index: int) -> Choice:
    start, point = frontier[0], frontier[index]
    return Choice(
        index,
        Status.CORRECTED,
        f"On validation rows the metric falls from {start.metric:.4f} to {point.metric:.4f} and "
        f"accuracy goes from {start.accuracy:.4f} to {point.accuracy:.4f}.",
    )
