"""The options that commands share: their names, what they are for, and what completes them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from softunlearn import datasets
from softunlearn.aims import METRICS
from softunlearn.cli import config
from softunlearn.cli.asked import DEFAULT_METRIC
from softunlearn.paths import PATHS


def one_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes the beginning of one of these names, for the shell."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE.toml]",
        callback=config.read,
        is_eager=True,
        help="Options from a file, by their names; those given on the line win.",
    ),
]
ModelFile = Annotated[
    Path, typer.Option("--model", help="The trained model: a skops file (skops.io.dump).")
]
TrainFile = Annotated[
    Path,
    typer.Option(
        "--train",
        help="The rows it was trained on: .csv or .parquet, or a folder of .parquet files.",
    ),
]
ValidationFile = Annotated[
    Path, typer.Option("--validation", help="Rows that decide: labels and groups are needed.")
]
ChooseOnFile = Annotated[
    Path | None,
    typer.Option(
        "--choose-on",
        help="Rows that choose the point, where --validation is to give the influences alone.",
    ),
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
        autocompletion=one_of(METRICS),
    ),
]
Hold = Annotated[
    list[str] | None,
    typer.Option(
        "--hold",
        help="What must not rise meanwhile: the same names; repeatable.",
        autocompletion=one_of(METRICS),
    ),
]
PathName = Annotated[
    str | None,
    typer.Option(
        "--path",
        help=f"How the full correction is approached: {', '.join(PATHS)}. Default: the first "
        "where algorithm and scheme allow it.",
        autocompletion=one_of(PATHS),
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
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read the training rows in chunks, never all at once. Default: where they are a "
        "folder, or a Parquet file of 1 GiB or more.",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="The scheduler of a Dask cluster, whose workers read the training rows: "
        "tcp://host:8786.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check the inputs, say how much memory and time it would take, write nothing.",
    ),
]
Mlflow = Annotated[
    bool,
    typer.Option("--mlflow", help="Log figures and files to MLflow, as its own settings say."),
]
DataSet = Annotated[
    str,
    typer.Argument(help="A name from the list.", autocompletion=one_of(datasets.DATASETS)),
]
