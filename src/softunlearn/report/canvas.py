"""One look for all figures, and the way from a matplotlib figure to SVG inside the page.

Colours in a figure are placeholders that become the page's own (CSS custom properties), so a
figure is light or dark as the page is. The output is the same every time: whatever the user has
set in matplotlib plays no part, and ids come from the figure's name.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

WIDTH = 5.6
"""Inches. 403 units of SVG: text of size 10 can be read at the width of a phone."""

N_LEVELS = 9
"""Colours of the scale from less weight to more; the one in the middle says unchanged."""

_VARIABLES = (
    *("ink", "muted", "grid", "panel", "before", "after", "chosen"),
    *(f"weight-{level}" for level in range(N_LEVELS)),
)
_PLACEHOLDERS = {name: f"#0a0b{i + 16:02x}" for i, name in enumerate(_VARIABLES)}

INK, MUTED, GRID, PANEL, BEFORE, AFTER, CHOSEN = list(_PLACEHOLDERS.values())[:-N_LEVELS]
LEVELS = tuple(_PLACEHOLDERS.values())[-N_LEVELS:]

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style, whatever the user has set in matplotlib."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")  # the browser has the fonts
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def blank(height: float) -> Figure:
    """Return an empty figure of the page's width; `height` is in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as one `svg` element that says in words what it shows.

    Parameters
    ----------
    figure : Figure
    name : str
        Unique on the page; ids are made of it.
    title, description : str
        What the figure is, and what is to be seen in it.
    """
    matplotlib.rcParams["svg.hashsalt"] = name
    buffer = io.StringIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=unsaid)
    drawn = buffer.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"/>', "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"\s*\n\s*", "\n", body)
    for variable, placeholder in _PLACEHOLDERS.items():
        body = body.replace(placeholder, f"var(--{variable})")
    width, height = figure.get_size_inches() * 72
    return (
        f'<svg class="plot" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{html.escape(title)}</title>\n'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>{body}'
    )
