"""A folder of files as a newcomer has them, and the command line run on it."""

import sys

import pytest
import skops.io
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import softunlearn as su
from softunlearn.cli import main


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """A folder with a pipeline and three tables, as the README's script makes them."""
    folder = tmp_path_factory.mktemp("files")
    data = su.datasets.load("census", n_rows=2000, encoded=False)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        (StandardScaler(), make_column_selector(dtype_include="number")),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000, tol=1e-6))
    skops.io.dump(model.fit(data.train.X, data.train.y), folder / "model.skops")
    for name, rows in data._asdict().items():
        rows.X.assign(income=rows.y).to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy of that folder, to be spoiled."""
    for path in original.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Return exit code, standard output and standard error of a command."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["softunlearn", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return command
