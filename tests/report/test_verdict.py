import copy

import pytest

from softunlearn.report import summarise
from softunlearn.report.verdict import judge, verdict


def test_cards_are_of_the_test_rows(corrected):
    first = verdict(summarise(corrected))
    assert first.split == "test"
    gap = corrected.after.test.gaps["demographic_parity"]
    accuracy = corrected.after.test.accuracy
    assert [card.pair["after"] for card in first.cards[:3]] == [
        gap.probabilities,
        gap.labels,
        accuracy,
    ]


def test_without_test_rows_the_cards_are_of_validation_rows(unchanged):
    first = verdict(summarise(unchanged))
    assert first.split == "validation"
    assert (
        first.cards[0].pair["after"]
        == unchanged.before.validation.gaps["demographic_parity"].probabilities
    )
    assert first.kind == "neutral"


def confirmed(summary):
    """The summary, with an accuracy that cost nothing."""
    summary = copy.deepcopy(summary)
    summary["figures"]["test"]["accuracy"]["change"] = 0.0
    return summary, summary["figures"]["test"]["gaps"]["demographic_parity"]["probabilities"]


def test_green_is_what_the_interval_of_test_rows_says(corrected):
    summary, gap = confirmed(summarise(corrected))
    assert gap["high"] < 0
    assert verdict(summary).kind == "good"


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [(0.1, 0.05, 0.15), (-0.1, -0.3, 0.01), (-0.1, None, None)],
    ids=["rose", "not certain", "no interval"],
)
def test_test_rows_that_do_not_confirm_are_said_so(corrected, change, low, high):
    summary, gap = confirmed(summarise(corrected))
    gap |= {"change": change, "low": low, "high": high}
    first = verdict(summary)
    assert "do not confirm" in first.heading
    assert first.kind == "warning"


def test_without_test_rows_nothing_is_green(corrected):
    summary, _ = confirmed(summarise(corrected))
    del summary["figures"]["test"]
    summary["figures"]["validation"]["accuracy"]["change"] = 0.0
    assert verdict(summary).kind == "neutral"


def test_a_target_that_test_rows_do_not_show_takes_the_green(several):
    summary = summarise(several)
    summary["targets"][0]["figure"] = None
    summary["figures"]["test"]["accuracy"]["change"] = 0.0
    first = verdict(summary)
    assert [card.title for card in first.cards if card.is_target] == [
        "Demographic parity gap by sex",
        "Adaptive adversarial loss",
    ]
    assert first.cards[0].note == "measured on validation rows"
    assert first.kind == "neutral"


def test_nothing_to_correct_is_said_at_the_top(noise, corrected):
    assert verdict(summarise(noise)).heading == "Nothing to correct: the model is unchanged"
    chosen = verdict(summarise(corrected.at(0)))  # there was something, and it was not taken
    assert chosen.heading == "The model is unchanged"


def test_metric_not_measured_on_test_rows_is_left_out_of_their_sentence(groupless_test):
    first = verdict(summarise(groupless_test))
    assert first.cards[0].split == "validation"
    assert "parity" not in first.sentence
    assert "accuracy" in first.sentence


def pair(change, low, high):
    return {"change": change, "low": low, "high": high}


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("accuracy", pair(0.01, 0.005, 0.015), "better"),
        ("accuracy", pair(-0.01, -0.015, -0.005), "worse"),
        ("robustness.boundary.transfer.accuracy", pair(0.01, 0.005, 0.015), "better"),
        ("log_loss", pair(0.01, 0.005, 0.015), "worse"),
        ("log_loss", pair(0.01, -0.005, 0.025), "uncertain"),
        ("gaps.equalized_odds.labels", pair(-0.01, -0.02, -0.001), "better"),
        ("gaps.equalized_odds.labels", pair(-0.01, -0.02, 0.0), "uncertain"),
        ("log_loss", pair(0.00001, 0.000001, 0.00002), "same"),
        ("log_loss", pair(0.1, None, None), "unknown"),
        ("log_loss", pair(None, None, None), "unknown"),
    ],
)
def test_a_change_is_judged_only_where_its_interval_excludes_zero(path, change, expected):
    assert judge(path, change) == expected
