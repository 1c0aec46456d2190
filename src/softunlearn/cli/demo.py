"""The main job on data that everyone can have: train, correct, report."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from softunlearn import datasets
from softunlearn.cli.asked import DEFAULT_SELECT, Asked
from softunlearn.cli.files import groups_of
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.exceptions import DataUnavailableError, InputError
from softunlearn.rows import Rows


def demo(
    name: str | None,
    asked: Asked,
    progress: Callable[[str, float], None],
    *,
    path: str | None = None,
    insist: bool = False,
    select: Any = DEFAULT_SELECT,
) -> tuple[Correction, str]:
    """Return a correction of a pipeline trained here, and a line on what was done.

    Parameters
    ----------
    name : str or None
        A data set; None for Adult where it can be had, else the embedded census.
    asked : Asked
        Without sensitive columns, the groups are the data set's own.
    progress, path, insist, select
        As for `correct`.
    """
    progress("loading data", 0.0)
    name, data = _load(name)
    rows = {part: _regrouped(given, asked.sensitive) for part, given in data._asdict().items()}
    progress("training a model", 0.0)
    model = pipeline().fit(data.train.X, data.train.y)
    wanted = asked.arguments([str(c) for c in model.classes_])
    correction = correct(
        model, **rows, **wanted, path=path, insist=insist, select=select, progress=progress
    )
    note = (
        f"A logistic regression was trained on {len(data.train):,} rows of {name} "
        f"({datasets.DATASETS[name].label}; groups: "
        f"{', '.join(asked.sensitive) or datasets.DATASETS[name].groups}), "
        f"to correct its {correction.target.replace('_', ' ')}."
    )
    return correction, note


def _regrouped(rows: Rows, sensitive: Sequence[str]) -> Rows:
    """Return rows with the groups of these columns, if any are named."""
    if not sensitive:
        return rows
    columns = [str(column) for column in getattr(rows.X, "columns", ())]
    if absent := [column for column in sensitive if column not in columns]:
        has = ", ".join(map(repr, columns[:20])) or "unnamed"
        raise InputError(f"The data has no column {absent[0]!r}; its columns are {has}.")
    return replace(rows, g=groups_of(rows.X, list(dict.fromkeys(sensitive))))


def pipeline() -> Pipeline:
    """Return an untrained pipeline for readable columns: words one-hot, numbers standardised."""
    words = make_column_selector(dtype_exclude="number")
    numbers = make_column_selector(dtype_include="number")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        (StandardScaler(), numbers),
    )
    return make_pipeline(columns, LogisticRegression(solver="newton-cholesky"))


def _load(name: str | None) -> tuple[str, datasets.Splits]:
    if name is not None:
        return name, datasets.load(name, encoded=False)
    try:
        return "adult", datasets.load("adult", encoded=False)
    except DataUnavailableError:
        return "census", datasets.load("census", encoded=False)
