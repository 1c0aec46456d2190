"""Digests of rows: whether they are the same ones, told without any of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import to_device

from softunlearn.array_cache import key
from softunlearn.rows import Rows


def fingerprint(rows: Rows) -> str | None:
    """Return the sha256 of rows as a head is given them; None where they are not in memory.

    It is made of features, class and group codes and weights, in the order of the rows.
    """
    if not rows.in_memory:
        return None
    return digest(rows.X, rows.y, rows.g, rows.weight)


def digest(*arrays: Any) -> str:
    """Return the sha256 of arrays, their shapes and types; an array may be None."""
    return key(content for array in arrays for content in _contents(array))


def _contents(array: Any) -> Iterator[bytes | memoryview]:
    """Yield what an array is and holds, or a mark for none."""
    if array is None:
        yield b"none"
    else:
        values = np.ascontiguousarray(to_device(array, "cpu"))
        yield repr((values.shape, values.dtype.str)).encode()
        yield values.view(np.uint8).reshape(-1).data if values.size else b""
