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
    """

    x: Float[Array, "p m"]
    residual: float
    iterations: int = 0
    damping: float = 0.0


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
    """

    def inverse(self) -> Float[Array, "p p"]:
        """Return H^-1."""
        ...

    def root_solve(self, xi: Float[Array, "p m"]) -> Float[Array, "p m"]:
        """Return H^-1/2 xi: for standard normal xi, normal with covariance H^-1."""
        ...


@runtime_checkable
class CurvatureSolver(Protocol):
    """A way to factor the Hessian of an objective."""

    def factor(self, objective: HeadObjective) -> Curvature:
        """Return the factored Hessian at the objective's head."""
        ...
