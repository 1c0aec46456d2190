"""Robustness as something to bring down: the mean log loss on rows that an attack perturbs.

*Transfer*: the rows are perturbed once, against the original head. *Adaptive*: anew against every
head along the path, so that a correction cannot hide from the attack that it was made against. The
gradient is that of the loss on the perturbed rows as they are: for an attack that maximises the
loss within a ball, it is the gradient of the maximum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from softunlearn.head import LinearHead
from softunlearn.metrics import LogLoss, Metric
from softunlearn.rows import Array, Rows


@dataclass(frozen=True, eq=False)
class Adversary:
    """The mean log loss under an attack; see `goal.Aim`.

    Parameters
    ----------
    rows : Rows
        Before they are perturbed.
    craft : callable
        Returns their perturbed features, made against a head.
    against : LinearHead, optional
        The head that the attack is made against, once. Default: whichever is measured.
    """

    rows: Rows
    craft: Callable[[LinearHead], Array]
    against: LinearHead | None = None

    @property
    def metric(self) -> Metric:
        """Return the mean log loss."""
        return LogLoss("mean")

    def rows_for(self, head: LinearHead) -> Rows:
        """Return the perturbed rows that a head is measured on."""
        return self._once if self.against is not None else self._crafted(head)

    @cached_property
    def _once(self) -> Rows:
        assert self.against is not None
        return self._crafted(self.against)

    def _crafted(self, head: LinearHead) -> Rows:
        return self.rows.with_features(self.craft(head))
