"""Vectors with one entry a training row, of which the method may need inner products alone.

Soft weights are a combination of influences, eps = sum_j x_j a_j, and which one depends on nothing
but the inner products a_i . a_j. `Held` vectors are arrays. `Directed` ones are known by their
directions in parameter space, a_j = G s_j; with Q = G^T G S, from one pass over the rows,

    a_i . a_j = s_i . Q_j          G^T eps = Q x

so neither the weights nor the correction under them (Eq. 7 and 8) needs anything of size n. Their
entries are computed when they are asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, to_device
from jaxtyping import Float

from softunlearn.objective import HeadObjective
from softunlearn.rows import Array

BLOCK_ROWS = 10_000
"""Entries met at once: a few such blocks stay in the processor's cache, and BLAS takes threads,
which cost more than they give here, for longer ones only."""

SMALLEST_SQUARE, LARGEST_SQUARE = 1e-250, 1e250
"""Squared lengths within these lost nothing to underflow, and none overflowed."""


@dataclass(frozen=True, eq=False)
class Products:
    """All inner products of q vectors, each in a unit of its own.

    Parameters
    ----------
    inner : ndarray of shape (q, q)
        Of the vectors, each divided by its unit.
    unit : ndarray of shape (q,)
        1, or the largest entry of a vector whose squares would overflow or vanish.
    """

    inner: Float[np.ndarray, "q q"]
    unit: Float[np.ndarray, "q"]


@dataclass(frozen=True, eq=False)
class Held:
    """Vectors that are held as arrays.

    Parameters
    ----------
    columns : tuple of q arrays of shape (n,)

    Examples
    --------
    >>> held = Held((np.array([3.0, 4.0]), np.array([1.0, 0.0])))
    >>> held.products.inner
    array([[25.,  3.],
           [ 3.,  1.]])
    >>> held.combined(np.array([2.0, -1.0]))
    array([5., 8.])
    """

    columns: tuple[Array, ...]

    @property
    def n_rows(self) -> int:
        """Return the number of entries of each."""
        return self.columns[0].shape[0]

    @cached_property
    def products(self) -> Products:
        """Return their inner products, from one pass over them."""
        with np.errstate(over="ignore", invalid="ignore"):
            inner, unit = _inner(self.columns), np.ones(len(self.columns))
        square = np.diag(inner)
        if ((square > SMALLEST_SQUARE) & (square < LARGEST_SQUARE)).all():
            return Products(inner, unit)
        largest = np.array([_largest(column) or 1.0 for column in self.columns])
        if not np.isfinite(largest).all():
            return Products(inner, unit)
        scaled = (column / one for column, one in zip(self.columns, largest, strict=True))
        return Products(_inner(tuple(scaled)), largest)

    def combined(self, x: np.ndarray, out: Array | None = None) -> Array:
        """Return sum_j x_j a_j, block by block, in `out` where it is given."""
        (w, first), *others = zip(map(float, x), self.columns, strict=True)
        if not isinstance(first, np.ndarray):
            assert out is None
            return sum((w_j * column for w_j, column in others), w * first)
        eps = np.empty(len(first)) if out is None else out
        for part in blocks(self.columns):
            block = np.multiply(first[part], w, out=eps[part])
            for w_j, column in others:
                block += w_j * column[part]
        return eps

    def products_with(self, x: np.ndarray) -> np.ndarray:
        """Return a_i . sum_j x_j a_j of each i from the sum itself, in which much may cancel."""
        found = np.zeros(len(self.columns))
        for part in blocks(self.columns):
            block = Held(tuple(column[part] for column in self.columns))
            eps = block.combined(x)
            found += [float(column @ eps) for column in block.columns]
        return found


@dataclass(frozen=True, eq=False)
class Directed:
    """Vectors G S that are known by their directions S; they answer as `Held` ones do.

    Parameters
    ----------
    objective : HeadObjective
        Whose rows' gradients G holds.
    s : array of shape (p, q)
        Directions.
    known : pair of arrays, optional
        G^T G S and S^T G^T G S. Default: found when they are needed, in one pass.
    """

    objective: HeadObjective
    s: Float[Array, "p q"]
    known: tuple[Array, Array] | None = field(default=None, repr=False)

    @classmethod
    def in_curvature(cls, objective: HeadObjective, s: Array, v: Array) -> "Directed":
        """Return the vectors with lengths measured in the curvature, H for G^T G; v is H S.

        Which combination of them is the shortest is then known without a pass over the rows.
        """
        return cls(objective, s, (v, s.T @ v))

    @property
    def n_rows(self) -> int:
        """Return the number of entries of each."""
        return len(self.objective.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the array they stand for: (n,) for a single vector."""
        q = self.s.shape[1]
        return (self.n_rows,) if q == 1 else (self.n_rows, q)

    @property
    def ndim(self) -> int:
        """Return 1 for a single vector and 2 for several."""
        return len(self.shape)

    @property
    def columns(self) -> tuple[Array, ...]:
        """Return the vectors as arrays, from one pass."""
        return tuple(self._entries[:, j] for j in range(self.s.shape[1]))

    @property
    def pulled(self) -> Float[Array, "p q"]:
        """Return G^T G S; for a single vector eps, G^T eps."""
        return self._passed[0]

    @property
    def products(self) -> Products:
        """Return their inner products."""
        inner = np.asarray(to_device(self._passed[1], "cpu"), dtype=np.float64)
        return Products(inner, np.ones(len(inner)))

    def some(self, which: slice) -> "Directed":
        """Return some of the vectors."""
        known = None
        if self.known is not None:
            known = self.known[0][:, which], self.known[1][which, which]
        return Directed(self.objective, self.s[:, which], known)

    def beside(self, others: "Directed") -> "Directed":
        """Return these vectors and then others of the same rows."""
        xp = array_namespace(self.s)
        s, known = xp.concat([self.s, others.s], axis=1), None
        if self.known is not None and others.known is not None:
            pulled = xp.concat([self.known[0], others.known[0]], axis=1)
            known = pulled, s.T @ pulled
        return Directed(self.objective, s, known)

    def combined(self, x: np.ndarray) -> "Directed":
        """Return G S x, without a pass over the rows where these vectors' products are known."""
        pulled, inner = self._passed
        xp = array_namespace(self.s)
        weights = xp.asarray(x, dtype=self.s.dtype, device=device(self.s))[:, None]
        known = pulled @ weights, weights.T @ inner @ weights
        return Directed(self.objective, self.s @ weights, known)

    def products_with(self, x: np.ndarray) -> np.ndarray:
        """Return the products with G S x from the direction S x itself."""
        along = self.combined(x)
        if self.known is None:
            along = Directed(self.objective, along.s)
        found = self.s.T @ along.pulled[:, 0]
        return np.asarray(to_device(found, "cpu"), dtype=np.float64)

    def stream(self) -> Iterator[tuple[slice, Float[Array, "rows q"]]]:
        """Yield the entries of some rows after the other, and which these are."""
        return self.objective.row_products_by_chunk(self.s)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        entries = np.asarray(to_device(self._entries, "cpu"), dtype=dtype)
        return entries[:, 0] if self.ndim == 1 else entries

    @cached_property
    def _passed(self) -> tuple[Array, Array]:
        return self.known or self.objective.gram_products(self.s)

    @cached_property
    def _entries(self) -> Float[Array, "n q"]:
        return self.objective.row_products(self.s)


RowVectors = Held | Directed


def entries(eps: Any) -> Array:
    """Return a vector's entries: an array as it is, those of a directed one from a pass."""
    return eps.columns[0] if isinstance(eps, Directed) else eps


def parts(eps: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield a vector's entries of some rows after the other, and which these are."""
    if not isinstance(eps, Directed):
        yield slice(0, len(eps)), np.asarray(to_device(eps, "cpu"))
        return
    for part, rows in eps.stream():
        yield part, np.asarray(to_device(rows[:, 0], "cpu"))


def blocks(columns: tuple[Array, ...]) -> Iterator[slice]:
    """Yield the blocks of some columns: elsewhere than on the processor, all in one."""
    n = columns[0].shape[0]
    size = BLOCK_ROWS if isinstance(columns[0], np.ndarray) else max(1, n)
    return (slice(start, min(n, start + size)) for start in range(0, n, size))


def _inner(columns: tuple[Array, ...]) -> Float[np.ndarray, "q q"]:
    """Return all inner products of some columns, block by block."""
    q = len(columns)
    inner = np.zeros((q, q))
    for part in blocks(columns):
        block = [column[part] for column in columns]
        for i in range(q):
            for j in range(i, q):
                inner[i, j] += float(block[i] @ block[j])
    return inner + np.triu(inner, 1).T


def _largest(x: Array) -> float:
    xp = array_namespace(x)
    return float(xp.max(xp.abs(x))) if x.shape[0] else 0.0
