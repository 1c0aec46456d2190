"""The influences in units in which no square of them overflows or vanishes."""

from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Bool, Float

from softunlearn.rows import Array
from softunlearn.weights.dual import CHUNK_ROWS, support
from softunlearn.weights.problem import Problem


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Targets, then utilities, as rows of length one, all of them a copy.

    Parameters
    ----------
    B : array of shape (q, n)
        Influences / unit / norm.
    unit, norm : ndarray of shape (q,)
        Each one's largest entry, and its length in that unit; both 1 where all are zero.
    nonzero : ndarray of shape (q,)
        Whether a row has any influence.
    n_targets : int
        How many of the rows are targets.
    """

    B: Float[Array, "q n"]
    unit: Float[np.ndarray, "q"]
    norm: Float[np.ndarray, "q"]
    nonzero: Bool[np.ndarray, "q"]
    n_targets: int

    @classmethod
    def of(cls, problem: Problem) -> "UnitRows":
        """Return the rows of a problem."""
        xp = array_namespace(problem.target, problem.utility)
        columns = [
            M[:, j] for M in (problem.targets, problem.utilities) for j in range(M.shape[1])
        ]
        B = xp.empty(
            (len(columns), columns[0].shape[0]), dtype=xp.float64, device=device(problem.target)
        )
        unit, norm, nonzero = np.ones((3, len(columns)))
        for j, column in enumerate(columns):
            largest = float(xp.max(xp.abs(column))) if column.shape[0] else 0.0
            nonzero[j] = largest > 0
            unit[j] = largest or 1.0
            B[j, :] = column / unit[j]
            norm[j] = float(B[j, :] @ B[j, :]) ** 0.5 or 1.0
            B[j, :] /= norm[j]
        return cls(B, unit, norm, nonzero > 0, problem.targets.shape[1])

    def reach(self, lo: float, hi: float) -> Float[np.ndarray, "m"]:
        """Return the largest b_k . eps within the bounds, for each target alone."""
        xp, reach = array_namespace(self.B), []
        for k in range(self.n_targets):
            above = float(xp.sum(xp.clip(self.B[k, :], 0.0, None)))
            reach.append(support(lo, hi, above, above - float(xp.sum(self.B[k, :]))))
        return np.array(reach)

    def clipped_sum(self, x: Float[np.ndarray, "q"], lo: float, hi: float) -> Float[Array, "n"]:
        """Return clip(B^T x, lo, hi)."""
        xp = array_namespace(self.B)
        x_on_device = xp.asarray(x, dtype=self.B.dtype, device=device(self.B))
        eps = xp.empty_like(self.B[0, :])
        for start in range(0, eps.shape[0], CHUNK_ROWS):
            part = slice(start, min(eps.shape[0], start + CHUNK_ROWS))
            eps[part] = xp.clip(x_on_device @ self.B[:, part], lo, hi)
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
        xp = array_namespace(self.B)
        R = xp.asarray(reflection, dtype=self.B.dtype, device=device(self.B))
        return replace(self, B=R @ self.B), reflection
