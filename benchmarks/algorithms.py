"""Every unlearning algorithm, hard and soft, under one budget, on real data.

Logistic regression and the last layer of a small network, corrected for demographic parity and for
the loss under attack, in the clean protocol: everything is chosen on validation rows, every figure
is of test rows.

    SOFTUNLEARN_DATA=... python benchmarks/algorithms.py [--data adult ...] [--seeds 1]
        [--models lr nn] [--out FILE.json]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.unlearning import ALGORITHMS

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

DATA = ("adult", "bank_age_extremes", "celeba", "toxicity")
"""Bank with the age groups that differ: with those of the paper there is no gap to correct."""

PARTS = {"celeba": 0.2}
"""Part of the training rows that the network's extractor is trained on; 1 % elsewhere."""

TARGETS = {"fairness": "demographic_parity", "robustness": "adversarial_loss"}
NAMES = [name for name in ALGORITHMS if name not in ("ft", "ga")]


def main() -> None:
    """Print one table for each data set, model and target."""
    parser = argparse.ArgumentParser(description="Compare all algorithms, hard and soft.")
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--models", nargs="+", default=["lr", "nn"], choices=["lr", "nn"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start, results = time.perf_counter(), []
    for name in options.data:
        for kind in options.models:
            for target in TARGETS:
                runs = list(_runs(name, kind, target, options.seeds))
                results += runs
                _print_table(name, kind, target, runs)
    print(f"\n{len(results)} corrections in {(time.perf_counter() - start) / 60:.1f} minutes.")
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1))


def _runs(name: str, kind: str, target: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of every algorithm and scheme, for every seed."""
    for seed in range(seeds):
        data = su.datasets.load(name, seed=seed)
        model, train = MODELS[kind](name, data, seed)
        for algorithm in NAMES:
            for scheme in ("hard", "soft"):
                began = time.perf_counter()
                c = su.correct(
                    model,
                    train=train,
                    validation=data.validation,
                    test=data.test,
                    metric=TARGETS[target],
                    algorithm=algorithm,
                    scheme=scheme,
                    path="straight",  # one way to walk for all
                    insist=True,
                    random_state=seed,
                )
                seconds = time.perf_counter() - began
                yield {
                    "data": name,
                    "model": kind,
                    "target": target,
                    "algorithm": algorithm,
                    "scheme": scheme,
                    "seed": seed,
                    "status": str(c.status),
                    "diverged": sum(point.reached.diverged for point in c.frontier),
                    "seconds": seconds,
                    **_figures(c, target, "before"),
                    **_figures(c, target, "after"),
                }


def _figures(c: su.Correction, target: str, when: str) -> dict[str, float]:
    test = getattr(c, when).test
    gap = test.gaps["demographic_parity"].probabilities
    metric = gap if target == "fairness" else test.adversarial_loss
    return {f"accuracy_{when}": test.accuracy, f"metric_{when}": metric}


def _print_table(name: str, kind: str, target: str, runs: list[dict[str, Any]]) -> None:
    def mean(key: str, **which: str) -> float:
        chosen = [r[key] for r in runs if all(r[k] == v for k, v in which.items())]
        return statistics.fmean(chosen)

    print(f"\n### {name}, {kind}, {target}: before, accuracy ", end="")
    print(f"{mean('accuracy_before'):.4f}, metric {mean('metric_before'):.4f}\n")
    print("| algorithm | accuracy, hard | soft | metric, hard | soft | seconds, hard | soft |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for algorithm in NAMES:
        cells = [
            f"{mean(key, algorithm=algorithm, scheme=scheme):.{digits}f}"
            for key, digits in (("accuracy_after", 4), ("metric_after", 4), ("seconds", 2))
            for scheme in ("hard", "soft")
        ]
        print(f"| {algorithm} | {' | '.join(cells)} |", flush=True)
    if diverged := sum(r["diverged"] for r in runs):
        print(f"\n{diverged} of the points tried ran away.")


def _logistic(name: str, data: su.datasets.Splits, seed: int) -> tuple[Any, su.Rows]:
    """Return a model, and the rows that its last layer was trained on."""
    model = LogisticRegression(solver="newton-cholesky", tol=1e-8)
    return model.fit(data.train.X, data.train.y), data.train


def _network(name: str, data: su.datasets.Splits, seed: int) -> tuple[Any, su.Rows]:
    from paper_network import L2, split, train_network  # needs torch

    part = PARTS.get(name, 0.01)
    network = train_network(data.train, part=part, seed=seed)
    _, others = split(data.train, part=part, seed=seed)
    return su.models.TorchModule(network, l2=L2, batch_size=4096), others


MODELS = {"lr": _logistic, "nn": _network}

if __name__ == "__main__":
    np.seterr(over="ignore")
    main()
