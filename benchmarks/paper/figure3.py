"""Figure 3: influence against the exact change, for every training row of Adult.

Of the logistic regression under both protocols, and of the network's last layer. Pearson and
Spearman correlation, of influence as it is (Eq. 3 to 5) and divided by 1 - leverage.
"""

from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT, Job
from benchmarks.paper.setting import Setting, leverages, targets_of
from scipy.stats import rankdata

import softunlearn as su
from softunlearn.influence import removal_influence

SHOWN = 4000
"""Points that the figure draws."""


def jobs() -> list[Job]:
    """Return one job for each model."""
    return [
        Job(f"figure3/{model}-{protocol}", compute, {"model": model, "protocol": protocol}, True)
        for model, protocol in (("lr", "clean"), ("nn", "clean"), ("lr", "paper"))
    ]


def compute(*, model: str, protocol: str) -> dict[str, Any]:
    """Return the correlations of every target, and the points to draw."""
    trained = Setting("adult", model, protocol=protocol).trained()
    targets = targets_of(trained)
    # models and rows that figure 1 left out already are not left out again
    folder = OUT / "arrays" / ("figure1-adult" if model == "lr" else "figure3-nn")
    exact = su.leave_one_out(
        trained.model, trained.train, list(targets.values()), cache=su.ArrayCache(folder)
    )
    plain = su.influence_scores(trained.model, trained.train, list(targets.values()))
    h = leverages(trained)
    corrected = removal_influence(plain, h)
    return {
        "rows": len(h),
        "highest leverage": float(h.max()),
        "targets": {
            name: {
                "plain": _agreement(exact[:, j], plain[:, j]),
                "with leverage": _agreement(exact[:, j], corrected[:, j]),
                "points": _points(exact[:, j], plain[:, j], corrected[:, j]),
            }
            for j, name in enumerate(targets)
        },
    }


def _agreement(exact: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """Return both correlations of the rows whose exact change is known."""
    known = np.isfinite(exact)
    x, y = exact[known], estimate[known]
    return {
        "Pearson": float(np.corrcoef(x, y)[0, 1]),
        "Spearman": float(np.corrcoef(rankdata(x), rankdata(y))[0, 1]),
        "rows": int(known.sum()),
    }


def _points(exact: np.ndarray, plain: np.ndarray, corrected: np.ndarray) -> dict[str, list[float]]:
    order = np.argsort(exact)
    some = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    columns = {"exact": exact, "plain": plain, "with leverage": corrected}
    return {name: column[some].tolist() for name, column in columns.items()}
