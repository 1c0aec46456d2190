"""One linearisation, walked: at parts of the budget the weights are solved for and applied."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from softunlearn.paths.frontier import Frontier, Point, Progress, Start, frontier
from softunlearn.row_vectors import Directed
from softunlearn.rows import Array
from softunlearn.unlearning import Budgeted

STEPS = tuple(float(step) for step in np.linspace(0.05, 1.0, 20))
"""Parts of the budget at which the frontier is measured."""

BEYOND = tuple(float(step) for step in np.linspace(1.1, 4.0, 30))
"""Where the walk goes on past the budget, which is but a prediction, while the metric falls."""

PATIENCE = 3
"""Steps past the budget without a lower metric after which the walk ends."""

TRIALS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Steps tried by an algorithm that trains anew at each: the budget of epochs is shared."""


@dataclass(frozen=True)
class Straight:
    """Eq. 6 and 8 at the original model, for a growing budget: the paper's, in steps.

    At step 1 the metric is predicted to be zero, to first order and by the influence update. What
    other algorithms deliver is often less, so the walk goes on while the metric falls on
    validation rows, up to four times the budget.

    An algorithm in closed form is applied at every step. One that trains has a budget of epochs
    for the whole walk: weights that scale with the budget are trained once, and the points lie on
    the line to where it ended, and beyond; others, such as hard ones, are tried at five steps,
    with an equal share of the epochs each.

    Parameters
    ----------
    steps : sequence of float, optional
        Parts of the budget, ascending, at which alone points are made. Default: 0.05, 0.10, ...,
        1, and on as long as the metric falls; for an algorithm that is tried, 1/4, 1/2, 1, 2, 4.

    Raises
    ------
    ValueError
        A step is not above 0 and finite.

    References
    ----------
    Eq. 6 to 8.

    Examples
    --------
    The paper's single step:

    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=2000)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> path = su.paths.Straight((1.0,))
    >>> c = su.correct(model, train=data.train, validation=data.validation, path=path)
    >>> [point.step for point in c.frontier]
    [0.0, 1.0]
    """

    steps: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and not all(0 < step < np.inf for step in self.steps):
            raise ValueError(f"`steps` must be above 0 and finite, got {self.steps}.")

    def walk(self, start: Start, progress: Progress | None = None) -> Frontier:
        """Return the frontier."""
        origin, whole, tried = start.origin(), None, None
        algorithm, correctable = start.algorithm, start.correctable
        steps = self.steps or (*STEPS, *BEYOND)
        if isinstance(algorithm, Budgeted):
            if start.scheme.scales:
                whole = correctable.unlearn(algorithm, start.scheme.solve(start.problem).eps)
            else:
                steps = self.steps or TRIALS
                algorithm = algorithm.with_epochs(max(1, algorithm.epochs // len(steps)))
        points: list[Point] = []
        for done, step in enumerate(steps, 1):
            if self.steps is None and step in BEYOND and _stalled(points):
                break
            problem = start.problem.part(step)
            weights = start.scheme.solve(problem)
            if tried is not None and _same(weights.eps, tried):
                continue  # the scheme has no more to give
            tried, changed = weights.eps, _changed_rows(weights.eps)
            if whole is not None:
                reached = correctable.part_of_the_way(whole, step)
            elif changed:
                reached = correctable.unlearn(algorithm, weights.eps)
            else:
                continue
            measured = correctable.measure(reached)
            if measured.finite:
                left = [
                    max(value - fall, 0.0)
                    for value, fall in zip(
                        start.goal.start.metrics, np.atleast_1d(weights.predicted), strict=True
                    )
                ]
                points.append(
                    start.point(
                        step,
                        reached,
                        measured,
                        predicted=start.goal.metric(tuple(left)),
                        changed_rows=changed,
                        weigh=lambda problem=problem: start.scheme.solve(problem).eps,
                    )
                )
            if progress is not None:
                progress("walking the frontier", done / len(steps))
        return frontier(origin, points)


def _same(eps: Array | Directed, other: Array | Directed) -> bool:
    """Return whether two weightings are one: of directed ones, their directions are compared."""
    one, two = (x.s if isinstance(x, Directed) else x for x in (eps, other))
    return bool(array_namespace(one).all(one == two))


def _changed_rows(eps: Array | Directed) -> int:
    """Return how many rows have another weight: all that the gradients of a direction span."""
    changed = eps.s if isinstance(eps, Directed) else eps
    some = int((changed != 0).sum())
    return eps.n_rows if isinstance(eps, Directed) and some else some


def _stalled(points: Sequence[Point]) -> bool:
    """Return whether the metric was no lower at the last `PATIENCE` points than before."""
    metrics = [point.metric for point in points]
    before, last = metrics[:-PATIENCE], metrics[-PATIENCE:]
    return not before or min(last) >= min(before)
