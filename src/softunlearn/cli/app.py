"""The commands. What they do is in the library; here it is asked for and shown.

What takes long to import is imported by the command that needs it, so that help comes at once.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from softunlearn import datasets
from softunlearn.cli import screen
from softunlearn.cli.asked import DEFAULT_SELECT, Asked, at_point, rule_of
from softunlearn.cli.config import WAYS_TO_CHOOSE, chosen_on_the_line
from softunlearn.cli.options import (
    By,
    ChooseOnFile,
    Cluster,
    ConfigFile,
    DataSet,
    DryRun,
    Hold,
    Insist,
    Json,
    Label,
    Metric,
    Mlflow,
    ModelFile,
    PathName,
    PointNumber,
    Positive,
    Sensitive,
    Stream,
    TestFile,
    TrainFile,
    Trust,
    ValidationFile,
    one_of,
)
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.exceptions import Status
from softunlearn.select import RULES
from softunlearn.unlearning import ALGORITHMS
from softunlearn.weights import SCHEMES

NOT_TO_BE_HAD = 3

app = typer.Typer(
    name="softunlearn",
    help="Correct a trained classifier's bias or brittleness, and show what it is based on.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
datasets_app = typer.Typer(help="List, fetch and find the data sets.", no_args_is_help=True)
app.add_typer(datasets_app, name="datasets")


@app.callback()
def of_every_command(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback where something fails; anywhere.")
    ] = False,
) -> None:
    """Correct a trained classifier's bias or brittleness, and show what it is based on."""


@app.command("correct")
def correct_command(
    context: typer.Context,
    model: ModelFile,
    train: TrainFile,
    validation: ValidationFile,
    label: Label,
    config: ConfigFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write to; --dry-run needs none.")
    ] = None,
    test: TestFile = None,
    choose_on: ChooseOnFile = None,
    sensitive: Sensitive = None,
    by: By = None,
    metric: Metric = None,
    hold: Hold = None,
    positive: Positive = None,
    algorithm: Annotated[
        str,
        typer.Option(
            help="How the model is corrected: " + ", ".join(ALGORITHMS),
            autocompletion=one_of(ALGORITHMS),
        ),
    ] = "influence",
    scheme: Annotated[
        str, typer.Option(help="Weights: " + ", ".join(SCHEMES), autocompletion=one_of(SCHEMES))
    ] = "soft",
    path: PathName = None,
    select: Annotated[
        str | None,
        typer.Option(
            help=f"Which point of the frontier: {', '.join(RULES)}. Default: {DEFAULT_SELECT}.",
            autocompletion=one_of(RULES),
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
    stream: Stream = None,
    dask: Cluster = None,
    trust: Trust = None,
    mlflow: Mlflow = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Correct a model: write it, its card, weights, metrics and report.html to --out."""
    from softunlearn.cli.files import Files, check_writable, save

    given = (select, point, metric_at_most, utility_loss_at_most)
    ways = chosen_on_the_line(context, dict(zip(WAYS_TO_CHOOSE, given, strict=True)))
    rule, point = rule_of(**ways), ways["point"]
    asked = Asked(metric or (), hold or (), sensitive or (), by, positive)
    files = Files(
        model, train, validation, test, choose_on, label, asked, trust or (), stream, dask
    )
    options = {"algorithm": algorithm, "scheme": scheme, "path": path, "random_state": seed}
    if dry_run:
        from softunlearn.cli.estimate import estimate

        with screen.progress(quiet=json) as report:
            found = estimate(files, options, report)
        screen.show_estimate(found, json)
        return
    if out is None:
        raise ValueError("Missing option --out, the folder to write to. See --help.")
    check_writable(out)
    if mlflow:
        from softunlearn.tracking import check_installed

        check_installed()
    with screen.progress(quiet=json) as report:
        correction = correct(
            **files.arguments(),
            **options,
            select=rule,
            only_above=only_above,
            insist=insist,
            progress=report,
        )
        correction = at_point(correction, point)
        report("writing files", 1.0)
        save(correction, out, trusted=trust or ())
    _show(correction, json)
    if not json:
        screen.out.print(
            f"Written to {out}: model, its card, weights, metrics and report.html", markup=False
        )
    if mlflow:
        run = correction.log_to_mlflow(trusted=trust or ())
        if not json:
            screen.out.print(f"Logged to MLflow as run {run}", markup=False)
    raise typer.Exit(_exit_code(correction))


@app.command()
def audit(
    model: ModelFile,
    train: TrainFile,
    validation: ValidationFile,
    label: Label,
    config: ConfigFile = None,
    sensitive: Sensitive = None,
    by: By = None,
    test: TestFile = None,
    choose_on: ChooseOnFile = None,
    metric: Metric = None,
    hold: Hold = None,
    positive: Positive = None,
    path: PathName = None,
    insist: Insist = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the report and all rows' influence.")
    ] = None,
    stream: Stream = None,
    dask: Cluster = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Show which training rows harm or help, and what a correction could reach; change nothing."""
    from softunlearn.cli.files import Files, check_writable, save

    if out is not None:
        check_writable(out)
    asked = Asked(metric or (), hold or (), sensitive or (), by, positive)
    files = Files(
        model, train, validation, test, choose_on, label, asked, trust or (), stream, dask
    )
    with screen.progress(quiet=json) as report:
        given = files.arguments()
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
        str | None,
        typer.Option(
            help="A data set; default: adult where it can be had, or census.",
            autocompletion=one_of(datasets.DATASETS),
        ),
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
def datasets_fetch(name: DataSet) -> None:
    """Download a data set from its own site into the cache, where its licence allows it."""
    with screen.progress(quiet=False) as report:
        report(f"fetching {name}", 0.0)
        folder = datasets.fetch(name)
    screen.out.print(f"{name} is in {folder}", markup=False)


@datasets_app.command("where")
def datasets_where(name: DataSet) -> None:
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


def _show(correction: Correction, json: bool) -> None:
    if json:
        screen.show_json(correction)
    else:
        screen.show_correction(correction)


def _exit_code(correction: Correction) -> int:
    done = (Status.CORRECTED, Status.NOTHING_TO_CORRECT, Status.AUDITED)
    return 0 if correction.status in done else NOT_TO_BE_HAD
