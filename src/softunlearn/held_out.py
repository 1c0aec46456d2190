"""Which of some rows are held out to decide: a part of every class and group, drawn by a seed."""

from typing import Any

import numpy as np

from softunlearn.exceptions import InputError
from softunlearn.models.groups import read_groups
from softunlearn.rows import Rows, take


def held_out(rows: Rows, part: float, seed: int) -> np.ndarray:
    """Return which rows are held out, at random: a part of every class, its groups alike.

    Of a class of two rows or more it is never none, and never all.

    Parameters
    ----------
    rows : Rows
        Those of weight 0 stay.
    part : float
    seed : int

    Raises
    ------
    InputError
        A row has no group.
    """
    there = np.arange(len(rows)) if rows.weight is None else np.flatnonzero(rows.weight)
    _, y = np.unique(rows.y[there], return_inverse=True)
    g = np.zeros(len(rows), dtype=np.int64)
    if rows.g is not None:
        try:
            g = read_groups(rows.g).codes(rows.g)
        except InputError as error:
            raise InputError([f"`sensitive_features`: {p}" for p in error.problems]) from error
    shuffled = np.random.default_rng(seed).permutation(len(there))
    order = shuffled[np.lexsort((g[there][shuffled], y[shuffled]))]
    m = np.bincount(y)
    k = np.clip(np.round(part * m), 1, m - 1).astype(np.int64)
    position = np.arange(len(there)) - np.repeat(np.cumsum(m) - m, m)
    k, m = np.repeat(k, m), np.repeat(m, m)
    mask = np.zeros(len(rows), dtype=bool)
    mask[there[order]] = (position + 1) * k // m > position * k // m  # k of m, evenly spread
    return mask


def part_of(rows: Rows, mask: np.ndarray) -> Rows:
    """Return the rows of a mask; all of them as they are."""
    if mask.all():
        return rows
    index = np.flatnonzero(mask)

    def taken(values: Any) -> Any:
        return None if values is None else take(values, index)

    return Rows(taken(rows.X), rows.y[index], taken(rows.g), taken(rows.weight))
