import subprocess
import sys

import numpy as np
import pytest

from softunlearn import datasets

NAMES = [
    name if not info.files else pytest.param(name, marks=pytest.mark.data)
    for name, info in datasets.DATASETS.items()
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_every_part_has_numbers_labels_and_groups(name, protocol):
    info = datasets.DATASETS[name]
    splits = datasets.load(name, protocol=protocol)
    assert sum(map(len, splits)) == info.rows
    groups = set(info.groups.rpartition(": ")[2].split(" / "))
    for rows in splits:
        assert rows.X.dtype == np.float64
        assert np.isfinite(rows.X).all()
        assert set(rows.y.tolist()) == {0, 1}
        assert len(rows.X) == len(rows.y) == len(rows.g)
        assert set(rows.g) == groups
        assert len(set(rows.feature_names)) == rows.X.shape[1]


@pytest.mark.parametrize("name", NAMES)
def test_readable_rows_are_the_same_rows(name):
    numbers, words = datasets.load(name), datasets.load(name, encoded=False)
    for a, b in zip(numbers, words, strict=True):
        assert len(b.X) == len(a)
        assert (a.g == b.g).all()
        assert (a.y == np.unique(b.y, return_inverse=True)[1]).all()


def test_clean_census_is_cut_and_stratified():
    train, validation, test = datasets.load("census", n_rows=5_000)
    assert [len(train), len(validation), len(test)] == [3_000, 1_000, 1_000]
    share = [(rows.y[rows.g == "Female"]).mean() for rows in (train, validation, test)]
    assert max(share) - min(share) < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "census", "protocol": "papers"}, "`protocol` must be 'clean' or 'paper', got"),
        ({"name": "census", "n_rows": 99}, "`n_rows` must be a whole number of at least 100, got"),
        ({"name": "census", "n_rows": 1e4}, "`n_rows` must be a whole number"),
        ({"name": "census", "seed": -1}, "`seed` must be a whole number of at least 0, got -1"),
        ({"name": "adult", "n_rows": 500}, "`n_rows` is for 'census' only"),
    ],
)
def test_bad_argument_is_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        datasets.load(**arguments)
    assert "\n" not in str(error.value)


def test_import_does_not_wait_for_pandas():
    code = "import sys, softunlearn.datasets; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
