"""Adapters: what the method needs of a trained model, whatever library it comes from.

An adapter gives the model's head, the features that enter it, and a copy of the model with another
head. The model itself is never changed. What needs torch is loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softunlearn.models.adapter import ModelAdapter, adapt
from softunlearn.models.encode import Encoder

if TYPE_CHECKING:
    from softunlearn.models.torch_module import TorchModule

__all__ = ["Encoder", "ModelAdapter", "TorchModule", "adapt"]


def __getattr__(name: str) -> Any:
    """Load on first use what needs torch."""
    if name != "TorchModule":
        raise AttributeError(f"module 'softunlearn.models' has no attribute {name!r}")
    try:
        return import_module("softunlearn.models.torch_module").TorchModule
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "TorchModule needs torch, which is not installed: pip install softunlearn[torch]."
        ) from error
