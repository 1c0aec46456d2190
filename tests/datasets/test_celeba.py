import pytest

from softunlearn import datasets


@pytest.mark.data
def test_split_is_the_official_one():
    splits = datasets.load("celeba")
    assert [len(rows) for rows in splits] == [162_770, 19_867, 19_962]
    assert splits.train.X.shape[1] == 39
    assert "Smiling" not in splits.train.feature_names
    assert sum((rows.g == "Male").sum() for rows in splits) == 84_434
    assert (datasets.load("celeba", seed=1).test.X == splits.test.X).all()


@pytest.mark.data
def test_published_split_is_60_20_20():
    assert [len(rows) for rows in datasets.load("celeba", protocol="paper")] == [
        121_559,
        40_520,
        40_520,
    ]
