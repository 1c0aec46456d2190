"""The deep models' experiments: `python -m benchmarks.paper.deep --size tiny`.

    SOFTUNLEARN_DATA=... python -m benchmarks.paper.deep --size small [--only images] [--seeds 0 1]

`tiny` takes seconds and says that all parts fit, `small` minutes on a processor, `full` wants a
GPU. Results are kept in `build/paper/deep`, with what they were computed on.
"""

import argparse
from typing import Any

from benchmarks.paper import deep_images, deep_language, deep_text
from benchmarks.paper.comparison import Mean
from benchmarks.paper.kept import Job

Figures = dict[str, dict[str, float]]
"""Of each kind of weights, and before, every figure by its name."""

GENERAL = 0.02
"""Accuracy by which test rows may do worse than validation rows without a word of it."""

PARTS = {"language": deep_language, "text": deep_text, "images": deep_images}


def main(arguments: list[str] | None = None) -> None:
    """Run what is not there yet and print every result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper.deep", description="Run the deep models' experiments."
    )
    parser.add_argument("--size", choices=deep_images.SIZES, default="tiny")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of all but the texts")
    options = parser.parse_args(arguments)
    for name in options.only:
        found: dict[str, list[Figures]] = {}
        for seed in options.seeds if name != "text" else options.seeds[:1]:
            for job in PARTS[name].jobs(options.size, seed):
                result = job.run()
                print(shown(job, result), flush=True)
                found.setdefault(job.name.partition("/seed ")[0], []).append(result["figures"])
        for experiment, each in found.items():
            if len(each) > 1:
                print(over_seeds(experiment, each), flush=True)


def shown(job: Job, result: dict[str, Any]) -> str:
    """Return a result as a table, with what it says of soft against hard weights."""
    figures: Figures = result["figures"]
    names = list(next(iter(figures.values())))
    widths = [max(9, len(name)) for name in names]
    lines = [
        f"{job.name} ({job.seconds():.0f} s on {result['where']['device']}, "
        f"{result['where']['threads']} threads of {result['where']['cores']} cores)",
        "  " + " ".join([f"{'':12}", *(f"{n:>{w}}" for n, w in zip(names, widths, strict=True))]),
    ]
    for kind, own in figures.items():
        status = result["status"].get(kind, "")
        cells = [f"{own[name]:{width}.4f}" for name, width in zip(names, widths, strict=True)]
        lines.append("  " + " ".join([f"{kind:12}", *cells, status]))
    if "correlation" in result:
        each = ", ".join(f"{r:.3f} at {k}" for k, r in result["correlation"].items())
        lines.append(f"  Correlation of projected influence with the exact one: {each}.")
    if "training" in result["seconds"]:
        lines.append(f"  {spent(result['seconds'])}")
    lines.append(f"  {verdict(figures)}")
    if "validation" in figures["soft"] and (said := not_general(figures)):
        lines.append(f"  {said}")
    return "\n".join([*lines, ""])


def spent(seconds: dict[str, Any]) -> str:
    """Return what training, extraction and the steps of the soft correction took."""
    before = {name: taken for name, taken in seconds.items() if isinstance(taken, float)}
    each = [f"{name} {taken:.1f}" for name, taken in (before | seconds["soft"]).items()]
    return f"Seconds: {', '.join(each)}."


def over_seeds(experiment: str, each: list[Figures]) -> str:
    """Return a table in Markdown of means over seeds, and what soft weights gain on hard ones.

    ± is the standard deviation over seeds; the interval is Student's, of the paired difference.
    """
    names = list(each[0]["soft"])
    lines = [
        f"{experiment}, {len(each)} seeds",
        "",
        f"| weights | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for kind in each[0]:
        means = [Mean.of([figures[kind][name] for figures in each]) for name in names]
        lines.append(f"| {kind} | {' | '.join(f'{mean:.4f}' for mean in means)} |")
    lines.append("")
    for name in names:
        gain = Mean.of([figures["soft"][name] - figures["hard"][name] for figures in each])
        lines.append(
            f"Soft less hard, {name}: {gain.mean:+.4f} (95 %: {gain.low:+.4f} to {gain.high:+.4f})"
        )
    return "\n".join([*lines, ""])


def verdict(figures: Figures) -> str:
    """Return whether soft weights do better on the target at equal or better utility, or why not.

    Utility is accuracy, or the loss where there is none.
    """
    hard, soft, before = figures["hard"], figures["soft"], figures["before"]
    better = soft["target"] < hard["target"]
    gain = (
        soft["accuracy"] - hard["accuracy"] if "accuracy" in soft else hard["loss"] - soft["loss"]
    )
    what = "accuracy" if "accuracy" in soft else "loss"
    if better and gain >= 0:
        return f"Soft weights do better on the target, and no worse in {what} ({gain:+.4f})."
    if better:
        return (
            f"Soft weights do better on the target and pay for it in {what} ({gain:+.4f}): they "
            "went further along the same frontier, within what the choice allows."
        )
    if gain > 0:
        return (
            f"Soft weights stopped at a higher target ({soft['target'] - hard['target']:+.4f}) "
            f"and kept more of the {what} ({gain:+.4f})."
        )
    moved = before["target"] - soft["target"]
    return (
        "Soft weights do no better here: the target moved by "
        f"{-moved:+.4f} under them and {hard['target'] - before['target']:+.4f} under hard ones."
    )


def not_general(figures: Figures) -> str:
    """Return what to know where soft weights cost test rows more than validation rows."""
    chosen, test = (
        figures["soft"][name] - figures["before"][name] for name in ("validation", "accuracy")
    )
    if test >= chosen - GENERAL:
        return ""
    return (
        f"On validation rows soft weights changed accuracy by {chosen:+.4f}, on test rows by "
        f"{test:+.4f}: the head has many parameters for so few validation rows, and follows them."
    )


if __name__ == "__main__":
    main()
