"""Tables 1 and 2: the improvement of soft over hard weights, and what the intervals say of it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from benchmarks.paper.figure2 import ALGORITHMS
from benchmarks.paper.kept import OUT
from benchmarks.paper.marks import FAILS, HOLDS, NOISE, Mean
from benchmarks.paper.published import TABLES
from benchmarks.paper.setting import DATA, EXTREMES

Record = dict[str, Any]

TASKS = {"fairness": 0, "robustness": 2}
"""Where the paper's tables have them."""

TITLES = {"lr": "logistic regression (table 1)", "nn": "the network's last layer (table 2)"}


class Comparison:
    """Soft against hard weights, of one algorithm in one setting, over seeds.

    Parameters
    ----------
    records : iterable of dict
        Of figure 2.
    chosen : str
        Which soft point.
    key : dict
        Data set, model, target, algorithm.
    """

    def __init__(self, records: Iterable[Record], chosen: str, **key: str) -> None:
        own = [r for r in records if all(r[name] == value for name, value in key.items())]
        self.target = key["target"]
        self._by = {
            (r["seed"], r["chosen"]): r["figures"]
            for r in own
            if r["chosen"] in ("hard", "original", chosen)
        }
        self._chosen, self.seeds = chosen, sorted({seed for seed, _ in self._by})

    def values(self, which: str, figure: str) -> np.ndarray:
        """Return a figure of the hard, soft or original model for each seed."""
        chosen = self._chosen if which == "soft" else which
        return np.array([self._by[seed, chosen][figure] for seed in self.seeds], dtype=float)

    def gain(self, figure: str) -> np.ndarray:
        """Return by how much soft weights are better, in the figure's own unit."""
        sign = 1.0 if figure == "accuracy" else -1.0
        return sign * (self.values("soft", figure) - self.values("hard", figure))

    def advantage(self, figure: str) -> Mean:
        """Return the gain over the seeds."""
        return Mean.of(list(self.gain(figure)))

    def percent(self, figure: str) -> Mean:
        """Return the gain in per cent of the hard weights' figure, as the paper's tables do."""
        return Mean.of(list(100 * self.gain(figure) / np.abs(self.values("hard", figure))))


def comparisons(records: list[Record], chosen: str) -> dict[tuple[str, str, str, str], Comparison]:
    """Return the comparison of every cell: (model, data, task, algorithm)."""
    names = [name for name in (*DATA, EXTREMES) if any(r["data"] == name for r in records)]
    return {
        (model, data, task, algorithm): Comparison(
            records, chosen, model=model, data=data, target=task, algorithm=algorithm
        )
        for model, algorithms in ALGORITHMS.items()
        for data in names
        for task in ("fairness", "equal opportunity", "robustness")
        for algorithm in algorithms
        if any(r["data"] == data and r["target"] == task for r in records)
    }


def counted(cells: Iterable[Comparison], figure: Callable[[Comparison], str]) -> dict[str, int]:
    """Return how many cells have each mark."""
    marks = [cell.advantage(figure(cell)).mark() for cell in cells]
    return {mark: marks.count(mark) for mark in (HOLDS, NOISE, FAILS)}


def table(cells: dict[tuple[str, str, str, str], Comparison], model: str, data: str) -> str:
    """Return one data set's part of table 1 or 2, the paper's figures beside ours."""
    lines = [
        "| algorithm | task | target: hard | soft | better by, % | paper | mark "
        "| accuracy: hard | soft | better by, % | paper | mark |",
        f"|{' --- |' * 12}",
    ]
    for task, column in TASKS.items():
        for algorithm in ALGORITHMS[model]:
            cell = cells.get((model, data, task, algorithm))
            if cell is None:
                continue
            paper = TABLES[model][algorithm].get(data)
            parts = [
                part
                for figure, theirs in ((task, column), ("accuracy", column + 1))
                for part in (
                    f"{cell.values('hard', figure).mean():.4f}",
                    f"{cell.values('soft', figure).mean():.4f}",
                    f"{cell.percent(figure):+.1f}",
                    "" if paper is None else f"{paper[theirs]:+.1f}",
                    cell.advantage(figure).mark(),
                )
            ]
            lines.append(f"| {algorithm} | {task} | {' | '.join(parts)} |")
    return "\n".join(lines)


def draw(records: list[Record], chosen: str, name: str) -> None:
    """Draw figure 2: utility against target, circles for hard weights and crosses for soft."""
    import matplotlib.pyplot as plt

    cells = comparisons(records, chosen)
    data = list(dict.fromkeys(key[1] for key in cells))
    data.sort(key=lambda d: (*DATA, EXTREMES).index(d))
    lines = [(task, model) for task in TASKS for model in ALGORITHMS]
    figure, axes = plt.subplots(
        len(lines),
        len(data),
        figsize=(3.2 * len(data), 2.8 * len(lines)),
        squeeze=False,
        layout="constrained",
    )
    for line, (task, model) in zip(axes, lines, strict=True):
        for axis, d in zip(line, data, strict=True):
            _panel(axis, {k[3]: c for k, c in cells.items() if k[:3] == (model, d, task)}, task)
            axis.set_title(f"{d}, {model}: {task}", fontsize=9)
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(OUT / f"{name}.png", dpi=130)
    plt.close(figure)


def _panel(axis: Any, cells: dict[str, Comparison], task: str) -> None:
    for i, (algorithm, cell) in enumerate(cells.items()):
        for which, marker in (("hard", "o"), ("soft", "x")):
            x, y = (cell.values(which, figure).mean() for figure in (task, "accuracy"))
            label = algorithm if which == "soft" else None
            axis.scatter(x, y, marker=marker, color=f"C{i}", s=36, label=label)
    if not cells:
        axis.set_axis_off()
        return
    first = next(iter(cells.values()))
    x, y = (first.values("original", figure).mean() for figure in (task, "accuracy"))
    axis.scatter(x, y, marker="*", color="k", s=60)
    left, top = axis.get_xlim()[0], axis.get_ylim()[1]
    axis.fill_between([left, x], y, top, color="C2", alpha=0.12, zorder=0)
    axis.set_xlim(left=left)
    axis.set_ylim(top=top)
    axis.tick_params(labelsize=7)
