"""The command line as a newcomer uses it, wrong inputs included."""

import json
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import softunlearn as su
from softunlearn.models.skops_files import read_model
from tests.cli.cases import CARD, FILES, arguments


def test_correct_writes_a_model_that_is_less_biased(folder, run):
    code, out, _ = run(*arguments(folder, test=folder / "test.csv"))
    assert code == 0
    assert "CORRECTED" in out
    assert {path.name for path in (folder / "out").iterdir()} == FILES
    saved, table = su.load(folder / "out"), pd.read_csv(folder / "test.csv")
    original = read_model(folder / "model.skops")

    def gap(model):
        p = model.predict_proba(table.drop(columns="income"))[:, 1]
        return abs(p[table.sex == "Male"].mean() - p[table.sex == "Female"].mean())

    assert gap(saved.model) < 0.9 * gap(original)
    assert len(saved.weights) == len(pd.read_csv(folder / "train.csv"))
    parity = saved.metrics["figures"]["test"]["gaps"]["demographic_parity"]["probabilities"]
    np.testing.assert_allclose(parity["before"], gap(original))
    np.testing.assert_allclose(parity["after"], gap(saved.model))


def test_json_is_the_only_thing_printed(folder, run):
    code, out, err = run(*arguments(folder, out=folder / "out"), "--json")
    assert code == 0
    assert err == ""
    assert json.loads(out) == json.loads((folder / "out" / "metrics.json").read_text())


def test_other_rows_can_choose_the_point(folder, run):
    code, out, _ = run(*arguments(folder, **{"choose-on": folder / "test.csv"}))
    assert code == 0
    assert "On rows of choose_on the metric falls" in " ".join(out.split())
    saved, table = su.load(folder / "out").metrics, pd.read_csv(folder / "test.csv")
    assert saved["frontier_rows"] == f"{len(table)} rows of choose_on"
    code, out, err = run(*arguments(folder, **{"choose-on": folder / "none.csv"}))
    assert code == 2
    assert "none.csv" in err
    assert len(err.strip().splitlines()) == 1


def test_audit_shows_rows_and_writes_only_where_asked(folder, run):
    before = {path.name for path in folder.iterdir()}
    code, out, _ = run(*arguments(folder, "audit", out=None))
    assert code == 0
    assert "Rows that harm most" in out
    assert {path.name for path in folder.iterdir()} == before
    code, _, _ = run(*arguments(folder, "audit"))
    assert code == 0
    assert {path.name for path in (folder / "out").iterdir()} == FILES - {"model.skops", CARD}
    assert su.load(folder / "out").model is None


def test_words_of_the_data_are_shown_as_they_are(folder, run, monkeypatch):
    """Styles and emojis of the terminal's library, and a terminal's own control characters."""
    monkeypatch.setenv("COLUMNS", "300")
    hostile = "[/b] :smile: [red]x"
    for name in ("train", "validation"):
        table = pd.read_csv(folder / f"{name}.csv")
        table["region"] = hostile
        table.rename(columns={"sex": "[/sex]"}).assign(sex=table.sex).to_csv(
            folder / f"{name}.csv", index=False
        )
    words = arguments(folder, "audit", sensitive=["[/sex]", "region"], by="[/sex]", out=None)
    code, out, err = run(*words)
    assert code == 0, err
    assert f"region={hostile}" in out
    assert "demographic_parity by [/sex]" in out
    code, _, err = run(*arguments(folder, label="\x1b]0;title\x07"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "\x1b" not in err


@pytest.mark.slow
def test_options_reach_the_library(folder, run):
    code, out, _ = run(
        *arguments(
            folder, metric="demographic_parity", scheme="hard", positive="<=50K", select="full"
        ),
        "--json",
    )
    assert code == 0
    summary = json.loads(out)
    weights = pd.read_parquet(folder / "out" / "weights.parquet")
    assert set(weights.eps) == {-1.0, 0.0}
    assert summary["settings"]["scheme"]["name"] == "TopK"
    code, out, _ = run(*arguments(folder, **{"metric-at-most": 0.0}), "--json")
    assert code == 3
    assert json.loads(out)["status"] == "TARGET_OUT_OF_REACH"
    code, out, _ = run(*arguments(folder, **{"utility-loss-at-most": 0.0}), "--json")
    assert json.loads(out)["status"] in ("UTILITY_WOULD_SUFFER", "CORRECTED")
    assert code == (3 if json.loads(out)["status"] == "UTILITY_WOULD_SUFFER" else 0)
    code, out, _ = run(*arguments(folder, select="none"), "--json")
    assert (code, json.loads(out)["status"]) == (0, "AUDITED")
    code, out, _ = run(*arguments(folder, **{"only-above": 0.9}), "--json")
    assert code == 0
    assert json.loads(out)["status"] == "NOTHING_TO_CORRECT"


@pytest.mark.slow
def test_what_is_printed_is_the_change_with_its_interval(folder, run):
    code, out, _ = run(*arguments(folder, test=folder / "test.csv"))
    assert code == 0
    accuracy = su.load(folder / "out").metrics["figures"]["test"]["accuracy"]
    assert f"{accuracy['change']:+.4f} ({accuracy['low']:+.4f} to {accuracy['high']:+.4f})" in out
    assert "400 test rows" in out
    _, out, _ = run(*arguments(folder, **{"only-above": 0.9}))
    metrics = su.load(folder / "out").metrics["figures"]["validation"]
    low, high = metrics["intervals"]["accuracy"]["before"]
    assert f"{metrics['accuracy']['before']:.4f}" in out
    assert f"{low:.4f} to {high:.4f}" in out
    assert "400 validation rows" in out


@pytest.mark.slow
def test_a_point_of_the_frontier_is_taken_by_its_number(folder, run):
    _, out, _ = run(*arguments(folder, select="none"), "--json")
    points = json.loads(out)["frontier"]
    _, out, _ = run(*arguments(folder, "audit", out=None))
    for point in points:
        assert f"{point['metric']:.4f}" in out
        assert f"({point['accuracy_change']['low']:+.4f}" in out or point["index"] == 0
    for i in (0, 3, len(points) - 1):
        code, out, _ = run(*arguments(folder, point=i), "--json")
        assert code == 0
        chosen = json.loads(out)["frontier"][i]
        assert chosen["chosen"]
        assert chosen["metric"] == points[i]["metric"]


def test_several_columns_and_metrics_reach_the_library(folder, run):
    changes = {
        "sensitive": ["sex", "region"],
        "by": "sex",
        "metric": ["demographic_parity", "adaptive_loss"],
        "hold": ["equal_opportunity"],
        "select": "full",
    }
    code, out, err = run(*arguments(folder, **changes), "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert [one["title"] for one in summary["targets"]] == [
        "Demographic parity gap by sex",
        "Adaptive adversarial loss",
    ]
    assert summary["settings"]["held"] == ["Equal opportunity gap"]
    assert summary["data"]["sensitive_columns"] == ["sex", "region"]
    assert len(summary["data"]["groups"]) == 8
    table = pd.read_csv(folder / "validation.csv")
    p = read_model(folder / "model.skops").predict_proba(table)[:, 1]
    means = pd.Series(p).groupby(table.sex).mean()
    np.testing.assert_allclose(
        summary["targets"][0]["validation"]["before"], means.max() - means.min()
    )
    weights = pd.read_parquet(folder / "out" / "weights.parquet")
    assert {"target_influence_0", "target_influence_1"} <= set(weights)


def test_one_column_needs_no_by(folder, run):
    code, out, _ = run(*arguments(folder, by="sex"), "--json")
    assert code == 0
    assert json.loads(out)["metric"]["name"] == "demographic_parity"


def test_the_path_is_chosen_by_name(folder, run):
    for path, name in (("straight", "Straight"), ("relinearised", "Relinearised")):
        _, out, _ = run(*arguments(folder, "audit", path=path, out=None), "--json")
        assert json.loads(out)["settings"]["path"]["name"] == name


@pytest.mark.slow
def test_noise_is_corrected_only_where_one_insists(folder, run, rng):
    for name in ("train", "validation"):
        table = pd.read_csv(folder / f"{name}.csv")
        table.assign(coin=rng.integers(2, size=len(table))).to_csv(
            folder / f"{name}.csv", index=False
        )
    code, out, _ = run(*arguments(folder, sensitive="coin", select="full"), "--json")
    assert (code, json.loads(out)["status"]) == (0, "NOTHING_TO_CORRECT")
    code, out, _ = run(*arguments(folder, sensitive="coin", select="full"), "--insist", "--json")
    assert (code, json.loads(out)["status"]) == (0, "CORRECTED")
    code, out, err = run(*arguments(folder, sensitive="coin", point=3))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "--point must be 0, the original model, which is all there is" in err


def test_parquet_and_models_trained_on_arrays_are_read(folder, run, rng):
    X = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    g = rng.integers(2, size=400)
    y = (X.a + g + rng.normal(size=400) > 0.5).astype(int)
    model = LogisticRegression(tol=1e-8).fit(X.assign(g=g).to_numpy(), y)
    skops.io.dump(model, folder / "model.skops")
    for name in ("train", "validation"):
        X.assign(g=g, y=y).to_parquet(folder / f"{name}.parquet")
    changes = {"train": folder / "train.parquet", "validation": folder / "validation.parquet"}
    code, _, _ = run(*arguments(folder, **changes, label="y", sensitive="g"))
    assert code == 0
    model = LogisticRegression(tol=1e-8).fit(X.to_numpy(), y)  # without the group
    skops.io.dump(model, folder / "model.skops")
    code, _, _ = run(*arguments(folder, **changes, label="y", sensitive="g"))
    assert code == 0
    skops.io.dump(LogisticRegression().fit(X[["a"]].to_numpy(), y), folder / "model.skops")
    code, _, err = run(*arguments(folder, **changes, label="y", sensitive="g"))
    assert code == 2
    assert "4 columns beside the label and the model takes 1" in err


def test_words_that_look_missing_and_labels_that_look_like_numbers_are_read(folder, run, rng):
    """A CSV file gives the same correction as the same rows in Parquet."""
    n = 600
    frame = pd.DataFrame(
        {"job": rng.choice(["None", "NA", "nan", "smith"], n), "g": rng.integers(2, size=n)}
    )
    y = ((frame.job == "None") + frame.g + rng.normal(size=n) > 0.8).astype(int).astype(str)
    columns = make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression(tol=1e-8)).fit(frame, y)
    skops.io.dump(model, folder / "model.skops")
    found = []
    for suffix in ("csv", "parquet"):
        write = frame.assign(y=y).to_csv if suffix == "csv" else frame.assign(y=y).to_parquet
        write(folder / f"t.{suffix}", index=False)
        table = folder / f"t.{suffix}"
        changes = {"train": table, "validation": table, "label": "y", "sensitive": "g"}
        code, out, err = run(*arguments(folder, **changes), "--json")
        assert code == 0, err
        found.append(json.loads(out)["figures"])
    assert found[0] == found[1]


def test_the_folder_one_stands_in_can_be_written(folder, run, monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, _, err = run(*arguments(folder, out="."))
    assert code == 0, err
    assert {path.name for path in (tmp_path / "here").resolve().iterdir()} == FILES


def edit(name, change):
    def spoil(folder):
        table = pd.read_csv(folder / f"{name}.csv")
        change(table).to_csv(folder / f"{name}.csv", index=False)
        return {}

    return spoil


def set_cell(column, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[3, column] = value
        return table

    return change


def replace_model(make):
    def spoil(folder):
        make(folder / "model.skops")
        return {}

    return spoil


def naive_bayes(path):
    skops.io.dump(GaussianNB().fit(np.eye(4), [0, 1, 0, 1]), path)


def occupied(folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("three years of work")
    return {}


BAD_INPUTS = {
    "missing value": (edit("train", set_cell("age", np.nan)), r"`train`: .*(missing|NaN)"),
    "infinite value": (edit("train", set_cell("age", np.inf)), r"`train`: .*infin"),
    "text for a number": (edit("validation", set_cell("age", "old")), r"`validation`: .*old"),
    "unknown label": (edit("train", set_cell("income", "lots")), "unknown to the model.*'lots'"),
    "missing label": (edit("train", set_cell("income", None)), "unknown to the model.*nan"),
    "missing group": (edit("validation", set_cell("sex", None)), "1 rows have no group"),
    "one group only": (
        edit("validation", lambda table: table[table.sex == "Male"]),
        "all rows are of group 'Male'",
    ),
    "one class only": (
        edit("validation", lambda table: table[table.income == "<=50K"]),
        "all labels are '<=50K'",
    ),
    "no rows": (edit("train", lambda table: table[:0]), "`train` has no rows"),
    "missing feature": (edit("train", lambda table: table.drop(columns="age")), "no column 'age'"),
    "missing label column": (lambda folder: {"label": "wealth"}, "no column 'wealth'"),
    "one column for both": (lambda folder: {"sensitive": "income"}, "must be two columns"),
    "bad test table": (
        lambda folder: {"test": folder / "nothing.csv"},
        "nothing.csv is not a file",
    ),
    "missing group column": (lambda folder: {"sensitive": "tribe"}, "no column 'tribe'"),
    "no group column named": (
        lambda folder: {"sensitive": None},
        "demographic_parity compares groups: name their column with --sensitive",
    ),
    "empty table": (
        lambda folder: ((folder / "train.csv").write_text("") and {}) or {},
        "cannot be read as a table",
    ),
    "table that is none": (
        lambda folder: (
            (folder / "train.csv").rename(folder / "t.parquet") and {"train": folder / "t.parquet"}
        ),
        "cannot be read as a table",
    ),
    "unknown table": (lambda folder: {"train": folder / "train.xlsx"}, "give a .csv or .parquet"),
    "absent table": (
        lambda folder: {"train": folder / "nothing.csv"},
        "nothing.csv is not a file",
    ),
    "model without a linear head": (replace_model(naive_bayes), "ends in a GaussianNB"),
    "model that is none": (
        replace_model(lambda path: path.write_text("not a model")),
        "not a skops file",
    ),
    "model cut short": (
        replace_model(lambda path: path.write_bytes(path.read_bytes()[:-200])),
        "not a skops file, or is damaged",
    ),
    "absent model": (lambda folder: {"model": folder / "nothing.skops"}, "is not a file"),
    "unknown metric": (lambda folder: {"metric": "karma"}, "`metric` must be one of .*'karma'"),
    "unknown scheme": (lambda folder: {"scheme": "medium"}, "`scheme` must be one of"),
    "unknown algorithm": (lambda folder: {"algorithm": "magic"}, "`algorithm` must be one of"),
    "two ways to choose": (
        lambda folder: {"select": "full", "point": 3},
        "Give one of --select, --point",
    ),
    "point beyond the frontier": (
        lambda folder: {"point": 999},
        r"--point must be from 0 to \d+, .* got 999",
    ),
    "point below zero": (lambda folder: {"point": -1}, "--point must be from 0 to"),
    "point that is no number": (lambda folder: {"point": "best"}, "--point.*integer"),
    "unknown path": (lambda folder: {"path": "winding"}, "`path` must be one of .*'winding'"),
    "path that does not fit": (
        lambda folder: {"path": "relinearised", "scheme": "hard"},
        "relinearised `path` takes",
    ),
    "unknown metric to hold": (lambda folder: {"hold": "karma"}, "`hold` must be one of"),
    "one of two metrics unknown": (
        lambda folder: {"metric": ["demographic_parity", "karma"]},
        "`metric` must be one of",
    ),
    "column that is not sensitive": (
        lambda folder: {"sensitive": ["sex", "region"], "by": "age"},
        r"--by must be one of the --sensitive columns \(sex, region\), got age",
    ),
    "column for what is no gap": (
        lambda folder: {"metric": "adaptive_loss", "by": "sex"},
        "--by is for gaps between groups; adaptive_loss is none",
    ),
    "second group column missing": (
        lambda folder: {"sensitive": ["sex", "tribe"]},
        "no column 'tribe'",
    ),
    "model not named": (lambda folder: {"model": None}, "--model"),
    "output not named": (lambda folder: {"out": None}, "Missing option --out"),
    "unknown option": (lambda folder: {"karma": 1}, "--karma"),
    "unknown choice": (lambda folder: {"select": "best"}, "`select` must be one of"),
    "unknown positive class": (lambda folder: {"positive": "rich"}, "--positive must be one of"),
    "output below a file": (
        lambda folder: {"out": folder / "train.csv" / "out"},
        "cannot be written",
    ),
    "output that is a file": (lambda folder: {"out": folder / "train.csv"}, "is a file"),
    "output nobody may write": (lambda folder: {"out": "/proc/out"}, "cannot be written"),
    "output that holds other files": (occupied, "holds other files"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_bad_input_is_one_clear_line_and_changes_nothing_on_disk(name, folder, run):
    spoil, message = BAD_INPUTS[name]
    changes = spoil(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code, out, err = run(*arguments(folder, **changes))
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert re.search(message, lines[0]), err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


class Note:
    """A type that skops does not know."""


def test_a_type_that_is_not_trusted_is_named_and_can_be_trusted(folder, run):
    model = read_model(folder / "model.skops")
    model.note = Note()
    skops.io.dump(model, folder / "model.skops")
    code, _, err = run(*arguments(folder))
    assert code == 2
    assert "types that are not trusted: tests.cli.test_cli.Note" in err
    named = skops.io.get_untrusted_types(file=folder / "model.skops")
    named = [t for t in named if "make_column_selector" not in t]
    code, _, _ = run(*arguments(folder), *(word for t in named for word in ("--trust", t)))
    assert code == 0


def test_data_sets_are_listed_and_found(run, monkeypatch, tmp_path):
    code, out, _ = run("datasets", "list")
    assert code == 0
    assert "census" in out
    code, out, _ = run("datasets", "where", "census")
    assert code == 0
    monkeypatch.setenv("SOFTUNLEARN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, out, _ = run("datasets", "where", "celeba")
    assert code == 3
    for command in (("where", "nothing"), ("fetch", "nothing"), ("fetch", "celeba")):
        code, out, err = run("datasets", *command)
        assert code == 2
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1


def test_no_arguments_show_the_help(run):
    _, out, err = run()
    assert "Usage" in out + err
    assert "error" not in out + err


@pytest.mark.parametrize("command", ["correct", "audit", "demo"])
def test_help_names_what_can_be_asked_for(command, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(command, "--help")
    for option in ("--sensitive", "--by", "--metric", "--hold", "--path", "--insist"):
        assert option in out
    assert ("--point" in out) == (command != "audit")


def test_help_is_there_for_every_command(run):
    for words in ([], ["correct"], ["audit"], ["demo"], ["datasets"], ["datasets", "fetch"]):
        code, out, _ = run(*words, "--help")
        assert code == 0
        assert "Usage" in out


@pytest.mark.slow
def test_the_demo_runs_anywhere(tmp_path):
    """In a process of its own, with no data, no cache, no network and no terminal."""
    environment = {
        key: value for key, value in os.environ.items() if key != "SOFTUNLEARN_DATA"
    } | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, "-m", "softunlearn.cli", "demo", "--data", "census"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CORRECTED" in done.stdout
    assert {path.name for path in (tmp_path / "softunlearn-demo").iterdir()} == FILES


@pytest.mark.slow
def test_the_demo_takes_columns_metrics_and_a_point(run, tmp_path):
    words = ["--sensitive", "sex", "--sensitive", "region", "--metric", "adaptive_loss"]
    words += ["--hold", "demographic_parity", "--point", "2", "--out", str(tmp_path / "out")]
    code, _, err = run("demo", "--data", "census", *words)
    assert code == 0, err
    metrics = su.load(tmp_path / "out").metrics
    assert metrics["frontier"][2]["chosen"]
    assert metrics["targets"][0]["name"] == "adaptive_loss"
    assert metrics["settings"]["held"] == ["Demographic parity gap"]
    code, _, err = run("demo", "--data", "census", "--sensitive", "tribe")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "no column 'tribe'" in err


@pytest.mark.parametrize("full", ["model.skops", "report.html"])
def test_a_full_disk_is_one_line_and_leaves_nothing(folder, run, full):
    run(*arguments(folder))
    size = (folder / "out" / full).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    names = {path.name for path in folder.iterdir()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        code, out, err = run(*arguments(folder, out=folder / "new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (code, out) == (2, "")
    assert err == f"error: {folder / 'new'} cannot be written: File too large.\n"
    assert {path.name for path in folder.iterdir()} == names


def test_a_read_only_folder_is_one_line_before_anything_is_read(folder, run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    monkeypatch.setattr(pd, "read_csv", None)
    code, out, err = run(*arguments(folder))
    assert (code, out) == (2, "")
    assert (
        err == f"error: {folder / 'out'} cannot be written: {folder} is not a writable folder.\n"
    )


def test_a_saved_model_is_a_model_again(folder, run):
    """Of a folder by a stranger too: the model is read as --model is."""
    run(*arguments(folder))
    code, out, _ = run(*arguments(folder, "audit", model=folder / "out" / "model.skops", out=None))
    assert code == 0
    assert "Rows that harm most" in out


@pytest.mark.parametrize(
    "attributes",
    [{"coef_": np.ones(3)}, {"coef_": "words"}, {"classes_": None}, {"classes_": "ab"}],
    ids=str,
)
def test_a_model_that_is_not_as_training_leaves_one_is_one_line(attributes, folder, run):
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for name, value in attributes.items():
        setattr(model, name, value)
    skops.io.dump(model, folder / "model.skops")
    code, out, err = run(*arguments(folder))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
