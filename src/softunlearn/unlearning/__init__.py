"""Step 3: the head is corrected under the weights of step 2, by any of nine algorithms.

Three have a closed form: `InfluenceUpdate` (IF) takes the first-order change of the minimiser,
`Fisher` a Newton step with noise, `NTK` as many as it needs. The others train, by one loop
(`training.py`), and differ in what a phase of it minimises: `AscentAndFineTuning` (GA+FT, with FT
and GA alone), `Scrub`, `BadTeacher`, `CatastrophicForgetting` (CF-k) and `ExactUnlearning` (EU-k).
None knows of hard or soft: each sees row weights eps.
"""

from softunlearn.unlearning.bad_teacher import BadTeacher
from softunlearn.unlearning.by_training import ByTraining
from softunlearn.unlearning.fine_tuning import AscentAndFineTuning
from softunlearn.unlearning.fisher import Fisher
from softunlearn.unlearning.influence_update import InfluenceUpdate
from softunlearn.unlearning.last_layers import CatastrophicForgetting, ExactUnlearning
from softunlearn.unlearning.ntk import NTK
from softunlearn.unlearning.optimisers import SGD, Adam, Optimiser
from softunlearn.unlearning.scrub import Scrub
from softunlearn.unlearning.training import Phase, Term, Training
from softunlearn.unlearning.unlearner import Budgeted, Unlearned, Unlearner

ALGORITHMS: dict[str, Unlearner] = {
    "influence": InfluenceUpdate(),
    "ga_ft": AscentAndFineTuning(),
    "ft": AscentAndFineTuning(ascent=0.0),
    "ga": AscentAndFineTuning(ascent=1.0, alpha=0.0, training=Training(epochs=5)),
    "fisher": Fisher(),
    "ntk": NTK(),
    "scrub": Scrub(),
    "bad_teacher": BadTeacher(),
    "cf_k": CatastrophicForgetting(),
    "eu_k": ExactUnlearning(),
}
"""The algorithms that a string names."""

__all__ = [
    "ALGORITHMS",
    "NTK",
    "SGD",
    "Adam",
    "AscentAndFineTuning",
    "BadTeacher",
    "Budgeted",
    "ByTraining",
    "CatastrophicForgetting",
    "ExactUnlearning",
    "Fisher",
    "InfluenceUpdate",
    "Optimiser",
    "Phase",
    "Scrub",
    "Term",
    "Training",
    "Unlearned",
    "Unlearner",
]
