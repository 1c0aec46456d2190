"""CF-k and EU-k: the last k layers are trained on the weighted rows, the rest is frozen.

Catastrophic forgetting (CF-k) goes on from the parameters as they are, exact unlearning (EU-k)
starts anew. Both minimise sum_i w_i l_i + penalty with w = max(1 + eps, 0): trained to
convergence, on the last layer both are the exact refit under those weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float

from softunlearn.losses import CrossEntropy
from softunlearn.rows import Array
from softunlearn.unlearning.by_training import ByTraining
from softunlearn.unlearning.training import Phase, Term
from softunlearn.unlearning.unlearner import clipped


@dataclass(frozen=True, kw_only=True)
class CatastrophicForgetting(ByTraining):
    """CF-k: fine-tune from the original parameters.

    References
    ----------
    Goel, Prabhu and Kumaraguru, 2022.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.CatastrophicForgetting()
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return one phase."""
        return _weighted_training(eps, y)


@dataclass(frozen=True, kw_only=True)
class ExactUnlearning(ByTraining):
    """EU-k: train from newly initialised parameters.

    References
    ----------
    Goel, Prabhu and Kumaraguru, 2022.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.ExactUnlearning(training=su.unlearning.Training(epochs=60))
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    starts_anew = True

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return one phase."""
        return _weighted_training(eps, y)


def _weighted_training(eps: Array, y: Array) -> Sequence[Phase]:
    return [Phase([Term(CrossEntropy(), clipped(eps)[0], y)], penalty=1.0)]
