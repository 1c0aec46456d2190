"""A correction as a plain dict: what the page shows and what `metrics.json` holds.

Figures are copied from the correction, never measured again. A figure that exists before and after
is a dict with "before", "after" and "change", and "low" and "high", the change's 95 % interval.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from softunlearn.report.aims_shown import held, targets, together
from softunlearn.report.background import conditions, data, settings, solver, versions
from softunlearn.report.distributions import influences, weights
from softunlearn.report.pairs import split_figures
from softunlearn.report.plain import plain
from softunlearn.report.rows_shown import rows_shown

if TYPE_CHECKING:
    from softunlearn.correction import Correction

FORMAT = 2
"""Version of the dict's layout; it changes when a key is renamed or means something else."""

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
            2; the version of this layout.
        status, message, changed
            What happened, in a word and in words; whether the model is another than before.
        metric
            What was to be brought down: `name`, `title`, `meaning`; `validation`, its value before
            and after on the rows that decide, which are the `rows` "validation" or its "own";
            `figure` and `label_figure`, where `figures[split]` holds it (keys joined by dots; None
            for a metric that is not among the figures). Of several, the largest part that is left.
        targets, held
            Lists of the same: of each metric to be brought down, and of each that was not to rise.
        settings
            `algorithm`, `scheme` and `path`, each `name` and `parameters`; `attacks` by name, the
            correction's own first, each also `title`, `meaning` and `budget` (the radius; None
            without one); `protocols`, what "transfer" and "adaptive" mean; `held`, titles;
            `budget`, the largest predicted fall.
        data
            `rows` by split, `inputs` of the head, `parameters`, `classes`, `positive_class`
            (None where there is none), `groups`, `sensitive_columns`, and `pooled_groups`, the
            combinations of few rows that are one group.
        figures
            By split ("train", "validation" and, where given, "test"): `rows`, `accuracy`,
            `log_loss` (mean, nats), `gaps[name][kind]` with kind "probabilities", "labels" or
            "loss" (max - min over groups), `robustness[attack][protocol]` with protocol "transfer"
            or "adaptive", each `loss` and `accuracy` (none of training rows), and `groups`, a list
            of `name`, `rows`, `accuracy`, `positive_rate`, `mean_probability`, `intervals`. Every
            figure is `before`, `after`, `change`, `low` and `high`: the 95 % interval of the
            change, paired by row; None where there is none. `intervals` are those of the figures
            themselves, by path ("gaps.demographic_parity.labels"): `before` and `after`, each
            [low, high].
        frontier
            The points walked, the original model first: `index`, `step` (part of the way aimed
            at), `metric`, `predicted`, `metrics` and `held` (of each target, and each held),
            `accuracy`, `log_loss`, `accuracy_change` and `log_loss_change` (since the original:
            `value`, `low`, `high`), `changed_rows`, `chosen`.
        frontier_rows
            What they were measured on: "200 validation rows", or others that choose.
        influence
            `target`, `utility` (of the summed validation log loss) and `leverage`, each `min`,
            `max`, `quantiles`; negative: the row harms. `quadrants`, rows by what they do to both;
            `harmful_rows`, and of these `harmful_rows_that_help_utility`;
            `rows_with_half_of_the_harm`; `rows_of_high_leverage` (it and `leverage` None where the
            head is too wide for it). Of several targets the target
            influence is the sum, each in parts of its value.
        weights
            Of the weight changes eps (a row then counts 1 + eps times): `min`, `max`, `quantiles`,
            and the numbers of rows `up`, `down`, `unchanged`, `removed` (eps = -1) and
            `below_zero` (eps < -1).
        rows
            `most_harmful` and `most_helpful`, the 25 at each end, and `high_leverage`, the 25
            highest above 0.5: `row` (position from 0), `label`, `group`, `target_influence`,
            `utility_influence`, `leverage`, `weight_change`, `weight`, `values` (a list of `name`
            and `value`); `features`, and `features_shown` of them.
        conditions
            Theorem 1's: `hold` and a list `each` of `name`, `title`, `meaning`, `measured` and
            `holds` (None: not measured).
        solver
            `name`, `iterations` (products with the Hessian; 0 of a dense factor), `residual`,
            `damping`, `condition_number` and `stationarity` (relative gradient norm of
            training; 0: trained to the optimum).
        timings
            Seconds by step.
        versions
            Of softunlearn, Python and what computes.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> summary = summarise(c)
    >>> summary["status"], summary["data"]["groups"], len(summary["frontier"]) == len(c.frontier)
    ('CORRECTED', ['Female', 'Male'], True)
    """
    figures = _figures(correction)
    each = targets(correction, figures["validation"])
    kept = held(correction, figures["validation"])
    return plain(
        {
            "format": FORMAT,
            "status": str(correction.status),
            "message": correction.message,
            "changed": correction.chosen != 0,
            "metric": together(correction, each),
            "targets": each,
            "held": kept,
            "settings": {**settings(correction), "held": [one["title"] for one in kept]},
            "data": data(correction),
            "figures": figures,
            "frontier": _frontier(correction),
            "frontier_rows": _frontier_rows(correction),
            "influence": influences(correction.influence),
            "weights": weights(correction.weights),
            "rows": rows_shown(correction),
            "conditions": conditions(correction.conditions),
            "solver": solver(correction),
            "timings": correction.timings,
            "versions": versions(),
        }
    )


def _figures(correction: "Correction") -> dict[str, Any]:
    """Return the figures of every split, in pairs."""
    after, changes = dict(correction.after.items()), dict(correction.change.items())
    return {
        name: split_figures(before, after[name], changes[name])
        for name, before in correction.before.items()
    }


def _frontier_rows(correction: "Correction") -> str:
    start = correction.session.start
    return f"{len((start.judge or start.goal).validation):,} {correction.frontier.rows}"


def _frontier(correction: "Correction") -> list[dict[str, Any]]:
    names = ("step", "metric", "predicted", "metrics", "held", "accuracy", "log_loss")
    return [
        {
            "index": i,
            **{name: getattr(point, name) for name in names},
            "accuracy_change": asdict(point.accuracy_change),
            "log_loss_change": asdict(point.log_loss_change),
            "changed_rows": point.changed_rows,
            "chosen": i == correction.chosen,
        }
        for i, point in enumerate(correction.frontier)
    ]
