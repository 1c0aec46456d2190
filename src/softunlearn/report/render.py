"""The page: a summary and its figures through one template, and safely onto disk.

Autoescape is on for everything. Only the figures, the page's own style and its own script are
passed as markup, and whatever of the user's is in a figure was escaped where it was drawn. A
policy in the page's head lets a browser run and load nothing else.
"""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from softunlearn.report import plots, scatter
from softunlearn.report.numbers import between, fixed, part, signed, small, span, value
from softunlearn.report.plain import brief, lower_first
from softunlearn.report.rows_shown import host
from softunlearn.report.sealed import policy, sheet_of
from softunlearn.report.summary import Summary, summarise
from softunlearn.report.tables import (
    ROW_KINDS,
    Line,
    attack_lines,
    attacked,
    figure_lines,
    figure_panels,
    table_rows,
)
from softunlearn.report.verdict import verdict
from softunlearn.report.writing import write_whole

if TYPE_CHECKING:
    from softunlearn.correction import Correction


def render(correction: "Correction") -> str:
    """Return the report of a correction, one self-contained HTML page.

    The same correction gives the same page, to the letter.

    Parameters
    ----------
    correction : Correction

    Returns
    -------
    str

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> render(c).startswith("<!DOCTYPE html>")
    True
    """
    summary = summarise(correction)
    first = verdict(summary)
    split = _group_split(summary, first.split)
    drawn, points = _drawn(correction, summary, split)
    lines, robust = figure_lines(summary), attack_lines(summary)
    aimed = [target["figure"] or "" for target in summary["targets"]]
    drawn, sheet = sheet_of(drawn)
    style, script = f"{_own('page.css')}\n{sheet}\n", _own("page.js")
    rows = table_rows(summary)
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            summary=summary,
            splits=summary["figures"],
            verdict=first,
            plots={name: Markup(svg) for name, svg in drawn.items()},
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
            rows=rows,
            kinds_shown=_kinds(rows),
            points=points,
            group_split=split,
            group_rate=plots.group_rate(summary["figures"][split]["groups"]),
            lines=lines,
            caption=_caption("All figures", summary, lines),
            attack_lines=robust,
            attack_caption=_caption("Figures under attack", summary, robust),
            attacked=attacked(summary),
            under_attack=any(path.startswith("robustness.") for path in aimed),
            gaps_shown=any(path.startswith("gaps.") for path in aimed),
            heading=", ".join(lower_first(target["title"]) for target in summary["targets"]),
            metric=lower_first(summary["metric"]["title"]),
            n_train=summary["data"]["rows"]["train"],
        )
    )


def write_report(correction: "Correction", path: str | Path) -> None:
    """Write the report of a correction; a file that is there is replaced as a whole.

    Parameters
    ----------
    correction : Correction
    path : str or Path
        Of the file, in a folder that exists.

    Raises
    ------
    FileError
        The folder does not exist or cannot be written to, or the path is a folder's.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder, "report.html")
    ...     write_report(c, page)
    ...     page.stat().st_size > 10_000
    True
    """
    write_whole(path, lambda: render(correction))


def _drawn(correction: "Correction", summary: Summary, split: str) -> tuple[dict[str, str], int]:
    """Return the figures that there is something to show in, and the scatter's rows."""
    title = summary["metric"]["title"]
    a, u = host(correction.influence.target), host(correction.influence.utility)
    eps = host(correction.weights)
    drawn, points = {"splits": plots.panels(figure_panels(summary))}, 0
    if len(summary["frontier"]) > 1:
        drawn["frontier"] = plots.frontier(summary["frontier"], title, summary["frontier_rows"])
    if a.any():
        drawn["influence"], points = scatter.influences(a, u, eps, title)
    if eps.any():
        drawn["weights"] = plots.weights(eps)
    groups = summary["figures"][split]["groups"]
    if groups:
        drawn["groups"] = plots.group_rates(groups)
    return drawn, points


def _caption(title: str, summary: Summary, lines: list[Line]) -> str:
    """Return a table's caption, which says what its marked lines are."""
    when = " before and after" if summary["changed"] else ""
    marked = "; what was to be brought down is marked"
    return f"{title}{when}{marked if any(line.is_target for line in lines) else ''}"


def _group_split(summary: Summary, split: str) -> str:
    """Return the rows whose groups are shown: these, or the validation rows if they have none."""
    return split if summary["figures"][split]["groups"] else "validation"


def _kinds(rows: list[dict[str, Any]]) -> str:
    """Return the kinds that the table of rows can be filtered by, as its script reads them."""
    present = {kind for row in rows for kind in row["kinds"].split()}
    shown = [[kind, words] for kind, words in ROW_KINDS.items() if kind in present]
    return json.dumps([["", "all rows"], *shown])


@cache
def _own(name: str) -> str:
    """Return a file that belongs to the page."""
    return (files("softunlearn.report") / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    """Return the templates' environment, with the ways in which numbers are written."""
    environment = Environment(
        loader=PackageLoader("softunlearn.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "brief": brief,
        "count": lambda n: f"{n:,}",
        "fixed": fixed,
        "lower_first": lower_first,
        "part": part,
        "signed": signed,
        "small": small,
        "value": value,
    }
    environment.globals |= {"between": between, "span": span}
    return environment
