import numpy as np
import pytest

from cases import HEAD_CASES
from softunlearn.curvature import Cholesky
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.weights import conditions


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_random_rows_meet_the_conditions(case, rng):
    objective = case.objective(rng)
    v = objective.gradient(rng.normal(size=(40, 2)))
    found = conditions(objective, Cholesky().factor(objective), v[:, 0], v[:, 1])
    assert found.hold
    G = objective.row_products(np.eye(objective.head.n_parameters))
    assert found.rank == found.n_parameters == np.linalg.matrix_rank(G)
    cosine = v[:, 0] @ v[:, 1] / np.prod(np.linalg.norm(v, axis=0))
    np.testing.assert_allclose(found.cosine, cosine)


def test_a_feature_that_is_always_zero_takes_one_from_the_rank(rng):
    X = rng.normal(size=(30, 3)) * [1.0, 0.0, 1e-6]
    head = LinearHead(np.zeros((1, 3)), None, l2=1.0)
    objective = HeadObjective(head, Rows(X, rng.integers(2, size=30)))
    v = rng.normal(size=(3, 2))
    found = conditions(objective, Cholesky().factor(objective), v[:, 0], v[:, 1])
    assert found.rank == 2
    assert found.full_rank is False


def test_each_condition_fails_where_it_should(rng):
    X = rng.normal(size=(30, 3))
    X[:, 2] = X[:, 0] - X[:, 1]
    head = LinearHead(np.zeros((1, 3)), None)
    objective = HeadObjective(head, Rows(X, rng.integers(2, size=30)))
    v = rng.normal(size=3)
    found = conditions(objective, Cholesky().factor(objective), v, -2 * v)
    assert not found.independent
    assert not found.positive_definite
    assert found.rank == 2
    assert found.full_rank is False
    assert not found.hold
