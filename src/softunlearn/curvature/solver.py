"""The contract of curvature solvers."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float

from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Solution:
    """H^-1 of some right-hand sides, and how exact it is.

    Parameters
    ----------
    x : array of shape (p, m)
    residual : float
        Largest ||H x - rhs|| / ||rhs|| of the m, with the *undamped* H.
    iterations : int
        Products with H per right-hand side; 0 for a direct solver.
    damping : float
        H + damping * diag(H) was solved with, where that is more than the factor's own.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.curvature import Cholesky
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(2), np.array([0, 1]))
    >>> objective = HeadObjective(LinearHead(np.zeros((1, 2)), None, l2=0.75), rows)
    >>> solution = Cholesky().factor(objective).solve(np.ones((2, 1)))
    >>> solution.x[:, 0], solution.residual < 1e-12, solution.iterations
    (array([1., 1.]), True, 0)
    """

    x: Float[Array, "p m"]
    residual: float
    iterations: int = 0
    damping: float = 0.0


@runtime_checkable
class Curvature(Protocol):
    """A factored Hessian.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.curvature import Cholesky
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(2), np.array([0, 1]))
    >>> objective = HeadObjective(LinearHead(np.zeros((1, 2)), None, l2=0.75), rows)
    >>> Cholesky().factor(objective).solve(np.ones((2, 1))).x[:, 0]
    array([1., 1.])
    """

    @property
    def damping(self) -> float:
        """H + damping * diag(H) was factored; 0 where H itself was."""
        ...

    @property
    def condition(self) -> float:
        """Estimated condition number of what was factored, H scaled to a unit diagonal."""
        ...

    @property
    def name(self) -> str:
        """Return how it is solved with, in a few words for a report."""
        ...

    def solve(self, rhs: Float[Array, "p m"]) -> Solution:
        """Return H^-1 rhs."""
        ...


@runtime_checkable
class DenseCurvature(Curvature, Protocol):
    """A factored Hessian that is small enough to be held whole.

    What needs all of H^-1 asks whether it has one of these, and does without where it has not:
    leverage is then unknown.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.curvature import Cholesky
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(2), np.array([0, 1]))
    >>> objective = HeadObjective(LinearHead(np.zeros((1, 2)), None, l2=0.75), rows)
    >>> Cholesky().factor(objective).inverse()
    array([[1., 0.],
           [0., 1.]])
    """

    def inverse(self) -> Float[Array, "p p"]:
        """Return H^-1."""
        ...

    def root_solve(self, xi: Float[Array, "p m"]) -> Float[Array, "p m"]:
        """Return H^-1/2 xi: for standard normal xi, normal with covariance H^-1."""
        ...


@runtime_checkable
class CurvatureSolver(Protocol):
    """A way to factor the Hessian of an objective.

    Examples
    --------
    A solver that sees the Hessian's diagonal alone:

    >>> import numpy as np, softunlearn as su
    >>> class Diagonal:
    ...     damping, condition, name = 0.0, 1.0, "the diagonal alone"
    ...     def __init__(self, objective=None):
    ...         self.objective = objective
    ...     def factor(self, objective):
    ...         return Diagonal(objective)
    ...     def solve(self, rhs):
    ...         x = rhs / self.objective.hessian_diagonal()[:, None]
    ...         residual = np.linalg.norm(self.objective.hvp(x) - rhs) / np.linalg.norm(rhs)
    ...         return Solution(x, float(residual))
    >>> isinstance(Diagonal(), CurvatureSolver), isinstance(Diagonal(), Curvature)
    (True, True)

    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, curvature=Diagonal())
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    def factor(self, objective: HeadObjective) -> Curvature:
        """Return the factored Hessian at the objective's head."""
        ...
