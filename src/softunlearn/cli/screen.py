"""What the command line shows: progress on standard error, results on standard output."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from softunlearn.correction import Correction
from softunlearn.evaluation import Figures
from softunlearn.intervals import Change
from softunlearn.message import value_at
from softunlearn.session import BySplit

if TYPE_CHECKING:
    from softunlearn.cli.estimate import Estimate

T = TypeVar("T")

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


def show_estimate(found: "Estimate", as_json: bool) -> None:
    """Print what a correction would take."""
    if as_json:
        print(json.dumps(asdict(found), indent=2))  # noqa: T201
        return
    table = Table(title="A dry run: nothing was written", title_justify="left", show_header=False)
    how = "read in chunks" if found.streamed else "in memory"
    for name, n in found.rows.items():
        table.add_row(f"{name} rows", f"{n:,}" + (f", {how}" if name == "train" else ""))
    table.add_row("last layer", f"{found.inputs:,} inputs, {found.parameters:,} parameters")
    table.add_row("solver", found.solver)
    held = found.memory_bytes
    table.add_row("memory", "not known here" if held is None else f"about {_size(held)}")
    table.add_row("time", f"about {_duration(found.seconds)}, and reading the files")
    out.print(table)
    said = (
        f"By a correction of {found.sample:,} of the training rows; the time may be double that."
    )
    out.print(said, markup=False)


def _size(n_bytes: int) -> str:
    mib = n_bytes / 2**20
    return f"{mib:,.0f} MiB" if mib < 1024 else f"{mib / 1024:,.1f} GiB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def show_correction(correction: Correction) -> None:
    """Print what happened, and the main figures with their change and its 95 % interval.

    Of the rows that played no part in it, or of validation rows where there are no such.
    """
    out.print(f"[bold]{correction.status}[/bold]  ", end="")
    out.print(correction.message, markup=False, highlight=False)
    before, after = _shown(correction.before), _shown(correction.after)
    changes = _shown(correction.change)
    which = "test" if correction.before.test is not None else "validation"
    table = Table(title=f"{before.rows:,} {which} rows; 95 % intervals", title_justify="left")
    unchanged = correction.chosen == 0
    table.add_column("")
    for column in ("value", "interval") if unchanged else ("before", "after", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, path in _lines(before):
        if unchanged:
            table.add_row(label, f"{value_at(before, path):.4f}", _interval(before, path))
        else:
            later = f"{value_at(after, path):.4f}"
            table.add_row(label, f"{value_at(before, path):.4f}", later, _change(changes, path))
    out.print(table)


def show_frontier(correction: Correction) -> None:
    """Print the points that can be chosen with --point."""
    table = Table(
        title=_as_it_is(
            f"Points for --point, on {correction.frontier.rows} ({correction.target})"
        ),
        title_justify="left",
        caption="several metrics: the largest part left" if "," in correction.target else None,
    )
    for column in ("point", "metric", "accuracy", "its change, 95 %", "log loss change"):
        table.add_column(column, justify="right", no_wrap=True)
    for i, point in enumerate(correction.frontier):
        moved = "" if i == 0 else _range(point.accuracy_change)
        loss = "" if i == 0 else f"{point.log_loss_change.value:+.4f}"
        table.add_row(str(i), f"{point.metric:.4f}", f"{point.accuracy:.4f}", moved, loss)
    out.print(table)


def show_rows(correction: Correction, limit: int = 5) -> None:
    """Print the rows that harm and help the target most."""
    from softunlearn.report import summarise

    summary = summarise(correction)
    for key, title in (
        ("most_harmful", "Rows that harm most"),
        ("most_helpful", "Rows that help most"),
    ):
        table = Table(title=_as_it_is(f"{title} ({correction.target})"), title_justify="left")
        for column in ("row", "label", "target influence", "utility influence", "what it is"):
            table.add_column(column, justify="left" if column == "what it is" else "right")
        for row in summary["rows"][key][:limit]:
            features = ", ".join(f"{f['name']}={f['value']}" for f in row["values"][:6])
            table.add_row(
                str(row["row"]),
                _as_it_is(str(row["label"])),
                f"{row['target_influence']:.3g}",
                f"{row['utility_influence']:.3g}",
                _as_it_is(features),
            )
        out.print(table)


def _as_it_is(text: str) -> Text:
    """Return words of the user's, in which rich would read styles and emojis."""
    return Text(text, style="")


def _lines(figures: Figures) -> list[tuple[str, str]]:
    """Return the table's lines: a name, and the path to its figure."""
    gaps = {
        "parity gap, mean p": "demographic_parity.probabilities",
        "parity gap, labels": "demographic_parity.labels",
        "opportunity, loss": "equal_opportunity.loss",
        "opportunity, labels": "equal_opportunity.labels",
        "odds gap, labels": "equalized_odds.labels",
    }
    lines = {"accuracy": "accuracy", "log loss": "log_loss"}
    lines |= {label: f"gaps.{path}" for label, path in gaps.items()}
    for attack in figures.robustness:
        protocols = ("transfer", "adaptive") if attack == figures.attack else ("adaptive",)
        for protocol in protocols:
            name = attack.replace("_", " ")
            lines[f"{name}, {protocol} loss"] = f"robustness.{attack}.{protocol}.loss"
    return [(label, path) for label, path in lines.items() if path in figures.intervals]


def _shown(splits: BySplit[T]) -> T:
    """Return what is shown of each split: that of test rows, or of validation rows."""
    return splits.validation if splits.test is None else splits.test


def _interval(figures: Figures, path: str) -> str:
    found = figures.intervals[path]
    return f"{found.low:.4f} to {found.high:.4f}"


def _change(changes: Mapping[str, Change], path: str) -> str:
    return _range(changes[path]) if path in changes else ""


def _range(change: Change) -> str:
    return f"{change.value:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
