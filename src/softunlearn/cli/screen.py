"""What the command line shows: progress on standard error, results on standard output."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from softunlearn.correction import Correction
from softunlearn.evaluation import Figures

out, err = Console(), Console(stderr=True)


@contextmanager
def progress(quiet: bool) -> Iterator[Any]:
    """Give a callback (what, part done) that shows a bar, on a terminal."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )
    task = bar.add_task("reading files", total=1.0)

    def report(what: str, part: float) -> None:
        bar.update(task, description=what, completed=part)

    with bar:
        yield report


def show_json(correction: Correction) -> None:
    """Print the figures as JSON, and nothing else."""
    from softunlearn.report import summarise

    print(json.dumps(summarise(correction), indent=2, allow_nan=False))  # noqa: T201


def show_correction(correction: Correction) -> None:
    """Print what happened: a verdict, and the main figures before and after."""
    out.print(f"[bold]{correction.status}[/bold]  ", end="")
    out.print(correction.message, markup=False, highlight=False)
    unchanged = correction.after is correction.before
    title = "gaps are between groups" + ("" if unchanged else "; before -> after")
    table = Table(title=title, title_justify="left")
    table.add_column("")
    after = dict(correction.after.items())
    for name in after:
        table.add_column(f"{name} rows", justify="right")
    for label, read in _lines(correction.before.validation):
        cells = []
        for name, figures in correction.before.items():
            before, later = read(figures), read(after[name])
            cells.append("" if before is None else f"{before:.4f}")
            if before is not None and not unchanged:
                cells[-1] += f" -> {later:.4f}"
        table.add_row(label, *cells)
    out.print(table)


def show_rows(correction: Correction, limit: int = 5) -> None:
    """Print the rows that harm and help the target most."""
    from softunlearn.report import summarise

    summary = summarise(correction)
    for key, title in (
        ("most_harmful", "Rows that harm most"),
        ("most_helpful", "Rows that help most"),
    ):
        table = Table(title=f"{title} ({correction.target})", title_justify="left")
        for column in ("row", "label", "target influence", "utility influence", "what it is"):
            table.add_column(column, justify="left" if column == "what it is" else "right")
        for row in summary["rows"][key][:limit]:
            features = ", ".join(f"{f['name']}={f['value']}" for f in row["values"][:6])
            table.add_row(
                str(row["row"]),
                str(row["label"]),
                f"{row['target_influence']:.3g}",
                f"{row['utility_influence']:.3g}",
                features,
            )
        out.print(table)


def _lines(figures: Figures) -> list[tuple[str, Any]]:
    """Return the table's lines: a name and how its figure is read."""

    def gap(name: str, kind: str) -> Any:
        return lambda f: getattr(f.gaps[name], kind) if name in f.gaps else None

    lines: list[tuple[str, Any]] = [
        ("accuracy", lambda f: f.accuracy),
        ("log loss", lambda f: f.log_loss),
    ]
    if figures.gaps:
        lines += [
            ("parity gap, mean p", gap("demographic_parity", "probabilities")),
            ("parity gap, labels", gap("demographic_parity", "labels")),
            ("opportunity, loss", gap("equal_opportunity", "loss")),
            ("opportunity, labels", gap("equal_opportunity", "labels")),
            ("odds gap, labels", gap("equalized_odds", "labels")),
        ]
    return [*lines, ("attacked loss", lambda f: f.adversarial_loss)]
