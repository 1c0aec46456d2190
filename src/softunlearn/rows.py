"""Rows of data: features, labels, groups and weights, met as a sequence of chunks.

Everything of size n is computed chunk by chunk through `Rows.map` (one value a row) and
`Rows.sum` (one total), so a formula is written once, for a few rows at a time. Where the chunks
live is nobody else's business. In memory a chunk is sized to stay in the processor's cache
between the products that share it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

Array = Any
"""An array of any library that follows the array API standard (NumPy, torch, ...)."""

CHUNK_BYTES = 2**20
"""Features of one chunk in memory: about one core's second-level cache."""

MIN_CHUNK_ROWS = 256
"""Below this, matrix products are too thin to be fast."""


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

    def with_features(self, X: Any) -> "Rows":
        """Return the same rows with other features, for instance perturbed ones."""
        return replace(self, X=X)

    def chunks(self) -> Iterator[tuple[slice, Chunk]]:
        """Yield consecutive rows, with the slice of 0..n that they are."""
        n, width = self.X.shape
        size = max(MIN_CHUNK_ROWS, CHUNK_BYTES // (8 * max(1, width)))
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

    def sum(self, function: Callable[..., Any], *aligned: Array) -> Any:
        """Return the sum over chunks of `function(chunk, *parts of aligned)`.

        `aligned` holds arrays with one entry a row. A tuple is summed item by item, so that
        several totals come from one pass over the rows.
        """
        total: Any = None
        for part, chunk in self.chunks():
            value = function(chunk, *(array[part, ...] for array in aligned))
            if total is None:
                total = value
            elif isinstance(value, tuple):
                total = tuple(a + b for a, b in zip(total, value, strict=True))
            else:
                total = total + value
        return total

    def map(self, function: Callable[..., Array], *aligned: Array) -> Array:
        """Return `function(chunk, *parts of aligned)` of all chunks, one below the other."""
        parts = [
            function(chunk, *(a[part, ...] for a in aligned)) for part, chunk in self.chunks()
        ]
        return array_namespace(parts[0]).concat(parts, axis=0)


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
