"""Train, validation and test: the two protocols that cut a data set into three.

`clean` keeps an official split, or cuts 60/20/20 stratified by label and group, by a seed. `paper`
is the split of the published experiments, whose seed is fixed. Both say which rows the scaler may
see; validation and test are never among them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from softunlearn.rows import Rows

PUBLISHED_SEED = 42_000
"""`random_state` of the published experiments' cut into validation and test."""

PUBLISHED_SCALER_SHARE = 0.75
"""Share of the training rows, the first ones, that their scaler was fitted on."""


class Splits(NamedTuple):
    """The three parts of a data set, each with its groups and feature names.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> train, validation, test = datasets.load("census", n_rows=1_000)
    >>> len(train), len(validation), len(test)
    (600, 200, 200)
    """

    train: Rows
    validation: Rows
    test: Rows


class Parts(NamedTuple):
    """Row numbers of each part, and of the rows that the scaler is fitted on."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    fitted: np.ndarray


def clean(strata: np.ndarray, official: tuple[np.ndarray, ...], seed: int) -> Parts:
    """Return the official split, completed, or 60/20/20 stratified.

    Parameters
    ----------
    strata : ndarray of shape (n,)
        Stratum of each row: its label and group, as one number.
    official : tuple of ndarray
        Row numbers of (train, validation, test), or of (train, rest), or empty.
    seed : int
        Of the shuffle within each stratum; an official split in three has no use for it.
    """
    match official:
        case (train, validation, test):
            pass
        case (train, rest):
            validation, test = deal(rest, strata, (1, 1), seed)
        case _:
            train, validation, test = deal(np.arange(len(strata)), strata, (3, 1, 1), seed)
    return Parts(train, validation, test, fitted=train)


def paper(strata: np.ndarray, official: tuple[np.ndarray, ...], seed: int) -> Parts:
    """Return the published split: 60/40, the 40 in halves, by its own seed.

    Parameters are those of `clean`. An official (train, rest), Adult's, is kept; CelebA's official
    split in three was not used.
    """
    from sklearn.model_selection import train_test_split

    def published(rows: np.ndarray, test_size: float) -> tuple[np.ndarray, np.ndarray]:
        first, second = train_test_split(
            rows, test_size=test_size, random_state=PUBLISHED_SEED, shuffle=True
        )
        return np.asarray(first), np.asarray(second)

    match official:
        case (train, rest):
            pass
        case _:
            train, rest = published(np.arange(len(strata)), test_size=0.4)
    # The second part is the one they validated on.
    test, validation = published(rest, test_size=0.5)
    return Parts(train, validation, test, train[: int(PUBLISHED_SCALER_SHARE * len(train))])


Protocol = Callable[[np.ndarray, tuple[np.ndarray, ...], int], Parts]

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({"clean": clean, "paper": paper})


def deal(
    rows: np.ndarray, strata: np.ndarray, shares: tuple[int, ...], seed: int
) -> tuple[np.ndarray, ...]:
    """Return row numbers in parts of the given shares, dealt like cards.

    The rows of each stratum are shuffled, the strata are laid one behind the other, and the rows
    are dealt out in turn: each part gets its share of each stratum, to within one round.
    """
    shuffled = rows[np.lexsort((uniforms(len(rows), seed), strata[rows]))]
    player = np.resize(np.repeat(np.arange(len(shares)), shares), len(rows))
    return tuple(np.sort(shuffled[player == k]) for k in range(len(shares)))


def uniforms(n: int, *seed: int) -> np.ndarray:
    """Return n numbers in [0, 1), the same for the same seed on every machine.

    Only a bit generator's raw stream is guaranteed never to change; what `Generator` makes of it
    is not. The upper 53 of 64 bits are exact in float64.
    """
    return (np.random.PCG64(seed).random_raw(n) >> np.uint64(11)) * 2.0**-53
