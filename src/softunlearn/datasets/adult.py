"""Adult: income in the US census of 1994, as UCI's two files hold it.

Rows with an unknown value ("?") are dropped, and so is `fnlwgt`, which says how many people a row
stands for and not what they are like.
"""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd

from softunlearn.datasets.table import Table, one_hot

COLUMNS = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
)


def read(files: Mapping[str, bytes]) -> Table:
    """Return Adult, UCI's training file first; its two files are the official split."""
    train = _parse(files["train.csv.gz"], skip_lines=0)
    rest = _parse(files["test.csv.gz"], skip_lines=1)  # its first line is a remark
    everyone = pd.concat([train, rest], ignore_index=True)
    raw = everyone.drop(columns=["fnlwgt", "income"])
    return Table(
        raw=raw,
        encoded=one_hot(raw, binary={"sex": "Male"}),
        # labels of the test file end in a dot: "<=50K."
        y=everyone["income"].str.startswith(">50K").to_numpy(dtype=np.int64),
        g=raw["sex"].to_numpy(dtype=str),
        labels=("<=50K", ">50K"),
        official=(np.arange(len(train)), np.arange(len(train), len(everyone))),
    )


def _parse(content: bytes, *, skip_lines: int) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(content),
        names=list(COLUMNS),
        skiprows=skip_lines,
        skipinitialspace=True,
        na_values="?",
    ).dropna(ignore_index=True)
