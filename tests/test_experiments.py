"""The experiments' bookkeeping: what is kept is whole, and marks are those of a paired t test."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.linear_model import LogisticRegression

import softunlearn as su

kept = pytest.importorskip("benchmarks.paper.kept", reason="benchmarks are not in the sdist")
comparison = pytest.importorskip("benchmarks.paper.comparison")
figure2 = pytest.importorskip("benchmarks.paper.figure2")
setting = pytest.importorskip("benchmarks.paper.setting")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "OUT", tmp_path)
    return tmp_path


def test_a_result_is_computed_once_for_the_same_settings(out):
    calls = []

    def compute(n):
        calls.append(n)
        return {"n": n, "third": 1 / 3}

    compute.__module__ = "benchmarks.paper.figure2"
    for n in (1, 1, 2, 1):
        assert kept.Job("some", compute, {"n": n}).run() == {"n": n, "third": 1 / 3}
    assert calls == [1, 2, 1]  # other settings replace what was there


def test_a_damaged_result_is_computed_anew(out):
    job = kept.Job("some", lambda: 1.0)
    object.__setattr__(job.compute, "__module__", "benchmarks.paper.figure2")
    job.run()
    (out / "some.json").write_text((out / "some.json").read_text()[:-7])
    assert job.kept() is None
    assert job.run() == 1.0


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_whole_results_and_goes_on(tmp_path):
    code = f"""
import time
from pathlib import Path
from benchmarks.paper import kept
kept.OUT = Path({str(tmp_path)!r})
def compute(i):
    time.sleep(0.05)
    return [i] * 10_000
compute.__module__ = "benchmarks.paper.figure2"
for i in range(30):
    job = kept.Job(f"some/{{i}}", compute, {{"i": i}})
    was = job.kept() is not None
    assert job.run() == [i] * 10_000
    print("kept" if was else "computed", flush=True)
"""
    run = [sys.executable, "-c", code]
    for _ in range(3):
        killed = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert killed.stdout is not None
        while "computed" not in killed.stdout.readline():
            pass
        time.sleep(0.02)
        killed.kill()
        killed.communicate()
        for path in tmp_path.glob("some/[0-9]*.json"):
            assert len(json.loads(path.read_text())["result"]) == 10_000
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[:3] == ["kept"] * 3
    assert len(list(tmp_path.glob("some/[0-9]*.json"))) == 30


def test_a_mark_is_that_of_a_paired_t_test(rng):
    hard, soft = rng.normal(0.8, 0.01, size=5), rng.normal(0.803, 0.01, size=5)
    records = [
        {"seed": seed, "chosen": chosen, "figures": {"accuracy": values[seed]}}
        for chosen, values in (("hard", hard), ("matched", soft))
        for seed in range(5)
    ]
    found = comparison.Comparison(records, "matched", "fairness").advantage("accuracy")
    interval = ttest_rel(soft, hard).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], interval)
    assert comparison.Mean.of([1.0, 1.1]).mark() in ("holds", "within noise")
    assert comparison.Mean.of([-1.0, -1.0]).mark() == "does not hold"
    assert comparison.Mean.of([0.0, 0.0]).mark() == "within noise"


CHOSEN = {
    "clean": ["hard", "lowest", "matched", "original"],
    "paper": ["hard", "published", "original"],
}


@pytest.mark.parametrize("protocol", CHOSEN)
@pytest.mark.parametrize("algorithm", ["influence", "ga_ft"])
def test_both_protocols_compare_hard_and_soft_weights(protocol, algorithm):
    train, validation, test = su.datasets.load("census", n_rows=1500)
    model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    trained = setting.Trained(model, train, validation, test)
    where = setting.Setting("adult", "lr", protocol=protocol)
    metric = "demographic_parity"
    found = list(figure2._compared(trained, where, metric, algorithm))
    assert [record["chosen"] for record in found] == CHOSEN[protocol]
    p = model.predict_proba(test.X)[:, 1]
    first, second = (p[np.asarray(test.g) == group].mean() for group in np.unique(test.g))
    assert found[-1]["changed_rows"] == 0
    assert found[-1]["figures"]["fairness"] == pytest.approx(abs(first - second))
    assert all(0 < record["changed_rows"] <= len(train) for record in found[:-1])
    assert len({record["metric_on_validation"] for record in found}) > 1
