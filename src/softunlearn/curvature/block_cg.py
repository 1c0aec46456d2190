"""Conjugate gradients for several right-hand sides that share one Krylov space.

Each iteration multiplies a block of directions by H and takes, for every right-hand side, the best
step in their span (O'Leary's block method). Where the directions of two right-hand sides become
alike the block is narrowed instead of breaking down, as proposed by Ji and Li (2017): directions
are made H-orthonormal through the eigenvectors of their small Gram matrix, and those that add
nothing are left out. Vectors, sums and small matrices are float64; the products may be rougher.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.rows import Array

Operator = Callable[[Array], Array]

ALIKE = 1e-12
"""A direction is left out whose energy is such a part of the largest: others span it, to rounding.

What it would have added is seen again once the common part of the residuals is gone."""

PATIENCE = 100
"""Iterations in which the error must fall, for some right-hand side, to half of the least yet."""


@dataclass(frozen=True, eq=False)
class Krylov:
    """Where conjugate gradients ended.

    Parameters
    ----------
    x : array of shape (p, m)
        The solutions.
    products : int
        Products with H, of a block of directions each.
    ended : bool
        Whether all errors are as small as was asked for.
    """

    x: Float[Array, "p m"]
    products: int
    ended: bool


def block_cg(
    product: Operator,
    precondition: Operator,
    b: Float[Array, "p m"],
    *,
    enough: Callable[[np.ndarray, np.ndarray], np.ndarray],
    max_products: int,
) -> Krylov:
    """Return the solutions of H x = b, from x = 0, as far as they got.

    Parameters
    ----------
    product, precondition : callable
        Multiply (p, m') arrays by H and by an approximate inverse, both symmetric and positive
        semidefinite.
    b : array of shape (p, m)
        Right-hand sides in H's range.
    enough : callable
        Says of each right-hand side whether it is solved, from the squared energies of its error,
        r . M^-1 r in the preconditioner's estimate, and of its solution, x . b.
    max_products : int
        When to give up.
    """
    xp = array_namespace(b)
    x, r, P, Q = xp.zeros_like(b), b, b[:, :0], b[:, :0]
    z = precondition(r)
    error = column_products(r, z)
    least, idle = error, 0
    for products in range(max_products):
        solved = enough(error, column_products(x, b))
        if solved.all():
            return Krylov(x, products, ended=True)
        if not np.isfinite(error).all() or idle > PATIENCE:
            return Krylov(x, products, ended=False)
        fresh = xp.take(z, _like(np.flatnonzero(~solved), z, xp.int64), axis=1)
        P = fresh - P @ (Q.T @ fresh)
        Q = product(P)
        turn = _orthonormal(_host(P.T @ Q))
        if turn is None:
            return Krylov(x, products + 1, ended=False)
        turn = _like(turn, b, b.dtype)
        P, Q = P @ turn, Q @ turn
        step = P.T @ r
        x, r = x + P @ step, r - Q @ step
        z = precondition(r)
        error = column_products(r, z)
        improved = error < least / 4
        least, idle = np.where(improved, error, least), 0 if improved.any() else idle + 1
    return Krylov(x, max_products, ended=bool(enough(error, column_products(x, b)).all()))


def _orthonormal(C: np.ndarray) -> np.ndarray | None:
    """Return T with T^T C T = 1, of fewer columns where some are alike; None if C is not positive.

    C = P^T H P: its diagonal is scaled to 1 first, as right-hand sides are of any size.
    """
    diagonal = np.diag(C)
    if not np.isfinite(C).all() or (diagonal <= 0).any():
        return None
    scale = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(scale[:, None] * C * scale[None, :])
    kept = values > ALIKE * values[-1]
    return scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])


def column_products(a: Array, b: Array) -> np.ndarray:
    """Return the inner products of the columns of two arrays."""
    return _host(array_namespace(a).sum(a * b, axis=0))


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"), dtype=np.float64)


def _like(x: np.ndarray, other: Array, dtype: Any) -> Array:
    return array_namespace(other).asarray(x, dtype=dtype, device=other.device)
