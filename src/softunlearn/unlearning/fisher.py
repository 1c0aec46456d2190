"""Fisher forgetting: a Newton step of the weighted loss, and noise (Golatkar et al., 2020a)."""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, to_device
from jaxtyping import Float

from softunlearn.curvature import Cholesky
from softunlearn.curvature.solver import Curvature
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array
from softunlearn.unlearning.unlearner import Unlearned, clipped


@dataclass(frozen=True)
class Fisher:
    """theta' = theta - F_w^-1 grad F_w(theta) + sqrt(noise) F_w^-1/2 xi, xi standard normal.

    F_w is the Fisher matrix of the losses weighted by w = 1 + eps (negative w count 0), with the
    penalty; for log loss it is their Hessian. Hard weights make it the retained rows' own. The
    noise hides what the step did not remove; it costs accuracy.

    Parameters
    ----------
    diagonal : bool, default=True
        Whether F_w's diagonal alone is used, as in the source: it is cheap in wide heads, and
        with correlated features its step is too long, so it is shortened to where the quadratic
        model along it is smallest. False for the full matrix, the exact Newton step.
    noise : float, default=0.01
        Variance of the noise, as a part of the parameters' own sampling variance F^-1.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> algorithm = su.unlearning.Fisher(diagonal=False, noise=0.0)
    >>> c = su.correct(model, train=train, validation=validation, algorithm=algorithm)
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    diagonal: bool = True
    noise: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"`noise` must be at least 0 and finite, got {self.noise}.")

    def apply(
        self,
        objective: HeadObjective,
        eps: Float[Array, "n"],
        *,
        curvature: Curvature,
        rng: np.random.Generator,
    ) -> Unlearned:
        """Return the corrected head."""
        head, xp = objective.head, array_namespace(eps)
        w, n_clipped = clipped(eps)
        gradient = objective.gradient((1 + eps)[:, None])[:, 0] + head.penalty * head.theta
        weighted = objective.reweighted(w)
        xi = xp.asarray(rng.standard_normal(head.n_parameters), dtype=head.W.dtype)
        xi = to_device(xi, head.W.device)
        if self.diagonal:
            F = weighted.hessian_diagonal()
            F = xp.where(F > 0, F, xp.max(F))
            step = gradient / F
            # along -step the quadratic model is least at length g.s / s.H s, at most 1
            curved = xp.sum(step * weighted.hvp(step[:, None])[:, 0])
            length = xp.sum(gradient * step) / xp.where(curved > 0, curved, 1.0)
            step = xp.clip(length, 0.0, 1.0) * step
            noise = xi / xp.sqrt(F)
        else:
            factored = Cholesky().factor(weighted)
            step = factored.solve(gradient[:, None]).x[:, 0]
            noise = factored.root_solve(xi[:, None])[:, 0]
        theta = head.theta - step + self.noise**0.5 * noise
        return Unlearned(head.with_theta(theta), clipped_rows=n_clipped)
