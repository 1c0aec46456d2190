"""The weights that stand for a corrected head: training under them would end there.

A head theta' is a stationary point of the weighted objective F + sum_i eps_i l_i where
G(theta')^T eps = -grad F(theta'). Of all such weights the shortest are

    eps = -G x    with    (G^T G) x = grad F(theta').

To first order they are the weights of Eq. 8; they hold however far the head has moved. Beyond the
paper.
"""

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.objective import HeadObjective
from softunlearn.row_vectors import Directed
from softunlearn.rows import Array

RANK = 1e-10
"""Eigenvalues of G^T G, its columns scaled to length one, that count as zero, of the largest."""


def explaining_weights(
    objective: HeadObjective, reference: Float[Array, "p"] | None = None
) -> Directed:
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
    x = _solve(_host(objective.gram()), _host(gradient))
    there = xp.asarray(x, dtype=gradient.dtype, device=gradient.device)
    return Directed(objective, -there[:, None])


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
