"""Attacks with a budget: up the gradient of the log loss, within a ball around each row.

The log loss of the observed class is log(1 + e^m) with m = log sum_{c != y} e^{z_c} - z_y, the log
of the odds against it. It grows with m, so both have the same steepest direction. That of m is
taken: where a model is sure, p_y rounds to 1 and the gradient of the loss to 0, and an attack that
takes it finds such a model robust for being sure.

The ascent stands here once, as a function of rows of any shape and of their slope: against a
head, dz W; against a network, whatever back-propagation gives (`TorchModule.perturbed_inputs`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from math import inf

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.attacks.boundary import boundary_distances
from softunlearn.exceptions import InputError
from softunlearn.head import LinearHead
from softunlearn.losses import predicted_class
from softunlearn.rows import Array

Slope = Callable[[Array], tuple[Array, Array]]
"""Of rows (n, ...): each one's value m, shape (n,), and its gradient, shape (n, ...)."""

HALF_WAY = 0.5
"""A budget that is set by the data, in median distances of its rows to the nearest boundary."""

OVERSHOOT = 2.5
"""All of PGD's steps together, in radii: enough to cross the ball, and to turn round in it."""


@dataclass(frozen=True)
class GradientAttack(ABC):
    """What attacks by gradients share: their budget, and how the slope against a head is had.

    Parameters
    ----------
    epsilon : float, optional
        Radius of the ball. Without it the attack must be made definite by `fixed`.
    norm : "linf" or "l2", default="linf"
        Whose ball: of the largest change of an entry, or of the change's Euclidean length over
        all of a row's entries.
    on : "features" or "inputs", default="features"
        What is perturbed: what enters the head, or what enters the network. The latter needs an
        `epsilon`, and `TorchModule.perturbed_inputs` makes it.
    clip : tuple of two floats, optional
        Perturbed entries stay between them, (0, 1) for instance for an image. The rows must be.

    Raises
    ------
    ValueError
        An option is out of range.
    """

    epsilon: float | None = None
    _: KW_ONLY
    norm: str = "linf"
    on: str = "features"
    clip: tuple[float | int, float | int] | None = None

    def __post_init__(self) -> None:
        if self.norm not in ("linf", "l2"):
            raise ValueError(f"`norm` must be 'linf' or 'l2', got {self.norm!r}.")
        if self.on not in ("features", "inputs"):
            raise ValueError(f"`on` must be 'features' or 'inputs', got {self.on!r}.")
        if self.epsilon is not None and not 0 < self.epsilon < inf:
            raise ValueError(f"`epsilon` must be above 0 and finite, got {self.epsilon}.")
        if self.epsilon is None and self.on == "inputs":
            raise ValueError(
                "An attack on inputs needs an `epsilon`, in their own unit: distances to the "
                "head's boundary are in the features' unit."
            )
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise ValueError(f"`clip` must be (lowest, highest), got {self.clip}.")

    def perturb(
        self, head: LinearHead, phi: Float[Array, "n d"], y: Integer[Array, "n"] | None = None
    ) -> Float[Array, "n d"]:
        """Return the rows, moved up the loss of class `y` within their balls.

        Raises
        ------
        ValueError
            The attack has no `epsilon`, or is one on inputs.
        InputError
            Rows are outside `clip`.
        """
        if self.on == "inputs":
            raise ValueError(
                "This attack is on a network's inputs, not on the head's features: "
                "TorchModule(module).perturbed_inputs(attack, X, y) makes it."
            )
        phi = array_namespace(phi).astype(phi, head.W.dtype)
        codes = predicted_class(head.logits(phi)) if y is None else y

        def slope(phi: Array) -> tuple[Array, Array]:
            m, dz = odds_against(head.logits(phi), codes)
            return m, dz @ head.W

        return self.ascend(phi, slope)

    def fixed(self, head: LinearHead, phi: Float[Array, "n d"]) -> "GradientAttack":
        """Return the attack with a number for its budget; itself if it has one.

        The number is half of the rows' median distance to the head's nearest boundary. So the
        budget is one for all heads that are attacked afterwards.

        Raises
        ------
        InputError
            The rows have no such distance, or most are on the boundary.
        """
        if self.epsilon is not None:
            return self
        xp = array_namespace(phi)
        nearest = xp.sort(xp.min(boundary_distances(head, phi, self.norm), axis=1))
        n = nearest.shape[0]
        middle = 0.5 * (float(nearest[(n - 1) // 2]) + float(nearest[n // 2]))
        if not 0 < middle < inf:
            raise InputError(
                f"The rows' median distance to the head's boundary is {middle:g}, which sets no "
                "budget; give `epsilon`."
            )
        return replace(self, epsilon=HALF_WAY * middle)

    @abstractmethod
    def ascend(self, x: Float[Array, "n ..."], slope: Slope) -> Float[Array, "n ..."]:
        """Return rows higher up, in the ball around `x`; `slope` may be of any model."""

    def _ball(self, x: Array) -> "_Ball":
        """Return the ball around each row."""
        if self.epsilon is None:
            raise ValueError(
                "The attack has no budget: give `epsilon`, or call `fixed(head, phi)` first, "
                "which takes one from the data."
            )
        xp = array_namespace(x)
        if self.clip is not None and bool(xp.any((x < self.clip[0]) | (x > self.clip[1]))):
            raise InputError(
                f"the attack's clip is {self.clip} and the rows are between {float(xp.min(x)):g} "
                f"and {float(xp.max(x)):g}; give the range of the rows as the model takes them"
            )
        return _Ball(x, self.epsilon, self.norm, self.clip)


@dataclass(frozen=True)
class FGSM(GradientAttack):
    """One step to the edge of the ball, in the gradient's steepest direction there.

    The strongest attack of its budget on a head of two classes, in both norms: the distance to
    the boundary is all that counts. Several classes, or a network, are straight only nearby;
    `PGD` does better. Costs one gradient.

    See `GradientAttack` for the parameters.

    References
    ----------
    Goodfellow, Shlens and Szegedy, 2015. Beyond the paper, which names it as an extension.

    Examples
    --------
    >>> import numpy as np
    >>> head = LinearHead(W=np.array([[2.0, -1.0]]), b=np.array([0.0]))
    >>> phi, y = np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([1, 0])
    >>> FGSM(0.5).perturb(head, phi, y)
    array([[ 1.5,  1.5],
           [ 3.5, -0.5]])
    >>> FGSM().fixed(head, phi).epsilon
    0.75
    """

    def ascend(self, x: Float[Array, "n ..."], slope: Slope) -> Float[Array, "n ..."]:
        """Return the point at the edge. Rows without a gradient stay where they are."""
        ball = self._ball(x)
        _, gradient = slope(x)
        return ball.step(x, gradient, ball.radius)


@dataclass(frozen=True)
class PGD(GradientAttack):
    """Many short steps, each pulled back into the ball; of all points passed, the highest.

    Where the model is not straight within the ball it goes on where `FGSM` stops. FGSM's point is
    among those that it chooses from, row by row, so it is never the weaker of the two, and never
    weaker than no attack. It starts at the row itself and is not restarted elsewhere: against a
    network its loss is a lower bound of the worst. Costs `steps` + 2 gradients.

    See `GradientAttack` for the other parameters.

    Parameters
    ----------
    steps : int, default=10
    step_size : float, optional
        Length of a step, in the norm. Default: 2.5 epsilon / steps.

    References
    ----------
    Madry et al., 2018. Beyond the paper, which names it as an extension.

    Examples
    --------
    >>> import numpy as np
    >>> head = LinearHead(W=np.array([[3.0, 4.0]]), b=None)
    >>> PGD(0.5, norm="l2").perturb(head, np.array([[1.0, 1.0]]), np.array([1]))
    array([[0.7, 0.6]])
    """

    _: KW_ONLY
    steps: int = 10
    step_size: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, got {self.steps}.")
        if self.step_size is not None and not 0 < self.step_size < inf:
            raise ValueError(f"`step_size` must be above 0 and finite, got {self.step_size}.")

    def ascend(self, x: Float[Array, "n ..."], slope: Slope) -> Float[Array, "n ..."]:
        """Return the highest point seen. Rows without a gradient stay where they are."""
        ball = self._ball(x)
        length = self.step_size or OVERSHOOT * ball.radius / self.steps
        value, gradient = slope(x)
        at_edge = ball.step(x, gradient, ball.radius)
        best, highest = _higher((x, value), (at_edge, slope(at_edge)[0]))
        here = x
        for _ in range(self.steps):
            here = ball.step(here, gradient, length)
            value, gradient = slope(here)
            best, highest = _higher((best, highest), (here, value))
        return best


def odds_against(
    z: Float[Array, "n k"], y: Integer[Array, "n"]
) -> tuple[Float[Array, "n"], Float[Array, "n k"]]:
    """Return m, the log odds against the observed class, and dm/dz.

    dm/dz = q - Y, with q the softmax over the other classes: p - Y but for its length, and as
    exact where p_y is 1.
    """
    xp, one = array_namespace(z), z.shape[1] == 1
    if one:
        z = xp.concat([xp.zeros_like(z), z], axis=1)
    classes = xp.arange(z.shape[1], dtype=y.dtype, device=z.device)
    own = y[:, None] == classes[None, :]
    others = xp.where(own, -inf, z)
    top = xp.max(others, axis=1, keepdims=True)
    odds = xp.exp(others - top)
    total = xp.sum(odds, axis=1, keepdims=True)
    m = top[:, 0] + xp.log(total[:, 0]) - xp.sum(xp.where(own, z, 0.0), axis=1)
    dz = odds / total - xp.astype(own, z.dtype)
    return m, dz[:, 1:] if one else dz


@dataclass(frozen=True, eq=False)
class _Ball:
    """The points within `radius` of each row of `centre`, and within the range `clip`."""

    centre: Float[Array, "n ..."]
    radius: float
    norm: str
    clip: tuple[float | int, float | int] | None

    def step(self, x: Array, gradient: Array, length: float) -> Array:
        """Return where the steepest step of a length leads to, pulled back into the ball."""
        # as an offset from the centre: rounding then is the offset's, not the rows'
        offset = (x - self.centre) + length * self._steepest(gradient)
        moved = self.centre + self._pulled_back(offset)
        return moved if self.clip is None else array_namespace(moved).clip(moved, *self.clip)

    def _steepest(self, gradient: Array) -> Array:
        """Return the step of length 1 that the gradient is largest along; 0 where it is 0."""
        xp = array_namespace(gradient)
        if self.norm == "linf":
            return xp.sign(gradient)
        axes = _entries(gradient)
        largest = xp.max(xp.abs(gradient), axis=axes, keepdims=True)
        unit = gradient / xp.where(largest > 0, largest, 1.0)  # whose square does not vanish
        size = xp.sqrt(xp.sum(unit**2, axis=axes, keepdims=True))
        return unit / xp.where(size > 0, size, 1.0)

    def _pulled_back(self, offset: Array) -> Array:
        """Return the nearest offset, in Euclidean distance, that is in the ball."""
        xp = array_namespace(offset)
        if self.norm == "linf":
            return xp.clip(offset, -self.radius, self.radius)
        size = xp.sqrt(xp.sum(offset**2, axis=_entries(offset), keepdims=True))
        outside = size > self.radius
        return xp.where(outside, offset * (self.radius / xp.where(outside, size, 1.0)), offset)


def _higher(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the rows and values of whichever point is higher, row by row."""
    xp, (x, low), (x_other, high) = array_namespace(one[0]), one, other
    rises = high > low
    by_row = xp.reshape(rises, (rises.shape[0],) + (1,) * (x.ndim - 1))
    return xp.where(by_row, x_other, x), xp.where(rises, high, low)


def _entries(x: Array) -> tuple[int, ...]:
    """Return the axes of a row's entries."""
    return tuple(range(1, x.ndim))
