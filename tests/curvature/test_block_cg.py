"""Block conjugate gradients on small matrices, against SciPy's dense solves."""

import numpy as np
import scipy.linalg

from softunlearn.curvature.block_cg import block_cg


def spread(rng, p=40, condition=1e3):
    Q = scipy.linalg.qr(rng.normal(size=(p, p)))[0]
    return (Q * np.geomspace(1, condition, p)) @ Q.T


def within(tolerance):
    return lambda error, energy: error <= tolerance**2 * energy


def solve(A, b, tolerance=1e-10, most=400):
    return block_cg(
        lambda v: A @ v, lambda r: r.copy(), b, enough=within(tolerance), max_products=most
    )


def test_it_solves_as_scipy_does(rng):
    A, b = spread(rng), rng.normal(size=(40, 3))
    found = solve(A, b)
    assert found.ended
    np.testing.assert_allclose(found.x, scipy.linalg.solve(A, b), rtol=1e-6, atol=1e-9)


def test_right_hand_sides_help_each_other(rng):
    A, b = spread(rng), rng.normal(size=(40, 4))
    alone = max(solve(A, b[:, [j]]).products for j in range(4))
    assert solve(A, b).products < 0.5 * alone


def test_right_hand_sides_that_are_alike_are_no_breakdown(rng):
    A, b = spread(rng), rng.normal(size=(40, 1))
    b = np.concatenate([b, b, -2 * b, b + 1e-9 * rng.normal(size=(40, 1)), 0 * b], axis=1)
    found = solve(A, b)
    assert found.ended
    np.testing.assert_allclose(found.x, scipy.linalg.solve(A, b), rtol=1e-6, atol=1e-9)


def test_a_singular_system_with_an_answer_is_solved(rng):
    A = spread(rng)
    A = A @ np.diag(np.arange(40) >= 5) @ A
    b = A @ rng.normal(size=(40, 2))
    found = solve(A, b, most=2000)
    assert found.ended
    np.testing.assert_allclose(A @ found.x, b, rtol=1e-6, atol=1e-4 * np.abs(b).max())


def test_what_cannot_be_solved_ends_without_an_answer(rng):
    A = spread(rng)
    assert not solve(A - 10 * np.eye(40), rng.normal(size=(40, 2))).ended
    assert not solve(np.full((40, 40), np.nan), rng.normal(size=(40, 2))).ended
    assert not solve(A, rng.normal(size=(40, 1)), most=3).ended
    flat = np.diag(np.append(np.ones(39), 0.0))
    assert not solve(flat, rng.normal(size=(40, 1))).ended
