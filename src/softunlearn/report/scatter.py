"""Who harms what: every training row by its influence on target and utility.

Influences span many orders of magnitude, so both axes show arcsinh(x / width): linear where
|x| < width, the median influence, and logarithmic further out. The colour is the weight change.
"""

from dataclasses import dataclass
from math import floor, log10

import numpy as np
from matplotlib.axes import Axes

from softunlearn.report.canvas import CHOSEN, LEVELS, MUTED, PANEL, blank, drawing, to_svg
from softunlearn.report.numbers import MINUS, small
from softunlearn.report.plain import brief, lower_first

MAX_POINTS = 3000
"""Rows drawn. All would make a page of many megabytes."""

N_EXTREMES = 100
"""So many rows at the ends of each influence and of the weights are always drawn."""


@dataclass(frozen=True)
class Corner:
    """A quadrant in words and rows."""

    words: tuple[str, str]
    rows: int
    x: float
    y: float


def influences(
    target: np.ndarray, utility: np.ndarray, eps: np.ndarray, metric: str
) -> tuple[str, int]:
    """Return the scatter of utility against target influence, and how many rows it shows.

    Parameters
    ----------
    target, utility, eps : ndarray of shape (n,)
        Influences and weight changes of the training rows.
    metric : str
        The metric's title.
    """
    shown = sample(target, utility, eps)
    shown = shown[np.argsort(np.abs(eps[shown]), kind="stable")]  # the most changed on top
    with drawing():
        figure = blank(4.6)
        axes, scale = figure.subplots(2, 1, height_ratios=(24, 1))
        colours = _colours(target, utility, eps)[shown]
        axes.scatter(
            _squash(target[shown], _width(target)),
            _squash(utility[shown], _width(utility)),
            s=9 if len(shown) > 500 else 24,
            c=list(colours),
            linewidths=0,
            alpha=0.85,
            clip_on=False,
        )
        _signed_axis(axes, "x", target, room=1.06)
        _signed_axis(axes, "y", utility, room=1.3)  # for the corners' labels
        axes.set_xlabel(f"Change of the {lower_first(brief(metric, 26))} if the row is removed")
        axes.set_ylabel("Change of the validation loss")
        corners = _corners(target, utility)
        for corner in corners:
            _label(axes, corner)
        _colour_scale(scale, _limit(eps))
        return to_svg(
            figure,
            "plot-influence",
            f"Influence of {len(shown):,} training rows on {metric} and on the loss",
            " ".join(f"{c.words[0]}, {c.words[1]}: {c.rows:,} rows." for c in corners),
        ), len(shown)


def sample(target: np.ndarray, utility: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """Return the rows to draw: all extremes, and of the others every k-th by target influence."""
    n = len(target)
    if n <= MAX_POINTS:
        return np.arange(n)
    kept = np.zeros(n, dtype=bool)
    for x in (target, utility, eps):
        order = np.argsort(x, kind="stable")
        kept[order[:N_EXTREMES]] = kept[order[-N_EXTREMES:]] = True
    others = np.argsort(target, kind="stable")
    others = others[~kept[others]]
    room = MAX_POINTS - int(kept.sum())
    kept[others[np.linspace(0, len(others) - 1, room).astype(int)]] = True
    return np.flatnonzero(kept)


def levels(eps: np.ndarray, limit: float) -> np.ndarray:
    """Return each row's step on the colour scale, the middle one for an unchanged weight.

    The other steps divide |eps| up to `limit` evenly; what is beyond has the last colour.
    """
    middle = len(LEVELS) // 2
    step = np.ceil(np.abs(eps) / limit * middle - 1e-9).clip(0, middle)
    return (middle + np.sign(eps) * step).astype(int)


def _colours(target: np.ndarray, utility: np.ndarray, eps: np.ndarray) -> np.ndarray:
    """Return each row's colour: its weight change, or its corner where no weight was changed."""
    if not eps.any():
        return np.where((target < 0) & (utility > 0), CHOSEN, MUTED)
    return np.array(LEVELS)[levels(eps, _limit(eps))]


def _limit(eps: np.ndarray) -> float:
    """Return where the colour scale ends: a few weights may be far beyond all others."""
    changed = np.abs(eps[eps != 0])
    return float(np.quantile(changed, 0.98)) if len(changed) else 0.0


def _width(x: np.ndarray) -> float:
    """Return where an axis stops being linear: at the median of what is not zero."""
    some = np.abs(x[x != 0])
    return float(np.median(some)) if len(some) else 1.0


def _squash(x: np.ndarray, width: float) -> np.ndarray:
    return np.arcsinh(x / width)


def _signed_axis(axes: Axes, which: str, x: np.ndarray, room: float) -> None:
    """Set limits, ticks and the zero line of an axis that is logarithmic on both sides."""
    width = _width(x)
    end = _squash(np.array([max(float(np.abs(x).max()), width)]), width)[0] * room
    sizes = np.array(_decades(width, float(np.abs(x).max())))
    places = np.concatenate([-sizes[::-1], [0.0], sizes])
    getattr(axes, f"set_{which}lim")(-end, end)
    getattr(axes, f"set_{which}ticks")(_squash(places, width), [small(v, 1) for v in places])
    (axes.axvline if which == "x" else axes.axhline)(0, color=MUTED, linewidth=1)


def _decades(width: float, largest: float) -> list[float]:
    """Return at most three powers of ten between `width` and `largest`, else one round number."""
    first, last = floor(log10(width)) + 1, floor(log10(max(largest, width)))
    if first > last:
        power = 10.0**last
        return [floor(max(largest, width) / power) * power]
    step = -(-(last - first + 1) // 3)
    return [10.0**power for power in range(last, first - 1, -step)][::-1]


def _corners(a: np.ndarray, u: np.ndarray) -> list[Corner]:
    """Return the quadrants: left harms the target, above helps utility."""
    return [
        Corner(
            (f"{'helps' if x else 'harms'} the metric", f"{'helps' if y else 'harms'} the model"),
            int((((a > 0) if x else (a < 0)) & ((u > 0) if y else (u < 0))).sum()),
            x,
            y,
        )
        for y in (1.0, 0.0)
        for x in (0.0, 1.0)
    ]


def _label(axes: Axes, corner: Corner) -> None:
    axes.annotate(
        f"{corner.words[0]},\n{corner.words[1]}: {corner.rows:,}",
        (corner.x, corner.y),
        (-4 if corner.x else 4, -4 if corner.y else 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right" if corner.x else "left",
        va="top" if corner.y else "bottom",
        fontsize=9,
        bbox={"facecolor": PANEL, "edgecolor": "none", "alpha": 0.85, "pad": 2},
    )


def _colour_scale(axes: Axes, limit: float) -> None:
    if limit == 0:
        axes.set_axis_off()
        return
    middle = len(LEVELS) // 2
    axes.bar(range(len(LEVELS)), 1, width=1, color=LEVELS)
    axes.set_xlim(-0.5, len(LEVELS) - 0.5)
    ends = (
        f"less weight ({MINUS}{small(limit, 2)})",
        "unchanged",
        f"more weight (+{small(limit, 2)})",
    )
    axes.set_xticks([0, middle, len(LEVELS) - 1], ends)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.tick_params(axis="x", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
