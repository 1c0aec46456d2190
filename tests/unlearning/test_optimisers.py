"""Each optimiser against torch's own, step by step."""

import numpy as np
import pytest
import torch

from softunlearn.unlearning import SGD, Adam, Optimiser

PAIRS = [
    (SGD(lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    (SGD(lr=0.05, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    (Adam(lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    (
        Adam(lr=0.1, beta1=0.5, beta2=0.9, epsilon=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=1e-3),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[str(ours) for ours, _ in PAIRS])
def test_steps_are_those_of_torch(ours, theirs, rng):
    assert isinstance(ours, Optimiser)
    theta = rng.normal(size=5)
    parameter = torch.nn.Parameter(torch.from_numpy(theta.copy()))
    optimiser, state = theirs([parameter]), ours.start(theta)
    for _ in range(20):
        gradient = rng.normal(size=5)
        parameter.grad = torch.from_numpy(gradient)
        optimiser.step()
        theta, state = ours.step(theta, gradient, state)
        np.testing.assert_allclose(theta, parameter.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(lr=0.0),
        lambda: SGD(momentum=1.0),
        lambda: Adam(lr=float("inf")),
        lambda: Adam(beta1=1.0),
        lambda: Adam(beta2=-0.1),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
