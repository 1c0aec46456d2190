"""scikit-learn: a logistic regression, bare, at the end of a Pipeline, or found by a search.

Everything before the last step is frozen and goes on transforming the rows. A head's penalty is
read from the estimator: 1/C on a sum of losses, alpha on a mean. Pipelines and searches are
opened by `final_step` and `final_input`, whatever they end in.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_is_fitted

from softunlearn.exceptions import InputError, ModelError
from softunlearn.head import LinearHead

SUPPORTED = (
    "LogisticRegression, LogisticRegressionCV, SGDClassifier(loss='log_loss') or MLPClassifier"
)


@dataclass(frozen=True, eq=False)
class ScikitLearnAdapter:
    """See `ModelAdapter`.

    Raises
    ------
    ModelError
        The model is not fitted, does not end in a logistic regression, or fits one against the
        rest for more than two classes.
    """

    model: Any

    def __post_init__(self) -> None:
        final = final_step(self.model)
        if not isinstance(final, LogisticRegression | SGDClassifier):
            raise ModelError(
                f"The model ends in a {type(final).__name__}, which has no linear head that can "
                f"be corrected. Give a {SUPPORTED}, or a Pipeline that ends in one."
            )
        try:
            check_is_fitted(final, "coef_")
        except NotFittedError as error:
            raise ModelError(
                f"The {type(final).__name__} is not trained yet: call fit first."
            ) from error
        if isinstance(final, SGDClassifier) and final.loss != "log_loss":
            raise ModelError(
                f"The SGDClassifier was trained with loss={final.loss!r}, which gives no "
                "probabilities. Train it with loss='log_loss'."
            )
        _refuse_other_links(final)

    def head(self, n_rows: int) -> LinearHead:
        """Return W, b, the penalty in the sum convention, and the classes."""
        final = final_step(self.model)
        return LinearHead(
            W=np.array(_dense(final.coef_), dtype=np.float64),
            b=np.array(final.intercept_, dtype=np.float64) if final.fit_intercept else None,
            l2=_l2(final, n_rows),
            classes=tuple(final.classes_.tolist()),
        )

    def features(self, X: Any) -> np.ndarray:
        """Return the last step's input: what the steps before it make of X, as dense floats."""
        return final_input(self.model, X, width=final_step(self.model).coef_.shape[1])

    def feature_names(self) -> tuple[str, ...] | None:
        """Return the names that the last step, or the one before it, knows."""
        names = getattr(final_step(self.model), "feature_names_in_", None)
        steps = _steps_before_final(self.model)
        if names is None and steps is not None:
            try:
                names = steps.get_feature_names_out()
            except (AttributeError, ValueError, NotFittedError):
                names = None  # a step that does not pass names on
        return None if names is None else tuple(str(name) for name in names)

    def class_weight(self, counts: np.ndarray) -> np.ndarray | None:
        """Return what `class_weight` made of each class."""
        final = final_step(self.model)
        if final.class_weight is None:
            return None
        if final.class_weight == "balanced":
            return counts.sum() / np.count_nonzero(counts) / np.maximum(counts, 1)
        return np.array([final.class_weight.get(c, 1.0) for c in final.classes_.tolist()])

    def logits(self, X: Any) -> np.ndarray:
        """Return the model's decision function."""
        z = np.asarray(self.model.decision_function(X))
        return z[:, None] if z.ndim == 1 else z

    def with_head(self, head: LinearHead) -> Any:
        """Return a deep copy whose last step has other coefficients."""
        model = copy.deepcopy(self.model)
        final = final_step(model)
        final.coef_ = np.array(head.W, dtype=final.coef_.dtype)
        if head.b is not None:
            final.intercept_ = np.array(head.b, dtype=final.intercept_.dtype)
        return model


def final_step(model: Any) -> Any:
    """Return the estimator that holds the coefficients, inside pipelines and searches."""
    if isinstance(model, Pipeline):
        return final_step(model.steps[-1][1])
    if hasattr(model, "best_estimator_"):
        return final_step(model.best_estimator_)
    return model


def final_input(model: Any, X: Any, *, width: int, sparse: bool = False) -> Any:
    """Return what the steps before the last make of X: floats, dense unless `sparse` may stay.

    Raises
    ------
    InputError
        A step refuses the rows, or they have not the `width` that the last step was trained with.
    """
    steps = _steps_before_final(model)
    try:
        X = steps.transform(X) if steps is not None else X
        X = X if sparse else _dense(X)
        phi: Any = check_array(
            X,
            accept_sparse=sparse,
            dtype="numeric",
            order="C",  # rows are taken from it, batch after batch
            ensure_all_finite=False,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the model cannot take these rows: {_first_line(error)}") from error
    if phi.shape[1] != width:
        raise InputError(f"X has {phi.shape[1]} columns where the model was trained with {width}")
    return phi if phi.dtype == np.float32 else phi.astype(np.float64, copy=False)


def _refuse_other_links(final: Any) -> None:
    """Raise where the probabilities are not the sigmoid of one logit or the softmax of several."""
    n_classes = len(final.classes_)
    several = n_classes > 2
    one_versus_rest = isinstance(final, SGDClassifier) or (
        getattr(final, "multi_class", None) == "ovr" or final.solver == "liblinear"
    )
    if several and one_versus_rest:
        raise ModelError(
            f"The {type(final).__name__} fits one class against the rest for each of its "
            f"{n_classes} classes. Train a LogisticRegression, which fits them "
            "together."
        )
    if not several and getattr(final, "multi_class", None) == "multinomial":
        raise ModelError(
            "The LogisticRegression was trained with multi_class='multinomial' on two classes, "
            "which doubles its logits. Train it without that option."
        )


def _steps_before_final(model: Any) -> Any:
    """Return the transformers before the last step as one Pipeline, or None."""
    if hasattr(model, "best_estimator_"):
        return _steps_before_final(model.best_estimator_)
    if not isinstance(model, Pipeline):
        return None
    last = model.steps[-1][1]
    inner = _steps_before_final(last)
    before = list(model.steps[:-1])
    if inner is not None:
        before += [(f"inner_{name}", step) for name, step in inner.steps]
    return Pipeline(before) if before else None


def _l2(final: Any, n_rows: int) -> float:
    """Return the weight of ||W||^2 / 2 beside the sum of row losses."""
    if isinstance(final, SGDClassifier):  # alpha weighs a mean loss
        share = {"l2": 1.0, "elasticnet": 1 - final.l1_ratio}.get(final.penalty, 0.0)
        return share * final.alpha * n_rows
    if isinstance(final, LogisticRegressionCV):
        C, l1_ratio = np.ravel(final.C_)[0], np.ravel(final.l1_ratio_)[0]
    else:
        C, l1_ratio = final.C, final.l1_ratio
    penalty = getattr(final, "penalty", "deprecated")  # before scikit-learn 1.8
    if penalty in ("l1", None):
        return 0.0
    share = 1.0 if penalty == "l2" else 1.0 - float(l1_ratio or 0.0)
    return share / float(C)


def _dense(X: Any) -> Any:
    return X.toarray() if issparse(X) else X


def _first_line(error: BaseException) -> str:
    first, _, rest = str(error).strip().partition("\n")
    if first.endswith(":") and rest:  # what it announces is on the next one
        first = f"{first} {rest.strip().splitlines()[0]}"
    return first or type(error).__name__
