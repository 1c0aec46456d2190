"""The iterative solver for wide heads: H is multiplied by and never formed.

A product with H costs 4 n d k and is most of the work, so it is made cheap and few are made.
Cheap: probabilities and features are kept in float32 where a stated memory holds them, and
products are float32 too. What that costs in accuracy is made good by refinement: the residual is
computed in float64 from the rows themselves, and what it says is missing is solved for again;
should that not help, products are float64. Few: the right-hand sides share a Krylov space
(`block_cg`), under an approximate inverse that knows every class's own rows (`class_blocks`).

The error is measured in the norm of H, as a part of the solution's. For influences a = G H^-1 v
that is the right norm: G^T G is about H, so it is about their relative error.
"""

from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.class_blocks import (
    ClassBlocks,
    Inverses,
    SharedBasis,
    class_blocks,
)
from softunlearn.curvature.pooled import Moments, Pooled, moments, pooled
from softunlearn.curvature.refinement import Refined, refined
from softunlearn.curvature.solver import Solution
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array
from softunlearn.threads import left_to_passes

MEMORY = 2**29
"""Bytes that a factor may keep: probabilities, blocks and features, in this order of gain."""

MAX_BASIS = 4096
"""Features above which the eigenvectors of a d x d matrix take too long."""

MAX_BLOCK_COST = 200
"""Dense blocks are made where they cost at most so many products, about d^2 / n: they save as
many, or more."""

AGAIN = (1e-9, 1e-6, 1e-3)
"""Damping tried where the iteration fails although the pooled scatter is well conditioned."""


@dataclass(frozen=True)
class ConjugateGradients:
    """Preconditioned conjugate gradients for several right-hand sides at once.

    The right choice where a dense H is too large or takes too long: heads of several classes from
    about a thousand parameters on. Memory is that of a few parameter vectors and `memory`; the
    time is some 10 to 40 products with H, 4 n d k operations each for every right-hand side. It
    gives no leverage, which needs all of H^-1. Rows that are not in memory are read for every
    product.

    Parameters
    ----------
    tolerance : float, default=3e-4
        Error at which a solution is accepted, in the norm of H, relative to the solution's.
    max_iterations : int, default=1000
        Products with H for each right-hand side; after them more damping is tried.
    memory : int, default=2**29
        Bytes that may be kept between products; what does not fit is computed anew each time.
    damping : float, default=0.0
        Solve with H + damping * diag(H). Where that is not enough more is taken, and reported.

    Raises
    ------
    ValueError
        An option is out of range.

    References
    ----------
    Block conjugate gradients: O'Leary (1980); without breakdown: Ji and Li (2017). The
    preconditioner is beyond the paper.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> rows = su.Rows(np.eye(3), np.array([0, 1, 2]))
    >>> head = LinearHead(np.zeros((3, 3)), None, l2=1.0, classes=(0, 1, 2))
    >>> factored = ConjugateGradients(tolerance=1e-10).factor(HeadObjective(head, rows))
    >>> v = np.array([[2.0], [-1.0], [-1.0], [0.0], [0.0], [0.0], [-2.0], [1.0], [1.0]])
    >>> solution = factored.solve(v)
    >>> (4 / 3 * solution.x[:3, 0]).round(8), solution.residual < 1e-8
    (array([ 2., -1., -1.]), True)
    """

    tolerance: float = 3e-4
    max_iterations: int = 1000
    memory: int = MEMORY
    damping: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ValueError(f"`tolerance` must lie between 0 and 1, got {self.tolerance}.")
        if self.max_iterations < 1:
            raise ValueError(f"`max_iterations` must be at least 1, got {self.max_iterations}.")
        if not 0 <= self.damping < np.inf:
            raise ValueError(f"`damping` must be at least 0 and finite, got {self.damping}.")
        if self.memory < 0:
            raise ValueError(f"`memory` must be at least 0, got {self.memory}.")

    def factor(self, objective: HeadObjective) -> "KrylovFactor":
        """Return what every solve needs: what is kept, and the approximate inverse.

        Raises
        ------
        SingularCurvatureError
            H is not finite, or singular even when damped.
        """
        rough = _Rough.of(objective, self.memory)
        many = objective.head.W.shape[1] > MAX_BASIS
        found = moments(objective, rough.probabilities, diagonal=many)
        average = pooled(objective.head, found, self.damping)
        added = objective.head.penalty + _added(objective, average.damping)
        near = rough.near_inverse(found, average, added)
        return KrylovFactor(self, objective, rough, found, average, near)


@dataclass(frozen=True, eq=False)
class _Rough:
    """The objective in float32 and without its penalty, and what is kept of it.

    Parameters
    ----------
    objective : HeadObjective
    probabilities : array of shape (n, k) or None
        None where they do not fit the memory: they are then computed at every product.
    dense : bool
        Whether there is memory for a dense block of each class, which takes rows by their number,
        and whether it pays.
    """

    objective: HeadObjective
    probabilities: Array | None
    dense: bool

    @classmethod
    def of(cls, objective: HeadObjective, memory: int) -> "_Rough":
        head, rows, probabilities = objective.head, objective.rows, None
        xp, (k, d), n = array_namespace(head.W), head.W.shape, len(objective.rows)
        if 4 * n * k <= memory:
            probabilities, memory = objective.probabilities(xp.float32), memory - 4 * n * k
        fits = rows.in_memory and probabilities is not None and 4 * k * d * d <= memory
        dense = fits and k > 1 and d * d <= min(MAX_BASIS**2, MAX_BLOCK_COST * n)
        memory -= 4 * k * d * d * dense
        if rows.in_memory:
            if rows.X.dtype != xp.float32 and 4 * n * d <= memory:
                rows = rows.with_features(xp.astype(rows.X, xp.float32))
            if rows.weight is not None:
                rows = replace(rows, weight=xp.astype(rows.weight, xp.float32))
        b = None if head.b is None else xp.astype(head.b, xp.float32)
        head = replace(head, W=xp.astype(head.W, xp.float32), b=b, l2=0.0)
        return cls(replace(objective, head=head, rows=rows), probabilities, dense)

    def hvp(self, v: Array) -> Array:
        xp = array_namespace(v)
        rough = self.objective.hvp(xp.astype(v, xp.float32), self.probabilities)
        return xp.astype(rough, v.dtype)

    def near_inverse(self, found: Moments, average: Pooled, added: Array) -> ClassBlocks:
        """Return the class blocks, with `added` (p,) on H's diagonal."""
        xp, (k, d) = array_namespace(added), self.objective.head.W.shape
        added = xp.reshape(added, (k, -1))
        here = self.objective, self.probabilities, found, xp.astype(added[:, :d], xp.float32)
        scatter = Inverses.of(*here) if self.dense else SharedBasis.of(*here, average.basis)
        return class_blocks(found, average, added, scatter)


@dataclass(frozen=True, eq=False)
class KrylovFactor:
    """What conjugate gradients keep of an objective; see `Curvature`."""

    solver: ConjugateGradients
    objective: HeadObjective
    rough: _Rough
    found: Moments
    average: Pooled
    near: ClassBlocks
    name = "conjugate gradients"

    @property
    def damping(self) -> float:
        """Return the part of its diagonal that is added to H."""
        return self.average.damping

    @property
    def condition(self) -> float:
        """Return the condition number of the average class's block, scaled to a unit diagonal."""
        return self.average.condition

    def solve(self, rhs: Float[Array, "p m"]) -> Solution:
        """Return H^-1 rhs.

        Raises
        ------
        SingularCurvatureError
            The tolerance is not reached, however much damping is added.
        """
        xp, head = array_namespace(rhs), self.objective.head
        size = xp.sqrt(xp.sum(rhs**2, axis=0))
        b = rhs / xp.where(size > 0, size, xp.ones_like(size))
        # H only penalises a shift of all classes
        common, penalty = _common(b, head), head.penalty[:, None]
        shift = common / xp.where(penalty > 0, penalty, xp.inf)
        for damping in (self.damping, *(step for step in AGAIN if step > self.damping)):
            found, added = self._refined(b, damping)
            if found.solved:
                missing = found.residual + added * found.x - penalty * shift
                residual = float(xp.max(xp.sqrt(xp.sum(missing**2, axis=0))))
                return Solution(size * (found.x + shift), residual, found.products, damping)
        raise SingularCurvatureError(
            f"Conjugate gradients did not reach an error of {self.solver.tolerance:g} in "
            f"{self.solver.max_iterations} products, even with {AGAIN[-1]:g} of the Hessian's "
            "diagonal added. Train with a penalty, scale the features, or allow more products: "
            "curvature=ConjugateGradients(max_iterations=...)."
        )

    def _refined(self, b: Array, damping: float) -> tuple[Refined, Array]:
        """Return (H + damping diag(H))^-1 b, and what was added to the diagonal, shape (p, 1)."""
        penalty, near = self.objective.head.penalty[:, None], self.near
        added = _added(self.objective, damping)[:, None]
        if damping > self.damping:
            near = self.rough.near_inverse(self.found, self.average, (penalty + added)[:, 0])
        with left_to_passes():
            found = refined(
                lambda v: self.objective.hvp(v) + added * v,
                lambda v: self.rough.hvp(v) + (penalty + added) * v,
                near,
                b,
                tolerance=self.solver.tolerance,
                max_products=self.solver.max_iterations,
            )
        return found, added


def _added(objective: HeadObjective, damping: float) -> Array:
    """Return damping * diag(H), shape (p,); where the diagonal is 0 it counts as 1."""
    if damping == 0:
        return 0 * objective.head.penalty
    diagonal, xp = objective.hessian_diagonal(), array_namespace(objective.head.W)
    return damping * xp.where(diagonal > 0, diagonal, xp.ones_like(diagonal))


def _common(b: Array, head: LinearHead) -> Array:
    """Return the part of (p, m) arrays that is a shift common to all classes of a softmax."""
    xp, k = array_namespace(b), head.W.shape[0]
    if k == 1:
        return xp.zeros_like(b)
    by_class = xp.reshape(b, (k, head.width, -1))
    mean = xp.mean(by_class, axis=0, keepdims=True)
    return xp.reshape(xp.broadcast_to(mean, by_class.shape), b.shape)
