"""Bad-T: an incompetent teacher for the rows to forget, the original for the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.losses import KLToTeacher
from softunlearn.rows import Array
from softunlearn.unlearning.by_training import ByTraining
from softunlearn.unlearning.training import Phase, Term


@dataclass(frozen=True, kw_only=True)
class BadTeacher(ByTraining):
    """Descend sum q_i KL(random || student) + (1 - q_i) KL(original || student).

    q_i = clip(-eps_i, 0, 1): 1 for a removed row, 0 for one that is kept or strengthened. The
    random teacher has a newly initialised last layer.

    Parameters
    ----------
    temperature : float, default=1.0
        Softens all predictions.

    References
    ----------
    Chundawat et al., 2023.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.BadTeacher(temperature=2.0)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    temperature: float = 1.0

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return one phase with both teachers."""
        q, distance = array_namespace(eps).clip(-eps, 0, 1), KLToTeacher(self.temperature)
        return [Phase([Term(distance, q, anew), Term(distance, 1 - q, original)])]
