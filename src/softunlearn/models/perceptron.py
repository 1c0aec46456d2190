"""scikit-learn's MLPClassifier, corrected in its last layer.

The hidden layers are frozen: what enters the head is the last one's activations, computed from
the fitted coefficients. The penalty alpha / 2 ||W||^2 stands beside the *sum* of the losses that
a step sees: all rows for lbfgs, one batch for sgd and adam. Over an epoch of n / B batches the
stochastic solvers so add it up n / B times.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from softunlearn.exceptions import ModelError
from softunlearn.head import LinearHead
from softunlearn.models.scikit_learn import final_input, final_step

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}

AUTO_BATCH_ROWS = 200
"""What batch_size="auto" means, where there are as many rows."""


@dataclass(frozen=True, eq=False)
class PerceptronAdapter:
    """See `ModelAdapter`.

    Raises
    ------
    ModelError
        The model is not fitted, or predicts several labels at once.
    """

    model: Any

    def __post_init__(self) -> None:
        final = final_step(self.model)
        try:
            check_is_fitted(final, "coefs_")
        except NotFittedError as error:
            raise ModelError("The MLPClassifier is not trained yet: call fit first.") from error
        if final.out_activation_ == "logistic" and final.n_outputs_ > 1:
            raise ModelError(
                f"The MLPClassifier predicts {final.n_outputs_} labels at once. Train one for "
                "each label."
            )

    def head(self, n_rows: int) -> LinearHead:
        """Return the last layer, transposed to (k, d), and the penalty in the sum convention."""
        final = final_step(self.model)
        return LinearHead(
            W=np.array(final.coefs_[-1].T, dtype=np.float64),
            b=np.array(final.intercepts_[-1], dtype=np.float64),
            l2=_l2(final, n_rows),
            classes=tuple(final.classes_.tolist()),
        )

    def features(self, X: Any) -> np.ndarray:
        """Return the activations of the last hidden layer."""
        final = final_step(self.model)
        phi = final_input(self.model, X, width=len(final.coefs_[0]), sparse=len(final.coefs_) > 1)
        with np.errstate(invalid="ignore"):  # infinite input: said of the rows by their encoder
            for W, b in zip(final.coefs_[:-1], final.intercepts_[:-1], strict=True):
                phi = ACTIVATIONS[final.activation](phi @ W + b)
        return phi

    def feature_names(self) -> tuple[str, ...] | None:
        """Return one name for each unit of the last hidden layer, if there is one."""
        coefs = final_step(self.model).coefs_
        return tuple(f"hidden unit {j}" for j in range(len(coefs[-1]))) if len(coefs) > 1 else None

    def class_weight(self, counts: np.ndarray) -> np.ndarray | None:
        """Return None: an MLPClassifier has no weights by class."""
        return None

    def logits(self, X: Any) -> np.ndarray:
        """Return what the model itself gives where its output is left as it is."""
        final = copy.copy(final_step(self.model))
        final.out_activation_ = "identity"
        vars(final).pop("feature_names_in_", None)  # the rows come as an array, without names
        z = final.predict_proba(
            final_input(self.model, X, width=len(final.coefs_[0]), sparse=True)
        )
        return z if final.n_outputs_ > 1 else z[:, 1:]  # of two classes: 1 - z and z

    def with_head(self, head: LinearHead) -> Any:
        """Return a deep copy whose last layer has other coefficients."""
        model = copy.deepcopy(self.model)
        final = final_step(model)
        final.coefs_[-1] = np.array(head.W.T, dtype=final.coefs_[-1].dtype, order="C")
        final.intercepts_[-1] = np.array(head.b, dtype=final.intercepts_[-1].dtype)
        return model


def _l2(final: MLPClassifier, n_rows: int) -> float:
    """Return the weight of ||W||^2 / 2 beside the sum of all rows' losses."""
    if final.solver == "lbfgs":
        return float(final.alpha)
    batch = AUTO_BATCH_ROWS if final.batch_size == "auto" else final.batch_size
    return float(final.alpha) * max(1.0, n_rows / batch)
