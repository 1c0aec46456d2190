"""The one loop behind all algorithms that train: rounds of phases, under a budget of epochs.

A phase minimises a sum of terms, each a row loss with a weight and a target for every row; one
pass over the rows is one epoch of it. An algorithm is a list of phases, run in turn, round
after round: fine-tuning is one phase, SCRUB alternates two. What is trained is a `Trainable`: a
head, or the last layers of a network; the loop knows its parameters and its gradients alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float, Integer

from softunlearn.losses import CrossEntropy, RowLoss
from softunlearn.rows import Array
from softunlearn.unlearning.optimisers import Adam, Optimiser

LOGIT_STEP = 0.04
"""Largest change of a mean row's logit in one step of the default optimiser."""

RUNAWAY = 2.0
"""Mean loss of retained rows, in losses of a guess among the classes, that is a runaway."""


@dataclass(frozen=True, eq=False)
class Term:
    """Part of what a phase minimises: sum_i weights_i loss(z_i, targets_i).

    Examples
    --------
    >>> import numpy as np
    >>> from softunlearn.losses import CrossEntropy
    >>> Term(CrossEntropy(), weights=np.array([1.0, 0.0]), targets=np.array([0, 1])).weights.sum()
    np.float64(1.0)
    """

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

    Examples
    --------
    Train with the penalty on all rows, and forget the second in the first three rounds:

    >>> import numpy as np
    >>> from softunlearn.losses import CrossEntropy
    >>> y = np.array([0, 1])
    >>> keep = Phase([Term(CrossEntropy(), np.array([1.0, 1.0]), y)], penalty=1.0)
    >>> forget = Phase([Term(CrossEntropy(), np.array([0.0, -0.1]), y)], rounds=3)
    """

    terms: Sequence[Term]
    penalty: float = 0.0
    rounds: int | None = None


@runtime_checkable
class Trainable(Protocol):
    """Parameters with logits on the training rows: a head, or the last layers of a network."""

    @property
    def labels(self) -> Integer[Array, "n"]:
        """Return the rows' class codes."""
        ...

    @property
    def weight(self) -> Float[Array, "n"] | None:
        """Return the rows' training weights; None for one each."""
        ...

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        ...

    @property
    def input_size(self) -> float:
        """Return the mean sum of absolute inputs of the head, the intercept's 1 included."""
        ...

    @property
    def theta(self) -> Float[Array, "p"]:
        """Return the parameters as they are."""
        ...

    def initialised(self, rng: np.random.Generator) -> Float[Array, "p"]:
        """Return random parameters, as new layers have them."""
        ...

    def logits(self, theta: Float[Array, "p"]) -> Float[Array, "n k"]:
        """Return the logits of all rows."""
        ...

    def gradient(
        self, theta: Float[Array, "p"], phase: Phase, rows: Integer[Array, "b"] | None
    ) -> Float[Array, "p"]:
        """Return the phase's gradient, a mean over some rows, or over all of them."""
        ...


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
    optimiser : Optimiser, optional
        Default: Adam whose steps move a row's logit by at most about `LOGIT_STEP`, so that
        features of any size are trained alike.

    Examples
    --------
    >>> import softunlearn as su
    >>> training = su.unlearning.Training(epochs=10, optimiser=su.unlearning.SGD(lr=0.05))
    >>> su.unlearning.Scrub(training=training).epochs
    10
    """

    epochs: int = 30
    batch_size: int | None = 256
    optimiser: Optimiser | None = None

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
    start: Float[Array, "p"],
    retain: Float[Array, "n"],
    rng: np.random.Generator,
) -> Trained:
    """Return the parameters after training, or the best seen where training ran away.

    Parameters
    ----------
    trainable : Trainable
    phases : sequence of Phase
        Run in turn, one epoch each, until the budget of epochs is spent. They share the state of
        the optimiser: Adam would otherwise step as far in a phase of small weights as in one of
        large ones.
    training : Training
    start : array of shape (p,)
        Parameters to start from.
    retain : array of shape (n,)
        How much of each row is kept: the mean log loss under these weights says whether training
        ran away, and which round was best.
    rng : Generator
        Shuffles the batches.
    """
    theta = start
    optimiser = training.optimiser or Adam(lr=LOGIT_STEP / trainable.input_size)
    state = optimiser.start(theta)
    limit = RUNAWAY * np.log(trainable.n_classes) + _mean_loss(trainable, theta, retain)
    best, best_loss, epochs, round_ = theta, np.inf, 0, 0
    while epochs < training.epochs:
        for phase in phases:
            over = phase.rounds is not None and round_ >= phase.rounds
            if over or epochs >= training.epochs or _is_idle(phase):
                continue
            for rows in _batches(len(trainable.labels), training.batch_size, theta, rng):
                gradient = trainable.gradient(theta, phase, rows)
                theta, state = optimiser.step(theta, gradient, state)
            epochs += 1
        round_ += 1
        if round_ > training.epochs:
            break  # every phase is idle
        loss = _mean_loss(trainable, theta, retain)
        if not loss <= limit:  # NaN too
            return Trained(best, epochs, diverged=True)
        if loss < best_loss:
            best, best_loss = theta, loss
    return Trained(theta, epochs, diverged=False)


def _mean_loss(trainable: Trainable, theta: Array, retain: Array) -> float:
    """Return the mean log loss of what is kept of the training rows; of all, if nothing is."""
    xp = array_namespace(theta)
    own = xp.ones_like(retain) if trainable.weight is None else trainable.weight
    kept = retain * own
    weight = kept if bool(xp.any(kept > 0)) else own
    loss = CrossEntropy().value(trainable.logits(theta), trainable.labels)
    return float(xp.sum(weight * loss) / xp.sum(weight))


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
