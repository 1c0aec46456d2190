"""Parquet files as a source of rows.

Only the columns that are needed are read, a batch of rows at a time, in one buffer a column: row
groups of any size are met without being held. Columns that are all numbers become a matrix; with
words among them a dataframe, for a model that begins with an encoder. What is missing in a
feature is NaN, which the model's own imputer may fill; a missing label or weight is refused.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softunlearn.exceptions import FileError, InputError, SoftUnlearnError
from softunlearn.rows import MIN_CHUNK_ROWS, Chunk
from softunlearn.streams.streamed import Batch, StreamedRows

READ_BYTES = 2**16
"""Read of a column at a time. With more, or all columns at once, row groups would be held."""

PAGE_BYTES = 5 * 2**19
"""What a column takes while it is read: a page as stored, the same decompressed, a dictionary."""

NARROW = ("int8", "int16", "uint8", "uint16", "bool", "halffloat", "float")
"""Types whose every value float32 holds."""


class Piece(NamedTuple):
    """Consecutive row groups of a file, all for None, and where their first row is in it."""

    file: str
    groups: tuple[int, ...] | None
    first_row: int
    n_rows: int


@dataclass(frozen=True)
class ParquetSource:
    """See `Source`.

    Parameters
    ----------
    pieces : tuple of Piece
        What is read, one after the other.
    features, sensitive : tuple of str
    label : str
    weight : str or None
        Columns.
    dtype : str or None
        Of the features where all are numbers; None where there are words.
    batch_rows : int
    page_bytes : int
        Taken by all columns while they are read.
    """

    pieces: tuple[Piece, ...]
    features: tuple[str, ...]
    label: str
    sensitive: tuple[str, ...]
    weight: str | None
    dtype: str | None
    batch_rows: int
    page_bytes: int

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the features."""
        return self.features

    @property
    def batch_bytes(self) -> int:
        """Return about how much memory a batch takes."""
        return self.batch_rows * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Return about how much memory a row takes."""
        return len(self.features) * (4 if self.dtype == "float32" else 8) + 16

    @property
    def reading_bytes(self) -> int:
        """Return about how much memory reading takes: a batch as it is stored, and pages."""
        return self.batch_bytes + self.page_bytes

    def __len__(self) -> int:
        return sum(piece.n_rows for piece in self.pieces)

    def without(self, *parts: str) -> "ParquetSource":
        """Return the source that leaves out "features" or "groups", or both."""
        source = replace(self, features=()) if "features" in parts else self
        return replace(source, sensitive=()) if "groups" in parts else source

    def split(self, n_parts: int) -> list["ParquetSource"]:
        """Return sources of whole row groups, about equal, at most so many."""
        parts: list[list[Piece]] = [[]]
        n, each = 0, len(self) / n_parts
        for piece in _row_groups(self.pieces):
            if n >= each * len(parts):
                parts.append([])
            parts[-1].append(piece)
            n += piece.n_rows
        return [replace(self, pieces=_joined(part)) for part in parts]

    def batches(self, at_most: int | None = None) -> Generator[Batch]:
        """Yield all rows; see `Source`.

        Raises
        ------
        FileError
            A file cannot be read.
        InputError
            A label or weight is missing, or is none.
        """
        n = min(self.batch_rows, at_most or self.batch_rows)
        needed = {*self.features, self.label, *self.sensitive, self.weight or self.label}
        for path, groups, first_row, _ in self.pieces:
            with _readable(path), closing(_opened(path)) as file:
                for batch in file.iter_batches(
                    n, row_groups=groups, columns=sorted(needed), use_threads=False
                ):
                    batch.validate(full=True)  # words are text
                    yield Batch(self._chunk(batch, path, first_row), path, first_row)
                    first_row += batch.num_rows

    def _chunk(self, batch: pa.RecordBatch, file: str, first_row: int) -> Chunk:
        def complete(name: str) -> pa.Array:
            column = batch.column(name)
            if column.null_count:
                missing = first_row + int(
                    np.argmax(column.is_null().to_numpy(zero_copy_only=False))
                )
                raise InputError(
                    f"{file}: column {name!r} has {column.null_count:,} missing values, the first "
                    f"in row {missing}; drop these rows."
                )
            return column

        weight = None
        if self.weight is not None:
            weight = _numbers(complete(self.weight), np.float64)
        return Chunk(
            self._features(batch), _values(complete(self.label)), self._groups(batch), weight
        )

    def _features(self, batch: pa.RecordBatch) -> Any:
        """Return a matrix of which each column lies together, or a dataframe."""
        if self.dtype is None and self.features:
            return batch.select(list(self.features)).to_pandas(ignore_metadata=True)
        columns = np.empty((len(self.features), batch.num_rows), dtype=self.dtype)
        for values, name in zip(columns, self.features, strict=True):
            values[:] = _numbers(batch.column(name), self.dtype)
        return columns.T

    def _groups(self, batch: pa.RecordBatch) -> Any:
        if not self.sensitive:
            return None
        table = batch.select(list(self.sensitive)).to_pandas(ignore_metadata=True)
        return table if len(self.sensitive) > 1 else table.iloc[:, 0]


def from_parquet(
    paths: str | Path | Sequence[str | Path],
    *,
    label: str,
    features: Sequence[str] | None = None,
    sensitive: str | Sequence[str] | None = None,
    weight: str | None = None,
    dtype: str | None = None,
    chunk_bytes: int = 2**24,
) -> StreamedRows:
    """Return the rows of Parquet files; see `Rows.from_parquet`."""
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f'`dtype` must be "float32" or "float64", got {dtype!r}.')
    if not isinstance(chunk_bytes, int) or chunk_bytes < 1:
        raise ValueError(f"`chunk_bytes` must be an integer of at least 1, got {chunk_bytes!r}.")
    groups = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    roles = (label, *groups, *([] if weight is None else [weight]))
    files = [_described(path) for path in _files(paths)]
    if features is None:
        features = [name for name in files[0].types if name not in roles]
    _check_roles(tuple(features), roles)
    for file in files:
        _check_file(
            file, tuple(features), label, (*groups, *([weight] if weight else [])), files[0]
        )
    if weight is not None and _kind(files[0].types[weight]) != "number":
        raise InputError(f"{files[0].path}: the weights {weight!r} are no numbers.")
    types = {file.types[name] for file in files for name in features}
    words = any(_kind(type_) != "number" for type_ in types)
    narrow = all(str(type_) in NARROW for type_ in types)
    dtype = None if words else dtype or ("float32" if narrow else "float64")
    row_bytes = max(1, len(features)) * (4 if dtype == "float32" else 8)
    source = ParquetSource(
        pieces=tuple(Piece(file.path, None, 0, file.n_rows) for file in files),
        features=tuple(features),
        label=label,
        sensitive=groups,
        weight=weight,
        dtype=dtype,
        batch_rows=max(MIN_CHUNK_ROWS, chunk_bytes // row_bytes),
        page_bytes=min(
            PAGE_BYTES * (len(features) + len(roles)), max(file.group_bytes for file in files)
        ),
    )
    return StreamedRows(source)


def _row_groups(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the row groups of whole files, each by itself."""
    for file in (piece.file for piece in pieces):
        with closing(_opened(file)) as opened:
            metadata, first_row = opened.metadata, 0
            for i in range(metadata.num_row_groups):
                n_rows = metadata.row_group(i).num_rows
                yield Piece(file, (i,), first_row, n_rows)
                first_row += n_rows


def _joined(row_groups: list[Piece]) -> tuple[Piece, ...]:
    """Return row groups that follow each other, those of one file in one piece."""
    files = (list(of_one) for _, of_one in groupby(row_groups, key=attrgetter("file")))
    return tuple(
        Piece(
            some[0].file,
            tuple(i for piece in some for i in piece.groups or ()),
            some[0].first_row,
            sum(piece.n_rows for piece in some),
        )
        for some in files
    )


class _File(NamedTuple):
    """What a file says of itself."""

    path: str
    n_rows: int
    group_bytes: int
    types: dict[str, pa.DataType]


def _files(paths: Any) -> list[str]:
    """Return the files that are named: those in a folder by name."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    found: list[str] = []
    for path in map(Path, several):
        inside = sorted(path.glob("*.parquet")) if os.path.isdir(path) else [path]
        if not inside:
            raise FileError(f"{path} holds no .parquet file.")
        found += map(str, inside)
    if not found:
        raise FileError("`paths` must name at least one Parquet file, got none.")
    return found


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Say which file it is whose content cannot be read, also as text or as numbers."""
    try:
        yield
    except SoftUnlearnError:
        raise
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise FileError(f"{path} cannot be read: {_first_line(error)}") from error


def _opened(path: str) -> pq.ParquetFile:
    if not os.path.isfile(path):
        raise FileError(f"{path} is not a file.")
    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise FileError(f"{path} is not a Parquet file: {_first_line(error)}") from error


def _described(path: str) -> _File:
    with _readable(path), closing(_opened(path)) as file:
        schema, metadata = file.schema_arrow, file.metadata
        names = schema.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"{path} has two columns {twice[0]!r}; give each a name of its own.")
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        parts = [group.num_rows for group in groups]
        if metadata.num_rows != sum(parts) or min(parts, default=0) < 0:
            raise FileError(
                f"{path} tells of {metadata.num_rows:,} rows and of {sum(parts):,} in its parts; "
                "it is damaged: write it anew."
            )
        largest = max((group.total_byte_size for group in groups), default=0)
        return _File(path, metadata.num_rows, largest, dict(zip(names, schema.types, strict=True)))


def _check_roles(features: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Raise where a column has two parts to play."""
    named = [*features, *roles]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise ValueError(
            f"A column can be a feature, the label, a group or the weight, and {twice[0]!r} is "
            "named twice."
        )
    if not features:
        raise InputError(
            "The files have no column beside label, groups and weight; give features."
        )


def _check_file(
    file: _File, features: tuple[str, ...], label: str, others: tuple[str, ...], first: _File
) -> None:
    """Raise where a file cannot be read as the first one is."""
    if file.n_rows == 0:
        raise InputError(f"{file.path} has no rows; leave it out.")
    columns = (*features, label, *others)
    if missing := [repr(name) for name in columns if name not in file.types]:
        has = ", ".join(map(repr, list(file.types)[:8]))
        raise InputError(f"{file.path} has no column {', '.join(missing)}; its columns are {has}.")
    for name in columns:
        type_, expected = file.types[name], first.types[name]
        if _kind(type_) == "":
            raise InputError(
                f"{file.path}: column {name!r} holds {type_}, which is neither a number nor a "
                "word; name the model's columns with features=."
            )
        if _kind(type_) != _kind(expected):
            raise InputError(
                f"{file.path}: column {name!r} holds {type_}, and {expected} in {first.path}; "
                "write all files with one schema."
            )


def _kind(type_: pa.DataType) -> str:
    """Return "number", "word", or "" for what is neither."""
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type) and "word"
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    if pa.types.is_decimal(type_):
        return "number"
    return "word" if pa.types.is_string(type_) or pa.types.is_large_string(type_) else ""


def _numbers(column: pa.Array, dtype: Any) -> np.ndarray:
    """Return numbers, NaN where one is missing."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=False).astype(dtype, copy=False)


def _values(column: pa.Array) -> np.ndarray:
    """Return the values as Python or NumPy has them."""
    if _kind(column.type) == "number":
        return column.to_numpy(zero_copy_only=False)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    words = np.array(coded.dictionary.to_pylist(), dtype=object)
    return words[coded.indices.to_numpy()]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") + "."
