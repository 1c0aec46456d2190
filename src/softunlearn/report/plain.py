"""From any value to what JSON holds: the one place where a user's own values become text.

Column names, groups and cells come from somebody's data. Here they lose what could disturb a file
or a line (control characters, reversed writing); the page escapes them besides.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_TEXT = 200
"""Characters of a user's value that are kept."""


def plain(value: Any) -> Any:
    """Return a value as str, int, float, bool, None, or lists and dicts of them.

    What is missing, NaN or infinite becomes None.

    Examples
    --------
    >>> plain({"a": (np.float32(0.5), float("nan")), "b": np.arange(2)})
    {'a': [0.5, None], 'b': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bool | int):
        return value
    return clean(str(value))


def clean(text: str) -> str:
    """Return text on one line, of characters that can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def brief(text: str, length: int = MAX_TEXT) -> str:
    """Return text cut to a length, with a sign that it was.

    Examples
    --------
    >>> brief("a long story", 7)
    'a long…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def lower_first(title: str) -> str:
    """Return a title as it stands within a sentence; names in capitals stay as they are.

    Examples
    --------
    >>> lower_first("Log loss"), lower_first("FGSM")
    ('log loss', 'FGSM')
    """
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def cell(value: Any) -> Any:
    """Return one value of a user's data as JSON holds it, cut to `MAX_TEXT`."""
    value = plain(value)
    if isinstance(value, list | dict):
        value = clean(str(value))
    return brief(value) if isinstance(value, str) else value
