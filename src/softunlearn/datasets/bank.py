"""Bank marketing: who took a term deposit when the bank called, with UCI's economic indicators.

Rows with any "unknown" are dropped. All 20 columns are kept, `duration` among them, as in the
published experiments; the length of a call is known only after it, so a model that is to choose
whom to call should leave it out.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from softunlearn.datasets.table import Table, one_hot


def over_36(age: np.ndarray) -> np.ndarray:
    """Return the groups of the published experiments; 36 cuts the rows in halves."""
    return np.where(age > 36, "over 36", "36 or under")


def extremes(age: np.ndarray) -> np.ndarray:
    """Return the youngest and the oldest clients against all others."""
    return np.where((age < 25) | (age > 60), "under 25 or over 60", "25 to 60")


def read(files: Mapping[str, bytes], *, groups: Callable[[np.ndarray], np.ndarray]) -> Table:
    """Return Bank, by date of the call, with groups that are a function of age."""
    content = files["bank-additional-full.csv.gz"]
    everyone = pd.read_csv(io.BytesIO(content), sep=";", na_values="unknown")
    everyone = everyone.dropna(ignore_index=True)
    raw = everyone.drop(columns="y")
    return Table(
        raw=raw,
        encoded=one_hot(raw),
        y=(everyone["y"] == "yes").to_numpy(dtype=np.int64),
        g=groups(raw["age"].to_numpy()),
        labels=("no", "yes"),
    )
