"""One table of everything that shares a contract: a new implementation is one line here."""

from dataclasses import dataclass

import numpy as np

from softunlearn.attacks import FGSM, PGD, Boundary
from softunlearn.curvature import Automatic, Cholesky, ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.metrics import DemographicParity, EqualizedOdds, EqualOpportunity, LogLoss
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.unlearning import ALGORITHMS
from softunlearn.weights import Bounded, ClosedForm, TopK

ALL_METRICS = [
    LogLoss(),
    LogLoss("mean"),
    DemographicParity(positive=1),
    DemographicParity(positive=0),
    EqualOpportunity(positive=1),
    EqualizedOdds(positive=1),
]
ALL_ATTACKS = [
    Boundary(),
    Boundary(gamma=2.0),
    FGSM(0.3),
    FGSM(0.3, norm="l2"),
    PGD(0.3),
    PGD(0.3, norm="l2"),
]
ALL_SOLVERS = [
    Cholesky(),
    ConjugateGradients(tolerance=1e-12),
    ConjugateGradients(tolerance=1e-12, memory=0),
    Automatic(),
]
ALL_SCHEMES = [ClosedForm(), ClosedForm(lam=0.5), TopK(), TopK(max_fraction=0.2), Bounded()]
ALL_UNLEARNERS = list(ALGORITHMS.values())


@dataclass(frozen=True)
class HeadCase:
    """A kind of head and of rows."""

    k: int
    intercept: bool
    weighted: bool = False

    def __str__(self) -> str:
        parts = [f"k={self.k}", "b" if self.intercept else "no-b"]
        return "-".join(parts + ["weighted"] * self.weighted)

    def objective(self, rng: np.random.Generator, n: int = 40, d: int = 3) -> HeadObjective:
        """Return random rows around a random head, not at an optimum."""
        n_classes = max(2, self.k)
        rows = Rows(
            rng.normal(size=(n, d)),
            rng.integers(n_classes, size=n),
            rng.integers(2, size=n),
            rng.uniform(0.5, 2.0, size=n) if self.weighted else None,
        )
        b = rng.normal(size=self.k) if self.intercept else None
        head = LinearHead(rng.normal(size=(self.k, d)), b, l2=0.7, classes=tuple(range(n_classes)))
        return HeadObjective(head, rows)


HEAD_CASES = [
    HeadCase(k, intercept, weighted)
    for k in (1, 3)
    for intercept in (True, False)
    for weighted in (False, True)
]


def minimise(objective: HeadObjective) -> HeadObjective:
    """Return the objective at its minimum, found by SciPy, not by this library's solvers."""
    from scipy.optimize import root

    head, rows = objective.head, objective.rows

    def at(theta):
        return HeadObjective(head.with_theta(theta), rows)

    # the loss is convex, so its minimum is where the gradient is zero; MINPACK's Levenberg and
    # Marquardt do not mind that a softmax head's Hessian is singular
    result = root(
        lambda theta: at(theta).total_gradient(),
        head.theta,
        jac=lambda theta: at(theta).hessian(),
        method="lm",
        options={"xtol": 1e-14, "ftol": 1e-14},
    )
    return at(result.x)
