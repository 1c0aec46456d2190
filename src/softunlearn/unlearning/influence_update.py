"""The influence update (IF): the first-order change in closed form (Eq. 8)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array
from softunlearn.unlearning.unlearner import Unlearned


@dataclass(frozen=True)
class InfluenceUpdate:
    """theta' = theta - H^-1 G^T eps.

    The first-order change of the trained parameters under the new weights: one pass and one solve.
    Exact as eps -> 0; it fails where weights are large on rows of high leverage. Deterministic.

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
    ) -> Unlearned:
        """Return the corrected head."""
        step = curvature.solve(objective.gradient(eps[:, None])).x[:, 0]
        return Unlearned(objective.head.with_theta(objective.head.theta - step))
