"""Theorem 1's conditions and steps as a table."""

from typing import Any

from benchmarks.paper.shown.markdown import table

HEADER = ("data, model", "target", "cosine", "condition of H", "rank of G", "part of the target")


def steps(found: dict[str, Any]) -> str:
    """Return the conditions, and every step as predicted and as found."""
    lines = []
    for name, targets in found.items():
        for target, r in targets.items():
            c = r["conditions"]
            lines += [
                [
                    name,
                    target,
                    f"{c['cosine of the gradients']:+.3f}",
                    f"{c['condition of H']:.0e}",
                    f"{c['rank of G']} of {c['parameters']}",
                    f"{step['part']:g}",
                    *(_changes(step.get(rows)) for rows in ("predicted", "validation", "test")),
                ]
                for step in r["steps"]
            ]
    return table([*HEADER, "predicted", "validation rows", "test rows"], lines)


def realised(found: dict[str, Any], rows: str) -> str:
    """Return in how many steps target and loss both fell on some rows."""
    changes = [
        step.get(rows)
        for targets in found.values()
        for r in targets.values()
        for step in r["steps"]
    ]
    both = sum(bool(c and c["target"] < 0 and c["log loss"] < 0) for c in changes)
    return f"{both} of {len(changes)}"


def _changes(change: dict[str, float] | None) -> str:
    if change is None:
        return "both worse"
    return f"{change['target']:+.4f}, {change['log loss']:+.5f}"
