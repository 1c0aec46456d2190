"""A summary's figures as the page lays them out: a table of all, panels of the main ones."""

from dataclasses import dataclass
from typing import Any

from softunlearn.report.plots import Panel
from softunlearn.report.summary import Summary, look_up
from softunlearn.report.verdict import judge
from softunlearn.report.words import GAP_KINDS, METRICS


@dataclass(frozen=True)
class Line:
    """One figure on all sets of rows.

    Parameters
    ----------
    title : str
    better : str
        "higher" or "lower".
    is_target : bool
        Whether it is what was to be brought down.
    cells : list of dict
        `before`, `after`, `change` and `verdict` for each set of rows.
    """

    title: str
    better: str
    is_target: bool
    cells: list[dict[str, Any]]


def figure_lines(summary: Summary) -> list[Line]:
    """Return the table of all figures, those that no set of rows has left out."""
    paths = {"accuracy": "Accuracy", "log_loss": "Log loss, mean"}
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        for kind, words in GAP_KINDS.items():
            paths[f"gaps.{name}.{kind}"] = f"{METRICS[name].title}, {words}"
    paths["adversarial.loss"] = "Adversarial loss, transfer"
    paths["adversarial.accuracy"] = "Adversarial accuracy, transfer"
    lines = []
    for path, title in paths.items():
        pairs = [look_up(figures, path) for figures in summary["figures"].values()]
        if all(pair["before"] is None for pair in pairs):
            continue
        cells = [{**pair, "verdict": judge(path, pair["change"])} for pair in pairs]
        better = "higher" if path.endswith("accuracy") else "lower"
        lines.append(Line(title, better, path == summary["metric"]["figure"], cells))
    return lines


def figure_panels(summary: Summary) -> list[Panel]:
    """Return the main figures, each on the rows that it was measured on."""
    metric = summary["metric"]
    label_title = "Gap in predicted labels"
    if metric["label_figure"] == "adversarial.accuracy":
        label_title = "Adversarial accuracy"
    wanted = [
        (metric["title"], metric["figure"], metric["figure"] != "adversarial.loss"),
        (label_title, metric["label_figure"], True),
        ("Accuracy", "accuracy", False),
        ("Log loss", "log_loss", False),
    ]
    panels = []
    for title, path, from_zero in wanted:
        pairs = {name: look_up(figures, path) for name, figures in summary["figures"].items()}
        known = {name: pair for name, pair in pairs.items() if None not in pair.values()}
        if known:
            before = [pair["before"] for pair in known.values()]
            after = [pair["after"] for pair in known.values()]
            panels.append(Panel(title, list(known), before, after, 0.05, from_zero))
    return panels
