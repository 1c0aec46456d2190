"""The one loop behind all algorithms that train: rounds of phases, under a budget of epochs.

A phase minimises a sum of terms, each a row loss with a weight and a target for every row; one
pass over the rows is one epoch of it. An algorithm is a list of phases, run in turn, round
after round: fine-tuning is one phase, SCRUB alternates two. What is trained is a `Trainable`: a
head, or the last layers of a network; the loop knows its parameters and its gradients alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float, Integer

from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.losses import CrossEntropy, RowLoss
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows
from softunlearn.unlearning.optimisers import Adam, Optimiser
from softunlearn.unlearning.unlearner import Unlearned, clipped

RUNAWAY = 2.0
"""Mean training loss, in losses of a guess among the classes, at which training has diverged."""


@dataclass(frozen=True, eq=False)
class Term:
    """Part of what a phase minimises: sum_i weights_i loss(z_i, targets_i)."""

    loss: RowLoss
    weights: Float[Array, "n"]
    targets: Array


@dataclass(frozen=True, eq=False)
class Phase:
    """One epoch's objective.

    Parameters
    ----------
    terms : sequence of Term
    penalty : float, default=0.0
        How often the training penalty is part of it.
    rounds : int, optional
        Only in the first so many rounds; default: in all.
    """

    terms: Sequence[Term]
    penalty: float = 0.0
    rounds: int | None = None


@runtime_checkable
class Trainable(Protocol):
    """Parameters with logits."""

    @property
    def n_rows(self) -> int:
        """Return the number of training rows."""
        ...

    @property
    def theta(self) -> Float[Array, "p"]:
        """Where training starts."""
        ...

    def gradient(
        self, theta: Float[Array, "p"], phase: Phase, rows: Integer[Array, "b"] | None
    ) -> Float[Array, "p"]:
        """Return the phase's gradient, a mean over some rows, or over all of them."""
        ...

    def mean_loss(self, theta: Float[Array, "p"]) -> float:
        """Return the mean log loss of all rows."""
        ...


@dataclass(frozen=True, eq=False)
class TrainableHead:
    """A head on its rows."""

    objective: HeadObjective

    @property
    def n_rows(self) -> int:
        """Return n."""
        return len(self.objective.rows)

    @property
    def theta(self) -> Float[Array, "p"]:
        """Return the head's parameters."""
        return self.objective.head.theta

    def gradient(
        self, theta: Float[Array, "p"], phase: Phase, rows: Integer[Array, "b"] | None
    ) -> Float[Array, "p"]:
        """Return the mean of the terms' gradients, and the penalty's share."""
        head, given = self.objective.head.with_theta(theta), self.objective.rows
        X, weight = _take(given.X, rows), _take(given.weight, rows)
        gradient = phase.penalty * X.shape[0] / self.n_rows * head.penalty * theta
        for term in phase.terms:
            part = Rows(X, _take(term.targets, rows), weight=weight)
            weights = _take(term.weights, rows)[:, None]
            gradient = gradient + HeadObjective(head, part, term.loss).gradient(weights)[:, 0]
        return gradient / (X.shape[0] * self._mean_weight)

    def mean_loss(self, theta: Float[Array, "p"]) -> float:
        """Return the mean log loss of the training rows."""
        xp = array_namespace(theta)
        rows = self.objective.rows
        z = HeadObjective(self.objective.head.with_theta(theta), rows).logits()
        loss = CrossEntropy().value(z, rows.y)
        return float(
            xp.mean(loss if rows.weight is None else rows.weight * loss) / self._mean_weight
        )

    @cached_property
    def _mean_weight(self) -> float:
        """Return the mean training weight: a row of weight 2 counts as two rows do."""
        weight = self.objective.rows.weight
        return 1.0 if weight is None else float(array_namespace(weight).mean(weight))


@dataclass(frozen=True)
class Training:
    """How long and how to train.

    Parameters
    ----------
    epochs : int, default=30
        Passes over the rows, those of all phases together.
    batch_size : int or None, default=256
        Rows of one step; None for all of them, which makes training deterministic and
        indifferent to the order of rows.
    optimiser : Optimiser, default=Adam()
    """

    epochs: int = 30
    batch_size: int | None = 256
    optimiser: Optimiser = field(default_factory=Adam)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}.")


@dataclass(frozen=True, eq=False)
class Trained:
    """Where training ended."""

    theta: Float[Array, "p"]
    epochs: int
    diverged: bool


def train(
    trainable: Trainable,
    phases: Sequence[Phase],
    training: Training,
    *,
    n_classes: int,
    rng: np.random.Generator,
) -> Trained:
    """Return the parameters after training, or the best seen where training ran away.

    Parameters
    ----------
    trainable : Trainable
    phases : sequence of Phase
        Run in turn, one epoch each, until the budget of epochs is spent. Each has an optimiser
        state of its own, so that one phase's momentum does not carry into another.
    training : Training
    n_classes : int
        A mean log loss above `RUNAWAY` log(n_classes) is a training that ran away.
    rng : Generator
        Shuffles the batches.
    """
    theta = trainable.theta
    states = [training.optimiser.start(theta) for _ in phases]
    limit = RUNAWAY * np.log(n_classes) + trainable.mean_loss(theta)
    best, best_loss, epochs, round_ = theta, np.inf, 0, 0
    while epochs < training.epochs:
        for i, phase in enumerate(phases):
            over = phase.rounds is not None and round_ >= phase.rounds
            if over or epochs >= training.epochs or _is_idle(phase):
                continue
            for rows in _batches(trainable.n_rows, training.batch_size, theta, rng):
                gradient = trainable.gradient(theta, phase, rows)
                theta, states[i] = training.optimiser.step(theta, gradient, states[i])
            epochs += 1
        round_ += 1
        if round_ > training.epochs:
            break  # every phase is idle
        loss = trainable.mean_loss(theta)
        if not loss <= limit:  # NaN too
            return Trained(best, epochs, diverged=True)
        if loss < best_loss:
            best, best_loss = theta, loss
    return Trained(theta, epochs, diverged=False)


def _take(values: Any, rows: Array | None) -> Any:
    """Return some rows of an array, or all."""
    if values is None or rows is None:
        return values
    return array_namespace(values).take(values, rows, axis=0)


def _is_idle(phase: Phase) -> bool:
    """Return whether nothing is to be done: no row has a weight in any term."""
    return not any(bool(array_namespace(t.weights).any(t.weights != 0)) for t in phase.terms)


def _batches(
    n: int, size: int | None, like: Array, rng: np.random.Generator
) -> Sequence[Array | None]:
    """Return the rows of each step of an epoch, in random order; None for all rows at once."""
    if size is None or size >= n:
        return [None]
    xp, order = array_namespace(like), rng.permutation(n)
    parts = (order[start : start + size] for start in range(0, n, size))
    return [to_device(xp.asarray(part), like.device) for part in parts]


@dataclass(frozen=True, kw_only=True)
class ByTraining:
    """What all training algorithms share: they differ in their phases alone.

    Parameters
    ----------
    training : Training
        Budget, batch size and optimiser.
    """

    training: Training = field(default_factory=Training)
    starts_anew = False

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

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head."""
        random = initialised(objective.head, rng)
        teachers = [HeadObjective(head, objective.rows) for head in (objective.head, random)]
        phases = self.phases(eps, objective.rows.y, *(teacher.logits() for teacher in teachers))
        start = teachers[1 if self.starts_anew else 0]
        n_classes = max(2, objective.head.W.shape[0])
        end = train(TrainableHead(start), phases, self.training, n_classes=n_classes, rng=rng)
        return Unlearned(
            objective.head.with_theta(end.theta),
            epochs=end.epochs,
            clipped_rows=clipped(eps)[1],
            diverged=end.diverged,
        )


def initialised(head: LinearHead, rng: np.random.Generator) -> LinearHead:
    """Return the head with the random parameters a new linear layer has: U(-1, 1) / sqrt(d)."""
    xp = array_namespace(head.W)
    bound = head.W.shape[1] ** -0.5
    theta = xp.asarray(rng.uniform(-bound, bound, head.n_parameters), dtype=head.W.dtype)
    return head.with_theta(to_device(theta, head.W.device))
