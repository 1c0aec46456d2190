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
    ),
    "adaptive_loss": MetricWords(
        "Adaptive adversarial loss",
        "the average loss (log loss, in nats) on rows that are perturbed anew to fool the model "
        "that is measured; the lower it is, the less can be had by attacking it",
    ),
    "log_loss": MetricWords(
        "Log loss",
        "how badly the model predicts the observed classes, in nats; 0 is perfect",
        "log_loss",
    ),
}
"""The metrics that have a name. Where the loss under an attack is found depends on the attack."""

ALIASES = {
    "DemographicParity": "demographic_parity",
    "EqualOpportunity": "equal_opportunity",
    "EqualizedOdds": "equalized_odds",
    "LogLoss": "log_loss",
}
"""The classes behind those names."""

GAP_KINDS = {
    "probabilities": "on predicted probabilities",
    "labels": "on predicted labels",
    "loss": "on the loss",
}
"""Each gap is measured three times."""

PROTOCOLS = {
    "transfer": "Rows perturbed once, against the original model; both models are given the same.",
    "adaptive": "Rows perturbed anew, against the model that is measured: what an attacker who "
    "knows it can do.",
}
"""Against which model an attack is made."""

FLIPS = "boundary"
"""The attack without a budget, as the figures call it: it crosses whatever boundary there is."""

ATTACKS = {
    FLIPS: (
        "Boundary attack",
        "every row is moved across the nearest decision boundary, however far that is",
    ),
    "l2_ball": (
        "Within an l2 ball",
        "one step of a limited Euclidean length up the loss: for two classes and a linear last "
        "layer the worst that there is",
    ),
    "linf_ball": (
        "Within an l\N{INFINITY} ball",
        "one step up the loss that changes no feature by more than the limit: for two classes and "
        "a linear last layer the worst that there is",
    ),
}
"""The attacks that have a name of their own: titles, and what they do."""

_PARTS = {"l2": "l2", "linf": "l\N{INFINITY}", "inputs": "on inputs"}

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


def attack_words(name: str) -> tuple[str, str]:
    """Return an attack's title, and what it does where that is known.

    Examples
    --------
    >>> attack_words("pgd_l2_inputs")[0], attack_words("boundary")[0]
    ('PGD, l2, on inputs', 'Boundary attack')
    """
    if name in ATTACKS:
        return ATTACKS[name]
    first, *others = name.split("_")
    words = [first.upper() if first in ("fgsm", "pgd") else first]
    words += [_PARTS.get(other, other) for other in others]
    return ", ".join(words), "steps up the loss, within a ball around each row"
