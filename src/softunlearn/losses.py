"""Row losses: functions of one row's logits, with the derivatives that the method needs.

A row has k logits z: one (k = 1, the logistic link, classes 0 and 1) or K (softmax). This file and
`head.py` are the only ones that know the difference; elsewhere a logit array is (n, k).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.rows import Array


@runtime_checkable
class RowLoss(Protocol):
    """A loss l(z, y) of each row, twice differentiable and convex in the logits z.

    Its Hessian in the logits is the link's Jacobian, p (1 - p) or diag(p) - p p^T, at some
    probabilities p; `link_jvp` multiplies by it.

    `y` holds what the logits are compared with, one entry a row: class codes for `CrossEntropy`,
    another head's logits for `KLToTeacher`.
    """

    def value(self, z: Float[Array, "n k"], y: Array) -> Float[Array, "n"]:
        """Return l of each row."""
        ...

    def logit_gradient(self, z: Float[Array, "n k"], y: Array) -> Float[Array, "n k"]:
        """Return dl/dz of each row."""
        ...

    def probabilities(self, z: Float[Array, "n k"]) -> Float[Array, "n k"]:
        """Return the p of which the Hessian in the logits is made."""
        ...

    def logit_hvp(
        self, z: Float[Array, "n k"], y: Array, u: Float[Array, "#n k m"]
    ) -> Float[Array, "n k m"]:
        """Return d2l/dz2 of each row (symmetric, positive semidefinite) times its m vectors u."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """Log loss of the observed class, -log p_y, in nats."""

    def value(self, z: Float[Array, "n k"], y: Integer[Array, "n"]) -> Float[Array, "n"]:
        """Return -log p_y, without overflow for logits of any size."""
        xp = array_namespace(z)
        if z.shape[1] == 1:
            z = z[:, 0]
            # log(1 + e^z) - y z; |z| keeps the exponential at most 1
            return xp.clip(z, 0.0, None) + xp.log1p(xp.exp(-xp.abs(z))) - xp.astype(y, z.dtype) * z
        top = xp.max(z, axis=1, keepdims=True)
        log_sum = top[:, 0] + xp.log(xp.sum(xp.exp(z - top), axis=1))
        return log_sum - xp.sum(_one_hot(y, z) * z, axis=1)

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"]
    ) -> Float[Array, "n k"]:
        """Return p - Y, Y the observed class as a unit vector."""
        return _link(z) - _one_hot(y, z)

    def probabilities(self, z: Float[Array, "n k"]) -> Float[Array, "n k"]:
        """Return what the model predicts; of one logit the second class's."""
        return _link(z)

    def logit_hvp(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], u: Float[Array, "#n k m"]
    ) -> Float[Array, "n k m"]:
        """Return p(1 - p) u, or (diag(p) - p p^T) u; the label plays no part."""
        return link_jvp(_link(z), u)


@dataclass(frozen=True)
class KLToTeacher:
    """KL(teacher || student) between softened predictions; `y` holds the teacher's logits.

    Both are softened by T = `temperature`, and the loss is scaled by T^2, which keeps the size of
    its gradient.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"`temperature` must be above 0, got {self.temperature}.")

    def value(self, z: Float[Array, "n k"], y: Float[Array, "n k"]) -> Float[Array, "n"]:
        """Return T^2 sum_c p_c (log p_c - log q_c), p the teacher's probabilities."""
        xp, T = array_namespace(z), self.temperature
        log_p, log_q = _log_probabilities(y / T), _log_probabilities(z / T)
        return T**2 * xp.sum(xp.exp(log_p) * (log_p - log_q), axis=1)

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Float[Array, "n k"]
    ) -> Float[Array, "n k"]:
        """Return T (q - p)."""
        T = self.temperature
        return T * (_link(z / T) - _link(y / T))

    def probabilities(self, z: Float[Array, "n k"]) -> Float[Array, "n k"]:
        """Return what the student predicts, softened."""
        return _link(z / self.temperature)

    def logit_hvp(
        self, z: Float[Array, "n k"], y: Float[Array, "n k"], u: Float[Array, "#n k m"]
    ) -> Float[Array, "n k m"]:
        """Return the student's softened curvature times u; the teacher plays no part."""
        return link_jvp(self.probabilities(z), u)


def class_probabilities(z: Float[Array, "n k"]) -> Float[Array, "n classes"]:
    """Return the probability of every class; two columns for a single logit."""
    p = _link(z)
    return array_namespace(z).concat([1 - p, p], axis=1) if z.shape[1] == 1 else p


def probability_gradient(z: Float[Array, "n k"], c: int) -> Float[Array, "n k"]:
    """Return d p_c / dz of each row."""
    xp, k = array_namespace(z), z.shape[1]
    towards = xp.zeros((1, k, 1), dtype=z.dtype, device=z.device)
    towards[0, min(c, k - 1), 0] = -1.0 if k == 1 and c == 0 else 1.0
    return link_jvp(_link(z), towards)[:, :, 0]


def link_jvp(p: Float[Array, "n k"], u: Float[Array, "#n k m"]) -> Float[Array, "n k m"]:
    """Return the link's Jacobian, which is symmetric, times u, from p = link(z)."""
    xp = array_namespace(p)
    if p.shape[1] == 1:
        return (p * (1 - p))[:, :, None] * u
    pu = p[:, :, None] * u
    return pu - p[:, :, None] * xp.sum(pu, axis=1, keepdims=True)


def predicted_class(z: Float[Array, "n k"]) -> Integer[Array, "n"]:
    """Return the index of the most probable class."""
    xp = array_namespace(z)
    return xp.astype(z[:, 0] > 0, xp.int64) if z.shape[1] == 1 else xp.argmax(z, axis=1)


def _link(z: Array) -> Array:
    """Return sigmoid(z) for one logit, softmax(z) for several, exact in both tails."""
    xp = array_namespace(z)
    if z.shape[1] == 1:
        small = xp.exp(-xp.abs(z))
        return xp.where(z >= 0, xp.ones_like(z), small) / (1 + small)
    unnormalised = xp.exp(z - xp.max(z, axis=1, keepdims=True))
    return unnormalised / xp.sum(unnormalised, axis=1, keepdims=True)


def _log_probabilities(z: Array) -> Array:
    """Return the log probability of every class, exact where the probability is tiny."""
    xp = array_namespace(z)
    if z.shape[1] == 1:
        z = xp.concat([xp.zeros_like(z), z], axis=1)
    shifted = z - xp.max(z, axis=1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def _one_hot(y: Array, z: Array) -> Array:
    """Return the labels in the layout of the logits."""
    xp = array_namespace(z)
    if z.shape[1] == 1:
        return xp.astype(y, z.dtype)[:, None]
    classes = xp.arange(z.shape[1], dtype=y.dtype, device=z.device)
    return xp.astype(y[:, None] == classes[None, :], z.dtype)
