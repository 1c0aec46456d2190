"""A figure before and after as one dict: what all of a summary's figures are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from softunlearn.evaluation import Figures, GroupFigures
from softunlearn.intervals import Change, Interval
from softunlearn.report.plain import cell

KINDS = ("probabilities", "labels", "loss")
PROTOCOLS = ("transfer", "adaptive")
RATES = ("accuracy", "positive_rate", "mean_probability")

KEYS = ("before", "after", "change", "low", "high")
"""Of a pair; the last two are the 95 % interval of the change, None where there is none."""


def pair(before: float, after: float, change: Change | None = None) -> dict[str, float | None]:
    """Return a figure before and after, and what changed."""
    low, high = (None, None) if change is None else (change.low, change.high)
    return {"before": before, "after": after, "change": after - before, "low": low, "high": high}


def look_up(figures: dict[str, Any], path: str | None) -> dict[str, Any]:
    """Return the pair that a path such as "gaps.demographic_parity.labels" names in a split.

    A pair of None where the split has no such figure.
    """
    found: Any = figures
    for key in (path or "").split("."):
        found = found.get(key, {})
    return found or dict.fromkeys(KEYS)


def split_figures(
    before: Figures, after: Figures, changes: Mapping[str, Change]
) -> dict[str, Any]:
    """Return the figures of one split in pairs, with the intervals of each and of its change."""

    def fields(was: Any, now: Any, names: Sequence[str], path: str = "") -> dict[str, Any]:
        return {
            name: pair(getattr(was, name), getattr(now, name), changes.get(f"{path}{name}"))
            for name in names
        }

    return {
        "rows": before.rows,
        **fields(before, after, ("accuracy", "log_loss")),
        "gaps": {
            name: fields(gap, after.gaps[name], KINDS, f"gaps.{name}.")
            for name, gap in before.gaps.items()
        },
        "robustness": {
            name: {
                protocol: fields(
                    getattr(was, protocol),
                    getattr(after.robustness[name], protocol),
                    ("loss", "accuracy"),
                    f"robustness.{name}.{protocol}.",
                )
                for protocol in PROTOCOLS
            }
            for name, was in before.robustness.items()
        },
        "intervals": _intervals(before.intervals, after.intervals),
        "groups": [_group(was, now) for was, now in zip(before.groups, after.groups, strict=True)],
    }


def _group(was: GroupFigures, now: GroupFigures) -> dict[str, Any]:
    return {
        "name": cell(was.name),
        "rows": was.rows,
        **{name: pair(getattr(was, name), getattr(now, name)) for name in RATES},
        "intervals": _intervals(was.intervals, now.intervals),
    }


def _intervals(
    before: Mapping[str, Interval], after: Mapping[str, Interval]
) -> dict[str, dict[str, list[float]]]:
    """Return the 95 % intervals of figures before and after, by their paths."""
    return {
        path: {
            "before": [was.low, was.high],
            "after": [after[path].low, after[path].high],
        }
        for path, was in before.items()
        if path in after
    }
