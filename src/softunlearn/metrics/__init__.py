"""What to correct: differentiable scalar functions of validation logits.

A metric knows nothing of models or parameters: its gradient in the logits is all that the method
asks of it, so a new metric is one small class. `Metric` is the contract.
"""

from softunlearn.metrics.gaps import DemographicParity, EqualizedOdds, EqualOpportunity
from softunlearn.metrics.metric import Metric, Target
from softunlearn.metrics.utility import LogLoss

__all__ = [
    "DemographicParity",
    "EqualOpportunity",
    "EqualizedOdds",
    "LogLoss",
    "Metric",
    "Target",
]
