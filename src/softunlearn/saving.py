"""Files: a correction's folder, and what is read back from it.

The folder is written beside its place and moved there whole (`disk.py`), with a manifest of every
file's size and sha256 and of where it comes from (`manifest.py`, `provenance.py`). Models are
skops files or safetensors, figures JSON, weights Parquet: numbers and names, and no code. Nothing
here ever unpickles.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from array_api_compat import to_device

from softunlearn.disk import opened, placed_folder, remove_leftovers
from softunlearn.exceptions import FileError
from softunlearn.manifest import ANEW, MANIFEST, read_json, read_manifest, write_manifest
from softunlearn.models.skops_files import read_model, write_model
from softunlearn.provenance import provenance
from softunlearn.report import model_card, render, summarise

if TYPE_CHECKING:
    from softunlearn.correction import Correction

__all__ = ["Saved", "check_writable", "load", "read_model", "save", "weights_table"]

MODEL, TENSORS = "model.skops", "model.safetensors"
WEIGHTS, METRICS, REPORT = "weights.parquet", "metrics.json", "report.html"
CARD = "model_card.md"
FILES = (MODEL, TENSORS, WEIGHTS, METRICS, REPORT, CARD)

MAX_EXPANSION, ALWAYS_BYTES = 100, 64 * 2**20
"""How many times larger than its file a table may be in memory; so much it may be anyhow."""

MAX_FOOTER = 2**20
"""Bytes of a text, and entries of a list, in the footer of `weights.parquet`."""


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
    provenance : dict
        Where it comes from: library, time, metric, algorithm, scheme, point, and sizes and digests
        of the data; printed with the correction.

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
    >>> saved.provenance["metric"][0]["name"], saved.provenance["algorithm"]["name"]
    ('demographic_parity', 'InfluenceUpdate')
    """

    model: Any
    weights: pd.DataFrame
    metrics: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        """Return where it comes from, a line for each thing that is known."""
        lines = (f"  {name}: {json.dumps(value)}" for name, value in self.provenance.items())
        return "\n".join([f"A correction of {len(self.weights):,} training rows", *lines])


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
    directory = _resolved(directory)
    check_writable(directory)
    summary = summarise(correction)
    page, table = render(correction), weights_table(correction)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory.parent, directory.name)
        with placed_folder(directory) as place:
            if model:
                _write_model(correction.model, place, trusted)
                _write_text(place / CARD, model_card(correction))
            table.to_parquet(place / WEIGHTS, index=False)
            figures = json.dumps(summary, indent=2, allow_nan=False)
            _write_text(place / METRICS, figures + "\n")
            _write_text(place / REPORT, page)
            write_manifest(place, provenance(correction, summary))
    except OSError as error:
        raise FileError(f"{directory} cannot be written: {_reason(error)}.") from error


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
        A file is missing, damaged, changed, or holds a type that is not trusted.

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
    manifest = read_manifest(directory, FILES)
    if absent := [name for name in (METRICS, WEIGHTS) if name not in manifest.files]:
        raise FileError(f"{directory / MANIFEST} does not list {absent[0]}; {ANEW}.")
    metrics, weights = read_json(directory / METRICS), _read_weights(directory / WEIGHTS)
    model = None
    if MODEL in manifest.files:
        model = read_model(directory / MODEL, trusted=trusted)
    elif TENSORS in manifest.files and module is not None:
        from softunlearn.models.torch_files import read_module

        model = read_module(module, directory / TENSORS)
    return Saved(model, weights, metrics, manifest.provenance)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_model(model: Any, place: Path, trusted: Sequence[str]) -> None:
    """Write a torch module's parameters, or a scikit-learn model whole."""
    if hasattr(model, "state_dict"):
        from softunlearn.models.torch_files import write_module

        write_module(model, place / TENSORS)
    else:
        write_model(model, place / MODEL, trusted=trusted)


def _read_weights(path: Path) -> pd.DataFrame:
    """Return the table of weights: numbers alone, and not many more than the file has room for."""
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            table = pq.ParquetFile(
                file, thrift_string_size_limit=MAX_FOOTER, thrift_container_size_limit=MAX_FOOTER
            )
            numbers = all(t in (pa.int64(), pa.float64()) for t in table.schema_arrow.types)
            needed = 8 * table.metadata.num_rows * table.metadata.num_columns
            if not numbers:
                raise ValueError("a column holds no numbers")
            if needed > max(ALWAYS_BYTES, MAX_EXPANSION * size):
                raise ValueError(f"it would take {needed:,} bytes, from {size:,}")
            return table.read(use_threads=False).to_pandas(ignore_metadata=True)
        except Exception as error:  # a file by a stranger may raise anything in its reader
            raise FileError(
                f"{path} holds no table of weights ({_reason(error)}); {ANEW}."
            ) from error


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


def check_writable(directory: str | Path) -> None:
    """Raise FileError where a correction could not be saved; nothing is written.

    Raises
    ------
    FileError
        The place is a file, holds something else, or its parent cannot be written.
    """
    directory = _resolved(directory)
    try:
        if directory.exists():
            _check_replaceable(directory)
        parent = next(p for p in directory.parents if p.exists())
    except OSError as error:
        raise FileError(f"{directory} cannot be written: {_reason(error)}.") from error
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise FileError(f"{directory} cannot be written: {parent} is not a writable folder.")


def _check_replaceable(directory: Path) -> None:
    """Raise where a folder is neither empty nor an earlier correction's."""
    if not directory.is_dir():
        raise FileError(f"{directory} is a file; give a folder to write to.")
    here = sorted(directory.iterdir())
    ours = {MANIFEST, *FILES} if directory / MANIFEST in here else set()
    others = [p.name for p in here if p.name not in ours or not p.is_file()]
    if others:
        raise FileError(
            f"{directory} holds other files ({others[0]}, ...); give a new or empty folder."
        )


def _resolved(directory: str | Path) -> Path:
    """Return a folder's whole path."""
    try:
        return Path(directory).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or no path at all
        raise FileError(f"{str(directory)!r} cannot be a folder: {_reason(error)}.") from error


def _reason(error: BaseException) -> str:
    """Return why something failed, in one line: in the system's words where they are its own."""
    text = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    return text.split("\n")[0].rstrip(".")
