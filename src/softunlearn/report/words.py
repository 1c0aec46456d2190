"""What the figures are called, and what they mean to somebody who has not read the paper."""

from dataclasses import dataclass

from softunlearn.exceptions import Status


@dataclass(frozen=True)
class MetricWords:
    """A metric in words.

    Parameters
    ----------
    title, meaning : str
    figure : str or None
        Where a split's figures hold it, as keys joined by dots.
    label_figure : str or None
        The same metric on predicted labels.
    """

    title: str
    meaning: str
    figure: str | None = None
    label_figure: str | None = None


METRICS = {
    "demographic_parity": MetricWords(
        "Demographic parity gap",
        "how far apart the groups are in their average predicted probability of the positive "
        "class; at 0 every group is given it equally often",
        "gaps.demographic_parity.probabilities",
        "gaps.demographic_parity.labels",
    ),
    "equal_opportunity": MetricWords(
        "Equal opportunity gap",
        "how far apart the groups are in the average loss (log loss, in nats) of rows that truly "
        "are positive; at 0 the model recognises them equally well in every group",
        "gaps.equal_opportunity.loss",
        "gaps.equal_opportunity.labels",
    ),
    "equalized_odds": MetricWords(
        "Equalized odds gap",
        "the larger of two differences between groups in average predicted probability: among "
        "rows that truly are positive, and among the others",
        "gaps.equalized_odds.probabilities",
        "gaps.equalized_odds.labels",
    ),
    "adversarial_loss": MetricWords(
        "Adversarial loss",
        "the average loss (log loss, in nats) on rows that were perturbed to fool the original "
        "model; the lower it is, the less the same rows fool the corrected one",
        "adversarial.loss",
        "adversarial.accuracy",
    ),
}
"""The metrics that a string names."""

ALIASES = {
    "DemographicParity": "demographic_parity",
    "EqualOpportunity": "equal_opportunity",
    "EqualizedOdds": "equalized_odds",
}
"""The classes behind those names."""

GAP_KINDS = {
    "probabilities": "on predicted probabilities",
    "labels": "on predicted labels",
    "loss": "on the loss",
}
"""Each gap is measured three times."""

TRANSFER = (
    "The rows were perturbed once, against the original model, and the same perturbed rows are "
    "given to the corrected one (transfer). An attacker who knows the corrected model could do "
    "more."
)

CORRECTED = {
    Status.TARGET_OUT_OF_REACH: "The model was corrected, but the target is out of reach",
}
"""Headings of a changed model, where it was not simply corrected."""

UNCHANGED = {
    Status.NO_PARETO_DIRECTION: "The model is unchanged: there is no correction free of cost",
    Status.UTILITY_WOULD_SUFFER: "The model is unchanged: every correction costs too much",
    Status.AUDITED: "An audit: nothing was changed",
}
"""Headings of a model left as it was, where there is more to say."""

CONDITIONS = {
    "independent_gradients": (
        "Metric and utility do not pull along one line",
        "If lowering the metric and lowering the loss were the same change of the model, or "
        "opposite ones, there would be nothing to choose between.",
    ),
    "positive_definite_curvature": (
        "The training loss has one lowest point",
        "Then the effect of re-weighting a row is well defined. Where it fails, a little "
        "damping is added, and influences are less exact.",
    ),
    "full_rank_gradients": (
        "Re-weighting rows can move every parameter",
        "It fails where some features are combinations of others, as 0/1 columns that add up "
        "to one are. The correction may work all the same: the condition is sufficient, "
        "not necessary.",
    ),
}
"""Theorem 1's conditions: what holds, and why it matters."""


def metric_words(name: str, attack: str) -> MetricWords:
    """Return a metric in words; `attack` is the name of the attack that was evaluated."""
    name = "adversarial_loss" if name == attack else ALIASES.get(name, name)
    title = name.replace("_", " ")
    return METRICS.get(name, MetricWords(title, "a metric of your own; smaller is better"))
