import json

import numpy as np
import pytest

from softunlearn.report import FORMAT, summarise


def test_every_summary_survives_json(any_correction):
    summary = summarise(any_correction)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["format"] == FORMAT


def test_keys_are_those_documented(corrected):
    summary = summarise(corrected)
    documented = summarise.__doc__
    assert documented is not None
    assert all(key in documented for key in summary)


def test_figures_are_those_of_the_correction(corrected):
    figures = summarise(corrected)["figures"]
    assert list(figures) == ["train", "validation", "test"]
    before, after = corrected.before.test, corrected.after.test
    shown = figures["test"]
    assert shown["accuracy"] == {
        "before": before.accuracy,
        "after": after.accuracy,
        "change": after.accuracy - before.accuracy,
    }
    for name, gap in after.gaps.items():
        for kind in ("probabilities", "labels", "loss"):
            assert shown["gaps"][name][kind]["after"] == getattr(gap, kind)
    assert shown["adversarial"]["loss"]["before"] == before.adversarial_loss
    assert [group["rows"] for group in shown["groups"]] == [group.rows for group in before.groups]


def test_frontier_marks_the_chosen_point(corrected):
    points = summarise(corrected)["frontier"]
    assert len(points) == len(corrected.frontier)
    assert [p["index"] for p in points if p["chosen"]] == [corrected.chosen]
    assert [p["metric"] for p in points] == [p.metric for p in corrected.frontier]


def test_quadrants_count_every_row_once(corrected):
    influence = summarise(corrected)["influence"]
    assert sum(influence["quadrants"].values()) == len(corrected.weights)
    a, u = corrected.influence.target, corrected.influence.utility
    assert influence["harmful_rows"] == (a < 0).sum()
    assert influence["harmful_rows_that_help_utility"] == ((a < 0) & (u > 0)).sum()


def test_half_of_the_harm_is_held_by_the_rows_counted(corrected):
    k = summarise(corrected)["influence"]["rows_with_half_of_the_harm"]
    harm = np.sort(np.maximum(-corrected.influence.target, 0))[::-1]
    assert harm[:k].sum() >= harm.sum() / 2 > harm[: k - 1].sum()


def test_weights_of_a_hard_correction_are_counted_as_removed(hard):
    weights = summarise(hard)["weights"]
    removed = int((hard.weights == -1).sum())
    assert removed > 0
    assert weights["removed"] == weights["down"] == removed
    assert weights["unchanged"] == len(hard.weights) - removed
    assert weights["below_zero"] == weights["up"] == 0


def test_metric_points_at_its_figure(corrected, without_groups):
    metric = summarise(corrected)["metric"]
    assert metric["name"] == "demographic_parity"
    assert metric["figure"] == "gaps.demographic_parity.probabilities"
    assert summarise(without_groups)["metric"]["figure"] == "adversarial.loss"


def test_metric_of_ones_own_is_not_taken_for_a_figure(own_metric):
    metric = summarise(own_metric)["metric"]
    assert metric["figure"] is None
    assert metric["validation"]["before"] == own_metric.frontier[0].metric


def test_what_cannot_be_measured_is_none(groupless_test):
    figures = summarise(groupless_test)["figures"]
    assert figures["test"]["gaps"] == {}
    assert figures["validation"]["gaps"]["demographic_parity"]["labels"]["before"] is not None


def test_settings_name_algorithm_scheme_and_attack(corrected):
    settings = summarise(corrected)["settings"]
    assert settings["algorithm"] == {"name": "InfluenceUpdate", "parameters": {}}
    assert settings["scheme"] == {"name": "ClosedForm", "parameters": {"lam": 0.0}}
    assert settings["attack"]["protocol"] == "transfer"
    assert settings["attack"]["parameters"] == {"gamma": 1.3}


@pytest.mark.parametrize("name", ["softunlearn", "python", "numpy", "scipy", "scikit-learn"])
def test_versions_are_recorded(corrected, name):
    assert summarise(corrected)["versions"][name]
