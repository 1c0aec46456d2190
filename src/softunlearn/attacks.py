"""Perturbed rows: where a model that is right becomes wrong.

An attack crafts new features against one head. Robustness is the log loss there: the metric of a
correction may be an attack.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.head import LinearHead
from softunlearn.rows import Array


@runtime_checkable
class Attack(Protocol):
    """A way to perturb rows against a head."""

    def perturb(self, head: LinearHead, phi: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Return perturbed copies of the rows."""
        ...


@dataclass(frozen=True)
class Boundary:
    """Each row moved straight across the head's nearest decision boundary.

    phi~ = phi - gamma (w . phi + b) / ||w||^2 w, with w and b of the boundary: the head's own for
    one logit, the difference of two classes' for several. It flips every prediction of the head
    that it was crafted against, so only its loss, or another head's accuracy on it, says anything.

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

    def perturb(self, head: LinearHead, phi: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Return the rows, moved. A head of zero weights has no boundary and moves none."""
        xp = array_namespace(phi)
        phi = xp.astype(phi, head.W.dtype)
        z = head.logits(phi)
        if z.shape[1] == 1:
            normal = head.W[0, :]
            squared = xp.sum(normal**2)
            return phi - self.gamma * z / xp.where(squared > 0, squared, 1.0) * normal[None, :]
        top = xp.argmax(z, axis=1)
        nearest = xp.full(z.shape[0], xp.inf, dtype=z.dtype, device=z.device)
        move = xp.zeros_like(phi)
        for other in range(z.shape[1]):
            normal = xp.take(head.W, top, axis=0) - head.W[other, :][None, :]
            squared = xp.sum(normal**2, axis=1)
            is_boundary = (top != other) & (squared > 0)
            squared = xp.where(is_boundary, squared, 1.0)
            ahead = xp.max(z, axis=1) - z[:, other]
            distance = xp.where(is_boundary, ahead / xp.sqrt(squared), xp.inf)
            closer = distance < nearest
            nearest = xp.where(closer, distance, nearest)
            move = xp.where(closer[:, None], (ahead / squared)[:, None] * normal, move)
        return phi - self.gamma * move
