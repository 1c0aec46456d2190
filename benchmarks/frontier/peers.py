"""What the peers reach: test accuracy against the demographic-parity gap, and the seconds.

Every method of `methods.py` is trained on the training rows of a data set and measured on its test
rows. What was computed is kept, one JSON and one NPZ file for each data set, split and method, so
that a run that was cut short goes on where it stopped.

    SOFTUNLEARN_DATA=... python benchmarks/frontier/peers.py [--data adult ...] [--seeds 5]
        [--methods "nothing" ...] [--out build/frontier]

Seconds are of training alone, in this process. On a machine that does other work, set
OPENBLAS_NUM_THREADS=1 and read the processor's seconds.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, Answer, Method, Task

import softunlearn as su

DATA = ("adult", "bank_age_extremes", "celeba", "toxicity")
OUT = Path("build/frontier")
PAPER = "paper"
"""The seed that stands for the published split."""

COLUMNS = (
    "method",
    "setting",
    "accuracy",
    "DP, labels",
    "DP, probabilities",
    "seconds",
    "processor",
    "needs the group",
)


@dataclass(frozen=True, eq=False)
class Point:
    """One trained classifier, measured on test rows.

    Parameters
    ----------
    method, setting : str
    accuracy : float
        Of a randomised classifier: expected.
    gap_labels, gap_probabilities : float
        Demographic parity, max - min over groups; for a randomised classifier the two are one.
    seconds, cpu_seconds : float
        Of the training of everything that this setting trains.
    needs_group_at_prediction : bool
    labels : ndarray of shape (n_test,)
        0 or 1; for a randomised classifier the probability of the label 1.
    probabilities : ndarray of shape (n_test,)
    chosen : bool, default=True
        False for models of a grid that the method's own rule did not choose.
    """

    method: str
    setting: str
    accuracy: float
    gap_labels: float
    gap_probabilities: float
    seconds: float
    cpu_seconds: float
    needs_group_at_prediction: bool
    labels: np.ndarray
    probabilities: np.ndarray
    chosen: bool = True

    @property
    def randomised(self) -> bool:
        """Whether two predictions for the same row may differ."""
        return bool(np.any((self.labels != 0) & (self.labels != 1)))


def seeds_of(name: str, seeds: int) -> list[int | str]:
    """Return the splits of a data set: so many seeds, and Adult's published split.

    CelebA's split is the official one whatever the seed, and no peer is random in training.
    """
    if name == "celeba":
        return [0]
    return [*range(seeds), *([PAPER] if name == "adult" else [])]


def load(name: str, seed: int | str) -> su.datasets.Splits:
    """Return the split of a seed; of `PAPER`, the published one."""
    if seed == PAPER:
        return su.datasets.load(name, protocol="paper")
    return su.datasets.load(name, seed=int(seed))


def points(
    name: str,
    data: su.datasets.Splits,
    seed: int | str,
    *,
    out: Path = OUT,
    methods: Iterable[str] = tuple(METHODS),
) -> list[Point]:
    """Return every point of every method, computed or read from an earlier run.

    Parameters
    ----------
    name : str
        One of `DATA`.
    data : Splits
        What `load(name, seed)` returns.
    seed : int or str
        Of the split, to tell the files apart.
    out : Path, default=build/frontier
        Where results are kept. Those of other rows, settings or versions are not used.
    methods : iterable of str
        Some of `METHODS`.
    """
    task, rows, found = Task.of(name, data.train), _digest(data), []
    for method in methods:
        path = out / name / str(seed) / method.replace(" ", "-")
        stamp = {
            "method": method,
            "settings": list(METHODS[method].settings),
            "rows": rows,
            "versions": {p: version(p) for p in ("fairlearn", "scikit-learn", "numpy", "scipy")},
        }
        kept = _read(path, stamp)
        if kept is None:
            print(f"{name}, {seed}: {method}", file=sys.stderr, flush=True)
            kept = list(_measured(method, METHODS[method], task, data.test))
            _write(path, stamp, kept)
        found += kept
    return found


def _measured(name: str, method: Method, task: Task, test: su.Rows) -> Iterator[Point]:
    if method.needs_column and not task.sensitive:
        return
    for setting, value in method.settings.items():
        wall, processor = time.perf_counter(), time.process_time()
        fitted = method.fit(task, value)
        spent = time.perf_counter() - wall, time.process_time() - processor
        for k, predict in enumerate((fitted.predict, *fitted.others)):
            answer = predict(test.X, test.g)
            yield Point(
                name,
                setting if k == 0 else f"{setting}, another ({k})",
                *_figures(answer, test),
                *spent,
                method.needs_group,
                # in single precision, as they are kept
                *(np.asarray(values, dtype=np.float32) for values in answer),
                chosen=k == 0,
            )


def _figures(answer: Answer, test: su.Rows) -> tuple[float, float, float]:
    right = np.where(test.y == 1, answer.labels, 1 - answer.labels)
    return float(right.mean()), _gap(answer.labels, test.g), _gap(answer.probabilities, test.g)


def _gap(q: np.ndarray, g: np.ndarray) -> float:
    means = [q[g == group].mean() for group in np.unique(g)]
    return float(max(means) - min(means))


def _digest(data: su.datasets.Splits) -> str:
    """Return what tells these training and test rows from others."""
    parts = [np.asarray(a) for r in (data.train, data.test) for a in (r.X, r.y, r.g)]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in parts)).hexdigest()


def _read(path: Path, stamp: dict[str, Any]) -> list[Point] | None:
    """Return the points of an earlier run; None if there are none, or of something else."""
    try:
        kept = json.loads(path.with_suffix(".json").read_text())
    except FileNotFoundError:
        return None
    if kept["stamp"] != stamp:
        return None
    with np.load(path.with_suffix(".npz")) as arrays:
        answers = zip(arrays["labels"], arrays["probabilities"], strict=True)
        return [
            Point(**scalars, labels=labels, probabilities=probabilities)
            for scalars, (labels, probabilities) in zip(kept["points"], answers, strict=True)
        ]


def _write(path: Path, stamp: dict[str, Any], found: list[Point]) -> None:
    """Keep points: first the arrays, then the JSON that says that they are there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    labels = np.array([point.labels for point in found])
    probabilities = np.array([point.probabilities for point in found])
    with _replacing(path.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, labels=labels, probabilities=probabilities)
    scalars = [
        {k: v for k, v in asdict(p).items() if not isinstance(v, np.ndarray)} for p in found
    ]
    with _replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({"stamp": stamp, "points": scalars}, indent=1))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of the right one when all is written."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _print_table(title: str, runs: list[list[Point]]) -> None:
    """Print the points that the methods chose, each the mean (and deviation) of its runs."""
    print(f"\n### {title}\n\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for same in zip(*runs, strict=True):
        point = same[0]
        if not point.chosen:
            continue
        figures = [
            _mean([getattr(p, figure) for p in same], digits)
            for figure, digits in (
                ("accuracy", 4),
                ("gap_labels", 4),
                ("gap_probabilities", 4),
                ("seconds", 2),
                ("cpu_seconds", 2),
            )
        ]
        needs = ("yes" if point.needs_group_at_prediction else "no") + (
            " (randomised)" if any(p.randomised for p in same) else ""
        )
        print(f"| {point.method} | {point.setting} | {' | '.join(figures)} | {needs} |")
    others = sum(not point.chosen for point in runs[0])
    print(f"\n{others} models of grids that their own rule did not choose are kept, not shown.")
    missing = [name for name in METHODS if all(point.method != name for point in runs[0])]
    if missing:
        print(f"Not run, or without meaning here: {', '.join(missing)}.", flush=True)


def _mean(values: list[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    if len(values) == 1 or digits < 3:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def main() -> None:
    """Print a table for each data set, and for Adult's published split."""
    parser = argparse.ArgumentParser(description="Measure the peers.")
    parser.add_argument("--data", nargs="+", default=DATA, choices=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    for name in options.data:
        runs = {
            seed: points(name, load(name, seed), seed, out=options.out, methods=options.methods)
            for seed in seeds_of(name, options.seeds)
        }
        published = runs.pop(PAPER, None)
        if runs:
            of = "official split" if name == "celeba" else f"mean of {len(runs)} seeds"
            _print_table(f"{name}, clean protocol, {of}", list(runs.values()))
        if published is not None:
            _print_table(f"{name}, published split", [published])


if __name__ == "__main__":
    main()
