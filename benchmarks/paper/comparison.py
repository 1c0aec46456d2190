"""Soft against hard weights over seeds, and what the intervals say of a claim."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.paper.figure2 import ALGORITHMS, TARGETS
from benchmarks.paper.setting import DATA, EXTREMES
from scipy.stats import t

Record = dict[str, Any]
Key = tuple[str, str, str, str]
"""Model, data set, task, algorithm."""

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


class Comparison:
    """Soft against hard weights, of one algorithm in one setting, over seeds.

    Parameters
    ----------
    records : iterable of dict
        Of figure 2, of this cell alone.
    chosen : str
        Which soft point.
    target : str
    """

    def __init__(self, records: Iterable[Record], chosen: str, target: str) -> None:
        self.target, self._chosen = target, chosen
        self._by = {
            (r["seed"], r["chosen"]): r["figures"]
            for r in records
            if r["chosen"] in ("hard", "original", chosen)
        }
        self.seeds = sorted({seed for seed, _ in self._by})

    def values(self, which: str, figure: str) -> np.ndarray:
        """Return a figure of the hard, soft or original model for each seed."""
        chosen = self._chosen if which == "soft" else which
        return np.array([self._by[seed, chosen][figure] for seed in self.seeds], dtype=float)

    def gain(self, figure: str) -> np.ndarray:
        """Return by how much soft weights are better, in the figure's own unit."""
        sign = 1.0 if figure == "accuracy" else -1.0
        return sign * (self.values("soft", figure) - self.values("hard", figure))

    def free_lunch(self, which: str) -> bool:
        """Return whether target and accuracy are both better than the original's, on average."""
        target, accuracy = (
            float((self.values(which, figure) - self.values("original", figure)).mean())
            for figure in (self.target, "accuracy")
        )
        return target < 0 < accuracy

    def advantage(self, figure: str) -> Mean:
        """Return the gain over the seeds."""
        return Mean.of(list(self.gain(figure)))

    def percent(self, figure: str) -> Mean:
        """Return the gain in per cent of the hard weights' figure, as the paper's tables do."""
        return Mean.of(list(100 * self.gain(figure) / np.abs(self.values("hard", figure))))


def comparisons(records: list[Record], chosen: str) -> dict[Key, Comparison]:
    """Return the comparison of every cell that there are records of, in the tables' order."""
    by_cell: dict[Key, list[Record]] = {}
    for r in records:
        by_cell.setdefault((r["model"], r["data"], r["target"], r["algorithm"]), []).append(r)
    order = [
        (model, data, target, algorithm)
        for model, algorithms in ALGORITHMS.items()
        for data in (*DATA, EXTREMES)
        for target in TARGETS
        for algorithm in algorithms
    ]
    return {key: Comparison(by_cell[key], chosen, key[2]) for key in order if key in by_cell}


def counted(cells: Iterable[Comparison], figure: Callable[[Comparison], str]) -> dict[str, int]:
    """Return how many cells have each mark."""
    marks = [cell.advantage(figure(cell)).mark() for cell in cells]
    return {mark: marks.count(mark) for mark in (HOLDS, NOISE, FAILS)}
