"""The figures of a report: numbers in, SVG out.

Each says in its description what it shows, for those who do not see it. The scatter is in
`scatter.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from softunlearn.report.canvas import (
    AFTER,
    BEFORE,
    CHOSEN,
    GRID,
    INK,
    LEVELS,
    MUTED,
    PANEL,
    blank,
    drawing,
    to_svg,
)
from softunlearn.report.plain import brief

MAX_GROUPS = 20
"""Groups drawn, the largest first; the table beside the figure has all."""

FEW_VALUES = 12
"""Up to so many different weights are drawn as bars of their own."""


@dataclass(frozen=True)
class Panel:
    """One figure before and after, on several sets of rows.

    Parameters
    ----------
    title : str
    names : sequence of str
        Of the sets of rows, from top to bottom.
    before, after : sequence of float
    least_span : float
        The axis covers at least this much, so that a trifle does not look large.
    from_zero : bool, default=False
        Whether the axis starts at zero.
    ends : sequence of dict, optional
        For each name the 95 % intervals "before" and "after", each [low, high].
    """

    title: str
    names: Sequence[str]
    before: Sequence[float]
    after: Sequence[float]
    least_span: float
    from_zero: bool = False
    ends: Sequence[dict[str, Any]] = ()

    @property
    def is_same(self) -> bool:
        """Return whether nothing changed."""
        return list(self.before) == list(self.after)

    def reach(self, i: int, when: str) -> tuple[float, float]:
        """Return the interval of a figure; nothing but the figure where there is none."""
        x = (self.before if when == "before" else self.after)[i]
        interval = self.ends[i].get(when) if self.ends else None
        return (x, x) if interval is None or None in interval else (interval[0], interval[1])


def frontier(points: Sequence[dict[str, Any]], metric: str, rows: str) -> str:
    """Return the metric against accuracy of all points of a frontier.

    Bars are the 95 % interval of the accuracy's change since the original, whose level is drawn:
    a bar that does not reach it is of a change that is certain.

    Parameters
    ----------
    points : sequence of dict
        A summary's `frontier`.
    metric : str
        The metric's title.
    rows : str
        A summary's `frontier_rows`.
    """
    x, y = [p["metric"] for p in points], [p["accuracy"] for p in points]
    chosen = next(i for i, p in enumerate(points) if p["chosen"])
    bars = {i: bar for i in range(1, len(points)) if (bar := _bar(points, i)) is not None}
    with drawing():
        figure = blank(3.7)
        axes = figure.add_subplot()
        axes.axhline(y[0], color=BEFORE, linewidth=1, linestyle=(0, (4, 3)))
        for i, (low, high) in bars.items():
            colour, width = (CHOSEN, 2.0) if i == chosen else (MUTED, 0.9)
            axes.vlines(x[i], low, high, color=colour, linewidth=width)
        axes.plot(x, y, color=MUTED, linewidth=1, marker="o", markersize=4.5, label="points tried")
        _mark(axes, x, y, chosen)
        _span(axes.set_xlim, x, 0.02)
        _span(axes.set_ylim, [*y, *(end for ends in bars.values() for end in ends)], 0.005)
        axes.set_xlabel(f"{brief(metric, 32)} on {rows}   (left is better)")
        axes.set_ylabel("Accuracy   (higher is better)")
        axes.yaxis.set_major_locator(MaxNLocator(6))
        figure.legend(loc="outside upper left", ncols=3)
        return to_svg(
            figure,
            "plot-frontier",
            f"{metric} against accuracy",
            f"{len(points)} points. Original: {x[0]:.4f} at accuracy {y[0]:.4f}. "
            f"Chosen: {x[chosen]:.4f} at accuracy {y[chosen]:.4f}{_in_interval(bars, chosen)}.",
        )


def _mark(axes: Axes, x: Sequence[float], y: Sequence[float], chosen: int) -> None:
    """Mark the original model and the chosen point, or the original that was kept."""
    marked = [(chosen, "D", CHOSEN, "chosen" if chosen else "original, kept")]
    if chosen:
        marked.insert(0, (0, "o", BEFORE, "original"))
    for i, marker, colour, label in marked:
        style = {"color": colour, "markersize": 9, "markeredgecolor": PANEL}
        axes.plot(x[i], y[i], marker, label=label, **style)


def _bar(points: Sequence[dict[str, Any]], i: int) -> tuple[float, float] | None:
    """Return where a point's accuracy may be, by the interval of its change."""
    change, start = points[i]["accuracy_change"], points[0]["accuracy"]
    if change["low"] is None or change["high"] is None:
        return None
    return start + change["low"], start + change["high"]


def _in_interval(bars: dict[int, Any], i: int) -> str:
    return f" ({bars[i][0]:.4f} to {bars[i][1]:.4f})" if i in bars else ""


def weights(eps: np.ndarray) -> str:
    """Return how many training rows have which weight, counts on a logarithmic scale.

    Parameters
    ----------
    eps : ndarray of shape (n,)
        Weight changes; a row's weight is one more.
    """
    weight = 1.0 + np.asarray(eps, dtype=float)
    values, counts, widths = _histogram(weight)
    with drawing():
        figure = blank(2.9)
        axes = figure.add_subplot()
        level = np.where(values > 1, len(LEVELS) - 2, np.where(values < 1, 1, len(LEVELS) // 2))
        axes.bar(values, counts, width=widths, color=[LEVELS[i] for i in level])
        axes.set_yscale("log")
        axes.set_ylim(0.7, max(counts) * 6)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="x", visible=False)
        for at, what, drop in ((0.0, "removed", 14), (1.0, "unchanged", 2)):
            if axes.get_xlim()[0] <= at <= axes.get_xlim()[1]:
                axes.axvline(at, color=INK, linewidth=1, linestyle=(0, (4, 3)))
                axes.annotate(
                    what,
                    (at, 1.0),
                    (3, -drop),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    va="top",
                    fontsize=9,
                )
        axes.set_xlabel("Weight of a training row   (1 = as in training)")
        axes.set_ylabel("Rows")
        return to_svg(
            figure,
            "plot-weights",
            "Weights of the training rows",
            f"Weights go from {weight.min():.3f} to {weight.max():.3f}; "
            f"{int((weight > 1).sum()):,} rows count more than before, "
            f"{int((weight < 1).sum()):,} less.",
        )


def panels(shown: Sequence[Panel]) -> str:
    """Return figures before and after, a panel each, two beside each other."""
    rows, same = -(-len(shown) // 2), all(panel.is_same for panel in shown)
    with drawing():
        figure = blank(0.5 + rows * (0.75 + 0.32 * max(len(panel.names) for panel in shown)))
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes, panel in zip(grid.flat, shown, strict=False):
            _with_bars(axes, panel, same)
            axes.set_title(brief(panel.title, 28))
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return to_svg(
            figure,
            "plot-splits",
            "Main figures before and after",
            " ".join(_in_words(panel) for panel in shown),
        )


def group_rates(groups: Sequence[dict[str, Any]]) -> str:
    """Return what each group gets before and after, with the 95 % interval of each.

    That is the rate of positive predictions, or the accuracy where no class is the positive one.

    Parameters
    ----------
    groups : sequence of dict
        A split's `groups` in a summary.
    """
    rate = group_rate(groups)
    largest = sorted(range(len(groups)), key=lambda i: -groups[i]["rows"])[:MAX_GROUPS]
    drawn = [groups[i] for i in sorted(largest)]
    title = "Share predicted positive" if rate == "positive_rate" else "Accuracy"
    names = [brief(group["name"], 24) for group in drawn]
    before, after = ([group[rate][when] for group in drawn] for when in ("before", "after"))
    ends, from_zero = [g["intervals"].get(rate, {}) for g in drawn], rate == "positive_rate"
    panel = Panel(title, names, before, after, 0.1, from_zero, ends)
    with drawing():
        figure = blank(1.2 + 0.36 * len(drawn))
        axes = figure.add_subplot()
        _with_bars(axes, panel, same=panel.is_same)
        axes.set_title(title)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return to_svg(figure, "plot-groups", f"{title}, by group", _in_words(panel))


def group_rate(groups: Sequence[dict[str, Any]]) -> str:
    """Return what groups are compared by."""
    unknown = groups and groups[0]["positive_rate"]["before"] is None
    return "accuracy" if unknown else "positive_rate"


def _with_bars(axes: Axes, panel: Panel, same: bool) -> None:
    """Draw figures before and after, one below the other, with their intervals."""
    ring = {"markerfacecolor": PANEL, "markeredgecolor": BEFORE, "markeredgewidth": 2}
    dot: dict[str, Any] = {"color": AFTER, "markersize": 7}
    styles = [("before", -0.16, {"color": BEFORE, "markersize": 6, **ring}), ("after", 0.16, dot)]
    every = range(len(panel.names))
    drawn = [("after", 0.0, dot)] if same else styles
    for when, drop, style in drawn:
        x = np.array(panel.before if when == "before" else panel.after)
        ends = np.array([panel.reach(i, when) for i in every]).T
        axes.errorbar(
            x,
            np.arange(len(x)) + drop,
            xerr=np.maximum([x - ends[0], ends[1] - x], 0.0),
            fmt="o",
            elinewidth=1.5,
            label="before and after" if same else when,
            **style,
        )
    _lines_by_name(axes, panel.names)
    ends = [end for i in every for when in ("before", "after") for end in panel.reach(i, when)]
    _span(axes.set_xlim, ends, panel.least_span, panel.from_zero)
    if panel.from_zero:
        axes.axvline(0, color=GRID, linewidth=2)


def _lines_by_name(axes: Axes, names: Sequence[str]) -> None:
    """Give every name a line of its own, the first at the top."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _span(set_limits: Any, values: Sequence[float], least: float, from_zero: bool = False) -> None:
    """Set an axis to hold the values with some room, covering at least `least`."""
    low, high = float(np.min(values)), float(np.max(values))
    if from_zero:
        low = min(low, 0.0)
    missing = max(0.0, least - (high - low))
    room = 0.06 * max(high - low, least)
    below = 0.0 if from_zero and low == 0.0 else missing / 2
    set_limits(low - below - room, high + (missing - below) + room)


def _histogram(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return places, counts and width of bars; few different values get a bar each."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) <= FEW_VALUES:
        gap = float(np.diff(values).min()) if len(values) > 1 else 1.0
        return values, counts, min(0.1, gap) * 0.8
    low, high = min(float(values[0]), 1.0), max(float(values[-1]), 1.0)
    width = (high - low) / 60
    first, last = np.floor((low - 1) / width) - 1, np.ceil((high - 1) / width) + 1
    edges = 1.0 + width * np.arange(first, last + 1)  # one edge is 1: no bar is of both kinds
    counts, edges = np.histogram(x, edges)
    filled = counts > 0
    return ((edges[:-1] + edges[1:]) / 2)[filled], counts[filled], width * 0.9


def _in_words(panel: Panel) -> str:
    parts = [
        f"{name}: {was:.4f} before, {now:.4f} after"
        for name, was, now in zip(panel.names, panel.before, panel.after, strict=True)
    ]
    return f"{panel.title}. {'; '.join(parts)}."
