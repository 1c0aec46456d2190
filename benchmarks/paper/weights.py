"""Weights: hard against soft, the effect of lambda, and where each case of Eq. 7 applies."""

from typing import Any

import numpy as np
from benchmarks.paper.figure2 import TARGETS
from benchmarks.paper.kept import Job
from benchmarks.paper.setting import MODELS, Setting, Trained

import softunlearn as su
from softunlearn.weights import ClosedForm, Problem

LAMBDAS = (0.0, 0.5, 1.0, 2.0, 10.0, 100.0)
"""In parts of the lambda above which the penalty, not the budget, decides the length."""

SHOWN = 3000


def jobs() -> list[Job]:
    """Return one job for each data set and model."""
    return [Job(f"weights/{of['data']}-{of['model']}", compute, of) for of in MODELS]


def compute(*, data: str, model: str) -> dict[str, Any]:
    """Return, for each target, both weights and what lambda does."""
    trained = Setting(data, model).trained()
    return {name: _of_target(trained, metric) for name, metric in TARGETS.items()}


def _of_target(trained: Trained, metric: str) -> dict[str, Any]:
    hard, soft = (_corrected(trained, metric, scheme) for scheme in ("hard", "soft"))
    a, u, delta = soft.influence.target, soft.influence.utility, soft.frontier[0].metric
    problem = Problem(a, u, budget=delta)
    r = a - min(0.0, float(a @ u)) / float(u @ u) * u
    # Eq. 7: the budget binds where r.r > 2 lam delta
    border = float(r @ r) / (2 * delta)
    order = np.argsort(a)
    some = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    return {
        "points": {
            "influence": a[some].tolist(),
            "hard": hard.weights[some].tolist(),
            "soft": soft.weights[some].tolist(),
        },
        "rows": len(a),
        "removed": int((hard.weights != 0).sum()),
        "cosine of a and u": float(a @ u / np.sqrt((a @ a) * (u @ u))),
        "largest": float(np.abs(soft.weights).max()),
        "below -1": int((soft.weights < -1).sum()),
        "lambda": [
            {
                "part": part,
                "case": ClosedForm(part * border).solve(problem).case,
                **_reached(trained, metric, ClosedForm(part * border)),
            }
            for part in LAMBDAS
        ],
    }


def _corrected(trained: Trained, metric: str, scheme: Any) -> su.Correction:
    """Return the paper's single step."""
    return su.correct(
        trained.model,
        train=trained.train,
        validation=trained.validation,
        test=trained.test,
        metric=metric,
        scheme=scheme,
        path=su.paths.Straight((1.0,)),
        insist=True,
        select="full",
    )


def _reached(trained: Trained, metric: str, scheme: ClosedForm) -> dict[str, float]:
    c = _corrected(trained, metric, scheme).at(-1)
    return {
        "length": float(np.linalg.norm(c.weights)),
        "predicted": c.point.predicted,
        "metric": c.point.metric,
        "accuracy": c.point.accuracy,
    }
