"""The head: a classifier's last linear layer, the only part of a model that is ever changed.

Logits are z = W phi + b. theta is (W, b) as one vector, class by class: each class's row of W,
then its b. With that layout theta.reshape(k, d + 1) is a matrix, and a parameter gradient is
dz^T [Phi, 1], reshaped.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Weights and intercept of the last linear layer, with the penalty they were trained under.

    Parameters
    ----------
    W : array of shape (k, d)
        k = 1 for two classes (the logit of the second), K for K > 2 classes.
    b : array of shape (k,) or None
        Intercept; None where the layer has none.
    l2 : float, default=0.0
        Penalty l2/2 ||W||^2 added to the *sum* of row losses (scikit-learn's 1/C). The intercept
        is not penalised.
    classes : tuple
        The labels, in the order of their codes 0..K-1.

    Examples
    --------
    >>> import numpy as np
    >>> head = LinearHead(W=np.array([[1.0, -1.0]]), b=np.array([0.5]), classes=("no", "yes"))
    >>> head.logits(np.array([[2.0, 1.0]]))
    array([[1.5]])
    >>> head.theta
    array([ 1. , -1. ,  0.5])
    """

    W: Float[Array, "k d"]
    b: Float[Array, "k"] | None
    l2: float = 0.0
    classes: tuple = (0, 1)

    @property
    def n_parameters(self) -> int:
        """Return p, the length of theta."""
        return self.W.shape[0] * self.width

    @property
    def width(self) -> int:
        """Return the parameters of one class: d, and one for the intercept."""
        return self.W.shape[1] + (self.b is not None)

    @cached_property
    def theta(self) -> Float[Array, "p"]:
        """Return all parameters as one vector."""
        if self.b is None:
            return self._xp.reshape(self.W, (-1,))
        return self._xp.reshape(self._xp.concat([self.W, self.b[:, None]], axis=1), (-1,))

    @cached_property
    def penalty(self) -> Float[Array, "p"]:
        """Return the diagonal of the penalty's Hessian: l2 for W, 0 for the intercept."""
        xp = self._xp
        W = self.l2 * xp.ones_like(self.W)
        b = None if self.b is None else xp.zeros_like(self.b)
        return LinearHead(W, b).theta

    def with_theta(self, theta: Float[Array, "p"]) -> "LinearHead":
        """Return the same head with other parameters."""
        W, b = self.split(theta[:, None])
        return replace(self, W=W[:, :, 0], b=None if b is None else b[:, 0])

    def split(self, v: Float[Array, "p m"]) -> tuple[Float[Array, "k d m"], Array | None]:
        """Return m parameter vectors as their part in W and their part in b (or None)."""
        k, d = self.W.shape
        matrix = self._xp.reshape(v, (k, self.width, v.shape[1]))
        return matrix[:, :d, :], None if self.b is None else matrix[:, d, :]

    def logits(self, phi: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """Return z = W phi + b of each row."""
        z = phi @ self.W.T
        return z if self.b is None else z + self.b[None, :]

    @property
    def _xp(self):
        return array_namespace(self.W)
