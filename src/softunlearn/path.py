"""The frontier: what can be had on the way to the full correction.

The utility constraint is first order, so a large step costs real utility even where none is
predicted. The budget is therefore walked in steps from 0 to delta; at each the weights are
solved for, the head is corrected, and the *real* metric and utility are measured on validation
rows. Beyond the paper, which takes the whole budget at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
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
    reached : Unlearned
        The corrected head, and how it came about.
    """

    step: float
    metric: float
    accuracy: float
    log_loss: float
    predicted: float
    changed_rows: int
    reached: Unlearned

    @property
    def head(self) -> LinearHead:
        """Return the corrected head."""
        return self.reached.head


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


def measure(head: LinearHead, target: Target, validation: Rows) -> tuple[float, float, float]:
    """Return the metric, the accuracy and the mean log loss of a head."""
    z = HeadObjective(head, validation).logits()
    right = predicted_class(z) == validation.y
    loss = CrossEntropy().value(z, validation.y)
    return target.value(head), float(right.sum()) / len(validation), float(loss.sum()) / len(loss)


class Correctable(Protocol):
    """What a walk corrects: a head on its features, or the last layers of a network."""

    @property
    def original(self) -> Unlearned:
        """Return the model as it is."""
        ...

    def unlearn(self, algorithm: Unlearner, eps: Float[Array, "n"]) -> Unlearned:
        """Return what the algorithm makes of it under weights eps."""
        ...

    def part_of_the_way(self, end: Unlearned, t: float) -> Unlearned:
        """Return what lies between the original (t = 0) and `end` (t = 1)."""
        ...

    def measure(self, reached: Unlearned) -> tuple[float, float, float]:
        """Return metric, accuracy and mean log loss on validation rows."""
        ...


@dataclass(frozen=True, eq=False)
class HeadOnRows:
    """A head, corrected on its features.

    Parameters
    ----------
    objective, curvature : HeadObjective, Curvature
        Where the walk starts.
    target : Target
        The metric that is measured, on the head's rows.
    validation : Rows
        Where utility is measured.
    seed : int
        Every point starts from the same random state, so that points differ by their weights.
    """

    objective: HeadObjective
    curvature: Curvature
    target: Target
    validation: Rows
    seed: int

    @property
    def original(self) -> Unlearned:
        """Return the head as it is."""
        return Unlearned(self.objective.head)

    def unlearn(self, algorithm: Unlearner, eps: Float[Array, "n"]) -> Unlearned:
        """Return the corrected head."""
        rng = np.random.default_rng(self.seed)
        return algorithm.apply(self.objective, eps, curvature=self.curvature, rng=rng)

    def part_of_the_way(self, end: Unlearned, t: float) -> Unlearned:
        """Return the head with parameters in between."""
        start = self.objective.head
        theta = start.theta + t * (end.head.theta - start.theta)
        return replace(end, head=start.with_theta(theta))

    def measure(self, reached: Unlearned) -> tuple[float, float, float]:
        """Return metric, accuracy and mean log loss."""
        return measure(reached.head, self.target, self.validation)


def walk(
    correctable: Correctable,
    problem: Problem,
    *,
    scheme: WeightScheme,
    algorithm: Unlearner,
    steps: Sequence[float] = STEPS,
    progress: Callable[[str, float], None] | None = None,
) -> Frontier:
    """Return the frontier of one problem, the original model first.

    An algorithm in closed form is applied at every step. One that trains has a budget of epochs
    for the whole walk: weights that scale with the budget are trained once, and the points are
    parts of the way there; others, such as hard ones, are tried at `TRIALS` of the steps, with
    an equal share of the epochs each.

    Parameters
    ----------
    correctable : Correctable
    problem : Problem
        With the whole budget.
    scheme, algorithm : WeightScheme, Unlearner
        Steps 2 and 3.
    steps : sequence of float
        Fractions of the budget, ascending; none: the original model alone.
    progress : callable, optional
        Called with what is done and the part that is done, 0 to 1.
    """
    original, whole, tried = correctable.original, None, None
    if isinstance(algorithm, Budgeted):
        if scheme.scales and steps:
            whole = correctable.unlearn(algorithm, scheme.solve(problem).eps)
        else:
            steps = steps[:: -(len(steps) // TRIALS or 1)][::-1]
            algorithm = algorithm.with_epochs(max(1, algorithm.epochs // TRIALS))
    figures = correctable.measure(original)
    points = [Point(0.0, *figures, figures[0], 0, original)]
    for done, step in enumerate(steps, 1):
        weights = scheme.solve(problem.with_budget(step * problem.budget))
        if tried is not None and bool((weights.eps == tried).all()):
            continue  # the scheme has no more to give
        tried, changed = weights.eps, int((weights.eps != 0).sum())
        if whole is not None:
            reached = correctable.part_of_the_way(whole, step)
        elif changed:
            reached = correctable.unlearn(algorithm, weights.eps)
        else:
            reached = original
        figures = correctable.measure(reached)
        if all(np.isfinite(figures)):
            predicted = points[0].metric - weights.predicted
            points.append(Point(step, *figures, predicted, changed, reached))
        if progress is not None:
            progress("walking the frontier", done / len(steps))
    return Frontier(tuple(points))
