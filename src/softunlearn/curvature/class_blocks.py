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

A softmax head does not notice a shift common to all classes. Right-hand sides are freed of it
before the blocks and solutions after them, which keeps the approximation symmetric.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, is_numpy_array, to_device
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs

from softunlearn.objective import HeadObjective
from softunlearn.rows import Array

ROUNDING = 1e-5
"""Added to a float32 block of unit diagonal before it is inverted."""


@dataclass(frozen=True, eq=False)
class Moments:
    """What the classes' weighted features add up to, in float64.

    Parameters
    ----------
    mass : array of shape (k,)
        n_c.
    means : array of shape (k, d)
        mu_c; zero for a head without an intercept.
    scatter : array of shape (d, d) or (d,)
        Sum over rows and classes of kappa_ic (phi_i - mu_c)(phi_i - mu_c)^T, or its diagonal.
    """

    mass: Float[Array, "k"]
    means: Float[Array, "k d"]
    scatter: Float[Array, "..."]


def moments(
    objective: HeadObjective, probabilities: Array | None, *, diagonal: bool
) -> Moments:
    """Return mass, means and pooled scatter of the classes, in one pass after that for the mean.

    Features are taken from their mean: a year or a price would lose its digits otherwise.
    """
    head = objective.head
    xp, n = array_namespace(head.W), len(objective.rows)
    centre = xp.zeros_like(head.W[0, :])
    if head.b is not None:
        centre = objective.rows.sum(lambda chunk: xp.sum(chunk.X, axis=0)) / n

    def part(phi: Array, kappa: Array) -> tuple[Array, ...]:
        phi = phi - centre
        weighted = xp.sqrt(xp.sum(kappa, axis=1))[:, None] * phi
        scatter = xp.sum(weighted**2, axis=0) if diagonal else weighted.T @ weighted
        return xp.sum(kappa, axis=0), kappa.T @ phi, scatter

    mass, sums, scatter = objective.curvature_sum(part, probabilities)
    if head.b is None:
        return Moments(mass, xp.zeros_like(sums), scatter)
    means = sums / xp.where(mass > 0, mass, xp.ones_like(mass))[:, None]
    between = xp.sum(means * sums, axis=0) if diagonal else means.T @ sums
    return Moments(mass, means + centre, scatter - between)


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
    """

    mass: Float[Array, "k"]
    means: Float[Array, "k d"]
    intercept: bool
    scatter: Callable[[Array], Array]

    def __call__(self, r: Float[Array, "p m"]) -> Float[Array, "p m"]:
        """Return about H^-1 r."""
        xp, (k, d) = array_namespace(r), self.means.shape
        R = xp.permute_dims(xp.reshape(r, (k, d + self.intercept, -1)), (0, 2, 1))
        R = _without_shift(xp.astype(R, self.means.dtype))
        if not self.intercept:
            X = self.scatter(R)
        else:
            edge, mu = R[:, :, d:], self.means[:, None, :]
            W = self.scatter(R[:, :, :d] - mu * edge)
            b = edge / self.mass[:, None, None] - xp.sum(mu * W, axis=2, keepdims=True)
            X = xp.concat([W, b], axis=2)
        # in full precision, or rounding would leave a shift that H does not answer
        X = _without_shift(xp.astype(X, r.dtype))
        return xp.reshape(xp.permute_dims(X, (0, 2, 1)), r.shape)


def class_blocks(
    found: Moments, added: Float[Array, "k width"], scatter: Callable[[Array], Array]
) -> ClassBlocks:
    """Return the approximate inverse in the precision of `added`, what is added to H's diagonal."""
    xp, d = array_namespace(added), found.means.shape[1]
    mass, intercept = xp.astype(found.mass, added.dtype), added.shape[1] > d
    if intercept:
        mass = mass + added[:, d]
        mass = xp.clip(mass, xp.finfo(mass.dtype).eps * xp.max(mass), None)
    return ClassBlocks(mass, xp.astype(found.means, added.dtype), intercept, scatter)


def _without_shift(R: Array) -> Array:
    """Return R (k, m, width) less its mean over classes, where there are several."""
    return R if R.shape[0] == 1 else R - array_namespace(R).mean(R, axis=0, keepdims=True)


@dataclass(frozen=True, eq=False)
class Inverses:
    """A dense inverse for each class, shape (k, d, d)."""

    inverses: Float[Array, "k d d"]

    def __call__(self, R: Float[Array, "k m d"]) -> Float[Array, "k m d"]:
        """Return the product with the inverses, which are symmetric."""
        return R @ self.inverses

    @classmethod
    def of(
        cls,
        objective: HeadObjective,
        probabilities: Float[Array, "n k"],
        found: Moments,
        added: Float[Array, "k d"],
    ) -> "Inverses":
        """Return the inverses of scatter + diag(added), from the d rows of most kappa each."""
        xp, rows, dtype = array_namespace(found.means), objective.rows, objective.head.W.dtype
        k, d = found.means.shape
        pooled = xp.astype(found.scatter / xp.sum(found.mass), dtype)
        inverses = xp.empty((k, d, d), dtype=dtype, device=pooled.device)
        for c in range(k):
            kappa = probabilities[:, c] * (1 - probabilities[:, c])
            kappa = kappa if rows.weight is None else rows.weight * kappa
            most = _largest(kappa, d)
            kappa = xp.take(kappa, most)
            apart = xp.take(rows.X, most, axis=0) - xp.astype(found.means[c, :], rows.X.dtype)
            apart = xp.sqrt(kappa)[:, None] * xp.astype(apart, dtype)
            left = max(float(found.mass[c]) - float(xp.sum(kappa)), 0.0)
            block = apart.T @ apart + left * pooled
            diagonal = xp.reshape(block, (-1,))[:: d + 1]
            diagonal += added[c, :] + ROUNDING * diagonal
            inverses[c, ...] = _inverse(block)
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
        return (R @ self.basis / self.diagonal[:, None, :]) @ self.basis.T

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
        centre = xp.mean(means, axis=0)

        def squares(phi: Array) -> Array:
            return (phi - centre) ** 2 if T is None else ((phi - centre) @ T) ** 2

        around = objective.curvature_sum(
            lambda phi, kappa: kappa.T @ squares(phi), probabilities
        )
        between = xp.astype(found.mass, dtype)[:, None] * squares(means)
        return cls(T, xp.clip(around - between, 0, None) + (added if T is None else added @ T**2))
