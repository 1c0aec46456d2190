"""H^-1 v: solving with the Hessian of the training objective.

A solver is configured once (`Cholesky()`), factors an objective into a value that solves for any
number of right-hand sides, and every solution says how exact it is.
"""

from softunlearn.curvature.automatic import Automatic
from softunlearn.curvature.cholesky import Cholesky
from softunlearn.curvature.conjugate_gradients import ConjugateGradients
from softunlearn.curvature.solver import (
    Curvature,
    CurvatureSolver,
    DenseCurvature,
    Solution,
)

__all__ = [
    "Automatic",
    "Cholesky",
    "ConjugateGradients",
    "Curvature",
    "CurvatureSolver",
    "DenseCurvature",
    "Solution",
]
