import math

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    selection_rate,
    true_positive_rate,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from softunlearn.attacks import FGSM, Boundary
from softunlearn.evaluation import Evaluator
from softunlearn.head import LinearHead
from softunlearn.message import value_at
from softunlearn.rows import Rows


@pytest.fixture
def data(rng):
    X, g = rng.normal(size=(300, 3)), rng.integers(3, size=300)
    y = (X[:, 0] + 0.5 * g + rng.normal(size=300) > 0.5).astype(int)
    model = LogisticRegression().fit(X, y)
    head = LinearHead(model.coef_, model.intercept_)
    return model, head, Rows(X, y, g)


def test_figures_are_those_of_scikit_learn_and_fairlearn(data):
    model, head, rows = data
    labels, p = model.predict(rows.X), model.predict_proba(rows.X)[:, 1]
    figures = Evaluator(head, {"boundary": Boundary()}, groups=("a", "b", "c")).evaluate(
        head, rows
    )
    assert figures.rows == 300
    np.testing.assert_allclose(figures.accuracy, accuracy_score(rows.y, labels))
    np.testing.assert_allclose(figures.log_loss, log_loss(rows.y, p))
    sensitive = {"sensitive_features": rows.g}
    parity = figures.gaps["demographic_parity"]
    np.testing.assert_allclose(
        parity.labels, demographic_parity_difference(rows.y, labels, **sensitive)
    )
    mean = MetricFrame(metrics=lambda y, q: q.mean(), y_true=rows.y, y_pred=p, **sensitive)
    np.testing.assert_allclose(parity.probabilities, mean.difference())
    odds = figures.gaps["equalized_odds"].labels
    np.testing.assert_allclose(odds, equalized_odds_difference(rows.y, labels, **sensitive))
    tpr = MetricFrame(metrics=true_positive_rate, y_true=rows.y, y_pred=labels, **sensitive)
    np.testing.assert_allclose(figures.gaps["equal_opportunity"].labels, tpr.difference())
    rates = MetricFrame(metrics=selection_rate, y_true=rows.y, y_pred=labels, **sensitive)
    for group, rate in zip(figures.groups, rates.by_group, strict=True):
        np.testing.assert_allclose(group.positive_rate, rate)
    assert sum(group.rows for group in figures.groups) == 300


def test_equalized_odds_is_the_larger_gap_whichever_class_has_it(data):
    _, head, rows = data
    evaluator = Evaluator(head, {"boundary": Boundary()})
    for y in (rows.y, 1 - rows.y):
        figures = evaluator.evaluate(head, Rows(rows.X, y, rows.g)).gaps
        labels = (head.logits(rows.X)[:, 0] > 0).astype(int)
        expected = equalized_odds_difference(y, labels, sensitive_features=rows.g)
        np.testing.assert_allclose(figures["equalized_odds"].labels, expected)


def test_adversarial_figures_are_those_of_rows_perturbed_against_the_original(data):
    model, head, rows = data
    other = head.with_theta(head.theta * 0.5 + 0.1)
    figures = Evaluator(head, {"boundary": Boundary(gamma=1.3)}).evaluate(other, rows)
    w, b = model.coef_[0], model.intercept_[0]
    moved = rows.X - 1.3 * ((rows.X @ w + b) / (w @ w))[:, None] * w
    p = 1 / (1 + np.exp(-other.logits(moved)[:, 0]))
    np.testing.assert_allclose(figures.adversarial_loss, log_loss(rows.y, p))
    np.testing.assert_allclose(figures.adversarial_accuracy, ((p > 0.5) == rows.y).mean())


def test_against_itself_the_boundary_attack_flips_every_prediction(data):
    _, head, rows = data
    figures = Evaluator(head, {"boundary": Boundary()}).evaluate(head, rows)
    np.testing.assert_allclose(figures.adversarial_accuracy, 1 - figures.accuracy)


def test_what_cannot_be_measured_is_absent_or_nan(data):
    _, head, rows = data
    no_groups = Evaluator(head, {"boundary": Boundary()}).evaluate(head, Rows(rows.X, rows.y))
    assert no_groups.gaps == {}
    assert no_groups.groups == ()
    g = np.where(rows.y == 1, 0, rows.g)  # only one group has positives
    figures = Evaluator(head, {"boundary": Boundary()}).evaluate(head, Rows(rows.X, rows.y, g))
    assert math.isnan(figures.gaps["equal_opportunity"].labels)
    assert not math.isnan(figures.gaps["demographic_parity"].labels)


def test_several_classes_are_each_compared_with_the_rest(rng):
    X, g, y = rng.normal(size=(300, 3)), rng.integers(2, size=300), rng.integers(3, size=300)
    model = LogisticRegression().fit(X + g[:, None] * [1.0, 0.0, 0.0], y)
    head = LinearHead(model.coef_, model.intercept_, classes=(0, 1, 2))
    figures = Evaluator(head, {}, positive=None, groups=("a", "b")).evaluate(head, Rows(X, y, g))
    labels = model.predict(X)
    each = [
        demographic_parity_difference(y == c, labels == c, sensitive_features=g) for c in range(3)
    ]
    np.testing.assert_allclose(figures.gaps["demographic_parity"].labels, max(each))
    assert math.isnan(figures.groups[0].positive_rate)


def test_adaptive_figures_are_those_of_an_attack_on_the_head_itself(data):
    _, head, rows = data
    other = head.with_theta(head.theta * [1.0, -0.3, 2.0, 1.0])
    budget = 0.4
    figures = Evaluator(head, {"fgsm": FGSM(budget, norm="l2")}).evaluate(other, rows)
    side = np.where(rows.y == 1, 1.0, -1.0)
    w = other.W[0]
    margin = side * other.logits(rows.X)[:, 0] - budget * np.linalg.norm(w)
    found = figures.robustness["fgsm"].adaptive
    np.testing.assert_allclose(found.loss, np.log1p(np.exp(-margin)).mean())
    np.testing.assert_allclose(found.accuracy, (margin > 0).mean())
    # rows made against another head hurt less
    assert figures.robustness["fgsm"].transfer.loss < found.loss


def test_changes_are_differences_of_figures_with_intervals_that_hold_them(data):
    _, head, rows = data
    evaluator = Evaluator(head, {"boundary": Boundary()}, groups=("a", "b", "c"))
    other = head.with_theta(head.theta * 0.7)
    seen = [evaluator.observe(h, rows) for h in (head, other)]
    before, after = map(evaluator.figures, seen)
    changes = evaluator.changes(*seen)
    for path in ("accuracy", "log_loss", "gaps.equalized_odds.labels"):
        change = changes[path]
        difference = value_at(after, path) - value_at(before, path)
        np.testing.assert_allclose(change.value, difference, atol=1e-12)
        assert change.low < change.value < change.high
    assert set(changes) == set(after.intervals)
    same = evaluator.changes(seen[0], seen[0])
    assert same["gaps.demographic_parity.probabilities"].value == 0.0
    # none of 300 rows changed: that none of all would is not certain
    assert same["accuracy"].low < 0 < same["accuracy"].high
