"""What was to be brought down and what was held: in words, and where it is among the figures.

A metric is among the figures where one of them has its values, before and after: a gap of one
column among several, or a metric on rows of its own, is not.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import isclose
from typing import TYPE_CHECKING, Any

from softunlearn.adversary import Adversary
from softunlearn.metrics import Target
from softunlearn.metrics.metric import Aim, name_of
from softunlearn.report.pairs import look_up, pair
from softunlearn.report.words import ALIASES, METRICS, MetricWords

if TYPE_CHECKING:
    from softunlearn.correction import Correction
    from softunlearn.goal import Measured
    from softunlearn.paths import Point

SAME = 1e-9
"""Relative difference within which a split's figure is the metric that was corrected."""


def targets(correction: "Correction", validation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every target: name, words, place among the figures, value before and after."""
    start, end = (found.metrics for found in _on_validation(correction))
    aims = correction.session.start.goal.targets
    names = correction.session.names
    found = _aims(correction, aims, start, end, validation)
    if len(names) == len(found):
        found = [{**one, "name": name} for one, name in zip(found, names, strict=True)]
    return found


def held(correction: "Correction", validation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the same of every metric that was not to rise."""
    start, end = (found.held for found in _on_validation(correction))
    return _aims(correction, correction.session.start.goal.held, start, end, validation)


def together(correction: "Correction", each: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all targets as one metric: the only one, or the largest part that is left."""
    if len(each) == 1:
        return each[0]
    titles, goal = ", ".join(one["title"] for one in each), correction.session.start.goal
    before, after = _on_validation(correction)
    return {
        "name": correction.target,
        "title": "Combined metric",
        "meaning": f"the largest of {titles}, each in parts of what it was; 1 is the original",
        "figure": None,
        "label_figure": None,
        "rows": "validation",
        "validation": pair(goal.metric(before.metrics), goal.metric(after.metrics)),
    }


def _on_validation(correction: "Correction") -> "tuple[Point | Measured, Point | Measured]":
    """Return the original and what was chosen, as validation rows measure them."""
    start = correction.session.start
    if start.judge is None:
        return correction.frontier[0], correction.point
    return start.goal.start, start.goal.measure(correction.point.head)


def _aims(
    correction: "Correction",
    aims: tuple[Aim, ...],
    start: tuple[float, ...],
    end: tuple[float, ...],
    validation: dict[str, Any],
) -> list[dict[str, Any]]:
    goal, found = correction.session.start.goal, []
    for aim, before, after in zip(aims, start, end, strict=True):
        name, words = _words(correction, aim)
        here = pair(before, after)
        figure, label = _place(correction, aim, words, here, validation)
        own = isinstance(aim, Target) and aim.rows.X is not goal.validation.X
        found.append(
            {
                "name": name,
                "title": f"{words.title} on rows of its own" if own else words.title,
                "meaning": words.meaning,
                "figure": figure,
                "label_figure": label,
                "rows": "own" if own else "validation",
                "validation": here if figure is None else look_up(validation, figure),
            }
        )
    return found


def _words(correction: "Correction", aim: Aim) -> tuple[str, MetricWords]:
    """Return what an aim is called, by name and in words."""
    if isinstance(aim, Adversary):
        name = "adaptive_loss" if aim.against is None else "adversarial_loss"
        return name, METRICS[name]
    called = name_of(aim.metric)
    name = ALIASES.get(called, called)
    own = MetricWords(name.replace("_", " "), "a metric of your own; smaller is better")
    words, by = METRICS.get(name, own), getattr(aim.metric, "by", None)
    coding = correction.session.coding
    if by is None or coding is None:
        return name, words
    column = coding.of(by).by
    which = f" by {column}".replace(".", "_")
    figure, label = (
        path and path.replace(f".{name}.", f".{name}{which}.")
        for path in (words.figure, words.label_figure)
    )
    title = f"{words.title} by {column}"
    own = replace(words, title=title, figure=figure, label_figure=label)
    return f"{name} by {column}", own if len(coding.columns) > 1 else replace(words, title=title)


def _place(
    correction: "Correction",
    aim: Aim,
    words: MetricWords,
    value: dict[str, Any],
    validation: dict[str, Any],
) -> tuple[str | None, str | None]:
    """Return the paths of the figure that has the aim's values, and of its form on labels."""
    for figure, label in _candidates(correction, aim, words):
        found = look_up(validation, figure)
        if all(_same(found[when], value[when]) for when in ("before", "after")):
            return figure, label
    return None, None


def _candidates(
    correction: "Correction", aim: Aim, words: MetricWords
) -> Iterator[tuple[str, str | None]]:
    if isinstance(aim, Adversary):
        protocol = "adaptive" if aim.against is None else "transfer"
        for attack in correction.session.evaluator.attacks:
            path = f"robustness.{attack}.{protocol}"
            yield f"{path}.loss", f"{path}.accuracy"
    elif words.figure is not None:
        yield words.figure, words.label_figure


def _same(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and isclose(a, b, rel_tol=SAME)
