"""The weights as tables and as a figure."""

from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT
from benchmarks.paper.shown.markdown import table


def compared(found: dict[str, Any]) -> str:
    """Return hard against soft weights, and the case of Eq. 7 that applies."""
    lines = []
    for name, targets in found.items():
        for target, r in targets.items():
            cases = [step["case"] for step in r["lambda"]]
            lines.append(
                [
                    name,
                    target,
                    f"{r['cosine of a and u']:+.3f}",
                    f"{cases[0]}, {cases[-1]}",
                    f"{r['removed'] / r['rows']:.1%}",
                    f"{r['largest']:.2f}",
                    r["below -1"],
                ]
            )
    header = ["data, model", "target", "cosine of a and u", "case without, with lambda"]
    return table([*header, "hard: removed", "soft: largest change", "soft: below -1"], lines)


def by_lambda(found: dict[str, Any]) -> str:
    """Return what lambda does to Adult's logistic regression."""
    lines = [
        [
            target,
            f"{step['part']:g}",
            step["case"],
            f"{step['length']:.2f}",
            f"{step['predicted']:.4f}",
            f"{step['metric']:.4f}",
            f"{step['accuracy']:.4f}",
        ]
        for target, r in found["adult-lr"].items()
        for step in r["lambda"]
    ]
    header = ["target", "lambda", "case", "length of eps", "predicted", "metric", "accuracy"]
    return table(header, lines)


def draw(results: dict[str, Any]) -> None:
    """Draw hard and soft weights of Adult's regression, by influence."""
    import matplotlib.pyplot as plt

    found = results["adult-lr"]
    figure, axes = plt.subplots(1, len(found), figsize=(4 * len(found), 3.2), layout="constrained")
    for axis, (target, of_target) in zip(axes, found.items(), strict=True):
        points = of_target["points"]
        rank = np.linspace(0, 100, len(points["influence"]))
        axis.scatter(rank, points["soft"], s=3, label="soft")
        axis.plot(rank, points["hard"], color="C3", linewidth=1, label="hard")
        axis.set_ylim(-1.5, 1.5)
        axis.set_title(target)
        axis.set_xlabel("training rows, most harmful first, %")
    axes[0].set_ylabel("weight change")
    axes[0].legend()
    figure.savefig(OUT / "weights.png", dpi=130)
    plt.close(figure)
