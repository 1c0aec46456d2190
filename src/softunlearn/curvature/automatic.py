"""Which solver an objective is given to where the caller does not say."""

from dataclasses import dataclass

from softunlearn.curvature.cholesky import Cholesky
from softunlearn.curvature.conjugate_gradients import ConjugateGradients
from softunlearn.curvature.solver import Curvature, CurvatureSolver
from softunlearn.objective import HeadObjective

MAX_PARAMETERS = 6000
"""Above it a dense H with what its factor needs takes more than 2 GB."""

MAX_OPERATIONS = 2e10
"""Above it a dense H of several classes takes more than about a second, and conjugate gradients
a fraction of that."""


@dataclass(frozen=True)
class Automatic:
    """`Cholesky` where a dense H is small in memory and time, else `ConjugateGradients`.

    Of one logit the Hessian is a single Gram matrix, which the iterative solver would need too:
    there only memory decides. Of k classes it is k (k + 1) / 2 of them. Of rows that are not in
    memory, too, only memory decides: the dense solver reads them once, the iterative one for every
    product.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> def objective(k, d):
    ...     head = LinearHead(np.zeros((k, d)), np.zeros(k), classes=tuple(range(max(2, k))))
    ...     return HeadObjective(head, su.Rows(np.zeros((1000, d)), np.zeros(1000, dtype=int)))
    >>> Automatic().choose(objective(1, 100)), Automatic().choose(objective(100, 500)).tolerance
    (Cholesky(damping=0.0), 0.0003)
    """

    def factor(self, objective: HeadObjective) -> Curvature:
        """Return the factored Hessian."""
        return self.choose(objective).factor(objective)

    def choose(self, objective: HeadObjective) -> CurvatureSolver:
        """Return the solver for an objective."""
        (k, d), n, p = objective.head.W.shape, len(objective.rows), objective.head.n_parameters
        operations = n * d * d * k * (k + 1) + p**3 / 3
        quick = k == 1 or operations <= MAX_OPERATIONS or not objective.rows.in_memory
        return Cholesky() if quick and p <= MAX_PARAMETERS else ConjugateGradients()
