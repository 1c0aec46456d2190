"""`softunlearn correct run.toml`: options in a file, by their names."""

import json
import os

import pytest

from tests.cli.cases import FILES, arguments

OPTIONS = """
model = "model.skops"
train = "train.csv"
validation = "validation.csv"
label = "income"
sensitive = "sex"
metric = ["demographic_parity"]
select = "full"
out = "out"
"""


@pytest.fixture
def config(folder):
    """Write a file of these options and more, and return its path."""

    def write(more="", options=OPTIONS):
        (folder / "run.toml").write_text(options + more, encoding="utf-8")
        return str(folder / "run.toml")

    return write


def test_a_file_is_the_same_as_its_options_on_the_line(folder, run, config, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # paths are relative to the file
    code, from_file, err = run("correct", config("json = true\n"))
    assert code == 0, err
    assert {path.name for path in (folder / "out").iterdir()} == FILES
    words = arguments(folder, metric="demographic_parity", select="full", out=folder / "out2")
    _, from_line, _ = run(*words, "--json")
    for name in ("frontier", "figures", "settings"):
        assert json.loads(from_file)[name] == json.loads(from_line)[name]


def test_options_on_the_line_win(folder, run, config):
    path = config()
    _, out, _ = run("correct", path, "--metric", "equal_opportunity", "--json")
    assert json.loads(out)["metric"]["name"] == "equal_opportunity"
    code, out, err = run("correct", "--point", "2", path, "--json")  # instead of the file's select
    assert code == 0, err
    assert json.loads(out)["frontier"][2]["chosen"]
    code, out, _ = run("correct", path, "--out", str(folder / "there"))
    assert code == 0
    assert {path.name for path in (folder / "there").iterdir()} == FILES


def test_audit_takes_a_file_of_its_options(folder, run, config):
    options = "\n".join(line for line in OPTIONS.splitlines() if not line.startswith("select"))
    code, out, err = run("audit", config(options=options), "--json")
    assert code == 0, err
    assert json.loads(out)["status"] == "AUDITED"


BAD = {
    "unknown key": ("metrik = 1", "'metrik' is no option of correct; did you mean metric?"),
    "underscores": ("only_above = 1", "'only_above' is no option of correct; did you mean only-a"),
    "nothing near": ("zzzz = 1", "'zzzz' is no option of correct; it takes algorithm, by"),
    "a list for one value": ('by = ["sex"]', "by takes one value, got a list"),
    "a table": ("[by]\nx = 1", "by takes a plain value"),
    "a list of lists": ('hold = [["a"]]', "hold takes a plain value"),
    "text for a flag": ('insist = "yes"', "insist takes true or false, got 'yes'"),
    "a flag for a number": ("point = true", "point takes no truth value, got True"),
    "half a point": ("point = 2.5", "--point"),
    "text for a number": ('seed = "seven"', "--seed"),
    "the file itself": ('config = "run.toml"', "'config' is no option"),
    "no TOML": ("by = ", "is not a TOML file"),
    "not UTF-8": (b"by = '\xff'", "is not a TOML file"),
    "deep": ("by = " + "[" * 5000, "is not a TOML file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_line(name, folder, run, config):
    more, message = BAD[name]
    path = config()
    with open(path, "ab") as file:
        file.write(more if isinstance(more, bytes) else more.encode())
    before = sorted(folder.rglob("*"))
    code, out, err = run("correct", path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("error: ")
    assert message in err
    assert sorted(folder.rglob("*")) == before


def test_all_problems_of_a_file_are_named(run, config):
    _, _, err = run("correct", config('metrik = 1\ninsist = "yes"\n'))
    assert len(err.splitlines()) == 2


def test_a_file_that_is_not_there_is_said(run, folder):
    for path in (folder / "nothing.toml", folder):
        code, _, err = run("correct", str(path))
        assert (code, len(err.splitlines())) == (2, 1)
        assert "cannot be read" in err


def test_what_a_file_leaves_out_is_asked_for(run, config):
    code, _, err = run("correct", config(options='model = "model.skops"\n'))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "Missing option" in err


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such device")
def test_a_device_without_an_end_is_no_file_of_options(run):
    code, out, err = run("correct", "/dev/zero")
    assert (code, out) == (2, "")
    assert err.startswith("error: /dev/zero has over 1,048,576 bytes")
