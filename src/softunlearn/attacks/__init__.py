"""Perturbed rows: where a model that is right becomes wrong.

An attack crafts new rows against one head, or one network. Robustness is the log loss there: the
metric of a correction may be an attack. `Boundary` is the paper's, and crosses the boundary
whatever the length. `FGSM` and `PGD` have a budget, so that two models can be compared under
attacks of the same strength, each made against the model that it is for.
"""

from softunlearn.attacks.adaptive import Adaptive
from softunlearn.attacks.attack import Attack
from softunlearn.attacks.boundary import Boundary
from softunlearn.attacks.gradient import FGSM, PGD

__all__ = ["FGSM", "PGD", "Adaptive", "Attack", "Boundary"]
