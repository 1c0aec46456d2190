"""How the time and the memory of step 1 grow with rows, features and classes.

Random rows and a random head, the influence of every row on one target, by the solver that the
head's size says. One of 100,000 rows, 100 features and 2 classes is changed at a time.

    python benchmarks/speed/growth.py [--rounds 3]
"""

import argparse
import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
from measured import PeakMemory

from softunlearn.curvature import Automatic
from softunlearn.head import LinearHead
from softunlearn.influence import Scores
from softunlearn.metrics import DemographicParity, Target
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@dataclass(frozen=True)
class Size:
    """Rows, features and classes."""

    n: int
    d: int
    K: int


MIDDLE = Size(100_000, 100, 2)
SIZES = {
    "rows": [replace(MIDDLE, n=n) for n in (10_000, 100_000, 1_000_000)],
    "features": [replace(MIDDLE, d=d) for d in (25, 100, 400, 1600)],
    "classes": [replace(MIDDLE, K=K) for K in (2, 3, 6, 12, 24)],
}


def main() -> None:
    """Print a table for each of the three sizes."""
    options = argparse.ArgumentParser(description="Time step 1 at several sizes.")
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    for name, sizes in SIZES.items():
        print(f"{name:>10}{'solver':>22}{'seconds':>10}{'MB':>8}{'products':>10}")
        for size in sizes:
            seconds, peak, solver, products = took(size, rounds)
            changed = {"rows": size.n, "features": size.d, "classes": size.K}[name]
            print(f"{changed:>10,}{solver:>22}{seconds:10.3f}{peak:8.0f}{products:10}", flush=True)


def took(size: Size, rounds: int) -> tuple[float, float, str, int]:
    """Return seconds, peak memory beside the data in MB, the solver and its products with H."""
    objective, target = made(size)

    def step1() -> Scores:
        gradient = target.gradient(objective.head)[:, None]
        scores = Scores.of(objective, Automatic().factor(objective), gradient)
        assert len(scores.values) == size.n
        return scores

    with PeakMemory() as memory:
        scores = step1()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        step1()
        seconds.append(time.perf_counter() - began)
    solver, products = scores.curvature.name, scores.solution.iterations
    return statistics.median(seconds), memory.peak, solver, products


def made(size: Size) -> tuple[HeadObjective, Target]:
    """Return a head on random rows, and a target on a tenth as many others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(size.n + size.n // 10, size.d))
    k = 1 if size.K == 2 else size.K
    W = 2 * rng.normal(size=(k, size.d)) / np.sqrt(size.d)
    y = (X @ W.T + rng.gumbel(size=(len(X), k))).argmax(axis=1) if k > 1 else X @ W[0] > 0
    y, group = y.astype(int), (X[:, 0] > 0).astype(int)
    head = LinearHead(W, np.zeros(k), l2=1.0, classes=tuple(range(size.K)))
    train = Rows(X[: size.n], y[: size.n])
    other = Rows(X[size.n :], y[size.n :], group[size.n :])
    return HeadObjective(head, train), Target(DemographicParity(positive=1), other)


if __name__ == "__main__":
    main()
