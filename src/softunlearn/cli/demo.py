"""The main job on data that everyone can have: train, correct, report."""

from collections.abc import Callable

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from softunlearn import datasets
from softunlearn.correct import correct
from softunlearn.correction import Correction
from softunlearn.exceptions import DataUnavailableError


def demo(name: str | None, progress: Callable[[str, float], None]) -> tuple[Correction, str]:
    """Return a correction of a pipeline trained here, and a line on what was done.

    Parameters
    ----------
    name : str or None
        A data set; None for Adult where it can be had, else the embedded census.
    progress : callable
        As for `correct`.
    """
    progress("loading data", 0.0)
    name, data = _load(name)
    progress("training a model", 0.0)
    model = pipeline().fit(data.train.X, data.train.y)
    correction = correct(
        model,
        train=data.train,
        validation=data.validation,
        test=data.test,
        metric="demographic_parity",
        progress=progress,
    )
    note = (
        f"A logistic regression was trained on {len(data.train):,} rows of {name} "
        f"({datasets.DATASETS[name].label}; groups: {datasets.DATASETS[name].groups}), "
        "and its demographic parity gap corrected."
    )
    return correction, note


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
