"""GA+FT, and gradient ascent (GA) and fine-tuning (FT) alone (Eq. 9)."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float

from softunlearn.losses import CrossEntropy
from softunlearn.rows import Array
from softunlearn.unlearning.by_training import ByTraining
from softunlearn.unlearning.training import Phase, Term


@dataclass(frozen=True, kw_only=True)
class AscentAndFineTuning(ByTraining):
    """Descend ascent sum_i eps_i l_i + alpha (sum_i w_i l_i + penalty), w = 1 + eps.

    Rows of negative eps are ascended, the others descended. Hard weights give the usual
    - sum of forgotten + alpha sum of retained losses.

    Parameters
    ----------
    ascent : float, default=0.1
        Weight of the first sum; 0 is fine-tuning (FT). The larger, the sooner training runs away
        where many rows are forgotten.
    alpha : float, default=1.0
        Weight of the second; 0 is gradient ascent (GA), which has no end: give it few epochs.

    References
    ----------
    Eq. 9.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.AscentAndFineTuning(ascent=0.05)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    ascent: float = 0.1
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ascent", "alpha"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return one phase: both sums are of the same loss."""
        weights = self.ascent * eps + self.alpha * (1 + eps)
        return [Phase([Term(CrossEntropy(), weights, y)], penalty=self.alpha)]
