"""Group fairness: how far apart the groups' means of some quantity are.

A gap metric is a set of comparisons. Each takes some rows, the mean over each group's of a
quantity q(z), and an aggregate of those means; the metric is the largest over its comparisons.

    metric                 comparisons                        quantity
    demographic parity     all rows                           p_c
    equal opportunity      y = c                              the log loss
    equalized odds         y = c, and y != c                  p_c

With s_ij = 1/n_j for the rows i of group j and 0 elsewhere, the means are s^T q. Given the order
of the means their aggregate is linear, with a contrast over groups (`aggregate.py`), so every
gradient here is (s contrast)_i dq_i/dz_i. Several classes are each compared with the rest, beyond
the paper, as are more than two groups.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Bool, Float, Integer

from softunlearn.exceptions import InputError
from softunlearn.losses import CrossEntropy, class_probabilities, probability_gradient
from softunlearn.metrics.aggregate import AGGREGATES, Aggregate, MaxMin
from softunlearn.metrics.metric import Pieces
from softunlearn.rows import Array


class Comparison(NamedTuple):
    """Among which rows groups are compared, and for which class.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> y = np.array([0, 1, 1])
    >>> [(x.c, x.where.tolist()) for x in su.metrics.EqualizedOdds().comparisons(y, 2)]
    [(1, [False, True, True]), (1, [True, False, False])]
    """

    c: int
    where: Bool[Array, "n"]


class _Compared(NamedTuple):
    """A comparison, with the codes of the groups that take part, and their means."""

    c: int
    where: Array
    codes: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class GroupGap(ABC):
    """The largest of some gaps between groups: what the gap metrics share.

    Parameters
    ----------
    positive : int, optional
        Position of the positive class in the model's `classes_`. Default: the second of two; of
        more than two, every class in its turn, against the rest.
    aggregate : {"max_min", "mean_pairwise"}, default="max_min"
        How the groups' means become one figure: the highest less the lowest, or the mean
        difference over pairs of groups. The same for two groups.
    by : str or int, optional
        Which sensitive column, by name or position, where rows have several. Default: every
        combination of theirs is a group.

    Examples
    --------
    The gap in the probability of the positive class among rows that are not of it:

    >>> import numpy as np, softunlearn as su
    >>> class FalsePositives(su.metrics.GroupGap):
    ...     def comparisons(self, y, n_classes):
    ...         classes = self.classes(n_classes)
    ...         return tuple(su.metrics.Comparison(c, y != c) for c in classes)
    >>> z = np.log(np.array([[1.0], [3.0], [1.0]]))
    >>> FalsePositives().value(z, np.array([0, 0, 1]), np.array([0, 1, 1]))
    0.25
    """

    positive: int | None = None
    _: KW_ONLY
    aggregate: str = "max_min"
    by: str | int | None = None
    needs_groups = True

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            names = " or ".join(f'"{name}"' for name in AGGREGATES)
            raise ValueError(f"`aggregate` must be {names}, got {self.aggregate!r}.")
        if not isinstance(self.positive, int | np.integer | None):
            raise TypeError(
                "`positive` must be a class's position in the model's classes, got "
                f"{self.positive!r}; a label's is list(model.classes_).index(label)."
            )

    @abstractmethod
    def comparisons(self, y: Integer[Array, "n"], n_classes: int) -> tuple[Comparison, ...]:
        """Return the comparisons whose largest gap is the metric."""

    def classes(self, n_classes: int) -> Sequence[int]:
        """Return the classes of interest, each to be compared with the rest."""
        return _of_interest(self.positive, n_classes)

    def quantity(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], c: int
    ) -> Float[Array, "n"]:
        """Return what is averaged: the probability of class c."""
        return class_probabilities(z)[:, c]

    def quantity_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], c: int
    ) -> Float[Array, "n k"]:
        """Return its derivative in each row's logits."""
        return probability_gradient(z, c)

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the largest gap."""
        return max(self._aggregate.value(x.means) for x in self._compared(z, y, _required(g)))

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return its derivative in the logits, the mean over gaps where several are largest."""
        xp, g = array_namespace(z), _required(g)
        compared = self._compared(z, y, g)
        gaps = [self._aggregate.value(x.means) for x in compared]
        largest = [x for x, gap in zip(compared, gaps, strict=True) if gap == max(gaps)]
        gradient = xp.zeros_like(z)
        for x in largest:
            contrast = self._aggregate.contrast(x.means) / len(largest)
            (some,) = np.nonzero(contrast)
            weights = _shares(x.codes[some], g, x.where, z) @ _as(contrast[some], z)
            gradient = gradient + weights[:, None] * self.quantity_gradient(z, y, x.c)
        return gradient

    def pieces(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Pieces:
        """Return smooth functions whose largest is the metric.

        For "max_min": mean_a - mean_b of every pair of groups of every comparison, signed to be
        positive now; for "mean_pairwise": every comparison's mean difference, with the signs of
        now. Their gradients are those of the groups' means, mixed. Memory O(n k r), r the groups
        of all comparisons.
        """
        xp, g = array_namespace(z), _required(g)
        values, parts, mixes = [], [], []
        for x in self._compared(z, y, g):
            contrasts = self._aggregate.pieces(x.means)
            values.append(x.means @ contrasts)
            dq = self.quantity_gradient(z, y, x.c)
            parts.append(dq[:, :, None] * _shares(x.codes, g, x.where, z)[:, None, :])
            mixes.append(contrasts)
        value, mix = np.concatenate(values), _block_diagonal(mixes)
        if not len(value):  # all means are tied
            value, mix = np.zeros(1), np.zeros((len(mix), 1))
        return Pieces(_as(value, z), xp.concat(parts, axis=2), _as(mix, z))

    @property
    def _aggregate(self) -> Aggregate:
        return AGGREGATES[self.aggregate]

    def _compared(self, z: Array, y: Array, g: Array) -> list[_Compared]:
        """Return every comparison with its groups' means."""
        compared = []
        for c, where in self.comparisons(y, _n_classes(z)):
            means = _comparable(self.quantity(z, y, c), g, where, f"for class number {c}, ")
            codes, values = np.array(list(means)), np.array(list(means.values()))
            compared.append(_Compared(c, where, codes, values))
        return compared


@dataclass(frozen=True)
class DemographicParity(GroupGap):
    """Gap between groups in the mean probability of the positive class.

    Parameters
    ----------
    positive : int, optional
    aggregate : {"max_min", "mean_pairwise"}, default="max_min"
    by : str or int, optional
        See `GroupGap`.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[0.0], [0.0], [np.log(3.0)], [np.log(3.0)]])
    >>> DemographicParity().value(z, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
    0.25
    """

    def comparisons(self, y: Integer[Array, "n"], n_classes: int) -> tuple[Comparison, ...]:
        """Return all rows, for every class of interest."""
        return tuple(Comparison(c, y == y) for c in self.classes(n_classes))


@dataclass(frozen=True)
class EqualOpportunity(GroupGap):
    """Gap between groups in the mean log loss, in nats, of rows of the positive class.

    The paper's differentiable surrogate of the gap in true positive rates.

    Parameters
    ----------
    positive : int, optional
    aggregate : {"max_min", "mean_pairwise"}, default="max_min"
    by : str or int, optional
        See `GroupGap`.

    Examples
    --------
    >>> import numpy as np
    >>> z, y = np.log(np.array([[1.0], [3.0], [1.0]])), np.array([1, 1, 0])
    >>> gap = EqualOpportunity().value(z, np.array([1, 1, 0]), np.array([0, 1, 1]))
    >>> bool(np.isclose(gap, np.log(1 / 0.5) - np.log(1 / 0.75)))
    True
    """

    def comparisons(self, y: Integer[Array, "n"], n_classes: int) -> tuple[Comparison, ...]:
        """Return the rows of every class of interest."""
        return tuple(Comparison(c, y == c) for c in self.classes(n_classes))

    def quantity(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], c: int
    ) -> Float[Array, "n"]:
        """Return what is averaged: the log loss."""
        return CrossEntropy().value(z, y)

    def quantity_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], c: int
    ) -> Float[Array, "n k"]:
        """Return its derivative in each row's logits."""
        return CrossEntropy().logit_gradient(z, y)


@dataclass(frozen=True)
class EqualizedOdds(GroupGap):
    """The larger of two gaps in the mean probability of the positive class.

    One gap is among rows of the positive class, one among the others. Beyond the paper.

    Parameters
    ----------
    positive : int, optional
    aggregate : {"max_min", "mean_pairwise"}, default="max_min"
    by : str or int, optional
        See `GroupGap`.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.log(np.array([[1.0], [3.0], [1.0], [1.0]]))
    >>> EqualizedOdds().value(z, np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1]))
    0.25
    """

    def comparisons(self, y: Integer[Array, "n"], n_classes: int) -> tuple[Comparison, ...]:
        """Return the rows of every class of interest, and the others."""
        classes = self.classes(n_classes)
        return tuple(Comparison(c, where) for c in classes for where in (y == c, y != c))


def positive_class(positive: int | None, z: Float[Array, "n k"]) -> int:
    """Return the one positive class's index, checked against the number of classes.

    Raises
    ------
    ValueError
        There are more than two classes and none is named, or the index is not one of theirs.
    """
    classes = _of_interest(positive, n_classes := _n_classes(z))
    if len(classes) > 1:
        raise ValueError(
            f"`positive` must be a class's position in the model's classes, 0 to {n_classes - 1}, "
            "got None; with more than two classes it has no default."
        )
    return classes[0]


def group_means(q: Float[Array, "n"], g: Integer[Array, "n"], where: Array) -> dict[int, float]:
    """Return the mean of q of each group that has rows in `where`."""
    xp = array_namespace(q)
    return {
        code: float(xp.mean(q[rows]))
        for code in _codes(g)
        if bool(xp.any(rows := (g == code) & where))
    }


def spread(q: Float[Array, "n"], g: Integer[Array, "n"] | None, where: Array) -> float:
    """Return max - min over groups of the mean of q in `where`.

    Raises
    ------
    ValueError
        There are fewer than two groups, or one has no such rows.
    """
    means = _comparable(q, _required(g), where)
    return MaxMin().value(np.array(list(means.values())))


def _n_classes(z: Array) -> int:
    return max(2, z.shape[1])


def _of_interest(positive: int | None, n_classes: int) -> Sequence[int]:
    """Return the classes that are compared, each with the rest."""
    if positive is None:
        return (1,) if n_classes == 2 else range(n_classes)
    if not 0 <= positive < n_classes:
        raise ValueError(
            f"`positive` must be a class's position in the model's classes, 0 to {n_classes - 1}, "
            f"got {positive}."
        )
    return (positive,)


def _shares(codes: np.ndarray, g: Array, where: Array, z: Array) -> Array:
    """Return s with means = s^T q: 1/n_j for the n_j rows of group j in `where`."""
    xp = array_namespace(z)
    groups = xp.asarray(codes, dtype=g.dtype, device=z.device)
    members = xp.astype((g[None, :] == groups[:, None]) & where[None, :], z.dtype)
    return (members / xp.sum(members, axis=1, keepdims=True)).T


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    total = np.zeros(np.sum([block.shape for block in blocks], axis=0))
    row = column = 0
    for block in blocks:
        total[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return total


def _as(x: np.ndarray, like: Array) -> Array:
    """Return a NumPy array in the library, precision and place of another."""
    return array_namespace(like).asarray(x, dtype=like.dtype, device=like.device)


def _codes(g: Array) -> Iterable[int]:
    return range(int(array_namespace(g).max(g)) + 1)


def _required(g: Array | None) -> Array:
    if g is None:
        raise ValueError("A group metric needs the group of every row: give rows as (X, y, g).")
    return g


def _comparable(q: Array, g: Array, where: Array, which: str = "") -> dict[int, float]:
    """Return every group's mean, having checked that there is one."""
    xp, means = array_namespace(q), group_means(q, g, where)
    silent = [c for c in _codes(g) if c not in means and bool(xp.any(g == c))]
    if silent or len(means) < 2:
        got = f"group number {silent[0]} (in sorted order) has none" if silent else "got one"
        raise InputError(
            "A gap needs rows to compare of at least two groups, and of every one; "
            f"{which}{got}: give more rows, or merge groups. Equal opportunity and equalized odds "
            "compare among rows of one class; of several classes, `positive` names one."
        )
    return means
