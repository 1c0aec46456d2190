"""The rows that decide are a fair part of all."""

import numpy as np
import pytest

from softunlearn.held_out import held_out
from softunlearn.rows import Rows


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5, 0.9])
def test_every_class_and_group_gives_its_part(rng, part):
    y, g = rng.choice(["a", "b", "c"], 5000, p=[0.9, 0.09, 0.01]), rng.integers(2, size=5000)
    out = held_out(Rows(y[:, None], y, g), part, seed=0)
    for label in "abc":
        assert out[y == label].sum() == round(part * (y == label).sum())
        for group in (0, 1):
            cell = (y == label) & (g == group)
            assert abs(out[cell].sum() - part * cell.sum()) < 2


@pytest.mark.parametrize("part", [0.001, 0.25, 0.75, 0.999])
def test_a_class_of_two_rows_is_on_both_sides_and_one_of_one_row_is_trained_on(part):
    y = np.array([0] * 50 + [1] * 2 + [2])
    out = held_out(Rows(y[:, None], y), part, seed=3)
    assert 0 < out[y == 0].sum() < 50
    assert out[y == 1].sum() == 1
    assert not out[y == 2].any()


def test_rows_of_a_stratum_are_as_likely_as_each_other():
    y = np.repeat([0, 1], 10)
    times = sum(held_out(Rows(y[:, None], y), 0.3, seed) for seed in range(2000))
    # 600 expected, with a standard deviation of 20
    assert np.abs(times - 600).max() < 100


def test_the_seed_decides(rng):
    y = rng.integers(2, size=100)
    rows = Rows(y[:, None], y)
    np.testing.assert_array_equal(held_out(rows, 0.25, 1), held_out(rows, 0.25, 1))
    assert (held_out(rows, 0.25, 1) != held_out(rows, 0.25, 2)).any()


def test_rows_of_weight_zero_stay(rng):
    y = rng.integers(2, size=100)
    weight = (np.arange(100) % 2).astype(float)
    out = held_out(Rows(y[:, None], y, weight=weight), 0.5, 0)
    assert out.sum() == pytest.approx(25, abs=1)
    assert not out[weight == 0].any()
