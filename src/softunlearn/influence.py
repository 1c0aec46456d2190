"""Step 1: how much every training row helps or harms each target (Eq. 3 to 5).

For a metric f with parameter gradient v, one solve s = H^-1 v gives all rows' influences a_i =
s . grad l_i in one pass: a_i > 0 means that removing row i raises f. Under weight changes eps
the predicted change of f is -a . eps.
"""

from dataclasses import dataclass
from functools import cached_property

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.curvature.solver import Curvature
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array


@dataclass(frozen=True, eq=False)
class Influence:
    """What the training rows do to the model, one value a row.

    Parameters
    ----------
    target : array of shape (n,)
        Predicted change of the target metric when the row is removed; negative: the row harms.
        Of several targets the sum, each in parts of its value.
    targets : array of shape (n, m)
        The same of each target, in its own unit.
    utility : array of shape (n,)
        The same of the validation log loss, summed.
    leverage : array of shape (n,)
        How far the row pulls the fit towards itself. Near 1 the first-order picture of a removal
        is too small, by a factor 1 / (1 - leverage).
    residual : float
        Largest relative residual of the solves behind the influences.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> harmful = c.influence.target < 0
    >>> bool(c.influence.leverage[harmful].max() < 1), harmful.shape
    (True, (600,))
    """

    target: Float[Array, "n"]
    targets: Float[Array, "n m"]
    utility: Float[Array, "n"]
    leverage: Float[Array, "n"]
    residual: float


@dataclass(frozen=True, eq=False)
class Scores:
    """What step 1 found: influences of every row on some metrics, and what they are made of.

    Parameters
    ----------
    objective, curvature : HeadObjective, Curvature
        Of the model as it is.
    gradients : array of shape (p, m)
        The metrics' gradients in theta.
    directions : array of shape (p, m)
        H^-1 gradients: what the influences are known by.
    residual : float
        Largest relative residual of the solves.
    """

    objective: HeadObjective
    curvature: Curvature
    gradients: Float[Array, "p m"]
    directions: Float[Array, "p m"]
    residual: float

    @classmethod
    def of(
        cls, objective: HeadObjective, curvature: Curvature, gradients: Float[Array, "p m"]
    ) -> "Scores":
        """Return what a solve with the curvature finds."""
        solution = curvature.solve(gradients)
        return cls(objective, curvature, gradients, solution.x, solution.residual)

    @cached_property
    def values(self) -> Float[Array, "n m"]:
        """Return the influences, from one pass when they are asked for."""
        return self.objective.row_products(self.directions)

    @cached_property
    def leverage(self) -> Float[Array, "n"]:
        """Return every row's leverage, computed when it is asked for."""
        return leverage(self.objective, self.curvature)


def influence(
    objective: HeadObjective, curvature: Curvature, gradients: Float[Array, "p m"]
) -> tuple[Float[Array, "n m"], float]:
    """Return a = G H^-1 v of m metrics' gradients v, and the solves' relative residual."""
    scores = Scores.of(objective, curvature, gradients)
    return scores.values, scores.residual


def leverage(objective: HeadObjective, curvature: Curvature) -> Float[Array, "n"]:
    """Return h_i, between 0 and the number of logits; see `HeadObjective.leverage`."""
    return objective.leverage(curvature.inverse())


def stationarity(objective: HeadObjective) -> float:
    """Return ||grad F|| / sqrt(sum_i ||grad l_i||^2): 0 at an optimum, about 1 for no fit at all.

    The denominator is what n gradients of random sign would add up to.
    """
    xp, totals = array_namespace(objective.head.W), objective.totals
    if totals is not None and totals.gram is not None:
        squares = xp.linalg.trace(totals.gram)
    else:
        squares = xp.sum(objective.squared_gradient_norms())
    scale = xp.sqrt(squares)
    norm = xp.sqrt(xp.sum(objective.total_gradient() ** 2))
    return float(norm / scale) if float(scale) > 0 else 0.0


def removal_influence(a: Float[Array, "n m"], h: Float[Array, "n"]) -> Float[Array, "n m"]:
    """Return a / (1 - h): what removing a row does, to second order, for one logit.

    Without the row H loses k_i phi_i phi_i^T, so H_{-i}^-1 grad l_i = H^-1 grad l_i / (1 - h_i).
    Beyond the paper.
    """
    return a / (1 - h)[:, None]
