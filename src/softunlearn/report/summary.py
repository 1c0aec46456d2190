"""A correction as a plain dict: what the page shows and what `metrics.json` holds.

Figures are copied from the correction, never measured again. A figure that exists before and after
is a dict with "before", "after" and "change".
"""

from collections.abc import Sequence
from math import isclose
from typing import TYPE_CHECKING, Any

from softunlearn.evaluation import Figures
from softunlearn.report.background import conditions, data, settings, solver, versions
from softunlearn.report.distributions import influences, weights
from softunlearn.report.plain import cell, plain
from softunlearn.report.rows_shown import rows_at_the_ends
from softunlearn.report.words import metric_words

if TYPE_CHECKING:
    from softunlearn.correction import Correction

FORMAT = 1
"""Version of the dict's layout; it changes when a key is renamed or means something else."""

SAME = 1e-9
"""Relative difference within which a split's figure is the metric that was corrected."""

Summary = dict[str, Any]


def summarise(correction: "Correction") -> Summary:
    """Return everything a report says, as str, int, float, bool, None, lists and dicts of them.

    Parameters
    ----------
    correction : Correction

    Returns
    -------
    dict
        NaN and infinity are None. The keys:

        format
            1; the version of this layout.
        status, message, changed
            What happened, in a word and in words; whether the model is another than before.
        metric
            What was to be brought down: `name`, `title`, `meaning`; `validation`, its value before
            and after on validation rows; `figure` and `label_figure`, where `figures[split]` holds
            it (keys joined by dots; None for a metric that is not among the figures).
        settings
            `algorithm`, `scheme` and `attack`, each `name` and `parameters`; the attack also
            `protocol` ("transfer") and `explanation`; `budget`, the largest predicted fall.
        data
            `rows` by split, `inputs` of the head, `parameters`, `classes`, `positive_class`
            (None where there is none), `groups`.
        figures
            By split ("train", "validation" and, where given, "test"): `rows`, `accuracy`,
            `log_loss` (mean, nats), `gaps[name][kind]` with kind "probabilities", "labels" or
            "loss" (max - min over groups), `adversarial.loss`, `adversarial.accuracy` and
            `groups`, a list of `name`, `rows`, `accuracy`, `positive_rate`, `mean_probability`.
        frontier
            The points walked, on validation rows, the original model first: `index`, `step` (part
            of the budget), `metric`, `predicted`, `accuracy`, `log_loss`, `changed_rows`,
            `chosen`.
        influence
            `target`, `utility` (of the summed validation log loss) and `leverage`, each `min`,
            `max`, `quantiles`; negative: the row harms. `quadrants`, rows by what they do to both;
            `harmful_rows`, and of these `harmful_rows_that_help_utility`;
            `rows_with_half_of_the_harm`; `rows_of_high_leverage`.
        weights
            Of the weight changes eps (a row then counts 1 + eps times): `min`, `max`, `quantiles`,
            and the numbers of rows `up`, `down`, `unchanged`, `removed` (eps = -1) and
            `below_zero` (eps < -1).
        rows
            `most_harmful` and `most_helpful`, the ten at each end: `row` (position from 0),
            `label`, `group`, `target_influence`, `utility_influence`, `leverage`,
            `weight_change`, `weight`, `values` (a list of `name` and `value`); `features`, and
            `features_shown` of them.
        conditions
            Theorem 1's: `hold` and a list `each` of `name`, `title`, `meaning`, `measured` and
            `holds` (None: not measured).
        solver
            `residual`, `damping`, `condition_number` and `stationarity` (relative gradient norm of
            training; 0: trained to the optimum).
        timings
            Seconds by step.
        versions
            Of softunlearn, Python and what computes.
    """
    figures = {
        name: _figures(before, after)
        for (name, before), (_, after) in zip(
            correction.before.items(), correction.after.items(), strict=True
        )
    }
    return plain(
        {
            "format": FORMAT,
            "status": str(correction.status),
            "message": correction.message,
            "changed": correction.chosen != 0,
            "metric": _metric(correction, figures["validation"]),
            "settings": settings(correction),
            "data": data(correction),
            "figures": figures,
            "frontier": _frontier(correction),
            "influence": influences(correction.influence),
            "weights": weights(correction.weights),
            "rows": rows_at_the_ends(correction),
            "conditions": conditions(correction.conditions),
            "solver": solver(correction),
            "timings": dict(correction.timings),
            "versions": versions(),
        }
    )


def look_up(figures: dict[str, Any], path: str | None) -> dict[str, Any]:
    """Return the pair that a path such as "gaps.demographic_parity.labels" names in a split.

    A pair of None where the split has no such figure.
    """
    found: Any = figures
    for key in (path or "").split("."):
        found = found.get(key, {})
    return found or {"before": None, "after": None, "change": None}


def _pair(before: float, after: float) -> dict[str, float]:
    return {"before": before, "after": after, "change": after - before}


def _pairs(before: Any, after: Any, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return pairs of the named fields of two records."""
    return {name: _pair(getattr(before, name), getattr(after, name)) for name in names}


def _figures(before: Figures, after: Figures) -> dict[str, Any]:
    kinds = ("probabilities", "labels", "loss")
    rates = ("accuracy", "positive_rate", "mean_probability")
    return {
        "rows": before.rows,
        **_pairs(before, after, ("accuracy", "log_loss")),
        "gaps": {name: _pairs(gap, after.gaps[name], kinds) for name, gap in before.gaps.items()},
        "adversarial": {
            "loss": _pair(before.adversarial_loss, after.adversarial_loss),
            "accuracy": _pair(before.adversarial_accuracy, after.adversarial_accuracy),
        },
        "groups": [
            {"name": cell(was.name), "rows": was.rows, **_pairs(was, now, rates)}
            for was, now in zip(before.groups, after.groups, strict=True)
        ],
    }


def _metric(correction: "Correction", validation: dict[str, Any]) -> dict[str, Any]:
    """Return the target, with its place among the figures where the values say it is there."""
    evaluator = correction.session.evaluator
    words = metric_words(correction.target, type(evaluator.attacks[evaluator.attack]).__name__)
    before = correction.frontier[0].metric
    found = look_up(validation, words.figure)["before"]
    shown = found is not None and isclose(found, before, rel_tol=SAME)
    return {
        "name": correction.target,
        "title": words.title,
        "meaning": words.meaning,
        "figure": words.figure if shown else None,
        "label_figure": words.label_figure if shown else None,
        "validation": _pair(before, correction.frontier[correction.chosen].metric),
    }


def _frontier(correction: "Correction") -> list[dict[str, Any]]:
    names = ("step", "metric", "predicted", "accuracy", "log_loss", "changed_rows")
    return [
        {
            "index": i,
            **{name: getattr(point, name) for name in names},
            "chosen": i == correction.chosen,
        }
        for i, point in enumerate(correction.frontier)
    ]
