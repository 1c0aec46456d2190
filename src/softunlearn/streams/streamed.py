"""Rows that are read from a source, whenever they are needed.

A thread of its own reads and converts the next batch while others compute with the last ones. A
batch is rows in memory, met in their chunks, so that no formula knows the difference.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

import numpy as np
import pandas as pd

from softunlearn.exceptions import FileError, InputError
from softunlearn.rows import Array, Chunk, Rows, added
from softunlearn.threads import in_threads, n_threads

T = TypeVar("T")

READING = "reading training rows"
"""What a pass says that it does."""


class Batch(NamedTuple):
    """Consecutive rows as they were read, the file they are of, and the first one's row in it."""

    rows: Chunk
    file: str
    first_row: int


class Source(Protocol):
    """Where rows come from: the same ones in the same order, as often as they are asked for."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the features."""
        ...

    @property
    def batch_bytes(self) -> int:
        """Return about how much memory a batch takes."""
        ...

    @property
    def reading_bytes(self) -> int:
        """Return about how much memory reading one takes at most, beside the batch itself."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def batches(self, at_most: int | None = None) -> Generator[Batch]:
        """Yield all rows, fewer at a time where a few are enough."""
        ...

    def without(self, *parts: str) -> "Source":
        """Return the source that leaves out "features" or "groups", or both."""
        ...


class StreamedRows(Rows):
    """Rows from a source; see `Rows`, whose calls they answer.

    `X`, `y`, `g` and `weight` are never held whole, so they cannot be asked for; `read` returns
    the rows in memory.

    Parameters
    ----------
    source : Source
    convert : callable, optional
        What is made of every batch, in the reading thread, as in `Rows.converted`.
    scale : array of shape (n,), optional
        A factor of every row's weight.
    feature_names : tuple of str, optional
        Default: those of the source.
    progress : callable, optional
        Called in every pass with what is being done and the part of it that is done, 0 to 1.
    """

    source: Source
    convert: Callable[[Chunk, int], Chunk] | None
    scale: Array | None
    progress: Callable[[str, float], None] | None

    def __init__(
        self,
        source: Source,
        convert: Callable[[Chunk, int], Chunk] | None = None,
        scale: Array | None = None,
        feature_names: tuple[str, ...] | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        names = source.feature_names if feature_names is None else feature_names
        self.__dict__.update(
            source=source, convert=convert, scale=scale, feature_names=names, progress=progress
        )

    def _with(self, **changes: Any) -> "StreamedRows":
        return type(self)(**{**self.__dict__, **changes})

    @property
    def X(self) -> NoReturn:  # type: ignore[override]
        """Raise: the features are not held."""
        self._refuse("X")

    @property
    def y(self) -> NoReturn:  # type: ignore[override]
        """Raise: the labels are not held."""
        self._refuse("y")

    @property
    def weight(self) -> NoReturn:  # type: ignore[override]
        """Raise: the weights are not held."""
        self._refuse("weight")

    @property
    def g(self) -> None:  # type: ignore[override]
        """Return None: groups are read with `read` alone."""
        return

    @property
    def in_memory(self) -> bool:
        """Return False: every pass over the rows reads them."""
        return False

    @property
    def peak_bytes(self) -> int:
        """Return about how much memory a pass takes at most, beside what is computed from it.

        The batches that threads compute with, two more on the way, and what reading takes; not
        what a model's own transformers need.
        """
        return (n_threads() + 2) * self.source.batch_bytes + self.source.reading_bytes

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self):,} rows of {len(self.source.feature_names)} "
            f"features, about {self.peak_bytes / 2**20:.0f} MiB at a time)"
        )

    def with_features(self, X: Any) -> NoReturn:
        """Raise: the features are not held, and others could not be."""
        self._refuse("X")

    def converted(
        self,
        convert: Callable[[Chunk, int], Chunk],
        feature_names: tuple[str, ...] | None = None,
    ) -> "StreamedRows":
        """Return the rows that `convert` makes of every batch, without groups."""
        assert self.convert is None
        source, names = self.source.without("groups"), feature_names or self.feature_names
        return self._with(source=source, convert=convert, feature_names=names)

    def labels_only(self) -> "StreamedRows":
        """Return the rows without their features, which are then not read."""
        return self._with(source=self.source.without("features", "groups"))

    def reweighted(self, w: Array) -> "StreamedRows":
        """Return the same rows with every training weight times w, shape (n,)."""
        scale = w if self.scale is None else self.scale * w
        return self._with(scale=scale)

    def reporting(self, progress: Callable[[str, float], None]) -> "StreamedRows":
        """Return the rows that say how far a pass over them has come."""
        return self._with(progress=progress)

    def take(self, index: np.ndarray) -> Rows:
        """Return some rows, by their ascending positions, in memory."""
        parts, start = [], 0
        with closing(self._batches(int(index[-1]) + 1)) as batches:
            for chunk in batches:
                rows = self._held(chunk)
                first, last = np.searchsorted(index, (start, start + len(rows)))
                if last > first:
                    parts.append(rows.take(index[first:last] - start))
                start += len(rows)
                if last == len(index):
                    break
        return _joined(parts)

    def read(self) -> Rows:
        """Return all rows, in memory."""
        return _joined([self._held(chunk) for chunk in self._batches()])

    def chunks(self) -> Generator[tuple[slice, Chunk]]:
        """Yield consecutive rows, with the slice of 0..n that they are."""
        for start, rows in self._parts():
            for part, chunk in rows.chunks():
                yield moved(part, start), chunk

    def stream(self, function: Callable[..., Any], *aligned: Array) -> Iterator[tuple[slice, Any]]:
        """Yield `function(chunk, *parts of aligned)` of every chunk in turn, and where it is."""

        def values(start: int, rows: Rows) -> list[tuple[slice, Any]]:
            own = (array[start : start + len(rows), ...] for array in aligned)
            return [(moved(part, start), value) for part, value in rows.stream(function, *own)]

        for found in in_threads(values, self._parts()):
            yield from found

    def sum(self, function: Callable[..., Any], *aligned: Array) -> Any:
        """Return the sum over chunks of `function(chunk, *parts of aligned)`."""

        def part(start: int, rows: Rows) -> Any:
            own = (array[start : start + len(rows), ...] for array in aligned)
            return rows.sum(function, *own)

        return added(in_threads(part, self._parts()))

    def _parts(self) -> Generator[tuple[int, Rows]]:
        """Yield the batches as rows in memory, with the number of the first row of each."""
        start = 0
        for batch in _one_ahead(self._batches()):
            rows = Rows(*batch)
            if self.scale is not None:
                rows = rows.reweighted(self.scale[start : start + len(rows)])
            yield start, rows
            start += len(rows)
            if self.progress is not None:
                self.progress(READING, start / len(self))

    def _held(self, chunk: Chunk) -> Rows:
        return Rows(*chunk, feature_names=self.feature_names)

    def _batches(self, at_most: int | None = None) -> Generator[Chunk]:
        """Yield the converted batches; what is wrong with one is said with its file's name."""
        n = 0
        with closing(self.source.batches(at_most)) as batches:
            for rows, file, first_row in batches:
                n += len(rows.y)
                if n > len(self):
                    break
                try:
                    made = rows if self.convert is None else self.convert(rows, first_row)
                except InputError as error:
                    raise InputError([f"{file}: {line}" for line in error.problems]) from error
                yield made
        if n != len(self):
            more = " or more" * (n > len(self))
            raise FileError(f"The files held {len(self):,} rows and now hold {n:,}{more}.")

    def _refuse(self, name: str) -> NoReturn:
        raise InputError(
            f"These rows are read in chunks, and `{name}` is never held whole; what was asked for "
            "needs rows in memory (rows.read(), if they fit)."
        )


def _one_ahead(items: Generator[T]) -> Iterator[T]:
    """Yield the items; the next is made in a thread while the last is used."""
    end: Any = object()
    reader = ThreadPoolExecutor(1)
    try:
        ahead = reader.submit(next, items, end)
        while (item := ahead.result()) is not end:
            ahead = reader.submit(next, items, end)
            yield item
    finally:  # an interrupt, or a caller that has seen enough: the thread ends first
        reader.shutdown()
        items.close()


def moved(part: slice, by: int) -> slice:
    """Return the slice of rows that lie further down."""
    return slice(part.start + by, part.stop + by)


def _joined(parts: list[Rows]) -> Rows:
    """Return rows in memory, one below the other."""
    first = parts[0]

    def below(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if values[0] is None:
            return None
        return pd.concat(values) if hasattr(values[0], "iloc") else np.concatenate(values)

    X, y, g, weight = map(below, ("X", "y", "g", "weight"))
    return Rows(X, y, g, weight, first.feature_names)
