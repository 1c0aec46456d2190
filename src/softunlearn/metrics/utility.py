"""Utility: the loss that the model was trained for, on rows it was not trained on."""

from dataclasses import dataclass

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.losses import CrossEntropy
from softunlearn.rows import Array


@dataclass(frozen=True)
class LogLoss:
    """Log loss over all rows, in nats.

    Parameters
    ----------
    reduction : {"sum", "mean"}, default="sum"
        The sum is the paper's convention (Eq. 3 and 5).

    Examples
    --------
    >>> import numpy as np
    >>> float(LogLoss().value(np.zeros((4, 1)), np.array([0, 1, 1, 0]), None) / np.log(2))
    4.0
    """

    reduction: str = "sum"
    needs_groups = False

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ValueError(f'`reduction` must be "sum" or "mean", got {self.reduction!r}.')

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the loss; groups play no part."""
        return float(array_namespace(z).sum(CrossEntropy().value(z, y))) / self._scale(z)

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return its derivative in the logits."""
        return CrossEntropy().logit_gradient(z, y) / self._scale(z)

    def _scale(self, z: Array) -> int:
        return 1 if self.reduction == "sum" else z.shape[0]
