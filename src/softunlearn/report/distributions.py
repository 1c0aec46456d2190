"""How influences and weights are spread over the training rows, in numbers."""

from typing import Any

import numpy as np

from softunlearn.influence import Influence
from softunlearn.message import HIGH_LEVERAGE
from softunlearn.report.rows_shown import host
from softunlearn.rows import Array

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def influences(influence: Influence) -> dict[str, Any]:
    """Return how influences are spread over the training rows, and who harms what."""
    a, u = host(influence.target), host(influence.utility)
    h = None if influence.leverage is None else host(influence.leverage)
    harm = np.sort(np.maximum(-a, 0.0))[::-1]
    return {
        "target": _spread(a),
        "utility": _spread(u),
        "leverage": None if h is None else _spread(h),
        "quadrants": {
            "harms_target_helps_utility": int(((a < 0) & (u > 0)).sum()),
            "harms_target_harms_utility": int(((a < 0) & (u < 0)).sum()),
            "helps_target_helps_utility": int(((a > 0) & (u > 0)).sum()),
            "helps_target_harms_utility": int(((a > 0) & (u < 0)).sum()),
            "no_influence_on_one": int(((a == 0) | (u == 0)).sum()),
        },
        "harmful_rows": int((a < 0).sum()),
        "harmful_rows_that_help_utility": int(((a < 0) & (u > 0)).sum()),
        "rows_with_half_of_the_harm": _rows_with_half(harm),
        "rows_of_high_leverage": None if h is None else int((h > HIGH_LEVERAGE).sum()),
    }


def weights(eps: Array) -> dict[str, Any]:
    """Return how weight changes are spread over the training rows."""
    eps = host(eps)
    return {
        **_spread(eps),
        "up": int((eps > 0).sum()),
        "down": int((eps < 0).sum()),
        "unchanged": int((eps == 0).sum()),
        "removed": int((eps == -1).sum()),
        "below_zero": int((eps < -1).sum()),
    }


def _rows_with_half(harm: np.ndarray) -> int:
    """Return how many of the most harmful rows, largest first, hold half of all harm."""
    total = harm.sum()
    return int(np.searchsorted(np.cumsum(harm), total / 2)) + 1 if total > 0 else 0


def _spread(x: np.ndarray) -> dict[str, Any]:
    values = np.quantile(x, QUANTILES)
    return {
        "min": values[0],
        "max": values[-1],
        "quantiles": {f"{q:g}": value for q, value in zip(QUANTILES, values, strict=True)},
    }
