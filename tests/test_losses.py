import numpy as np
import pytest
from scipy.special import log_softmax

from softunlearn.losses import (
    CrossEntropy,
    KLToTeacher,
    class_probabilities,
    predicted_class,
    probability_gradient,
)


@pytest.fixture(params=[1, 4])
def logits(request, rng):
    k = request.param
    return 3 * rng.normal(size=(30, k)), rng.integers(max(2, k), size=30)


def as_softmax(z):
    """A single logit is a softmax over (0, z)."""
    return np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z


def finite_difference(function, z, h=1e-6):
    """Derivative of a function of each row, one logit at a time."""
    columns = []
    for j in range(z.shape[1]):
        step = h * np.eye(z.shape[1])[j]
        columns.append((function(z + step) - function(z - step)) / (2 * h))
    return np.stack(columns, axis=-1)


def test_value_is_the_negative_log_softmax(logits):
    z, y = logits
    expected = -log_softmax(as_softmax(z), axis=1)[np.arange(len(y)), y]
    np.testing.assert_allclose(CrossEntropy().value(z, y), expected, rtol=1e-12)
    np.testing.assert_allclose(class_probabilities(z), np.exp(log_softmax(as_softmax(z), axis=1)))
    np.testing.assert_array_equal(predicted_class(z), as_softmax(z).argmax(axis=1))


def test_logit_derivatives_match_finite_differences(logits, rng):
    z, y = logits
    loss = CrossEntropy()
    gradient = finite_difference(lambda z: loss.value(z, y), z)
    np.testing.assert_allclose(loss.logit_gradient(z, y), gradient, atol=1e-8)
    hessian = finite_difference(lambda z: loss.logit_gradient(z, y), z)
    u = rng.normal(size=(*z.shape, 2))
    np.testing.assert_allclose(loss.logit_hvp(z, y, u), hessian @ u, atol=1e-7)


def test_probability_gradient_matches_finite_differences(logits):
    z, _ = logits
    for c in range(max(2, z.shape[1])):
        expected = finite_difference(lambda z, c=c: class_probabilities(z)[:, c], z)
        np.testing.assert_allclose(probability_gradient(z, c), expected, atol=1e-8)


@pytest.mark.parametrize("T", [0.5, 3.0])
def test_distillation_is_the_softened_divergence_and_its_gradient_is_the_values(T, logits, rng):
    z, _ = logits
    teacher, loss = 2 * rng.normal(size=z.shape), KLToTeacher(T)
    log_p, log_q = (log_softmax(as_softmax(x) / T, axis=1) for x in (teacher, z))
    expected = T**2 * np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
    np.testing.assert_allclose(loss.value(z, teacher), expected, atol=1e-12)
    gradient = finite_difference(lambda z: loss.value(z, teacher), z)
    np.testing.assert_allclose(loss.logit_gradient(z, teacher), gradient, atol=1e-7)
    hessian = finite_difference(lambda z: loss.logit_gradient(z, teacher), z)
    u = rng.normal(size=(*z.shape, 2))
    np.testing.assert_allclose(loss.logit_hvp(z, teacher, u), hessian @ u, atol=1e-7)


@pytest.mark.parametrize("size", [50.0, 800.0, 1e300])
def test_huge_logits_neither_overflow_nor_lose_the_loss(size):
    z, y = np.array([[size], [-size]]), np.array([0, 1])
    loss = CrossEntropy()
    np.testing.assert_allclose(loss.value(z, y), [size, size])
    assert np.isfinite(loss.logit_gradient(z, y)).all()
    z = np.array([[size, 0.0, 0.0]])
    np.testing.assert_allclose(loss.value(z, np.array([1])), [size])


def test_small_probabilities_keep_their_relative_precision():
    p = class_probabilities(np.array([[-700.0]]))
    np.testing.assert_allclose(p[0, 1], np.exp(-700.0), rtol=1e-14)
