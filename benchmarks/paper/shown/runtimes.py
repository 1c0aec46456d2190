"""The runtimes as a table."""

from typing import Any

from benchmarks.paper.runtimes import STEPS
from benchmarks.paper.shown.markdown import table


def seconds(found: dict[str, Any]) -> str:
    """Return milliseconds of each step."""
    lines = [
        [
            model,
            r["algorithm"],
            r["scheme"],
            *(f"{1000 * r[step]:.2f}" for step in STEPS),
            f"{1000 * r['whole']:.0f}",
            f"{r[STEPS[1]] / r['whole']:.2%}",
        ]
        for model, records in found.items()
        for r in records
    ]
    header = ["model", "algorithm", "weights", "step 1, ms", "step 2, ms", "step 3, ms"]
    return table([*header, "whole, ms", "share of step 2"], lines)
