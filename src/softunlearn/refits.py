"""A head trained again without a row, for many rows at once.

No model is trained from the start: all begin at the optimum with every row, moved by the
leverage-corrected update, and take Newton steps together. One pass over the rows gives the
gradients of a block of models, in two matrix products a chunk. The steps share one factor, that of
all rows' Hessian H, with the removed row taken out of it by Woodbury's identity. That decides how
fast a model converges, not to what: it is finished where its own gradient vanishes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from softunlearn.curvature import Cholesky, DenseCurvature
from softunlearn.exceptions import NoOptimumError, SingularCurvatureError
from softunlearn.head import LinearHead
from softunlearn.metrics import Target
from softunlearn.objective import HeadObjective
from softunlearn.rows import CHUNK_BYTES, Rows

MODELS = 256
"""Models trained at once: enough for matrix products to run at full speed."""

MAX_BYTES = 256 * 2**20
"""Bound on the arrays of one block of models, and on their logits on a target's rows."""

MAX_STEPS = 40
"""Steps with the shared factor. Few rows need more than 5; after these the row gets its own."""

MAX_NEWTON_STEPS = 100
"""Steps of Newton's method with a Hessian of the model's own."""

THREADS = min(8, os.cpu_count() or 1)
"""Each takes its part of the rows; the matrix products inside of them use one."""

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""A gradient this small, relative to what n gradients of random sign add up to, is rounding."""


Around = Callable[
    [Integer[ndarray, "b"], Callable[[], Float[ndarray, "b m"]]], Float[ndarray, "b m"]
]


def changes(
    objective: HeadObjective,
    curvature: DenseCurvature,
    targets: Sequence[Target],
    left_out: Integer[ndarray, "r"],
    tolerance: float,
    computed: Around = lambda rows, compute: compute(),
) -> Iterator[tuple[Integer[ndarray, "b"], Float[ndarray, "b m"]]]:
    """Yield positions in `left_out`, and the targets' changes without those rows, by blocks.

    Blocks do not depend on each other.

    Parameters
    ----------
    objective : HeadObjective
        At its optimum, in NumPy.
    curvature : DenseCurvature
        Its factored Hessian.
    targets : sequence of m Target
        On the head's inputs.
    left_out : ndarray of shape (r,)
        Rows to leave out, one at a time.
    tolerance : float
        See `leave_one_out`.
    computed : callable, optional
        Given the rows of a block and what computes it, returns the block: the place to remember
        blocks.
    """
    head = objective.head
    inverse = curvature.inverse()
    before = np.array([target.value(head) for target in targets])
    designs = [_design(head, target.rows.X) for target in targets]
    floor = _rounding(objective, inverse)
    # rows that take many steps share blocks, so that others need not wait for them
    order = np.argsort(-objective.leverage(inverse)[left_out], kind="stable")
    n_arrays = 8 + THREADS  # of b x p numbers, 8 bytes each
    size = max(1, min(MODELS, MAX_BYTES // (8 * n_arrays * head.n_parameters)))
    with ThreadPoolExecutor(THREADS) as pool:

        def block(rows: Integer[ndarray, "b"]) -> Float[ndarray, "b m"]:
            theta = _refits(objective, inverse, rows, tolerance, floor, pool)
            found = np.full((len(rows), len(targets)), np.nan)
            converged = np.isfinite(theta).all(axis=1)
            for j, (target, design) in enumerate(zip(targets, designs, strict=True)):
                values = _values(target, design, head.W.shape[0], theta[converged], pool)
                found[converged, j] = values - before[j]
            return found

        for start in range(0, len(order), size):
            at = order[start : start + size]
            rows = left_out[at]
            yield at, computed(rows, lambda rows=rows: block(rows))


def at_optimum(objective: HeadObjective, tolerance: float) -> HeadObjective:
    """Return the objective at its minimum, by Newton's method with a line search.

    Parameters
    ----------
    objective : HeadObjective
    tolerance : float
        The last step is taken from where the gradient, in the norm of H^-1, is at most this part
        of one row's (root mean square over rows).

    Raises
    ------
    NoOptimumError
        There is no minimum, or it was not reached.
    """
    objective = objective.at(_centred(objective.head))
    for _ in range(MAX_NEWTON_STEPS):
        gradient = objective.total_gradient()
        try:
            curvature = Cholesky().factor(objective)
        except SingularCurvatureError as error:
            raise NoOptimumError("Training ran to where its loss is flat.") from error
        step = curvature.solve(gradient[:, None]).x[:, 0]
        fall = float(gradient @ step)
        # measured anew at each step: where classes can be separated both go to zero, at one rate
        limit = tolerance**2 * _squared_size(objective, curvature.inverse()) / len(objective.rows)
        objective = _line_search(objective, step, fall)
        if fall <= limit:
            return objective
    raise NoOptimumError(
        f"Training has not converged in {MAX_NEWTON_STEPS} Newton steps. Classes that can be "
        "separated have no optimum without a penalty: train with one."
    )


def _line_search(objective: HeadObjective, step: ndarray, fall: float) -> HeadObjective:
    """Return the objective after the step, halved until the loss falls by part of `fall`."""
    loss, sufficient, halvings = objective.loss_sum(), 1e-4, 30
    noise = ROUNDING * abs(loss)
    for t in 0.5 ** np.arange(halvings):
        tried = objective.at(objective.head.with_theta(objective.head.theta - t * step))
        if tried.loss_sum() <= loss - sufficient * t * fall + noise:
            return tried
    raise NoOptimumError(f"No step lowers the loss, not one of 2^-{halvings - 1} of Newton's.")


def _refits(
    objective: HeadObjective,
    inverse: Float[ndarray, "p p"],
    left_out: Integer[ndarray, "b"],
    tolerance: float,
    floor: float,
    pool: ThreadPoolExecutor,
) -> Float[ndarray, "b p"]:
    """Return the parameters of each model without its row; NaN where they were not found."""
    without = _Without.rows_of(objective, inverse, left_out)
    own = without.own_gradient(objective.head.theta[None, :])
    # grad F = 0 less row i: theta_i ~= theta + (H - its part)^-1 grad l_i, the leverage-corrected
    # update; for one logit it is H^-1 grad l_i / (1 - h_i)
    first = without.solve(own)
    theta = objective.head.theta + first
    limit = np.maximum(tolerance**2 * np.sum(own * first, axis=1), floor)
    left, last = np.arange(len(left_out)), np.full(len(left_out), np.inf)
    lost: list[int] = []
    for _ in range(MAX_STEPS):
        gradient = _gradients(objective, theta[left], pool) - without.own_gradient(theta[left])
        step = without.solve(gradient)
        theta[left] -= step
        size = np.abs(np.sum(gradient * step, axis=1))
        done, falling = size <= limit[left], size < last
        lost.extend(left[~done & ~falling])
        keep = ~done & falling
        left, last, without = left[keep], size[keep], without[keep]
        if not len(left):
            break
    for j in [*lost, *left]:
        theta[j] = _refit(objective, int(left_out[j]), tolerance)
    return theta


def _refit(objective: HeadObjective, row: int, tolerance: float) -> Float[ndarray, "p"]:
    """Return the parameters without one row, by Newton steps with their own Hessian, or NaN."""
    kept = np.ones(len(objective.rows))
    kept[row] = 0.0
    try:
        return at_optimum(objective.reweighted(kept), tolerance).head.theta
    except NoOptimumError:
        return np.full(objective.head.n_parameters, np.nan)


@dataclass(frozen=True, eq=False)
class _Without:
    """b rows, and the inverse Hessian without each of them, by Woodbury's identity.

    With P = I (kron) [phi, 1], k x p, of a row, K its curvature in the logits and S = P H^-1 P^T:

        (H - P^T K P)^-1 = H^-1 + H^-1 P^T (I - K S)^-1 K P H^-1

    `core` holds (I - K S)^-1 K. For one logit K S is the row's leverage h.
    """

    objective: HeadObjective
    inverse: Float[ndarray, "p p"]
    design: Float[ndarray, "b width"]
    y: Integer[ndarray, "b"]
    weight: Float[ndarray, "b"]
    core: Float[ndarray, "b k k"]

    @classmethod
    def rows_of(cls, objective: HeadObjective, inverse: ndarray, index: ndarray) -> "_Without":
        """Return the rows `index` of the objective, with what takes each out of its Hessian."""
        rows, head, k = objective.rows, objective.head, objective.head.W.shape[0]
        design, y = _design(head, rows.X[index]), rows.y[index]
        weight = np.ones(len(index)) if rows.weight is None else rows.weight[index]
        z = design @ head.theta.reshape(k, -1).T
        K = weight[:, None, None] * objective.loss.logit_hvp(z, y, np.eye(k)[None, :, :])
        blocks = inverse.reshape(k, head.width, k, head.width)
        S = np.empty_like(K)
        for a in range(k):
            for b in range(k):
                S[:, a, b] = np.sum((design @ blocks[a, :, b, :]) * design, axis=1)
        # h = 1 up to rounding where a row alone determines a parameter: keep clear of 1 - 1 = 0
        core = np.linalg.solve((1 + ROUNDING) * np.eye(k) - K @ S, K)
        return cls(objective, inverse, design, y, weight, core)

    def __getitem__(self, keep: ndarray) -> "_Without":
        """Return some of the rows."""
        parts = {name: getattr(self, name)[keep] for name in ("design", "y", "weight", "core")}
        return replace(self, **parts)

    def own_gradient(self, theta: Float[ndarray, "#b p"]) -> Float[ndarray, "b p"]:
        """Return each row's gradient s_i grad l_i at its own parameters."""
        dz = self.objective.loss.logit_gradient(self._push(theta), self.y)
        return self._pull(self.weight[:, None] * dz)

    def solve(self, v: Float[ndarray, "b p"]) -> Float[ndarray, "b p"]:
        """Return (H - P^T K P)^-1 v, one v for each row."""
        along = self.core @ self._push(v @ self.inverse)[:, :, None]
        return (v + self._pull(along[:, :, 0])) @ self.inverse

    def _push(self, v: Float[ndarray, "#b p"]) -> Float[ndarray, "b k"]:
        """Return P v of each row."""
        by_class = v.reshape(len(v), self.core.shape[1], -1)
        return np.sum(by_class * self.design[:, None, :], axis=2)

    def _pull(self, dz: Float[ndarray, "b k"]) -> Float[ndarray, "b p"]:
        """Return P^T dz of each row."""
        return (dz[:, :, None] * self.design[:, None, :]).reshape(len(dz), -1)


def _gradients(
    objective: HeadObjective, theta: Float[ndarray, "b p"], pool: ThreadPoolExecutor
) -> Float[ndarray, "b p"]:
    """Return grad F, penalty included, at b parameter vectors."""
    head, rows, b, k = objective.head, objective.rows, len(theta), objective.head.W.shape[0]
    size = max(1, CHUNK_BYTES // (8 * k * b))  # a chunk's logits stay in the cache

    def part(start: int, stop: int) -> ndarray:
        total = np.zeros((b * k, head.width))
        for first in range(start, stop, size):
            chunk = slice(first, min(stop, first + size))
            design = _design(head, rows.X[chunk])
            z = _logits(design, theta, k)
            dz = objective.loss.logit_gradient(z.reshape(-1, k), np.tile(rows.y[chunk], b))
            dz = dz.reshape(z.shape)
            if rows.weight is not None:
                dz = dz * rows.weight[chunk][None, :, None]
            total += np.moveaxis(dz, 2, 1).reshape(b * k, -1) @ design
        return total

    edges = np.linspace(0, len(rows), THREADS + 1).astype(int).tolist()
    total = sum(pool.map(part, edges[:-1], edges[1:]), np.zeros((b * k, head.width)))
    return total.reshape(b, -1) + head.penalty * theta


def _values(
    target: Target,
    design: Float[ndarray, "n width"],
    k: int,
    theta: Float[ndarray, "b p"],
    pool: ThreadPoolExecutor,
) -> Float[ndarray, "b"]:
    """Return the metric at b parameter vectors, some in each thread."""
    rows: Rows = target.rows
    most = MAX_BYTES // (8 * k * len(rows) * THREADS)
    size = max(1, min(most, -(-len(theta) // THREADS)))

    def part(start: int) -> list[float]:
        z = _logits(design, theta[start : start + size], k)
        return [target.metric.value(z[j], rows.y, rows.g) for j in range(len(z))]

    return np.concatenate([*pool.map(part, range(0, len(theta), size)), np.empty(0)])


def _logits(
    design: Float[ndarray, "n width"], theta: Float[ndarray, "b p"], k: int
) -> Float[ndarray, "b n k"]:
    """Return the logits of all rows under each of b parameter vectors."""
    z = theta.reshape(len(theta) * k, -1) @ design.T
    return np.moveaxis(z.reshape(len(theta), k, -1), 1, 2)


def _design(head: LinearHead, phi: ndarray) -> Float[ndarray, "n width"]:
    """Return [phi, 1], or phi where the head has no intercept, in the head's precision."""
    phi = np.asarray(phi, dtype=np.float64)
    return phi if head.b is None else np.column_stack([phi, np.ones(len(phi))])


def _rounding(objective: HeadObjective, inverse: Float[ndarray, "p p"]) -> float:
    """Return g . H^-1 g of a gradient that is rounding: by estimate, or as seen at the optimum.

    What is left of the gradient at the optimum knows the features' sizes and offsets too.
    """
    left, margin = objective.total_gradient(), 10.0
    seen = float(left @ inverse @ left)
    return max(ROUNDING**2 * _squared_size(objective, inverse), margin**2 * seen)


def _squared_size(objective: HeadObjective, inverse: Float[ndarray, "p p"]) -> float:
    """Return trace(G H^-1 G^T): of a sum of n gradients with random signs, in H^-1's norm."""
    return float(np.sum(inverse * objective.gram()))


def _centred(head: LinearHead) -> LinearHead:
    """Return the same classifier, without what a softmax head's classes have in common.

    No probability depends on it, and no gradient points there at the optimum.
    """
    k = head.W.shape[0]
    if k == 1:
        return head
    theta = head.theta.reshape(k, -1)
    return head.with_theta((theta - theta.mean(axis=0)).reshape(-1))
