"""Step 3: the head is corrected under the weights of step 2.

An unlearning algorithm sees row weights eps and nothing else: whether they are hard or soft is not
its business.
"""

from softunlearn.unlearning.influence_update import InfluenceUpdate
from softunlearn.unlearning.unlearner import Unlearner

ALGORITHMS: dict[str, Unlearner] = {"influence": InfluenceUpdate()}
"""The algorithms that a string names."""

__all__ = ["ALGORITHMS", "InfluenceUpdate", "Unlearner"]
