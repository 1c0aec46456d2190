import numpy as np
import pytest

from softunlearn.head import LinearHead


@pytest.fixture(params=[True, False], ids=["b", "no-b"])
def head(request, rng):
    b = rng.normal(size=3) if request.param else None
    return LinearHead(rng.normal(size=(3, 4)), b, l2=2.0, classes=("a", "b", "c"))


def test_logits_are_affine_in_the_features(head, rng):
    phi = rng.normal(size=(5, 4))
    expected = phi @ head.W.T + (0 if head.b is None else head.b)
    np.testing.assert_allclose(head.logits(phi), expected)


def test_theta_round_trips_and_keeps_everything_else(head):
    same = head.with_theta(head.theta)
    np.testing.assert_array_equal(same.W, head.W)
    assert (same.b is None) == (head.b is None)
    assert (same.l2, same.classes) == (2.0, ("a", "b", "c"))
    assert head.n_parameters == len(head.theta) == 3 * head.width


def test_penalty_spares_the_intercept(head):
    quadratic = 0.5 * (head.penalty * head.theta**2).sum()
    np.testing.assert_allclose(quadratic, (head.W**2).sum())  # l2/2 = 1
