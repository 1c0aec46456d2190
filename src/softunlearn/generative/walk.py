"""Step 3: training under weights, measured after every epoch, and which point is taken.

Weights that scale with their budget are those of one training, which may take new influences as it
goes, of what is then left of the metric, and add the weights that they give. Others, hard ones
above all, are tried for parts of the budget, which share the epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softunlearn.exceptions import Status
from softunlearn.generative.algorithms import GenerativeAlgorithm
from softunlearn.generative.correction import Figures, Influences, Point
from softunlearn.generative.influence import products, sigma
from softunlearn.generative.losses import Loss, Metric, batch_of, batches, losses_of, mean_loss
from softunlearn.generative.parameters import Chosen, gradient_of
from softunlearn.generative.sketch import Sketch
from softunlearn.rows import Rows
from softunlearn.unlearning import Adam, Training
from softunlearn.weights import Problem, WeightScheme

SIZES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Parts of the budget for which weights are tried that do not scale with it."""

RUNAWAY = 2.0
"""Validation loss, in losses of the original, at which training under some weights is stopped."""


@dataclass(frozen=True)
class Ended:
    """What happened, and in words."""

    status: Status
    message: str


@dataclass(frozen=True, eq=False)
class Work:
    """What is corrected, on what, and how it is measured."""

    which: Chosen
    train: Any
    validation: Any
    metric: Metric
    loss: Loss
    training: Training
    report: dict[str, Metric]

    @property
    def n(self) -> int:
        """Return the number of training examples."""
        return len(Rows(self.train, None))

    @property
    def size(self) -> int:
        """Return the number of examples to run at once."""
        return self.training.batch_size or self.n

    def figures(self, *, everything: bool = False) -> Figures:
        """Return what the module does as it is; what is only reported on where asked for."""
        module = self.which.module
        with torch.no_grad():
            metric = float(self.metric(module))
            report = self.report if everything else {}
            reported = {name: float(one(module)) for name, one in report.items()}
        loss = mean_loss(module, self.loss, self.validation, self.size)
        return Figures(metric, loss, reported)

    def influence(self, sketch: Sketch | None) -> Influences:
        """Return the influence on the metric and on the mean validation loss."""
        _, v = gradient_of(self.which, self.metric)
        utility = self._utility_gradient()
        both = torch.stack([v, utility], dim=1)
        found = products(self.which, self.train, self.loss, both, sketch, self.size)
        scale = sigma(found[:, 0], v)
        return Influences(scale * found[:, 0], scale * found[:, 1], scale)

    def _utility_gradient(self) -> Tensor:
        """Return the gradient of the mean validation loss, batch by batch."""
        n, total = len(Rows(self.validation, None)), torch.zeros_like(self.which.theta)
        for i, batch in enumerate(batches(self.validation, self.size, self.which.module)):
            count = min(self.size, n - i * self.size)
            with torch.enable_grad():
                losses = losses_of(self.which.module, self.loss, batch, count)
                total += self.which.gradient(losses.sum()) / n
        return total

    def losses(self) -> Tensor:
        """Return the losses of the training examples, without gradients."""
        parts = []
        for i, batch in enumerate(batches(self.train, self.size, self.which.module)):
            count = min(self.size, self.n - i * self.size)
            parts.append(losses_of(self.which.module, self.loss, batch, count))
        return torch.cat(parts)

    def epoch(
        self,
        algorithm: GenerativeAlgorithm,
        eps: Tensor,
        original: Tensor,
        state: Any,
        rng: np.random.Generator,
    ) -> Any:
        """Take a pass of minibatches over the training examples; return the optimiser's state."""
        which, optimiser = self.which, self.training.optimiser or Adam(lr=1e-3)
        order, theta = rng.permutation(self.n), which.theta
        state = optimiser.start(theta) if state is None else state
        for start in range(0, self.n, self.size):
            index = order[start : start + self.size]
            batch = batch_of(self.train, index, which.module)
            some = torch.as_tensor(index, device=eps.device)
            with torch.enable_grad():
                losses = losses_of(which.module, self.loss, batch, len(index))
                objective = algorithm.objective(losses, original[some], eps[some]).mean()
                gradient = which.gradient(objective)
            theta, state = optimiser.step(theta, gradient, state)
            which.load(theta)
        return state


class Walk:
    """The points on the way, and the best of those whose validation loss is kept."""

    def __init__(
        self, work: Work, before: Figures, max_loss_rise: float, sketch: Sketch | None, seed: int
    ) -> None:
        self.work, self.before, self.sketch, self.seed = work, before, sketch, seed
        self.at_most = (1 + max_loss_rise) * before.loss
        self.points = [Point(0.0, 0, before.metric, before.loss)]
        self.start = self.theta = work.which.theta
        self.eps, self.index, self.ran_away = np.zeros(work.n), 0, False

    def taken(
        self,
        problem: Problem,
        scheme: WeightScheme,
        algorithm: GenerativeAlgorithm,
        refresh: int | None,
        say: Callable[[str, float], None],
    ) -> Ended:
        """Walk, under weights for the whole budget or for parts of it, and say what was chosen."""
        sizes = (1.0,) if scheme.scales else SIZES
        epochs = max(1, self.work.training.epochs // len(sizes))
        original = self.work.losses()

        def more(epoch: int, now: Figures) -> np.ndarray | None:
            """Return what new influences add to the weights, for what is left of the metric."""
            if not scheme.scales or refresh is None or epoch % refresh or now.metric <= 0:
                return None
            found = self.work.influence(self.sketch)
            added = scheme.solve(Problem(found.target, found.utility, now.metric))
            return np.asarray(added.eps) if added.change_something else None

        for i, part in enumerate(sizes):
            weights = scheme.solve(problem.part(part))
            if weights.change_something:
                self._under(np.asarray(weights.eps), part, epochs, algorithm, original, more)
            say("step 3: correction", (i + 1) / len(sizes))
        return self._said()

    def _under(
        self,
        eps: np.ndarray,
        part: float,
        epochs: int,
        algorithm: GenerativeAlgorithm,
        original: Tensor,
        more: Callable[[int, Figures], np.ndarray | None],
    ) -> None:
        """Train under weights; `more` says what to add to them after an epoch."""
        work, rng, state = self.work, np.random.default_rng(self.seed), None
        work.which.load(self.start)
        for epoch in range(1, epochs + 1):
            on_device = torch.as_tensor(eps, dtype=original.dtype, device=original.device)
            state = work.epoch(algorithm, on_device, original, state, rng)
            now = work.figures()
            if not now.loss <= RUNAWAY * self.before.loss or not np.isfinite(now.metric):
                self.ran_away = True
                return
            self.points.append(Point(part, epoch, now.metric, now.loss))
            if now.loss <= self.at_most and now.metric < self.points[self.index].metric:
                self.theta, self.eps, self.index = work.which.theta, eps, len(self.points) - 1
            if epoch < epochs and (added := more(epoch, now)) is not None:
                eps = eps + added

    def _said(self) -> Ended:
        before, point = self.before, self.points[self.index]
        if self.index:
            change = point.loss / before.loss - 1
            return Ended(
                Status.CORRECTED,
                f"The metric fell from {before.metric:.4g} to {point.metric:.4g} on validation "
                f"examples, their mean loss changed by {change:+.2%}, after {point.epoch} epochs.",
            )
        if self.ran_away:
            return Ended(
                Status.DIVERGED,
                "Training ran away and was stopped: the original model is returned. Give a "
                "smaller learning rate, or algorithm='npo'.",
            )
        return Ended(
            Status.UTILITY_WOULD_SUFFER,
            "No point lowers the metric at a validation loss of at most "
            f"{self.at_most:.4g}: the original model is returned.",
        )
