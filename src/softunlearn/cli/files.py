"""Files on disk, as the arguments of a correction: a model, and tables as the rows it takes."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from softunlearn.cli.asked import Asked
from softunlearn.exceptions import FileError, InputError, SoftUnlearnError
from softunlearn.models import adapt
from softunlearn.rows import Rows
from softunlearn.saving import check_writable, read_model, save

__all__ = ["Files", "check_writable", "read_rows", "save"]

PARQUET = (".parquet", ".pq")

STREAM_BYTES = 2**30
"""A Parquet file of so many bytes is read in chunks unless one says otherwise: in memory it is
several times as large."""


def _parquet(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        table = file.read()
    table.validate(full=True)  # words are text
    return table.to_pandas()


READERS = {
    # only an empty cell is missing: "None" and "NA" are words
    ".csv": partial(pd.read_csv, keep_default_na=False, na_values=[""]),
    **dict.fromkeys(PARQUET, _parquet),
}


@dataclass(frozen=True)
class Files:
    """What the options name: a model, tables, and which columns are what.

    Parameters
    ----------
    model, train, validation : Path
    test, choose_on : Path or None
    label : str
    asked : Asked
    trust : sequence of str, optional
        Types that the model may hold.
    stream : bool, optional
        Whether the training rows are read in chunks; None: where they are many.
    cluster : str, optional
        The scheduler whose workers read them.
    """

    model: Path
    train: Path
    validation: Path
    test: Path | None
    choose_on: Path | None
    label: str
    asked: Asked
    trust: Sequence[str] = ()
    stream: bool | None = None
    cluster: str | None = None

    @cached_property
    def read_model(self) -> Any:
        """Return the model."""
        return read_model(self.model, trusted=self.trust)

    def __post_init__(self) -> None:
        if self.label in self.asked.sensitive:
            raise ValueError(
                f"--label and --sensitive must be two columns, got {self.label!r} for both."
            )

    @property
    def streams(self) -> bool:
        """Return whether the training rows are read in chunks."""
        if self.cluster is not None and self.stream is False:
            raise ValueError("--dask reads the training rows in chunks; leave out --no-stream.")
        if self.train.is_dir() and self.stream is False:
            raise ValueError(f"{self.train} is a folder, read in chunks; leave out --no-stream.")
        if self.stream is not None or self.cluster is not None:
            return self.stream is not False
        if self.train.is_dir():
            return True
        is_parquet = self.train.suffix.lower() in PARQUET
        return is_parquet and self.train.is_file() and self.train.stat().st_size >= STREAM_BYTES

    def arguments(self) -> dict[str, Any]:
        """Return `correct`'s arguments: the model, rows, and what is asked for."""
        return self.but_training() | {"train": self.training_rows()}

    def but_training(self) -> dict[str, Any]:
        """Return the same without the training rows."""
        classes = _classes(self.read_model, self.model)
        asked = self.asked.arguments(classes)
        self.asked.check_groups()
        files = {"validation": self.validation, "choose_on": self.choose_on, "test": self.test}
        rows = {
            name: self._rows(path, need_sensitive=True)
            for name, path in files.items()
            if path is not None
        }
        return {"model": self.read_model, **rows, **asked}

    def training_rows(self) -> Rows:
        """Return the training rows: in memory, or read whenever they are needed."""
        return self.streamed() if self.streams else self._rows(self.train, need_sensitive=False)

    def streamed(self) -> Rows:
        """Return the training rows as they are read from Parquet."""
        path = self.train
        if not path.is_dir() and path.suffix.lower() not in PARQUET:
            raise FileError(
                f"{path} cannot be read in chunks; give a .parquet file or a folder of them, "
                "or leave out --stream and --dask."
            )
        return stream_rows(
            path,
            self.read_model,
            label=self.label,
            sensitive=list(dict.fromkeys(self.asked.sensitive)),
            cluster=self.cluster,
        )

    def _rows(self, path: Path, *, need_sensitive: bool) -> Rows:
        return read_rows(
            path,
            self.read_model,
            label=self.label,
            sensitive=list(dict.fromkeys(self.asked.sensitive)),
            need_sensitive=need_sensitive,
        )


def _classes(model: Any, path: Path) -> list[str]:
    """Return the names of a model's classes, once it is known that it has a head."""
    try:
        return [str(c) for c in adapt(model).head(1).classes]
    except SoftUnlearnError:
        raise
    except Exception as error:  # a model by a stranger may hold anything under any name
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise FileError(
            f"{path} holds a {type(model).__name__} that is not as training leaves one: {reason}."
        ) from error


def stream_rows(
    path: Path, model: Any, *, label: str, sensitive: Sequence[str], cluster: str | None = None
) -> Rows:
    """Return the rows of a Parquet file, or of a folder of them, without reading them yet."""
    first = next(iter(sorted(path.glob("*.parquet"))), path) if path.is_dir() else path
    if not first.is_file():
        what = "holds no .parquet files" if path.is_dir() else "is not a file"
        raise FileError(f"{path} {what}; give a table, or a folder of .parquet files.")
    try:
        columns = [str(name) for name in pq.read_schema(first).names]
    except Exception as error:  # a file by a stranger may raise anything in its reader
        reason = str(error).strip().split("\n")[0]
        raise FileError(f"{first} cannot be read as a table: {reason}") from error
    wanted = _model_columns(model, columns, label, sensitive, first)
    _check_columns(first, [label, *wanted], columns)
    return Rows.from_parquet(path, label=label, features=wanted, cluster=cluster)


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
    table = read_table(path)
    return frame_rows(table, path, model, label, sensitive, need_sensitive=need_sensitive)


def frame_rows(
    table: pd.DataFrame,
    path: Path,
    model: Any,
    label: str,
    sensitive: Sequence[str],
    *,
    need_sensitive: bool = False,
) -> Rows:
    """Return a table that was read from a path as rows; see `read_rows`."""
    wanted = _model_columns(model, list(table.columns), label, sensitive, path)
    absent = [column for column in sensitive if column not in table.columns]
    needed = absent if need_sensitive else []
    _check_columns(path, [label, *wanted, *needed], list(table.columns))
    g = groups_of(table, [] if absent else sensitive)
    X = table[wanted]
    by_name = getattr(model, "feature_names_in_", None) is not None
    y = _as_the_model_has_them(table[label], model)
    return Rows(X if by_name else X.to_numpy(), y, g, feature_names=tuple(wanted))


def _check_columns(path: Path, wanted: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in dict.fromkeys(wanted) if column not in columns]
    if missing:
        named = ", ".join(map(repr, missing))
        has = ", ".join([*map(repr, columns[:8]), *["..."] * (len(columns) > 8)])
        raise InputError(f"{path} has no column {named}; its columns are {has}.")


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


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV or Parquet file as a table."""
    with _readable(path) as reader:
        return reader(path)


def read_in_parts(path: Path, rows: int = 50_000) -> Iterator[pd.DataFrame]:
    """Yield a CSV file as tables of so many rows at most; an empty one where it has none."""
    with _readable(path) as reader, reader(path, chunksize=rows) as parts:
        yield from parts


@contextmanager
def _readable(path: Path) -> Iterator[Callable[..., Any]]:
    """Give what reads a file of this name; what goes wrong meanwhile is said of the file."""
    name = path.name.removesuffix(".gz")
    reader = READERS.get(Path(name).suffix.lower())
    if reader is None:
        raise FileError(f"{path} is not a table this reads; give a .csv or .parquet file.")
    if not os.path.isfile(path):
        raise FileError(f"{path} is not a file; give a .csv or .parquet file that is there.")
    try:
        yield reader
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
