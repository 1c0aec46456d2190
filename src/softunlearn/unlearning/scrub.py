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
    """Alternate: descend sum r_i (alpha KL_i + gamma l_i), then ascend sum f_i KL_i.

    KL_i = KL(original || student), f = clip(-eps, 0, 1) and r = max(1 + eps, 0). Only the first
    rounds forget, so that the last ones repair what forgetting broke. A round keeps before it
    forgets: the student starts as its teacher, where KL has no slope and rounding would decide
    the way.

    Parameters
    ----------
    alpha, gamma : float, default=0.5, 1.0
        Weights of the distillation and of the log loss in the second phase.
    temperature : float, default=1.0
        Softens both models' predictions.
    forget_rounds : int, default=5
        Rounds in which the first phase is run.

    References
    ----------
    Kurmanji et al., 2023.
    """

    alpha: float = 0.5
    gamma: float = 1.0
    temperature: float = 1.0
    forget_rounds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "gamma", "forget_rounds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")

    def phases(
        self, eps: Float[Array, "n"], y: Array, original: Array, anew: Array
    ) -> Sequence[Phase]:
        """Return the phase that keeps and the phase that forgets."""
        xp, distance = array_namespace(eps), KLToTeacher(self.temperature)
        forget, retain = xp.clip(-eps, 0, 1), xp.clip(1 + eps, 0, None)
        keep = [
            Term(distance, self.alpha * retain, original),
            Term(CrossEntropy(), self.gamma * retain, y),
        ]
        return [
            Phase(keep, penalty=self.gamma),
            Phase([Term(distance, -forget, original)], rounds=self.forget_rounds),
        ]
