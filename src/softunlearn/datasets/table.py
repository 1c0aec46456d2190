"""One data set as its loader reads it, readable and encoded side by side, and cut into Rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from softunlearn.datasets.splits import Parts, Splits
from softunlearn.rows import Rows


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a data set, in the order of its files.

    Parameters
    ----------
    raw : DataFrame of shape (n, ...)
        Readable columns, the sensitive one among them.
    encoded : DataFrame of shape (n, d)
        The same as numbers, not yet scaled.
    y : ndarray of shape (n,)
        Labels, 0 or 1.
    g : ndarray of shape (n,)
        Group of each row, in words.
    labels : tuple of str, optional
        What 0 and 1 are called in the readable form; None if they stay numbers.
    official : tuple of ndarray, default=()
        Row numbers of the split that the data set comes with: (train, validation, test), or
        (train, rest), or empty where there is none.
    scaled : bool, default=True
        Whether `cut` standardises; False if the encoded columns share one scale already.
    """

    raw: pd.DataFrame
    encoded: pd.DataFrame
    y: np.ndarray
    g: np.ndarray
    labels: tuple[str, str] | None = None
    official: tuple[np.ndarray, ...] = ()
    scaled: bool = True

    @property
    def strata(self) -> np.ndarray:
        """Label and group of each row, as one number."""
        return 2 * np.unique(self.g, return_inverse=True)[1] + self.y

    def cut(self, parts: Parts, *, encoded: bool) -> Splits:
        """Return the three parts as Rows: scaled numbers, or the readable columns."""
        if encoded:
            X, names = self._scaled(parts.fitted), tuple(self.encoded.columns)
            rows = [Rows(X[i], self.y[i], self.g[i], feature_names=names) for i in parts[:3]]
        else:
            y = self.y if self.labels is None else np.array(self.labels)[self.y]
            rows = [
                Rows(self.raw.iloc[i].reset_index(drop=True), y[i], self.g[i]) for i in parts[:3]
            ]
        return Splits(*rows)

    def _scaled(self, fitted: np.ndarray) -> np.ndarray:
        X = self.encoded.to_numpy(dtype=np.float64)
        if not self.scaled:
            return X
        from sklearn.preprocessing import StandardScaler

        return np.asarray(StandardScaler().fit(X[fitted]).transform(X))


def one_hot(raw: pd.DataFrame, *, binary: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return numbers as they are and each word as a 0/1 column such as "race=White".

    Parameters
    ----------
    raw : DataFrame
        Numeric columns and columns of words.
    binary : mapping of str to str, optional
        Columns of two values that become one 0/1 column, and the value that is 1.
    """
    binary = binary or {}
    single = {f"{name}={one}": raw[name] == one for name, one in binary.items()}
    rest = pd.get_dummies(raw.drop(columns=list(binary)), prefix_sep="=")
    return pd.concat([rest, pd.DataFrame(single, index=raw.index)], axis=1).astype(float)
