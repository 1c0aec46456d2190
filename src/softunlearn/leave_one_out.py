"""Exact leave-one-out: every row removed in turn, and the head trained to its optimum again.

The truth that influence estimates (step 1; figures 1 and 3 of the paper). How a row is taken out
and the rest trained again is in `refits.py`.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from softunlearn.aims import on_head
from softunlearn.array_cache import ArrayCache, key
from softunlearn.curvature import Cholesky
from softunlearn.exceptions import SoftUnlearnWarning
from softunlearn.metrics import Target
from softunlearn.objective import HeadObjective
from softunlearn.paths.frontier import Progress
from softunlearn.refits import Around, at_optimum, changes


def leave_one_out(
    model: Any,
    train: Any,
    targets: Target | Sequence[Target],
    *,
    rows: ArrayLike | None = None,
    tolerance: float = 1e-6,
    cache: ArrayCache | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return the exact change of each target when a training row is removed.

    Influence is the first-order estimate of it, from one pass over the rows; here each row that is
    left out costs two passes or more, 4 n p operations each. All of 30,000 rows with 100 features
    take about a minute. To be preferred where an estimate is to be checked, or rows are few.

    Changes are measured against the optimum with all rows. A model that was stopped before it is
    first trained to the end, so that what finishing would change is in none of them. A removal
    takes the row's whole weighted loss; the penalty remains.

    Parameters
    ----------
    model : estimator
        A trained model with a linear head; it is not changed.
    train : Rows or tuple (X, y)
        The rows that the model was trained on.
    targets : Target or sequence of m Target
        Metrics, each on rows of its own, as the model takes them.
    rows : array-like of int, optional
        Positions of the training rows to leave out, one at a time. Default: all.
    tolerance : float, default=1e-6
        The last Newton step without a row is at most this part of the whole movement from the
        model with it, both in the norm of the Hessian: the gradient that is left, relative to
        the removed row's. Between 0 and 1.
    cache : ArrayCache, optional
        Keeps what is computed on disk, by the sha256 of model, rows and targets, some hundreds of
        models at a time: the same call, interrupted and made again, goes on where it was.
    progress : callable, optional
        Called with what is being done and the part of it that is done, 0 to 1.

    Returns
    -------
    ndarray of shape (n_left_out, m)
        Metric without the row less metric with it, in the metric's own unit; negative: the row
        harms. NaN where training without the row did not converge, with a warning.

    Raises
    ------
    NoOptimumError
        Training with all rows has no end, as with separable classes and no penalty.
    ModelError, InputError
        As `correct`.
    ValueError, TypeError
        An option is out of range.

    Warns
    -----
    SoftUnlearnWarning
        Training did not converge without some row.

    References
    ----------
    Figures 1 and 3; how it is computed is beyond the paper.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=500)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> target = su.Target(su.metrics.LogLoss(), data.validation)
    >>> leave_one_out(model, data.train, target, rows=[0, 7]).shape
    (2, 1)
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"`tolerance` must lie between 0 and 1, got {tolerance}.")
    objective, encoded = on_head(model, train, targets)
    left_out = _positions(rows, len(objective.rows))
    computed = (
        (lambda rows, compute: compute())
        if cache is None
        else _remembered(cache, objective, encoded, tolerance)
    )
    report = progress or (lambda what, part: None)
    found, done = np.empty((len(left_out), len(encoded))), 0
    # small products: threads that share out the rows beat threads inside of each product
    with threadpool_limits(1, "blas"):
        objective = at_optimum(objective, tolerance)
        curvature = Cholesky().factor(objective)
        report("leaving rows out", 0.0)
        for at, change in changes(objective, curvature, encoded, left_out, tolerance, computed):
            found[at] = change
            done += len(at)
            report("leaving rows out", done / len(left_out))
    if (failed := np.isnan(found).any(axis=1)).any():
        warnings.warn(
            f"Training did not converge without one of {int(failed.sum()):,} rows, the first is "
            f"row {left_out[failed][0]}; their changes are NaN. Train with a penalty.",
            SoftUnlearnWarning,
            stacklevel=2,
        )
    return found


def _remembered(
    cache: ArrayCache, objective: HeadObjective, targets: Sequence[Target], tolerance: float
) -> Around:
    """Return what looks a block of models up, and keeps it where it had to be computed."""
    head, settings = objective.head, repr([target.metric for target in targets])
    if " at 0x" in settings:
        raise ValueError(
            "`cache` cannot tell one function from another in another process: leave it out for a "
            "metric made of functions, or give one that is a frozen dataclass."
        )
    settings += repr((head.l2, head.b is None, head.W.shape, tolerance))
    parts = [settings.encode(), head.theta]
    for rows in (objective.rows, *(target.rows for target in targets)):
        parts += [values for values in (rows.X, rows.y, rows.g, rows.weight) if values is not None]
    inputs = key(_content(part) for part in parts).encode()

    def computed(left_out: ndarray, compute: Callable[[], ndarray]) -> ndarray:
        name = key([inputs, _content(left_out)])
        found = cache.get(name)
        if found is None:
            found = compute()
            cache.put(name, found)
        return found

    return computed


def _content(part: bytes | ndarray) -> bytes | memoryview:
    """Return what an array holds, its shape and type included."""
    if isinstance(part, bytes):
        return part
    return repr((part.shape, part.dtype.str)).encode() + np.ascontiguousarray(part).tobytes()


def _positions(rows: ArrayLike | None, n: int) -> Integer[ndarray, "r"]:
    """Return the rows to leave out, checked."""
    if rows is None:
        return np.arange(n)
    index = np.asarray(rows)
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise TypeError(
            f"`rows` must be positions of training rows, whole numbers in one dimension, got "
            f"{index.dtype} of shape {index.shape}; np.flatnonzero(mask) makes them of a mask."
        )
    if ((index < 0) | (index >= n)).any():
        raise ValueError(
            f"`rows` must lie between 0 and {n - 1}, got {index.min()}..{index.max()}."
        )
    return index.astype(np.int64)
