"""Step 1 alone: the influence of every training row on metrics of the user's choice."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from softunlearn.aims import on_head
from softunlearn.curvature import Automatic, CurvatureSolver
from softunlearn.influence import influence, removal_influence
from softunlearn.influence import leverage as row_leverage
from softunlearn.metrics import Target, passes


def influence_scores(
    model: Any,
    train: Any,
    targets: Target | Sequence[Target],
    *,
    leverage: bool = False,
    curvature: CurvatureSolver | None = None,
) -> np.ndarray:
    """Return the influence of every training row on each target, step 1 alone.

    Parameters
    ----------
    model : estimator
        A trained model with a linear head; it is not changed.
    train : Rows or tuple (X, y)
        The rows that the model was trained on.
    targets : Target or sequence of m Target
        Metrics, each on rows of its own, as the model takes them.
    leverage : bool, default=False
        Whether influences are divided by 1 - h, which makes them the change of removing the row to
        second order: a rare category's row may be off by orders of magnitude without. For two
        classes only.
    curvature : CurvatureSolver, optional
        How the Hessian is solved with. Default: `curvature.Automatic()`, a dense factor where it
        is small in memory and time, else conjugate gradients.

    Returns
    -------
    ndarray of shape (n, m)
        Predicted change of each metric when the row is removed, in the metric's own unit;
        negative: the row harms.

    Raises
    ------
    ModelError, InputError
        As `correct`.

    References
    ----------
    Eq. 3 to 5 at eps = -1.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=500)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> target = su.Target(su.metrics.DemographicParity(), data.validation)
    >>> su.influence_scores(model, data.train, [target]).shape
    (300, 1)
    """
    objective, encoded = on_head(model, train, targets)
    head = objective.head
    if leverage and head.W.shape[0] > 1:
        raise ValueError("`leverage` is for a head of one logit; this one has several.")
    gradients = passes.gradients(encoded, head)
    factored = (curvature or Automatic()).factor(objective)
    scores, _ = influence(objective, factored, gradients)
    if not leverage:
        return scores
    if (h := row_leverage(objective, factored)) is None:
        raise ValueError("`leverage` needs a dense Hessian; give curvature=Cholesky().")
    return removal_influence(scores, h)
