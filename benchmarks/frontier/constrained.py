"""Fairness-constrained training: the peer that is given the training code.

Logistic regression by L-BFGS, subject to a bound c on the gap in mean predicted probability
between two groups of training rows:

    min  (sum of log losses + l2/2 ||w||^2) / n    subject to    -c <= gap <= c.

An augmented Lagrangian with one multiplier for the interval: beside the objective stands
rho/2 dist(gap + mu/rho, [-c, c])^2, and after each round mu becomes rho times the signed distance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

RHO = 100.0
"""Weight of the squared violation. The objective is a mean loss and the gap at most 1, so that a
violation of 0.1 costs 0.5; larger ones converge in fewer rounds, each of them longer."""

TOLERANCE = 1e-5
"""By how much a gap may exceed its bound; well under what a row of a test set can show."""

MAX_ROUNDS = 50
"""Of the multiplier. A handful are enough; at fifty something is wrong."""


@dataclass(frozen=True, eq=False)
class Constrained:
    """Logistic regression under a bound.

    Parameters
    ----------
    w : ndarray of shape (d,)
    b : float
    mu : float
        The multiplier: by how much the mean loss would fall per unit of gap. 0 where the bound
        does not bind.
    gap : float
        Signed, on training rows.
    rounds, evaluations : int
        Of the multiplier, and of the objective in all.
    """

    w: np.ndarray
    b: float
    mu: float
    gap: float
    rounds: int
    evaluations: int

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of the positive class."""
        return expit(X @ self.w + self.b)


def train(
    X: np.ndarray,
    y: np.ndarray,
    g: np.ndarray,
    *,
    l2: float,
    c: float,
    start: Constrained | None = None,
) -> Constrained:
    """Return the model of least training loss whose gap on these rows is at most c.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
        0 or 1.
    g : ndarray of shape (n,)
        Two groups.
    l2 : float
        Penalty beside the sum of losses; the intercept is not penalised.
    c : float
        `inf` trains without a bound.
    start : Constrained, optional
        Where to start from. Default: zero.

    Raises
    ------
    ValueError
        Not two groups.
    RuntimeError
        The bound was not met within 50 rounds.
    """
    contrast = _contrast(g)
    n, d = X.shape
    sign = 1.0 - 2.0 * y  # the log loss of a row is log(1 + exp(sign z))

    def lagrangian(theta: np.ndarray, mu: float) -> tuple[float, np.ndarray]:
        w, b = theta[:d], theta[d]
        z = X @ w + b
        p = expit(z)
        mu_now = _multiplier(contrast @ p, mu, c)
        value = (np.logaddexp(0.0, sign * z).sum() + l2 / 2 * w @ w) / n + mu_now**2 / (2 * RHO)
        slope = (p - y) / n + mu_now * contrast * p * (1 - p)  # of the value in z
        return value, np.append(X.T @ slope + l2 / n * w, slope.sum())

    theta = np.zeros(d + 1) if start is None else np.append(start.w, start.b)
    mu, gap, evaluations = 0.0, np.nan, 0
    for round_ in range(1, MAX_ROUNDS + 1):
        found = minimize(
            lagrangian,
            theta,
            args=(mu,),
            jac=True,
            method="L-BFGS-B",
            # ftol = 0: the gradient alone decides, and the gap follows it
            options={"maxcor": 20, "maxiter": 3000, "maxfun": 5000, "gtol": 1e-7, "ftol": 0.0},
        )
        theta, evaluations = found.x, evaluations + found.nfev
        gap = float(contrast @ expit(X @ theta[:d] + theta[d]))
        mu = _multiplier(gap, mu, c)
        # met, and by no more than need be
        if abs(gap) <= c + TOLERANCE and (mu == 0 or abs(gap) >= c - TOLERANCE):
            return Constrained(theta[:d], float(theta[d]), mu, gap, round_, evaluations)
    raise RuntimeError(f"After {MAX_ROUNDS} rounds the gap is {gap:.5f}, its bound {c:.5f}.")


def _multiplier(gap: float, mu: float, c: float) -> float:
    """Return rho times the signed distance of gap + mu/rho from [-c, c]."""
    shifted = gap + mu / RHO
    return RHO * float(shifted - np.clip(shifted, -c, c))


def _contrast(g: np.ndarray) -> np.ndarray:
    """Return 1/n_g in one group and -1/n_g in the other: contrast @ p is the gap."""
    names, code, sizes = np.unique(g, return_inverse=True, return_counts=True)
    if len(names) != 2:
        raise ValueError(f"`g` must hold two groups, got {len(names)}.")
    return np.array([-1.0, 1.0])[code] / sizes[code]
