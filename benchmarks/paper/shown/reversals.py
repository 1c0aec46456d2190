"""Signed gaps as a table."""

from typing import Any

import numpy as np
from benchmarks.paper.shown.markdown import table


def signed(found: dict[str, Any]) -> str:
    """Return means over seeds, and how often the sign on validation rows is reversed."""
    lines = []
    for model in dict.fromkeys(name.partition("-")[0] for name in found):
        seeds = [result for name, result in found.items() if name.startswith(f"{model}-")]
        for which in ("original", "hard", "soft"):
            gaps = {rows: np.array([s[which][rows] for s in seeds]) for rows in seeds[0][which]}
            before = np.array([s["original"]["validation"] for s in seeds])
            reversed_ = int((gaps["validation"] * before < 0).sum())
            means = (f"{gap.mean():+.4f} ± {gap.std(ddof=1):.4f}" for gap in gaps.values())
            lines.append([model, which, *means, f"{reversed_} of {len(seeds)}"])
    return table(
        ["model", "weights", "validation gap", "test gap", "reversed on validation"], lines
    )
