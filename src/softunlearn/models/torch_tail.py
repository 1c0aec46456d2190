"""The last layers of a torch module as something to train, for algorithms beyond the head.

A layer is a part of the module with parameters of its own, in the order in which the module
defines them; the last one is the head. All training rows are kept as the module takes them, and
every gradient runs through the whole module: nothing is assumed of how its layers hang together.
The parameters are one flat tensor, in the module's precision and on its device.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from softunlearn.exceptions import InputError
from softunlearn.models.torch_running import eager
from softunlearn.rows import Rows

if TYPE_CHECKING:
    from softunlearn.models.torch_module import TorchModule


class TorchTail:
    """The last `layers` layers of a module on its training rows; see `Trainable`.

    Parameters
    ----------
    adapter : TorchModule
    rows : Rows
        The training rows as the module takes them, with class codes for labels.
    layers : int
        How many layers are trained, the head included. The adapter's penalty is on the weights
        of all of them, and on no bias.

    Raises
    ------
    ValueError
        The module has fewer layers up to its head.
    """

    def __init__(self, adapter: "TorchModule", rows: Rows, layers: int) -> None:
        self._adapter, self._names = adapter, _last_layers(adapter, layers)
        self._work = adapter.of_copy()
        self._work.module.eval()
        self._layers = _own_parameters(self._work.module, self._names)
        self._parameters = [p for layer in self._layers for p in layer.parameters(recurse=False)]
        like = self._parameters[0]
        self._inputs = _joined(list(adapter.batches(rows.X, len(rows))))
        self.labels = torch.as_tensor(rows.y, device=like.device)
        weight = None if rows.weight is None else torch.as_tensor(rows.weight, device=like.device)
        self.weight = None if weight is None else weight.to(like.dtype)
        self.n_classes = len(adapter.head(1).classes)
        self.theta = _flat(self._parameters)
        phi = adapter.features(rows.X)
        size = float(np.abs(phi).sum(dtype=np.float64)) / len(phi)
        self.input_size = size + (adapter.head(1).b is not None) or 1.0
        l2 = [torch.full_like(p.detach(), adapter.l2 * (p.ndim > 1)) for p in self._parameters]
        self._penalty = _flat(l2)

    def initialised(self, rng: np.random.Generator) -> Tensor:
        """Return the parameters that the layers' own initialisation draws."""
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            fresh = [copy.deepcopy(layer) for layer in self._layers]
            for name, layer in zip(self._names, fresh, strict=True):
                reset = getattr(layer, "reset_parameters", None)
                if reset is None:
                    raise ValueError(
                        f"The layer {name!r}, a {type(layer).__name__}, has no "
                        "reset_parameters(), so it cannot be initialised anew; train fewer."
                    )
                reset()
        return _flat([p for layer in fresh for p in layer.parameters(recurse=False)])

    def logits(self, theta: Tensor) -> Tensor:
        """Return the logits of all rows."""
        self._load(theta)
        with torch.no_grad():
            return torch.cat([self._run(rows) for rows in self._parts()])

    def gradient(self, theta: Tensor, phase: Any, rows: Tensor | None) -> Tensor:
        """Return the mean of the terms' gradients, and the penalty's share."""
        self._load(theta)
        n = len(self.labels)
        parts = self._parts() if rows is None else [rows]
        size = n if rows is None else len(rows)
        gradient = phase.penalty * size / n * self._penalty * theta
        for part in parts:
            z = self._run(part)
            dz = torch.zeros_like(z)
            for term in phase.terms:
                weights = term.weights[part] * (1.0 if self.weight is None else self.weight[part])
                slope = term.loss.logit_gradient(z.detach(), term.targets[part])
                dz = dz + weights[:, None] * slope
            gradient = gradient + _flat(torch.autograd.grad(z, self._parameters, dz))
        mean_weight = 1.0 if self.weight is None else self.weight.mean()
        return gradient / (size * mean_weight)

    def with_theta(self, theta: Tensor) -> "TorchModule":
        """Return the adapter of a copy of the module with these parameters in its last layers."""
        adapter = self._adapter.of_copy()
        layers = _own_parameters(adapter.module, self._names)
        parameters = [p for layer in layers for p in layer.parameters(recurse=False)]
        nn.utils.vector_to_parameters(theta.detach().clone(), parameters)
        return adapter

    def _load(self, theta: Tensor) -> None:
        nn.utils.vector_to_parameters(theta.detach(), self._parameters)

    def _parts(self) -> Sequence[Tensor]:
        rows = torch.arange(len(self.labels), device=self.labels.device)
        return rows.split(self._adapter.batch_size)

    def _run(self, rows: Tensor) -> Tensor:
        """Return some rows' logits, one for two classes, in the layout of the library's heads."""
        output = self._work.run(_chosen(self._inputs, rows))
        z = output.reshape(len(rows), -1)
        return z[:, 1:] - z[:, :1] if z.shape[1] == 2 else z


def _last_layers(adapter: "TorchModule", layers: int) -> list[str]:
    """Return the names of the last layers up to the head, in order."""
    named = [
        name
        for name, part in eager(adapter.module).named_modules()
        if next(part.parameters(recurse=False), None) is not None
    ]
    up_to_head = named[: named.index(adapter.layer_name) + 1]
    if layers > len(up_to_head):
        raise ValueError(
            f"`layers` is {layers}, and the module has {len(up_to_head)} layers with parameters "
            "up to its head."
        )
    return up_to_head[-layers:]


def _own_parameters(module: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Return the layers, each with parameters of its own that it shares with no other."""
    layers = [eager(module).get_submodule(name) for name in names]
    for layer in layers:
        for name, parameter in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(parameter.detach().clone()))
    return layers


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _joined(parts: list[Any]) -> Any:
    """Return batches of inputs as one: a tensor, a tuple of tensors, or a mapping of them."""
    first = parts[0]
    if isinstance(first, Tensor):
        if len({part.shape[1:] for part in parts}) > 1:
            raise InputError("the batches' inputs differ in shape; pad all rows to one length")
        return torch.cat(parts)
    if isinstance(first, Mapping):
        return {name: _joined([part[name] for part in parts]) for name in first}
    return tuple(_joined([part[i] for part in parts]) for i in range(len(first)))


def _chosen(inputs: Any, rows: Tensor) -> Any:
    """Return some rows of the inputs."""
    if isinstance(inputs, Tensor):
        return inputs[rows.to(inputs.device)]
    if isinstance(inputs, Mapping):
        return {name: _chosen(value, rows) for name, value in inputs.items()}
    return tuple(_chosen(value, rows) for value in inputs)
