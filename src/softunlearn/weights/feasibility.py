"""When a first-order Pareto improvement exists (Theorem 1, Corollary 2).

Three conditions: the gradients of target and utility are linearly independent, H is positive
definite, and G has full column rank. They are measured, not assumed.
"""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature, DenseCurvature
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array

MAX_RANK_PARAMETERS = 3000
"""Above it the rank of G is not measured: an eigenvalue problem of that size takes a minute. Nor
is it where a dense H was too much."""


@dataclass(frozen=True)
class Conditions:
    """Theorem 1's conditions, as measured.

    Parameters
    ----------
    cosine : float
        Between the parameter gradients of target and utility; -1 or 1: linearly dependent.
    condition : float
        Condition number of the Hessian scaled to a unit diagonal.
    damping : float
        What had to be added to the Hessian, as a fraction of its diagonal; 0: positive definite.
    rank : int or None
        Of G; None where the head is too wide to measure it.
    n_parameters : int
        The rank that the theorem asks for: p, less the directions that a softmax does not see.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> c.conditions.hold, c.conditions.positive_definite
    (False, True)
    """

    cosine: float
    condition: float
    damping: float
    rank: int | None
    n_parameters: int

    @property
    def independent(self) -> bool:
        """Return whether condition 1 holds."""
        return abs(self.cosine) < 1 - 1e-12

    @property
    def positive_definite(self) -> bool:
        """Return whether condition 2 holds."""
        return self.damping == 0.0

    @property
    def full_rank(self) -> bool | None:
        """Return whether condition 3 holds; None where it was not measured."""
        return None if self.rank is None else self.rank >= self.n_parameters

    @property
    def hold(self) -> bool:
        """Return whether all conditions that were measured hold."""
        return self.independent and self.positive_definite and self.full_rank is not False


def conditions(
    objective: HeadObjective,
    curvature: Curvature,
    target: Float[Array, "p"],
    utility: Float[Array, "p"],
) -> Conditions:
    """Return Theorem 1's conditions for two metrics' parameter gradients.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.curvature import Cholesky
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(2), np.array([0, 1]))
    >>> objective = HeadObjective(LinearHead(np.zeros((1, 2)), None, l2=0.75), rows)
    >>> curvature = Cholesky().factor(objective)
    >>> su.weights.conditions(objective, curvature, np.array([1.0, 0.0]), np.ones(2)).hold
    True
    """
    xp, head = array_namespace(target), objective.head
    norms = float(xp.sqrt(xp.sum(target**2) * xp.sum(utility**2)))
    k = head.W.shape[0]
    measured = isinstance(curvature, DenseCurvature) and head.n_parameters <= MAX_RANK_PARAMETERS
    return Conditions(
        cosine=float(xp.sum(target * utility)) / norms if norms > 0 else 1.0,
        condition=curvature.condition,
        damping=curvature.damping,
        rank=_rank(objective) if measured else None,
        n_parameters=head.n_parameters - (head.width if k > 1 else 0),
    )


def _rank(objective: HeadObjective) -> int:
    """Return rank G from the eigenvalues of G^T G, its columns scaled to length one."""
    gram = np.asarray(to_device(objective.gram(), "cpu"), dtype=np.float64)
    length = np.sqrt(np.diag(gram))
    scale = 1 / np.where(length > 0, length, 1.0)
    eigenvalues = np.linalg.eigvalsh(scale[:, None] * gram * scale[None, :])
    return int(np.count_nonzero(eigenvalues > len(gram) * np.finfo(float).eps * eigenvalues[-1]))
