"""Rows of data: features, labels, groups and weights, met as a sequence of chunks.

Everything of size n is computed chunk by chunk through `Rows.map` (one value a row), `Rows.sum`
(one total) and `Rows.stream` (one value a chunk, in order), so a formula is written once, for a
few rows at a time. Where the chunks live is nobody else's business: rows that the caller does not
hold (`in_memory` is False; `streams/` reads them from files) answer the same calls, and refuse to
hand over `X`, `y`, `g` or `weight` whole. In memory a chunk is sized to stay in the processor's
cache between the products that share it.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from softunlearn.threads import in_threads

Array = Any
"""An array of any library that follows the array API standard (NumPy, torch, ...)."""

CHUNK_BYTES = 2**20
"""Features of one chunk in memory: about one core's second-level cache."""

MIN_CHUNK_ROWS = 256
"""Below this, matrix products are too thin to be fast."""

SHARE = 4
"""Chunks that a thread takes at a time: fewer cost more to hand over than some passes take."""

MIN_SHARES = 4
"""Below this, a pass with a few columns takes as long as waking the threads."""


class Chunk(NamedTuple):
    """Some consecutive rows; `y`, `g` and `weight` as in `Rows`."""

    X: Array
    y: Array
    g: Array | None
    weight: Array | None


@dataclass(frozen=True, eq=False)
class Rows:
    """Features, labels and, where they exist, groups and weights of n rows.

    Parameters
    ----------
    X : array-like of shape (n, ...)
        What the model takes: an array, a sparse matrix, a dataframe or a mapping of columns.
    y : array-like of shape (n,)
        Labels, as the model knows them.
    g : array-like of shape (n,) or (n, m), dataframe, or dict of columns, optional
        Sensitive group of each row. Needed where a fairness metric is measured. Of several columns
        every combination is a group, unless the metric names one with `by`.
    weight : array-like of shape (n,), optional
        The `sample_weight` that the model was trained with; default one each.
    feature_names : sequence of str, optional
        Column names; taken from a dataframe by themselves.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> rows = su.Rows(np.eye(3), y=[0, 1, 1], g=["a", "b", "a"])
    >>> len(rows)
    3
    """

    X: Any
    y: Any
    g: Any = None
    weight: Any = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        names = self.feature_names
        if names is None:
            names = column_names(self.X)
        if names is not None:
            object.__setattr__(self, "feature_names", tuple(str(name) for name in names))

    def __len__(self) -> int:
        # a torch DataLoader's own length counts batches
        X = self.X.dataset if hasattr(self.X, "collate_fn") else self.X
        if isinstance(X, Mapping):  # columns; its own length counts those
            return 0 if not X else len(Rows(next(iter(X.values())), None))
        return int(X.shape[0]) if hasattr(X, "shape") else len(X)

    @classmethod
    def from_parquet(
        cls,
        paths: str | Path | Sequence[str | Path],
        *,
        label: str,
        features: Sequence[str] | None = None,
        sensitive: str | Sequence[str] | None = None,
        weight: str | None = None,
        dtype: Literal["float32", "float64"] | None = None,
        chunk_bytes: int = 2**24,
        cluster: Any = None,
    ) -> "Rows":
        """Return rows that are read from Parquet files whenever they are needed, in chunks.

        Parameters
        ----------
        paths : str or Path, or a sequence of these
            Files, or a folder, of which all .parquet files are read in the order of their names.
        label, weight : str
            The columns of the labels and of the `sample_weight` that the model was trained with.
        features : sequence of str, optional
            The model's columns, in its order. Default: all that have no other part to play.
        sensitive : str or sequence of str, optional
            The columns of the groups, for rows that are measured: those to be corrected on need
            none, and theirs are not read.
        dtype : "float32" or "float64", optional
            Of the features in memory, where all are numbers; what is computed from them is in
            float64. Default: the narrower that holds every feature column as it is stored.
        chunk_bytes : int, default=2**24
            About how many bytes of features are read at a time; `peak_bytes` says what a pass
            then holds.
        cluster : dask Client, its cluster, or the address of its scheduler, optional
            Whose workers read the rows, each some row groups, keep them in their memory if all of
            them fit there, and compute with them. They must find the files under the same paths.
            Needs `softunlearn[dask]`.

        Raises
        ------
        FileError
            A file is missing, or is not a Parquet file.
        InputError
            Some file has no rows, lacks a column, or holds another kind of values than the first.

        Examples
        --------
        >>> import tempfile, numpy as np, pandas as pd, softunlearn as su
        >>> table = pd.DataFrame({"x": np.arange(5.0), "y": [0, 1, 0, 1, 1]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.to_parquet(f"{folder}/rows.parquet")
        ...     rows = su.Rows.from_parquet(f"{folder}/rows.parquet", label="y")
        ...     len(rows), rows.sum(lambda chunk: chunk.X.sum())
        (5, np.float64(10.0))
        """
        from softunlearn.streams import from_parquet  # loads pyarrow

        rows = from_parquet(
            paths,
            label=label,
            features=features,
            sensitive=sensitive,
            weight=weight,
            dtype=dtype,
            chunk_bytes=chunk_bytes,
        )
        if cluster is None:
            return rows
        try:
            from softunlearn.streams.dask_rows import on_cluster
        except ImportError as error:
            raise ImportError(
                "`cluster` needs dask, which is not installed: pip install softunlearn[dask]."
            ) from error
        return on_cluster(rows, cluster)

    @property
    def in_memory(self) -> bool:
        """Return whether the caller holds all rows: a pass over them then costs its arithmetic."""
        return True

    def with_features(self, X: Any) -> "Rows":
        """Return the same rows with other features, for instance perturbed ones."""
        return replace(self, X=X)

    def reweighted(self, w: Array) -> "Rows":
        """Return the same rows with every training weight times w, shape (n,)."""
        return replace(self, weight=w if self.weight is None else self.weight * w)

    def take(self, index: np.ndarray) -> "Rows":
        """Return some rows, by their ascending positions, in memory."""
        X, y, g, weight = (
            None if values is None else take(values, index)
            for values in (self.X, self.y, self.g, self.weight)
        )
        return Rows(X, y, g, weight, self.feature_names)

    def read(self) -> "Rows":
        """Return all rows, in memory."""
        return self

    def converted(
        self,
        convert: Callable[["Chunk", int], "Chunk"],
        feature_names: tuple[str, ...] | None = None,
    ) -> "Rows":
        """Return the rows that `convert(chunk, number of its first row)` makes of every chunk."""
        chunk = convert(Chunk(self.X, self.y, self.g, self.weight), 0)
        return Rows(*chunk, feature_names or self.feature_names)

    def reporting(self, progress: Callable[[str, float], None]) -> "Rows":
        """Return the rows that say how far a pass over them has come, where it takes long.

        `progress` is called with what is being done and the part of it that is done, 0 to 1.
        """
        return self

    def labels_only(self) -> "Rows":
        """Return the rows without their features, where reading these can be spared."""
        return self

    def chunks(self) -> Generator[tuple[slice, Chunk]]:
        """Yield consecutive rows, with the slice of 0..n that they are."""
        n, size = len(self), self._chunk_rows
        for start in range(0, n, size):
            part = slice(start, min(n, start + size))
            yield (
                part,
                Chunk(
                    self.X[part, ...],
                    self.y[part],
                    None if self.g is None else self.g[part],
                    None if self.weight is None else self.weight[part],
                ),
            )

    @property
    def _chunk_rows(self) -> int:
        return max(MIN_CHUNK_ROWS, CHUNK_BYTES // (8 * max(1, self.X.shape[1])))

    def stream(self, function: Callable[..., Any], *aligned: Array) -> Iterator[tuple[slice, Any]]:
        """Yield `function(chunk, *parts of aligned)` of every chunk in turn, and where it is.

        `aligned` holds arrays with one entry a row.
        """
        for values in self._shared_out(list, function, *aligned):
            yield from values

    def sum(self, function: Callable[..., Any], *aligned: Array) -> Any:
        """Return the sum over chunks of `function(chunk, *parts of aligned)`.

        A tuple is summed item by item, so that several totals come from one pass over the rows.
        """

        def total(values: Iterator[tuple[slice, Any]]) -> Any:
            return added(value for _, value in values)

        return added(self._shared_out(total, function, *aligned))

    def _shared_out(
        self,
        collect: Callable[[Iterator[tuple[slice, Any]]], Any],
        function: Callable[..., Any],
        *aligned: Array,
    ) -> Iterator[Any]:
        """Yield what `collect` makes of the function's values, of some chunks after the others.

        Where it may, each by a thread; what a sum is made of is the same with any number of these.
        """

        def values(*chunks: tuple[slice, Chunk]) -> Any:
            return collect(
                (part, function(chunk, *(array[part, ...] for array in aligned)))
                for part, chunk in chunks
            )

        chunks = self.chunks()
        some = iter(lambda: tuple(islice(chunks, SHARE)), ())
        if isinstance(self.X, np.ndarray) and len(self) > self._chunk_rows:
            short = len(self) <= MIN_SHARES * SHARE * self._chunk_rows
            yield from in_threads(values, (one for one in some), short=short)
        else:
            yield from (values(*one) for one in some)

    def map(self, function: Callable[..., Any], *aligned: Array) -> Any:
        """Return `function(chunk, *parts of aligned)` of all chunks, one below the other.

        Of a tuple, a tuple of such arrays, from one pass over the rows.
        """
        n, single = len(self), True
        whole: tuple[Array, ...] = ()
        for part, value in self.stream(function, *aligned):
            single = not isinstance(value, tuple)
            values = (value,) if single else value
            whole = whole or tuple(_empty(n, like=one) for one in values)
            for all_, one in zip(whole, values, strict=True):
                all_[part, ...] = one
        return whole[0] if single else whole


def added(values: Iterable[Any]) -> Any:
    """Return the sum of values, of tuples item by item; None of none."""
    total: Any = None
    for value in values:
        if total is None:
            total = value
        elif isinstance(value, tuple):
            total = tuple(a + b for a, b in zip(total, value, strict=True))
        else:
            total = total + value
    return total


def _empty(n: int, *, like: Array) -> Array:
    """Return an array of n entries such as those of another."""
    xp = array_namespace(like)
    return xp.empty((n, *like.shape[1:]), dtype=like.dtype, device=device(like))


def as_rows(data: Any, name: str) -> Rows:
    """Return `data`, given as Rows or as a tuple (X, y) or (X, y, g), as Rows.

    Parameters
    ----------
    data : Rows or tuple
        Not copied, not changed.
    name : str
        What the caller calls these rows; used in messages.

    Raises
    ------
    TypeError
        `data` is neither.
    """
    if isinstance(data, Rows):
        return data
    if isinstance(data, tuple) and len(data) in (2, 3):
        return Rows(*data)
    got = f"a tuple of {len(data)}" if isinstance(data, tuple) else type(data).__name__
    raise TypeError(f"`{name}` must be su.Rows or a tuple (X, y) or (X, y, g), got {got}.")


def column_names(table: Any) -> Any:
    """Return a dataframe's or table's column names, None of anything else."""
    # pyarrow calls them so; its `columns` are the columns themselves
    names = getattr(table, "column_names", None)
    return getattr(table, "columns", None) if names is None else names


def take(values: Any, index: np.ndarray) -> Any:
    """Return the rows `index` of an array, a table, a sparse matrix, columns, or a DataLoader."""
    if isinstance(values, Mapping):
        return {name: take(column, index) for name, column in values.items()}
    if hasattr(values, "collate_fn"):
        items = [values.dataset[i] for i in index]
        return type(values)(items, batch_size=len(items), collate_fn=values.collate_fn)
    if hasattr(values, "tocsr"):
        return values.tocsr()[index]
    if hasattr(values, "iloc"):
        return values.iloc[index]
    if type(values).__module__.startswith("pyarrow"):
        return values.take(index)
    return values[index] if hasattr(values, "shape") else [values[i] for i in index]
