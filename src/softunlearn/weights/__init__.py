"""Step 2: which weight every training row should have (Eq. 6 and 7, Theorem 1).

A scheme turns a `Problem` (influences and a budget) into `Weights`: eps_i = -1 removes row i, 0
leaves it, more strengthens it. Soft and hard are schemes like any other.
"""

from softunlearn.weights.bounded import Bounded
from softunlearn.weights.closed_form import ClosedForm
from softunlearn.weights.feasibility import Conditions, conditions
from softunlearn.weights.problem import Problem, Weights, WeightScheme
from softunlearn.weights.top_k import TopK

SCHEMES = {"soft": ClosedForm(), "hard": TopK(), "bounded": Bounded()}
"""The schemes that a string names."""

__all__ = [
    "SCHEMES",
    "Bounded",
    "ClosedForm",
    "Conditions",
    "Problem",
    "TopK",
    "WeightScheme",
    "Weights",
    "conditions",
]
