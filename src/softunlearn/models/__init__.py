"""Adapters: what the method needs of a trained model, whatever library it comes from.

An adapter gives the model's head, the features that enter it, and a copy of the model with another
head. The model itself is never changed.
"""

from softunlearn.models.adapter import ModelAdapter, adapt
from softunlearn.models.encode import Encoder

__all__ = ["Encoder", "ModelAdapter", "adapt"]
