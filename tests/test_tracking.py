"""MLflow, as a module that records what it is told."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import softunlearn as su
from softunlearn import tracking


class Recorded(ModuleType):
    """What of MLflow is called, and what with."""

    def __init__(self, active=None):
        super().__init__("mlflow")
        self.__spec__ = SimpleNamespace(name="mlflow")
        self.run, self.started, self.ended = active, [], []
        self.params, self.metrics, self.tags, self.files = {}, {}, {}, set()

    def active_run(self):
        return self.run

    def start_run(self, run_name=None):
        self.started.append(run_name)
        self.run = SimpleNamespace(info=SimpleNamespace(run_id="new"))
        return self.run

    def end_run(self, status="FINISHED"):
        self.ended.append(status)
        self.run = None

    def log_params(self, given):
        self.params |= given

    def log_metrics(self, given):
        self.metrics |= given

    def set_tag(self, name, value):
        self.tags[name] = value

    def log_artifacts(self, folder, artifact_path):
        self.files |= {f"{artifact_path}/{path.name}" for path in Path(folder).iterdir()}


@pytest.fixture
def mlflow(monkeypatch):
    recorded = Recorded()
    monkeypatch.setitem(sys.modules, "mlflow", recorded)
    return recorded


@pytest.fixture(scope="module")
def correction(census, census_model):
    return su.correct(census_model, train=census.train, validation=census.validation)


def test_figures_settings_and_files_are_logged(correction, mlflow):
    assert correction.log_to_mlflow() == "new"
    assert mlflow.ended == ["FINISHED"]
    after = correction.after.validation
    assert mlflow.metrics["validation.accuracy.after"] == after.accuracy
    gap = "validation.gaps.demographic_parity.labels"
    assert mlflow.metrics[f"{gap}.after"] == after.gaps["demographic_parity"].labels
    assert mlflow.metrics[f"{gap}.low"] < mlflow.metrics[f"{gap}.high"]
    assert all(isinstance(value, float) for value in mlflow.metrics.values())
    assert mlflow.params["algorithm"] == "InfluenceUpdate"
    assert mlflow.params["rows.train"] == str(len(correction.weights))
    assert mlflow.params["point"] == str(correction.chosen)
    assert mlflow.tags == {"softunlearn.status": "CORRECTED"}
    names = {"report.html", "model_card.md", "weights.parquet", "metrics.json", "model.skops"}
    names.add("manifest.json")
    assert mlflow.files == {f"correction/{name}" for name in names}


def test_an_active_run_is_used_and_left_open(correction, mlflow):
    mlflow.run = SimpleNamespace(info=SimpleNamespace(run_id="mine"))
    assert correction.log_to_mlflow() == "mine"
    assert (mlflow.started, mlflow.ended) == ([], [])


def test_a_failure_ends_the_run_as_failed(correction, mlflow, monkeypatch):
    def fail(*_, **__):
        raise OSError("the server is gone")

    monkeypatch.setattr(mlflow, "log_artifacts", fail)
    with pytest.raises(OSError, match="gone"):
        correction.log_to_mlflow()
    assert mlflow.ended == ["FAILED"]


def test_names_hold_no_character_that_mlflow_refuses():
    assert tracking._name('gaps.odds by <sex>"') == "gaps.odds by _sex__"
    assert len(tracking._name("a" * 1000)) <= 250


def test_mlflow_that_is_missing_is_said(correction, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install mlflow"):
        correction.log_to_mlflow()
