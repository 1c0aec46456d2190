import copy

import pytest

from softunlearn.report import summarise
from softunlearn.report.verdict import judge, verdict


def test_cards_are_of_the_test_rows(corrected):
    first = verdict(summarise(corrected))
    assert first.split == "test"
    gap = corrected.after.test.gaps["demographic_parity"]
    accuracy = corrected.after.test.accuracy
    assert [card.after for card in first.cards[:3]] == [gap.probabilities, gap.labels, accuracy]


def test_without_test_rows_the_cards_are_of_validation_rows(unchanged):
    first = verdict(summarise(unchanged))
    assert first.split == "validation"
    assert (
        first.cards[0].after
        == unchanged.before.validation.gaps["demographic_parity"].probabilities
    )
    assert first.kind == "neutral"


def test_test_rows_that_do_not_confirm_are_said_so(corrected):
    summary = copy.deepcopy(summarise(corrected))
    summary["figures"]["test"]["gaps"]["demographic_parity"]["probabilities"]["change"] = 0.1
    first = verdict(summary)
    assert "do not confirm" in first.heading
    assert first.kind == "warning"


def test_metric_not_measured_on_test_rows_is_left_out_of_their_sentence(groupless_test):
    first = verdict(summarise(groupless_test))
    assert first.cards[0].split == "validation"
    assert "parity" not in first.sentence
    assert "accuracy" in first.sentence


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("accuracy", 0.01, "better"),
        ("accuracy", -0.01, "worse"),
        ("adversarial.accuracy", 0.01, "better"),
        ("log_loss", 0.01, "worse"),
        ("gaps.equalized_odds.labels", -0.01, "better"),
        ("log_loss", 0.00001, "same"),
        ("log_loss", None, "unknown"),
    ],
)
def test_change_is_judged_by_what_the_figure_should_do(path, change, expected):
    assert judge(path, change) == expected
