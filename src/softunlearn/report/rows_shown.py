"""The training rows that are shown one by one, and what is in them.

They are those that harm or help the target most, and those of high leverage.

Values are the user's own where the rows came as columns, else the numbers that the model's last
layer sees. Of many features the most telling few are shown: those furthest from the training
average, in standard deviations. A category is a 0/1 column here, so it is far out where it is
rare: (1 - f) / sqrt(f (1 - f)) for a category that a part f of the rows has.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from array_api_compat import to_device

from softunlearn.correction import Correction
from softunlearn.message import HIGH_LEVERAGE
from softunlearn.models.groups import group_of_row, rows_array
from softunlearn.report.plain import brief, cell, clean
from softunlearn.rows import Rows

N_ROWS = 25
"""Rows listed at each end, and of high leverage."""

WIDE = 12
"""Up to so many features are all shown."""

N_TELLING = 8
"""Of more features, so many are shown."""

SAMPLE = 100_000
"""Averages are taken over at most so many training rows, evenly spaced."""

CONSTANT = 1e-9
"""Relative spread below which a column is constant, but for rounding."""


def rows_shown(correction: Correction) -> dict[str, Any]:
    """Return the rows at both ends and of high leverage, and how their features were chosen."""
    a, h = host(correction.influence.target), correction.influence.leverage
    h = np.zeros_like(a) if h is None else host(h)
    order = np.argsort(a, kind="stable")
    harmful = [int(i) for i in order[:N_ROWS] if a[i] < 0]
    helpful = [int(i) for i in order[::-1][:N_ROWS] if a[i] > 0]
    alone = [int(i) for i in np.argsort(-h, kind="stable")[:N_ROWS] if h[i] > HIGH_LEVERAGE]
    at_hand = _AtHand.of(correction, list(dict.fromkeys(harmful + helpful + alone)))
    table, values = at_hand.table, _telling_values(at_hand)

    def row(i: int) -> dict[str, Any]:
        return _row(correction, at_hand, i, values[i])

    return {
        "most_harmful": [row(i) for i in harmful],
        "most_helpful": [row(i) for i in helpful],
        "high_leverage": [row(i) for i in alone],
        "features": table.shape[1],
        "features_shown": table.shape[1] if table.shape[1] <= WIDE else N_TELLING,
    }


@dataclass(frozen=True, eq=False)
class _AtHand:
    """Training rows in memory, as columns: all, or those to show and a sample, read from files.

    `place` is where a row to show is among them, and `sample` where the rows are that averages are
    taken over.
    """

    rows: Rows
    table: pd.DataFrame
    place: dict[int, int]
    sample: np.ndarray

    @classmethod
    def of(cls, correction: Correction, shown: list[int]) -> "_AtHand":
        given = correction.session.given["train"]
        sample = np.arange(0, len(given), -(-len(given) // SAMPLE))
        if given.in_memory:
            table = _readable(given, correction.session.rows["train"])
            return cls(given, table, {i: i for i in shown}, sample)
        index = np.union1d(sample, np.array(shown, dtype=np.int64))
        some, places = given.take(index), np.searchsorted(index, shown)
        place = {i: int(at) for i, at in zip(shown, places, strict=True)}
        return cls(some, _readable(some, some), place, np.searchsorted(index, sample))


def host(x: Any) -> np.ndarray:
    """Return an array of any library as NumPy, in float64."""
    return np.asarray(to_device(x, "cpu"), dtype=np.float64)


def _row(
    correction: Correction, at_hand: _AtHand, i: int, values: list[dict[str, Any]]
) -> dict[str, Any]:
    train, place = at_hand.rows, at_hand.place[i]
    h = correction.influence.leverage
    return {
        "row": i,
        "label": cell(rows_array(train.y)[place]),
        "group": None if train.g is None else cell(group_of_row(train.g, place)),
        "target_influence": float(correction.influence.target[i]),
        "utility_influence": float(correction.influence.utility[i]),
        "leverage": None if h is None else float(h[i]),
        "weight_change": float(correction.weights[i]),
        "weight": 1.0 + float(correction.weights[i]),
        "values": values,
    }


def _readable(given: Rows, encoded: Rows) -> pd.DataFrame:
    """Return the training rows as columns: the user's own where they can be read."""
    X: Any = given.X.to_pandas() if hasattr(given.X, "to_pandas") else given.X
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, pd.Series):
        return X.to_frame("value")
    names = given.feature_names
    if isinstance(X, list | np.ndarray) and np.ndim(X[:1]) <= 2:  # images may differ in size
        X = np.asarray(X)
        if X.ndim == 1:
            return pd.DataFrame({"value": X})
    else:
        X, names = np.asarray(to_device(encoded.X, "cpu")), encoded.feature_names
    if names is None or len(names) != X.shape[1]:
        names = tuple(f"x{j}" for j in range(X.shape[1]))
    return pd.DataFrame(X, columns=pd.Index(names), copy=False)


def _telling_values(at_hand: _AtHand) -> dict[int, list[dict[str, Any]]]:
    """Return the values to show of each row, names and all, the most telling first if many."""
    table = at_hand.table
    names = [brief(clean(str(name))) for name in table.columns]
    some = table.iloc[list(at_hand.place.values())]
    chosen = [list(range(len(names)))] * len(some)
    if len(names) > WIDE:
        sample = table.iloc[at_hand.sample]
        far = [_distance(sample.iloc[:, j], some.iloc[:, j]) for j in range(len(names))]
        chosen = np.argsort(-np.stack(far, axis=1), axis=1, kind="stable")[:, :N_TELLING].tolist()
    return {
        i: [{"name": names[j], "value": cell(some.iloc[position, j])} for j in chosen[position]]
        for position, i in enumerate(at_hand.place)
    }


def _distance(sample: pd.Series, values: pd.Series) -> np.ndarray:
    """Return how far values are from a column's average, in standard deviations."""
    if pd.api.types.is_numeric_dtype(sample) and not pd.api.types.is_bool_dtype(sample):
        known = _numbers(sample)
        known = known[np.isfinite(known)]
        if len(known) == 0:
            return np.zeros(len(values))
        rounding = CONSTANT * np.abs(known).max()
        far = np.abs(_numbers(values) - known.mean())
        far[far <= rounding] = 0.0
        return np.nan_to_num(far / max(known.std(), rounding, np.finfo(float).tiny), nan=0.0)
    share = sample.astype(str).value_counts(normalize=True)
    rarest = 1 / (len(sample) + 1)
    f = np.array([float(share.get(value, rarest)) for value in values.astype(str)])
    return np.sqrt((1 - f) / f)


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=float, na_value=np.nan)
