"""Text, tables and metadata as Markdown and YAML hold them: whatever is a user's stays text."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from softunlearn.report.plain import brief, clean

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = re.compile(r"([!#$*@\[\\\]^_`{|}~]|:(?=/)|(?<=www)\.)")  # the last two: links


def text(value: Any, length: int = 80) -> str:
    r"""Return a value on one line, of which Markdown and HTML make nothing but text.

    Examples
    --------
    >>> print(text("a_b|<script>"))
    a\_b\|&lt;script&gt;
    """
    words = brief(clean(str(value)), length)
    escaped = _MARKS.sub(r"\\\1", words)
    return "".join(_ENTITIES.get(c, c) for c in escaped)


def code(value: Any, length: int = 80) -> str:
    """Return a value as inline code; backticks in it become quotes.

    Examples
    --------
    >>> code("a`b")
    "`a'b`"
    """
    words = brief(clean(str(value)), length).replace("`", "'").replace("|", "/")
    return f"`{words}`" if words else "` `"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are escaped already. The first column is of words.

    Examples
    --------
    >>> print(table(["", "rows"], [["train", "600"]]))
    |  | rows |
    | :-- | --: |
    | train | 600 |
    """
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def front_matter(entries: dict[str, Any]) -> str:
    """Return metadata as the YAML block that opens a model card.

    Values are written as JSON, which YAML is a superset of: no value can end its line.

    Examples
    --------
    >>> print(front_matter({"library_name": "sklearn", "tags": ["a: b"]}))
    ---
    library_name: "sklearn"
    tags: ["a: b"]
    ---
    """
    lines = [f"{key}: {json.dumps(value, allow_nan=False)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, "---"])
