"""The influence update (IF): one Newton-like step in closed form (Eq. 8)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True)
class InfluenceUpdate:
    """theta' = theta - H^-1 G^T eps.

    The first-order change of the trained parameters under the new weights. Exact as eps -> 0, one
    pass and one solve; it fails where weights are large on rows of high leverage. Deterministic.

    References
    ----------
    Eq. 8.
    """

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> LinearHead:
        """Return the corrected head."""
        step = curvature.solve(objective.gradient(eps[:, None])).x[:, 0]
        return objective.head.with_theta(objective.head.theta - step)
