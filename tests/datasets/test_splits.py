import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softunlearn.datasets import splits

strata_of_rows = st.lists(st.integers(0, 3), min_size=5, max_size=200).map(np.array)


def everyone(parts):
    return np.sort(np.concatenate(parts[:3]))


@given(strata_of_rows, st.integers(0, 2**32))
def test_clean_deals_each_stratum_60_20_20(strata, seed):
    parts = splits.clean(strata, (), seed)
    assert (everyone(parts) == np.arange(len(strata))).all()
    assert parts.fitted is parts.train
    for stratum in range(4):
        size = (strata == stratum).sum()
        for part, share in zip(parts[:3], (3, 1, 1), strict=True):
            # a stratum of `size` rows fills at least size // 5 whole rounds, and touches
            # at most two more
            whole = size // 5
            assert share * (whole - 1) <= (strata[part] == stratum).sum() <= share * (whole + 2)


def test_clean_depends_on_the_seed_alone():
    strata = np.arange(100) % 4
    first, again, other = (splits.clean(strata, (), seed) for seed in (0, 0, 1))
    assert (first.test == again.test).all()
    assert not np.array_equal(first.test, other.test)


def test_clean_halves_the_rest_of_an_official_split():
    train, rest = np.arange(60), np.arange(60, 100)
    parts = splits.clean(np.arange(100) % 4, (train, rest), 0)
    assert parts.train is train
    assert np.bincount(parts.test % 4).tolist() == [5, 5, 5, 5]
    assert (np.sort(np.r_[parts.validation, parts.test]) == rest).all()


def test_clean_keeps_an_official_split_in_three():
    official = np.arange(8), np.array([9]), np.array([8])
    assert splits.clean(np.zeros(10, int), official, 0)[:3] == official


@pytest.mark.parametrize("official", [(), (np.arange(5), np.array([6]), np.array([7]))])
def test_paper_draws_60_20_20_whatever_the_seed(official):
    parts, other = (splits.paper(np.zeros(1000, int), official, seed) for seed in (0, 1))
    assert [len(rows) for rows in parts] == [600, 200, 200, 450]
    assert (everyone(parts) == np.arange(1000)).all()
    assert (parts.fitted == parts.train[:450]).all()
    assert (parts.test == other.test).all()


def test_uniforms_are_those_of_numpy():
    # today's Generator makes its doubles of the same bits; the raw bits alone are promised
    expected = np.random.Generator(np.random.PCG64((3, 1))).random(1000)
    assert (splits.uniforms(1000, 3, 1) == expected).all()
