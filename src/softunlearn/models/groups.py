"""How sensitive columns become group codes, the same in every set of rows.

One column: every value is a group. Several: every combination of their values is one, except
that a combination of fewer than `MIN_ROWS` validation rows is pooled with the others of its kind
into "(others)", since the mean of a few rows is noise, and a gap would chase it. Where these
together are still too few, the smallest combination left joins them, until they are enough.
Combinations that only other rows have are in "(others)" too; they are reported on.

Values are compared as text, so that 1, np.int64(1), 1.0 and "1" are one value, and so are True
and 1 where a column has both.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from softunlearn.exceptions import InputError
from softunlearn.rows import column_names

MIN_ROWS = 30
"""A combination of fewer validation rows is pooled."""

OTHERS = "(others)"
"""The name of the group of pooled combinations."""

_SAME = {"True": "1", "False": "0", "1": "True", "0": "False"}
"""A number and the truth value that equals it."""


@dataclass(frozen=True)
class Groups:
    """How groups are coded; `read_groups` makes it.

    Parameters
    ----------
    columns : tuple of str
        The names of the sensitive columns; "0", "1", ... where they have none.
    values : tuple of tuple of str
        Of each column, its values in sorted order.
    cells : tuple of tuple of str
        The combinations that are groups of their own, in the order of their codes.
    pooled : tuple of str, default=()
        The names of those that are in "(others)", the last group; where there are none there is
        no such group.
    by : str, optional
        The one column that groups are made of. Default: all.

    Examples
    --------
    >>> race = ["Black"] * 60 + ["White"] * 60 + ["other"] * 38
    >>> groups = read_groups({"sex": ["Female", "Male"] * 79, "race": race})
    >>> groups.names
    ('Female & Black', 'Female & White', 'Male & Black', 'Male & White', '(others)')
    >>> groups.pooled
    ('Female & other', 'Male & other')
    >>> groups.of("sex").names
    ('Female', 'Male')
    """

    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    cells: tuple[tuple[str, ...], ...]
    pooled: tuple[str, ...] = ()
    by: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the groups' names, by code."""
        return (*map(_joined, self.cells), *[OTHERS] * bool(self.pooled))

    def of(self, column: str | int) -> "Groups":
        """Return the groups of one column alone, by its name or position; none are pooled.

        Raises
        ------
        InputError
            There is no such column.
        """
        if str(column) in self.columns:
            at = self.columns.index(str(column))
        elif isinstance(column, int) and 0 <= column < len(self.columns):
            at = column
        else:
            raise InputError(
                f"`by` must name a sensitive column, {_listed(self.columns)}, got {column!r}."
            )
        cells = tuple((value,) for value in self.values[at])
        return replace(self, cells=cells, pooled=(), by=self.columns[at])

    def each(self, g: Any) -> dict[str, np.ndarray]:
        """Return every row's code in each column alone, by its name; of one column nothing.

        A dot in a name, which would part a path to a figure, becomes an underscore.
        """
        if len(self.columns) == 1:
            return {}
        return {name.replace(".", "_"): self.of(name).codes(g) for name in self.columns}

    def codes(self, g: Any) -> np.ndarray:
        """Return every row's group code, shape (n,).

        Parameters
        ----------
        g : array-like of shape (n,) or (n, m), dataframe, or dict of columns
            With the same columns as the rows that the groups were read from.

        Raises
        ------
        InputError
            A row has no group or an unknown one, or the columns are others.
        """
        columns = self._matched(read_columns(g))
        _check_complete(columns)
        coded = range(len(columns)) if self.by is None else [self.columns.index(self.by)]
        given = list(zip(*(columns[at].tolist() for at in coded), strict=True))
        different = list(dict.fromkeys(given))
        parts = [np.array(part, dtype=object) for part in zip(*different, strict=True)]
        cells = _cells(parts, [self.values[at] for at in coded])
        code = {cell: i for i, cell in enumerate(self.cells)}
        others = len(self.cells) if self.pooled else -1
        code_of = {raw: code.get(c, others) for raw, c in zip(different, cells, strict=True)}
        codes = np.fromiter(map(code_of.__getitem__, given), dtype=np.int64, count=len(given))
        if (unknown := codes < 0).any():
            first = int(unknown.argmax())
            name = _joined(cells[different.index(given[first])])
            raise InputError(
                f"{int(unknown.sum()):,} groups are unknown, the first is {name!r} in row "
                f"{first}; known are {_listed(self.names[:6])}."
            )
        return codes

    def _matched(self, given: "Columns") -> list[np.ndarray]:
        """Return the given columns in the order of these, by name where both have names."""
        by_name = dict(zip(given.names, given.arrays, strict=True))
        if given.named and all(name in by_name for name in self.columns):
            return [by_name[name] for name in self.columns]
        unnamed = not given.named or self.columns == _numbered(len(self.columns))
        if len(given.arrays) == len(self.columns) and unnamed:
            return list(given.arrays)
        raise InputError(
            f"g must have the columns {_listed(self.columns)}, as the other rows have, got "
            f"{_listed(given.names)}."
        )


class Columns(NamedTuple):
    """Sensitive columns as one-dimensional arrays; `named` where names decide which is which."""

    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    named: bool


def read_groups(*sets: Any, pooled_by: Any = None) -> Groups:
    """Return how the groups of some sets of rows are coded.

    Parameters
    ----------
    *sets : array-like of shape (n,) or (n, m), dataframe, or dict of columns
        The sensitive columns of each set; all their values and combinations are known.
    pooled_by : the same, optional
        That of the validation rows, by which combinations are counted and columns are named.
        Default: the first set.

    Raises
    ------
    InputError
        The first set, or `pooled_by`, cannot be read. Another that does not fit is left out: it
        is refused where it is coded.
    """
    first = sets[0] if pooled_by is None else pooled_by
    columns = read_columns(first)
    empty = Groups(columns.names, ((),) * len(columns.names), ())
    complete = [_complete(columns.arrays)]
    for other in sets:
        if other is first:
            continue
        try:
            complete.append(_complete(empty._matched(read_columns(other))))
        except InputError:
            continue
    values = tuple(_known(column) for column in zip(*complete, strict=True))
    if len(values) == 1:
        return replace(empty, values=values, cells=tuple((value,) for value in values[0]))
    counts = Counter(_cells(complete[0], values))
    cells, pooled = _pool(counts)
    seen = {cell for part in complete[1:] for cell in _cells(part, values)}
    pooled |= seen - counts.keys()
    names = tuple(_joined(cell) for cell in sorted(pooled))
    return replace(empty, values=values, cells=tuple(sorted(cells)), pooled=names)


def read_columns(g: Any) -> Columns:
    """Return sensitive columns from whatever holds them.

    Raises
    ------
    InputError
        They are no columns, or differ in length or not in name.
    """
    labels = list(g) if isinstance(g, Mapping) else column_names(g)
    if labels is not None:
        names, named = tuple(str(label) for label in labels), True
        if len(set(names)) < len(names):
            raise InputError(f"g has columns of the same name, {_listed(names)}; rename them.")
        arrays = tuple(_array(g[label]) for label in labels)
    else:
        values, named = _array(g), False
        if values.ndim == 1:
            arrays, name = (values,), getattr(g, "name", None)
            names = _numbered(1) if name is None else (str(name),)
        else:
            arrays = tuple(np.moveaxis(values, 1, 0)) if values.ndim == 2 else (values,)
            names = _numbered(len(arrays))
    if not arrays:
        raise InputError("g has no columns; give one or more.")
    for array in arrays:
        if array.ndim != 1:
            raise InputError(
                "g must be one column of groups or several, (n,) or (n, m), got an array of "
                f"shape {array.shape}."
            )
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise InputError(f"g has columns of different lengths, {lengths}; give one entry a row.")
    return Columns(names, arrays, named)


def rows_array(values: Any) -> np.ndarray:
    """Return labels or groups as a NumPy array; tensors come from their device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def group_of_row(g: Any, i: int) -> Any:
    """Return a row's group as its one column has it, or as the name of the combination."""
    arrays = read_columns(g).arrays
    return arrays[0][i] if len(arrays) == 1 else _joined(tuple(_text(a[i]) for a in arrays))


def _pool(counts: Mapping[tuple[str, ...], int]) -> tuple[set, set]:
    """Return the combinations that are groups of their own, and those that are pooled."""
    cells = {cell for cell, n in counts.items() if n >= MIN_ROWS}
    pooled = set(counts) - cells
    while pooled and cells and sum(counts[cell] for cell in pooled) < MIN_ROWS:
        smallest = min(cells, key=lambda cell: (counts[cell], cell))
        cells.remove(smallest)
        pooled.add(smallest)
    return cells, pooled


def _cells(columns: Any, known: Any) -> list[tuple[str, ...]]:
    """Return every row's combination of values, each as it is known, or else as it is."""
    named = []
    for column, values in zip(columns, known, strict=True):
        name = {value: value for value in values}
        name |= {_SAME[v]: v for v in values if v in _SAME and _SAME[v] not in name}
        given = column.tolist()
        text_of = {value: _text(value) for value in set(given)}
        called = {value: name.get(text, text) for value, text in text_of.items()}
        named.append([called[value] for value in given])
    return list(zip(*named, strict=True))


def _known(parts: tuple[np.ndarray, ...]) -> tuple[str, ...]:
    """Return the values of one column in sorted order, truth values as numbers if it has both."""
    texts = {_text(value) for part in parts for value in set(part.tolist())}
    mixed = {text for text in ("True", "False") if _SAME[text] in texts}
    return tuple(sorted(texts - mixed))


def _text(value: Any) -> str:
    """Return what a value is compared by and called."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)


def _complete(columns: Any) -> list[np.ndarray]:
    """Return the columns' rows that have a value in every one."""
    there = ~np.any([_missing(column) for column in columns], axis=0)
    return [column[there] for column in columns]


def _check_complete(columns: list[np.ndarray]) -> None:
    if (missing := np.any([_missing(column) for column in columns], axis=0)).any():
        raise InputError(
            f"{int(missing.sum()):,} rows have no group, the first is row "
            f"{int(missing.argmax())}; drop them or give them a group of their own."
        )


def _missing(values: np.ndarray) -> np.ndarray:
    """Return where an entry is None, NaN, or a dataframe library's own missing value."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    names = ("NoneType", "NAType", "NaTType")
    missing = [type(v).__name__ in names or (isinstance(v, float) and v != v) for v in values]
    return np.array(missing, dtype=bool)


def _array(values: Any) -> np.ndarray:
    # in a list of numbers and words NumPy would make words of the numbers
    is_list = isinstance(values, list | tuple)
    return np.array(values, dtype=object) if is_list else rows_array(values)


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(n))


def _joined(cell: tuple[str, ...]) -> str:
    return " & ".join(cell)


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
