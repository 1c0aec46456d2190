"""SCRUB: a student forgets its teacher on some rows and keeps to it on the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.losses import CrossEntropy, KLToTeacher
from softunlearn.rows import Array
from softunlearn.unlearning.by_training import ByTraining
from softunlearn.unlearning.training import Phase, Term


@dataclass(frozen=True, kw_only=True)
class Scrub(ByTraining):
    """Alternate: descend sum r_i (alpha KL_i + gamma l_i), then ascend beta sum f_i KL_i.

    KL_i = KL(original || student), f = clip(-eps, 0, 1) and r = max(1 + eps, 0). Only the first
    rounds forget, so that the last ones repair what forgetting broke. A round keeps before it
    forgets: the student starts as its teacher, where KL has no slope and rounding would decide
    the way.

    Parameters
    ----------
    alpha, gamma : float, default=0.5, 1.0
        Weights of the distillation and of the log loss in the phase that keeps.
    beta : float, default=0.05
        Weight of the ascent, which has no end: at 1 it runs away where many rows are forgotten.
    temperature : float, default=1.0
        Softens both models' predictions.
    forget_share : float, default=0.2
        Part of the budget of epochs that forgets, one epoch at least; 0 for none.

    References
    ----------
    Kurmanji et al., 2023.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.Scrub(beta=0.01)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    alpha: float = 0.5
    gamma: float = 1.0
    beta: float = 0.05
    temperature: float = 1.0
    forget_share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "gamma", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")
        if not 0 <= self.forget_share <= 1:
            raise ValueError(f"`forget_share` must be from 0 to 1, got {self.forget_share}.")

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return the phase that keeps and the phase that forgets."""
        xp, distance = array_namespace(eps), KLToTeacher(self.temperature)
        forget, retain = xp.clip(-eps, 0.0, 1.0), xp.clip(1 + eps, 0.0, None)
        keep = [
            Term(distance, self.alpha * retain, original),
            Term(CrossEntropy(), self.gamma * retain, y),
        ]
        rounds = max(1, round(self.forget_share * self.epochs)) if self.forget_share else 0
        return [
            Phase(keep, penalty=self.gamma),
            Phase([Term(distance, -self.beta * forget, original)], rounds=rounds),
        ]
