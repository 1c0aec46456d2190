import cvxpy as cp
import numpy as np
import pytest

from cases import ALL_ATTACKS
from softunlearn.attacks import Attack, Boundary
from softunlearn.attacks.boundary import boundary_distances
from softunlearn.head import LinearHead
from softunlearn.losses import predicted_class

ATTACKS = ALL_ATTACKS


@pytest.fixture(params=[(1, True), (1, False), (4, True)], ids=str)
def head(request, rng):
    k, intercept = request.param
    return LinearHead(rng.normal(size=(k, 5)), rng.normal(size=k) if intercept else None)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_attacks_return_perturbed_copies(attack, head, rng):
    assert isinstance(attack, Attack)
    phi = rng.normal(size=(20, 5))
    y = rng.integers(max(2, head.W.shape[0]), size=20)
    before = phi.copy()
    for perturbed in (attack.perturb(head, phi), attack.perturb(head, phi, y)):
        np.testing.assert_array_equal(phi, before)
        assert perturbed.shape == phi.shape
        assert (perturbed != phi).any(axis=1).all()
    assert attack.fixed(head, phi) is attack


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_labels_rows_move_away_from_the_predicted_class(attack, head, rng):
    phi = rng.normal(size=(20, 5))
    predicted = predicted_class(head.logits(phi))
    np.testing.assert_array_equal(attack.perturb(head, phi), attack.perturb(head, phi, predicted))


def test_boundary_flips_every_prediction(head, rng):
    phi = rng.normal(size=(200, 5))
    z, moved = head.logits(phi), head.logits(Boundary(gamma=1.001).perturb(head, phi))
    assert (predicted_class(z) != predicted_class(moved)).all()


def test_boundary_does_not_look_at_labels(head, rng):
    phi = rng.normal(size=(20, 5))
    y = rng.integers(2, size=20)
    np.testing.assert_array_equal(
        Boundary().perturb(head, phi, y), Boundary().perturb(head, phi, 1 - y)
    )


def test_boundary_scales_the_logit_of_a_single_logit_head(rng):
    head = LinearHead(rng.normal(size=(1, 5)), rng.normal(size=1))
    phi = rng.normal(size=(20, 5))
    moved = head.logits(Boundary(gamma=1.3).perturb(head, phi))
    np.testing.assert_allclose(moved, (1 - 1.3) * head.logits(phi))


def test_boundary_takes_the_shortest_way_to_another_class(rng):
    """A search over all classes' hyperplanes, one at a time."""
    head = LinearHead(rng.normal(size=(4, 5)), rng.normal(size=4))
    for row in rng.normal(size=(20, 5)):
        z = head.logits(row[None, :])[0]
        top = z.argmax()
        distances = [
            (z[top] - z[c]) / np.linalg.norm(head.W[top] - head.W[c]) for c in range(4) if c != top
        ]
        moved = Boundary(gamma=1.2).perturb(head, row[None, :])[0]
        np.testing.assert_allclose(np.linalg.norm(moved - row), 1.2 * min(distances))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_distances_are_the_shortest_moves_that_reach_a_boundary(norm, head, rng):
    """CVXPY moves each row to where another class is as likely."""
    phi = rng.normal(size=(4, 5))
    distances = boundary_distances(head, phi, norm)
    z, W = head.logits(phi), head.W
    if z.shape[1] == 1:
        z, W = np.hstack([0 * z, z]), np.vstack([0 * W, W])
    for i, top in enumerate(z.argmax(axis=1)):
        for c in range(z.shape[1]):
            if c == top:
                assert distances[i, c] == np.inf
                continue
            move = cp.Variable(5)
            length = cp.norm(move, 2 if norm == "l2" else "inf")
            reached = (W[c] - W[top]) @ move >= z[i, top] - z[i, c]
            cp.Problem(cp.Minimize(length), [reached]).solve(solver=cp.CLARABEL)
            np.testing.assert_allclose(distances[i, c], length.value, rtol=1e-5)


def test_a_head_without_boundary_moves_nothing(rng):
    phi = rng.normal(size=(3, 2))
    for head in (LinearHead(np.zeros((1, 2)), np.ones(1)), LinearHead(np.zeros((3, 2)), None)):
        assert (boundary_distances(head, phi) == np.inf).all()
        np.testing.assert_array_equal(Boundary().perturb(head, phi), phi)


def test_equal_classes_have_no_boundary_between_them(rng):
    W = rng.normal(size=(2, 3))
    head = LinearHead(W[[0, 0, 1]], np.array([2.0, 1.0, 0.0]))
    phi = rng.normal(size=(20, 3))
    moved = Boundary(gamma=1.001).perturb(head, phi)
    was_last = head.logits(phi).argmax(axis=1) == 2
    np.testing.assert_array_equal(head.logits(moved).argmax(axis=1) == 2, ~was_last)


@pytest.mark.parametrize("gamma", [1.0, 0.5, float("nan")])
def test_a_move_that_does_not_cross_is_refused(gamma):
    with pytest.raises(ValueError, match="`gamma` must be above 1"):
        Boundary(gamma=gamma)
