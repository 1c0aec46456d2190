"""Every bad form of the rows gets one clear line."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softunlearn.exceptions import InputError
from softunlearn.models import Encoder, adapt
from softunlearn.rows import Rows

N = 60


@pytest.fixture
def X(rng):
    return rng.normal(size=(N, 3))


@pytest.fixture
def y():
    return np.array(["no", "yes"] * (N // 2))


@pytest.fixture
def g():
    return np.array(["a", "b", "b"] * (N // 3))


@pytest.fixture
def encode(X, y):
    adapter = adapt(LogisticRegression().fit(X, y))
    encoder = Encoder(adapter, adapter.head(N))

    def run(*parts, **options):
        options = {"train": len(parts) > 3} | options  # only training rows have weights
        rows = Rows(*parts)
        return encoder.with_groups_of(rows).encode(
            rows, "validation", groups=len(parts) > 2, **options
        )

    return run


def test_labels_and_groups_become_codes(encode, X, y, g):
    rows = encode(X, y, g)
    np.testing.assert_array_equal(rows.y, (y == "yes").astype(int))
    np.testing.assert_array_equal(rows.g, (g == "b").astype(int))
    assert rows.X.dtype == np.float64


def test_any_container_will_do(encode, X, y, g):
    import torch

    expected = encode(X, y, g)
    codes = torch.tensor([0, 1, 1] * (N // 3))
    for rows in (
        encode(X.tolist(), y.tolist(), g.tolist()),
        encode(pd.DataFrame(X), pd.Series(y), pd.Series(g, dtype="category")),
        encode(sparse.csr_matrix(X), pd.Series(y, dtype="string"), pd.Series(g, dtype="string")),
        encode(torch.from_numpy(X), y, codes),
    ):
        for one, other in zip(
            (rows.X, rows.y, rows.g), (expected.X, expected.y, expected.g), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_float32_features_stay_float32(encode, X, y):
    assert encode(X.astype(np.float32), y).X.dtype == np.float32


def spoiled(values, index, value):
    values = np.array(values, dtype=object if isinstance(value, str | None) else None)
    values[index] = value
    return values


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y, g: (X, y[:-1], g), "y has 59 entries and X has 60 rows"),
        (lambda X, y, g: (X, y, g[1:]), "g has 59 entries and X has 60 rows"),
        (lambda X, y, g: (X, y, g, np.ones(3)), "weight has 3 entries and X has 60 rows"),
        (lambda X, y, g: (X[:, :2], y, g), "X has 2 columns where the model was trained with 3"),
        (
            lambda X, y, g: (spoiled(X, (4, 1), np.nan), y, g),
            r"feature 1 is missing \(NaN\) in row 4",
        ),
        (lambda X, y, g: (spoiled(X, (4, 1), np.inf), y, g), "feature 1 is infinite in row 4"),
        (
            lambda X, y, g: (spoiled(X, (4, 1), -1e300), y, g),
            r"feature 1 is -1e\+300, above 1e\+100, in row 4.*; scale the features",
        ),
        (lambda X, y, g: (np.full((N, 3), "a"), y, g), "the model cannot take these rows"),
        (
            lambda X, y, g: (X, spoiled(y, 7, "maybe"), g),
            "unknown .* 'maybe' in row 7; it knows 'no'",
        ),
        (lambda X, y, g: (X, np.arange(N) % 2, g), "60 labels are unknown to the model"),
        (
            lambda X, y, g: (X, np.full(N, "no"), g),
            "all labels are 'no'; give rows of at least two",
        ),
        (
            lambda X, y, g: (X, np.stack([y, y], 1), g),
            r"y must be one column.*got shape \(60, 2\)",
        ),
        (lambda X, y, g: (X, y, np.full(N, "a")), "all rows are of group 'a'"),
        (lambda X, y, g: (X, y, spoiled(g, 5, None)), "1 rows have no group, the first is row 5"),
        (lambda X, y, g: (X, y, spoiled(np.ones(N), 5, np.nan)), "1 rows have no group"),
        (lambda X, y, g: (X, y, np.full((N, 2, 2), "a")), "g must be one column of groups or"),
        (
            lambda X, y, g: (X, y, np.stack([g, np.arange(N)], 1)),
            r"all rows are of group '\(others\)'.*fewer than 30 rows.*column, such as by='0'",
        ),
        (
            lambda X, y, g: (X, y, {"a": g, "b": spoiled(g, 5, None)}),
            "1 rows have no group, the first is row 5",
        ),
        (lambda X, y, g: (X, y, {"a": g[1:]}), "g has 59 entries and X has 60 rows"),
        (lambda X, y, g: (X, y, {"a": g, "b": g[1:]}), r"different lengths, \[60, 59\]"),
        (lambda X, y, g: (X, y, None), "has no groups, and the metric compares groups"),
        (lambda X, y, g: (X, y, g, -np.ones(N)), "weight must be finite, at least 0"),
        (lambda X, y, g: (X, y, g, ["heavy"] * N), "weight must be numbers"),
        (lambda X, y, g: (X[:0], y[:0], g[:0]), "has no rows"),
    ],
)
def test_each_bad_form_is_one_clear_line(encode, X, y, g, spoil, message):
    with pytest.raises(InputError, match=message) as caught:
        encode(*spoil(X, y, g))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("`validation`")
    assert "\n" not in caught.value.problems[0]


def test_independent_problems_are_reported_together(encode, X, y, g):
    X[0, 0] = np.nan
    with pytest.raises(InputError) as caught:
        encode(X, np.full(N, "maybe"), np.full(N, "a"))
    assert len(caught.value.problems) == 3


def test_groups_have_the_same_code_in_every_set_of_rows(X, y, g):
    adapter = adapt(LogisticRegression().fit(X, y))
    few, more = Rows(X, y, np.where(g == "a", "b", "c")), Rows(X, y, g)
    encoder = Encoder(adapter, adapter.head(N)).with_groups_of(few, more)
    assert encoder.groups == ("a", "b", "c")
    np.testing.assert_array_equal(encoder.encode(few, "few").g, np.where(g == "a", 1, 2))
    np.testing.assert_array_equal(encoder.encode(more, "more").g, np.where(g == "a", 0, 1))


@pytest.fixture
def several(X, y):
    adapter = adapt(LogisticRegression().fit(X, y))
    more = Rows(np.tile(X, (2, 1)), np.tile(y, 2), {"sex": ["F", "M"] * N, "old": [True] * 2 * N})
    return Encoder(adapter, adapter.head(N)), more, Rows(X, y, np.full((N, 2), ["F", "no"]))


def test_validation_rows_decide_what_is_pooled(several):
    encoder, validation, train = several
    known = encoder.with_groups_of(train, validation, pooled_by=validation)
    assert known.groups == ("F & True", "M & True", "(others)")
    np.testing.assert_array_equal(known.encode(train, "train").g, np.full(N, 2))
    np.testing.assert_array_equal(known.encode(validation, "v", groups=True).g, [0, 1] * N)
    assert encoder.with_groups_of(train, validation).groups == ("F & no", "(others)")


def test_one_sensitive_column_can_be_chosen(several):
    encoder, validation, train = several
    known = encoder.with_groups_of(train, validation, pooled_by=validation)
    assert known.by(None) is known
    assert known.by("sex").groups == ("F", "M")
    assert known.by(1).groups == ("True", "no")
    np.testing.assert_array_equal(known.by("sex").encode(train, "train").g, np.zeros(N))
    with pytest.raises(InputError, match="`by` must name a sensitive column, 'sex', 'old', got"):
        known.by("age")
    with pytest.raises(InputError, match="all rows are of group 'True'; a gap needs at least two"):
        known.by("old").encode(validation, "validation", groups=True)


def test_rows_without_groups_need_no_column(several):
    encoder, validation, _ = several
    none = encoder.with_groups_of(Rows(validation.X, validation.y))
    assert none.groups == ()
    assert none.by("sex") is none
    with pytest.raises(InputError, match="has no groups, and the metric compares groups"):
        none.by("sex").encode(Rows(validation.X, validation.y), "validation", groups=True)


def test_a_set_with_other_columns_is_named(several):
    encoder, validation, train = several
    one = Rows(train.X, train.y, np.full(N, "F"))
    known = encoder.with_groups_of(validation, one)
    with pytest.raises(InputError, match="`test`: g must have the columns 'sex', 'old', as the"):
        known.encode(one, "test")


def test_a_missing_column_of_a_dataframe_is_named(rng, y):
    frame = pd.DataFrame(rng.normal(size=(N, 2)), columns=["age", "pay"])
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["age", "pay"])), LogisticRegression()
    ).fit(frame, y)
    adapter = adapt(model)
    with pytest.raises(InputError, match=r"`train`: the model cannot take these rows.*pay"):
        Encoder(adapter, adapter.head(N)).encode(Rows(frame[["age"]], y), "train")
