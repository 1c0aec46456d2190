"""Attacks through a whole torch module: its inputs are perturbed, not the head's features.

The attack is the same as against a head; its slope comes from back-propagation, in eval mode. The
gradient in the logits is the attack's own, so that both see one loss. Rows are moved in
float32 at least, since half a precision's grid is coarser than a small ball.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from softunlearn.attacks.gradient import GradientAttack, odds_against
from softunlearn.exceptions import InputError, ModelError
from softunlearn.losses import predicted_class
from softunlearn.models.torch_batches import first_line
from softunlearn.models.torch_running import on_device, undisturbed
from softunlearn.rows import Array, Rows

if TYPE_CHECKING:
    from softunlearn.models.torch_module import TorchModule


def perturbed(adapter: "TorchModule", attack: GradientAttack, X: Any, y: Any) -> Any:
    """Return the rows as the attack leaves them, batch by batch; see `perturbed_inputs`."""
    if not isinstance(attack, GradientAttack):
        raise TypeError(
            f"Inputs are attacked by FGSM or PGD, got {type(attack).__name__}, which needs the "
            "head's boundary."
        )
    if attack.on != "inputs":
        raise ValueError(
            f"The attack is on features; make it {type(attack).__name__}(epsilon, on='inputs'), "
            "with an epsilon in the unit of the inputs."
        )
    n, done, parts = len(Rows(X, None)), 0, []
    codes = None if y is None else _codes(y, n, len(adapter.head(1).classes))
    with undisturbed(adapter.module):
        for inputs in adapter.batches(X):
            x = _floating(inputs)
            some = None if codes is None else codes[done : done + len(x)]
            parts.append(_attacked(adapter, attack, x, some).to(x.device))
            done += len(x)
            if adapter.progress is not None:
                adapter.progress("attacking inputs", min(1.0, done / n))
    if done != n:
        raise InputError(f"X has {n:,} rows, and the module was given {done:,} by its batches")
    whole = torch.cat(parts)
    return whole.numpy() if hasattr(X, "shape") and not isinstance(X, Tensor) else whole


def _attacked(
    adapter: "TorchModule", attack: GradientAttack, x: Tensor, codes: Tensor | None
) -> Tensor:
    """Return one batch after the attack, on the module's device."""
    z = adapter.checked(x.clone()).output
    y = predicted_class(z) if codes is None else codes.to(z.device)
    wide = torch.promote_types(z.dtype, torch.float32)

    def slope(x: Array) -> tuple[Array, Array]:
        with torch.inference_mode(False), torch.enable_grad(), on_device(adapter.batch_size):
            leaf = x.clone().requires_grad_()
            z = adapter.run(leaf.clone()).reshape(len(x), -1)  # it may work in place on its input
            m, dz = odds_against(z.detach().to(wide), y)
            return m, _pulled_back(z, leaf, dz)

    with torch.inference_mode(False):
        return attack.ascend(x.detach().to(z.device, wide, copy=True), slope)


def _pulled_back(z: Tensor, x: Tensor, dz: Tensor) -> Tensor:
    """Return the gradient in a module's input of what has the gradient dz in its output."""
    reason = "what it computes with them is cut off from its logits"
    gradient = None
    try:
        if z.requires_grad:
            (gradient,) = torch.autograd.grad(z, x, dz.to(z.dtype), allow_unused=True)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = first_line(error)
    if gradient is None:
        raise ModelError(
            f"No gradient reaches the module's inputs: {reason}. Attack its features instead, "
            "with on='features'."
        )
    if not bool(gradient.isfinite().all()):
        raise ModelError(
            "The gradient of the module's logits in its inputs is infinite or not a number "
            "somewhere, so there is no way up. Attack its features instead, with on='features'."
        )
    return gradient


def _floating(inputs: Any) -> Tensor:
    """Return a batch's inputs, if they can be moved a little."""
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        return inputs
    got = (
        f"a tensor of {inputs.dtype}"
        if isinstance(inputs, Tensor)
        else ("a mapping" if isinstance(inputs, Mapping) else f"a {type(inputs).__name__}")
    )
    raise InputError(
        f"an attack on inputs needs one tensor of floats a batch, and the rows give {got}; "
        "make them floats, or attack the features, with on='features'"
    )


def _codes(y: Any, n: int, n_classes: int) -> Tensor:
    """Return class codes as a tensor, one for each of n rows."""
    codes = y.detach() if isinstance(y, Tensor) else torch.tensor(np.asarray(y))
    whole = not codes.is_floating_point() and not codes.is_complex()
    if tuple(codes.shape) != (n,) or not whole:
        raise InputError(
            f"y must be one class code for each of {n:,} rows, got {codes.dtype} of shape "
            f"{tuple(codes.shape)}"
        )
    codes = codes.to(torch.int64)
    if n and not 0 <= int(codes.min()) <= int(codes.max()) < n_classes:
        raise InputError(
            f"y must hold class codes from 0 to {n_classes - 1}, got {int(codes.min())} to "
            f"{int(codes.max())}"
        )
    return codes
