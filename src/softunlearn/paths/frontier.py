"""The frontier: the points that were reached, each measured on validation rows.

The constraints of the weights are first order, so a large step costs real utility even where none
is predicted. Every point is therefore measured for real, and what another point surpasses in
everything is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature, CurvatureSolver
from softunlearn.goal import Goal, Measured
from softunlearn.head import LinearHead
from softunlearn.intervals import Change
from softunlearn.objective import HeadObjective
from softunlearn.row_vectors import Directed
from softunlearn.rows import Array
from softunlearn.unlearning import Unlearned, Unlearner
from softunlearn.weights.problem import Problem, WeightScheme

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Point:
    """A corrected head and what it does on validation rows.

    Parameters
    ----------
    step : float
        Part of the way aimed at; 0 is the original model, 1 a metric predicted to be zero.
    metric, accuracy, log_loss : float
        Measured on validation rows; the loss is a mean. With several targets `metric` is the
        largest of `metrics` in parts of the original's.
    predicted : float
        What the metric was predicted to be.
    metrics, held : tuple of float
        The value of each target, and of each metric that is held.
    accuracy_change, log_loss_change : Change
        Since the original, paired by row, with a 95 % interval.
    changed_rows : int
        Training rows whose weight is not what it was.
    reached : Unlearned
        The corrected head, and how it came about.
    weigh : callable
        Returns eps (n,), the weight changes that stand for this point: an array, or `Directed`.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> origin, last = c.frontier[0], c.frontier[-1]
    >>> origin.step, last.metric < origin.metric, last.weigh().shape
    (0.0, True, (600,))
    """

    step: float
    metric: float
    accuracy: float
    log_loss: float
    predicted: float
    metrics: tuple[float, ...]
    held: tuple[float, ...]
    accuracy_change: Change
    log_loss_change: Change
    changed_rows: int
    reached: Unlearned
    weigh: Callable[[], Array | Directed]

    @property
    def head(self) -> LinearHead:
        """Return the corrected head."""
        return self.reached.head

    def surpassed_by(self, other: "Point") -> bool:
        """Return whether another point is at least as good in everything, and better in one."""
        mine, theirs = self._costs, other._costs
        return theirs != mine and all(b <= a for a, b in zip(mine, theirs, strict=True))

    @property
    def _costs(self) -> tuple[float, ...]:
        return (*self.metrics, *self.held, -self.accuracy, self.log_loss)


@dataclass(frozen=True, eq=False)
class Frontier:
    """The points that no other surpasses, the original model first, then by metric.

    Parameters
    ----------
    points : tuple of Point
    rows : str
        What they were measured on: "validation rows", or "rows of choose_on".

    Examples
    --------
    >>> import softunlearn as su
    >>> data = su.datasets.load("census", n_rows=2000)
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> frontier = su.correct(model, train=data.train, validation=data.validation).frontier
    >>> frontier[0].step, len(frontier) > 10
    (0.0, True)
    """

    points: tuple[Point, ...]
    rows: str = "validation rows"

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: int) -> Point:
        return self.points[i]

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)


@runtime_checkable
class Correctable(Protocol):
    """What a path corrects: a head on its features, or the last layers of a network.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> isinstance(c.session.start.correctable, su.paths.Correctable)
    True
    """

    @property
    def original(self) -> Unlearned:
        """Return the model as it is."""
        ...

    def unlearn(self, algorithm: Unlearner, eps: Float[Array, "n"] | Directed) -> Unlearned:
        """Return what the algorithm makes of it under weights eps."""
        ...

    def part_of_the_way(self, end: Unlearned, t: float) -> Unlearned:
        """Return what lies on the line from the original (t = 0) to `end` (t = 1), or past it."""
        ...

    def measure(self, reached: Unlearned) -> Measured:
        """Return what it does on validation rows."""
        ...


@dataclass(frozen=True, eq=False)
class HeadOnRows:
    """A head, corrected on its features.

    Parameters
    ----------
    objective, curvature : HeadObjective, Curvature
        The original head's.
    goal : Goal
        What is measured.
    seed : int
        Every point starts from the same random state, so that points differ by their weights.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> there = c.session.start.correctable
    >>> there.measure(there.original).accuracy == c.frontier[0].accuracy
    True
    """

    objective: HeadObjective
    curvature: Curvature
    goal: Goal
    seed: int

    @property
    def original(self) -> Unlearned:
        """Return the head as it is."""
        return Unlearned(self.objective.head)

    def unlearn(self, algorithm: Unlearner, eps: Float[Array, "n"] | Directed) -> Unlearned:
        """Return the corrected head."""
        rng = np.random.default_rng(self.seed)
        return algorithm.apply(self.objective, eps, curvature=self.curvature, rng=rng)

    def part_of_the_way(self, end: Unlearned, t: float) -> Unlearned:
        """Return the head with parameters in between."""
        start = self.objective.head
        theta = start.theta + t * (end.head.theta - start.theta)
        return replace(end, head=start.with_theta(theta))

    def measure(self, reached: Unlearned) -> Measured:
        """Return what the head does on validation rows."""
        return self.goal.measure(reached.head)


@dataclass(frozen=True, eq=False)
class Start:
    """Where a path begins, and what it may use.

    Parameters
    ----------
    correctable : Correctable
    goal : Goal
    problem : Problem
        Influences at the original model, with the whole budget.
    scheme, algorithm : WeightScheme, Unlearner
        Steps 2 and 3.
    solver : CurvatureSolver
        For the curvature at other points.
    judge : Goal, optional
        Measures the points in the goal's place, on rows that gave no influence.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> c.session.start.origin().metric == c.frontier[0].metric
    True
    """

    correctable: Correctable
    goal: Goal
    problem: Problem
    scheme: WeightScheme
    algorithm: Unlearner
    solver: CurvatureSolver
    judge: Goal | None = None

    def point(
        self,
        step: float,
        reached: Unlearned,
        measured: Measured,
        *,
        predicted: float,
        changed_rows: int,
        weigh: Callable[[], Array | Directed],
    ) -> Point:
        """Return what was reached as a point of the frontier, measured by the judge if any."""
        goal = self.goal
        if self.judge is not None:
            goal, measured = self.judge, self.judge.measure(reached.head)
        since = goal.start
        return Point(
            step=step,
            metric=goal.metric(measured.metrics),
            accuracy=measured.accuracy,
            log_loss=measured.log_loss,
            predicted=predicted,
            metrics=measured.metrics,
            held=measured.held,
            accuracy_change=measured.accuracy_change(since),
            log_loss_change=measured.log_loss_change(since),
            changed_rows=changed_rows,
            reached=reached,
            weigh=weigh,
        )

    def origin(self) -> Point:
        """Return the original model as a point."""
        start, n = self.goal.start, self.problem.n_rows
        metric = self.goal.metric(start.metrics)
        return self.point(
            0.0,
            self.correctable.original,
            start,
            predicted=metric,
            changed_rows=0,
            weigh=lambda: np.zeros(n),
        )


@runtime_checkable
class Path(Protocol):
    """A way from the original model to the full correction.

    Examples
    --------
    The first third of the paper's way:

    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> class FirstThird:
    ...     def walk(self, start, progress=None):
    ...         return su.paths.Straight((0.1, 0.2, 0.3)).walk(start, progress)
    >>> c = su.correct(model, train=train, validation=validation, path=FirstThird())
    >>> max(point.step for point in c.frontier) <= 0.3
    True
    """

    def walk(self, start: Start, progress: Progress | None = None) -> Frontier:
        """Return what was reached, the original model first.

        `progress` is called with what is done and the part of it that is done, 0 to 1.
        """
        ...


def frontier(origin: Point, points: list[Point]) -> Frontier:
    """Return the original and the points that no other surpasses, by the step aimed at."""
    everyone = [origin, *points]
    kept = [p for p in points if not any(p.surpassed_by(other) for other in everyone)]
    return Frontier((origin, *sorted(kept, key=lambda p: p.step)))
