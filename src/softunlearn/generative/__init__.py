"""Language models, and any other torch module: first-order updates, no Hessian (section 4.3).

`correct` is the one entry. What is measured is any number that torch computes of the module, such
as the loss gap between two groups of prompts; what is corrected are all parameters, some by name,
or adapters. Needs torch, and is loaded when it is asked for.
"""

try:
    import torch  # noqa: F401 - only to say at once that it is missing
except ModuleNotFoundError as error:
    raise ImportError(
        "softunlearn.generative needs torch, which is not installed: pip install "
        "softunlearn[torch]."
    ) from error

from softunlearn.generative.algorithms import (
    GENERATIVE_ALGORITHMS,
    NPO,
    GenerativeAlgorithm,
    WeightedDescent,
)
from softunlearn.generative.correct import correct
from softunlearn.generative.correction import (
    Figures,
    GenerativeCorrection,
    Influences,
    Point,
)
from softunlearn.generative.influence import dot_products
from softunlearn.generative.losses import GroupLossGap, next_token_loss
from softunlearn.generative.sketch import Sketch

__all__ = [
    "GENERATIVE_ALGORITHMS",
    "NPO",
    "Figures",
    "GenerativeAlgorithm",
    "GenerativeCorrection",
    "GroupLossGap",
    "Influences",
    "Point",
    "Sketch",
    "WeightedDescent",
    "correct",
    "dot_products",
    "next_token_loss",
]
