"""SoftUnlearner: `correct` as a scikit-learn estimator.

One rule says which rows are which. The rows given to `fit` are those that the estimator is trained
on, but for the part that is held out to decide. A frozen estimator was trained on all of them
before, so the rows that decide are others, and are given. Weights are those of training; what is
measured on rows that decide counts each of them once.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_random_state, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from softunlearn.aims import Wanted, needs_groups, wanted
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.curvature import CurvatureSolver
from softunlearn.exceptions import InputError
from softunlearn.held_out import held_out, part_of
from softunlearn.models.groups import rows_array
from softunlearn.paths import Path
from softunlearn.rows import Rows, as_rows
from softunlearn.select import Rule
from softunlearn.unlearning import Unlearner
from softunlearn.weights import WeightScheme


def _has(method: str) -> Any:
    """Return a check that the estimator, fitted or to be, has a method."""

    def check(self: "SoftUnlearner") -> bool:
        getattr(vars(self).get("estimator_", self.estimator), method)
        return True

    return available_if(check)


class SoftUnlearner(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that is trained, then corrected by re-weighting its training rows.

    `su.correct` as a scikit-learn estimator, for Pipelines, searches and cross-validation. A part
    of the rows given to `fit` is held out; a clone of the estimator is trained on the others, and
    corrected by what the held-out rows show. A model that is trained already is given in a
    `sklearn.frozen.FrozenEstimator`, its training rows to `fit`, and other rows as `validation`.

    Parameters
    ----------
    estimator : estimator
        A classifier with a linear head: LogisticRegression, LogisticRegressionCV,
        SGDClassifier(loss="log_loss") or MLPClassifier, bare, or at the end of a Pipeline or a
        search; or one that is trained, in a FrozenEstimator.
    metric, hold, algorithm, scheme, path, select, only_above, insist, curvature
        As in `softunlearn.correct`. The default metric, demographic parity, needs
        `sensitive_features`.
    validation : float, Rows or tuple (X, y, g), default=0.25
        The part of the rows given to `fit` that is held out, of every class and group alike; or
        the rows that decide, where all rows given to `fit` are for training.
    choose_on : Rows or tuple (X, y, g), optional
        As in `softunlearn.correct`.
    random_state : int, RandomState instance or None, default=0
        Seed of which rows are held out, and of algorithms that draw random numbers.

    Attributes
    ----------
    estimator_ : estimator
        The corrected model.
    correction_ : Correction
        What was done and why, its frontier, weights and figures. It holds the rows, so pickles
        and copies of the estimator are without it; `correction_.save(directory)` keeps it.
    held_out_ : ndarray of shape (n,)
        Which of the rows given to `fit` were held out; the others are those of
        `correction_.weights`, in their order.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
        Where the estimator has it.
    feature_names_in_ : ndarray of shape (n_features,)
        Likewise.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=4000)
    >>> unlearner = su.SoftUnlearner(LogisticRegression(max_iter=1000))
    >>> unlearner = unlearner.fit(train.X, train.y, sensitive_features=train.g)
    >>> unlearner.correction_.status
    <Status.CORRECTED: 'CORRECTED'>
    >>> unlearner.predict(test.X).shape
    (800,)

    A model that is trained already:

    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> unlearner = su.SoftUnlearner(FrozenEstimator(model), validation=validation)
    >>> unlearner.fit(train.X, train.y).correction_.status
    <Status.CORRECTED: 'CORRECTED'>
    """

    def __init__(
        self,
        estimator: Any,
        *,
        metric: str | Wanted | Sequence[str | Wanted] = "demographic_parity",
        hold: str | Wanted | Sequence[str | Wanted] = (),
        algorithm: str | Unlearner = "influence",
        scheme: str | WeightScheme = "soft",
        path: str | Path | None = None,
        select: str | Rule = "no_utility_loss",
        only_above: float = 0.0,
        insist: bool = False,
        curvature: CurvatureSolver | None = None,
        validation: Any = 0.25,
        choose_on: Any = None,
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.metric = metric
        self.hold = hold
        self.algorithm = algorithm
        self.scheme = scheme
        self.path = path
        self.select = select
        self.only_above = only_above
        self.insist = insist
        self.curvature = curvature
        self.validation = validation
        self.choose_on = choose_on
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train a clone of the estimator and correct it; or correct a frozen one.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, d), or dataframe
            As the estimator takes it; of a frozen one, the rows that it was trained on.
        y : array-like of shape (n,)
        sensitive_features : array-like of shape (n,) or (n, m), dataframe or dict, optional
            As `Rows.g`. Needed where the metric compares groups and `validation` is a part.
        sample_weight : array-like of shape (n,), optional
            Weights that the estimator is, or was, trained with. A row of weight 0 is never held
            out.

        Returns
        -------
        SoftUnlearner

        Raises
        ------
        InputError
            Some rows cannot be used, or there are no groups.
        ModelError
            The estimator has no linear head.
        ValueError, TypeError
            An option is unknown, or the estimator does not take the rows or the weights.
        """
        if not hasattr(self.estimator, "get_params"):
            raise TypeError(
                "`estimator` must be a scikit-learn classifier, got a "
                f"{type(self.estimator).__name__}; su.correct takes other trained models."
            )
        rows, seed = _read(X, y, sensitive_features, sample_weight), _seed(self.random_state)
        out = self._held_out(rows, seed)
        train = part_of(rows, ~out)
        model = self._trained(train)
        try:
            self.correction_: Correction = correct(
                model,
                train=train,
                validation=self._validation(rows, out),
                choose_on=self.choose_on,
                metric=self.metric,
                hold=self.hold,
                algorithm=self.algorithm,
                scheme=self.scheme,
                path=self.path,
                only_above=self.only_above,
                insist=self.insist,
                select=self.select,
                curvature=self.curvature,
                random_state=seed,
            )
        except InputError:
            if self._holds_out:
                model.predict(rows.X)  # raises its own error if it cannot take the rows
            raise
        self.held_out_ = out
        self.estimator_ = self.correction_.model
        return self

    @property
    def _holds_out(self) -> bool:
        """Return whether `validation` is a part, not rows of its own."""
        return isinstance(self.validation, Real)

    def _held_out(self, rows: Rows, seed: int) -> np.ndarray:
        """Return which of the rows given to `fit` decide and are not trained on."""
        if not self._holds_out:
            if as_rows(self.validation, "validation").X is rows.X:
                raise ValueError(
                    "`validation` has the rows given to `fit`, and must have others: on rows that "
                    "it was trained on, a model looks better than it is."
                )
            return np.zeros(len(rows), dtype=bool)
        if isinstance(self.estimator, FrozenEstimator):
            raise ValueError(
                "A frozen estimator was trained on the rows given to `fit`, and others must "
                "decide: give them as validation=(X, y, g)."
            )
        if not 0 < self.validation < 1:
            raise ValueError(
                "`validation` must be a part of the rows, above 0 and below 1, or rows of its "
                f"own, (X, y, g), got {self.validation}."
            )
        wants = (*wanted(self.metric, "metric")[0], *wanted(self.hold, "hold")[0])
        if rows.g is None and any(map(needs_groups, wants)):
            raise InputError(
                "The metric compares groups, and fit was given none: give it `sensitive_features`."
                " Through a Pipeline or a search, see set_fit_request(sensitive_features=True)."
            )
        return held_out(rows, self.validation, seed)

    def _validation(self, rows: Rows, out: np.ndarray) -> Rows:
        """Return the rows that decide, without weights: each counts once."""
        if not self._holds_out:
            return as_rows(self.validation, "validation")
        if not out.any():
            raise InputError(
                f"A part of {self.validation} of the rows of each class is not one row, of "
                f"{len(rows):,}: give more rows, or validation=(X, y, g)."
            )
        return replace(part_of(rows, out), weight=None)

    def _trained(self, train: Rows) -> Any:
        """Return the frozen model itself, or a clone of the estimator trained on rows."""
        if isinstance(self.estimator, FrozenEstimator):
            return self.estimator.estimator
        model: Any = clone(self.estimator)
        return model.fit(train.X, train.y, **self._fit_params(train))

    def _fit_params(self, train: Rows) -> Mapping[str, Any]:
        """Return what else the estimator's `fit` is given.

        Raises
        ------
        ValueError
            There are weights, and the estimator is not trained with them.
        """
        given = {"sensitive_features": train.g, "sample_weight": train.weight}
        given = {name: values for name, values in given.items() if values is not None}
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **given)["estimator"]["fit"] if given else {}
        else:
            keyword = weight_keyword(self.estimator)
            params = {keyword: train.weight} if keyword and train.weight is not None else {}
        if train.weight is not None and not any(v is train.weight for v in params.values()):
            raise ValueError(
                f"`sample_weight` was given, and the {type(self.estimator).__name__} is not "
                "trained with it: leave it out, or have the estimator take it."
            )
        return params

    def predict(self, X: Any) -> np.ndarray:
        """Return the corrected model's classes of rows."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the corrected model's probabilities of rows, (n, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the corrected model's probabilities, (n, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @_has("decision_function")
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the corrected model's logits of rows, (n,) of two classes, (n, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @property
    def classes_(self) -> np.ndarray:
        """Return the labels."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Return the number of columns that the estimator was trained on."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Return their names."""
        return self.estimator_.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what `fit` asks for, and what it passes on to the estimator's."""
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=to_fit)

    def __sklearn_tags__(self) -> Any:
        own, tags = super().__sklearn_tags__(), deepcopy(get_tags(self.estimator))
        tags.estimator_type, tags.target_tags = own.estimator_type, own.target_tags
        tags.classifier_tags = tags.classifier_tags or own.classifier_tags
        tags.array_api_support = False  # a scikit-learn model is corrected in NumPy
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # the correction holds the rows, which are not to travel with a model
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "correction_"}

    def __getattr__(self, name: str) -> Any:
        if name == "correction_" and "estimator_" in vars(self):
            raise AttributeError(
                "A pickled or copied SoftUnlearner has no `correction_`, which holds the rows. "
                "Keep it with correction_.save(directory), and read it with su.load."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def weight_keyword(estimator: Any) -> str | None:
    """Return the name by which an estimator's `fit` takes weights without metadata routing.

    Parameters
    ----------
    estimator : estimator
        Of a Pipeline it is the last step that is to be trained with them; of a search, what it
        searches for.
    """
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        keyword = weight_keyword(last)
        return None if keyword is None else f"{name}__{keyword}"
    if hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit"):
        return weight_keyword(estimator.estimator)
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def _read(X: Any, y: Any, g: Any, weight: Any) -> Rows:
    """Return what `fit` was given as rows that can be parted."""
    X, y = indexable(X, y)
    y = column_or_1d(rows_array(y), warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    if weight is not None:
        weight = np.asarray(weight)
        if weight.ndim != 1:
            raise ValueError(f"`sample_weight` must be one column, got shape {weight.shape}.")
    each = g.values() if isinstance(g, Mapping) else [g]
    check_consistent_length(X, y, weight, *each)
    return Rows(X, y, g, weight)


def _seed(random_state: Any) -> int:
    """Return a number that is what was given, or is drawn from it."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
