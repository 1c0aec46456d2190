"""What the classes' weighted features add up to, and what that says of the Hessian.

With kappa_ic = s_i p_ic (1 - p_ic), row i counts kappa_ic in class c's own block of H. Averaged
over classes the blocks are one matrix of d features, whose eigenvectors are affordable where those
of H are not. They are a basis for all classes; and H has a null direction, beside the shifts that
a softmax does not see, just where this matrix has one.
"""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.curvature.damping import LADDER, MAX_CONDITION, steps_from
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Moments:
    """The classes' weighted rows, in the head's precision (float64).

    Parameters
    ----------
    mass : array of shape (k,)
        n_c = sum_i kappa_ic.
    means : array of shape (k, d)
        mu_c = sum_i kappa_ic phi_i / n_c; zero for a head without an intercept.
    scatter : array of shape (d, d) or (d,)
        Sum over rows and classes of kappa_ic (phi_i - mu_c)(phi_i - mu_c)^T, or its diagonal.
    """

    mass: Float[Array, "k"]
    means: Float[Array, "k d"]
    scatter: Float[Array, "..."]

    @property
    def centre(self) -> Float[Array, "d"]:
        """Return a mean of the features; zero for a head without an intercept."""
        return array_namespace(self.means).mean(self.means, axis=0)


def moments(
    objective: HeadObjective, probabilities: Float[Array, "n k"] | None, *, diagonal: bool
) -> Moments:
    """Return mass, means and scatter of the classes, in one pass after that for the mean.

    Features are taken from their mean: a year or a price would lose its digits otherwise.
    """
    head, xp = objective.head, array_namespace(objective.head.W)
    centre = xp.zeros_like(head.W[0, :])
    if head.b is not None:
        rows, dtype = objective.rows, head.W.dtype
        centre = rows.sum(lambda chunk: xp.sum(xp.astype(chunk.X, dtype), axis=0)) / len(rows)

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
class Pooled:
    """The average class's block, scaled to a unit diagonal, in its eigenvectors.

    Parameters
    ----------
    condition : float
        Its condition number, damped; NaN where there are too many features for eigenvectors.
    damping : float
        The least damping that makes it usable, of the ladder.
    basis : array of shape (d, d) or None
        T with T^T (block) T diagonal.
    null : (array of shape (d, r), array of shape (d, r)) or None
        Features' directions that no row has, N, and D with D^T N = 1.
    """

    condition: float
    damping: float
    basis: Float[Array, "d d"] | None
    null: tuple[Float[Array, "d r"], Float[Array, "d r"]] | None


def pooled(head: LinearHead, found: Moments, damping: float) -> Pooled:
    """Return what the average class's block says, with at least the damping that is asked for.

    Raises
    ------
    SingularCurvatureError
        It is not finite, or singular even when damped.
    """
    xp, (k, d) = array_namespace(head.W), head.W.shape
    if not bool(xp.all(found.scatter < xp.inf)):
        raise SingularCurvatureError(
            "The Hessian is not finite: some features or weights are too large. Scale them."
        )
    scatter = np.asarray(to_device(found.scatter, "cpu"), dtype=np.float64)
    if scatter.ndim == 1:
        empty = np.eye(d)[:, scatter + head.l2 + damping == 0]
        empty = xp.asarray(empty, dtype=head.W.dtype, device=head.W.device)
        return Pooled(np.nan, damping, None, (empty, empty) if empty.size else None)
    block = scatter / k + head.l2 * np.eye(d)
    diagonal = np.diag(block)
    scale = np.where(diagonal > 0, diagonal, 1.0) ** 0.5
    values, vectors = np.linalg.eigh(block / scale / scale[:, None])
    values = np.maximum(values, 0.0)
    null = vectors[:, values + damping <= values[-1] / MAX_CONDITION]
    basis, N, D = (
        xp.asarray(x, dtype=head.W.dtype, device=head.W.device)
        for x in (vectors / scale[:, None], null / scale[:, None], null * scale[:, None])
    )
    for step in steps_from(damping):
        if values[-1] + step <= MAX_CONDITION * (values[0] + step):
            condition = (values[-1] + step) / (values[0] + step) if values[0] + step else np.inf
            return Pooled(float(condition), step, basis, (N, D) if null.size else None)
    raise SingularCurvatureError(
        f"The Hessian is singular, even with {LADDER[-1]:g} of its diagonal added. "
        "Train with a penalty, or remove constant and repeated features."
    )
