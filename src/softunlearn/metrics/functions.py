"""A user's own metric, from functions of (z, y, g).

`from_function` takes the value and its derivative in the logits; `from_torch` takes the value
alone, written with torch, and differentiates it. What the functions return is checked at every
call: a wrong shape or a NaN would otherwise surface far from its cause.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.metrics.metric import Metric
from softunlearn.rows import Array


@dataclass(frozen=True)
class FromFunctions:
    """A metric made of two functions of (z, y, g); `from_function` and `from_torch` make it.

    Parameters
    ----------
    function, gradient : callable
        The value, and its derivative in the logits.
    needs_groups : bool
    name : str
        What it is called in messages and reports.
    """

    function: Callable[..., Any]
    gradient: Callable[..., Any]
    needs_groups: bool
    name: str

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the function's value."""
        got = self.function(z, y, g)
        number = math.nan
        if getattr(got, "shape", ()) == () and not isinstance(got, str):
            with suppress(TypeError, ValueError):
                number = float(got)
        if not math.isfinite(number):
            raise ValueError(f"The metric {self.name!r} must be one finite number, got {got!r}.")
        return number

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return the function's derivative."""
        xp, got = array_namespace(z), self.gradient(z, y, g)
        subject = f"The logit gradient of the metric {self.name!r}"
        try:
            dz = xp.asarray(got, dtype=z.dtype, device=z.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{subject} must be an array of numbers, got {type(got).__name__}."
            ) from error
        if dz.shape != z.shape:
            raise ValueError(
                f"{subject} must have the logits' shape {tuple(z.shape)}, got {tuple(dz.shape)}."
            )
        if not bool(xp.all(finite := xp.isfinite(dz))):
            row = int(xp.argmin(xp.astype(xp.all(finite, axis=1), xp.int64)))
            raise ValueError(f"{subject} must be finite; it is not in row {row}.")
        return dz


def from_function(
    value: Callable[..., float],
    logit_gradient: Callable[..., Any],
    *,
    needs_groups: bool = False,
    name: str | None = None,
) -> Metric:
    """Return the metric that two functions of (z, y, g) are.

    Parameters
    ----------
    value : callable
        `value(z, y, g)` returns one number, smaller is better, at least zero: `z` are logits of
        shape (n, k), k = 1 for two classes; `y` class codes and `g` group codes, 0, 1, ..., of
        shape (n,); `g` is None where rows have no groups.
    logit_gradient : callable
        `logit_gradient(z, y, g)` returns its derivative in `z`, of shape (n, k).
    needs_groups : bool, default=False
        Whether every row must have a group.
    name : str, optional
        What it is called in messages and reports. Default: the function's own name.

    Returns
    -------
    Metric
        Its methods raise `ValueError` where a function returns another shape, or what is not
        finite.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> decay = su.metrics.from_function(
    ...     lambda z, y, g: (z**2).mean(), lambda z, y, g: 2 * z / z.size, name="decay"
    ... )
    >>> float(decay.value(np.array([[1.0], [3.0]]), np.array([0, 1]), None))
    5.0
    """
    return FromFunctions(value, logit_gradient, needs_groups, name or _name(value))


def from_torch(
    function: Callable[..., Any], *, needs_groups: bool = False, name: str | None = None
) -> Metric:
    """Return the metric that a function of torch tensors is, differentiated by torch.

    Parameters
    ----------
    function : callable
        `function(z, y, g)` returns one number as a tensor, computed from `z` by torch; see
        `from_function` for its arguments.
    needs_groups : bool, default=False
        Whether every row must have a group.
    name : str, optional
        What it is called in messages and reports. Default: the function's own name.

    Returns
    -------
    Metric
        It takes arrays of any library, and returns the same kind.

    Raises
    ------
    ImportError
        torch is not installed.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> decay = su.metrics.from_torch(lambda z, y, g: (z**2).mean(), name="decay")
    >>> decay.logit_gradient(np.array([[1.0], [3.0]]), np.array([0, 1]), None)
    array([[1.],
           [3.]])
    """
    torch, called = _torch(), name or _name(function)

    def tensor(part: Any) -> Any:
        if part is None:
            return None
        # a copy: torch would warn of an array that cannot be written to
        return part.detach() if isinstance(part, torch.Tensor) else torch.asarray(np.array(part))

    def value(z: Array, y: Array, g: Array | None) -> Any:
        with torch.no_grad():
            return function(tensor(z), tensor(y), tensor(g))

    def gradient(z: Array, y: Array, g: Array | None) -> Any:
        with torch.enable_grad():
            leaf = tensor(z).requires_grad_()
            f = function(leaf, tensor(y), tensor(g))
            if not isinstance(f, torch.Tensor) or f.shape != () or not f.requires_grad:
                raise ValueError(
                    f"The metric {called!r} must be one number that torch can differentiate, a "
                    "tensor of shape () computed from z without detach, item or NumPy, got "
                    f"{f!r}."
                )
            (dz,) = torch.autograd.grad(f, leaf, allow_unused=True, materialize_grads=True)
        return dz if isinstance(z, torch.Tensor) else dz.cpu().numpy()

    return FromFunctions(value, gradient, needs_groups, called)


def _torch() -> Any:
    try:
        return import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "from_torch needs torch, which is not installed: pip install softunlearn[torch]."
        ) from error


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() else "own metric"  # a lambda, or a partial function
