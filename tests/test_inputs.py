"""Whatever rows are kept in, the correction is the same: by `correct` and by SoftUnlearner."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

import softunlearn as su
from softunlearn.report import summarise

NUMBERS = ["age", "education_years", "hours_per_week"]
WORDS = ["education", "marital_status", "occupation", "sex"]


def by_correct(model, X, y, g, keep):
    """Correct by hand: `keep(values)` parts them in rows to train on and rows that decide."""
    (X, Xv), (y, yv), (g, gv) = (keep(values) for values in (X, y, g))
    return su.correct(
        model.fit(X, y), train=(X, y, g), validation=(Xv, yv, gv), select="full"
    ).weights


def by_estimator(model, X, y, g, keep):
    unlearner = su.SoftUnlearner(model, select="full").fit(X, y, sensitive_features=g)
    return unlearner.correction_.weights


WAYS = pytest.mark.parametrize("weights_of", [by_correct, by_estimator])


def halves(values):
    """Part rows by the slicing of their own library."""
    if isinstance(values, dict):
        parts = {name: halves(column) for name, column in values.items()}
        return [{name: part[i] for name, part in parts.items()} for i in (0, 1)]
    if sparse.issparse(values):
        values = values.tocsr()
    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.iloc
    return values[:1000], values[1000:]


@pytest.fixture(scope="module")
def encoded():
    return su.datasets.load("census", n_rows=3000).train


@pytest.fixture(scope="module")
def raw():
    rows = su.datasets.load("census", n_rows=3000, encoded=False).train
    return su.Rows(rows.X[NUMBERS + WORDS], rows.y, rows.g)


def logistic():
    return LogisticRegression(max_iter=1000)


def pipeline(numbers=None):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), WORDS),
        (numbers or StandardScaler(), NUMBERS),
    )
    return make_pipeline(columns, logistic())


NUMERIC = {
    "Fortran order": np.asfortranarray,
    "lists": np.ndarray.tolist,
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_matrix,
    "torch": torch.from_numpy,
    "pandas": lambda X: pd.DataFrame(X, index=range(7, 7 + len(X))),
    "polars": pl.DataFrame,
    "pyarrow": lambda X: pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}),
}
TABLES = {
    "polars": pl.from_pandas,
    "pyarrow": lambda X: pa.Table.from_pandas(X, preserve_index=False),
}
COLUMNS = {
    "list": list,
    "objects": lambda v: np.array(v, dtype=object),
    "pandas": lambda v: pd.Series(v, index=range(7, 7 + len(v))),
    "pandas string": lambda v: pd.Series(v, dtype="string"),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "polars": pl.Series,
    "polars categorical": lambda v: pl.Series(v, dtype=pl.Categorical),
    "polars enum": lambda v: pl.Series(v, dtype=pl.Enum(sorted(set(v)))),
    "pyarrow": pa.array,
    "pyarrow chunks": lambda v: pa.chunked_array([v[:10], v[10:]]),
    "pyarrow dictionary": lambda v: pa.array(v).dictionary_encode(),
}
CODES = {
    "torch": torch.tensor,
    "truth values": lambda v: v.astype(bool),
    "floats": lambda v: v.astype(float),
    "pandas nullable": lambda v: pd.Series(v, dtype="Int64"),
    "polars": pl.Series,
    "pyarrow truth values": lambda v: pa.array(v.astype(bool)),
}


@WAYS
@pytest.mark.parametrize("kind", NUMERIC)
def test_features(weights_of, kind, encoded):
    expected = weights_of(logistic(), encoded.X, encoded.y, encoded.g, halves)
    X = NUMERIC[kind](encoded.X)
    weights = weights_of(logistic(), X, encoded.y, encoded.g, halves)
    # a training that ends elsewhere within LogisticRegression's tolerance of 1e-4
    np.testing.assert_allclose(weights, expected, rtol=1e-2, atol=1e-3)


@WAYS
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_numbers_and_words(weights_of, kind, raw):
    expected = weights_of(pipeline(), raw.X, raw.y, raw.g, halves)
    weights = weights_of(pipeline(), TABLES[kind](raw.X), raw.y, raw.g, halves)
    np.testing.assert_allclose(weights, expected, rtol=1e-2, atol=1e-3)


@WAYS
@pytest.mark.parametrize("kind", COLUMNS)
def test_words_as_labels_and_groups(weights_of, kind, encoded):
    y, g = np.where(encoded.y == 1, "rich", "poor"), np.asarray(encoded.g, dtype=str)
    expected = weights_of(logistic(), encoded.X, y, g, halves)
    column = COLUMNS[kind]
    weights = weights_of(logistic(), encoded.X, column(y.tolist()), column(g.tolist()), halves)
    np.testing.assert_array_equal(weights, expected)


@WAYS
@pytest.mark.parametrize("kind", CODES)
def test_numbers_as_labels_and_groups(weights_of, kind, encoded):
    g = (np.asarray(encoded.g) == "Male").astype(int)
    expected = weights_of(logistic(), encoded.X, encoded.y, encoded.g, halves)
    column = CODES[kind]
    weights = weights_of(logistic(), encoded.X, column(encoded.y), column(g), halves)
    np.testing.assert_array_equal(weights, expected)


@WAYS
@pytest.mark.parametrize(
    "table",
    [
        lambda columns: columns,
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda columns: np.stack(list(columns.values()), axis=1),
        lambda columns: [list(pair) for pair in zip(*columns.values(), strict=True)],
    ],
    ids=["dict", "pandas", "polars", "pyarrow", "array", "lists"],
)
def test_several_sensitive_columns(weights_of, table, encoded, raw):
    columns = {
        "sex": np.asarray(raw.g, dtype=str),
        "married": np.where(raw.X["marital_status"] == "Married", "yes", "no"),
    }
    joined = np.char.add(np.char.add(columns["sex"], " & "), columns["married"])
    expected = weights_of(logistic(), encoded.X, encoded.y, joined, halves)
    weights = weights_of(logistic(), encoded.X, encoded.y, table(columns), halves)
    np.testing.assert_array_equal(weights, expected)


MISSING = {
    "pandas": lambda v: pd.Series(v, dtype="string"),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "list": list,
}


@WAYS
@pytest.mark.parametrize("kind", MISSING)
def test_a_row_without_a_group_is_refused_by_its_number(weights_of, kind, encoded):
    g = np.asarray(encoded.g, dtype=object)
    g[1003] = None
    row = 3 if weights_of is by_correct else 1003
    with pytest.raises(su.InputError, match=f"1 rows have no group, the first is row {row};"):
        weights_of(logistic(), encoded.X, encoded.y, MISSING[kind](g.tolist()), halves)


def with_holes(X):
    rng = np.random.default_rng(0)
    X = X.astype(dict.fromkeys(NUMBERS, float))
    X.loc[rng.random(len(X)) < 0.1, "age"] = np.nan
    X.loc[rng.random(len(X)) < 0.1, "occupation"] = None
    return X


@WAYS
@pytest.mark.parametrize("kind", ["pandas", *TABLES])
def test_missing_values_are_left_to_the_pipeline(weights_of, kind, raw):
    """As when they are filled in beforehand with the training rows' means, by hand."""
    X = with_holes(raw.X)
    means = make_pipeline(SimpleImputer(), StandardScaler())
    given = X if kind == "pandas" else TABLES[kind](X)
    weights = weights_of(pipeline(means), given, raw.y, raw.g, halves)
    if weights_of is by_correct:
        kept = np.arange(len(X)) < 1000
    else:
        kept = ~su.SoftUnlearner(pipeline(means)).fit(X, raw.y, sensitive_features=raw.g).held_out_
    filled = X.assign(age=X["age"].fillna(X["age"][kept].mean()))
    expected = weights_of(pipeline(), filled, raw.y, raw.g, halves)
    np.testing.assert_allclose(weights, expected, rtol=1e-2, atol=1e-3)


def test_missing_values_that_nobody_fills_in_are_refused(encoded):
    X = encoded.X.copy()
    X[1004, 2] = np.nan
    model = logistic().fit(encoded.X, encoded.y)
    line = r"`validation`: feature 2 is missing \(NaN\) in row 4, and 1 rows have such values"
    with pytest.raises(su.InputError, match=line):
        by_correct(clone(model), X, encoded.y, encoded.g, halves)
    # before anything is corrected the estimator refuses them, in its own words
    with pytest.raises(ValueError, match="Input X contains NaN"):
        by_estimator(logistic(), X, encoded.y, encoded.g, halves)


@pytest.mark.parametrize("kind", ["pandas", *TABLES])
def test_names_of_columns_reach_the_report(kind, raw):
    X = raw.X if kind == "pandas" else TABLES[kind](raw.X)
    unlearner = su.SoftUnlearner(pipeline(), select="full")
    c = unlearner.fit(X, raw.y, sensitive_features=raw.g).correction_
    np.testing.assert_array_equal(unlearner.feature_names_in_, NUMBERS + WORDS)
    inputs = unlearner.estimator_[:-1].get_feature_names_out()
    assert c.session.rows["train"].feature_names == tuple(inputs)
    shown = summarise(c)["rows"]["most_harmful"][0]
    assert [value["name"] for value in shown["values"]] == NUMBERS + WORDS


def test_names_that_a_column_transformer_makes_reach_the_report(encoded):
    """Where rows cannot be read as they are, the head's inputs are shown."""
    columns = make_column_transformer(
        (StandardScaler(with_mean=False), [0, 1]), (MaxAbsScaler(), [30])
    )
    unlearner = su.SoftUnlearner(make_pipeline(columns, logistic()), select="full")
    X = sparse.csr_array(encoded.X)
    c = unlearner.fit(X, encoded.y, sensitive_features=encoded.g).correction_
    shown = summarise(c)["rows"]["most_harmful"][0]
    names = ["standardscaler__x0", "standardscaler__x1", "maxabsscaler__x30"]
    assert [value["name"] for value in shown["values"]] == names
