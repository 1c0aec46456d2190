"""The contract of an unlearning algorithm."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@runtime_checkable
class Unlearner(Protocol):
    """A way to change the head so that row i counts 1 + eps_i times."""

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> LinearHead:
        """Return the corrected head.

        `curvature` is the Hessian at the objective's head, already factored in step 1; `rng` the
        only source of randomness. eps = 0 means that nothing is to be unlearned.
        """
        ...
