"""The weights that stand for a corrected head: training under them would end there.

A head theta' is a stationary point of the weighted objective F + sum_i eps_i l_i where
G(theta')^T eps = -grad F(theta'). Of all such weights the shortest are

    eps = -G x    with    (G^T G) x = grad F(theta').

To first order they are the weights of Eq. 8; they hold however far the head has moved. Beyond the
paper.

Of a wide head G^T G is not formed, and there may be more parameters than rows: no weights then
lead to just this head. With M about H the weights are those that leave least of the gradient in
the norm of M^-1, that is, those under which training ends nearest to it in its own curvature; of
such weights the shortest. Conjugate gradients find them:

    (G M^-1 G^T) eps = -G M^-1 grad F(theta').
"""

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.curvature import Automatic, Cholesky, ConjugateGradients
from softunlearn.curvature.block_cg import block_cg
from softunlearn.objective import HeadObjective
from softunlearn.row_vectors import Directed
from softunlearn.rows import Array

MAX_PARAMETERS = 2000
"""Above it the eigenvalues of G^T G take too long."""

TOLERANCE = {"exact": 1e-3, "nearest": 1e-2}
"""Part of the right-hand side that is left, where weights lead to the head and where none do.

There, to go on makes the weights several times longer for a head that is hardly nearer."""

MAX_PRODUCTS = 200
"""Conjugate gradients stop after so many."""

RANK = 1e-10
"""Eigenvalues of G^T G, its columns scaled to length one, that count as zero, of the largest."""


def explaining_weights(
    objective: HeadObjective, reference: Float[Array, "p"] | None = None
) -> Directed | Float[Array, "n"]:
    """Return the shortest eps under which the objective's head is a stationary point.

    Parameters
    ----------
    objective : HeadObjective
        At the corrected head.
    reference : array of shape (p,), optional
        Gradient of F at the original head, where training had not ended at its optimum: the
        weights then stand for what was changed since, and are 0 at the original head.
    """
    xp, objective = array_namespace(objective.head.W), objective.read_once(gram=True)
    gradient = objective.total_gradient()
    if reference is not None:
        gradient = gradient - reference
    k = objective.head.W.shape[0]
    if k > 1:
        # what is common to all classes is the penalty's alone: no row's gradient has it
        by_class = xp.reshape(gradient, (k, -1))
        gradient = xp.reshape(by_class - xp.mean(by_class, axis=0, keepdims=True), (-1,))
    small = objective.head.n_parameters <= MAX_PARAMETERS
    if not (small and isinstance(Automatic().choose(objective), Cholesky)):
        return _nearest(objective, gradient)
    x = _solve(_host(objective.gram()), _host(gradient))
    there = xp.asarray(x, dtype=gradient.dtype, device=gradient.device)
    return Directed(objective, -there[:, None])


def _nearest(objective: HeadObjective, gradient: Array) -> Array:
    """Return the shortest eps that leave least of the gradient in the norm of M^-1."""
    near = ConjugateGradients().factor(objective).near

    def pushed(v: Array) -> Array:
        return objective.row_products(near(v))

    b = -pushed(gradient[:, None])
    there_are = objective.head.n_parameters <= len(objective.rows)
    tolerance = TOLERANCE["exact" if there_are else "nearest"]
    wanted = tolerance**2 * float(array_namespace(b).sum(b**2))
    found = block_cg(
        lambda eps: pushed(objective.gradient(eps)),
        lambda r: r,
        b,
        enough=lambda left, _: left <= wanted,
        max_products=MAX_PRODUCTS,
    )
    return found.x[:, 0]


def _solve(gram: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the shortest solution; in directions that no row's gradient has, zero."""
    length = np.sqrt(np.diag(gram))
    scale = 1 / np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(scale[:, None] * gram * scale[None, :])
    used = values > RANK * max(float(values[-1]), np.finfo(float).tiny)
    along = vectors[:, used].T @ (scale * b)
    return scale * (vectors[:, used] @ (along / values[used]))


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"), dtype=np.float64)
