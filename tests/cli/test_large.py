"""Rows that are read in chunks, and what a correction would take."""

import json
import sys

import dask
import numpy as np
import pandas as pd
import pytest

import softunlearn as su
from softunlearn.cli import files as cli_files
from softunlearn.cli.estimate import _every_so_many
from softunlearn.models.skops_files import read_model
from tests.cli.cases import arguments


@pytest.fixture
def parts(folder):
    """The training table as a folder of two Parquet files."""
    table = pd.read_csv(folder / "train.csv")
    (folder / "parts").mkdir()
    (folder / "empty").mkdir()
    table.iloc[:500].to_parquet(folder / "parts" / "a.parquet")
    table.iloc[500:].to_parquet(folder / "parts" / "b.parquet")
    table.to_parquet(folder / "train.parquet")
    return folder


def weights(folder):
    return pd.read_parquet(folder / "out" / "weights.parquet").eps


@pytest.mark.slow
def test_rows_in_chunks_give_the_model_of_rows_in_memory(parts, run):
    """On the straight path, where both take the same steps."""
    found = []
    for train, how in ((parts / "train.parquet", "--no-stream"), (parts / "parts", "--stream")):
        words = arguments(parts, train=train, path="straight", select="full")
        code, _, err = run(*words, how)
        assert code == 0, err
        found.append(weights(parts))
    np.testing.assert_allclose(*found, atol=1e-8)  # sums in another order
    saved, X = su.load(parts / "out"), pd.read_csv(parts / "validation.csv").drop(columns="income")
    assert np.isfinite(saved.model.predict_proba(X)).all()


def test_a_folder_and_a_large_file_are_read_in_chunks_unasked(parts, monkeypatch):
    def streams(train, stream=None):
        asked = cli_files.Asked(sensitive=["sex"])
        given = (parts / "model.skops", train, parts / "validation.csv", None, None, "income")
        return cli_files.Files(*given, asked, stream=stream).streams

    assert streams(parts / "parts")
    assert not streams(parts / "train.parquet")
    assert streams(parts / "train.parquet", True)
    size = (parts / "train.parquet").stat().st_size
    monkeypatch.setattr(cli_files, "STREAM_BYTES", size)
    assert streams(parts / "train.parquet")
    assert not streams(parts / "train.parquet", False)
    assert not streams(parts / "train.csv")


BAD = {
    "no Parquet": ({"train": "train.csv"}, ["--stream"], "cannot be read in chunks"),
    "a folder in memory": ({"train": "parts"}, ["--no-stream"], "is a folder, read in chunks"),
    "an empty folder": ({"train": "empty"}, [], "holds no .parquet files"),
    "a missing file": ({"train": "nothing.parquet"}, ["--stream"], "is not a file"),
    "a missing column": ({"train": "parts", "label": "wealth"}, [], "has no column 'wealth'"),
    "training in chunks": ({"train": "parts", "algorithm": "scrub"}, [], "in random order"),
    "no cluster there": ({"train": "parts", "dask": "tcp://127.0.0.1:1"}, [], "scheduler"),
    "a cluster, in memory": (
        {"train": "parts", "dask": "tcp://127.0.0.1:1"},
        ["--no-stream"],
        "leave out --no-stream",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_in_chunks_is_one_clear_line(name, parts, run):
    changes, more, message = BAD[name]
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        words = arguments(parts, **changes | {"train": parts / changes["train"]})
        code, out, err = run(*words, *more)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert message in err


def test_dask_that_is_missing_is_said(parts, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "softunlearn.streams.dask_rows", None)
    words = arguments(parts, train=parts / "parts", dask="tcp://127.0.0.1:8786")
    code, _, err = run(*words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "pip install softunlearn[dask]" in err


@pytest.mark.parametrize("train", ["train.csv", "train.parquet", "parts"])
def test_a_dry_run_counts_and_writes_nothing(train, parts, run):
    before = sorted(parts.rglob("*"))
    words = arguments(parts, train=parts / train, test=parts / "test.csv", out=None)
    code, out, err = run(*words, "--dry-run", "--json")
    assert (code, err) == (0, "")
    assert sorted(parts.rglob("*")) == before
    found = json.loads(out)
    assert found["rows"] == {"train": 1200, "validation": 400, "test": 400}
    assert found["streamed"] == (train == "parts")
    model = read_model(parts / "model.skops")
    assert found["inputs"] == model[-1].coef_.shape[1]
    assert found["parameters"] == found["inputs"] + 1
    assert found["seconds"] > 0
    assert 2**20 < found["memory_bytes"] < 2**33


def test_a_dry_run_refuses_what_the_run_would(parts, run):
    code, out, err = run(*arguments(parts, metric="karma"), "--dry-run")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    code, _, err = run(*arguments(parts, train=parts / "nothing.csv"), "--dry-run")
    assert (code, len(err.splitlines())) == (2, 1)


@pytest.mark.parametrize("n", [0, 1, 4000, 4001, 20_003, 130_001])
def test_a_sample_is_evenly_spaced_and_all_rows_are_counted(n, tmp_path):
    pd.DataFrame({"i": np.arange(n)}).to_csv(tmp_path / "t.csv", index=False)
    counted, table = _every_so_many(tmp_path / "t.csv", 4000)
    assert counted == n
    assert min(n, 2000) <= len(table) <= 4000
    assert len(set(np.diff(table.i))) <= 1
