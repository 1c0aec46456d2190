"""The quadratic programme, its solution's record, and the contract of a scheme.

    minimise   -a . eps + lam ||eps||^2    subject to   a . eps <= delta,   u . eps >= 0   (Eq. 6)

a . eps is the predicted fall of the target metric and u . eps that of the validation loss; the
first constraint stops the correction where the metric is predicted to be zero.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from jaxtyping import Float

from softunlearn.exceptions import Status
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Problem:
    """What the weights are to achieve.

    Parameters
    ----------
    target : array-like of shape (n,)
        a: influence of every row on the target metric.
    utility : array-like of shape (n,)
        u: influence of every row on utility, a loss.
    budget : float
        delta: the largest predicted fall of the metric; at least 0.

    Raises
    ------
    ValueError
        The lengths differ, or something is not finite, or the budget is negative.

    Examples
    --------
    >>> problem = Problem(target=[1.0, -2.0], utility=[0.5, 0.5], budget=0.1)
    """

    target: Any
    utility: Any
    budget: float

    def __post_init__(self) -> None:
        for name in ("target", "utility"):
            object.__setattr__(self, name, _float_array(getattr(self, name)))
        if self.target.shape != self.utility.shape or self.target.ndim != 1:
            raise ValueError(
                "`target` and `utility` must be of the same length, one value a row, "
                f"got shapes {tuple(self.target.shape)} and {tuple(self.utility.shape)}."
            )
        xp = array_namespace(self.target, self.utility)
        for name in ("target", "utility"):
            if not bool(xp.all(xp.isfinite(getattr(self, name)))):
                raise ValueError(f"`{name}` must be finite, got NaN or infinite influences.")
        if not 0 <= self.budget < float("inf"):
            raise ValueError(f"`budget` must be at least 0 and finite, got {self.budget}.")

    def with_budget(self, budget: float) -> "Problem":
        """Return the same problem with another budget."""
        return replace(self, budget=budget)


@dataclass(frozen=True, eq=False)
class Weights:
    """A solution of the programme.

    Parameters
    ----------
    eps : array of shape (n,)
        Weight change of every row; its weight in training would be 1 + eps.
    predicted : float
        a . eps, the predicted fall of the target metric.
    utility_gain : float
        u . eps, the predicted fall of the validation loss.
    status : Status
        CORRECTED where eps does something.
    message : str
        What happened, in words.
    case : int
        Which line of Eq. 7 (1 to 4); 0 where none applies (eps = 0, or another scheme).
    multipliers : tuple of float
        mu and nu of the two constraints, in the stationarity condition
        2 lam eps = (1 - mu) a + nu u.
    """

    eps: Float[Array, "n"]
    predicted: float
    utility_gain: float
    status: Status
    message: str
    case: int = 0
    multipliers: tuple[float, ...] = ()


@runtime_checkable
class WeightScheme(Protocol):
    """A way to choose weights."""

    @property
    def scales(self) -> bool:
        """Whether the weights for a part t of the budget are t times those for all of it."""
        ...

    def solve(self, problem: Problem) -> Weights:
        """Return the weights for a problem; eps = 0, with a reason, where there are none."""
        ...


def _float_array(values: Any) -> Array:
    """Return values in float64, on their device: squares of 10^8 entries are summed."""
    if not is_array_api_obj(values):
        return np.asarray(values, dtype=np.float64)
    array: Array = values
    xp = array_namespace(array)
    return array if array.dtype == xp.float64 else xp.astype(array, xp.float64)
