"""From the means of several groups to one figure of how far apart they are.

An aggregate is a function of the G means that is linear wherever they are in one order. Its
contrast c is its derivative: value = c . means. Where groups are tied, the contrast is the same
for all of them, so it is zero along their difference, and zero altogether where all are tied.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Means = Float[np.ndarray, "G"]


@runtime_checkable
class Aggregate(Protocol):
    """How far apart means are: at least zero, and zero where all are equal."""

    def value(self, means: Means) -> float:
        """Return the figure."""
        ...

    def contrast(self, means: Means) -> Means:
        """Return its derivative in the means."""
        ...

    def pieces(self, means: Means) -> Float[np.ndarray, "G m"]:
        """Return contrasts of which the largest times the means is the figure, one a column."""
        ...


@dataclass(frozen=True)
class MaxMin:
    """The highest mean less the lowest: fairlearn's difference."""

    def value(self, means: Means) -> float:
        """Return max - min."""
        return float(means.max() - means.min())

    def contrast(self, means: Means) -> Means:
        """Return +1 for the highest and -1 for the lowest, shared by those that are tied."""
        top, bottom = means == means.max(), means == means.min()
        return top / top.sum() - bottom / bottom.sum()

    def pieces(self, means: Means) -> Float[np.ndarray, "G m"]:
        """Return mean_a - mean_b of every pair of groups with mean_a > mean_b; none where tied."""
        above, below = np.nonzero(means[:, None] > means[None, :])
        one = np.eye(len(means))
        return one[:, above] - one[:, below]


@dataclass(frozen=True)
class MeanPairwise:
    """The mean over pairs of groups of the difference of their means."""

    def value(self, means: Means) -> float:
        """Return the mean of |mean_a - mean_b|."""
        # every pair is met twice, in both orders
        return float(np.abs(means[:, None] - means[None, :]).sum() / _ordered_pairs(means))

    def contrast(self, means: Means) -> Means:
        """Return the sum of every group's signs against the others, over the number of pairs."""
        signs = np.sign(means[:, None] - means[None, :])
        return 2 * signs.sum(axis=1) / _ordered_pairs(means)

    def pieces(self, means: Means) -> Float[np.ndarray, "G m"]:
        """Return the contrast: the signs are those of the groups' order now."""
        return self.contrast(means)[:, None]


AGGREGATES: dict[str, Aggregate] = {"max_min": MaxMin(), "mean_pairwise": MeanPairwise()}
"""The aggregates that a string names."""


def _ordered_pairs(means: np.ndarray) -> int:
    return len(means) * (len(means) - 1)
