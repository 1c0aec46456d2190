"""NTK forgetting: the linearised model is trained on the weighted rows, in closed form.

Golatkar et al. (2020b) replace training by its solution on the model linearised in its parameters,
and move the original parameters by what that solution changes. A head's logits are linear in its
parameters already, so the tangent kernel is that of the features and never changes; what is left
to linearise is the link. One such solution is a Newton step, and repeating it is iteratively
re-weighted least squares, which ends at the exact minimiser of the weighted loss.
"""

from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature import Automatic
from softunlearn.curvature.solver import Curvature
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array
from softunlearn.unlearning.unlearner import Unlearned, clipped

HALVINGS = 20
"""A Newton step that still raises the loss at 1e-6 of its length is at the end of rounding."""


@dataclass(frozen=True)
class NTK:
    """theta <- theta - H_w^-1 grad F_w(theta), repeated, from the original parameters.

    F_w is the loss of the rows weighted by w = max(1 + eps, 0), with the penalty. A step that does
    not lower it is halved. Deterministic.

    Parameters
    ----------
    epochs : int, default=30
        Most solutions; few are needed, and training stops when one changes nothing.
    tolerance : float, default=1e-8
        Largest Newton decrement, a part of the loss, at which training has ended.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.NTK(epochs=5)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    epochs: int = 30
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"`epochs` must be at least 1, got {self.epochs}.")
        if not self.tolerance >= 0:
            raise ValueError(f"`tolerance` must be at least 0, got {self.tolerance}.")

    def with_epochs(self, epochs: int) -> "NTK":
        """Return the same algorithm with another budget."""
        return replace(self, epochs=epochs)

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head."""
        w, n_clipped = clipped(eps)
        head, epochs = objective.head, 0
        loss = objective.reweighted(w).loss_sum()
        for epochs in range(1, self.epochs + 1):  # noqa: B007 - it is returned
            here = HeadObjective(head, objective.reweighted(w).rows, objective.loss)
            gradient = here.total_gradient()
            step = Automatic().factor(here).solve(gradient[:, None]).x[:, 0]
            decrement = float(array_namespace(step).sum(gradient * step))
            if decrement <= self.tolerance * loss:
                break
            head, loss = _descend(here, step, loss)
        return Unlearned(head, epochs=epochs, clipped_rows=n_clipped)


def _descend(here: HeadObjective, step: Array, loss: float) -> tuple[LinearHead, float]:
    """Return the head after the longest of the halved steps that lowers the loss."""
    for halving in range(HALVINGS):
        head = here.head.with_theta(here.head.theta - step / 2**halving)
        reached = HeadObjective(head, here.rows, here.loss).loss_sum()
        if reached < loss:
            return head, reached
    return here.head, loss
