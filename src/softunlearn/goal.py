"""What a correction is to achieve on validation rows, and how far a head is from it.

Some targets are to be brought down, others are held where they are, and utility is to be kept. A
goal measures heads; it does not know how they came about.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from array_api_compat import to_device
from jaxtyping import Float

from softunlearn import intervals
from softunlearn.head import LinearHead
from softunlearn.intervals import Change, Interval
from softunlearn.losses import CrossEntropy, predicted_class
from softunlearn.metrics import GroupGap, LogLoss, Metric, Target, passes
from softunlearn.metrics.metric import Aim, pieces
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows

LARGEST = 1e90
"""Of figures: an interval takes the cubes of losses, and their sum."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A head on validation rows.

    Parameters
    ----------
    metrics, held : tuple of float
        The values of the goal's targets, and of what it holds.
    right : ndarray of shape (n,)
        1.0 where the predicted class is the observed one, else 0.0.
    loss : ndarray of shape (n,)
        Log loss of each row.
    """

    metrics: tuple[float, ...]
    held: tuple[float, ...]
    right: np.ndarray
    loss: np.ndarray

    @property
    def accuracy(self) -> float:
        """Return the part of rows that are right."""
        return float(self.right.mean())

    @property
    def log_loss(self) -> float:
        """Return the mean log loss, in nats."""
        return float(self.loss.mean())

    @property
    def finite(self) -> bool:
        """Return whether everything could be measured, with its interval."""
        figures = np.array([*self.metrics, *self.held, self.log_loss, self.loss.max()])
        return bool((np.abs(figures) < LARGEST).all())  # of NaN it is not

    def accuracy_change(self, since: "Measured") -> Change:
        """Return the change of accuracy since another head, paired by row."""
        return intervals.mean_change(since.right, self.right, labels=True)

    def log_loss_change(self, since: "Measured") -> Change:
        """Return the change of the mean log loss since another head, paired by row."""
        return intervals.mean_change(since.loss, self.loss)


@dataclass(frozen=True, eq=False)
class Linearised:
    """The smooth functions whose largest is an aim: their values, and gradients in theta."""

    values: Float[Array, "m"]
    gradients: Float[Array, "p m"]


@dataclass(frozen=True, eq=False)
class Goal:
    """What is to be brought down, what is held, and the rows on which utility is kept.

    Parameters
    ----------
    original : LinearHead
        The head before any correction; several targets are measured in parts of its values.
    targets : tuple of Aim
        To be brought down.
    held : tuple of Aim
        Not to rise above what they are at the original head.
    validation : Rows
        Where utility, the log loss, is measured.
    """

    original: LinearHead
    targets: tuple[Aim, ...]
    held: tuple[Aim, ...]
    validation: Rows

    @cached_property
    def start(self) -> Measured:
        """Return the original head, measured."""
        return self.measure(self.original)

    @property
    def utility(self) -> Target:
        """Return the log loss on validation rows, summed: the paper's utility."""
        return Target(LogLoss(), self.validation)

    def measure(self, head: LinearHead) -> Measured:
        """Return what a head does on validation rows."""
        aims = (*self.targets, *self.held)
        each = [self.validation, *(aim.rows_for(head) for aim in aims)]
        z, *others = passes.logits(head, each)
        values = [
            aim.metric.value(own, rows.y, rows.g)
            for aim, rows, own in zip(aims, each[1:], others, strict=True)
        ]
        return Measured(
            metrics=tuple(values[: len(self.targets)]),
            held=tuple(values[len(self.targets) :]),
            right=_host(predicted_class(z) == self.validation.y).astype(float),
            loss=_host(CrossEntropy().value(z, self.validation.y)),
        )

    def linearised(self, head: LinearHead) -> "list[Linearised]":
        """Return the pieces of every target, of what is held, and of utility, at a head.

        Aims on the validation rows themselves share one pass over them.
        """
        aims = (*self.targets, *self.held, self.utility)
        each = [aim.rows_for(head) for aim in aims]
        found = [
            pieces(aim.metric, z, rows.y, rows.g)
            for aim, rows, z in zip(aims, each, passes.logits(head, each), strict=True)
        ]
        gradients = passes.pullbacks(head, each, [one.parts for one in found])
        return [
            Linearised(one.values, gradient if one.mix is None else gradient @ one.mix)
            for one, gradient in zip(found, gradients, strict=True)
        ]

    def metric(self, metrics: tuple[float, ...]) -> float:
        """Return one figure for all targets: the only one's value, or the largest part left.

        With several targets, the largest of their values in parts of the original's.
        """
        if len(metrics) == 1:
            return metrics[0]
        return max(
            m / s if s > 0 else 0.0 for m, s in zip(metrics, self.start.metrics, strict=True)
        )

    def interval(self, i: int, head: LinearHead) -> Interval:
        """Return where the value of target i on all such rows may be, at a head."""
        aim = self.targets[i]
        rows = aim.rows_for(head)
        z = _host(HeadObjective(head, rows).logits())
        g = None if rows.g is None else _host(rows.g)
        return metric_interval(aim.metric, z, _host(rows.y), g)

    def only(self, kept: tuple[bool, ...]) -> "Goal":
        """Return the goal with some targets kept as such and the others held."""
        pairs = list(zip(self.targets, kept, strict=True))
        return replace(
            self,
            targets=tuple(target for target, keep in pairs if keep),
            held=(*self.held, *(target for target, keep in pairs if not keep)),
        )


def metric_interval(
    metric: Metric, z: np.ndarray, y: np.ndarray, g: np.ndarray | None
) -> Interval:
    """Return where a metric's value on all such rows may be.

    Exact in the sense of `intervals` for gaps between groups and the log loss; for any other
    metric the bootstrap over rows.
    """
    if isinstance(metric, GroupGap) and g is not None:
        return gap_interval(metric, z, y, g)
    if isinstance(metric, LogLoss):
        scale = len(y) if metric.reduction == "sum" else 1
        found = intervals.mean(CrossEntropy().value(z, y))
        return Interval(scale * found.low, scale * found.high)

    def value(rows: np.ndarray) -> float:
        return metric.value(z[rows], y[rows], None if g is None else g[rows])

    return intervals.resampled(value, len(y))


def gap_interval(metric: GroupGap, z: np.ndarray, y: np.ndarray, g: np.ndarray) -> Interval:
    """Return the interval of a gap between groups, in the metric's own quantity."""
    compared = metric.comparisons(y, max(2, z.shape[1]))
    cells = [(metric.quantity(z, y, c), where) for c, where in compared]
    return intervals.cells(cells, g, pairwise=metric.aggregate == "mean_pairwise")


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))
