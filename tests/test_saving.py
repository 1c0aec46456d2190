import errno
import json
import os
import resource
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from torch import nn

import softunlearn as su
from softunlearn import saving
from softunlearn.provenance import provenance
from softunlearn.report import summarise

FILES = {"manifest.json", "weights.parquet", "metrics.json", "report.html", "model_card.md"}


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
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saving, "write_manifest", full)
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
    with pytest.raises(su.FileError, match=r"holds no manifest\.json"):
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
    assert module.training
    assert not loaded.training
    with pytest.raises(su.FileError, match=r"does not hold the parameters of this Linear"):
        su.load(tmp_path / "out", module=nn.Linear(2, 2))


def test_provenance_tells_what_was_done_with_which_data(correction, census, tmp_path):
    correction.save(tmp_path / "out")
    saved = su.load(tmp_path / "out")
    found = saved.provenance
    assert found["library"] == f"softunlearn {su.__version__}"
    written = datetime.fromisoformat(found["written"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)
    assert found["model"]["type"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert found["model"]["before"] != found["model"]["after"]
    (metric,) = found["metric"]
    assert metric["name"] == "demographic_parity"
    np.testing.assert_allclose(metric["after"], correction.point.metric)
    assert found["algorithm"]["name"] == "InfluenceUpdate"
    assert found["scheme"]["name"] == "ClosedForm"
    assert found["point"]["index"] == correction.chosen
    assert [found["data"][name]["rows"] for name in ("train", "validation")] == [1800, 600]
    for name in ("written", "metric", "data"):
        assert json.dumps(found[name]) in str(saved)


def test_a_digest_changes_with_the_data_and_with_nothing_else(census, census_model):
    def digests(**parts):
        given = {"train": census.train, "validation": census.validation} | parts
        c = su.correct(census_model, **given, select="none")
        found = provenance(c, summarise(c))
        return [found["data"][name]["sha256"] for name in given] + [found["model"]["before"]]

    plain, other = digests(), replace(census.train, y=1 - census.train.y)
    X, y, g = census.train.X, census.train.y, census.train.g
    assert digests(train=(np.asfortranarray(X), list(y), g)) == plain
    changed = digests(train=other)
    assert changed[0] != plain[0]
    assert changed[1:] == plain[1:]
    heavier = replace(census.train, weight=np.full(len(y), 2.0))
    assert digests(train=heavier)[0] not in (plain[0], changed[0])


def test_another_programs_files_are_not_replaced(correction, tmp_path):
    for name in ("metrics.json", "report.html"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(su.FileError, match=r"holds other files \(metrics.json"):
        correction.save(tmp_path)
    assert (tmp_path / "metrics.json").read_text() == "mine"
    correction.save(tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").mkdir()
    with pytest.raises(su.FileError, match=r"holds other files \(model.safetensors"):
        correction.save(tmp_path / "out")


@pytest.mark.parametrize("name", ["file", "file/out", "a\0b", "x" * 300, "loop"])
def test_a_place_that_is_no_folder_is_refused(name, correction, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(su.FileError, match=r"give a folder|cannot be") as caught:
        correction.save(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]
    with pytest.raises(su.FileError):
        su.load(f"{tmp_path}/{name}")


def test_a_read_only_disk_is_refused_in_one_line(correction, tmp_path, monkeypatch):
    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(type(tmp_path), "mkdir", read_only)
    with pytest.raises(su.FileError, match=r"out cannot be written: Read-only file system\.$"):
        correction.save(tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(su.FileError, match=r"is not a writable folder"):
        correction.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def files_of_at_most(n_bytes):
    """Let files grow to so many bytes only: what is written beyond fails, as on a full disk.

    It ends before the test does: the test run's own output may go to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["model.skops", "weights.parquet", "metrics.json", "report.html"])
def test_where_a_file_does_not_fit_nothing_is_left(name, correction, tmp_path):
    correction.save(tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    too_large = pytest.raises(su.FileError, match=r"out cannot be written: .*File too large")
    with files_of_at_most(len(before[name]) - 1), too_large as caught:
        correction.save(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_where_a_modules_parameters_do_not_fit_nothing_is_left(census, tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(census.train.X.shape[1], 40), nn.Linear(40, 1))
    c = su.correct(module, train=census.train, validation=census.validation, select="none")
    with files_of_at_most(3_000), pytest.raises(su.FileError, match="File too large"):
        c.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_old_leftover_goes_at_the_next_save(correction, tmp_path):
    leftover = tmp_path / ".out.0a1b2c3d.partial"
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    correction.save(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
