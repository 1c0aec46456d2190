"""Every figure that is reported of a head on some rows.

Each gap is given three times: on probabilities (what a correction optimises), on predicted labels
(what practitioners read), and on the log loss (the paper's surrogate for equal opportunity).
Robustness here is *transfer*: rows perturbed once, against the original head, and kept.
"""

import math
from dataclasses import dataclass

import numpy as np
from array_api_compat import to_device

from softunlearn.attacks import Attack
from softunlearn.head import LinearHead
from softunlearn.losses import CrossEntropy, class_probabilities, predicted_class
from softunlearn.metrics.gaps import group_means
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Chunk, Rows


@dataclass(frozen=True)
class Gap:
    """How far apart the groups are, max - min; NaN where fewer than two groups have such rows."""

    probabilities: float
    labels: float
    loss: float


@dataclass(frozen=True)
class GroupFigures:
    """What one group gets.

    Parameters
    ----------
    name : str
    rows : int
    accuracy : float
    positive_rate : float
        Part of the rows predicted positive.
    mean_probability : float
        Of the positive class.
    """

    name: str
    rows: int
    accuracy: float
    positive_rate: float
    mean_probability: float


@dataclass(frozen=True)
class Figures:
    """A head's figures on one set of rows.

    Parameters
    ----------
    rows : int
    accuracy : float
    log_loss : float
        Mean, in nats.
    adversarial_loss, adversarial_accuracy : float
        Mean log loss and accuracy on the rows perturbed against the original head.
    gaps : dict of str to Gap
        "demographic_parity", "equal_opportunity" (rows of the positive class) and
        "equalized_odds" (the larger of the gaps among positives and among the others); empty
        where the rows have no groups.
    groups : tuple of GroupFigures
    """

    rows: int
    accuracy: float
    log_loss: float
    adversarial_loss: float
    adversarial_accuracy: float
    gaps: dict[str, Gap]
    groups: tuple[GroupFigures, ...]


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Measures heads in the same way, on any rows.

    Parameters
    ----------
    original : LinearHead
        The attack is crafted against it.
    attack : Attack
    positive : int or None
        Position of the positive class; None for more than two classes and no group metric.
    groups : tuple of str
        Names of the groups, by code.
    """

    original: LinearHead
    attack: Attack
    positive: int | None = 1
    groups: tuple[str, ...] = ()

    def evaluate(self, head: LinearHead, rows: Rows, origin: Rows | None = None) -> Figures:
        """Return a head's figures on rows.

        Where the features themselves were corrected, `origin` holds the original ones: the attack
        is made on those, and its perturbation added to the new.
        """
        z = _host(HeadObjective(head, rows).logits())
        phi = rows.X if origin is None else origin.X

        def attacked(chunk: Chunk, phi: Array) -> Array:
            perturbed = self.attack.perturb(self.original, phi)
            return head.logits(perturbed if origin is None else chunk.X + (perturbed - phi))

        z_attacked = _host(rows.map(attacked, phi))
        y = _host(rows.y)
        right, loss = predicted_class(z) == y, CrossEntropy().value(z, y)
        gaps, groups = {}, ()
        if rows.g is not None and self.positive is not None:
            g = _host(rows.g)
            quantities = {
                "probabilities": class_probabilities(z)[:, self.positive],
                "labels": (predicted_class(z) == self.positive).astype(float),
                "loss": loss,
            }
            everyone, positives = np.ones(len(y), dtype=bool), y == self.positive
            cells = {
                "demographic_parity": (everyone,),
                "equal_opportunity": (positives,),
                "equalized_odds": (positives, ~positives),
            }
            gaps = {
                name: Gap(**{kind: _gap(q, g, where) for kind, q in quantities.items()})
                for name, where in cells.items()
            }
            groups = tuple(
                GroupFigures(
                    name=name,
                    rows=int(rows_in.sum()),
                    accuracy=float(right[rows_in].mean()),
                    positive_rate=float(quantities["labels"][rows_in].mean()),
                    mean_probability=float(quantities["probabilities"][rows_in].mean()),
                )
                for code, name in enumerate(self.groups)
                if (rows_in := g == code).any()
            )
        return Figures(
            rows=len(y),
            accuracy=float(right.mean()),
            log_loss=float(loss.mean()),
            adversarial_loss=float(CrossEntropy().value(z_attacked, y).mean()),
            adversarial_accuracy=float((predicted_class(z_attacked) == y).mean()),
            gaps=gaps,
            groups=groups,
        )


def _gap(q: np.ndarray, g: np.ndarray, cells: tuple[np.ndarray, ...]) -> float:
    """Return the largest of the cells' gaps; NaN where one cannot be measured."""
    means = [group_means(q, g, where) for where in cells]
    if any(len(by_group) < 2 for by_group in means):
        return math.nan
    return max(max(by_group.values()) - min(by_group.values()) for by_group in means)


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))
