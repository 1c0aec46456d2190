import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from softunlearn.rows import CHUNK_BYTES, Rows, as_rows, take


def test_chunks_cover_all_rows_in_order_once(rng):
    rows = Rows(rng.normal(size=(5000, 100)), np.arange(5000), np.arange(5000), np.ones(5000))
    parts = list(rows.chunks())
    assert len(parts) > 1
    assert max(chunk.X.nbytes for _, chunk in parts) <= CHUNK_BYTES
    np.testing.assert_array_equal(np.concatenate([chunk.y for _, chunk in parts]), rows.y)
    np.testing.assert_array_equal(rows.map(lambda chunk: chunk.X), rows.X)


def test_sum_equals_the_whole_for_arrays_and_tuples(rng):
    rows, v = Rows(rng.normal(size=(3000, 80)), np.zeros(3000)), rng.normal(size=3000)
    total, count = rows.sum(lambda chunk, v: (chunk.X.T @ v, len(v)), v)
    np.testing.assert_allclose(total, rows.X.T @ v, rtol=1e-12, atol=1e-12)
    assert count == 3000


def test_maps_of_tuples_are_tuples_of_maps(rng):
    rows = Rows(rng.normal(size=(3000, 80)), np.arange(3000))
    first, y = rows.map(lambda chunk: (chunk.X[:, 0], chunk.y))
    np.testing.assert_array_equal(first, rows.X[:, 0])
    np.testing.assert_array_equal(y, rows.y)
    parts = list(rows.stream(lambda chunk: chunk.y.sum()))
    assert sum(total for _, total in parts) == rows.y.sum()
    assert parts[-1][0].stop == 3000


def test_rows_can_be_taken_and_reweighted(rng):
    rows = Rows(rng.normal(size=(10, 2)), np.arange(10), weight=np.arange(10.0))
    some = rows.take(np.array([2, 7]))
    np.testing.assert_array_equal(some.X, rows.X[[2, 7]])
    np.testing.assert_array_equal(some.y, [2, 7])
    np.testing.assert_array_equal(rows.reweighted(rows.y).weight, np.arange(10.0) ** 2)
    np.testing.assert_array_equal(Rows(rows.X, rows.y).reweighted(rows.y).weight, rows.y)
    assert rows.read() is rows


def test_tuples_become_rows_and_anything_else_is_refused():
    assert as_rows((np.eye(2), [0, 1]), "train").g is None
    rows = Rows(np.eye(2), [0, 1])
    assert as_rows(rows, "train") is rows
    with pytest.raises(TypeError, match=r"`train` must be su.Rows or a tuple .* got a tuple of 4"):
        as_rows((1, 2, 3, 4), "train")
    with pytest.raises(TypeError, match="got ndarray"):
        as_rows(np.eye(2), "train")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table, pa.record_batch])
def test_names_of_columns_are_those_of_the_table(frame):
    rows = Rows(frame({"age": [30.0, 40.0], "pay": [1.0, 2.0]}), [0, 1])
    assert rows.feature_names == ("age", "pay")
    assert len(rows) == 2
    assert Rows(np.eye(2), [0, 1]).feature_names is None


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        list,
        pd.Series,
        pl.Series,
        pa.array,
        lambda v: pa.chunked_array([v[:1], v[1:]]),
        lambda v: {"a": v},
        lambda v: pd.DataFrame({"a": v}, index=[9, 8, 7]),
        lambda v: pl.DataFrame({"a": v}),
        lambda v: pa.table({"a": v}),
        lambda v: pa.record_batch({"a": v}),
    ],
)
def test_rows_are_taken_by_position_whatever_holds_them(kind):
    some = take(kind(["x", "y", "z"]), np.array([2, 0]))
    column = some["a"] if isinstance(some, dict) or hasattr(some, "columns") else some
    assert np.asarray(column).tolist() == ["z", "x"]
    assert type(some) is type(kind(["x", "y", "z"]))
