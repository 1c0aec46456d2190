"""Figure 3 as a table and as a figure."""

from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT
from benchmarks.paper.shown.markdown import table


def correlations(found: dict[str, Any]) -> str:
    """Return Pearson and Spearman, plain and with leverage."""
    lines = [
        [
            model,
            target,
            *(
                f"{numbers[kind][which]:.4f}"
                for which in ("Pearson", "Spearman")
                for kind in ("plain", "with leverage")
            ),
        ]
        for model, result in found.items()
        for target, numbers in result["targets"].items()
    ]
    header = ["model, protocol", "metric", "Pearson", "with leverage", "Spearman"]
    return table([*header, "with leverage"], lines)


def draw(results: dict[str, Any]) -> None:
    """Draw estimate against exact change, one row of panels for each model."""
    import matplotlib.pyplot as plt

    names = list(next(iter(results.values()))["targets"])
    figure, axes = plt.subplots(
        len(results),
        len(names),
        figsize=(3.4 * len(names), 3.2 * len(results)),
        squeeze=False,
        layout="constrained",
    )
    for line, (model, found) in zip(axes, results.items(), strict=True):
        for axis, name in zip(line, names, strict=True):
            points = found["targets"][name]["points"]
            exact = np.array(points["exact"])
            for kind, colour in (("plain", "C1"), ("with leverage", "C0")):
                axis.scatter(exact, points[kind], s=4, color=colour, label=kind)
            low, high = np.quantile(exact, [0.001, 0.999])
            room = 0.1 * (high - low)
            axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, zorder=0)
            axis.set_xlim(low - room, high + room)
            axis.set_ylim(low - room, high + room)
            axis.ticklabel_format(scilimits=(-2, 2))
            axis.set_title(f"{model}: {name}", fontsize=9)
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("exact change (the middle 99.8 % of the rows)")
    figure.supylabel("estimate")
    figure.savefig(OUT / "figure3.png", dpi=130)
    plt.close(figure)
