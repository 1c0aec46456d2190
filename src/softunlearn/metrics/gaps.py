"""Group fairness: how far apart the groups' means of some quantity are.

A gap is max - min over groups of the mean of a quantity q(z) among some rows: |mean_0 - mean_1|
for two groups, fairlearn's definition for more. Given which group is highest and which lowest,
it is linear in q: gap = c . q with c_i = +1/n_g in the highest group, -1/n_g in the lowest, 0
elsewhere. So every gradient here is c_i dq_i/dz_i; at a gap of exactly zero it is zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.losses import CrossEntropy, class_probabilities, probability_gradient
from softunlearn.rows import Array


@dataclass(frozen=True)
class DemographicParity:
    """Gap between groups in the mean probability of the positive class.

    Parameters
    ----------
    positive : int, optional
        Position of the positive class in the model's `classes_`. Default: the second of two.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[0.0], [0.0], [np.log(3.0)], [np.log(3.0)]])
    >>> DemographicParity().value(z, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
    0.25
    """

    positive: int | None = None
    needs_groups = True

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the gap."""
        p = class_probabilities(z)[:, positive_class(self.positive, z)]
        return spread(p, g, where=y == y)

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return its derivative in the logits."""
        c = positive_class(self.positive, z)
        weights = _contrast(class_probabilities(z)[:, c], g, where=y == y)
        return weights[:, None] * probability_gradient(z, c)


@dataclass(frozen=True)
class EqualOpportunity:
    """Gap between groups in the mean log loss of rows of the positive class.

    The paper's differentiable surrogate of the gap in true positive rates.

    Parameters
    ----------
    positive : int, optional
        Position of the positive class in the model's `classes_`. Default: the second of two.
    """

    positive: int | None = None
    needs_groups = True

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the gap, in nats."""
        return spread(CrossEntropy().value(z, y), g, y == positive_class(self.positive, z))

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return its derivative in the logits."""
        where = y == positive_class(self.positive, z)
        weights = _contrast(CrossEntropy().value(z, y), g, where)
        return weights[:, None] * CrossEntropy().logit_gradient(z, y)


@dataclass(frozen=True)
class EqualizedOdds:
    """The larger of two gaps in the mean probability of the positive class.

    One gap is among rows of the positive class, one among the others. Beyond the paper.

    Parameters
    ----------
    positive : int, optional
        Position of the positive class in the model's `classes_`. Default: the second of two.
    """

    positive: int | None = None
    needs_groups = True

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return the gap."""
        c = positive_class(self.positive, z)
        p = class_probabilities(z)[:, c]
        return max(spread(p, g, where) for where in (y == c, y != c))

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return its derivative in the logits, that of the larger gap."""
        c = positive_class(self.positive, z)
        p = class_probabilities(z)[:, c]
        where = max((y == c, y != c), key=lambda rows: spread(p, g, rows))
        return _contrast(p, g, where)[:, None] * probability_gradient(z, c)


def positive_class(positive: int | None, z: Float[Array, "n k"]) -> int:
    """Return the positive class's index, checked against the number of classes.

    Raises
    ------
    ValueError
        There are more than two classes and none is named, or the index is not one of theirs.
    """
    n_classes = max(2, z.shape[1])
    if positive is None and n_classes == 2:
        return 1
    if positive is None or not 0 <= positive < n_classes:
        raise ValueError(
            f"`positive` must be a class's position in the model's classes, 0 to {n_classes - 1}, "
            f"got {positive}; with more than two classes it has no default."
        )
    return positive


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
    return max(means.values()) - min(means.values())


def _contrast(q: Array, g: Array | None, where: Array) -> Array:
    """Return c with c . q = spread(q, g, where)."""
    xp, g = array_namespace(q), _required(g)
    means = _comparable(q, g, where)
    c = xp.zeros_like(q)
    for code, sign in (
        (max(means, key=means.__getitem__), 1),
        (min(means, key=means.__getitem__), -1),
    ):
        rows = xp.astype((g == code) & where, q.dtype)
        c = c + sign * rows / xp.sum(rows)
    return c


def _codes(g: Array) -> Iterable[int]:
    return range(int(array_namespace(g).max(g)) + 1)


def _required(g: Array | None) -> Array:
    if g is None:
        raise ValueError("A group metric needs the group of every row: give rows as (X, y, g).")
    return g


def _comparable(q: Array, g: Array, where: Array) -> dict[int, float]:
    """Return every group's mean, having checked that there is one."""
    xp, means = array_namespace(q), group_means(q, g, where)
    silent = [c for c in _codes(g) if c not in means and bool(xp.any(g == c))]
    if silent or len(means) < 2:
        which = f"group number {silent[0]} (in sorted order) has none" if silent else "got one"
        raise ValueError(
            f"A gap needs such rows of at least two groups, and of every one; {which}: give more "
            "rows, or merge groups. Equal opportunity compares rows of the positive class alone."
        )
    return means
