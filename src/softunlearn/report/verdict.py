"""What the reader sees first: what happened, and what it did to rows that played no part in it.

The figures are those of the test rows, or of validation rows where there is no test.
"""

from dataclasses import dataclass
from typing import Any

from softunlearn.exceptions import Status
from softunlearn.report.numbers import fixed, signed
from softunlearn.report.plain import lower_first
from softunlearn.report.summary import Summary, look_up
from softunlearn.report.words import CORRECTED, UNCHANGED

UNSEEN = 5e-5
"""Changes below it are not to be seen in four decimals."""

COSTLY = 0.01
"""Accuracy whose loss takes the green from the top of the page."""

HIGHER_IS_BETTER = ("accuracy",)
"""Last words of the paths of figures that should rise; all others should fall."""


@dataclass(frozen=True)
class Card:
    """One figure, in large.

    Parameters
    ----------
    title, note : str
    before, after, change : float or None
    verdict : str
        "better", "worse", "same" or "unknown".
    split : str
        The rows it was measured on.
    """

    title: str
    note: str
    before: float | None
    after: float | None
    change: float | None
    verdict: str
    split: str


@dataclass(frozen=True)
class Verdict:
    """The head of the page.

    Parameters
    ----------
    heading, kind : str
        What happened; "good", "warning" or "neutral".
    split : str
        The rows that the cards are of, "test" or "validation".
    sentence : str
        What the cards say, in words.
    cards : list of Card
    """

    heading: str
    kind: str
    split: str
    sentence: str
    cards: list[Card]


def verdict(summary: Summary) -> Verdict:
    """Return the head of the page."""
    split = "test" if "test" in summary["figures"] else "validation"
    status, changed = Status(summary["status"]), summary["changed"]
    cards = _cards(summary, split)
    if changed:
        heading, kind = _of_a_changed_model(status, cards, split)
    else:
        heading, kind = UNCHANGED.get(status, "The model is unchanged"), "neutral"
    return Verdict(heading, kind, split, _sentence(cards, split, changed), cards)


def judge(path: str, change: float | None) -> str:
    """Return whether a figure's change is "better", "worse", "same" or "unknown"."""
    if change is None:
        return "unknown"
    if abs(change) < UNSEEN:
        return "same"
    return "better" if (change > 0) == path.endswith(HIGHER_IS_BETTER) else "worse"


def _of_a_changed_model(status: Status, cards: list[Card], split: str) -> tuple[str, str]:
    """Return heading and kind: good is what other rows confirm, at a small cost."""
    metric, cost = cards[0], -(_accuracy(cards).change or 0.0)
    if metric.split == split and metric.verdict != "better":
        return f"The model was corrected, but the {split} rows do not confirm it", "warning"
    good = status is Status.CORRECTED and cost <= COSTLY
    return CORRECTED.get(status, "The model was corrected"), "good" if good else "warning"


def _cards(summary: Summary, split: str) -> list[Card]:
    """Return the metric, the metric on labels where there is one, accuracy and loss."""
    metric, figures = summary["metric"], summary["figures"][split]
    path, label = metric["figure"], metric["label_figure"]
    pair, where, note = look_up(figures, path), split, "lower is better"
    if pair["before"] is None:
        pair, where, note = metric["validation"], "validation", "measured on validation rows"
    cards = [_card(metric["title"], note, "metric", pair, where)]
    if look_up(figures, label)["before"] is not None:
        robust = label == "adversarial.accuracy"
        title = "Adversarial accuracy" if robust else "Gap in predicted labels"
        note = "right on perturbed rows" if robust else "the same gap, of yes-or-no decisions"
        cards.append(_card(title, note, label, look_up(figures, label), split))
    for title, note, path in (
        ("Accuracy", "higher is better", "accuracy"),
        ("Log loss", "mean, lower is better", "log_loss"),
    ):
        cards.append(_card(title, note, path, figures[path], split))
    return cards


def _card(title: str, note: str, path: str, pair: dict[str, Any], split: str) -> Card:
    return Card(title, note, **pair, verdict=judge(path, pair["change"]), split=split)


def _accuracy(cards: list[Card]) -> Card:
    return next(card for card in cards if card.title == "Accuracy")


def _sentence(cards: list[Card], split: str, changed: bool) -> str:
    """Return the metric, where it was measured on these rows, and accuracy in one sentence."""
    if not changed:
        return "the figures are those of the original model."
    accuracy = f"accuracy {_moved(_accuracy(cards))}."
    if cards[0].split != split:
        return accuracy
    return f"the {lower_first(cards[0].title)} {_moved(cards[0])}{_relative(cards[0])}; {accuracy}"


def _relative(card: Card) -> str:
    if not card.before or not card.change or abs(card.change) < UNSEEN:
        return ""
    return f" ({signed(100 * card.change / card.before, 0)} %)"


def _moved(card: Card) -> str:
    if card.before is None or card.after is None or card.change is None:
        return "could not be measured"
    if abs(card.change) < UNSEEN:
        return f"stays at {fixed(card.after)}"
    verb = "falls" if card.change < 0 else "rises"
    return f"{verb} from {fixed(card.before)} to {fixed(card.after)}"
