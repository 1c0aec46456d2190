"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Return a table."""
    rows = [" | ".join(map(str, line)) for line in (header, ["---"] * len(header), *lines)]
    return "\n".join(f"| {row} |" for row in rows)
