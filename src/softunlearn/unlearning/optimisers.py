"""First-order optimisers on a flat parameter vector, as pure functions of their state."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.rows import Array

State = tuple[Array, ...]


@runtime_checkable
class Optimiser(Protocol):
    """A rule that turns gradients into steps.

    Examples
    --------
    >>> class SignDescent:
    ...     def start(self, theta):
    ...         return ()
    ...     def step(self, theta, gradient, state):
    ...         return theta - 0.01 * np.sign(gradient), state
    >>> import numpy as np, softunlearn as su
    >>> training = su.unlearning.Training(optimiser=SignDescent())
    >>> isinstance(training.optimiser, Optimiser)
    True
    """

    def start(self, theta: Float[Array, "p"]) -> State:
        """Return the state before the first step."""
        ...

    def step(
        self, theta: Float[Array, "p"], gradient: Float[Array, "p"], state: State
    ) -> tuple[Array, State]:
        """Return the parameters after a step, and the next state."""
        ...


@dataclass(frozen=True)
class SGD:
    """theta <- theta - lr m with m <- momentum m + gradient.

    Parameters
    ----------
    lr : float, default=0.1
    momentum : float, default=0.0

    Examples
    --------
    Two steps down theta^2 / 2, whose gradient is theta:

    >>> import numpy as np
    >>> sgd, theta = SGD(lr=0.5), np.array([1.0])
    >>> state = sgd.start(theta)
    >>> for _ in range(2):
    ...     theta, state = sgd.step(theta, theta, state)
    >>> theta
    array([0.25])
    """

    lr: float = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.lr)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` must be at least 0 and below 1, got {self.momentum}.")

    def start(self, theta: Float[Array, "p"]) -> State:
        """Return no momentum."""
        return (array_namespace(theta).zeros_like(theta),)

    def step(
        self, theta: Float[Array, "p"], gradient: Float[Array, "p"], state: State
    ) -> tuple[Array, State]:
        """Return theta - lr m."""
        m = self.momentum * state[0] + gradient
        return theta - self.lr * m, (m,)


@dataclass(frozen=True)
class Adam:
    """Steps of about lr in every parameter: gradients over their running root mean square.

    Parameters
    ----------
    lr : float, default=1e-3
    beta1, beta2 : float, default=0.9, 0.999
        Of the running means of the gradient and of its square.
    epsilon : float, default=1e-8
        Keeps a parameter without gradients where it is.

    References
    ----------
    Kingma and Ba, 2015, algorithm 1.

    Examples
    --------
    The first step is of the length lr, whatever the gradient's:

    >>> import numpy as np
    >>> adam, theta = Adam(lr=0.1), np.array([1.0, 1.0])
    >>> theta, state = adam.step(theta, np.array([5.0, -0.01]), adam.start(theta))
    >>> theta.round(3)
    array([0.9, 1.1])
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_rate(self.lr)
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 0 and below 1, got {getattr(self, name)}."
                )

    def start(self, theta: Float[Array, "p"]) -> State:
        """Return both means and the number of steps, all zero."""
        zero = array_namespace(theta).zeros_like(theta)
        return (zero, zero, zero[:1])

    def step(
        self, theta: Float[Array, "p"], gradient: Float[Array, "p"], state: State
    ) -> tuple[Array, State]:
        """Return theta - lr m / (sqrt(v) + epsilon), both means corrected for their start."""
        xp, (m, v, t) = array_namespace(theta), state
        m = self.beta1 * m + (1 - self.beta1) * gradient
        v = self.beta2 * v + (1 - self.beta2) * gradient**2
        t = t + 1
        m_hat, v_hat = m / (1 - self.beta1**t), v / (1 - self.beta2**t)
        return theta - self.lr * m_hat / (xp.sqrt(v_hat) + self.epsilon), (m, v, t)


def _check_rate(lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise ValueError(f"`lr` must be above 0 and finite, got {lr}.")
