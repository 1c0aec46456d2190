import json

import numpy as np
import pytest

from softunlearn.report import FORMAT, model_card, summarise
from tests.report.cases import correction, make, parts


def test_every_summary_survives_json(any_correction):
    summary = summarise(any_correction)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["format"] == FORMAT


def test_keys_are_those_documented(corrected):
    summary = summarise(corrected)
    documented = summarise.__doc__
    assert documented is not None
    assert all(key in documented for key in summary)


def test_the_rows_that_choose_are_named_and_figures_stay_those_of_their_splits():
    rows, (X, y, g) = parts(*make()), make(n=90, seed=7)
    c = correction(rows, choose_on=(X, y, g), insist=True, select="full")
    p0, p1 = (model.predict_proba(X)[:, 1] for model in (c.at(0).model, c.model))
    gaps = [abs(p[g == "a"].mean() - p[g == "b"].mean()) for p in (p0, p1)]
    summary = summarise(c)
    assert summary["frontier_rows"] == "90 rows of choose_on"
    chosen = next(point for point in summary["frontier"] if point["chosen"])
    np.testing.assert_allclose([summary["frontier"][0]["metric"], chosen["metric"]], gaps)
    assert c.message.startswith("On rows of choose_on the metric falls from")
    assert "chosen on 90 rows of choose_on" in model_card(c)
    (target,), figures = summary["targets"], summary["figures"]
    here = figures["validation"]["gaps"]["demographic_parity"]["probabilities"]
    assert (target["validation"], target["figure"]) == (
        here,
        "gaps.demographic_parity.probabilities",
    )


def test_figures_are_those_of_the_correction(corrected):
    figures = summarise(corrected)["figures"]
    assert list(figures) == ["train", "validation", "test"]
    before, after = corrected.before.test, corrected.after.test
    shown = figures["test"]
    change = corrected.change.test["accuracy"]
    assert shown["accuracy"] == {
        "before": before.accuracy,
        "after": after.accuracy,
        "change": after.accuracy - before.accuracy,
        "low": change.low,
        "high": change.high,
    }
    for name, gap in after.gaps.items():
        for kind in ("probabilities", "labels", "loss"):
            assert shown["gaps"][name][kind]["after"] == getattr(gap, kind)
    for name, found in after.robustness.items():
        for protocol in ("transfer", "adaptive"):
            pair = shown["robustness"][name][protocol]["loss"]
            change = corrected.change.test[f"robustness.{name}.{protocol}.loss"]
            assert pair["after"] == getattr(found, protocol).loss
            assert (pair["low"], pair["high"]) == (change.low, change.high)
    assert figures["train"]["robustness"] == {}
    assert [group["rows"] for group in shown["groups"]] == [group.rows for group in before.groups]


def test_intervals_are_those_of_the_figures_and_groups(corrected):
    shown = summarise(corrected)["figures"]["validation"]
    was, now = corrected.before.validation, corrected.after.validation
    for path, ends in shown["intervals"].items():
        before, after = was.intervals[path], now.intervals[path]
        assert ends == {
            "before": [before.low, before.high],
            "after": [after.low, after.high],
        }
    assert "gaps.demographic_parity.labels" in shown["intervals"]
    rate = now.groups[0].intervals["positive_rate"]
    assert shown["groups"][0]["intervals"]["positive_rate"]["after"] == [rate.low, rate.high]


def test_an_unchanged_model_has_no_interval_of_a_change(unchanged):
    pair = summarise(unchanged)["figures"]["validation"]["accuracy"]
    assert (pair["change"], pair["low"], pair["high"]) == (0.0, None, None)


def test_several_targets_have_a_place_each(several):
    summary = summarise(several)
    by_sex, robust = summary["targets"]
    assert by_sex["title"] == "Demographic parity gap by sex"
    assert by_sex["figure"] == "gaps.demographic_parity by sex.probabilities"
    assert robust["figure"] == "robustness.pgd_l2.adaptive.loss"
    start, end = several.frontier[0], several.point
    for target, before, after in zip(summary["targets"], start.metrics, end.metrics, strict=True):
        np.testing.assert_allclose(target["validation"]["before"], before)
        np.testing.assert_allclose(target["validation"]["after"], after)
    assert summary["metric"]["validation"]["before"] == 1.0
    assert summary["metric"]["validation"]["after"] == end.metric
    assert [one["title"] for one in summary["held"]] == summary["settings"]["held"]
    assert summary["settings"]["held"] == ["Demographic parity gap by age"]
    np.testing.assert_allclose(summary["held"][0]["validation"]["after"], end.held[0])


def test_pooled_combinations_are_named(several):
    data = summarise(several)["data"]
    assert data["sensitive_columns"] == ["sex", "age"]
    assert {"a & rare", "b & rare"} <= set(data["pooled_groups"])
    assert data["pooled_groups"] == list(several.session.coding.pooled)


def test_rows_of_high_leverage_are_listed(lonely, corrected):
    summary = summarise(lonely)
    h = lonely.influence.leverage
    assert [row["row"] for row in summary["rows"]["high_leverage"]] == [7]
    assert summary["influence"]["rows_of_high_leverage"] == (h > 0.5).sum() == 1
    assert summarise(corrected)["rows"]["high_leverage"] == []


def test_frontier_marks_the_chosen_point(corrected):
    points = summarise(corrected)["frontier"]
    assert len(points) == len(corrected.frontier)
    assert [p["index"] for p in points if p["chosen"]] == [corrected.chosen]
    assert [p["metric"] for p in points] == [p.metric for p in corrected.frontier]
    change = corrected.frontier[2].accuracy_change
    assert points[2]["accuracy_change"] == {
        "value": change.value,
        "low": change.low,
        "high": change.high,
    }


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
    assert summarise(without_groups)["metric"]["figure"] == ("robustness.boundary.transfer.loss")


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
    assert settings["path"]["name"] == "Relinearised"
    assert settings["path"]["parameters"]["steps"] == 10
    assert list(settings["attacks"]) == ["boundary", "l2_ball", "linf_ball"]
    assert settings["attacks"]["boundary"]["parameters"] == {"gamma": 1.3}
    assert settings["attacks"]["boundary"]["budget"] is None
    radius = corrected.session.evaluator.attacks["l2_ball"].epsilon
    assert settings["attacks"]["l2_ball"]["budget"] == radius > 0


@pytest.mark.parametrize("name", ["softunlearn", "python", "numpy", "scipy", "scikit-learn"])
def test_versions_are_recorded(corrected, name):
    assert summarise(corrected)["versions"][name]
