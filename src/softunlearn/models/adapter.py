"""The contract of model adapters, and which one takes a model."""

import sys
from typing import Any, Protocol, runtime_checkable

import numpy as np

from softunlearn.exceptions import ModelError
from softunlearn.head import LinearHead


@runtime_checkable
class ModelAdapter(Protocol):
    """A trained model, seen as a frozen feature extractor and a linear head."""

    def head(self, n_rows: int) -> LinearHead:
        """Return the head as trained on `n_rows` rows (a penalty on a mean loss grows with n)."""
        ...

    def features(self, X: Any) -> np.ndarray:
        """Return what enters the head, shape (n, d)."""
        ...

    def feature_names(self) -> tuple[str, ...] | None:
        """Return the names of the head's inputs, where the model knows them."""
        ...

    def class_weight(self, y: np.ndarray) -> np.ndarray | None:
        """Return each row's weight by class in training, or None for one each."""
        ...

    def logits(self, X: Any) -> np.ndarray:
        """Return the model's own logits, shape (n, k), to check the head against."""
        ...

    def with_head(self, head: LinearHead) -> Any:
        """Return a copy of the model that differs in its head alone."""
        ...


def adapt(model: Any) -> ModelAdapter:
    """Return the adapter of a trained model.

    Raises
    ------
    ModelError
        No adapter takes it: it is not trained, or has no linear head.
    """
    if "sklearn" in sys.modules:  # a scikit-learn model cannot exist before its library
        from sklearn.base import BaseEstimator

        from softunlearn.models.scikit_learn import ScikitLearnAdapter

        if isinstance(model, BaseEstimator):
            return ScikitLearnAdapter(model)
    raise ModelError(
        f"No linear head is known in a {type(model).__name__}. Give a trained scikit-learn "
        "LogisticRegression, LogisticRegressionCV or SGDClassifier(loss='log_loss'), or a "
        "Pipeline that ends in one."
    )
