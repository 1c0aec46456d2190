"""Files: a correction's folder, and models on disk.

A folder is written beside its place and moved there whole, so a failure leaves what was there
before. Models are skops files, which hold no code: a type that skops does not trust is loaded
only if the caller names it. Nothing here ever unpickles.
"""

import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import skops.io
from array_api_compat import to_device
from skops.io.exceptions import UntrustedTypesFoundException

from softunlearn.exceptions import FileError
from softunlearn.report import summarise, write_model_card, write_report

if TYPE_CHECKING:
    from softunlearn.correction import Correction

TRUSTED = (
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "numpy.dtype",
)
"""Types that skops does not know to be harmless and that are: values and no code."""

MODEL, TENSORS = "model.skops", "model.safetensors"
WEIGHTS, METRICS, REPORT = "weights.parquet", "metrics.json", "report.html"
CARD = "model_card.md"
FILES = {MODEL, TENSORS, WEIGHTS, METRICS, REPORT, CARD}


@dataclass(frozen=True, eq=False)
class Saved:
    """A correction read back from its folder.

    Parameters
    ----------
    model : object or None
        The corrected model; None where step 1 alone was saved, or for a torch model whose
        `module` was not given.
    weights : DataFrame
        One row for each training row: eps, its influences and leverage. Of several targets
        "target_influence" is the sum, each in parts of its value, and "target_influence_0",
        "target_influence_1", ... are those of each, in its own unit.
    metrics : dict
        The figures, as `metrics.json` holds them.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     c.save(folder)
    ...     saved = su.load(folder)
    >>> saved.metrics["status"], len(saved.weights)
    ('CORRECTED', 600)
    """

    model: Any
    weights: pd.DataFrame
    metrics: dict[str, Any]


def save(
    correction: "Correction",
    directory: str | Path,
    *,
    model: bool = True,
    trusted: Sequence[str] = (),
) -> None:
    """Write a correction's model, weights, figures and report into a folder.

    Parameters
    ----------
    correction : Correction
    directory : str or Path
        New, empty, or an earlier correction's, which is replaced.
    model : bool, default=True
        Whether the model is written; False for step 1 alone.
    trusted : sequence of str, optional
        Types that the model may hold beyond those that skops trusts: what could not be read back
        is not written.

    Raises
    ------
    FileError
        The folder cannot be written, or holds something else. What was there is still there.
    """
    directory = Path(directory).resolve()
    check_writable(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _moved_into_place(directory) as place:
            if model:
                _write_model(correction.model, place, trusted)
                write_model_card(correction, place / CARD)
            weights_table(correction).to_parquet(place / WEIGHTS, index=False)
            text = json.dumps(summarise(correction), indent=2, allow_nan=False)
            (place / METRICS).write_text(text + "\n", encoding="utf-8")
            write_report(correction, place / REPORT)
    except OSError as error:
        raise FileError(f"{directory} cannot be written: {error.strerror or error}.") from error


def load(directory: str | Path, *, module: Any = None, trusted: Sequence[str] = ()) -> Saved:
    """Read a correction's folder, as `Correction.save` wrote it.

    Parameters
    ----------
    directory : str or Path
    module : nn.Module, optional
        For a torch model, of which parameters alone are saved: the module that was corrected, or
        one of its architecture. A copy with the saved parameters is returned.
    trusted : sequence of str, optional
        Types that a scikit-learn model may hold beyond those that skops trusts, in full.

    Returns
    -------
    Saved

    Raises
    ------
    FileError
        A file is missing, damaged, or holds a type that is not trusted.

    Examples
    --------
    >>> import tempfile, softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> c = su.correct(model, train=data.train, validation=data.validation)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     c.save(folder)
    ...     saved = su.load(folder)
    >>> bool((saved.model.predict(data.test.X) == c.model.predict(data.test.X)).all())
    True
    """
    directory = Path(directory)
    if not (directory / METRICS).is_file():
        raise FileError(f"{directory} holds no {METRICS}; give a folder that a correction wrote.")
    try:
        metrics = json.loads((directory / METRICS).read_text(encoding="utf-8"))
        weights = pd.read_parquet(directory / WEIGHTS)
    except (OSError, ValueError) as error:
        raise FileError(f"{directory} cannot be read back: {error}") from error
    model = None
    if (directory / MODEL).exists():
        model = read_model(directory / MODEL, trusted=trusted)
    elif (directory / TENSORS).exists() and module is not None:
        from softunlearn.models.torch_files import read_module

        model = read_module(module, directory / TENSORS)
    return Saved(model, weights, metrics)


def _write_model(model: Any, place: Path, trusted: Sequence[str]) -> None:
    """Write a torch module's parameters, or a scikit-learn model whole."""
    if hasattr(model, "state_dict"):
        from softunlearn.models.torch_files import write_module

        write_module(model, place / TENSORS)
    else:
        skops.io.dump(model, place / MODEL)
        if unknown := _untrusted(place / MODEL, trusted):
            raise FileError(
                f"The model holds types that are not trusted and could not be read back: "
                f"{', '.join(unknown)}. Name each with trusted= (--trust on the command line)."
            )


def weights_table(correction: "Correction") -> pd.DataFrame:
    """Return one row for each training row: its weight change and what it is based on."""
    influence, n = correction.influence, len(correction.weights)
    h = influence.leverage
    each = _host(influence.targets)
    several = each.shape[1] > 1
    return pd.DataFrame(
        {
            "row": np.arange(n),
            "eps": correction.weights,
            "target_influence": _host(influence.target),
            **{f"target_influence_{j}": each[:, j] for j in range(each.shape[1]) if several},
            "utility_influence": _host(influence.utility),
            "leverage": np.full(n, np.nan) if h is None else _host(h),
        }
    )


def _host(x: Any) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))


def read_model(path: str | Path, *, trusted: Sequence[str] = ()) -> Any:
    """Return the model in a skops file.

    Raises
    ------
    FileError
        There is no such file, it is not a skops file, or it holds types that are not trusted.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} is not a file; give a model written by skops.io.dump.")
    try:
        return skops.io.load(path, trusted=[*TRUSTED, *trusted])
    except UntrustedTypesFoundException as error:
        unknown = _untrusted(path, trusted)
        raise FileError(
            f"{path} holds types that are not trusted: {', '.join(unknown)}. "
            "If you know where the file comes from, name each with --trust (trusted= in Python)."
        ) from error
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(
            f"{path} is not a skops file, or is damaged; write it anew with skops.io.dump."
        ) from error


def _untrusted(path: Path, trusted: Sequence[str]) -> list[str]:
    return sorted(set(skops.io.get_untrusted_types(file=path)) - {*TRUSTED, *trusted})


def check_writable(directory: str | Path) -> None:
    """Raise FileError where a correction could not be saved; nothing is written.

    Raises
    ------
    FileError
        The place is a file, holds something else, or its parent cannot be written.
    """
    directory = Path(directory).resolve()
    if directory.exists():
        if not directory.is_dir():
            raise FileError(f"{directory} is a file; give a folder to write to.")
        others = sorted({p.name for p in directory.iterdir()} - FILES)
        if others:
            raise FileError(
                f"{directory} holds other files ({others[0]}, ...); give a new or empty folder."
            )
    parent = next(p for p in directory.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise FileError(f"{directory} cannot be written: {parent} is not a writable folder.")


@contextmanager
def _moved_into_place(directory: Path) -> Iterator[Path]:
    """Give an empty folder beside `directory`, and put it there if all goes well."""
    place = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:8]}")
    place.mkdir()
    try:
        yield place
        if directory.exists():
            old = place.with_name(place.name + ".old")
            directory.rename(old)
            try:
                place.rename(directory)
            except OSError:
                old.rename(directory)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            place.rename(directory)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(place)
