"""What the reader sees first: what happened, and what it did to rows that played no part in it.

The figures are those of the test rows, or of validation rows where there is no test.
"""

from dataclasses import dataclass
from typing import Any

from softunlearn.exceptions import Status
from softunlearn.report.numbers import fixed, part
from softunlearn.report.pairs import look_up
from softunlearn.report.plain import lower_first
from softunlearn.report.summary import Summary
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
    pair : dict
        Before, after, change, low and high.
    interval : list of float or None
        Of the figure itself, as the original model has it.
    verdict : str
        As `judge` gives it.
    split : str
        The rows it was measured on, "test" or "validation"; "" for what is not among the figures.
    is_target : bool, default=False
        Whether it is what was to be brought down.
    """

    title: str
    note: str
    pair: dict[str, Any]
    interval: list[float] | None
    verdict: str
    split: str
    is_target: bool = False


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
    elif status is Status.NOTHING_TO_CORRECT and len(summary["frontier"]) == 1:
        heading, kind = "Nothing to correct: the model is unchanged", "neutral"
    else:
        heading, kind = UNCHANGED.get(status, "The model is unchanged"), "neutral"
    return Verdict(heading, kind, split, _sentence(cards, split, changed), cards)


def judge(path: str, pair: dict[str, Any]) -> str:
    """Return what a figure's change is.

    "better" or "worse" only where its interval says so, "uncertain" where that holds zero,
    "same" where there is nothing to see, and "unknown" without a change or an interval.
    """
    change, low, high = pair["change"], pair["low"], pair["high"]
    if change is None:
        return "unknown"
    if abs(change) < UNSEEN:
        return "same"
    if low is None or high is None:
        return "unknown"
    if low <= 0 <= high:
        return "uncertain"
    return "better" if (change > 0) == path.endswith(HIGHER_IS_BETTER) else "worse"


def _of_a_changed_model(status: Status, cards: list[Card], split: str) -> tuple[str, str]:
    """Return heading and kind: good is what test rows confirm, at a small cost."""
    aimed = [card for card in cards if card.is_target]
    measured = [card for card in aimed if card.split == split]
    if any(card.verdict != "better" for card in measured):
        return f"The model was corrected, but the {split} rows do not confirm it", "warning"
    heading = CORRECTED.get(status, "The model was corrected")
    cost = -(_accuracy(cards).pair["change"] or 0.0)
    if status is not Status.CORRECTED or cost > COSTLY:
        return heading, "warning"
    confirmed = split == "test" and len(measured) == len(aimed)
    return heading, "good" if confirmed else "neutral"


def _cards(summary: Summary, split: str) -> list[Card]:
    """Return what was to be brought down, on labels too where it is one gap, accuracy and loss."""
    cards = [_target_card(summary, target, split) for target in summary["targets"]]
    label = summary["metric"]["label_figure"]
    if look_up(summary["figures"][split], label)["before"] is not None:
        robust = label.startswith("robustness.")
        title = "Adversarial accuracy" if robust else "Gap in predicted labels"
        note = "right on perturbed rows" if robust else "the same gap, of yes-or-no decisions"
        cards.append(_card(summary, title, note, label, split))
    cards.append(_card(summary, "Accuracy", "higher is better", "accuracy", split))
    if "log_loss" not in [target["figure"] for target in summary["targets"]]:
        cards.append(_card(summary, "Log loss", "mean, lower is better", "log_loss", split))
    return cards


def _target_card(summary: Summary, target: dict[str, Any], split: str) -> Card:
    """Return a target on these rows, or on those that decide if it is not among the figures."""
    path = target["figure"]
    if look_up(summary["figures"][split], path)["before"] is not None:
        return _card(summary, target["title"], "lower is better", path, split, is_target=True)
    pair, own = target["validation"], target["rows"] == "own"
    note = "measured on rows of its own" if own else "measured on validation rows"
    where = "" if path is None else "validation"
    return Card(target["title"], note, pair, None, judge("", pair), where, is_target=True)


def _card(
    summary: Summary, title: str, note: str, path: str, split: str, *, is_target: bool = False
) -> Card:
    figures = summary["figures"][split]
    pair = look_up(figures, path)
    interval = figures["intervals"].get(path, {}).get("before")
    return Card(title, note, pair, interval, judge(path, pair), split, is_target)


def _accuracy(cards: list[Card]) -> Card:
    return next(card for card in cards if card.title == "Accuracy")


def _sentence(cards: list[Card], split: str, changed: bool) -> str:
    """Return the targets that were measured on these rows, and accuracy, in one sentence."""
    if not changed:
        return "the figures are those of the original model."
    aimed = [card for card in cards if card.is_target and card.split == split]
    accuracy = f"accuracy {_moved(_accuracy(cards))}."
    return "; ".join([*(f"the {lower_first(c.title)} {_moved(c, True)}" for c in aimed), accuracy])


def _moved(card: Card, in_parts: bool = False) -> str:
    """Return by how much a figure changes, in percent of what it was where asked for."""
    before, change = card.pair["before"], card.pair["change"]
    if before is None or change is None:
        return "could not be measured"
    if abs(change) < UNSEEN:
        return f"stays at {fixed(before)}"
    size = part(abs(change), before) if in_parts and before > 0 else fixed(abs(change))
    doubt = ", which is not certain" if card.verdict == "uncertain" else ""
    return f"{'falls' if change < 0 else 'rises'} by {size}{doubt}"
