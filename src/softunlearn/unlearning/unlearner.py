"""The contract of an unlearning algorithm, and what one returns."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Unlearned:
    """A corrected head, and what the caller should know of how it came about.

    Parameters
    ----------
    head : LinearHead
    epochs : int
        Passes over the training rows.
    clipped_rows : int
        Rows whose weight 1 + eps was below 0 and was taken as 0.
    diverged : bool
        Whether training ran away and was stopped; `head` is then the best that was seen.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> reached = c.frontier[-1].reached
    >>> reached.head.W.shape == model.coef_.shape, reached.diverged
    (True, False)
    """

    head: LinearHead
    epochs: int = 1
    clipped_rows: int = 0
    diverged: bool = False


@runtime_checkable
class Unlearner(Protocol):
    """A way to change the head so that row i counts 1 + eps_i times.

    It sees row weights and nothing else: whether they are hard or soft is not its business.

    Examples
    --------
    A gradient step on the re-weighted rows, of a length that is given:

    >>> import softunlearn as su
    >>> class GradientStep:
    ...     def apply(self, objective, eps, *, curvature, rng):
    ...         step = 1e-4 * objective.gradient(eps[:, None])[:, 0]
    ...         head = objective.head
    ...         return su.unlearning.Unlearned(head.with_theta(head.theta - step))
    >>> isinstance(GradientStep(), su.unlearning.Unlearner)
    True

    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=GradientStep())
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head.

        `curvature` is the Hessian at the objective's head, already factored in step 1; `rng` the
        only source of randomness. eps = 0 means that nothing is to be unlearned.
        """
        ...


@runtime_checkable
class Budgeted(Unlearner, Protocol):
    """An unlearner that takes many passes over the rows, and how many it may take.

    Examples
    --------
    >>> import softunlearn as su
    >>> isinstance(su.unlearning.Scrub(), su.unlearning.Budgeted)
    True
    >>> su.unlearning.Scrub().with_epochs(6).epochs
    6
    """

    @property
    def epochs(self) -> int:
        """Return the most passes that one call takes."""
        ...

    def with_epochs(self, epochs: int) -> "Budgeted":
        """Return the same algorithm with another budget."""
        ...


def clipped(eps: Float[Array, "n"]) -> tuple[Float[Array, "n"], int]:
    """Return w = max(1 + eps, 0), which keeps weighted training convex, and how often it clips."""
    xp = array_namespace(eps)
    w = 1 + eps
    return xp.clip(w, 0.0, None), int(xp.sum(xp.astype(w < 0, xp.int64)))
