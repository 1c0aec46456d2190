"""The influences in units in which no square of them overflows or vanishes, met block by block."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Bool, Float

from softunlearn.row_vectors import blocks
from softunlearn.rows import Array
from softunlearn.weights.problem import Problem

ROUNDING = 1e-11
"""A sum of so small a part of another counts as zero beside it: it is multiplied by a bound."""


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Targets, then utilities, as rows of length one: B = R diag(1 / (unit norm)) influences^T.

    B is never formed; its blocks are, one after the other.

    Parameters
    ----------
    columns : tuple of q arrays of shape (n,)
        Influences, as they are.
    unit, norm : ndarray of shape (q,)
        A unit in which each one's squares neither overflow nor vanish, and its length in that unit
        (1 where all are zero).
    nonzero : ndarray of shape (q,)
        Whether a row has any influence.
    gram : ndarray of shape (q, q)
        B B^T.
    n_targets : int
        How many of the rows are targets.
    rotation : ndarray of shape (q, q), optional
        R, orthogonal. Default: none.
    """

    columns: tuple[Array, ...]
    unit: Float[np.ndarray, "q"]
    norm: Float[np.ndarray, "q"]
    nonzero: Bool[np.ndarray, "q"]
    gram: Float[np.ndarray, "q q"]
    n_targets: int
    rotation: Float[np.ndarray, "q q"] | None = None

    @classmethod
    def of(cls, problem: Problem) -> "UnitRows":
        """Return the rows of a problem."""
        products = problem.vectors.products
        length = np.sqrt(np.diag(products.inner))
        norm = np.where(length > 0, length, 1.0)
        gram = products.inner / norm[:, None] / norm[None, :]
        columns = problem.vectors.columns
        return cls(columns, products.unit, norm, length > 0, gram, problem.n_targets)

    def blocks(self) -> Iterator[tuple[slice, Float[Array, "q rows"]]]:
        """Yield some columns of B after the other, and which they are; the next replace them."""
        first = self.columns[0]
        xp, scale = array_namespace(first), 1 / self.unit / self.norm
        R = None if self.rotation is None else xp.asarray(self.rotation, device=device(first))
        whole = None
        for part in blocks(self.columns):
            n = first[part].shape[0]
            if whole is None:
                whole = xp.empty((len(scale), n), dtype=xp.float64, device=device(first))
            b = whole[:, :n]
            for j, column in enumerate(self.columns):
                if isinstance(column, np.ndarray):
                    np.multiply(column[part], scale[j], out=b[j])
                else:
                    b[j, :] = float(scale[j]) * column[part]
            yield part, b if R is None else R @ b

    def reach(self, lo: float, hi: float) -> Float[np.ndarray, "m"]:
        """Return the largest b_k . eps within the bounds, for each target alone."""
        xp, m = array_namespace(self.columns[0]), self.n_targets
        total, absolute = np.zeros((2, m))
        for _, b in self.blocks():
            total += [float(xp.sum(b[k, :])) for k in range(m)]
            absolute += [float(xp.sum(xp.abs(b[k, :]))) for k in range(m)]
        signs = zip((absolute + total) / 2, (absolute - total) / 2, strict=True)
        return np.array([support(lo, hi, *sums) for sums in signs])

    def clipped_sum(self, x: Float[np.ndarray, "q"], lo: float, hi: float) -> Float[Array, "n"]:
        """Return clip(B^T x, lo, hi)."""
        first = self.columns[0]
        xp = array_namespace(first)
        x_there = xp.asarray(x, dtype=xp.float64, device=device(first))
        eps = xp.empty_like(first)
        for part, b in self.blocks():
            eps[part] = clipped(x_there @ b, lo, hi)
        return eps

    def rotated(self, direction: Float[np.ndarray, "m"]) -> tuple["UnitRows", np.ndarray]:
        """Return the rows with the targets seen along a direction and across it, and how.

        The reflection that takes the direction to the first axis: the first row is then what all
        targets gain together, and the others are what they must not differ by.
        """
        q, m = len(self.unit), len(direction)
        reflection = np.eye(q)
        normal = direction - np.eye(m)[0]
        if normal.any():
            reflection[:m, :m] -= 2 * np.outer(normal, normal) / (normal @ normal)
        if m == 1:
            return self, reflection
        gram = reflection @ self.gram @ reflection.T
        return replace(self, gram=gram, rotation=reflection), reflection


def clipped(r: Float[Array, "rows"], lo: float, hi: float) -> Float[Array, "rows"]:
    """Return r within the bounds; NumPy's own clip has a tenth of the standard's overhead."""
    return np.clip(r, lo, hi) if isinstance(r, np.ndarray) else array_namespace(r).clip(r, lo, hi)


def support(lo: float, hi: float, above: float, below: float) -> float:
    """Return the largest r . eps for lo <= eps <= hi, given the sums of r's two signs.

    A sum that is rounding beside the other counts as zero: a bound may be infinite.
    """
    parts = (hi, above, below), (-lo, below, above)
    return sum((bound * sum_ for bound, sum_, other in parts if sum_ > ROUNDING * other), 0.0)
