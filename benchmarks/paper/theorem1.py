"""Theorem 1: its conditions, measured, and the Pareto improvement that it promises, realised.

Where they hold there are weights under which target and utility are both predicted to improve. One
such direction is a/|a| + u/|u|, in the middle between the two: a . eps and u . eps are both
positive unless a and u are opposed. It is walked in steps, and what is predicted on validation
rows is compared with what is found there and on test rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.paper.figure2 import TARGETS
from benchmarks.paper.kept import Job
from benchmarks.paper.setting import MODELS, Setting, Trained

import softunlearn as su
from softunlearn.weights import Problem, Weights

PARTS = (0.02, 0.1, 0.25)
"""Of the target: what the steps are predicted to take away."""


def jobs() -> list[Job]:
    """Return one job for each data set and model."""
    return [Job(f"theorem1/{of['data']}-{of['model']}", compute, of) for of in MODELS]


def compute(*, data: str, model: str) -> dict[str, Any]:
    """Return, for each target, the conditions and the steps."""
    trained = Setting(data, model).trained()
    return {name: _of_target(trained, metric) for name, metric in TARGETS.items()}


@dataclass(frozen=True)
class Middle:
    """Weights along a/|a| + u/|u|, as far as the budget says: both are predicted to improve."""

    scales = True

    def solve(self, problem: Problem) -> Weights:
        """Return the weights."""
        a, u = problem.target, problem.utility
        direction = a / np.linalg.norm(a) + u / np.linalg.norm(u)
        eps = float(problem.budget) / float(a @ direction) * direction
        return Weights(
            eps, float(a @ eps), float(u @ eps), su.Status.CORRECTED, "Halfway between a and u."
        )


def _of_target(trained: Trained, metric: str) -> dict[str, Any]:
    each = [_corrected(trained, metric, part) for part in PARTS]
    held, n = each[0].conditions, len(trained.validation)
    return {
        "conditions": {
            "cosine of the gradients": held.cosine,
            "condition of H": held.condition,
            "damping": held.damping,
            "rank of G": held.rank,
            "parameters": held.n_parameters,
            "hold": held.hold,
        },
        "before": each[0].frontier[0].metric,
        "steps": [_step(c, metric, part, n) for c, part in zip(each, PARTS, strict=True)],
    }


def _corrected(trained: Trained, metric: str, part: float) -> su.Correction:
    return su.correct(
        trained.model,
        train=trained.train,
        validation=trained.validation,
        test=trained.test,
        metric=metric,
        scheme=Middle(),
        path=su.paths.Straight((part,)),
        insist=True,
        select="none",
    )


def _step(c: su.Correction, metric: str, part: float, n: int) -> dict[str, Any]:
    """Return changes as predicted and as found; None where both got worse on validation rows."""
    if len(c.frontier) == 1:
        return {"part": part, "validation": None}
    origin, point, u = c.frontier[0], c.frontier[1], c.influence.utility
    return {
        "part": part,
        "predicted": {
            "target": point.predicted - origin.metric,
            "log loss": -float(u @ point.weigh()) / n,
        },
        "validation": {
            "target": point.metric - origin.metric,
            "log loss": point.log_loss - origin.log_loss,
        },
        "test": _on_test(c, 1, metric),
    }


def _on_test(c: su.Correction, index: int, metric: str) -> dict[str, float]:
    """Return the changes on test rows."""
    was, now = c.before.test, c.at(index).after.test
    assert was is not None
    assert now is not None

    def target(figures: Any) -> float:
        if metric == "adversarial_loss":
            return figures.adversarial_loss
        gap = figures.gaps[metric]
        return gap.loss if metric == "equal_opportunity" else gap.probabilities

    return {"target": target(now) - target(was), "log loss": now.log_loss - was.log_loss}
