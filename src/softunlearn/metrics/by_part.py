"""A metric on every class's rows, or on every group's: many targets of one kind.

Each is an ordinary target on rows of its own, so `influence_scores` takes all of them at once:
they share the Hessian, and with conjugate gradients the Krylov space too.
"""

from typing import Any

import numpy as np

from softunlearn.exceptions import InputError
from softunlearn.metrics.metric import Metric, Target
from softunlearn.metrics.utility import LogLoss
from softunlearn.rows import Rows, as_rows, take

MEAN_LOSS = LogLoss("mean")


def per_class(rows: Any, metric: Metric = MEAN_LOSS) -> dict[Any, Target]:
    """Return the metric on the rows of each class, by its label in ascending order.

    Parameters
    ----------
    rows : Rows or tuple (X, y) or (X, y, g)
        As the model takes them.
    metric : Metric, default=LogLoss("mean")

    Returns
    -------
    dict of label to Target

    Raises
    ------
    InputError
        The rows have no labels.

    Examples
    --------
    How much each training row changes the loss of each class:

    >>> import softunlearn as su
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])
    >>> targets = su.metrics.per_class((X[1::2], y[1::2]))
    >>> a = su.influence_scores(model, (X[::2], y[::2]), list(targets.values()))
    >>> list(targets), a.shape
    ([0, 1, 2], (75, 3))
    """
    return _by(rows, "y", "labels", metric)


def per_group(rows: Any, metric: Metric = MEAN_LOSS) -> dict[Any, Target]:
    """Return the metric on the rows of each group, by its name in ascending order.

    Parameters
    ----------
    rows : Rows or tuple (X, y, g)
        As the model takes them, with one sensitive column.
    metric : Metric, default=LogLoss("mean")

    Returns
    -------
    dict of group to Target

    Raises
    ------
    InputError
        The rows have no groups, or several sensitive columns.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, _ = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> targets = su.metrics.per_group(validation)
    >>> a = su.influence_scores(model, train, list(targets.values()))
    >>> list(targets), a.shape
    (['Female', 'Male'], (600, 2))
    """
    return _by(rows, "g", "groups", metric)


def _by(rows: Any, column: str, what: str, metric: Metric) -> dict[Any, Target]:
    own = as_rows(rows, "rows").read()
    values = None if getattr(own, column) is None else np.asarray(getattr(own, column))
    if values is None or values.ndim != 1:
        got = "none" if values is None else f"an array of shape {values.shape}"
        raise InputError([f"`rows` must have {what} in one column, got {got}"])
    each, which = np.unique(values, return_inverse=True)
    order = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    return {
        label: Target(metric, _some(own, index))
        for label, index in zip(each.tolist(), order, strict=True)
    }


def _some(rows: Rows, index: np.ndarray) -> Rows:
    def taken(values: Any) -> Any:
        return None if values is None else take(values, index)

    return Rows(taken(rows.X), taken(rows.y), taken(rows.g), taken(rows.weight))
