import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from softunlearn.report import summarise
from softunlearn.report.rows_shown import N_TELLING
from tests.report.cases import correction, fit, make, parts


def test_most_harmful_rows_come_first(corrected):
    rows = summarise(corrected)["rows"]
    order = np.argsort(corrected.influence.target)
    assert [row["row"] for row in rows["most_harmful"]] == order[:25].tolist()
    assert [row["row"] for row in rows["most_helpful"]] == order[::-1][:25].tolist()
    first = rows["most_harmful"][0]
    assert first["target_influence"] == corrected.influence.target[order[0]] < 0
    assert first["weight"] == 1 + corrected.weights[order[0]]
    train = corrected.session.given["train"]
    assert (first["label"], first["group"]) == (train.y[order[0]], train.g[order[0]])


def test_array_without_names_gets_numbered_features(corrected):
    row = summarise(corrected)["rows"]["most_harmful"][0]
    assert [item["name"] for item in row["values"]] == ["x0", "x1", "x2"]
    X = corrected.session.given["train"].X
    assert [item["value"] for item in row["values"]] == X[row["row"]].tolist()


def test_dataframe_is_shown_as_the_user_has_it(hostile):
    row = summarise(hostile)["rows"]["most_harmful"][0]
    frame = hostile.session.given["train"].X
    assert len(row["values"]) == frame.shape[1]
    assert row["values"][0]["value"] == frame.iloc[row["row"], 0]


def test_sparse_rows_are_shown_as_numbers():
    rows = parts(*make())
    rows = {name: (sparse.csr_array(X), y, g) for name, (X, y, g) in rows.items()}
    c = correction(rows, select="full")
    row = summarise(c)["rows"]["most_helpful"][0]
    assert [item["name"] for item in row["values"]] == ["x0", "x1", "x2"]


def test_rare_values_are_the_telling_ones_of_wide_rows():
    X, y, g = make(d=30)
    X[:, 20] = 0.0
    worst = int(correction(parts(X, y, g)).influence.target.argmin())
    X[worst, 20] = 1e-3  # too small to matter, and 11 standard deviations from the mean
    summary = summarise(correction(parts(X, y, g)))["rows"]
    assert (summary["features"], summary["features_shown"]) == (30, N_TELLING)
    shown = [*summary["most_harmful"], *summary["most_helpful"]]
    assert all(len(row["values"]) == N_TELLING for row in shown)
    row = next(row for row in shown if row["row"] == worst)
    assert row["values"][0] == {"name": "x20", "value": 1e-3}


def test_constant_and_missing_columns_do_no_harm():
    X, y, g = make()
    frame = pd.DataFrame(X).rename(columns=str)
    for j in range(3, 16):
        frame[f"constant {j}"] = 0.1
    frame["kind"] = pd.Categorical(np.where(X[:, 2] > 1.5, "rare", None))
    frame["missing"] = pd.array([None] * len(frame), dtype="Int64")
    model = fit(frame[["0", "1", "2"]].iloc[:120], y[:120], _Only(["0", "1", "2"]))
    c = correction(parts(_Sliced(frame), y, g), model=model, select="full")
    row = summarise(c)["rows"]["most_harmful"][0]
    assert not any(item["name"].startswith("constant") for item in row["values"][:3])


class _Only(TransformerMixin, BaseEstimator):
    """A step that passes some columns on."""

    def __init__(self, names):
        self.names = names

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return X[self.names].to_numpy()


class _Sliced:
    """A dataframe that is cut by rows."""

    def __init__(self, frame):
        self.frame = frame

    def __getitem__(self, rows):
        return self.frame.iloc[rows]
