"""A summary's figures as the page lays them out: a table of all, panels of the main ones."""

from dataclasses import dataclass
from typing import Any

from softunlearn.report.pairs import PROTOCOLS, look_up
from softunlearn.report.plots import Panel
from softunlearn.report.summary import Summary
from softunlearn.report.verdict import judge
from softunlearn.report.words import FLIPS, GAP_KINDS, METRICS

ROW_KINDS = {
    "harms": "rows that harm the metric",
    "helps": "rows that help it",
    "pulls": "rows of high leverage",
}
"""What the table of rows can be filtered by."""


@dataclass(frozen=True)
class Line:
    """One figure on several sets of rows.

    Parameters
    ----------
    title : str
    is_target : bool
        Whether it is what was to be brought down.
    cells : list of dict
        For each set of rows the pair, its `verdict`, and the figure's own `interval`.
    """

    title: str
    is_target: bool
    cells: list[dict[str, Any]]


def figure_lines(summary: Summary) -> list[Line]:
    """Return the table of all figures but those under attack, on every set of rows."""
    paths = {"accuracy": "Accuracy", "log_loss": "Log loss, mean"}
    gaps = {name: None for figures in summary["figures"].values() for name in figures["gaps"]}
    for name in gaps:
        metric, by, column = name.partition(" by ")
        for kind, words in GAP_KINDS.items():
            paths[f"gaps.{name}.{kind}"] = f"{METRICS[metric].title}{by}{column}, {words}"
    return _lines(summary, paths, list(summary["figures"]))


def attack_lines(summary: Summary) -> list[Line]:
    """Return the table of figures under attack; training rows are not attacked.

    The accuracy under an adaptive boundary attack is left out: it flips every prediction. Of a
    model that is unchanged both protocols are one.
    """
    paths = {}
    for name, attack in summary["settings"]["attacks"].items():
        for protocol in PROTOCOLS if summary["changed"] else PROTOCOLS[:1]:
            for what in ("loss", "accuracy"):
                if (name, protocol, what) != (FLIPS, "adaptive", "accuracy"):
                    which = f", {protocol}" if summary["changed"] else ""
                    path = f"robustness.{name}.{protocol}.{what}"
                    paths[path] = f"{attack['title']}{which}: {what}"
    return _lines(summary, paths, attacked(summary))


def attacked(summary: Summary) -> list[str]:
    """Return the sets of rows that were attacked."""
    return [name for name, figures in summary["figures"].items() if figures["robustness"]]


def _lines(summary: Summary, paths: dict[str, str], splits: list[str]) -> list[Line]:
    """Return a line for each path that some set of rows has."""
    aimed, lines = [target["figure"] for target in summary["targets"]], []
    for path, title in paths.items():
        cells = [_cell(summary["figures"][name], path) for name in splits]
        if any(cell["before"] is not None for cell in cells):
            lines.append(Line(title, path in aimed, cells))
    return lines


def _cell(figures: dict[str, Any], path: str) -> dict[str, Any]:
    pair, found = look_up(figures, path), figures["intervals"].get(path, {})
    return {**pair, "verdict": judge(path, pair), "interval": found.get("before")}


def table_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return every row that is shown, once, from the most harmful on, each with its `kinds`."""
    shown = summary["rows"]
    high = {row["row"] for row in shown["high_leverage"]}
    lists = (shown["most_harmful"], shown["most_helpful"], shown["high_leverage"])
    rows = {row["row"]: row for each in lists for row in each}

    def kinds(row: dict[str, Any]) -> str:
        a = row["target_influence"]
        effect = ["harms"] * (a < 0) + ["helps"] * (a > 0)
        return " ".join(effect + ["pulls"] * (row["row"] in high))

    in_order = sorted(rows.values(), key=lambda row: row["target_influence"])
    return [row | {"kinds": kinds(row)} for row in in_order]


def figure_panels(summary: Summary) -> list[Panel]:
    """Return the main figures, each on the rows that it was measured on."""
    wanted = [(one["title"], one["figure"], _starts_at_zero(one)) for one in summary["targets"]]
    if label := summary["metric"]["label_figure"]:
        robust = label.startswith("robustness.")
        title = "Adversarial accuracy" if robust else "Gap in predicted labels"
        wanted.append((title, label, True))
    wanted += [("Accuracy", "accuracy", False), ("Log loss", "log_loss", False)]
    panels = []
    for title, path, from_zero in wanted:
        pairs = {name: look_up(figures, path) for name, figures in summary["figures"].items()}
        known = {name: pair for name, pair in pairs.items() if pair["change"] is not None}
        if known:
            before = [pair["before"] for pair in known.values()]
            after = [pair["after"] for pair in known.values()]
            ends = [_ends(summary["figures"][name], path) for name in known]
            panels.append(Panel(title, list(known), before, after, 0.05, from_zero, ends))
    return panels


def _ends(figures: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the intervals of a figure before and after; {} where there are none."""
    return figures["intervals"].get(path, {})


def _starts_at_zero(target: dict[str, Any]) -> bool:
    return (target["figure"] or "").startswith("gaps.")
