"""Our frontier against the peers, on test rows: accuracy at the peer's own gap, and the seconds.

For every peer's point the frontier is read off at the gap that the peer has on test rows, in
labels and in mean probabilities (a randomised peer has labels alone), between the two points
around it: a mixture of two models has what lies between them. The difference in accuracy is
paired by row; over several seeds its interval is Student's. Everything of ours was chosen on
validation rows; the whole frontier is shown, and no point of it is picked on test rows.

    SOFTUNLEARN_DATA=... python benchmarks/frontier/frontier.py [--data adult ...] [--seeds 5]
        [--peers build/frontier] [--out build/frontier]

Beside the default path it draws the naive step (the whole budget at once, first order), which is
what the path is worth. Seconds are the processor's, one thread, in this run, for
ExponentiatedGradient too: of one fit of its own, and of one call of ours, a whole frontier.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from methods import METHODS, Task
from peers import DATA, OUT, Point, load, points, seeds_of
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

import softunlearn as su

NAIVE, QUICK = su.paths.Straight((1.0,)), su.paths.Relinearised(refresh=None)
GAPS = ("gap_labels", "gap_probabilities")
REPEATS = 5


@dataclass(frozen=True, eq=False)
class Ours:
    """A frontier on test rows, one row a point, the original model first.

    Parameters
    ----------
    accuracy, gap_labels, gap_probabilities, log_loss : ndarray of shape (m,)
    right : ndarray of shape (m, n_test)
        1.0 where the label is right.
    seconds : float
        Of the call, processor.
    """

    accuracy: np.ndarray
    gap_labels: np.ndarray
    gap_probabilities: np.ndarray
    log_loss: np.ndarray
    right: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """One peer's point on one seed: ours at its gap less its accuracy, and the standard error."""

    peer: Point
    gap: str
    difference: float
    error: float
    in_reach: bool


def main() -> None:
    """Print the tables, and draw a figure for each data set."""
    parser = argparse.ArgumentParser(description="Compare the frontier with the peers' points.")
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=OUT)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name in options.data:
        splits = seeds_of(name, options.seeds)
        published = [s for s in splits if isinstance(s, str)]
        for seeds in ([s for s in splits if s not in published], published):
            if seeds:
                label = f"{name}, published split" if seeds == published else name
                results[label] = _compare(label, name, seeds, options.peers, options.out)
    (options.out / "frontier.json").write_text(json.dumps(results, indent=1))


def ours(model: Any, data: su.datasets.Splits, path: Any = None) -> Ours:
    """Return a correction's frontier, measured on test rows."""
    runs = [_timed(model, data, path) for _ in range(REPEATS)]
    c, seconds = runs[-1][0], [seconds for _, seconds in runs]
    evaluator, test = c.session.evaluator, c.session.rows["test"]
    seen = [evaluator.observe(point.head, test, attacked=False) for point in c.frontier]
    figures = [evaluator.figures(one) for one in seen]
    gaps = [f.gaps["demographic_parity"] for f in figures]
    return Ours(
        accuracy=np.array([f.accuracy for f in figures]),
        gap_labels=np.array([gap.labels for gap in gaps]),
        gap_probabilities=np.array([gap.probabilities for gap in gaps]),
        log_loss=np.array([f.log_loss for f in figures]),
        right=np.array([one.right for one in seen]),
        seconds=statistics.median(seconds),
    )


def _timed(model: Any, data: su.datasets.Splits, path: Any) -> tuple[su.Correction, float]:
    began = time.process_time()
    c = su.correct(
        model,
        train=data.train,
        validation=data.validation,
        test=data.test,
        path=path,
        insist=True,
    )
    return c, time.process_time() - began


def compare(frontier: Ours, peer: Point, gap: str, y: np.ndarray) -> Comparison:
    """Return ours at the peer's gap less the peer's accuracy, paired by row."""
    gaps, wanted = getattr(frontier, gap), getattr(peer, gap)
    order = np.argsort(gaps)
    at = np.interp(wanted, gaps[order], np.arange(len(gaps)))
    low, part = int(at), at - int(at)
    high = min(low + 1, len(gaps) - 1)
    mixed = (1 - part) * frontier.right[order[low]] + part * frontier.right[order[high]]
    theirs = np.where(y == 1, peer.labels, 1 - peer.labels)
    d = mixed - theirs
    return Comparison(
        peer, gap, float(d.mean()), float(d.std() / np.sqrt(len(d))), wanted >= gaps.min()
    )


def _compare(
    label: str, name: str, seeds: Sequence[Any], peers: Path, out: Path
) -> dict[str, Any]:
    curves, quick, naive, found, found_quick, everything = [], [], [], [], [], []
    for seed in seeds:
        data = load(name, seed)
        task = Task.of(name, data.train)
        with threadpool_limits(1):
            model = task.model(tol=1e-8).fit(data.train.X, data.train.y)
            curves.append(ours(model, data))
            quick.append(ours(model, data, QUICK))
            naive.append(ours(model, data, NAIVE))
        y = np.asarray(data.test.y)
        points_ = points(name, data, seed, out=peers)
        everything.append(points_)
        found.append(_compared(curves[-1], points_, y))
        found_quick.append(_compared(quick[-1], points_, y))
    print(f"\n### {label}, {len(seeds)} split{'s' * (len(seeds) > 1)}\n")
    print("| peer | setting | its gap | ours less its accuracy | 95 % | |")
    print("| --- | --- | --- | --- | --- | --- |")
    for same in zip(*found, strict=True):
        _print_row(same)
    lost, lost_quick = (
        sum(_interval(same)[-1] < 0 for same in zip(*each, strict=True))
        for each in (found, found_quick)
    )
    print(f"\nBelow a peer by more than the interval: {lost} of {len(found[0])} comparisons.")
    _print_ends(curves, naive)
    task = Task.of(name, load(name, seeds[-1]).train)
    with threadpool_limits(1):
        began = time.process_time()
        METHODS["ExponentiatedGradient"].fit(task, 0.01)
        theirs = time.process_time() - began
    mine, quickest = (
        statistics.median(curve.seconds for curve in each) for each in (curves, quick)
    )
    print(
        f"\nSeconds (processor, one thread): ours {mine:.2f}, ExponentiatedGradient "
        f"{theirs:.2f}: {theirs / mine:.0f} times. With one curvature for the whole path "
        f"{quickest:.2f}, {theirs / quickest:.0f} times, and below a peer in {lost_quick}."
    )
    _draw(label, curves, naive, everything, out)
    return {
        "seconds": mine,
        "exponentiated_gradient": theirs,
        "lost": lost,
        "accuracy": [curve.accuracy.tolist() for curve in curves],
        "gap_probabilities": [curve.gap_probabilities.tolist() for curve in curves],
        "gap_labels": [curve.gap_labels.tolist() for curve in curves],
    }


def _compared(curve: Ours, peers: Sequence[Point], y: np.ndarray) -> list[Comparison]:
    """Return the comparisons with every peer that needs no group at prediction."""
    return [
        compare(curve, peer, gap, y)
        for peer in peers
        if not peer.needs_group_at_prediction and peer.chosen
        for gap in (GAPS[:1] if peer.randomised else GAPS)
    ]


def _interval(same: Sequence[Comparison]) -> tuple[float, float, float]:
    """Return low, mean and high of the difference, over seeds or, of one, over rows."""
    d = np.array([one.difference for one in same])
    if len(d) > 1:
        half = student.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    else:
        half = 1.96 * same[0].error
    return float(d.mean() - half), float(d.mean()), float(d.mean() + half)


def _print_row(same: Sequence[Comparison]) -> None:
    """Print one peer's point over all seeds."""
    low, mean, high = _interval(same)
    first, gap = same[0].peer, float(np.mean([getattr(x.peer, x.gap) for x in same]))
    kind = same[0].gap.removeprefix("gap_")
    note = "below" if high < 0 else ("above" if low > 0 else "")
    if not all(one.in_reach for one in same):
        note += " (beyond our last point)"
    print(
        f"| {first.method} | {first.setting} | {gap:.4f}, {kind} | {mean:+.4f} "
        f"| {low:+.4f} to {high:+.4f} | {note.strip()} |"
    )


def _print_ends(curves: Sequence[Ours], naive: Sequence[Ours]) -> None:
    """Print the lowest accuracy along the whole frontier, and where the naive step ends."""
    lowest = min(float(curve.accuracy.min()) for curve in curves)
    ends = [(c.accuracy[-1], c.gap_probabilities[-1], c.log_loss[-1]) for c in curves]
    steps = [(c.accuracy[-1], c.gap_probabilities[-1], c.log_loss[-1]) for c in naive]
    print(f"\nLowest test accuracy along our frontiers: {lowest:.4f}.")
    for title, values in (("last point", ends), ("naive step", steps)):
        accuracy, gap, loss = np.mean(values, axis=0)
        print(f"{title}: accuracy {accuracy:.4f}, gap {gap:.4f}, log loss {loss:.4f}.")


def _draw(
    label: str,
    curves: Sequence[Ours],
    naive: Sequence[Ours],
    peers: Sequence[Sequence[Point]],
    out: Path,
) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    methods = list(dict.fromkeys(p.method for p in peers[0]))
    for gap, axis in zip(GAPS, axes, strict=True):
        for i, curve in enumerate(curves):
            x = getattr(curve, gap)
            axis.plot(x, curve.accuracy, "k-", lw=1, label="ours" if i == 0 else None)
        steps = [(getattr(c, gap)[-1], c.accuracy[-1]) for c in naive]
        axis.plot(*zip(*steps, strict=True), "rx", label="naive step")
        for j, method in enumerate(methods):
            chosen = [p for split in peers for p in split if p.method == method and p.chosen]
            x = [getattr(p, gap) for p in chosen]
            marker = "s" if chosen[0].needs_group_at_prediction else "o"
            style = {"color": f"C{j % 10}", "marker": marker, "ms": 4, "ls": "none", "alpha": 0.7}
            axis.plot(x, [p.accuracy for p in chosen], label=method, **style)
        axis.set_xlabel(f"test gap, {gap.removeprefix('gap_')}")
    axes[0].set_ylabel("test accuracy")
    axes[1].legend(fontsize=7, title="squares need the group", title_fontsize=7)
    figure.suptitle(label)
    figure.savefig(out / f"frontier-{label.replace(', ', '-').replace(' ', '-')}.png", dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main()
