"""Intervals against resampling, closed forms of statistics, and what they promise: coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from softunlearn import intervals
from softunlearn.intervals import Interval


def test_a_mean_is_within_its_standard_error(rng):
    half = rng.normal(size=200)
    q = np.concatenate([1 + half, 1 - half])  # not skewed
    found = intervals.mean(q)
    expected = stats.norm.interval(0.95, loc=q.mean(), scale=stats.sem(q))
    np.testing.assert_allclose((found.low, found.high), expected)


def test_the_mean_of_skewed_rows_is_missed_less_often(rng):
    """A plain interval of a skewed mean is mostly too low."""
    low, high, plain = 0, 0, 0
    for _ in range(3000):
        q = rng.lognormal(sigma=1.0, size=60)
        found, true = intervals.mean(q), np.exp(0.5)
        low, high = low + (found.high < true), high + (found.low > true)
        plain += abs(q.mean() - true) > stats.norm.ppf(0.975) * stats.sem(q)
    assert low + high < 0.75 * plain
    assert high <= low


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (7, 20), (20, 20), (850, 1000)])
def test_a_proportion_has_wilsons_interval(successes, n):
    found = intervals.proportion(successes, n)
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), atol=1e-12)


def test_the_change_of_a_mean_has_the_bootstraps_variance(rng):
    before = rng.normal(size=300)
    after = before + rng.normal(0.1, 0.3, size=300)
    found = intervals.mean_change(before, after)
    d = after - before
    resampled = d[rng.integers(300, size=(20_000, 300))].mean(axis=1)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.96 * resampled.std(), rtol=0.03)
    # paired: far narrower than two intervals of means
    alone = intervals.mean(before)
    assert found.high - found.low < 0.5 * (alone.high - alone.low)


def test_labels_that_none_changed_leave_the_change_uncertain():
    same = np.ones(50)
    found = intervals.mean_change(same, same, labels=True)
    assert found.low < 0 < found.high
    assert not found.clear
    exact = intervals.mean_change(same, same)
    assert exact.low == exact.high == 0.0


def groups_of(rng, sizes, rates, labels=True):
    g = np.repeat(np.arange(len(sizes)), sizes)
    p = np.asarray(rates)[g]
    q = (rng.random(len(g)) < p).astype(float) if labels else p + rng.normal(0, 0.3, len(g))
    return q, g, np.ones(len(g), dtype=bool)


def test_a_gap_of_two_groups_has_the_interval_of_a_difference_of_means(rng):
    q, g, where = groups_of(rng, (300, 500), (0.2, 0.5), labels=False)
    found = intervals.cells([(q, where)], g)
    d = q[g == 1].mean() - q[g == 0].mean()
    half = stats.norm.ppf(0.975) * math.hypot(stats.sem(q[g == 0]), stats.sem(q[g == 1]))
    np.testing.assert_allclose((found.low, found.high), (d - half, d + half))


@pytest.mark.parametrize("n_groups", [2, 3, 6])
def test_where_groups_are_equal_the_gap_reaches_zero_about_19_times_in_20(n_groups, rng):
    reached = 0
    for _ in range(400):
        q, g, where = groups_of(rng, [80] * n_groups, [0.4] * n_groups, labels=False)
        reached += 0.0 in intervals.cells([(q, where)], g)
    # 400 draws of 0.95: a standard deviation is 0.011
    assert 0.915 <= reached / 400 <= 0.985


@pytest.mark.parametrize("rates", [(0.2, 0.3, 0.5), (0.4, 0.4, 0.4)])
def test_a_gap_of_several_groups_is_covered(rates, rng):
    true, hit = max(rates) - min(rates), 0
    for _ in range(300):
        q, g, where = groups_of(rng, (100, 150, 60), rates)
        hit += true in intervals.cells([(q, where)], g, labels=True)
    assert hit / 300 >= 0.92


def cells_of(values, g):
    return [(values, np.ones(len(g), dtype=bool))]


def test_the_change_of_a_clear_gap_has_the_bootstraps_variance(rng):
    g = np.repeat([0, 1], [400, 600])
    before = 0.2 * g + rng.normal(0, 0.2, 1000)
    after = 0.5 * before + rng.normal(0, 0.05, 1000)
    found = intervals.gap_change(cells_of(before, g), cells_of(after, g), g)

    def change(i):
        means = [[q[i][g[i] == k].mean() for k in (0, 1)] for q in (before, after)]
        return abs(np.diff(means[1])[0]) - abs(np.diff(means[0])[0])

    resampled = [change(rng.integers(1000, size=1000)) for _ in range(2000)]
    np.testing.assert_allclose(found.value, change(np.arange(1000)))
    np.testing.assert_allclose(found.high - found.low, 2 * 1.96 * np.std(resampled), rtol=0.06)


@pytest.mark.parametrize("sizes", [(20, 50), (2, 7)])
def test_labels_that_none_changed_leave_each_groups_part_of_a_gaps_change_uncertain(sizes):
    """Two rows of n are counted, one changed each way: a variance of 2 / n^2 for each group."""
    g = np.repeat([0, 1], sizes)
    q = g.astype(float)
    found = intervals.gap_change(cells_of(q, g), cells_of(q, g), g, labels=True)
    half = stats.norm.ppf(0.975) * np.sqrt(2 / sizes[0] ** 2 + 2 / sizes[1] ** 2)
    np.testing.assert_allclose([found.low, found.value, found.high], [-half, 0, half], atol=1e-12)


@pytest.mark.parametrize("left", [0.0, 0.02, 0.3])
def test_the_change_of_a_gap_is_covered_whatever_is_left_of_it(left, rng):
    hit, g = 0, np.repeat([0, 1], [150, 250])
    for _ in range(400):
        noise = rng.normal(0, 0.3, 400)
        before = 0.3 * g + noise
        after = left * g + 0.7 * noise + rng.normal(0, 0.1, 400)
        found = intervals.gap_change(cells_of(before, g), cells_of(after, g), g)
        hit += found.low <= left - 0.3 <= found.high
    assert 0.92 <= hit / 400 <= 0.99


def test_the_change_of_the_larger_of_two_gaps_is_covered_where_they_are_close(rng):
    hit, g = 0, np.repeat([0, 1], 200)
    where = np.tile([True, False], 200)
    for _ in range(400):
        q = 0.2 * g + rng.normal(0, 0.3, 400)
        cells = [(q, where), (q, ~where)]
        now = 0.5 * q + rng.normal(0, 0.1, 400)
        found = intervals.gap_change(cells, [(now, where), (now, ~where)], g)
        hit += found.low <= -0.1 <= found.high
    assert hit / 400 >= 0.92


def test_many_comparisons_are_held_together(rng):
    """Of ten comparisons without any difference the largest is no evidence of one."""
    reached = 0
    for _ in range(200):
        q, g, where = groups_of(rng, [60] * 2, [0.0] * 2, labels=False)
        compared = [(rng.permutation(q), where) for _ in range(10)]
        reached += 0.0 in intervals.cells(compared, g)
    assert reached / 200 >= 0.9


def test_the_mean_of_pairs_lies_within_the_largest(rng):
    q, g, where = groups_of(rng, [200] * 4, [0.1, 0.2, 0.3, 0.8])
    largest = intervals.cells([(q, where)], g, labels=True)
    mean = intervals.cells([(q, where)], g, labels=True, pairwise=True)
    assert 0 < mean.low < mean.high < largest.high
    assert mean.low < largest.low


def test_the_variance_of_a_share_counts_two_rows_more_one_of_each_label():
    n, ones = np.array([3.0, 20.0, 50.0]), np.array([0.0, 20.0, 13.0])
    pairs = zip(n, ones, strict=True)
    p = np.array([np.mean([*[1] * int(k + 1), *[0] * int(m - k + 1)]) for m, k in pairs])
    found = intervals.variance_of_mean(n, ones, ones * (1 - ones / n), labels=True)
    np.testing.assert_allclose(found, p * (1 - p) / n)
    values = np.random.default_rng(2).normal(size=9)
    squares = np.array([np.sum((values - values.mean()) ** 2)])
    found = intervals.variance_of_mean(np.array([9.0]), values.sum()[None], squares)
    np.testing.assert_allclose(found, stats.sem(values) ** 2)


def test_a_group_of_one_row_says_nothing():
    q, g = np.array([0.1, 0.2, 0.15, 0.9]), np.array([0, 0, 0, 1])
    found = intervals.cells([(q, np.ones(4, dtype=bool))], g)
    assert found == Interval(0.0, math.inf)


def test_any_figure_has_the_bootstraps_interval(rng):
    q = rng.normal(size=200)
    found = intervals.resampled(lambda rows: float(np.median(q[rows])), 200)
    medians = [np.median(rng.choice(q, 200)) for _ in range(5000)]
    expected = np.quantile(medians, [0.025, 0.975])
    np.testing.assert_allclose((found.low, found.high), expected, atol=0.06)
