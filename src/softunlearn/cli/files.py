"""Files on disk, as the arguments of a correction: a model, and tables as the rows it takes."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from softunlearn.cli.asked import Asked
from softunlearn.exceptions import FileError, InputError
from softunlearn.models import adapt
from softunlearn.rows import Rows
from softunlearn.saving import check_writable, read_model, save

__all__ = ["check_writable", "read_arguments", "read_rows", "save"]


def _parquet(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        table = file.read()
    table.validate(full=True)  # words are text
    return table.to_pandas()


READERS = {
    # only an empty cell is missing: "None" and "NA" are words
    ".csv": partial(pd.read_csv, keep_default_na=False, na_values=[""]),
    ".parquet": _parquet,
    ".pq": _parquet,
}


def read_arguments(
    model_file: Path,
    train: Path,
    validation: Path,
    test: Path | None,
    label: str,
    asked: Asked,
    trust: list[str] | None,
) -> dict[str, Any]:
    """Return `correct`'s arguments from the files."""
    model = read_model(model_file, trusted=trust or ())
    adapter = adapt(model)
    sensitive = list(dict.fromkeys(asked.sensitive))

    def rows(path: Path, need: bool) -> Any:
        return read_rows(path, model, label=label, sensitive=sensitive, need_sensitive=need)

    given = {
        "model": model,
        "train": rows(train, False),
        "validation": rows(validation, True),
        **asked.arguments([str(c) for c in adapter.head(1).classes]),
    }
    return given if test is None else given | {"test": rows(test, True)}


def read_rows(
    path: Path, model: Any, *, label: str, sensitive: Sequence[str], need_sensitive: bool
) -> Rows:
    """Return a CSV or Parquet table as rows: the model's own columns, the label, the group.

    Parameters
    ----------
    path : Path
        Its suffix says what it is; .csv.gz is read too.
    model : estimator
        Trained. The columns it was trained on are taken by name where it knows their names.
    label : str
        Column of the labels.
    sensitive : sequence of str
        Columns of the groups.
    need_sensitive : bool
        Whether a table without these columns is refused.

    Raises
    ------
    FileError
        The file cannot be read as a table.
    InputError
        A column is missing; every missing one is named.
    """
    if label in sensitive:
        raise ValueError(f"--label and --sensitive must be two columns, got {label!r} for both.")
    table = _read(path)
    wanted = _model_columns(model, list(table.columns), label, sensitive, path)
    missing = [column for column in (label, *wanted) if column not in table.columns]
    absent = [column for column in sensitive if column not in table.columns]
    if need_sensitive:
        missing += absent
    if missing:
        named = ", ".join(repr(column) for column in dict.fromkeys(missing))
        has = ", ".join(repr(column) for column in table.columns[:8])
        raise InputError(f"{path} has no column {named}; its columns are {has}, ...")
    g = groups_of(table, [] if absent else sensitive)
    X = table[wanted]
    by_name = getattr(model, "feature_names_in_", None) is not None
    y = _as_the_model_has_them(table[label], model)
    return Rows(X if by_name else X.to_numpy(), y, g, feature_names=tuple(wanted))


def groups_of(table: pd.DataFrame, columns: Sequence[str]) -> Any:
    """Return one column as it is, several as a table, and None for none."""
    if not columns:
        return None
    return table[columns[0]] if len(columns) == 1 else table[list(columns)]


def _as_the_model_has_them(labels: pd.Series, model: Any) -> pd.Series:
    """Return labels in the model's own type, where a CSV file made numbers of words."""
    classes = getattr(model, "classes_", ())
    named = {str(value): value for value in getattr(classes, "tolist", tuple)()}
    words = labels.map(str)
    return (
        labels
        if labels.isin(list(named.values())).any() or not words.isin(list(named)).all()
        else words.map(named)
    )


def _read(path: Path) -> pd.DataFrame:
    name = path.name.removesuffix(".gz")
    reader = READERS.get(Path(name).suffix.lower())
    if reader is None:
        raise FileError(f"{path} is not a table this reads; give a .csv or .parquet file.")
    if not os.path.isfile(path):
        raise FileError(f"{path} is not a file.")
    try:
        return reader(path)
    except Exception as error:  # a file by a stranger may raise anything in its reader
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{path} cannot be read as a table: {reason}") from error


def _model_columns(
    model: Any, columns: Sequence[str], label: str, sensitive: Sequence[str], path: Path
) -> list[str]:
    """Return the columns the model was trained on, in its order."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    # trained on an array: all columns but the label, without the groups where that is their number
    n_features = getattr(model, "n_features_in_", None)
    features = [column for column in columns if column != label]
    without_groups = [column for column in features if column not in sensitive]
    for candidate in (features, without_groups):
        if n_features is None or len(candidate) == n_features:
            return candidate
    raise InputError(
        f"{path} has {len(features)} columns beside the label and the model takes {n_features}; "
        "train it on a dataframe, so that it knows its columns' names, or drop the others."
    )
