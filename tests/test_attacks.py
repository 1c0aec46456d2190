import numpy as np
import pytest

from cases import ALL_ATTACKS
from softunlearn.attacks import Attack, Boundary
from softunlearn.head import LinearHead
from softunlearn.losses import predicted_class


@pytest.fixture(params=[(1, True), (1, False), (4, True)], ids=str)
def head(request, rng):
    k, intercept = request.param
    return LinearHead(rng.normal(size=(k, 5)), rng.normal(size=k) if intercept else None)


@pytest.mark.parametrize("attack", ALL_ATTACKS, ids=str)
def test_attacks_return_perturbed_copies(attack, head, rng):
    assert isinstance(attack, Attack)
    phi = rng.normal(size=(20, 5))
    before = phi.copy()
    perturbed = attack.perturb(head, phi)
    np.testing.assert_array_equal(phi, before)
    assert perturbed.shape == phi.shape
    assert (perturbed != phi).any(axis=1).all()


def test_boundary_flips_every_prediction(head, rng):
    phi = rng.normal(size=(200, 5))
    z, moved = head.logits(phi), head.logits(Boundary(gamma=1.001).perturb(head, phi))
    assert (predicted_class(z) != predicted_class(moved)).all()


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


def test_a_head_without_boundary_moves_nothing(rng):
    phi = rng.normal(size=(3, 2))
    for head in (LinearHead(np.zeros((1, 2)), np.ones(1)), LinearHead(np.zeros((3, 2)), None)):
        np.testing.assert_array_equal(Boundary().perturb(head, phi), phi)


@pytest.mark.parametrize("gamma", [1.0, 0.5, float("nan")])
def test_a_move_that_does_not_cross_is_refused(gamma):
    with pytest.raises(ValueError, match="`gamma` must be above 1"):
        Boundary(gamma=gamma)
