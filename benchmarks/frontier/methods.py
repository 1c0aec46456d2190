"""The peers themselves: what each trains, on training rows and their groups alone.

Every peer is one function from a task and one setting to something that predicts; `METHODS` is the
table of all. Nothing is chosen on validation or test rows: where a method picks among its own
models, it does so by its own rule, on training rows.

The underlying model is the same everywhere: logistic regression with intercept and the published
penalty. Peers that train it have scikit-learn's default tolerance, for it is also what their
documentation shows: 1e-8 makes ExponentiatedGradient three times slower and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import constrained
import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import DemographicParity, ExponentiatedGradient, GridSearch
from sklearn.linear_model import LogisticRegression

from softunlearn import Rows

try:  # the one peer that may not be there: it is no dependency of the tests
    from aif360.algorithms.preprocessing import (  # pyright: ignore[reportMissingImports]
        Reweighing,
    )
    from aif360.datasets import BinaryLabelDataset  # pyright: ignore[reportMissingImports]
except ImportError:
    Reweighing = BinaryLabelDataset = None

L2 = {"adult": 2.2622, "bank_age_extremes": 1.1622, "celeba": 15.1622, "toxicity": 5.1622}
"""The published penalties, beside the sum of losses; 1/C."""

SENSITIVE = {"adult": ("sex=Male",), "bank_age_extremes": ("age",), "celeba": ("Male",)}
"""Features that say the group. The tweets have none."""


class Answer(NamedTuple):
    """What is predicted for some rows: label 1 or not, and the probability of the label 1.

    A randomised classifier's label is the probability that it answers 1.
    """

    labels: np.ndarray
    probabilities: np.ndarray


Predict = Callable[[np.ndarray, np.ndarray], Answer]
"""From features and groups; only methods that need the group at prediction look at it."""


class Fitted(NamedTuple):
    """What training gave: a predictor, and those that the method trained but did not choose."""

    predict: Predict
    others: tuple[Predict, ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """Training rows with groups, and how the model is to be trained on them."""

    train: Rows
    l2: float
    sensitive: tuple[int, ...]

    @classmethod
    def of(cls, name: str, train: Rows) -> "Task":
        """Return the task of a data set by name."""
        assert train.feature_names is not None
        columns = SENSITIVE.get(name, ())
        return cls(train, L2[name], tuple(train.feature_names.index(c) for c in columns))

    def model(self, tol: float = 1e-4) -> LogisticRegression:
        """Return the model that all methods train, not yet fitted."""
        return LogisticRegression(C=1 / self.l2, tol=tol, max_iter=3000)


Fit = Callable[[Task, Any], Fitted]


@dataclass(frozen=True)
class Method:
    """One peer.

    Parameters
    ----------
    fit : callable
        From a task and a setting to what was fitted.
    settings : mapping
        Name and value of every setting; each is one fit.
    needs_group : bool, default=False
        Whether prediction needs the row's group.
    needs_column : bool, default=False
        Whether the method has a meaning only where the features say the group.
    """

    fit: Fit
    settings: Mapping[str, Any]
    needs_group: bool = False
    needs_column: bool = False


def nothing(task: Task, _: None) -> Fitted:
    """Return the plain model."""
    return Fitted(_plain(task.model(tol=1e-8).fit(task.train.X, task.train.y)))


def without_column(task: Task, _: None) -> Fitted:
    """Return the plain model of the features that do not say the group."""

    def kept(X: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.delete(X, task.sensitive, axis=1)

    train = task.train
    return Fitted(_plain(task.model(tol=1e-8).fit(kept(train.X, train.g), train.y), kept))


def exponentiated_gradient(task: Task, bound: float) -> Fitted:
    """Return a mixture of models, drawn from anew for every prediction."""
    reduction = ExponentiatedGradient(task.model(), DemographicParity(difference_bound=bound))
    reduction.fit(task.train.X, task.train.y, sensitive_features=task.train.g)

    def predict(X: np.ndarray, g: np.ndarray) -> Answer:
        p = np.asarray(reduction._pmf_predict(X))[:, 1]
        return Answer(p, p)

    return Fitted(predict)


def grid_search(task: Task, size: int) -> Fitted:
    """Return the model that the search chooses, and the rest of its grid."""
    search = GridSearch(task.model(), DemographicParity(), grid_size=size)
    search.fit(task.train.X, task.train.y, sensitive_features=task.train.g)
    models = [_plain(model) for model in search.predictors_]
    return Fitted(models.pop(search.best_idx_), tuple(models))


def threshold_optimizer(task: Task, tol: float | None) -> Fitted:
    """Return the plain model with thresholds, partly random, for each group."""
    optimizer = ThresholdOptimizer(
        estimator=task.model(),
        constraints="demographic_parity",
        objective="accuracy_score",
        predict_method="predict_proba",
        tol=tol,
    )
    optimizer.fit(task.train.X, task.train.y, sensitive_features=task.train.g)

    def predict(X: np.ndarray, g: np.ndarray) -> Answer:
        p = np.asarray(optimizer._pmf_predict(X, sensitive_features=g))[:, 1]
        return Answer(p, p)

    return Fitted(predict)


def correlation_remover(task: Task, alpha: float) -> Fitted:
    """Return the plain model of features from which the group was projected out.

    The group is appended as a column, for not every data set has one that is it; what says it
    otherwise is removed along with it.
    """
    train, names = task.train, np.unique(task.train.g)
    group = train.X.shape[1]
    remover = CorrelationRemover(sensitive_feature_ids=[*task.sensitive, group], alpha=alpha)

    def with_group(X: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.column_stack([X, np.searchsorted(names, g)])

    def filtered(X: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.asarray(remover.transform(with_group(X, g)))

    remover.fit(with_group(train.X, train.g))
    return Fitted(_plain(task.model().fit(filtered(train.X, train.g), train.y), filtered))


def reweighing(task: Task, _: None) -> Fitted:
    """Return the model trained with weights that make label and group independent."""
    train = task.train
    code = np.unique(train.g, return_inverse=True)[1]
    weights = reweighing_weights(train.y, code)
    return Fitted(_plain(task.model().fit(train.X, train.y, sample_weight=weights)))


def reweighing_weights(y: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return AIF360's weights of rows with label and group 0 or 1; by formula if it is missing."""
    if BinaryLabelDataset is None or Reweighing is None:
        shares = np.array([[np.mean((g == a) & (y == b)) for b in (0, 1)] for a in (0, 1)])
        # P(g) P(y) / P(g, y)
        return (np.outer(shares.sum(axis=1), shares.sum(axis=0)) / shares)[g, y]
    data = BinaryLabelDataset(
        df=pd.DataFrame({"g": g, "y": y}, dtype=float),
        label_names=["y"],
        protected_attribute_names=["g"],
    )
    weighed = Reweighing([{"g": 0}], [{"g": 1}]).fit_transform(data)
    return np.asarray(weighed.instance_weights)


def constrained_training(task: Task, share: float) -> Fitted:
    """Return the model trained under a bound that is a share of the plain model's gap."""
    train = task.train
    plain = constrained.train(train.X, train.y, train.g, l2=task.l2, c=np.inf)
    c = share * abs(plain.gap)
    model = constrained.train(train.X, train.y, train.g, l2=task.l2, c=c, start=plain)

    def predict(X: np.ndarray, g: np.ndarray) -> Answer:
        p = model.probabilities(X)
        return Answer((p > 0.5).astype(float), p)

    return Fitted(predict)


def _plain(
    model: Any, features: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda X, g: X
) -> Predict:
    """Return the predictor of a scikit-learn classifier, on features made from the given ones."""

    def predict(X: np.ndarray, g: np.ndarray) -> Answer:
        phi = features(X, g)
        # one column only where a grid's end makes all labels equal
        classes = list(model.classes_)
        p = model.predict_proba(phi)[:, classes.index(1)] if 1 in classes else np.zeros(len(phi))
        return Answer(np.asarray(model.predict(phi), dtype=float), p)

    return predict


_AIF360 = "the closed formula: AIF360 IS NOT INSTALLED"
if Reweighing is not None:
    _AIF360 = f"AIF360 {version('aif360')}"

METHODS: Mapping[str, Method] = {
    "nothing": Method(nothing, {"": None}),
    "leave the column out": Method(without_column, {"": None}, needs_column=True),
    "ExponentiatedGradient": Method(
        exponentiated_gradient, {f"bound {e}": e for e in (0.01, 0.02, 0.05, 0.1)}
    ),
    "GridSearch": Method(grid_search, {f"{k} models": k for k in (10, 50)}),
    "ThresholdOptimizer": Method(
        threshold_optimizer,
        {"exact": None} | {f"tol {t}": t for t in (0.02, 0.05, 0.1)},
        needs_group=True,
    ),
    "CorrelationRemover": Method(
        correlation_remover, {f"alpha {a}": a for a in (0.25, 0.5, 0.75, 1.0)}, needs_group=True
    ),
    "Reweighing": Method(reweighing, {_AIF360: None}),
    "constrained training": Method(
        constrained_training,
        {f"{share} of the gap": share for share in (0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.0)},
    ),
}
"""All peers, in the order of the tables."""
