"""Step 1 against independent computations: explicit linear algebra, and models fitted again."""

import numpy as np
import pytest

import softunlearn as su
from cases import HEAD_CASES, minimise
from softunlearn.curvature import Cholesky
from softunlearn.head import LinearHead
from softunlearn.influence import influence, leverage, stationarity
from softunlearn.metrics import DemographicParity, EqualOpportunity, LogLoss, Target
from softunlearn.models import adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_influence_is_the_derivative_of_the_refitted_metric(case, rng):
    """-a_i is d metric / d eps_i over exact refits, by central differences."""
    objective = minimise(case.objective(rng, n=30, d=2))
    rows = objective.rows
    validation = case.objective(rng, n=50, d=2).rows
    targets = [
        Target(m, validation) for m in (LogLoss(), DemographicParity(1), EqualOpportunity(1))
    ]
    gradients = np.stack([target.gradient(objective.head) for target in targets], axis=1)
    scores, residual = influence(objective, Cholesky().factor(objective), gradients)
    assert residual < 1e-9

    def refitted(i, eps):
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight.copy()
        weight[i] *= 1 + eps
        head = minimise(HeadObjective(objective.head, Rows(rows.X, rows.y, None, weight))).head
        return np.array([target.value(head) for target in targets])

    for i in range(4):
        derivative = (refitted(i, 1e-3) - refitted(i, -1e-3)) / 2e-3
        np.testing.assert_allclose(scores[i], -derivative, rtol=1e-4, atol=1e-7)


def test_leverage_lies_between_zero_and_one_and_corrects_a_removal(rng):
    """Without row i the minimiser moves by s / (1 - h), where the loss is nearly quadratic."""
    X, y = 0.01 * rng.normal(size=(40, 2)), rng.integers(2, size=40)
    X[0], X[1], y[0], y[1] = [0.3, -0.2], [0.3, -0.2], 0, 1  # one pulls as the other does
    head = LinearHead(np.zeros((1, 2)), None, l2=0.02)
    objective = minimise(HeadObjective(head, Rows(X, y)))
    h = leverage(objective, Cholesky().factor(objective))
    assert (h > 0).all()
    assert (h < 1).all()
    assert h[0] > 0.3
    H, g = objective.hessian(), objective.row_products(np.eye(2))[0]
    without = minimise(HeadObjective(objective.head, Rows(X[1:], y[1:]))).head
    moved = without.theta - objective.head.theta
    plain = np.linalg.solve(H, g)
    assert np.linalg.norm(plain / (1 - h[0]) - moved) < 0.2 * np.linalg.norm(plain - moved)


def test_stationarity_is_zero_at_the_optimum_and_not_elsewhere(rng):
    objective = HEAD_CASES[0].objective(rng)
    assert stationarity(minimise(objective)) < 1e-8
    assert stationarity(objective) > 0.1


def naive_scores(model, train, gradient_of_metric):
    """The published recipe: every row's gradient and Hessian, formed one by one."""
    X = np.column_stack([train.X, np.ones(len(train.X))]) if model.fit_intercept else train.X
    p = model.predict_proba(train.X)[:, 1]
    G = (p - train.y)[:, None] * X
    H = np.zeros((X.shape[1],) * 2)
    for x, k in zip(X, p * (1 - p), strict=True):
        H += k * np.outer(x, x)
    penalty = np.full(X.shape[1], 1 / model.C)
    if model.fit_intercept:
        penalty[-1] = 0
    return G @ np.linalg.solve(H + np.diag(penalty), gradient_of_metric)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("intercept", [False, True])
def test_adult_scores_equal_an_independent_computation(adult, intercept):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / 2.2622, tol=1e-8, max_iter=3000, fit_intercept=intercept)
    model.fit(adult.train.X, adult.train.y)
    validation, male = adult.validation, adult.validation.g == "Male"
    Xv = validation.X
    if intercept:
        Xv = np.column_stack([Xv, np.ones(len(Xv))])
    p = model.predict_proba(validation.X)[:, 1]
    slope = p * (1 - p)
    gap = p[male].mean() - p[~male].mean()
    positive = validation.y == 1
    loss_gap = (np.log(p[positive & male]).mean() - np.log(p[positive & ~male]).mean()) * -1
    # derivative of the two gaps, the sum of log losses, in the parameters
    parity = np.sign(gap) * (
        (slope[:, None] * Xv)[male].mean(axis=0) - (slope[:, None] * Xv)[~male].mean(axis=0)
    )
    residual = (p - validation.y)[:, None] * Xv
    opportunity = np.sign(loss_gap) * (
        residual[positive & male].mean(axis=0) - residual[positive & ~male].mean(axis=0)
    )
    expected = np.column_stack(
        [naive_scores(model, adult.train, v) for v in (parity, opportunity, residual.sum(axis=0))]
    )
    metrics = su.metrics
    targets = [
        su.Target(metric, validation)
        for metric in (metrics.DemographicParity(), metrics.EqualOpportunity(), metrics.LogLoss())
    ]
    scores = su.influence_scores(model, adult.train, targets)
    error = np.linalg.norm(scores - expected, axis=0) / np.linalg.norm(expected, axis=0)
    assert (error < 1e-6).all()


@pytest.mark.data
@pytest.mark.slow
def test_adult_influence_predicts_models_refitted_without_a_row(adult):
    """200 random rows, each left out of an exact refit of the published model."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / 2.2622, tol=1e-8, max_iter=3000, fit_intercept=False)
    model.fit(adult.train.X, adult.train.y)
    head = adapt(model).head(len(adult.train))
    male = adult.validation.g == "Male"

    def gap(objective):
        p = 1 / (1 + np.exp(-objective.head.logits(adult.validation.X)[:, 0]))
        return abs(p[male].mean() - p[~male].mean())

    def newton(objective, hessian=None):
        for _ in range(50):
            gradient = objective.total_gradient()
            if np.linalg.norm(gradient) < 1e-9:
                return objective
            H = objective.hessian() if hessian is None else hessian
            theta = objective.head.theta - np.linalg.solve(H, gradient)
            objective = HeadObjective(objective.head.with_theta(theta), objective.rows)
        raise AssertionError("Newton's method did not converge")

    start = newton(HeadObjective(head, adult.train))
    H, p = start.hessian(), 1 / (1 + np.exp(-start.head.logits(adult.train.X)[:, 0]))
    base, rows = gap(start), np.random.default_rng(0).choice(len(adult.train), 200, replace=False)
    actual = []
    for i in rows:
        weight = np.ones(len(adult.train))
        weight[i] = 0
        reduced = Rows(adult.train.X, adult.train.y, None, weight)
        x = adult.train.X[i]
        # the Hessian without the row, kept for all steps: they end where the gradient does
        without = H - p[i] * (1 - p[i]) * np.outer(x, x)
        actual.append(gap(newton(HeadObjective(start.head, reduced), without)) - base)
    target = su.Target(su.metrics.DemographicParity(), adult.validation)
    estimated = su.influence_scores(model, adult.train, target)[rows, 0]
    assert np.corrcoef(estimated, actual)[0, 1] >= 0.99
