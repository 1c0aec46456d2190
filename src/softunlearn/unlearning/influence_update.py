"""The influence update (IF): the first-order change in closed form (Eq. 8)."""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.influence import leverage
from softunlearn.objective import HeadObjective
from softunlearn.row_vectors import Directed
from softunlearn.rows import Array
from softunlearn.unlearning.unlearner import Unlearned


@dataclass(frozen=True)
class InfluenceUpdate:
    """theta' = theta - H^-1 G^T eps.

    The first-order change of the trained parameters under the new weights: one pass and one solve.
    Exact as eps -> 0; it fails where weights are large on rows of high leverage. A row that is
    removed whole (eps = -1) counts 1 / (1 - h), h its leverage, where there is one logit: without
    the row the curvature is the smaller (beyond the paper). Deterministic.

    References
    ----------
    Eq. 8.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.InfluenceUpdate()
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"] | Directed,
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head; under weights that are known by their direction, at once."""
        pulled = eps.pulled if isinstance(eps, Directed) else _pulled(objective, eps, curvature)
        step = curvature.solve(pulled).x[:, 0]
        return Unlearned(objective.head.with_theta(objective.head.theta - step))


def _pulled(
    objective: HeadObjective, eps: Float[Array, "n"], curvature: Curvature
) -> Float[Array, "p 1"]:
    """Return G^T eps, where rows that are removed whole count with their leverage."""
    xp, removed = array_namespace(eps), eps == -1
    if objective.head.W.shape[0] == 1 and bool(xp.any(removed)):
        kept = 1 - leverage(objective, curvature)
        eps = xp.where(removed & (kept > 0), eps / kept, eps)
    return objective.gradient(eps[:, None])
