"""Which point of a frontier becomes the model.

A rule sees validation figures alone. It takes a point and says why, or the original model and why.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from softunlearn.exceptions import Status
from softunlearn.paths import Frontier, Point

DEFAULT_TOLERANCE = 0.002
"""Validation accuracy that the default choice may cost: what a few rows of 7,500 decide."""

CERTAIN_WITHIN = 0.02
"""Accuracy that the default choice may cost at most, by the 95 % interval: on a few hundred rows
two thousandths are noise, and only small changes are certain not to cost ten times as much."""

ROUNDING = 1e-9
"""Of a step, or of a difference of accuracies, which are fractions of at most a billion rows."""


@dataclass(frozen=True)
class Choice:
    """A point of the frontier and why it was taken.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> su.Select(metric_at_most=0.9).choose(c.frontier)
    Choice(index=0, status=<Status.NOTHING_TO_CORRECT: 'NOTHING_TO_CORRECT'>, message='...')
    """

    index: int
    status: Status
    message: str


@runtime_checkable
class Rule(Protocol):
    """A way to choose a point of a frontier.

    Examples
    --------
    The point of the smallest log loss:

    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> class SmallestLoss:
    ...     def choose(self, frontier):
    ...         index = min(range(len(frontier)), key=lambda i: frontier[i].log_loss)
    ...         return Choice(index, Status.CORRECTED, "The smallest log loss.")
    >>> c = su.correct(model, train=train, validation=validation, select=SmallestLoss())
    >>> c.point.log_loss == min(point.log_loss for point in c.frontier)
    True
    """

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
        one of smallest metric, with status TARGET_OUT_OF_REACH. With several metrics: the largest
        part that may be left of any, 0 to 1.
    utility_loss_at_most : float, optional
        Validation utility that may be lost, as measured. Default: 0.002, and certainly no more
        than 0.02 (the 95 % interval of the loss); or no limit where `metric_at_most` is given.
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
        if self.metric_at_most is not None and start.metric <= self.metric_at_most:
            return Choice(
                0,
                Status.NOTHING_TO_CORRECT,
                f"The metric is {start.metric:.4f}, already at most {self.metric_at_most:g}.",
            )
        better = [i for i, point in enumerate(frontier) if point.metric < start.metric]
        if not better:
            return Choice(
                0,
                Status.UTILITY_WOULD_SUFFER,
                f"No step lowered the metric on {frontier.rows}; the model is unchanged.",
            )
        cheap = [i for i in better if self._loss(frontier[i], start) <= limit + ROUNDING]
        allowed = [i for i in cheap if not self._is_default or self._certain(frontier[i])]
        if not allowed:
            return Choice(
                0, Status.UTILITY_WOULD_SUFFER, self._too_costly(limit, frontier.rows, bool(cheap))
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
        return _corrected(frontier, min(reached, key=lambda i: self._loss(frontier[i], start)))

    @property
    def _is_default(self) -> bool:
        return self.utility_loss_at_most is None and self.metric_at_most is None

    def _certain(self, point: Point) -> bool:
        """Return whether it is certain that the point does not cost much more than it seems to."""
        if self.utility == "accuracy":
            return point.accuracy_change.low >= -CERTAIN_WITHIN
        return point.log_loss_change.high <= CERTAIN_WITHIN

    def _too_costly(self, limit: float, rows: str, uncertain: bool) -> str:
        utility = self.utility.replace("_", " ")
        allow = "allow more with su.Select(utility_loss_at_most=...)."
        if uncertain:
            return (
                f"On so few {rows} no step that lowers the metric is certain to cost less than "
                f"{CERTAIN_WITHIN:g} of {utility}; give more rows, or {allow}"
            )
        return (
            f"Every step that lowers the metric costs more than {limit:g} of {utility} on {rows}; "
            f"{allow}"
        )

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
    """Take the point nearest to the whole budget, step 1, that is not worse in both."""

    def choose(self, frontier: Frontier) -> Choice:
        """Return the longest step within the budget, or else the shortest one past it."""
        start = frontier[0]
        better = [
            i
            for i, point in enumerate(frontier)
            if point.metric < start.metric or point.accuracy > start.accuracy
        ]
        within = [i for i in better if frontier[i].step <= 1 + ROUNDING]
        if better:
            return _corrected(frontier, within[-1] if within else better[0])
        return Choice(
            0,
            Status.UTILITY_WOULD_SUFFER,
            "Every step was worse in metric and accuracy; the model is unchanged.",
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
            f"The metric is {frontier[0].metric:.4f} on {frontier.rows} and could be brought to "
            f"{best.metric:.4f}, at an accuracy of {best.accuracy:.4f} after "
            f"{frontier[0].accuracy:.4f}. Nothing was changed.",
        )


RULES: dict[str, Rule] = {"no_utility_loss": Select(), "full": Full(), "none": Unchanged()}
"""The rules that a string names."""


def _corrected(frontier: Frontier, index: int) -> Choice:
    start, point = frontier[0], frontier[index]
    fall = f"the metric falls from {start.metric:.4f} to {point.metric:.4f}"
    if len(point.metrics) > 1:
        fall = f"the metrics fall to {point.metric:.1%} of what they were, or less,"
    return Choice(
        index,
        Status.CORRECTED,
        f"On {frontier.rows} {fall} and accuracy goes from {start.accuracy:.4f} to "
        f"{point.accuracy:.4f}.",
    )
