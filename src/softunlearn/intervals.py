"""How far a figure of a sample of rows may be from that of all such rows.

Every figure here is a function of means over rows. The variance of a mean is the bootstrap's, had
without resampling. A change is paired: both figures are of the same rows, so that what they share
cancels.

A gap between groups is the largest of many differences, and never below zero, so its own bootstrap
would nearly always say that there is one. Its interval comes from intervals of all the differences
that hold together: |d_ab| +- q se_ab for every pair of groups, q such that all pairs are within it
with the level's probability. It reaches zero just where no pair of groups can be told apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, nan, sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Integer

LEVEL = 0.95
"""Part of samples whose interval holds the figure of all rows."""

Cell = tuple[np.ndarray, np.ndarray]
"""What is averaged, and over which rows: shapes (n,) and (n,)."""

DRAWS = 10_000
"""Of the largest of several normal differences; its 95 % point is then known to 1 %."""

BLOCK = 500
"""Draws at once: a hundred groups have 4,950 pairs."""

EXTRA = 2.0
"""Rows added to those of a proportion, half of them successes, so that 0 of 20 is not certain."""

Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class Interval:
    """Where the figure of all rows is, with a probability of 95 %.

    Examples
    --------
    >>> 0.0 in Interval(-0.1, 0.2), 0.3 in Interval(-0.1, 0.2)
    (True, False)
    """

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Change:
    """A figure after less that before, on the same rows, and where that of all rows is.

    Examples
    --------
    >>> Change(-0.05, -0.08, -0.02).clear, Change(-0.05, -0.12, 0.02).clear
    (True, False)
    """

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Return whether the interval says that there is a change."""
        return not self.low <= 0 <= self.high


def mean(q: Float[np.ndarray, "n"]) -> Interval:
    """Return the interval of a mean over rows, longer on the side of their long tail."""
    if len(q) < 2:
        return Interval(-inf, inf)
    half = Z * sqrt(float(np.var(q)) / (len(q) - 1))
    value, longer = float(q.mean()), _skew_shift(q)
    return Interval(value - half + min(0.0, longer), value + half + max(0.0, longer))


def proportion(successes: float, n: int) -> Interval:
    """Return Wilson's interval of a part of n rows, which is never empty nor beyond 0 and 1."""
    p, z2 = successes / n, Z**2
    centre, half = p + z2 / (2 * n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return Interval(max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def mean_change(
    before: Float[np.ndarray, "n"], after: Float[np.ndarray, "n"], *, labels: bool = False
) -> Change:
    """Return the change of a mean over the same rows.

    Parameters
    ----------
    before, after : ndarray of shape (n,)
    labels : bool, default=False
        Whether they are 0 or 1. Then two more rows are counted, one changed each way, so that rows
        of which none changed do not make it certain that none would.
    """
    d, n = after - before, len(before)
    half = Z * sqrt(float(np.var(d)) / n + (EXTRA / n**2 if labels else 0.0))
    value, longer = float(d.mean()), 0.0 if labels else _skew_shift(d)
    return Change(value, value - half + min(0.0, longer), value + half + max(0.0, longer))


def gap(
    means: Float[np.ndarray, "c G"],
    variances: Float[np.ndarray, "c G"],
    *,
    pairwise: bool = False,
) -> Interval:
    """Return the interval of the largest gap between groups.

    Parameters
    ----------
    means : ndarray of shape (c, G)
        Of G groups in c comparisons, the largest of whose gaps is the figure; NaN for a group
        that takes no part.
    variances : ndarray of shape (c, G)
        Of each of the means; infinite where one row gave it.
    pairwise : bool, default=False
        Whether a comparison's gap is the mean over pairs of groups, not the largest of them.
    """
    a, b = np.triu_indices(means.shape[1], 1)
    d = np.abs(means[:, a] - means[:, b])
    se = np.sqrt(variances[:, a] + variances[:, b])
    known = np.isfinite(d)
    if not known.any():
        return Interval(nan, nan)
    q = _simultaneous(tuple(map(tuple, np.where(np.isfinite(means), variances, nan))))
    with np.errstate(invalid="ignore"):
        half = np.where(se > 0, q * se, 0.0)
    low, high = np.where(known, np.maximum(d - half, 0.0), nan), np.where(known, d + half, nan)
    if pairwise:
        low, high = _row_means(low), _row_means(high)
    return Interval(float(np.nanmax(low)), float(np.nanmax(high)))


def cells(
    compared: Sequence[Cell],
    g: Integer[np.ndarray, "n"],
    *,
    labels: bool = False,
    pairwise: bool = False,
) -> Interval:
    """Return the interval of the largest gap between groups over some comparisons.

    Parameters
    ----------
    compared : sequence of (ndarray of shape (n,), bool ndarray of shape (n,))
        What is averaged, and over which rows.
    g : ndarray of shape (n,)
        Group codes.
    labels : bool, default=False
        Whether the averaged are 0 or 1.
    pairwise : bool, default=False
        As in `gap`.
    """
    moments = [_moments(q, where, g, labels=labels) for q, where in compared]
    means, variances = (np.stack(part) for part in zip(*moments, strict=True))
    return gap(means, variances, pairwise=pairwise)


def largest_gap(compared: Sequence[Cell], g: Integer[np.ndarray, "n"]) -> float:
    """Return the largest gap over some comparisons; NaN where one has fewer than two groups."""
    largest = -inf
    for q, where in compared:
        means, _ = _moments(q, where, g)
        known = means[np.isfinite(means)]
        if len(known) < 2:
            return nan
        largest = max(largest, float(known.max() - known.min()))
    return largest


def gap_change(
    before: Sequence[Cell],
    after: Sequence[Cell],
    g: Integer[np.ndarray, "n"],
    *,
    labels: bool = False,
) -> Change:
    """Return the change of the largest gap between groups, on the same rows.

    Let A_j and B_j be the gaps of all pairs of groups in all comparisons, before and after. If i
    leads before, max B - max A >= B_i - A_i; if k leads after, it is at most B_k - A_k. So the
    interval spans those of every pair that may lead, by the sample; where one pair leads clearly,
    it is that pair's. Where a pair's order is not certain, the wider variance is taken. What is
    not certain is what is within one standard error: a second one would be added in vain.

    Parameters
    ----------
    before, after : sequence of (ndarray of shape (n,), bool ndarray of shape (n,))
        What is averaged and over which rows; the rows are the same.
    g : ndarray of shape (n,)
        Group codes.
    labels : bool, default=False
        Whether the averaged are 0 or 1: two more rows of each group are then counted, one changed
        each way.
    """
    A, B, change, half, leads = [], [], [], [], []
    for (was, where), (now, _) in zip(before, after, strict=True):
        m0, v0 = _moments(was, where, g, labels=labels)
        m1, v1 = _moments(now, where, g, labels=labels)
        difference = _moments(now - was, where, g)[1]
        total = _moments(now + was, where, g)[1]
        n = np.bincount(g, where, minlength=len(m0))
        a, b = np.triu_indices(len(m0), 1)
        d0, d1 = m0[a] - m0[b], m1[a] - m1[b]
        se0, se1 = np.sqrt(v0[a] + v0[b]), np.sqrt(v1[a] + v1[b])
        same, flipped = difference[a] + difference[b], total[a] + total[b]
        unsure = (np.abs(d0) < se0) | (np.abs(d1) < se1)
        v = np.where(d0 * d1 >= 0, same, flipped)
        v = np.where(unsure, np.maximum(same, flipped), v)
        if labels:
            v = v + EXTRA / np.maximum(n[a], 1) ** 2 + EXTRA / np.maximum(n[b], 1) ** 2
        A.append(np.abs(d0))
        B.append(np.abs(d1))
        change.append(np.abs(d1) - np.abs(d0))
        half.append(Z * np.sqrt(v))
        leads.append((se0, se1))
    A, B, change, half = (np.concatenate(x) for x in (A, B, change, half))
    se0, se1 = (np.concatenate(x) for x in zip(*leads, strict=True))
    known = np.isfinite(A)
    A, B, change, half, se0, se1 = (x[known] for x in (A, B, change, half, se0, se1))
    first, last = _may_lead(A, se0), _may_lead(B, se1)
    return Change(
        float(B.max() - A.max()),
        float((change - half)[first].min()),
        float((change + half)[last].max()),
    )


def variance_of_mean(
    n: Float[np.ndarray, "G"],
    total: Float[np.ndarray, "G"],
    squares: Float[np.ndarray, "G"],
    *,
    labels: bool = False,
) -> Float[np.ndarray, "G"]:
    """Return the variances of means of n rows, from their sums and sums of squared deviations.

    Infinite for one row; for labels never zero.
    """
    if labels:
        p = (total + EXTRA / 2) / (n + EXTRA)
        return p * (1 - p) / n
    return np.where(n > 1, squares / (n * np.maximum(n - 1, 1)), inf)


def resampled(
    value: Callable[[np.ndarray], float], n: int, *, draws: int = 200, seed: int = 0
) -> Interval:
    """Return the bootstrap interval of any figure of n rows, `value(rows)`, for want of better.

    Samples on which it cannot be measured are left out.
    """
    rng, values = np.random.default_rng(seed), []
    for _ in range(draws):
        try:
            values.append(value(rng.integers(n, size=n)))
        except ValueError:
            continue
    if not values:
        return Interval(-inf, inf)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _moments(
    q: np.ndarray, where: np.ndarray, g: np.ndarray, *, labels: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of q in `where` of every group, and its variance; NaN without rows."""
    n_groups = int(g.max()) + 1
    counts = np.bincount(g, where, minlength=n_groups)
    there, means = counts > 0, np.full(n_groups, nan)
    variances, n = means.copy(), counts[counts > 0]
    total = np.bincount(g, q * where, minlength=n_groups)[there]
    means[there] = total / n
    centred = (q - np.where(there, means, 0.0)[g]) * where
    squares = np.bincount(g, centred**2, minlength=n_groups)[there]
    variances[there] = variance_of_mean(n, total, squares, labels=labels)
    return means, variances


def _may_lead(gaps: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Return which gaps the sample cannot tell from the largest, the largest among them."""
    leader = int(gaps.argmax())
    apart = np.sqrt(se**2 + se[leader] ** 2)
    may = gaps[leader] - gaps <= apart
    may[leader] = True
    return may


def _skew_shift(q: np.ndarray) -> float:
    """Return by how much skewness moves the interval of a mean (Hall, 1992, first order).

    A plain interval is mostly missed on that side; a rare row of large loss is the reason.
    """
    centred = q - q.mean()
    variance = float((centred**2).mean())
    if variance == 0:
        return 0.0
    third = float((centred**3).mean())
    return third * (1 + 2 * Z**2) / (6 * variance * len(q))


def _row_means(x: np.ndarray) -> np.ndarray:
    """Return the mean of what is known in each row; NaN where nothing is."""
    known = np.isfinite(x) | np.isinf(x)
    counts = known.sum(axis=1)
    total = np.where(known, x, 0.0).sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), nan)


@lru_cache(maxsize=256)
def _simultaneous(variances: tuple[tuple[float, ...], ...]) -> float:
    """Return q with P(all |d_ab - true d_ab| <= q se_ab) = LEVEL, over pairs and comparisons.

    Comparisons are taken as independent; where they share rows that is on the safe side.
    """
    v = np.array(variances)
    a, b = np.triu_indices(v.shape[1], 1)
    se = np.sqrt(v[:, a] + v[:, b])
    usable = np.isfinite(se) & (se > 0)
    if usable.sum() <= 1:
        return Z
    rng, largest = np.random.default_rng(0), np.empty(DRAWS)
    for start in range(0, DRAWS, BLOCK):
        noise = rng.standard_normal((BLOCK, *v.shape)) * np.sqrt(v)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.abs(noise[:, :, a] - noise[:, :, b]) / se
        largest[start : start + BLOCK] = np.where(usable, t, 0.0).max(axis=(1, 2))
    return float(np.quantile(largest, LEVEL))
