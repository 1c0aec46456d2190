"""Each row moved across its nearest decision boundary; how far away every boundary is.

Between two classes the boundary is where z_t = z_c, a hyperplane with the normal w_t - w_c. A
head of one logit is one of two, 0 and z, so that nothing else knows the difference.
"""

from dataclasses import dataclass

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.head import LinearHead
from softunlearn.rows import Array


@dataclass(frozen=True)
class Boundary:
    """Each row moved straight across the head's nearest decision boundary.

    phi~ = phi - gamma (w . phi + b) / ||w||^2 w, with w and b of the boundary: the head's own for
    one logit, the difference of two classes' for several. It flips every prediction of the head
    that it was crafted against, so only its loss, or another head's accuracy on it, says anything.
    Labels play no part.

    Parameters
    ----------
    gamma : float, default=1.3
        Length of the move in distances to the boundary; above 1 it crosses.

    References
    ----------
    Section 3 of the paper, which prints ||w|| where the projection has ||w||^2. Several classes:
    beyond the paper.

    Examples
    --------
    >>> import numpy as np
    >>> head = LinearHead(W=np.array([[2.0, 0.0]]), b=np.array([-2.0]))
    >>> Boundary(gamma=1.5).perturb(head, np.array([[3.0, 5.0]]))
    array([[0., 5.]])
    """

    gamma: float = 1.3

    def __post_init__(self) -> None:
        if not self.gamma > 1:
            raise ValueError(f"`gamma` must be above 1 to cross the boundary, got {self.gamma}.")

    def perturb(
        self, head: LinearHead, phi: Float[Array, "n d"], y: Integer[Array, "n"] | None = None
    ) -> Float[Array, "n d"]:
        """Return the rows, moved. A head of zero weights has no boundary and moves none."""
        xp = array_namespace(phi)
        phi = xp.astype(phi, head.W.dtype)
        z, W = _by_class(head, phi)
        top, other = xp.argmax(z, axis=1), xp.argmin(boundary_distances(head, phi), axis=1)
        normal = xp.take(W, top, axis=0) - xp.take(W, other, axis=0)
        ahead = xp.max(z, axis=1) - xp.take_along_axis(z, other[:, None], axis=1)[:, 0]
        squared = xp.sum(normal**2, axis=1)
        length = ahead / xp.where(squared > 0, squared, 1.0)
        return phi - self.gamma * length[:, None] * normal

    def fixed(self, head: LinearHead, phi: Float[Array, "n d"]) -> "Boundary":
        """Return itself: its length is each row's own distance."""
        return self


def boundary_distances(
    head: LinearHead, phi: Float[Array, "n d"], norm: str = "l2"
) -> Float[Array, "n classes"]:
    """Return how far each row is from the boundary of its class with each other class.

    (z_top - z_c) / ||w_top - w_c||, in the dual norm: the shortest move in `norm`, "linf" or "l2",
    that reaches it. Infinite where there is no boundary, as with the class itself.
    """
    xp = array_namespace(phi)
    z, W = _by_class(head, xp.astype(phi, head.W.dtype))
    # only classes that are some row's: their normals are fewer than the rows'
    tops, which = xp.unique_inverse(xp.argmax(z, axis=1))
    normals = (W[int(top), :][None, :] - W for top in tops)
    sizes = xp.stack([_dual_size(normal, norm) for normal in normals])
    slope = xp.take(sizes, which, axis=0)
    ahead = xp.max(z, axis=1, keepdims=True) - z
    return xp.where(slope > 0, ahead / xp.where(slope > 0, slope, 1.0), xp.inf)


def _by_class(head: LinearHead, phi: Array) -> tuple[Array, Array]:
    """Return logits and weights with one column, and one row, a class."""
    xp, z, W = array_namespace(phi), head.logits(phi), head.W
    if z.shape[1] > 1:
        return z, W
    return xp.concat([xp.zeros_like(z), z], axis=1), xp.concat([xp.zeros_like(W), W], axis=0)


def _dual_size(normals: Array, norm: str) -> Array:
    """Return how much one unit of `norm` can change w . phi, for each row w of `normals`."""
    xp = array_namespace(normals)
    if norm == "linf":
        return xp.sum(xp.abs(normals), axis=1)
    return xp.sqrt(xp.sum(normals**2, axis=1))
