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
    """

    x: Float[Array, "p m"]
    residual: float
    iterations: int = 0


@runtime_checkable
class Curvature(Protocol):
    """A factored Hessian."""

    @property
    def damping(self) -> float:
        """H + damping * diag(H) was factored; 0 where H itself was."""
        ...

    @property
    def condition(self) -> float:
        """Estimated condition number of what was factored, H scaled to a unit diagonal."""
        ...

    def solve(self, rhs: Float[Array, "p m"]) -> Solution:
        """Return H^-1 rhs."""
        ...

    def inverse(self) -> Float[Array, "p p"]:
        """Return H^-1, for leverage."""
        ...


@runtime_checkable
class CurvatureSolver(Protocol):
    """A way to factor the Hessian of an objective."""

    def factor(self, objective: HeadObjective) -> Curvature:
        """Return the factored Hessian at the objective's head."""
        ...
