import numpy as np
import pytest

from softunlearn import datasets
from softunlearn.datasets import bank

FILE = b""""age";"job";"y"
37;"services";"no"
36;"unknown";"no"
36;"student";"yes"
"""


def test_rows_with_an_unknown_are_dropped():
    table = bank.read({"bank-additional-full.csv.gz": FILE}, groups=bank.over_36)
    assert table.raw.to_dict("records") == [
        {"age": 37, "job": "services"},
        {"age": 36, "job": "student"},
    ]
    assert table.y.tolist() == [0, 1]
    assert table.g.tolist() == ["over 36", "36 or under"]


def test_extremes_are_under_25_and_over_60():
    groups = bank.extremes(np.array([24, 25, 60, 61]))
    assert groups.tolist() == [
        "under 25 or over 60",
        "25 to 60",
        "25 to 60",
        "under 25 or over 60",
    ]


@pytest.mark.data
@pytest.mark.parametrize("name", ["bank", "bank_age_extremes"])
def test_rows_are_the_complete_ones_of_uci(name):
    rows = datasets.load(name)
    assert sum(map(len, rows)) == 30_488
    for part in rows:  # stratified: each part has the 12.7 % of the whole
        assert part.y.mean() == pytest.approx(0.127, abs=1e-3)
    raw = datasets.load(name, encoded=False)
    assert raw.train.X.shape[1] == 20
    assert set(raw.train.y) == {"no", "yes"}
