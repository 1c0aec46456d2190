"""An attack as a metric that no correction can hide from."""

from dataclasses import dataclass

from softunlearn.attacks.attack import Attack
from softunlearn.attacks.gradient import GradientAttack


@dataclass(frozen=True)
class Adaptive:
    """The attack made anew against every head along the correction's path.

    As `metric=`, an attack alone means rows perturbed once, against the original model.

    Parameters
    ----------
    attack : FGSM or PGD
        It must have a budget: the boundary attack flips every prediction of any head.

    Examples
    --------
    >>> import softunlearn as su
    >>> su.attacks.Adaptive(su.attacks.PGD(0.1, norm="l2")).attack.epsilon
    0.1
    """

    attack: Attack

    def __post_init__(self) -> None:
        if not isinstance(self.attack, GradientAttack):
            raise TypeError(
                "An adaptive attack needs a budget: give FGSM or PGD, "
                f"got {type(self.attack).__name__}."
            )
