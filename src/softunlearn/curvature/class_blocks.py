"""An approximate H^-1 for heads of several classes: every class's own block of H, inverted.

With kappa_ic = s_i p_ic (1 - p_ic) the block of class c is the Gram matrix of [phi, 1] under the
weights kappa_c, plus the penalty. Rows count where a class is in doubt, so no two blocks are
alike: a product of one feature matrix and one class matrix takes three times the iterations.
Two things make the blocks cheap.

* Around the class's own mean mu_c = sum_i kappa_ic phi_i / n_c, n_c = sum_i kappa_ic, the
  intercept's row and column vanish but for n_c: it is solved for by itself.
* What is left of a class, its scatter around mu_c, is taken from the rows that count most,
  `Inverses`, and for the others as the pooled scatter; or, where d x d matrices for all classes
  are too many, `SharedBasis`: only its diagonal in the eigenvectors of the pooled scatter.

A softmax head does not notice a shift common to all classes, and no head notices directions that
no row has. Right-hand sides are freed of both before the blocks and solutions after them, which
keeps the approximation symmetric; conjugate gradients then never meet them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_numpy_array, to_device
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs

from softunlearn.curvature.pooled import Moments, Pooled
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array
from softunlearn.threads import in_threads

ROUNDING = 1e-5
"""Added to a float32 block of unit diagonal before it is inverted."""

ROWS = 2
"""Rows of most kappa, as a multiple of d, that a dense block is made of. Half as many take half as
many products again; more of them take longer to gather than they save."""

NO_MASS = 1e-20
"""Least mass of a class that no row is in doubt of, as a part of the largest."""


@dataclass(frozen=True, eq=False)
class ClassBlocks:
    """The approximate inverse, as a product with (p, m) arrays.

    Parameters
    ----------
    mass, means : arrays of shape (k,) and (k, d)
        n_c and mu_c.
    intercept : bool
    scatter : callable
        Multiplies a (k, m, d) array, class by class, by the inverse of the scatter with penalty.
    null : two arrays of shape (d, r), or None
        N and D of `Pooled`: solutions are freed of N D^T, right-hand sides of its transpose.
    """

    mass: Float[Array, "k"]
    means: Float[Array, "k d"]
    intercept: bool
    scatter: Callable[[Array], Array]
    null: tuple[Float[Array, "d r"], Float[Array, "d r"]] | None

    def __call__(self, r: Float[Array, "p m"]) -> Float[Array, "p m"]:
        """Return about H^-1 r."""
        xp, (k, d) = array_namespace(r), self.means.shape
        R = xp.permute_dims(xp.reshape(r, (k, d + self.intercept, -1)), (0, 2, 1))
        R = _without_shift(R)
        if not self.intercept:
            X = self._solve(R)
        else:
            edge, mu = R[:, :, d:], self.means[:, None, :]
            W = self._solve(R[:, :, :d] - mu * edge)
            b = edge / self.mass[:, None, None] - xp.sum(mu * W, axis=2, keepdims=True)
            X = xp.concat([W, b], axis=2)
        return xp.reshape(xp.permute_dims(_without_shift(X), (0, 2, 1)), r.shape)

    def _solve(self, R: Array) -> Array:
        if self.null is None:
            return self.scatter(R)
        N, D = self.null
        W = self.scatter(R - (R @ N) @ D.T)
        return W - (W @ D) @ N.T  # in full precision, or what H does not see would remain


def class_blocks(
    found: Moments,
    average: Pooled,
    added: Float[Array, "k width"],
    scatter: Callable[[Array], Array],
) -> ClassBlocks:
    """Return the approximate inverse; `added` is what H's diagonal has beside the rows."""
    xp, d, mass = array_namespace(added), found.means.shape[1], found.mass
    intercept = added.shape[1] > d
    if intercept:
        mass = mass + added[:, d]
        mass = xp.clip(mass, NO_MASS * xp.max(mass), None)
    return ClassBlocks(mass, found.means, intercept, scatter, average.null)


def _without_shift(R: Array) -> Array:
    """Return R (k, m, width) less its mean over classes, where there are several."""
    return R if R.shape[0] == 1 else R - array_namespace(R).mean(R, axis=0, keepdims=True)


@dataclass(frozen=True, eq=False)
class Inverses:
    """A dense inverse for each class, shape (k, d, d)."""

    inverses: Float[Array, "k d d"]

    def __call__(self, R: Float[Array, "k m d"]) -> Float[Array, "k m d"]:
        """Return the product with the inverses, which are symmetric."""
        xp = array_namespace(R)
        return xp.astype(xp.astype(R, self.inverses.dtype) @ self.inverses, R.dtype)

    @classmethod
    def of(
        cls,
        objective: HeadObjective,
        probabilities: Float[Array, "n k"],
        found: Moments,
        added: Float[Array, "k d"],
    ) -> "Inverses":
        """Return the inverses of scatter + diag(added), from the rows of most kappa each."""
        xp, rows, dtype = array_namespace(found.means), objective.rows, objective.head.W.dtype
        k, d = found.means.shape
        pooled = xp.astype(found.scatter / xp.sum(found.mass), dtype)
        inverses = xp.empty((k, d, d), dtype=dtype, device=pooled.device)

        def invert(c: int) -> None:
            kappa = probabilities[:, c] * (1 - probabilities[:, c])
            kappa = kappa if rows.weight is None else rows.weight * kappa
            most = _largest(kappa, ROWS * d)
            kappa = xp.take(kappa, most)
            apart = xp.take(rows.X, most, axis=0) - xp.astype(found.means[c, :], rows.X.dtype)
            apart = xp.sqrt(kappa)[:, None] * xp.astype(apart, dtype)
            left = max(float(found.mass[c]) - float(xp.sum(kappa)), 0.0)
            block = apart.T @ apart + left * pooled
            diagonal = xp.reshape(block, (-1,))[:: d + 1]
            diagonal += added[c, :] + ROUNDING * diagonal
            inverses[c, ...] = _inverse(block)

        # BLAS takes twice as long for such small blocks with two threads as with one
        for _ in in_threads(invert, ((c,) for c in range(k))):
            pass
        return cls(inverses)


def _largest(values: Array, count: int) -> Array:
    """Return the positions of the largest values."""
    there = np.asarray(to_device(values, "cpu"))
    everyone = np.arange(len(there))
    most = np.argpartition(-there, count)[:count] if len(there) > count else everyone
    return array_namespace(values).asarray(most, device=values.device)


def _inverse(block: Array) -> Array:
    """Return the inverse of a positive definite matrix."""
    if not is_numpy_array(block):
        return array_namespace(block).linalg.inv(block)
    # a quarter of the time of a general inverse
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (block,))
    factor, _ = potrf(block.T, lower=True, overwrite_a=True)
    half, _ = potri(factor, lower=True, overwrite_c=True)
    inverse = half + half.T
    inverse.reshape(-1)[:: len(block) + 1] /= 2
    return inverse


@dataclass(frozen=True, eq=False)
class SharedBasis:
    """A basis T (d, d) in which every class's scatter is taken as its diagonal, shape (k, d).

    Without a basis T is the identity.
    """

    basis: Float[Array, "d d"] | None
    diagonal: Float[Array, "k d"]

    def __call__(self, R: Float[Array, "k m d"]) -> Float[Array, "k m d"]:
        """Return T (T^T R / diagonal), class by class."""
        if self.basis is None:
            return R / self.diagonal[:, None, :]
        xp, (k, m, d) = array_namespace(R), R.shape
        within = xp.astype(xp.reshape(R, (k * m, d)), self.basis.dtype) @ self.basis
        within = xp.reshape(within, (k, m, d)) / self.diagonal[:, None, :]
        W = xp.reshape(within, (k * m, d)) @ self.basis.T
        return xp.astype(xp.reshape(W, (k, m, d)), R.dtype)

    @classmethod
    def of(
        cls,
        objective: HeadObjective,
        probabilities: Float[Array, "n k"] | None,
        found: Moments,
        added: Float[Array, "k d"],
        basis: Float[Array, "d d"] | None,
    ) -> "SharedBasis":
        """Return the diagonals of T^T (scatter + diag(added)) T, in one pass over the rows."""
        xp, dtype = array_namespace(found.means), objective.head.W.dtype
        T = None if basis is None else xp.astype(basis, dtype)
        means = xp.astype(found.means, dtype)
        centre = xp.astype(found.centre, dtype)

        def squares(phi: Array) -> Array:
            return (phi - centre) ** 2 if T is None else ((phi - centre) @ T) ** 2

        around = objective.curvature_sum(lambda phi, kappa: kappa.T @ squares(phi), probabilities)
        between = xp.astype(found.mass, dtype)[:, None] * squares(means)
        diagonal = xp.clip(around - between, 0.0, None) + (added if T is None else added @ T**2)
        return cls(T, xp.where(diagonal > 0, diagonal, xp.ones_like(diagonal)))
