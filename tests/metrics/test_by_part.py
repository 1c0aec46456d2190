"""Influence on every class's and group's loss, against models trained again."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.curvature import Cholesky, ConjugateGradients

ROWS, CLASSES = 90, 3


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)

    def made(n):
        y = np.arange(n) % CLASSES
        X = rng.normal(size=(n, 4)) + 1.5 * np.eye(CLASSES, 4)[y]
        return X, np.array(["ant", "bee", "cat"])[y], np.where(X[:, 3] > 0, "up", "down")

    return made(ROWS), made(ROWS)


def trained(X, y):
    return LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(X, y)


def mean_losses(model, X, y, by):
    """The mean log loss of the rows of every value of a column, by hand."""
    p = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return np.array([-np.log(p[by == value]).mean() for value in np.unique(by)])


@pytest.mark.parametrize("by", ["class", "group"])
@pytest.mark.parametrize("curvature", [Cholesky(), ConjugateGradients(tolerance=1e-6)])
def test_influence_on_each_part_is_what_training_again_says(blobs, by, curvature):
    (X, y, _), other = blobs
    model = trained(X, y)
    targets = su.metrics.per_class(other) if by == "class" else su.metrics.per_group(other)
    column = other[1] if by == "class" else other[2]
    assert list(targets) == list(np.unique(column))
    a = su.influence_scores(model, (X, y), list(targets.values()), curvature=curvature)
    before = mean_losses(model, *other[:2], column)
    without = [trained(np.delete(X, i, axis=0), np.delete(y, i)) for i in range(ROWS)]
    exact = np.array([mean_losses(m, *other[:2], column) - before for m in without])
    for j in range(len(targets)):  # to first order: a penalised head has rows of little leverage
        assert np.corrcoef(a[:, j], exact[:, j])[0, 1] > 0.99
        assert np.linalg.norm(a[:, j] - exact[:, j]) < 0.2 * np.linalg.norm(exact[:, j])


def test_parts_add_up_to_the_whole(blobs):
    (X, y, _), other = blobs
    model, summed = trained(X, y), su.metrics.LogLoss("sum")
    for targets in (su.metrics.per_class(other, summed), su.metrics.per_group(other, summed)):
        a = su.influence_scores(model, (X, y), list(targets.values()))
        whole = su.influence_scores(model, (X, y), su.Target(summed, other))
        np.testing.assert_allclose(a.sum(axis=1), whole[:, 0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("groups", "got"), [(None, "got none"), (np.zeros((4, 2)), "got an array of shape")]
)
def test_rows_without_one_column_of_groups_are_refused(groups, got):
    rows = su.Rows(np.zeros((4, 2)), np.array([0, 1, 0, 1]), groups)
    with pytest.raises(su.InputError, match=f"must have groups in one column, {got}"):
        su.metrics.per_group(rows)
