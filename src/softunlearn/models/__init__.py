"""Adapters: what the method needs of a trained model, whatever library it comes from.

An adapter gives the model's head, the features that enter it, and a copy of the model with another
head. The model itself is never changed. What needs an extra is loaded when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softunlearn.models.adapter import ModelAdapter, adapt
from softunlearn.models.encode import Encoder

if TYPE_CHECKING:
    from softunlearn.models.hugging_face import HuggingFace
    from softunlearn.models.torch_module import TorchModule

__all__ = ["Encoder", "HuggingFace", "ModelAdapter", "TorchModule", "adapt"]

OPTIONAL = {"TorchModule": ("torch_module", "torch"), "HuggingFace": ("hugging_face", "hf")}
"""The module and the extra of what is loaded when it is asked for."""


def __getattr__(name: str) -> Any:
    """Load on first use what needs torch or transformers."""
    if name not in OPTIONAL:
        raise AttributeError(f"module 'softunlearn.models' has no attribute {name!r}")
    file, extra = OPTIONAL[name]
    try:
        return getattr(import_module(f"softunlearn.models.{file}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise ImportError(
            f"{name} needs {error.name}, which is not installed: pip install softunlearn[{extra}]."
        ) from error
