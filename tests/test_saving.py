import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from torch import nn

import softunlearn as su
from softunlearn import saving

FILES = {"weights.parquet", "metrics.json", "report.html", "model_card.md"}


@pytest.fixture(scope="module")
def correction(census, census_model):
    return su.correct(census_model, train=census.train, validation=census.validation)


def test_a_folder_holds_everything_and_is_read_back(correction, census, tmp_path):
    correction.save(tmp_path / "new" / "out")
    saved = su.load(tmp_path / "new" / "out")
    X = census.test.X
    np.testing.assert_array_equal(saved.model.predict_proba(X), correction.model.predict_proba(X))
    np.testing.assert_array_equal(saved.weights.eps, correction.weights)
    np.testing.assert_array_equal(saved.weights.target_influence, correction.influence.target)
    assert saved.metrics["status"] == "CORRECTED"
    assert {p.name for p in (tmp_path / "new" / "out").iterdir()} == FILES | {"model.skops"}


def test_influences_on_several_targets_are_a_column_each(census, census_model, tmp_path):
    metrics = ["demographic_parity", "adaptive_loss"]
    c = su.correct(census_model, train=census.train, validation=census.validation, metric=metrics)
    c.save(tmp_path / "out")
    weights = su.load(tmp_path / "out").weights
    each = weights[["target_influence_0", "target_influence_1"]]
    np.testing.assert_array_equal(each, c.influence.targets)
    np.testing.assert_allclose(
        weights.target_influence, each.to_numpy() @ (1 / np.array(c.frontier[0].metrics))
    )


def test_an_earlier_folder_is_replaced_and_another_is_not(correction, tmp_path):
    correction.save(tmp_path / "out")
    correction.at(0).save(tmp_path / "out")
    assert not su.load(tmp_path / "out").weights.eps.any()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(su.FileError, match=r"holds other files \(notes.txt"):
        correction.save(tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_failure_leaves_what_was_there(correction, tmp_path, monkeypatch):
    correction.save(tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}

    def full(*arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(saving, "write_report", full)
    with pytest.raises(su.FileError, match=r"cannot be written: No space left"):
        correction.at(0).save(tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["model.skops", "metrics.json", "weights.parquet"])
def test_a_damaged_file_is_refused_by_name(name, correction, tmp_path):
    correction.save(tmp_path / "out")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(su.FileError, match="out") as caught:
        su.load(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(su.FileError, match=r"holds no metrics\.json"):
        su.load(tmp_path)


def test_figures_are_plain_json(correction, tmp_path):
    correction.save(tmp_path / "out")
    json.loads((tmp_path / "out" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert isinstance(su.load(tmp_path / "out").weights, pd.DataFrame)


def test_a_perceptron_is_read_back_without_being_trusted(census, tmp_path):
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model = MLPClassifier((8,), max_iter=5, random_state=0).fit(census.train.X, census.train.y)
    c = su.correct(model, train=census.train, validation=census.validation)
    c.save(tmp_path / "out")
    X = census.test.X
    loaded = su.load(tmp_path / "out").model
    np.testing.assert_array_equal(loaded.predict_proba(X), c.model.predict_proba(X))


def test_a_torch_module_keeps_its_parameters(census, tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(census.train.X.shape[1], 4), nn.ReLU(), nn.Linear(4, 1))
    c = su.correct(module, train=census.train, validation=census.validation, select="full")
    c.save(tmp_path / "out")
    assert su.load(tmp_path / "out").model is None
    loaded = su.load(tmp_path / "out", module=module).model
    assert loaded is not module
    for name, value in c.model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(su.FileError, match=r"does not hold the parameters of this Linear"):
        su.load(tmp_path / "out", module=nn.Linear(2, 2))
