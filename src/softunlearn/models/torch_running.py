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


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Put the module into eval mode, without gradients; leave it and all random state as found."""
    parts = list(module.modules())
    flags = [part.training for part in parts]
    buffers = [{name: (b, _copy(b)) for name, b in part._buffers.items()} for part in parts]
    gpus = {p.device.index for p in module.parameters() if p.device.type == "cuda"}
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - a user's data set may draw
    try:
        for part in parts:
            part.training = False  # eval() is not called: some modules merge weights in theirs
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
