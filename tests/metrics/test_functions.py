"""Metrics from a user's functions: the same as ours, and refused where they return nonsense."""

import importlib

import numpy as np
import pytest
import torch

from softunlearn.metrics import DemographicParity, LogLoss, Metric, from_function, from_torch
from softunlearn.metrics.metric import name_of


def brier(z, y, g):
    """Return the mean squared error of the second class's probability."""
    return ((torch.sigmoid(z[:, 0]) - y) ** 2).mean()


def parity(z, y, g):
    p = torch.sigmoid(z[:, 0])
    return (p[g == 0].mean() - p[g == 1].mean()).abs()


@pytest.fixture
def validation(rng):
    return rng.normal(size=(30, 1)), rng.integers(2, size=30), rng.integers(2, size=30)


def test_functions_of_torch_tensors_are_our_metric(validation):
    metric, ours = from_torch(parity, needs_groups=True), DemographicParity()
    assert isinstance(metric, Metric)
    assert metric.needs_groups
    np.testing.assert_allclose(metric.value(*validation), ours.value(*validation), rtol=1e-14)
    gradient = metric.logit_gradient(*validation)
    assert type(gradient) is np.ndarray
    np.testing.assert_allclose(gradient, ours.logit_gradient(*validation), atol=1e-15)


def test_torch_gradient_is_that_of_the_formula(validation):
    z, y, _ = validation
    p = 1 / (1 + np.exp(-z[:, 0]))
    metric = from_torch(brier)
    assert not metric.needs_groups
    np.testing.assert_allclose(metric.value(z, y, None), ((p - y) ** 2).mean(), rtol=1e-14)
    np.testing.assert_allclose(
        metric.logit_gradient(z, y, None)[:, 0], 2 * (p - y) * p * (1 - p) / 30, atol=1e-16
    )


def test_arrays_that_cannot_be_written_to_and_tensors_will_do(validation):
    z, y, g = validation
    expected = from_torch(brier).logit_gradient(z, y, g)
    z.flags.writeable = False
    np.testing.assert_array_equal(from_torch(brier).logit_gradient(z, y, g), expected)
    there = torch.tensor(z, requires_grad=True)
    with torch.no_grad():
        gradient = from_torch(brier).logit_gradient(there, torch.tensor(y), None)
    assert isinstance(gradient, torch.Tensor)
    assert there.grad is None
    np.testing.assert_array_equal(gradient.numpy(), expected)


def test_functions_of_arrays_are_used_as_they_are(validation):
    ours = LogLoss()
    metric = from_function(ours.value, ours.logit_gradient, name="loss")
    assert isinstance(metric, Metric)
    assert metric.value(*validation) == ours.value(*validation)
    np.testing.assert_array_equal(
        metric.logit_gradient(*validation), ours.logit_gradient(*validation)
    )


def test_names_are_the_functions_own_unless_given():
    assert name_of(from_torch(brier)) == "brier"
    assert name_of(from_torch(brier, name="Brier score")) == "Brier score"
    assert name_of(from_function(lambda z, y, g: 0.0, lambda z, y, g: z)) == "own metric"
    assert name_of(LogLoss()) == "LogLoss"


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, None, "0.5", 1j, [0.5], np.ones(1), np.ones((3, 1))], ids=repr
)
def test_a_value_that_is_not_one_finite_number_is_refused(value, validation):
    metric = from_function(lambda z, y, g: value, lambda z, y, g: z, name="mine")
    with pytest.raises(ValueError, match="metric 'mine' must be one finite number, got"):
        metric.value(*validation)


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (lambda z: z[:, 0], r"shape \(30, 1\), got \(30,\)"),
        (lambda z: 0.0, r"shape \(30, 1\), got \(\)"),
        (lambda z: "steep", "must be an array of numbers, got str"),
        (lambda z: None, r"shape \(30, 1\), got \(\)"),
        (lambda z: [[1.0], [2.0, 3.0]], "must be an array of numbers, got list"),
        (lambda z: np.where(np.arange(30)[:, None] == 7, np.nan, z), "finite; it is not in row 7"),
    ],
)
def test_a_gradient_of_another_shape_or_not_finite_is_refused(gradient, message, validation):
    metric = from_function(lambda z, y, g: 0.0, lambda z, y, g: gradient(z), name="mine")
    with pytest.raises(ValueError, match=rf"gradient of the metric 'mine' .*({message})"):
        metric.logit_gradient(*validation)


@pytest.mark.parametrize(
    "function",
    [
        lambda z, y, g: z.sum().item(),
        lambda z, y, g: z.detach().sum(),
        lambda z, y, g: (z[:, 0] > 0).double().mean(),
        lambda z, y, g: z.sum(dim=0),
    ],
    ids=["item", "detach", "labels", "not a scalar"],
)
def test_what_torch_cannot_differentiate_is_refused(function, validation):
    with pytest.raises(ValueError, match="metric 'mine' must be one number that torch can diff"):
        from_torch(function, name="mine").logit_gradient(*validation)


def test_without_torch_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("softunlearn.metrics.functions.import_module", missing)
    with pytest.raises(ImportError, match=r"softunlearn\[torch\]"):
        from_torch(brier)
    assert importlib.import_module is not missing
