"""How well influence estimates exact leave-one-out on Adult, with and without leverage.

The published model (no intercept) and split. Every training row is left out in turn and the model
trained to its optimum again; the change of four validation metrics is compared with the row's
influence on them, as it is and divided by 1 - leverage. Attacked rows are crafted once, against
the original model.

    SOFTUNLEARN_DATA=... python benchmarks/leave_one_out.py [--rows 2000]
"""

import argparse
import resource
import sys
import time

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.attacks import Boundary
from softunlearn.curvature import Cholesky
from softunlearn.influence import removal_influence
from softunlearn.leave_one_out import leave_one_out
from softunlearn.models import Encoder, adapt
from softunlearn.objective import HeadObjective

HIGHEST = 200
"""Rows of highest leverage that a subset has besides random ones."""


def main() -> None:
    """Print the table, in Markdown."""
    options = argparse.ArgumentParser(description="Compare influence with exact leave-one-out.")
    options.add_argument("--rows", type=int, help="random rows to leave out (default: all)")
    arguments = options.parse_args()

    data = su.datasets.load("adult", protocol="paper")
    model = LogisticRegression(fit_intercept=False, C=1 / 2.2622, tol=1e-8, max_iter=3000)
    model.fit(data.train.X, data.train.y)
    targets, h = targets_of(model, data.validation), leverages(model, data.train)
    rows = subset(h, arguments.rows)

    start = time.perf_counter()
    influence = su.influence_scores(model, data.train, list(targets.values()))[rows]
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    exact = leave_one_out(model, data.train, list(targets.values()), rows=rows, progress=progress)
    exact_seconds = time.perf_counter() - start

    corrected = removal_influence(influence, h[rows])
    print("| metric | Pearson | with leverage | Spearman | with leverage |")
    print("| --- | --- | --- | --- | --- |")
    for j, name in enumerate(targets):
        plain, better = (agreement(exact[:, j], a[:, j]) for a in (influence, corrected))
        print(f"| {name} | {plain[0]:.4f} | {better[0]:.4f} | {plain[1]:.4f} | {better[1]:.4f} |")
    print(
        f"\n{len(rows):,} of {len(h):,} rows, each left out: {exact_seconds:.1f} s. "
        f"Influence of all rows: {seconds:.2f} s. Highest leverage: {h.max():.4f}. "
        f"Peak memory: {peak_bytes() / 1e9:.2f} GB."
    )


def targets_of(model: LogisticRegression, validation: su.Rows) -> dict[str, su.Target]:
    """Return what is measured, by name."""
    head = adapt(model).head(1)
    attacked = validation.with_features(Boundary().perturb(head, np.asarray(validation.X)))
    return {
        "utility": su.Target(su.metrics.LogLoss(), validation),
        "robustness": su.Target(su.metrics.LogLoss(), attacked),
        "demographic parity": su.Target(su.metrics.DemographicParity(), validation),
        "equal opportunity": su.Target(su.metrics.EqualOpportunity(), validation),
    }


def leverages(model: LogisticRegression, train: su.Rows) -> np.ndarray:
    """Return every training row's leverage."""
    adapter = adapt(model)
    head = adapter.head(len(train))
    objective = HeadObjective(head, Encoder(adapter, head).encode(train, "train", train=True))
    return objective.leverage(Cholesky().factor(objective).inverse())


def subset(h: np.ndarray, n_random: int | None) -> np.ndarray:
    """Return all rows, or some random ones and those of highest leverage."""
    if n_random is None:
        return np.arange(len(h))
    some = np.random.default_rng(0).choice(len(h), min(n_random, len(h)), replace=False)
    return np.union1d(some, np.argsort(-h)[:HIGHEST])


def agreement(exact: np.ndarray, estimate: np.ndarray) -> tuple[float, float]:
    """Return the Pearson and the Spearman correlation."""
    spearman = np.corrcoef(rankdata(exact), rankdata(estimate))[0, 1]
    return np.corrcoef(exact, estimate)[0, 1], spearman


def progress(what: str, part: float) -> None:
    """Say how far the refits are, on the terminal."""
    print(f"\r{what}: {part:4.0%}", end="\n" if part == 1 else "", file=sys.stderr, flush=True)


def peak_bytes() -> int:
    """Return the most memory that this process held; kilobytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
