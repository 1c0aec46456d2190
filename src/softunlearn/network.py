"""Correcting the last k > 1 layers of a network: what the head's features are then changes too.

Weights still come from the head. Under them the last layers are trained, and at every point of the
frontier the features are computed anew. Rows that were perturbed against the original model keep
their perturbation: it is added to the new features.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.goal import Goal, Measured
from softunlearn.metrics.metric import Aim, Target
from softunlearn.models.adapter import ModelAdapter
from softunlearn.rows import Array
from softunlearn.unlearning import ByTraining, Unlearned, Unlearner
from softunlearn.unlearning.unlearner import clipped


@dataclass(frozen=True, eq=False, kw_only=True)
class UnlearnedNetwork(Unlearned):
    """A corrected network.

    Parameters
    ----------
    adapter : ModelAdapter
        Of the corrected model; `head` is its head.
    theta : array of shape (p,)
        The parameters of the layers that were trained.
    """

    adapter: ModelAdapter
    theta: Array


@dataclass(frozen=True, eq=False)
class NetworkOnRows:
    """The last layers of a network, corrected on the rows as it takes them; see `Correctable`.

    Parameters
    ----------
    adapter : ModelAdapter
        Of the original model.
    tail : Trainable
        Its last layers on the training rows, with a `with_theta`.
    goal : Goal
        What is measured, on the head's rows of the original network.
    X : object
        The validation rows as the network takes them.
    seed : int
        Every point starts from the same random state.
    """

    adapter: ModelAdapter
    tail: Any
    goal: Goal
    X: Any
    seed: int

    @property
    def original(self) -> Unlearned:
        """Return the network as it is."""
        return self._at(self.tail.theta, self.adapter)

    def unlearn(self, algorithm: Unlearner, eps: Float[Array, "n"]) -> Unlearned:
        """Return the network after training."""
        assert isinstance(algorithm, ByTraining)
        theta = self.tail.theta
        there = array_namespace(theta).asarray(eps, dtype=theta.dtype, device=theta.device)
        end = algorithm.fit(self.tail, there, np.random.default_rng(self.seed))
        how = {"epochs": end.epochs, "clipped_rows": clipped(eps)[1], "diverged": end.diverged}
        return self._at(end.theta, self.tail.with_theta(end.theta), **how)

    def part_of_the_way(self, end: Unlearned, t: float) -> Unlearned:
        """Return the network with parameters in between."""
        assert isinstance(end, UnlearnedNetwork)
        theta = self.tail.theta + t * (end.theta - self.tail.theta)
        how = {name: getattr(end, name) for name in ("epochs", "clipped_rows", "diverged")}
        return self._at(theta, self.tail.with_theta(theta), **how)

    def measure(self, reached: Unlearned) -> Measured:
        """Return what it does on validation rows, on features computed anew."""
        assert isinstance(reached, UnlearnedNetwork)
        goal, phi = self.goal, reached.adapter.features(self.X)

        def moved(aim: Aim) -> Target:
            rows = aim.rows_for(goal.original)
            return Target(aim.metric, rows.with_features(phi + (rows.X - goal.validation.X)))

        there = replace(
            goal,
            targets=tuple(moved(aim) for aim in goal.targets),
            held=tuple(moved(aim) for aim in goal.held),
            validation=goal.validation.with_features(phi),
        )
        return there.measure(reached.head)

    def _at(self, theta: Array, adapter: ModelAdapter, **how: Any) -> UnlearnedNetwork:
        head = adapter.head(len(self.tail.labels))
        return UnlearnedNetwork(head=head, adapter=adapter, theta=theta, **how)
