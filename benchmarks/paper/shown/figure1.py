"""Figure 1 as a table and as figures."""

from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT
from benchmarks.paper.shown.markdown import table

HEADER = (
    "data",
    "target",
    "removals that help it",
    "of these harm utility",
    "left by removing 20 %",
    "change of the summed loss by the 20 %, one by one",
    "of all change, the half nearest to zero",
)


def counts(found: dict[str, Any]) -> str:
    """Return how many removals help, at what cost."""
    lines = []
    for data, result in found.items():
        for target, c in result["counts"].items():
            helps = c["help the target"]
            lines.append(
                [
                    data,
                    target,
                    f"{helps:,} of {result['rows']:,}",
                    f"{c['and harm utility'] / helps:.1%}",
                    f"{c['left by removing 20 %'] / helps:.1%}",
                    f"{c['utility change of the 20 %, summed']:+.1f}",
                    f"{c['closest half carries']:.1%}",
                ]
            )
    return table(HEADER, lines)


def costs(found: dict[str, Any]) -> str:
    """Return what exact leave-one-out took."""
    lines = [
        [
            data,
            f"{result['rows']:,}",
            "several runs" if result["seconds"] is None else f"{result['seconds']:.0f}",
            f"{result['peak_bytes'] / 1e9:.2f}",
        ]
        for data, result in found.items()
    ]
    return table(["data", "models trained, each measured four times", "seconds", "peak GB"], lines)


def draw(results: dict[str, Any]) -> None:
    """Draw the points of every data set and target."""
    import matplotlib.pyplot as plt

    for name, found in results.items():
        targets = found["points"]
        figure, axes = plt.subplots(
            2, len(targets), figsize=(4 * len(targets), 5), sharex="col", layout="constrained"
        )
        for column, (target, points) in enumerate(targets.items()):
            change, utility = np.array(points["target"]), np.array(points["utility"])
            costly = (change < 0) & (utility > 0)
            rank = np.linspace(0, 100, len(change))
            for axis, values in zip(axes[:, column], (change, utility), strict=True):
                axis.axhline(0, color="0.7", linewidth=0.8)
                axis.scatter(rank[~costly], values[~costly], s=3, color="C0")
                axis.scatter(rank[costly], values[costly], s=3, color="C3")
                axis.set_yscale("symlog", linthresh=float(np.quantile(np.abs(values), 0.5)))
            axes[0, column].set_title(f"{target}, test rows")
            axes[1, column].set_xlabel("training rows by their change of the target, %")
        axes[0, 0].set_ylabel("change of the target")
        axes[1, 0].set_ylabel("change of the loss")
        figure.suptitle(f"Leaving each row of {name} out; red: target better, utility worse")
        figure.savefig(OUT / f"figure1-{name}.png", dpi=130)
        plt.close(figure)
