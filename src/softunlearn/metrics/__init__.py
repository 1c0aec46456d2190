"""What to correct: differentiable scalar functions of validation logits.

A metric knows nothing of models or parameters: its gradient in the logits is all that the method
asks of it, so a new metric is one small class, or one function. `Metric` is the contract.
"""

from softunlearn.metrics.by_part import per_class, per_group
from softunlearn.metrics.functions import from_function, from_torch
from softunlearn.metrics.gaps import (
    Comparison,
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    GroupGap,
)
from softunlearn.metrics.metric import Metric, Pieces, Target
from softunlearn.metrics.utility import LogLoss

__all__ = [
    "Comparison",
    "DemographicParity",
    "EqualOpportunity",
    "EqualizedOdds",
    "GroupGap",
    "LogLoss",
    "Metric",
    "Pieces",
    "Target",
    "from_function",
    "from_torch",
    "per_class",
    "per_group",
]
