"""The contract of a metric, what it may be the largest of, and a metric on rows: a target."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from array_api_compat import array_namespace
from jaxtyping import Float, Integer

from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows


@runtime_checkable
class Metric(Protocol):
    """A scalar function f(z, y, g) of all rows' logits, smaller is better, at least zero.

    `z` holds logits (n, k), `y` class codes and `g` group codes 0..G-1, or None where rows have no
    groups; a metric that needs them says so in `needs_groups`. Where there are several sensitive
    columns, a metric's `by` says which one `g` is made of; without it, or where it is None, `g` is
    made of their combinations. A metric that is the largest of smooth functions may say so in a
    method `pieces`, and one that has a `name` is called by it.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> class MeanSquare:
    ...     needs_groups = False
    ...     def value(self, z, y, g):
    ...         return float((z**2).mean())
    ...     def logit_gradient(self, z, y, g):
    ...         return 2 * z / z.size
    >>> isinstance(MeanSquare(), su.metrics.Metric)
    True

    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, metric=MeanSquare())
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    @property
    def needs_groups(self) -> bool:
        """Whether every row must have a group; a plain attribute will do."""
        ...

    def value(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> float:
        """Return f."""
        ...

    def logit_gradient(
        self, z: Float[Array, "n k"], y: Integer[Array, "n"], g: Integer[Array, "n"] | None
    ) -> Float[Array, "n k"]:
        """Return df/dz."""
        ...


@dataclass(frozen=True, eq=False)
class Pieces:
    """Smooth functions f_1, ..., f_m of the logits whose largest is a metric.

    Parameters
    ----------
    values : array of shape (m,)
    parts : array of shape (n, k, r)
        Logit gradients of r functions that the pieces are made of.
    mix : array of shape (r, m), optional
        Each piece's gradient as a sum of the parts'. Default: the parts are the pieces.

    Examples
    --------
    The gap between three groups is the largest of three differences:

    >>> import numpy as np, softunlearn as su
    >>> z, y, g = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 1]), np.array([0, 1, 2])
    >>> su.metrics.DemographicParity().pieces(z, y, g).values.shape
    (3,)
    """

    values: Float[Array, "m"]
    parts: Float[Array, "n k r"]
    mix: Float[Array, "r m"] | None = None

    @property
    def logit_gradients(self) -> Float[Array, "n k m"]:
        """Return the derivatives of all pieces in the logits."""
        return self.through(lambda parts: parts)

    def through(self, linear: Callable[[Array], Array]) -> Array:
        """Return the pieces' gradients after a linear map of the last axis' columns."""
        mapped = linear(self.parts)
        return mapped if self.mix is None else mapped @ self.mix


def pieces(
    metric: Metric,
    z: Float[Array, "n k"],
    y: Integer[Array, "n"],
    g: Integer[Array, "n"] | None,
) -> Pieces:
    """Return a metric's own pieces, or the metric itself as the only one."""
    own = getattr(metric, "pieces", None)
    if own is not None:
        return own(z, y, g)
    value = array_namespace(z).asarray([metric.value(z, y, g)], dtype=z.dtype, device=z.device)
    return Pieces(value, metric.logit_gradient(z, y, g)[:, :, None])


def name_of(metric: Metric) -> str:
    """Return what a metric is called: its own `name`, or its class's."""
    return getattr(metric, "name", None) or type(metric).__name__


@runtime_checkable
class Aim(Protocol):
    """A scalar function of heads that is to fall, or not to rise: a `Target`, or an adversary."""

    @property
    def metric(self) -> Metric:
        """Return the function of logits."""
        ...

    def rows_for(self, head: LinearHead) -> Rows:
        """Return the rows that a head is measured on: the same for all, or crafted for it."""
        ...


@dataclass(frozen=True, eq=False)
class Target:
    """A metric on rows: what influence is measured on.

    Robustness, for instance, is the log loss on perturbed validation rows.

    Parameters
    ----------
    metric : Metric
    rows : Rows or tuple (X, y) or (X, y, g)
        As the model takes them.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> target = su.Target(su.metrics.LogLoss(), (np.eye(2), [0, 1]))
    """

    metric: Metric
    rows: Any

    def rows_for(self, head: LinearHead) -> Rows:
        """Return the rows, which are the same for every head."""
        return self.rows

    def value(self, head: LinearHead) -> float:
        """Return f at a head. The rows must hold the head's inputs and codes."""
        return self.metric.value(*self._logits(head))

    def gradient(self, head: LinearHead) -> Float[Array, "p"]:
        """Return df/dtheta = [Phi, 1]^T df/dz at a head."""
        dz = self.metric.logit_gradient(*self._logits(head))
        return HeadObjective(head, self.rows).pullback(dz[:, :, None])[:, 0]

    def _logits(self, head: LinearHead) -> tuple[Array, Array, Array | None]:
        rows: Rows = self.rows
        return HeadObjective(head, rows).logits(), rows.y, rows.g
