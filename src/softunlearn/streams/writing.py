"""Vectors with one entry a row, written to Parquet as they are computed."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softunlearn.disk import placed_file
from softunlearn.exceptions import FileError

GROUP_ROWS = 2**20
"""Rows of a row group: what is gathered before it is written."""


def write_vector(path: str | Path, name: str, parts: Iterable[tuple[slice, np.ndarray]]) -> None:
    """Write a table of two columns, "row" and the vector's name.

    It is written beside its place and moved there whole: a failure leaves what was there before.

    Parameters
    ----------
    path : str or Path
    name : str
    parts : iterable of (slice, ndarray)
        The entries of some rows after the other, and which these are.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    path = Path(path)
    if os.path.isdir(path) or not os.path.isdir(path.parent):
        raise FileError(
            f"{path} cannot be written; give the name of a file in a folder that is there."
        )
    schema = pa.schema([("row", pa.int64()), (name, pa.float64())])
    try:
        with placed_file(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
            for first, values in _gathered(parts):
                rows = np.arange(first, first + len(values))
                writer.write_batch(pa.record_batch([rows, values], schema=schema))
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error


def _gathered(parts: Iterable[tuple[slice, np.ndarray]]) -> Iterable[tuple[int, np.ndarray]]:
    """Yield the entries of many rows at a time, with the first one's number."""
    waiting, first, n = [], 0, 0
    for part, values in parts:
        waiting.append(values)
        n += part.stop - part.start
        if n >= GROUP_ROWS:
            yield first, np.concatenate(waiting)
            waiting, first, n = [], part.stop, 0
    if waiting:
        yield first, np.concatenate(waiting)
