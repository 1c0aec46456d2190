"""Correct a trained classifier's bias or brittleness by soft-weighted unlearning.

    import softunlearn as su

    c = su.correct(model, train=(X, y), validation=(Xv, yv, gv), test=(Xt, yt, gt))
    c.status, c.message, c.model, c.weights, c.before.test, c.after.test

The names below, in the order of the method, are the public interface.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softunlearn import attacks, curvature, metrics, models, paths, unlearning, weights
from softunlearn.array_cache import ArrayCache
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.exceptions import (
    DataUnavailableError,
    FileError,
    InputError,
    ModelError,
    NoOptimumError,
    SingularCurvatureError,
    SoftUnlearnError,
    SoftUnlearnWarning,
    Status,
)
from softunlearn.leave_one_out import leave_one_out
from softunlearn.metrics import Target
from softunlearn.rows import Rows
from softunlearn.scores import influence_scores
from softunlearn.select import Select

if TYPE_CHECKING:
    from softunlearn import datasets, generative
    from softunlearn.estimator import SoftUnlearner
    from softunlearn.saving import load

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - the order of the method
    "correct",
    "Correction",
    "SoftUnlearner",
    "Select",
    "Status",
    "Rows",
    "Target",
    "influence_scores",
    "leave_one_out",
    "ArrayCache",
    "metrics",
    "attacks",
    "curvature",
    "weights",
    "paths",
    "unlearning",
    "models",
    "generative",
    "datasets",
    "load",
    "SoftUnlearnError",
    "InputError",
    "ModelError",
    "FileError",
    "DataUnavailableError",
    "NoOptimumError",
    "SingularCurvatureError",
    "SoftUnlearnWarning",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load on first use what needs more than the core does."""
    if name in ("datasets", "generative"):
        return import_module(f"softunlearn.{name}")
    if name == "SoftUnlearner":
        return import_module("softunlearn.estimator").SoftUnlearner
    if name == "load":
        return import_module("softunlearn.saving").load
    raise AttributeError(f"module 'softunlearn' has no attribute {name!r}")
