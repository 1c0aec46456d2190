"""The page of results: what we make of them, and every table beside the paper's own figures.

The words are in `page.md.jinja`, the tables are made in `shown`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.comparison import FAILS, HOLDS, NOISE
from benchmarks.paper.kept import Job, commit, versions
from benchmarks.paper.published import STEP_2_SHARE
from benchmarks.paper.setting import DATA, EXTREMES
from benchmarks.paper.shown import (
    figure1,
    figure2,
    figure3,
    reversals,
    runtimes,
    theorem1,
    weights,
)
from jinja2 import Environment, StrictUndefined

TEMPLATE = Path(__file__).with_name("page.md.jinja")


def results_of(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the results of an experiment's jobs, by the end of their names."""
    return {job.name.partition("/")[2]: job.run() for job in jobs}


def text(results: dict[str, dict[str, Any]]) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    results : dict of str to dict
        Of each experiment, what `results_of` returns.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        records=_records(results),
        commit=commit(),
        versions=versions(),
        marks=(HOLDS, NOISE, FAILS),
        data=DATA,
        extremes=EXTREMES,
        step_2_share=STEP_2_SHARE,
        shown={
            "figure1": figure1,
            "figure2": figure2,
            "figure3": figure3,
            "reversals": reversals,
            "runtimes": runtimes,
            "theorem1": theorem1,
            "weights": weights,
        },
    )


def draw(results: dict[str, dict[str, Any]]) -> None:
    """Draw every figure."""
    figure1.draw(results["figure1"])
    figure3.draw(results["figure3"])
    weights.draw(results["weights"])
    for chosen in figure2.CHOICES:
        figure2.draw(_records(results), chosen)


def _records(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for found in results["figure2"].values() for record in found]
