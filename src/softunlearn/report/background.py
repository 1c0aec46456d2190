"""What a correction was made from and with: settings, data, conditions, versions."""

import math
import platform
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from softunlearn import __version__
from softunlearn.report.plain import cell, clean
from softunlearn.report.words import CONDITIONS, PROTOCOLS, attack_words
from softunlearn.weights import Conditions

if TYPE_CHECKING:
    from softunlearn.correction import Correction


def settings(correction: "Correction") -> dict[str, Any]:
    """Return algorithm, scheme, path and attacks with their hyperparameters."""
    session = correction.session
    return {
        "algorithm": _configured(session.start.algorithm),
        "scheme": _configured(session.start.scheme),
        "path": _configured(session.path),
        "attacks": {
            name: _attack(name, attack) for name, attack in session.evaluator.attacks.items()
        },
        "protocols": dict(PROTOCOLS),
        "budget": max(float(b) for b in session.start.problem.budgets),
    }


def data(correction: "Correction") -> dict[str, Any]:
    """Return how many rows, inputs and parameters there were, and which classes and groups."""
    session, head = correction.session, correction.frontier[0].head
    evaluator, coding = session.evaluator, session.coding
    classes = [clean(str(label)) for label in head.classes]
    return {
        "rows": {name: figures.rows for name, figures in correction.before.items()},
        "inputs": head.W.shape[1],
        "parameters": head.n_parameters,
        "classes": classes,
        "positive_class": None if evaluator.positive is None else classes[evaluator.positive],
        "groups": [cell(name) for name in evaluator.groups],
        "sensitive_columns": [] if coding is None else [cell(name) for name in coding.columns],
        "pooled_groups": [] if coding is None else [cell(name) for name in coding.pooled],
    }


def conditions(found: Conditions) -> dict[str, Any]:
    """Return Theorem 1's conditions: what they mean, what was measured, whether they hold."""
    rank = "not measured" if found.rank is None else f"rank {found.rank:,}"
    known = math.isfinite(found.condition)
    condition = f"condition number {found.condition:.2g}" if known else "condition not measured"
    damping = "no damping" if found.damping == 0 else f"damping {found.damping:.0e}"
    measured = {
        "independent_gradients": (f"cosine {found.cosine:.4f}", found.independent),
        "positive_definite_curvature": (
            f"{condition}, {damping}",
            found.positive_definite,
        ),
        "full_rank_gradients": (f"{rank} of {found.n_parameters:,}", found.full_rank),
    }
    each = [
        {
            "name": name,
            "title": title,
            "meaning": meaning,
            "measured": measured[name][0],
            "holds": measured[name][1],
        }
        for name, (title, meaning) in CONDITIONS.items()
    ]
    return {"hold": found.hold, "each": each}


def solver(correction: "Correction") -> dict[str, Any]:
    """Return how the influences were solved for, and how exact they are."""
    return {
        "name": correction.influence.solver,
        "iterations": correction.influence.iterations,
        "residual": correction.influence.residual,
        "damping": correction.conditions.damping,
        "condition_number": correction.conditions.condition,
        "stationarity": correction.stationarity,
    }


def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    packages = ("numpy", "scipy", "scikit-learn", "pandas")
    return {
        "softunlearn": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _attack(name: str, attack: Any) -> dict[str, Any]:
    """Return an attack in words, with its parameters and its radius."""
    title, meaning = attack_words(name)
    budget = getattr(attack, "epsilon", None)
    return {"title": title, "meaning": meaning, "budget": budget, **_configured(attack)}


def _configured(value: Any) -> dict[str, Any]:
    """Return an object's class and hyperparameters; of a nested object only its class."""
    names = [field.name for field in fields(value)] if is_dataclass(value) else []
    parameters = {name: getattr(value, name) for name in names}
    simple = (str, bool, int, float, type(None))
    return {
        "name": type(value).__name__,
        "parameters": {
            name: item if isinstance(item, simple) else type(item).__name__
            for name, item in parameters.items()
        },
    }
