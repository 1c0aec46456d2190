"""Influence scores by this library, and as the paper's published code computes them.

Run by `peers.py`. The scores that are returned are those on the validation log loss.
"""

from collections.abc import Callable

import numpy as np
from measured import Problem, run
from scipy.linalg import cho_factor, cho_solve

from softunlearn.curvature import Automatic, ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.influence import influence
from softunlearn.metrics import (
    DemographicParity,
    EqualOpportunity,
    LogLoss,
    Target,
    passes,
)
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

Solve = Callable[[], np.ndarray]


def ours(problem: Problem, targets: int = 1, tolerance: float | None = None) -> Solve:
    """Return step 1 on some targets: the log loss, that of attacked rows, and two gaps.

    By the solver that the head's size says, or by conjugate gradients to some tolerance.
    """
    W, k = problem["W"], max(2, len(problem["W"]))
    head = LinearHead(W, None, l2=float(problem["l2"]), classes=tuple(range(k)))
    train = Rows(problem["X"], problem["y"])
    rows = Rows(problem["X_v"], problem["y_v"], problem.get("g_v"))
    asked = [Target(LogLoss(), rows)]
    solver = Automatic() if tolerance is None else ConjugateGradients(tolerance=tolerance)
    if targets > 1:
        attacked = rows.with_features(problem["X_attacked"])
        asked += [
            Target(LogLoss(), attacked),
            Target(DemographicParity(), rows),
            Target(EqualOpportunity(), rows),
        ]

    def solve() -> np.ndarray:
        objective = HeadObjective(head, train)
        gradients = passes.gradients(asked[:targets], head)
        curvature = solver.factor(objective)
        return influence(objective, curvature, gradients)[0][:, 0]

    return solve


def published(problem: Problem) -> Solve:
    """Return what the published code does: the Hessian and the gradient of every row."""
    X, y, w, l2 = problem["X"], problem["y"], problem["W"][0], float(problem["l2"])
    X_v, y_v = problem["X_v"], problem["y_v"]

    def solve() -> np.ndarray:
        p, p_v = 1 / (1 + np.exp(-X @ w)), 1 / (1 + np.exp(-X_v @ w))
        each = np.einsum("n,ni,nj->nij", p * (1 - p), X, X)
        H = each.sum(axis=0) + l2 * np.eye(len(w))
        gradients = (p - y)[:, None] * X
        return gradients @ cho_solve(cho_factor(H), X_v.T @ (p_v - y_v))

    return solve


METHODS = {"softunlearn": ours, "the published way": published}

if __name__ == "__main__":
    run(METHODS)
