"""From a name to three parts: the one place where names of data sets and protocols become code."""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from softunlearn.datasets.catalogue import info_of
from softunlearn.datasets.splits import PROTOCOLS, Splits
from softunlearn.datasets.store import contents

MIN_ROWS = 100
"""Of a synthetic data set: below this, some part may lack a group with a label."""


def load(
    name: str,
    *,
    protocol: str = "clean",
    seed: int = 0,
    encoded: bool = True,
    n_rows: int | None = None,
) -> Splits:
    """Return a data set as train, validation and test rows, with labels and groups.

    Files are looked for in `$SOFTUNLEARN_DATA`, then in the user's cache directory, then
    downloaded from the data set's own site where its licence allows it. Their checksums are
    verified each time.

    Parameters
    ----------
    name : str
        One of `names()`; `DATASETS` says what each holds.
    protocol : {"clean", "paper"}, default="clean"
        "clean" keeps the official split (its test file in halves, if it has no validation rows)
        or cuts 60/20/20, stratified by label and group. "paper" is the split of the published
        experiments, to compare figures: 60/40 or Adult's official training rows, the rest in
        halves, scaled by the first 75 % of the training rows.
    seed : int, default=0
        Of the clean split, and of the rows of a synthetic data set. CelebA's clean split and all
        of "paper" have no use for it.
    encoded : bool, default=True
        True for numbers: words as 0/1 columns, standardised by the training rows (embeddings are
        left as they are), and labels 0 and 1. False for readable columns in a dataframe, the
        sensitive one among them, and labels in words where the data set has them.
    n_rows : int, optional
        Rows to make, at least 100; for "census" only, whose default is 20,000.

    Returns
    -------
    Splits
        `train`, `validation` and `test`, each a `Rows` with `X`, `y`, `g` and `feature_names`.

    Raises
    ------
    ValueError
        A name, protocol, seed or number of rows that there is not.
    DataUnavailableError
        Its files are not on this machine and cannot be downloaded; the message says what to put
        where.
    FileError
        A file on this machine is not the one it should be.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> train, validation, test = datasets.load("census", n_rows=2_000)
    >>> train.X.shape, train.y[:5].tolist(), train.g[:3].tolist()
    ((1200, 31), [1, 1, 0, 0, 0], ['Male', 'Male', 'Female'])
    >>> raw = datasets.load("census", n_rows=2_000, encoded=False)
    >>> raw.train.X.loc[0, ["education", "occupation"]].tolist()
    ['Bachelor', 'Management']
    """
    from softunlearn.datasets import census  # pandas comes with the first load, not the import

    info = info_of(name)
    if protocol not in PROTOCOLS:
        accepted = " or ".join(map(repr, PROTOCOLS))
        raise ValueError(f"`protocol` must be {accepted}, got {protocol!r}.")
    seed = _whole("seed", seed, at_least=0)
    if info.files and n_rows is not None:
        raise ValueError(f"`n_rows` is for 'census' only, got {n_rows!r} with {name!r}.")
    if info.files:
        table = _readers()[name](contents(info))
    else:
        n = info.rows if n_rows is None else _whole("n_rows", n_rows, at_least=MIN_ROWS)
        table = census.make(n, seed=seed)
    parts = PROTOCOLS[protocol](table.strata, table.official, seed)
    return table.cut(parts, encoded=encoded)


def _readers() -> Mapping[str, Callable[[Mapping[str, bytes]], Any]]:
    from softunlearn.datasets import adult, bank, celeba, toxicity

    return {
        "adult": adult.read,
        "bank": partial(bank.read, groups=bank.over_36),
        "bank_age_extremes": partial(bank.read, groups=bank.extremes),
        "celeba": celeba.read,
        "toxicity": toxicity.read_tweets,
        "toxicity_comments": toxicity.read_comments,
    }


def _whole(what: str, value: object, *, at_least: int) -> int:
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = None
    if number is None or number < at_least:
        raise ValueError(f"`{what}` must be a whole number of at least {at_least}, got {value!r}.")
    return number
