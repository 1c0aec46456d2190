"""The contract of model adapters, and which one takes a model."""

import sys
from typing import Any, Protocol, runtime_checkable

import numpy as np

from softunlearn.exceptions import ModelError
from softunlearn.head import LinearHead
from softunlearn.rows import Rows


@runtime_checkable
class ModelAdapter(Protocol):
    """A trained model, seen as a frozen feature extractor and a linear head.

    Examples
    --------
    A model of one's own, the logistic curve of one feature:

    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.head import LinearHead
    >>> class Curve:
    ...     def __init__(self, slope, at=0.0):
    ...         self.slope, self.at = slope, at
    ...     def head(self, n_rows):
    ...         return LinearHead(np.array([[self.slope]]), np.array([self.at]), l2=1.0)
    ...     def features(self, X):
    ...         return np.asarray(X, dtype=float).reshape(-1, 1)
    ...     def feature_names(self):
    ...         return ("x",)
    ...     def class_weight(self, y):
    ...         return None
    ...     def logits(self, X):
    ...         return self.slope * self.features(X) + self.at
    ...     def with_head(self, head):
    ...         return Curve(float(head.W[0, 0]), float(head.b[0]))
    >>> isinstance(Curve(2.0), su.models.ModelAdapter)
    True
    """

    def head(self, n_rows: int) -> LinearHead:
        """Return the head as trained on `n_rows` rows (a penalty on a mean loss grows with n)."""
        ...

    def features(self, X: Any) -> np.ndarray:
        """Return what enters the head, shape (n, d)."""
        ...

    def feature_names(self) -> tuple[str, ...] | None:
        """Return the names of the head's inputs, where the model knows them."""
        ...

    def class_weight(self, counts: np.ndarray) -> np.ndarray | None:
        """Return each class's weight in training, from its number of rows; None for one each."""
        ...

    def logits(self, X: Any) -> np.ndarray:
        """Return the model's own logits, shape (n, k), to check the head against."""
        ...

    def with_head(self, head: LinearHead) -> Any:
        """Return a copy of the model that differs in its head alone."""
        ...


@runtime_checkable
class Locatable(ModelAdapter, Protocol):
    """An adapter that must see the model run to know for certain which layer its head is."""

    def located(self, X: Any) -> ModelAdapter:
        """Return the adapter that knows; the same one where it was told."""
        ...


@runtime_checkable
class Deep(Protocol):
    """An adapter whose model can be trained beyond its head."""

    def tail(self, rows: Rows, layers: int) -> Any:
        """Return the last layers on rows, as the model takes them: a `Trainable`.

        Its `with_theta(theta)` returns the adapter of a copy of the model with such parameters.
        """
        ...


def adapt(model: Any, X: Any = None) -> ModelAdapter:
    """Return the adapter of a trained model; an adapter is returned as it is.

    Parameters
    ----------
    model : object
        A trained model, or its adapter, where the model needs one with options.
    X : array-like of shape (n, ...), optional
        Some of the model's rows. With them the layer that gives a torch module's logits is found
        by running it; without them the last linear layer is taken for it, until rows show that
        it is not.

    Raises
    ------
    ModelError
        No adapter takes it: it is not trained, or has no linear head.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0]], ["no", "yes", "yes"])
    >>> su.models.adapt(model).head(3).classes
    ('no', 'yes')
    """
    adapter = model if isinstance(model, ModelAdapter) else _adapter(model)
    return adapter.located(X) if X is not None and isinstance(adapter, Locatable) else adapter


def _adapter(model: Any) -> ModelAdapter:
    # a model cannot exist before its library is loaded
    if "sklearn" in sys.modules:
        from sklearn.base import BaseEstimator

        if isinstance(model, BaseEstimator):
            return _scikit_learn_adapter(model)
    if "torch" in sys.modules:
        from torch.nn import Module

        if isinstance(model, Module):
            return _torch_adapter(model)
    raise ModelError(
        f"No linear head is known in a {type(model).__name__}. Give a trained scikit-learn "
        "LogisticRegression, LogisticRegressionCV, SGDClassifier(loss='log_loss') or "
        "MLPClassifier, a Pipeline that ends in one, or a torch module."
    )


def _torch_adapter(module: Any) -> ModelAdapter:
    from softunlearn.models.torch_module import TorchModule

    if (transformers := sys.modules.get("transformers")) is not None:
        from softunlearn.models.hugging_face import HuggingFace

        if isinstance(module, transformers.PreTrainedModel):
            return HuggingFace(module)
    return TorchModule(module)


def _scikit_learn_adapter(model: Any) -> ModelAdapter:
    from sklearn.neural_network import MLPClassifier

    from softunlearn.models.perceptron import PerceptronAdapter
    from softunlearn.models.scikit_learn import ScikitLearnAdapter, final_step

    is_perceptron = isinstance(final_step(model), MLPClassifier)
    return PerceptronAdapter(model) if is_perceptron else ScikitLearnAdapter(model)
