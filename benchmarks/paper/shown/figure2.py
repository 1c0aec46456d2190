"""Figure 2 with tables 1 and 2: soft against hard weights, the paper's figures beside ours."""

from collections.abc import Callable
from typing import Any

from benchmarks.paper.comparison import (
    FAILS,
    HOLDS,
    NOISE,
    Comparison,
    Key,
    Record,
    comparisons,
    counted,
)
from benchmarks.paper.figure2 import ALGORITHMS
from benchmarks.paper.kept import OUT
from benchmarks.paper.published import TABLES
from benchmarks.paper.setting import DATA, EXTREMES
from benchmarks.paper.shown.markdown import table

TASKS = {"fairness": 0, "robustness": 2}
"""Where the paper's tables have them."""

CHOICES = {"matched": "clean", "lowest": "clean", "published": "paper"}
"""Soft points, and the protocol that they belong to."""


def cells(records: list[Record], chosen: str) -> dict[Key, Comparison]:
    """Return every comparison with a soft point."""
    return comparisons([r for r in records if r["protocol"] == CHOICES[chosen]], chosen)


def marks(records: list[Record]) -> str:
    """Return how many of the paper's 104 cells hold, for each soft point."""
    lines = []
    for chosen in CHOICES:
        own = {key: cell for key, cell in cells(records, chosen).items() if key[2] in TASKS}
        kinds: dict[str, Callable[[Key], bool]] = {"": lambda key: key[1] != EXTREMES}
        if any(key[1] == EXTREMES for key in own):
            kinds["; Bank with groups that differ"] = _groups_differ
        for title, belongs in kinds.items():
            some = [cell for key, cell in own.items() if belongs(key)]
            figures = {"target": lambda cell: cell.target, "accuracy": lambda cell: "accuracy"}
            for label, figure in figures.items():
                found = counted(some, figure).values()
                lines.append([f"{chosen}{title} ({len(some)} cells)", label, *found])
    return table(["soft point", "figure", HOLDS, NOISE, FAILS], lines)


def _groups_differ(key: Key) -> bool:
    """Return whether a cell counts where Bank's groups are those that differ."""
    return key[1] != "bank" if key[2] == "fairness" else key[1] != EXTREMES


def free_lunch(records: list[Record]) -> str:
    """Return how often target and accuracy are both better than the original model's."""
    lines = []
    for task in TASKS:
        own = [
            cell
            for key, cell in cells(records, "matched").items()
            if key[2] == task and _groups_differ(key)
        ]
        for which in ("hard", "soft"):
            both = sum(cell.free_lunch(which) for cell in own)
            lines.append([task, which, f"{both} of {len(own)}"])
    return table(["task", "weights", "cells"], lines)


def paper_table(records: list[Record], chosen: str, model: str, data: str) -> str:
    """Return one data set's part of table 1 or 2, or "" where there is none."""
    compared, lines = cells(records, chosen), []
    for task, column in TASKS.items():
        for algorithm in ALGORITHMS[model]:
            cell = compared.get((model, data, task, algorithm))
            if cell is not None:
                theirs = TABLES[model][algorithm].get(data, (None,) * 4)
                parts = [
                    part
                    for figure, paper in ((task, theirs[column]), ("accuracy", theirs[column + 1]))
                    for part in _against_the_paper(cell, figure, paper)
                ]
                lines.append([algorithm, task, *parts])
    header = ["soft", "better by, %", "paper", "mark"]
    return table(["algorithm", "task", "target: hard", *header, "accuracy: hard", *header], lines)


def _against_the_paper(cell: Comparison, figure: str, paper: float | None) -> list[str]:
    return [
        f"{cell.values('hard', figure).mean():.4f}",
        f"{cell.values('soft', figure).mean():.4f}",
        f"{cell.percent(figure):+.1f}",
        "" if paper is None else f"{paper:+.1f}",
        cell.advantage(figure).mark(),
    ]


def worse(records: list[Record], chosen: str) -> str:
    """Return every cell in which soft weights are worse, with what they gain in the other."""
    lines = []
    for key, cell in cells(records, chosen).items():
        for figure, other in ((cell.target, "accuracy"), ("accuracy", cell.target)):
            advantage = cell.advantage(figure)
            if key[2] in TASKS and advantage.mark() == FAILS:
                means = (cell.values(w, figure).mean() for w in ("original", "hard", "soft"))
                lines.append(
                    [
                        *key,
                        "accuracy" if figure == "accuracy" else "target",
                        *(f"{mean:.4f}" for mean in means),
                        f"{advantage.low:+.4f} to {advantage.high:+.4f}",
                        f"{cell.advantage(other):+.4f}",
                    ]
                )
    header = ["model", "data", "task", "algorithm", "figure", "original", "hard", "soft"]
    return table([*header, "advantage of soft, 95 %", "in the other figure"], lines)


def equal_opportunity(records: list[Record]) -> str:
    """Return soft against hard weights where equal opportunity is the target."""
    target = "equal opportunity"
    lines = [
        [
            model,
            data,
            algorithm,
            *(f"{cell.values(w, target).mean():.4f}" for w in ("original", "hard", "soft")),
            cell.advantage(target).mark(),
            *(f"{cell.values(w, 'accuracy').mean():.4f}" for w in ("hard", "soft")),
            cell.advantage("accuracy").mark(),
        ]
        for (model, data, task, algorithm), cell in cells(records, "matched").items()
        if task == target
    ]
    header = ["model", "data", "algorithm", "original", "hard", "soft", "mark"]
    return table([*header, "accuracy: hard", "soft", "mark"], lines)


def draw(records: list[Record], chosen: str) -> None:
    """Draw figure 2: utility against target, circles for hard weights and crosses for soft."""
    import matplotlib.pyplot as plt

    compared = cells(records, chosen)
    data = [d for d in (*DATA, EXTREMES) if any(key[1] == d for key in compared)]
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
            _panel(axis, {k[3]: c for k, c in compared.items() if k[:3] == (model, d, task)}, task)
            if axis.axison:
                axis.set_title(f"{d}, {model}: {task}", fontsize=9)
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(OUT / f"figure2-{chosen}.png", dpi=130)
    plt.close(figure)


def _panel(axis: Any, compared: dict[str, Comparison], task: str) -> None:
    for i, (algorithm, cell) in enumerate(compared.items()):
        for which, marker in (("hard", "o"), ("soft", "x")):
            x, y = (cell.values(which, figure).mean() for figure in (task, "accuracy"))
            label = algorithm if which == "soft" else None
            axis.scatter(x, y, marker=marker, color=f"C{i}", s=36, label=label)
    if not compared:
        axis.set_axis_off()
        return
    first = next(iter(compared.values()))
    x, y = (first.values("original", figure).mean() for figure in (task, "accuracy"))
    axis.scatter(x, y, marker="*", color="k", s=60)
    left, top = axis.get_xlim()[0], axis.get_ylim()[1]
    axis.fill_between([left, x], y, top, color="C2", alpha=0.12, zorder=0)
    axis.set_xlim(left=left)
    axis.set_ylim(top=top)
    axis.locator_params(nbins=5)
    axis.tick_params(labelsize=7)
