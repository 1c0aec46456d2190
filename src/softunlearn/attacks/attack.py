"""The contract of an attack."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Integer

from softunlearn.head import LinearHead
from softunlearn.rows import Array


@runtime_checkable
class Attack(Protocol):
    """A way to perturb rows against a head. It draws no random numbers.

    Examples
    --------
    Every row a step along the first feature, to where its class is less likely:

    >>> import numpy as np, softunlearn as su
    >>> class Shift:
    ...     def perturb(self, head, phi, y=None):
    ...         y = head.logits(phi)[:, 0] > 0 if y is None else y
    ...         up = np.sign(head.W[0, 0]) * (1 - 2 * np.asarray(y, dtype=float))
    ...         return phi + np.outer(up, np.eye(phi.shape[1])[0])
    ...     def fixed(self, head, phi):
    ...         return self
    >>> isinstance(Shift(), su.attacks.Attack)
    True

    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, metric=Shift())
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    def perturb(
        self, head: LinearHead, phi: Float[Array, "n d"], y: Integer[Array, "n"] | None = None
    ) -> Float[Array, "n d"]:
        """Return perturbed copies of the rows, in the head's precision.

        `y` holds class codes, the classes that the rows are moved away from; without them those
        that the head predicts.
        """
        ...

    def fixed(self, head: LinearHead, phi: Float[Array, "n d"]) -> "Attack":
        """Return the attack with a budget of its own: the rows' under this head if it has none.

        What is returned can be made against any head, and is as strong against each.
        """
        ...
