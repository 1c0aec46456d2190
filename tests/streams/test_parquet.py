"""Parquet files as rows, against the table that was written."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softunlearn as su
from softunlearn.streams.streamed import StreamedRows


def table(rng, n=5000, d=4):
    X = rng.normal(size=(n, d))
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(d)])
    frame["y"] = rng.integers(2, size=n)
    frame["w"] = rng.uniform(0.5, 2.0, size=n)
    frame["sex"] = rng.choice(["f", "m"], n)
    return frame


COLUMNS = {"label": "y", "weight": "w", "sensitive": "sex"}


@pytest.fixture
def written(tmp_path, rng):
    """A table, and its two files: the second begins in the middle of a chunk."""
    frame = table(rng)
    paths = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    frame.iloc[:3001].to_parquet(paths[0], row_group_size=700)
    frame.iloc[3001:].to_parquet(paths[1])
    return frame, paths


@pytest.mark.parametrize("chunk_bytes", [1, 40_000, 2**24])
def test_chunks_cover_the_table_in_order_once(chunk_bytes, written):
    frame, paths = written
    rows = su.Rows.from_parquet(paths, **COLUMNS, chunk_bytes=chunk_bytes)
    assert isinstance(rows, su.Rows)
    assert not rows.in_memory
    assert len(rows) == len(frame)
    stops = [0]
    for part, chunk in rows.chunks():
        assert part.start == stops[-1]
        stops.append(part.stop)
        own = frame.iloc[part]
        np.testing.assert_array_equal(chunk.X, own[["x0", "x1", "x2", "x3"]])
        np.testing.assert_array_equal(chunk.y, own.y)
        np.testing.assert_array_equal(chunk.weight, own.w)
        np.testing.assert_array_equal(np.asarray(chunk.g), own.sex)
    assert stops[-1] == len(frame)


def test_sums_and_maps_are_those_of_rows_in_memory(written, rng):
    frame, paths = written
    rows = su.Rows.from_parquet(paths, **COLUMNS, chunk_bytes=50_000)
    X, v = frame[["x0", "x1", "x2", "x3"]].to_numpy(), rng.normal(size=len(frame))
    total, n = rows.sum(lambda chunk, v: (chunk.X.T @ v, len(v)), v)
    np.testing.assert_allclose(total, X.T @ v, rtol=1e-12, atol=1e-12)
    assert n == len(frame)
    first, y = rows.map(lambda chunk: (chunk.X[:, 0], chunk.y))
    np.testing.assert_array_equal(first, X[:, 0])
    np.testing.assert_array_equal(y, frame.y)
    weight = rows.reweighted(v).reweighted(v).map(lambda chunk: chunk.weight)
    np.testing.assert_allclose(weight, frame.w * v * v)


def test_some_or_all_rows_can_be_taken_into_memory(written):
    frame, paths = written
    rows = su.Rows.from_parquet(paths, **COLUMNS, chunk_bytes=10_000)
    index = np.array([0, 1, 2999, 3000, 3001, 4999])
    some, everything = rows.take(index), rows.read()
    assert some.in_memory
    np.testing.assert_array_equal(some.X, frame.iloc[index, :4])
    np.testing.assert_array_equal(some.weight, frame.w.iloc[index])
    np.testing.assert_array_equal(everything.X, frame.iloc[:, :4])
    np.testing.assert_array_equal(np.asarray(everything.g), frame.sex)
    assert everything.feature_names == ("x0", "x1", "x2", "x3")


def test_a_folder_is_read_in_the_order_of_its_files_names(written):
    frame, paths = written
    rows = su.Rows.from_parquet(paths[0].parent, **COLUMNS)
    y = rows.map(lambda chunk: chunk.y)
    np.testing.assert_array_equal(y, [*frame.y[3001:], *frame.y[:3001]])


def test_only_the_columns_asked_for_are_features_in_their_order(written):
    frame, paths = written
    rows = su.Rows.from_parquet(paths, label="y", features=["x3", "x1"])
    np.testing.assert_array_equal(rows.read().X, frame[["x3", "x1"]])


@pytest.mark.parametrize(
    ("types", "dtype", "expected"),
    [
        ("float32", None, "float32"),
        ("int16", None, "float32"),
        ("bool", None, "float32"),
        ("int32", None, "float64"),
        ("float64", None, "float64"),
        ("float64", "float32", "float32"),
        ("float32", "float64", "float64"),
    ],
)
def test_features_are_as_wide_as_they_are_stored_or_as_asked(types, dtype, expected, tmp_path):
    frame = pd.DataFrame({"x": np.array([0, 1, 1, 0]).astype(types), "y": [0, 1, 0, 1]})
    frame.to_parquet(tmp_path / "rows.parquet")
    X = su.Rows.from_parquet(tmp_path, label="y", dtype=dtype).read().X
    assert X.dtype == expected
    np.testing.assert_array_equal(X[:, 0], [0, 1, 1, 0])


def test_words_among_the_features_give_dataframes(tmp_path):
    frame = pd.DataFrame({"job": ["a", "b", None], "age": [1, 2, 3], "y": ["no", "yes", "no"]})
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = su.Rows.from_parquet(tmp_path, label="y").read()
    assert list(rows.X.columns) == ["job", "age"]
    assert rows.X.job.isna().tolist() == [False, False, True]
    assert rows.y.tolist() == ["no", "yes", "no"]


def test_coded_words_and_decimals_are_read_for_what_they_are(tmp_path):
    columns = {
        "x": pa.array([1.5, 2.5]).cast(pa.decimal128(5, 2)),
        "y": pa.array(["b", "a"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    rows = su.Rows.from_parquet(tmp_path, label="y").read()
    np.testing.assert_array_equal(rows.X, [[1.5], [2.5]])
    assert rows.y.tolist() == ["b", "a"]


def test_missing_numbers_are_nan_for_the_model_to_fill_in(tmp_path):
    pd.DataFrame({"x": [1.0, None], "k": pd.array([None, 2], "Int64"), "y": [0, 1]}).to_parquet(
        tmp_path / "rows.parquet"
    )
    X = su.Rows.from_parquet(tmp_path, label="y").read().X
    np.testing.assert_array_equal(X, [[1.0, np.nan], [np.nan, 2.0]])


def test_what_is_never_held_whole_is_refused(written):
    rows = su.Rows.from_parquet(written[1], **COLUMNS)
    for name in ("X", "y", "weight"):
        with pytest.raises(su.InputError, match=f"read in chunks, and `{name}` is never held"):
            getattr(rows, name)


def test_memory_is_bounded_and_known_beforehand(tmp_path):
    """A row group of 40 MB is read in little memory, as Arrow itself counts it."""
    n, d = 2_000_000, 5
    X = np.zeros((n, d), dtype=np.float32)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(d)]).assign(y=0)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=n, use_dictionary=False)
    rows = su.Rows.from_parquet(tmp_path, label="y", chunk_bytes=2**20)
    assert rows.peak_bytes < X.nbytes
    assert f"about {rows.peak_bytes / 2**20:.0f} MiB at a time" in repr(rows)
    pool, most = pa.default_memory_pool(), 0
    before = pool.bytes_allocated()
    for _, _ in rows.chunks():
        most = max(most, pool.bytes_allocated() - before)
    assert 0 < most < rows.peak_bytes


def test_a_caller_that_has_seen_enough_ends_the_reading(written):
    chunks = su.Rows.from_parquet(written[1], **COLUMNS, chunk_bytes=1).chunks()
    next(chunks)
    chunks.close()


def write(folder, **columns):
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_files_that_are_none_are_refused_by_name(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"")
    for path, message in (
        (broken, "broken.parquet is not a Parquet file"),
        (tmp_path / "gone.parquet", "gone.parquet is not a file"),
        ([], "must name at least one"),
    ):
        with pytest.raises(su.FileError, match=message) as caught:
            su.Rows.from_parquet(path, label="y")
        assert "\n" not in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(su.FileError, match=r"holds no \.parquet file"):
        su.Rows.from_parquet(empty, label="y")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": [1.0]}, {}, r"rows.parquet has no column 'y'; its columns are 'x'"),
        ({"x": [1.0], "y": [1]}, {"features": ["x", "z"]}, "has no column 'z'"),
        ({"x": [1.0], "y": [1]}, {"weight": "w"}, "has no column 'w'"),
        ({"x": pa.array([], pa.float64()), "y": pa.array([], pa.int64())}, {}, "has no rows"),
        ({"x": [[1.0]], "y": [1]}, {}, "'x' holds list<.*neither a number nor a word"),
        ({"x": [1.0], "y": [1], "w": ["a"]}, {"weight": "w"}, "the weights 'w' are no numbers"),
        ({"y": [1]}, {}, "no column beside label"),
    ],
)
def test_bad_files_are_refused_in_one_line_by_name(columns, options, message, tmp_path):
    with pytest.raises(su.InputError, match=message) as caught:
        su.Rows.from_parquet(write(tmp_path, **columns), label="y", **options)
    assert "\n" not in str(caught.value)


def test_files_of_other_schemas_are_refused_by_name(tmp_path):
    write(tmp_path, x=[1.0], y=[1])
    pq.write_table(pa.table({"x": ["a"], "y": [1]}), tmp_path / "second.parquet")
    with pytest.raises(
        su.InputError, match=r"second\.parquet: column 'x' holds string, and double"
    ):
        su.Rows.from_parquet(tmp_path, label="y")
    pq.write_table(pa.table({"z": [1.0], "y": [1]}), tmp_path / "second.parquet")
    with pytest.raises(su.InputError, match=r"second\.parquet has no column 'x'"):
        su.Rows.from_parquet(tmp_path, label="y")


@pytest.mark.parametrize("column", ["y", "w"])
def test_missing_labels_and_weights_are_refused_with_file_and_row(column, tmp_path):
    columns = {"x": [1.0] * 400, "y": [0, 1] * 200, "w": [1.0] * 400}
    columns[column][300] = None
    rows = su.Rows.from_parquet(write(tmp_path, **columns), label="y", weight="w", chunk_bytes=1)
    with pytest.raises(
        su.InputError, match=f"'{column}' has 1 missing values, the first in row 300"
    ):
        rows.read()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "`dtype` must be"),
        ({"chunk_bytes": 0}, "`chunk_bytes` must be"),
        ({"features": ["x", "y"]}, "'y' is named twice"),
        ({"weight": "y"}, "'y' is named twice"),
    ],
)
def test_bad_options_are_refused(options, message, tmp_path):
    path = write(tmp_path, x=[1.0], y=[1])
    with pytest.raises(ValueError, match=message):
        su.Rows.from_parquet(path, label="y", **options)


@pytest.mark.parametrize("n", [1, 3])
def test_a_file_that_changes_between_passes_is_noticed(n, tmp_path):
    rows = su.Rows.from_parquet(write(tmp_path, x=[1.0, 2.0], y=[0, 1]), label="y")
    write(tmp_path, x=[1.0] * n, y=[0] * n)
    with pytest.raises(su.FileError, match=f"held 2 rows and now hold {n}"):
        rows.map(lambda chunk: chunk.y)


def test_a_damaged_page_is_a_file_error(tmp_path, rng):
    path = write(tmp_path, x=rng.normal(size=100_000), y=rng.integers(2, size=100_000))
    rows = su.Rows.from_parquet(path, label="y")
    content = bytearray(path.read_bytes())
    content[1000:90_000] = bytes(89_000)
    path.write_bytes(bytes(content))
    with pytest.raises(su.FileError, match=r"rows\.parquet cannot be read"):
        rows.sum(lambda chunk: chunk.X.sum())


def test_streamed_rows_are_rows(written):
    assert issubclass(StreamedRows, su.Rows)


def test_a_name_that_two_columns_have_is_refused(tmp_path):
    columns = [pa.array([0.0, 1.0])] * 2 + [pa.array([0, 1])]
    pq.write_table(pa.table(columns, names=["x", "x", "y"]), tmp_path / "rows.parquet")
    with pytest.raises(su.InputError, match=r"rows\.parquet has two columns 'x'"):
        su.Rows.from_parquet(tmp_path / "rows.parquet", label="y")


def test_text_that_is_none_is_refused_by_its_file(tmp_path):
    table = pa.table({"x": [0.0, 1.0], "y": [0, 1], "g": ["group", "other"]})
    pq.write_table(table, tmp_path / "rows.parquet", compression="none", use_dictionary=False)
    content = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(content.replace(b"group", b"gr\xffup"))
    rows = su.Rows.from_parquet(tmp_path / "rows.parquet", label="y", sensitive="g")
    with pytest.raises(su.FileError, match=r"rows\.parquet cannot be read: .*Invalid UTF8"):
        rows.read()


@pytest.mark.parametrize("told", [b"\x03", b"\x05", b"\x06"], ids=["-2", "-3", "3"])
def test_rows_that_do_not_add_up_are_refused(told, tmp_path):
    pq.write_table(pa.table({"x": [0.0, 1.0], "y": [0, 1]}), tmp_path / "rows.parquet")
    content = (tmp_path / "rows.parquet").read_bytes()
    number = b"\x16\x04\x19"  # of the footer: 2 rows, zigzag, and then its parts
    assert content.count(number) == 1
    (tmp_path / "rows.parquet").write_bytes(content.replace(number, b"\x16" + told + b"\x19"))
    with pytest.raises(su.FileError, match=r"rows\.parquet tells of .* and of 2 in its parts"):
        su.Rows.from_parquet(tmp_path / "rows.parquet", label="y")
