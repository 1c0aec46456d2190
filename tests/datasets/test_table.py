import numpy as np
import pandas as pd
import pytest

from softunlearn.datasets.splits import Parts
from softunlearn.datasets.table import Table, one_hot

RAW = pd.DataFrame({"age": [20, 40, 60, 90], "job": ["a", "b", "a", "c"], "sex": list("MFMF")})
PARTS = Parts(np.array([0, 1, 2]), np.array([3]), np.array([3]), fitted=np.array([0, 2]))


@pytest.fixture
def table():
    return Table(
        RAW,
        one_hot(RAW, binary={"sex": "M"}),
        y=np.array([0, 1, 1, 0]),
        g=RAW["sex"].to_numpy(dtype=str),
        labels=("no", "yes"),
    )


def test_words_become_columns_and_two_values_one():
    encoded = one_hot(RAW, binary={"sex": "M"})
    assert list(encoded.columns) == ["age", "job=a", "job=b", "job=c", "sex=M"]
    assert encoded.to_numpy().tolist()[1] == [40, 0, 1, 0, 0]
    assert list(RAW.columns) == ["age", "job", "sex"]


def test_scale_is_that_of_the_fitted_rows_only(table):
    cut = table.cut(PARTS, encoded=True)
    assert cut.train.X[:, 0].tolist() == [-1, 0, 1]  # (age - 40) / 20
    assert cut.test.X[0, 0] == 2.5
    assert cut.train.X.dtype == np.float64
    assert cut.train.feature_names == ("age", "job=a", "job=b", "job=c", "sex=M")


def test_unscaled_columns_stay_as_they_are(table):
    unscaled = Table(table.raw, table.encoded, table.y, table.g, scaled=False)
    assert unscaled.cut(PARTS, encoded=True).test.X[0, 0] == 90


def test_readable_rows_keep_words_labels_and_order(table):
    cut = table.cut(PARTS, encoded=False)
    assert cut.test.X.to_dict("records") == [{"age": 90, "job": "c", "sex": "F"}]
    assert cut.train.y.tolist() == ["no", "yes", "yes"]
    assert cut.train.g.tolist() == ["M", "F", "M"]
    assert cut.train.feature_names == ("age", "job", "sex")


def test_strata_are_label_and_group(table):
    assert len(set(table.strata)) == 4
