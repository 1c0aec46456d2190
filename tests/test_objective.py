import array_api_strict
import numpy as np
import pytest
import torch

from cases import HEAD_CASES
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@pytest.fixture(params=HEAD_CASES, ids=str)
def objective(request, rng):
    return request.param.objective(rng)


def at(objective, theta):
    return HeadObjective(objective.head.with_theta(theta), objective.rows)


def derivative(function, theta, h=1e-6):
    steps = h * np.eye(len(theta))
    return np.stack(
        [(function(theta + s) - function(theta - s)) / (2 * h) for s in steps], axis=-1
    )


def explicit_gradients(objective):
    """G, row by row, from the loss of one row at a time: shape (n, p)."""
    rows, head = objective.rows, objective.head
    unpenalised = LinearHead(head.W, head.b, l2=0.0, classes=head.classes)
    gradients = []
    for i in range(len(rows)):
        weight = None if rows.weight is None else rows.weight[[i]]
        row = HeadObjective(unpenalised, Rows(rows.X[[i]], rows.y[[i]], None, weight))
        gradients.append(derivative(lambda theta, row=row: at(row, theta).loss_sum(), head.theta))
    return np.stack(gradients)


def test_total_gradient_matches_finite_differences(objective):
    expected = derivative(lambda theta: at(objective, theta).loss_sum(), objective.head.theta)
    np.testing.assert_allclose(objective.total_gradient(), expected, rtol=1e-6, atol=1e-6)


def test_hessian_and_hvp_match_finite_differences(objective, rng):
    expected = derivative(
        lambda theta: at(objective, theta).total_gradient(), objective.head.theta
    )
    np.testing.assert_allclose(objective.hessian(), expected, rtol=1e-6, atol=1e-6)
    v = rng.normal(size=(objective.head.n_parameters, 3))
    np.testing.assert_allclose(objective.hvp(v), objective.hessian() @ v, rtol=1e-10)


def test_kept_probabilities_change_no_product(objective, rng):
    v = rng.normal(size=(objective.head.n_parameters, 3))
    p = objective.probabilities()
    np.testing.assert_allclose(objective.hvp(v, p), objective.hvp(v), rtol=1e-12, atol=1e-12)
    assert objective.probabilities(np.float32).dtype == np.float32


def test_the_diagonal_of_the_hessian_is_its_diagonal(objective):
    expected = np.diag(objective.hessian())
    np.testing.assert_allclose(objective.hessian_diagonal(), expected, rtol=1e-10)


def test_products_with_G_equal_those_with_explicit_row_gradients(objective, rng):
    G = explicit_gradients(objective)
    v = rng.normal(size=(objective.head.n_parameters, 2))
    w = rng.normal(size=(len(objective.rows), 2))
    np.testing.assert_allclose(objective.row_products(v), G @ v, atol=1e-7)
    np.testing.assert_allclose(objective.gradient(w), G.T @ w, atol=1e-7)
    np.testing.assert_allclose(objective.gram(), G.T @ G, atol=1e-6)
    norms = objective.squared_gradient_norms()
    np.testing.assert_allclose(norms, (G**2).sum(axis=1), atol=1e-6)


def test_products_by_chunk_are_those_of_all_rows(objective, rng):
    v = rng.normal(size=(objective.head.n_parameters, 2))
    parts = list(objective.row_products_by_chunk(v))
    whole = objective.row_products(v)
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]
    np.testing.assert_allclose(np.concatenate([values for _, values in parts]), whole, rtol=1e-12)


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("hessian", [False, True])
def test_totals_of_one_pass_are_those_of_their_own(hessian, gram, objective):
    known = objective.summed(hessian=hessian, gram=gram)
    for name in ("total_gradient", "hessian", "gram"):
        np.testing.assert_allclose(getattr(known, name)(), getattr(objective, name)(), rtol=1e-12)
    assert known.at(objective.head).totals is None
    assert known.reweighted(np.ones(len(objective.rows))).totals is None
    assert objective.read_once(hessian=True, gram=True) is objective  # in memory


def test_products_with_the_gram_matrix_need_not_form_it(objective, rng):
    v = rng.normal(size=(objective.head.n_parameters, 2))
    G = explicit_gradients(objective)
    for known in (objective, objective.summed(hessian=False, gram=True)):
        pulled, inner = known.gram_products(v)
        np.testing.assert_allclose(pulled, G.T @ G @ v, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(inner, v.T @ pulled, rtol=1e-9)


def test_leverage_is_the_diagonal_of_the_hat_matrix(objective):
    H = objective.hessian()
    unpenalised = LinearHead(objective.head.W, objective.head.b, classes=objective.head.classes)
    inverse = np.linalg.pinv(H)
    h = objective.leverage(inverse)
    for i in range(len(objective.rows)):
        rows = objective.rows
        weight = None if rows.weight is None else rows.weight[[i]]
        row = HeadObjective(unpenalised, Rows(rows.X[[i]], rows.y[[i]], None, weight))
        np.testing.assert_allclose(h[i], np.trace(row.hessian() @ inverse), atol=1e-10)


def test_a_row_of_weight_two_counts_as_two_rows(rng):
    X, y = rng.normal(size=(20, 3)), rng.integers(2, size=20)
    twice = np.r_[np.arange(20), 3]
    head = LinearHead(rng.normal(size=(1, 3)), rng.normal(size=1), l2=0.3)
    weighted = HeadObjective(head, Rows(X, y, None, np.where(np.arange(20) == 3, 2.0, 1.0)))
    repeated = HeadObjective(head, Rows(X[twice], y[twice]))
    np.testing.assert_allclose(weighted.hessian(), repeated.hessian())
    np.testing.assert_allclose(weighted.total_gradient(), repeated.total_gradient())


def test_float32_rows_are_summed_in_float64(rng):
    X, y = rng.normal(size=(2000, 3)).astype(np.float32), rng.integers(2, size=2000)
    head = LinearHead(rng.normal(size=(1, 3)), rng.normal(size=1))
    narrow = HeadObjective(head, Rows(X, y)).hessian()
    wide = HeadObjective(head, Rows(X.astype(np.float64), y)).hessian()
    assert narrow.dtype == np.float64
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
@pytest.mark.parametrize("k", [1, 3])
def test_other_array_libraries_give_the_same(xp, k, rng):
    X, y = rng.normal(size=(30, 4)), rng.integers(max(2, k), size=30)
    W, b = rng.normal(size=(k, 4)), rng.normal(size=k)
    v, w = rng.normal(size=(k * 5, 2)), rng.normal(size=(30, 1))
    here = HeadObjective(LinearHead(W, b, l2=0.5), Rows(X, y))
    there = HeadObjective(
        LinearHead(xp.asarray(W), xp.asarray(b), l2=0.5), Rows(xp.asarray(X), xp.asarray(y))
    )
    for name, args in {
        "hessian": (),
        "gram": (),
        "total_gradient": (),
        "hvp": (v,),
        "row_products": (v,),
        "gradient": (w,),
        "leverage": (np.eye(k * 5),),
    }.items():
        ours = getattr(here, name)(*args)
        theirs = getattr(there, name)(*(xp.asarray(arg) for arg in args))
        assert type(theirs) is type(xp.asarray(W))
        np.testing.assert_allclose(np.asarray(theirs), ours, rtol=1e-10, atol=1e-12)
