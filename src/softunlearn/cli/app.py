"""The commands and their options. What they do is in the library; here it is asked for and shown.

What takes long to import is imported by the command that needs it, so that help comes at once.
Exit codes: 0 done (also where there was nothing to correct), 2 bad input, 3 the correction that
was asked for cannot be had.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from softunlearn import datasets
from softunlearn.aims import METRICS
from softunlearn.cli import screen
from softunlearn.cli.asked import DEFAULT_METRIC, DEFAULT_SELECT, Asked, at_point, rule_of
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.exceptions import SoftUnlearnError, Status
from softunlearn.paths import PATHS
from softunlearn.select import RULES
from softunlearn.unlearning import ALGORITHMS
from softunlearn.weights import SCHEMES

BAD_INPUT, NOT_TO_BE_HAD, STOPPED = 2, 3, 1

_UsageError: Any = typer.BadParameter.__base__  # typer gives it no name of its own

app = typer.Typer(
    name="softunlearn",
    help="Correct a trained classifier's bias or brittleness, and show what it is based on.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
datasets_app = typer.Typer(help="List, fetch and find the data sets.", no_args_is_help=True)
app.add_typer(datasets_app, name="datasets")

ModelFile = Annotated[
    Path, typer.Option("--model", help="The trained model: a skops file (skops.io.dump).")
]
TrainFile = Annotated[
    Path, typer.Option("--train", help="The rows it was trained on: .csv or .parquet.")
]
ValidationFile = Annotated[
    Path, typer.Option("--validation", help="Rows that decide: labels and groups are needed.")
]
TestFile = Annotated[Path | None, typer.Option("--test", help="Rows that are only reported on.")]
Label = Annotated[str, typer.Option("--label", help="The column that holds the labels.")]
Sensitive = Annotated[
    list[str] | None,
    typer.Option(
        "--sensitive",
        help="A column that holds groups; repeatable: then every combination is a group.",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Of several --sensitive columns the one whose groups --metric compares; "
        "--hold compares the combinations.",
    ),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help=f"What to bring down: {', '.join(METRICS)}; repeatable: then all fall together. "
        f"Default: {DEFAULT_METRIC}.",
    ),
]
Hold = Annotated[
    list[str] | None,
    typer.Option("--hold", help="What must not rise meanwhile: the same names; repeatable."),
]
PathName = Annotated[
    str | None,
    typer.Option(
        "--path",
        help=f"How the full correction is approached: {', '.join(PATHS)}. Default: the first "
        "where algorithm and scheme allow it.",
    ),
]
Insist = Annotated[
    bool,
    typer.Option("--insist", help="Correct a metric even where its 95 % interval contains zero."),
]
PointNumber = Annotated[
    int | None,
    typer.Option(
        "--point",
        metavar="I",
        help="Instead of --select: the point of the frontier with this number, 0 for the "
        "original model; audit and the report list them.",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option("--positive", help="The positive class's label. Default: the second of two."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", help="A type in the model file to trust; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")]


@app.command("correct")
def correct_command(
    model: ModelFile,
    train: TrainFile,
    validation: ValidationFile,
    label: Label,
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    test: TestFile = None,
    sensitive: Sensitive = None,
    by: By = None,
    metric: Metric = None,
    hold: Hold = None,
    positive: Positive = None,
    algorithm: Annotated[
        str, typer.Option(help="How the model is corrected: " + ", ".join(ALGORITHMS))
    ] = "influence",
    scheme: Annotated[str, typer.Option(help="Weights: " + ", ".join(SCHEMES))] = "soft",
    path: PathName = None,
    select: Annotated[
        str | None,
        typer.Option(
            help=f"Which point of the frontier: {', '.join(RULES)}. Default: {DEFAULT_SELECT}."
        ),
    ] = None,
    point: PointNumber = None,
    metric_at_most: Annotated[
        float | None, typer.Option(help="Instead of --select: reach this metric at least cost.")
    ] = None,
    utility_loss_at_most: Annotated[
        float | None, typer.Option(help="Instead of --select: validation accuracy to give up.")
    ] = None,
    only_above: Annotated[
        float, typer.Option(help="Correct only where the metric is larger than this.")
    ] = 0.0,
    insist: Insist = False,
    seed: Annotated[int, typer.Option(help="Of algorithms that draw random numbers.")] = 0,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Correct a model: write model, weights.parquet, metrics.json and report.html to --out."""
    from softunlearn.cli.files import check_writable, read_arguments, save

    check_writable(out)
    rule = rule_of(select, metric_at_most, utility_loss_at_most, point)
    asked = Asked(metric or (), hold or (), sensitive or (), by, positive)
    with screen.progress(quiet=json) as report:
        given = read_arguments(model, train, validation, test, label, asked, trust)
        correction = correct(
            **given,
            algorithm=algorithm,
            scheme=scheme,
            path=path,
            select=rule,
            only_above=only_above,
            insist=insist,
            random_state=seed,
            progress=report,
        )
        correction = at_point(correction, point)
        report("writing files", 1.0)
        save(correction, out, trusted=trust or ())
    _show(correction, json)
    if not json:
        screen.out.print(
            f"Written to {out}: model, weights, metrics and report.html", markup=False
        )
    raise typer.Exit(_exit_code(correction))


@app.command()
def audit(
    model: ModelFile,
    train: TrainFile,
    validation: ValidationFile,
    label: Label,
    sensitive: Sensitive = None,
    by: By = None,
    test: TestFile = None,
    metric: Metric = None,
    hold: Hold = None,
    positive: Positive = None,
    path: PathName = None,
    insist: Insist = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the report and all rows' influence.")
    ] = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Show which training rows harm or help, and what a correction could reach; change nothing."""
    from softunlearn.cli.files import check_writable, read_arguments, save

    if out is not None:
        check_writable(out)
    asked = Asked(metric or (), hold or (), sensitive or (), by, positive)
    with screen.progress(quiet=json) as report:
        given = read_arguments(model, train, validation, test, label, asked, trust)
        correction = correct(**given, path=path, insist=insist, select="none", progress=report)
        if out is not None:
            report("writing files", 1.0)
            save(correction, out, model=False)
    _show(correction, json)
    if not json:
        screen.show_frontier(correction)
        screen.show_rows(correction)
        if out is not None:
            screen.out.print(
                f"Written to {out}: influences, metrics and report.html", markup=False
            )


@app.command("demo")
def demo_command(
    data: Annotated[
        str | None, typer.Option(help="A data set; default: adult where it can be had, or census.")
    ] = None,
    sensitive: Sensitive = None,
    by: By = None,
    metric: Metric = None,
    hold: Hold = None,
    path: PathName = None,
    point: PointNumber = None,
    insist: Insist = False,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("softunlearn-demo"),
    json: Json = False,
) -> None:
    """Train a model on real data, correct it, and write a report: the main job in one command."""
    from softunlearn.cli.demo import demo
    from softunlearn.cli.files import check_writable, save

    check_writable(out)
    rule = rule_of(None, None, None, point)
    asked = Asked(metric or (), hold or (), sensitive or (), by)
    with screen.progress(quiet=json) as report:
        correction, note = demo(data, asked, report, path=path, insist=insist, select=rule)
        correction = at_point(correction, point)
        report("writing files", 1.0)
        save(correction, out)
    if not json:
        screen.out.print(note, markup=False)
    _show(correction, json)
    if not json:
        screen.out.print(f"The report: {out / 'report.html'}", markup=False)


@datasets_app.command("list")
def datasets_list() -> None:
    """List the data sets: rows, label, groups, licence, and whether they are on this machine."""
    table = Table()
    for column in ("name", "rows", "positive label", "groups", "licence", "here"):
        table.add_column(
            column, justify="right" if column == "rows" else "left", no_wrap=column == "name"
        )
    for info in datasets.DATASETS.values():
        here = "yes" if not info.files or datasets.locate(info.name) is not None else "no"
        table.add_row(info.name, f"{info.rows:,}", info.label, info.groups, info.licence, here)
    screen.out.print(table)


@datasets_app.command("fetch")
def datasets_fetch(name: Annotated[str, typer.Argument(help="A name from the list.")]) -> None:
    """Download a data set from its own site into the cache, where its licence allows it."""
    with screen.progress(quiet=False) as report:
        report(f"fetching {name}", 0.0)
        folder = datasets.fetch(name)
    screen.out.print(f"{name} is in {folder}", markup=False)


@datasets_app.command("where")
def datasets_where(name: Annotated[str, typer.Argument(help="A name from the list.")]) -> None:
    """Say where a data set's files are."""
    folder = datasets.locate(name)
    if not datasets.DATASETS[name].files:
        screen.out.print(f"{name} is made by the library; it has no files.", markup=False)
    elif folder is None:
        screen.out.print(
            f"{name} is not here; try: softunlearn datasets fetch {name}", markup=False
        )
        raise typer.Exit(NOT_TO_BE_HAD)
    else:
        screen.out.print(str(folder), markup=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a bad input is one line on standard error.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch("sys.argv", ["softunlearn", "datasets", "where", "census"]):
    ...     try:
    ...         main()
    ...     except SystemExit as done:
    ...         print(done.code)
    census is made by the library; it has no files.
    0
    """
    try:
        code = app(standalone_mode=False)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            _fail(f"{error.format_message().rstrip('.')}. See --help.")
        code = BAD_INPUT
    except (SoftUnlearnError, ValueError, TypeError) as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            _fail(line)
        code = BAD_INPUT
    except typer.Abort:
        code = STOPPED
    sys.exit(code if isinstance(code, int) else 0)


def _fail(line: str) -> None:
    screen.err.print(f"error: {line}", style="red", markup=False, highlight=False, soft_wrap=True)


def _show(correction: Correction, json: bool) -> None:
    if json:
        screen.show_json(correction)
    else:
        screen.show_correction(correction)


def _exit_code(correction: Correction) -> int:
    done = (Status.CORRECTED, Status.NOTHING_TO_CORRECT, Status.AUDITED)
    return 0 if correction.status in done else NOT_TO_BE_HAD
