"""Conjugate gradients with cheap products, and residuals that are computed with exact ones.

A pass solves for what the exact residual says is missing, with rough products, down to the error
that they are trusted to leave; then the residual is computed anew. Rough products so cost speed
and never accuracy. Where a pass does not help, exact products take over.
"""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.block_cg import Operator, block_cg, column_products
from softunlearn.rows import Array

ROUGH = 1e-5
"""Part of the error that one pass of rough products is trusted to leave."""

WORTH = 0.1
"""A pass that leaves more than this of the error was not worth it."""

MARGIN = 0.7
"""Part of the tolerance that a pass aims at: the exact residual then seldom asks for another."""


@dataclass(frozen=True, eq=False)
class Refined:
    """Solutions x of H x = b, with b - H x computed exactly.

    Parameters
    ----------
    x, residual : arrays of shape (p, m)
    products : int
        Products with H per right-hand side, rough ones and exact ones.
    solved : bool
        Whether the error is within the tolerance.
    """

    x: Float[Array, "p m"]
    residual: Float[Array, "p m"]
    products: int
    solved: bool


def refined(
    exact: Operator,
    rough: Operator,
    precondition: Operator,
    b: Float[Array, "p m"],
    *,
    tolerance: float,
    max_products: int,
) -> Refined:
    """Return the solutions of H x = b.

    Parameters
    ----------
    exact, rough : callable
        Products with H.
    precondition : callable
        Product with an approximate inverse.
    b : array of shape (p, m)
    tolerance : float
        Of the error in the norm of H, as a part of the solution's.
    max_products : int
        When to give up.
    """
    x, r, products, product = array_namespace(b).zeros_like(b), b, 0, rough
    aim = (MARGIN * tolerance) ** 2
    error = column_products(r, precondition(r))
    while products < max_products:
        energy, trusted = column_products(x, b), 0.0 if product is exact else ROUGH**2 * error
        step = block_cg(
            product,
            precondition,
            r,
            enough=lambda e, xb, energy=energy, trusted=trusted: (
                e <= np.maximum(aim * np.maximum(energy, xb), trusted)
            ),
            max_products=max_products - products,
        )
        further = x + step.x
        left = b - exact(further)
        products += step.products + 1
        now = column_products(left, precondition(left))
        wanted = tolerance**2 * column_products(further, b)
        worth = np.isfinite(now) & (now <= np.maximum(WORTH**2 * error, wanted))
        if (now <= np.maximum(error, wanted)).all():
            x, r, error = further, left, now
        if (now <= wanted).all():
            return Refined(further, left, products, solved=True)
        if not worth.all():
            if product is exact:
                break
            product = exact
    return Refined(x, r, products, solved=False)
