"""The contract of a metric, and a metric on rows of its own: a target."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Integer

from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows


@runtime_checkable
class Metric(Protocol):
    """A scalar function f(z, y, g) of all rows' logits, smaller is better, at least zero.

    `z` holds logits (n, k), `y` class codes and `g` group codes 0..G-1, or None where rows have no
    groups; a metric that needs them says so in `needs_groups`.
    """

    needs_groups: bool

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return f."""
        ...

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return df/dz."""
        ...


@dataclass(frozen=True, eq=False)
class Target:
    """A metric on rows: what influence is measured on.

    Robustness, for instance, is the log loss on perturbed validation rows.

    Parameters
    ----------
    metric : Metric
    rows : Rows or tuple (X, y) or (X, y, g)
        As the model takes them.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> target = su.Target(su.metrics.LogLoss(), (np.eye(2), [0, 1]))
    """

    metric: Metric
    rows: Any

    def value(self, head: LinearHead) -> float:
        """Return f at a head. The rows must hold the head's inputs and codes."""
        return self.metric.value(*self._logits(head))

    def gradient(self, head: LinearHead) -> Float[Array, "p"]:
        """Return df/dtheta = [Phi, 1]^T df/dz at a head."""
        dz = self.metric.logit_gradient(*self._logits(head))
        return HeadObjective(head, self.rows).pullback(dz[:, :, None])[:, 0]

    def _logits(self, head: LinearHead) -> tuple[Array, Array, Array | None]:
        rows: Rows = self.rows
        return HeadObjective(head, rows).logits(), rows.y, rows.g
