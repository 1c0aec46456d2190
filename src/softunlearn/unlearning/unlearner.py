"""The contract of an unlearning algorithm, and what one returns."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Unlearned:
    """A corrected head, and what the caller should know of how it came about.

    Parameters
    ----------
    head : LinearHead
    epochs : int
        Passes over the training rows.
    clipped_rows : int
        Rows whose weight 1 + eps was below 0 and was taken as 0.
    diverged : bool
        Whether training ran away and was stopped; `head` is then the best that was seen.
    """

    head: LinearHead
    epochs: int = 1
    clipped_rows: int = 0
    diverged: bool = False


@runtime_checkable
class Unlearner(Protocol):
    """A way to change the head so that row i counts 1 + eps_i times.

    It sees row weights and nothing else: whether they are hard or soft is not its business.
    """

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head.

        `curvature` is the Hessian at the objective's head, already factored in step 1; `rng` the
        only source of randomness. eps = 0 means that nothing is to be unlearned.
        """
        ...


@runtime_checkable
class Budgeted(Unlearner, Protocol):
    """An unlearner that takes many passes over the rows, and how many it may take."""

    @property
    def epochs(self) -> int:
        """Return the most passes that one call takes."""
        ...

    def with_epochs(self, epochs: int) -> "Budgeted":
        """Return the same algorithm with another budget."""
        ...


def clipped(eps: Float[Array, "n"]) -> tuple[Float[Array, "n"], int]:
    """Return w = max(1 + eps, 0), which keeps weighted training convex, and how often it clips."""
    xp = array_namespace(eps)
    w = 1 + eps
    return xp.clip(w, 0, None), int(xp.sum(xp.astype(w < 0, xp.int64)))
