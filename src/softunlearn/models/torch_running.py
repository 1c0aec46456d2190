"""Running a torch module so that nothing of it, and nothing else, is changed by it.

And what can be seen from outside while it runs: the input and output of each linear layer.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from softunlearn.exceptions import ModelError

LINEAR = 1e-4
"""Largest difference, relative to their size, between a layer's output and W phi + b."""

HALF_PRECISION_ULPS = 8
"""The same in units of the last place, where the layer runs in half precision."""


class Call(NamedTuple):
    """What went into a layer, and what came out."""

    inputs: Tensor
    output: Tensor


@contextmanager
def watched(layers: Mapping[str, nn.Linear]) -> Iterator[dict[str, Call]]:
    """Give a record of each layer's last call, in the order they were made."""
    calls: dict[str, Call] = {}

    def hook_of(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple, kwargs: dict[str, Any], output: Tensor) -> None:
            calls.pop(name, None)
            # copies: what follows may work in place, and turn logits into probabilities
            inputs = args[0] if args else kwargs["input"]
            calls[name] = Call(inputs.clone(), output.clone())

        return hook

    handles = [
        layer.register_forward_hook(hook_of(name), with_kwargs=True)
        for name, layer in layers.items()
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def in_eval_mode(module: nn.Module) -> nn.Module:
    """Return the module, now without dropout and with the normalisation that it has learned."""
    for part in module.modules():
        part.training = False  # eval() is not called: some modules merge weights in theirs
    return module


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Put the module into eval mode, without gradients; leave it and all random state as found."""
    parts = list(module.modules())
    flags = [part.training for part in parts]
    buffers = [{name: (b, _copy(b)) for name, b in part._buffers.items()} for part in parts]
    gpus = {p.device.index for p in module.parameters() if p.device.type == "cuda"}
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - a user's data set may draw
    try:
        in_eval_mode(module)
        with torch.no_grad(), torch.random.fork_rng(devices=sorted(gpus)):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        for part, flag, saved in zip(parts, flags, buffers, strict=True):
            part.training = flag
            part._buffers.clear()
            for name, (buffer, value) in saved.items():
                part._buffers[name] = buffer
                if buffer is not None and value is not None and not torch.equal(buffer, value):
                    with torch.no_grad():
                        buffer.copy_(value)


@contextmanager
def on_device(batch_size: int) -> Iterator[None]:
    """Say of a device without enough memory what can be done."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(
            f"The device has no memory for batches of {batch_size} rows; give TorchModule a "
            "smaller batch_size."
        ) from error


def called(module: nn.Module, inputs: Any) -> Any:
    """Return what a module gives for a batch of inputs."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def logits_in(output: Any) -> Tensor:
    """Return the logits in what a module gives: the tensor, or where models keep them."""
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    if not isinstance(output, Tensor):
        raise ModelError(
            f"The module returns a {type(output).__name__} where logits are needed. Give "
            "TorchModule a forward=lambda module, inputs: ... that returns them."
        )
    return output


def check_head(name: str, layer: nn.Linear, call: Call) -> None:
    """Raise where a layer is no head: it takes no vectors, or what it gives is not W phi + b."""
    if call.inputs.ndim != 2:
        raise ModelError(
            f"The layer {name!r} takes inputs of shape {tuple(call.inputs.shape)}, and a "
            "head takes one vector for each row: let the module pool them before it."
        )
    expected = nn.functional.linear(call.inputs.to(layer.weight.dtype), layer.weight, layer.bias)
    half = HALF_PRECISION_ULPS * torch.finfo(call.output.dtype).eps
    scale = 1.0 + call.output.abs().max().item()
    if (expected - call.output).abs().max().item() > max(LINEAR, half) * scale:
        raise ModelError(
            f"The layer {name!r} is a {type(layer).__name__} whose output is not W phi + b, "
            "so it is no head that can be corrected."
        )


def is_same(layer: Tensor, output: Tensor) -> bool:
    """Return whether the module's output is the layer's, but for its shape and precision."""
    if layer.numel() != output.numel():
        return False
    ours, theirs = layer.to(output.dtype), output.reshape(layer.shape)
    return torch.allclose(ours, theirs, rtol=0, atol=0, equal_nan=True)


def eager(module: nn.Module) -> nn.Module:
    """Return what torch.compile was given: compiled code calls no hooks."""
    return getattr(module, "_orig_mod", module)


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()
