"""What all training algorithms share, and the head as something to train.

An algorithm of this kind differs from another in its phases alone: the teachers, the start, the
loop and its budget are the same. It trains the head, or the last `layers` of a network, which is
then given as a `Trainable` of its own; the phases do not know the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float, Integer

from softunlearn.curvature.solver import Curvature
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows
from softunlearn.unlearning.training import (
    Phase,
    Trainable,
    Trained,
    Training,
    train,
)
from softunlearn.unlearning.unlearner import Unlearned, clipped


@dataclass(frozen=True, eq=False)
class TrainableHead:
    """A head on its rows; see `Trainable`."""

    objective: HeadObjective

    @property
    def labels(self) -> Integer[Array, "n"]:
        """Return the rows' class codes."""
        return self.objective.rows.y

    @property
    def weight(self) -> Float[Array, "n"] | None:
        """Return the rows' training weights."""
        return self.objective.rows.weight

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return max(2, self.objective.head.W.shape[0])

    @property
    def input_size(self) -> float:
        """Return the mean sum of absolute inputs."""
        rows = self.objective.rows
        total = rows.sum(lambda chunk: array_namespace(chunk.X).sum(abs(chunk.X)))
        size = float(total) / len(rows) + (self.objective.head.b is not None)
        return size or 1.0

    @property
    def theta(self) -> Float[Array, "p"]:
        """Return the head's parameters."""
        return self.objective.head.theta

    def initialised(self, rng: np.random.Generator) -> Float[Array, "p"]:
        """Return what a new linear layer has: U(-1, 1) / sqrt(d)."""
        W, p = self.objective.head.W, self.objective.head.n_parameters
        bound = W.shape[1] ** -0.5
        theta = array_namespace(W).asarray(rng.uniform(-bound, bound, p), dtype=W.dtype)
        return to_device(theta, W.device)

    def logits(self, theta: Float[Array, "p"]) -> Float[Array, "n k"]:
        """Return the logits of all rows."""
        head = self.objective.head.with_theta(theta)
        return HeadObjective(head, self.objective.rows).logits()

    def gradient(
        self, theta: Float[Array, "p"], phase: Phase, rows: Integer[Array, "b"] | None
    ) -> Float[Array, "p"]:
        """Return the mean of the terms' gradients, and the penalty's share."""
        head, given = self.objective.head.with_theta(theta), self.objective.rows
        X, weight = _take(given.X, rows), _take(given.weight, rows)
        gradient = phase.penalty * X.shape[0] / len(given) * head.penalty * theta
        for term in phase.terms:
            part = Rows(X, _take(term.targets, rows), weight=weight)
            weights = _take(term.weights, rows)[:, None]
            gradient = gradient + HeadObjective(head, part, term.loss).gradient(weights)[:, 0]
        return gradient / (X.shape[0] * self._mean_weight)

    @cached_property
    def _mean_weight(self) -> float:
        """Return the mean training weight: a row of weight 2 counts as two rows do."""
        weight = self.weight
        return 1.0 if weight is None else float(array_namespace(weight).mean(weight))


@dataclass(frozen=True, kw_only=True)
class ByTraining:
    """An algorithm that trains.

    Parameters
    ----------
    training : Training
        Budget, batch size and optimiser.
    layers : int, default=1
        How many of the model's last layers are trained; above 1 for torch modules alone. The
        weights always come from the last.

    Examples
    --------
    Unlearn by training on what is kept alone:

    >>> from dataclasses import dataclass
    >>> from softunlearn.losses import CrossEntropy
    >>> from softunlearn.unlearning import ByTraining, Phase, Term
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Retraining(ByTraining):
    ...     def phases(self, eps, y, original, anew):
    ...         return [Phase([Term(CrossEntropy(), (1 + eps).clip(0), y)], penalty=1.0)]
    >>> Retraining().with_epochs(5).epochs
    5
    """

    training: Training = field(default_factory=Training)
    layers: int = 1
    starts_anew = False

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"`layers` must be at least 1, got {self.layers}.")

    @property
    def epochs(self) -> int:
        """Return the budget."""
        return self.training.epochs

    def with_epochs(self, epochs: int) -> "ByTraining":
        """Return the same algorithm with another budget."""
        return replace(self, training=replace(self.training, epochs=epochs))

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return what is minimised, in turn.

        Parameters
        ----------
        eps : array of shape (n,)
            Weight changes.
        y : array of shape (n,)
            Class codes.
        original, anew : array of shape (n, k)
            Logits of the model as it was, and of one with random last layers: the teachers.
        """
        raise NotImplementedError  # by each algorithm

    def fit(
        self, trainable: Trainable, eps: Float[Array, "n"], rng: np.random.Generator
    ) -> Trained:
        """Return the trained parameters."""
        original, anew = trainable.theta, trainable.initialised(rng)
        teachers = (trainable.logits(theta) for theta in (original, anew))
        phases = self.phases(eps, trainable.labels, *teachers)
        start = anew if self.starts_anew else original
        retain, _ = clipped(eps)
        return train(trainable, phases, self.training, start=start, retain=retain, rng=rng)

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head.

        Raises
        ------
        ValueError
            More layers than the head are to be trained, and a head is all there is here.
        """
        if self.layers > 1:
            raise ValueError(
                f"`layers` is {self.layers}, and only the last layer of this model can be "
                "trained; deeper layers need a torch module."
            )
        end = self.fit(TrainableHead(objective), eps, rng)
        return Unlearned(
            objective.head.with_theta(end.theta),
            epochs=end.epochs,
            clipped_rows=clipped(eps)[1],
            diverged=end.diverged,
        )


def _take(values: Any, rows: Array | None) -> Any:
    """Return some rows of an array, or all."""
    if values is None or rows is None:
        return values
    return array_namespace(values).take(values, rows, axis=0)
