"""A correction in MLflow: its figures as metrics, its settings as parameters, its files.

MLflow is imported when it is asked for, and is no dependency. Where it keeps things is its own
matter: MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, or its `set_...` functions.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softunlearn.report import summarise
from softunlearn.saving import save

if TYPE_CHECKING:
    from softunlearn.correction import Correction

ARTEFACTS = "correction"
"""The folder of a run that holds the files, as `Correction.save` writes them."""

_NOT_IN_A_NAME = re.compile(r"[^\w\-. :/]")

_LONGEST_NAME, _LONGEST_VALUE = 250, 500


def check_installed() -> None:
    """Raise where MLflow is not there, before anything else is done.

    Raises
    ------
    ImportError
        It is not installed.
    """
    if find_spec("mlflow") is None:
        raise ImportError("MLflow is not installed: pip install mlflow (or mlflow-skinny).")


def log(correction: "Correction", *, trusted: Sequence[str] = ()) -> str:
    """Log a correction to the active run, or to a new one, and return the run's id.

    Parameters
    ----------
    correction : Correction
    trusted : sequence of str, optional
        As for `Correction.save`.

    Raises
    ------
    ImportError
        MLflow is not installed.
    """
    check_installed()
    import mlflow  # pyright: ignore[reportMissingImports]

    summary = summarise(correction)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / ARTEFACTS
        save(correction, place, trusted=trusted)
        active = mlflow.active_run()
        run = active or mlflow.start_run(run_name=_name(f"corrected {correction.target}"))
        try:
            mlflow.log_params(dict(_parameters(summary)))
            mlflow.log_metrics(dict(_metrics(summary)))
            mlflow.set_tag("softunlearn.status", summary["status"])
            mlflow.log_artifacts(str(place), artifact_path=ARTEFACTS)
        except BaseException:
            if active is None:
                mlflow.end_run("FAILED")
            raise
        if active is None:
            mlflow.end_run()
    return run.info.run_id


def _parameters(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was asked for, and of how many rows."""
    for what in ("algorithm", "scheme", "path"):
        thing = summary["settings"][what]
        yield what, thing["name"]
        for name, value in thing["parameters"].items():
            yield f"{what}.{name}", str(value)[:_LONGEST_VALUE]
    yield "target", ", ".join(one["name"] for one in summary["targets"])[:_LONGEST_VALUE]
    yield "point", str(next(p["index"] for p in summary["frontier"] if p["chosen"]))
    for split, n in summary["data"]["rows"].items():
        yield f"rows.{split}", str(n)
    yield "softunlearn", summary["versions"]["softunlearn"]


def _metrics(summary: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every figure, by split and path, before and after, with its change's interval."""
    for split, figures in summary["figures"].items():
        for path, pair in _pairs(figures, split):
            for key, value in pair.items():
                if value is not None:
                    yield _name(f"{path}.{key}"), value


def _pairs(figures: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pairs in nested figures; groups are in the files."""
    for key, value in figures.items():
        if key in ("groups", "intervals") or not isinstance(value, dict):
            continue
        if "before" in value:
            yield f"{path}.{key}", value
        else:
            yield from _pairs(value, f"{path}.{key}")


def _name(text: str) -> str:
    """Return a name of characters that MLflow takes."""
    return _NOT_IN_A_NAME.sub("_", text)[:_LONGEST_NAME]
