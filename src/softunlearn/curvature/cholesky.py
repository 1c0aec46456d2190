"""The dense solver: H is formed in one pass over the rows and factored once.

The right choice up to some thousands of parameters: n p^2 for the pass, p^3/3 for the factor,
8 p^2 bytes. H is first scaled to a unit diagonal, so features in dollars and in years are treated
alike. Two kinds of singularity are met. A softmax head does not notice a shift common to all
classes: that direction is filled in, exactly, because no gradient ever points there. Collinear
features without a penalty are damped, by the smallest amount on a ladder that gives a usable
factor, and the amount is reported.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float
from scipy.linalg import LinAlgError, cho_factor, cho_solve, get_lapack_funcs, solve_triangular

from softunlearn.curvature.damping import LADDER, MAX_CONDITION, steps_from
from softunlearn.curvature.solver import Solution
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array

MAX_BYTES = 4 * 2**30
"""Largest H that is formed: p of about 23,000."""


@dataclass(frozen=True)
class Cholesky:
    """Dense factor of H, in float64.

    Parameters
    ----------
    damping : float, default=0.0
        Factor H + damping * diag(H). Where that is not enough for a usable factor, more is taken,
        and reported.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(2), np.array([0, 1]))
    >>> head = LinearHead(np.zeros((1, 2)), None, l2=0.75)
    >>> Cholesky().factor(HeadObjective(head, rows)).solve(np.ones((2, 1))).x
    array([[1.],
           [1.]])
    """

    damping: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.damping < np.inf:
            raise ValueError(f"`damping` must be at least 0 and finite, got {self.damping}.")

    def factor(self, objective: HeadObjective) -> "CholeskyFactor":
        """Return the factored Hessian.

        Raises
        ------
        SingularCurvatureError
            H is too large to form, not finite, or has no usable factor even when damped.
        """
        p = objective.head.n_parameters
        if 8 * p * p > MAX_BYTES:
            raise SingularCurvatureError(
                f"The head has {p:,} parameters, and its Hessian would take "
                f"{8 * p * p / 2**30:.0f} GiB; the dense solver stops at {MAX_BYTES >> 30} GiB."
            )
        H = _to_numpy(objective.hessian())
        if not np.isfinite(H).all():
            raise SingularCurvatureError(
                "The Hessian is not finite: some features or weights are too large. Scale them."
            )
        filled = H + _gauge(objective.head, H)
        diagonal = np.diag(filled)
        scale = np.where(diagonal > 0, diagonal, 1.0) ** -0.5
        scaled = scale[:, None] * filled * scale[None, :]
        for damping in steps_from(self.damping):
            factor, condition = _try_factor(scaled, damping)
            if factor is not None:
                return CholeskyFactor(factor, scale, H, damping, condition, objective.head.W)
        raise SingularCurvatureError(
            f"The Hessian has no usable factor, even with {LADDER[-1]:g} of its diagonal added. "
            "Train with a penalty, or remove constant and repeated features."
        )


@dataclass(frozen=True, eq=False)
class CholeskyFactor:
    """A factored Hessian; see `Curvature`."""

    factor: tuple[np.ndarray, bool]
    scale: np.ndarray
    H: np.ndarray
    damping: float
    condition: float
    like: Any
    name = "Cholesky factor"

    def solve(self, rhs: Float[Array, "p m"]) -> Solution:
        """Return H^-1 rhs, refined once against the undamped H."""
        b = _to_numpy(rhs)
        x = self._solve(b)
        if self.damping == 0.0:
            x = x + self._solve(b - self.H @ x)
        norms = np.linalg.norm(b, axis=0)
        residual = np.linalg.norm(self.H @ x - b, axis=0) / np.where(norms > 0, norms, 1.0)
        return Solution(self._like(x), float(residual.max(initial=0.0)))

    def inverse(self) -> Float[Array, "p p"]:
        """Return H^-1."""
        return self._like(self._solve(np.eye(len(self.scale))))

    def root_solve(self, xi: Float[Array, "p m"]) -> Float[Array, "p m"]:
        """Return H^-1/2 xi."""
        L, lower = self.factor
        x = solve_triangular(L, _to_numpy(xi), lower=lower, trans=1)
        return self._like(self.scale[:, None] * x)

    def _solve(self, b: np.ndarray) -> np.ndarray:
        return self.scale[:, None] * cho_solve(self.factor, self.scale[:, None] * b)

    def _like(self, x: np.ndarray) -> Array:
        xp = array_namespace(self.like)
        return xp.asarray(x, dtype=self.like.dtype, device=self.like.device)


def _try_factor(
    scaled: np.ndarray, damping: float
) -> tuple[tuple[np.ndarray, bool] | None, float]:
    """Return the factor of the damped matrix, None where unusable, and its condition number."""
    damped = scaled + damping * np.eye(len(scaled))
    try:
        factor = cho_factor(damped, lower=True)
    except LinAlgError:
        return None, np.inf
    (pocon,) = get_lapack_funcs(("pocon",), (damped,))
    reciprocal, _ = pocon(factor[0], np.abs(damped).sum(axis=0).max(), uplo="L")
    condition = 1 / reciprocal if reciprocal > 0 else np.inf
    return (factor, condition) if condition <= MAX_CONDITION else (None, condition)


def _gauge(head: LinearHead, H: np.ndarray) -> np.ndarray | float:
    """Return what fills a softmax head's null directions, zero on all that gradients span.

    Adding the same vector to every class's parameters changes no probability. Every gradient is
    orthogonal to those directions and H maps their complement to itself, so solves are unchanged.
    """
    k = head.W.shape[0]
    if k == 1:
        return 0.0
    return np.kron(np.full((k, k), 1 / k), np.diag(_mean_block_diagonal(H, k)))


def _mean_block_diagonal(H: np.ndarray, k: int) -> np.ndarray:
    """Return the diagonal of H averaged over classes, so that the filling is of H's own size."""
    return np.diag(H).reshape(k, -1).mean(axis=0)


def _to_numpy(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"), dtype=np.float64)
