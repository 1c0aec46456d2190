"""How far a figure of a sample of rows may be from that of all such rows.

Every figure here is a function of means over rows. Its variance is that of the bootstrap, had
without resampling: each row i moves the figure by psi_i (the infinitesimal jackknife), and the
variance is sum_i psi_i^2. A change is paired: both figures are of the same rows, so that what
they share cancels in psi_after - psi_before.

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
    >>> 0.0 in Interval(-0.1, 0.2), Interval(-0.1, 0.2) < 0.3
    (True, True)
    """

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __lt__(self, value: float) -> bool:
        return self.high < value

    def __gt__(self, value: float) -> bool:
        return self.low > value


@dataclass(frozen=True)
class Change:
    """A figure after less that before, on the same rows, and where that of all rows is."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Return whether the interval says that there is a change."""
        return not self.low <= 0 <= self.high


def mean(q: Float[np.ndarray, "n"]) -> Interval:
    """Return the interval of a mean over rows."""
    half = Z * sqrt(float(np.var(q)) / max(1, len(q) - 1)) if len(q) > 1 else inf
    return Interval(float(q.mean()) - half, float(q.mean()) + half)


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
    d = after - before
    psi = (d - d.mean()) / len(d)
    more = EXTRA / len(d) ** 2 if labels else 0.0
    return _change(float(d.mean()), psi, more)


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
    compared: Sequence[tuple[np.ndarray, np.ndarray]],
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
    n_groups = int(g.max()) + 1
    means = np.full((len(compared), n_groups), nan)
    variances = np.full_like(means, nan)
    for i, (q, where) in enumerate(compared):
        counts = np.bincount(g, where, minlength=n_groups)
        there = counts > 0
        n = counts[there]
        total = np.bincount(g, q * where, minlength=n_groups)
        means[i, there] = total[there] / n
        centred = (q - np.where(there, means[i], 0.0)[g]) * where
        squares = np.bincount(g, centred**2, minlength=n_groups)[there]
        variances[i, there] = variance_of_mean(n, total[there], squares, labels=labels)
    return gap(means, variances, pairwise=pairwise)


def gap_change(
    before: float,
    after: float,
    psi_before: Float[np.ndarray, "n"],
    psi_after: Float[np.ndarray, "n"],
    *,
    one_row: float = 0.0,
) -> Change:
    """Return the change of a gap, of which psi says how much each row moves it.

    The groups that are furthest apart are taken as known; where that is not certain, neither is
    the change. Of labels, `one_row` is how much the gap moves where one of each group changes: two
    more of these are counted, as in `mean_change`.
    """
    return _change(after - before, psi_after - psi_before, EXTRA * one_row**2)


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


def _change(value: float, psi: np.ndarray, more: float = 0.0) -> Change:
    half = Z * sqrt(float((psi**2).sum()) + more)
    return Change(value, value - half, value + half)


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
