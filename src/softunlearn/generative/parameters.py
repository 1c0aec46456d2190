"""The parameters that are corrected, as one vector theta, and gradients in them.

All of a module's that ask for a gradient, so the adapters alone where the rest is frozen, or those
whose names are asked for. A parameter that is used in two places is one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from softunlearn.exceptions import InputError, ModelError
from softunlearn.generative.losses import Loss, losses_of


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some parameters of a module, whose others stay as they are.

    Parameters
    ----------
    module : nn.Module
        A copy that may be changed.
    names : tuple of str
        Dotted names, in the module's order.
    """

    module: nn.Module
    names: tuple[str, ...]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters themselves."""
        return [self.module.get_parameter(name) for name in self.names]

    @property
    def theta(self) -> Tensor:
        """Return a copy of the parameters as one vector."""
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    def load(self, theta: Tensor) -> None:
        """Give the module the parameters of a vector."""
        with torch.no_grad():
            for parameter, part in zip(self.parameters, self.parts(theta), strict=True):
                parameter.copy_(part)

    def parts(self, theta: Tensor) -> list[Tensor]:
        """Return a vector cut into the parameters' shapes."""
        own = self.parameters
        cut = theta.split([p.numel() for p in own])
        return [part.reshape(p.shape) for part, p in zip(cut, own, strict=True)]

    def by_name(self, theta: Tensor) -> dict[str, Tensor]:
        """Return a vector cut into the parameters' shapes, by their names."""
        return dict(zip(self.names, self.parts(theta), strict=True))

    def losses(self, parameters: dict[str, Tensor], loss: Loss, batch: Any, n: int) -> Tensor:
        """Return a batch's losses with other values of the parameters, as a function of them."""
        own = {f"module.{name}": value for name, value in parameters.items()}
        return functional_call(_Losses(self.module, loss, n), own, (batch,))

    def gradient(self, scalar: Tensor) -> Tensor:
        """Return the gradient of a number that was computed with the module, as one vector."""
        if not scalar.requires_grad:
            return torch.zeros_like(self.theta)
        found = torch.autograd.grad(scalar, self.parameters, allow_unused=True)
        own = zip(found, self.parameters, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in own])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let these parameters alone ask for a gradient; afterwards all do as before."""
        flags = {p: p.requires_grad for p in self.module.parameters()}
        wanted = set(self.parameters)
        try:
            for parameter in flags:
                parameter.requires_grad_(parameter in wanted)
            yield
        finally:
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)


class _Losses(nn.Module):
    """A module's losses: within it, all of the module runs with the parameters that are given."""

    def __init__(self, module: nn.Module, loss: Loss, n: int) -> None:
        super().__init__()
        self.module, self.loss, self.n = module, loss, n

    def forward(self, batch: Any) -> Tensor:
        return losses_of(self.module, self.loss, batch, self.n)


def chosen(module: nn.Module, names: Sequence[str] | None) -> Chosen:
    """Return the parameters that are to be corrected.

    Parameters
    ----------
    module : nn.Module
    names : sequence of str or None
        Dotted names, with `*` for any characters; None for all that ask for a gradient.

    Raises
    ------
    ModelError
        There are none, or they are of several precisions.
    ValueError
        A name fits no parameter.
    """
    own = dict(module.named_parameters())
    if names is None:
        found = [name for name, parameter in own.items() if parameter.requires_grad]
        if not found:
            raise ModelError(
                "No parameter of the module asks for a gradient: name those to correct, as "
                "parameters=['transformer.h.*']."
            )
    else:
        names = [names] if isinstance(names, str) else list(names)
        for pattern in names:
            if not any(fnmatchcase(name, pattern) for name in own):
                raise ValueError(
                    f"`parameters` names {pattern!r}, which fits none of the module's "
                    f"{len(own)}: {', '.join(list(own)[:5])}, ..."
                )
        found = [name for name in own if any(fnmatchcase(name, pattern) for pattern in names)]
    kinds = {own[name].dtype for name in found}
    if len(kinds) > 1 or not next(iter(kinds), torch.float32).is_floating_point:
        raise ModelError(
            "The parameters to correct must be floats of one precision, got "
            f"{', '.join(sorted(map(str, kinds)))}."
        )
    return Chosen(module, tuple(found))


def gradient_of(which: Chosen, metric: Any) -> tuple[float, Tensor]:
    """Return a metric's value and its gradient in the chosen parameters.

    Raises
    ------
    InputError
        The metric is no finite number.
    """
    with torch.enable_grad():
        value = metric(which.module)
        if not isinstance(value, Tensor) or value.ndim or not bool(value.isfinite()):
            got = f"{tuple(value.shape)} tensor" if isinstance(value, Tensor) else repr(value)
            raise InputError(
                f"`metric` must return one finite number, a tensor without dimensions, got {got}."
            )
        return value.item(), which.gradient(value)
