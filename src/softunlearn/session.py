"""What a correction was made from, and what all points of its frontier share.

Figures of the original, influences and conditions are computed when they are asked for, once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, TypeVar

from softunlearn.evaluation import Evaluator, Figures, Observed
from softunlearn.head import LinearHead
from softunlearn.influence import Influence, Scores, stationarity
from softunlearn.models import ModelAdapter
from softunlearn.models.groups import Groups
from softunlearn.paths import Path, Start
from softunlearn.rows import Rows
from softunlearn.weights import Conditions, conditions

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, eq=False)
class BySplit(Generic[T]):
    """The same thing of training, validation and, where given, test rows.

    Each is computed when it is first asked for, and kept.

    Parameters
    ----------
    names : tuple of str
        The splits that there are.
    compute : callable
        Returns the thing of the split that it is given the name of.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> [(name, figures.rows) for name, figures in c.before.items()]
    [('train', 600), ('validation', 200)]
    """

    names: tuple[str, ...]
    compute: Callable[[str], T] = field(repr=False)

    @cached_property
    def train(self) -> T:
        """Return it of the training rows."""
        return self.compute("train")

    @cached_property
    def validation(self) -> T:
        """Return it of the validation rows."""
        return self.compute("validation")

    @cached_property
    def test(self) -> T | None:
        """Return it of the test rows; None where there are none."""
        return self.compute("test") if "test" in self.names else None

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield name and value of the splits that there are."""
        return ((name, getattr(self, name)) for name in self.names)

    def map(self, function: Callable[[str, T], U]) -> "BySplit[U]":
        """Return `function` of each name and value."""
        return BySplit(self.names, lambda name: function(name, getattr(self, name)))

    def __eq__(self, other: object) -> bool:
        """Return whether all splits are the same and have equal values."""
        return isinstance(other, BySplit) and dict(self.items()) == dict(other.items())


SplitFigures = BySplit[Figures]
"""The figures of one head on training, validation and, where given, test rows."""


@dataclass(frozen=True, eq=False)
class Session:
    """What a correction was made from, and what all its points share."""

    adapter: ModelAdapter
    rows: dict[str, Rows]
    given: dict[str, Rows]
    evaluator: Evaluator
    start: Start
    path: Path
    scores: Scores
    coding: Groups | None
    names: tuple[str, ...]
    paths: tuple[str, ...]
    timings: dict[str, float]

    @cached_property
    def seen(self) -> BySplit[Observed]:
        """Return what the original head does with all rows."""
        return BySplit(tuple(self.rows), lambda name: self.observe(name, self.original))

    @property
    def original(self) -> LinearHead:
        """Return the head before the correction."""
        return self.start.goal.original

    @cached_property
    def before(self) -> SplitFigures:
        """Return the figures of the original model."""
        return self.seen.map(lambda name, seen: self.figures(seen))

    def figures(self, seen: Observed) -> Figures:
        """Return the figures of what was observed."""
        with self.timed("evaluation"):
            return self.evaluator.figures(seen)

    def observe(
        self, name: str, head: LinearHead, rows: Rows | None = None, origin: Rows | None = None
    ) -> Observed:
        """Return what a head does with the rows of a split; training rows are not attacked.

        `rows` and `origin` where the features themselves were corrected; see `Evaluator.observe`.
        """
        own, given, coding = rows or self.rows[name], self.given[name], self.coding
        with self.timed("evaluation"):
            return self.evaluator.observe(
                head,
                own,
                given.X if name != "train" else None,
                origin,
                attacked=name != "train",
                columns={} if own.g is None or coding is None else coding.each(given.g),
            )

    @cached_property
    def influence(self) -> Influence:
        """Return the influence of every training row."""
        goal, scores, m = self.start.goal, self.scores, len(self.start.goal.targets)
        with self.timed("diagnostics"):
            targets = scores.values[:, :m]
            total = targets[:, 0]
            if m > 1:
                parts = [targets[:, i] / v for i, v in enumerate(goal.start.metrics) if v > 0]
                total = sum(parts, 0 * total)
            utility = scores.values[:, m]
            return Influence(
                total,
                targets,
                utility,
                scores.leverage,
                scores.solution.residual,
                scores.curvature.name,
                scores.solution.iterations,
            )

    @cached_property
    def conditions(self) -> Conditions:
        """Return Theorem 1's conditions for the first target and utility."""
        scores, m = self.scores, len(self.start.goal.targets)
        with self.timed("diagnostics"):
            target, utility = scores.gradients[:, 0], scores.gradients[:, m]
            found = conditions(scores.objective, scores.curvature, target, utility)
            return replace(found, damping=scores.damping)

    @cached_property
    def stationarity(self) -> float:
        """Return the relative gradient norm of the training objective."""
        return stationarity(self.scores.objective)

    @cached_property
    def drift(self) -> float:
        """Return the predicted change of the metric if training were finished."""
        scores = self.scores
        gradient = scores.objective.total_gradient()
        unfinished = scores.curvature.solve(gradient[:, None]).x[:, 0]
        return -float((scores.gradients[:, 0] * unfinished).sum())

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Add the seconds spent to those of a part."""
        return timed(self.timings, part)


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Add the seconds spent inside to those of a part."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began
