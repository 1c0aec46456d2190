"""Means over seeds with their intervals, and what they say of a claim."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

LEVEL = 0.95
HOLDS, NOISE, FAILS = "holds", "within noise", "does not hold"


@dataclass(frozen=True)
class Mean:
    """A mean over seeds, with Student's interval for it.

    Parameters
    ----------
    mean, deviation : float
    low, high : float
        95 %; of one seed the mean itself.
    """

    mean: float
    deviation: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Return the mean of values."""
        x = np.asarray(values, dtype=float)
        mean, n = float(x.mean()), len(x)
        if n == 1:
            return cls(mean, 0.0, mean, mean)
        deviation = float(x.std(ddof=1))
        half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / n**0.5
        return cls(mean, deviation, mean - half, mean + half)

    def mark(self) -> str:
        """Return what the interval of an advantage says of there being one."""
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else NOISE

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.deviation:{spec.lstrip('+')}}"
