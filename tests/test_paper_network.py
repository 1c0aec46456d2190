"""The example is the paper's network, trained as the paper says, and is corrected."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import softunlearn as su
from softunlearn.influence import stationarity
from softunlearn.models import Encoder, TorchModule
from softunlearn.objective import HeadObjective

EXAMPLE = Path(__file__).parents[1] / "examples" / "paper_network.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def train():
    return su.datasets.load("census", n_rows=2000).train


@pytest.fixture(scope="module")
def network(example, train):
    return example["train_network"](train)


def test_it_is_as_the_paper_describes_it(network, train):
    layers = [layer for layer in network.modules() if not isinstance(layer, nn.Sequential)]
    width = train.X.shape[1]
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    shapes = [tuple(layer.weight.shape) for layer in layers[::2]]
    assert shapes == [(width, width), (width, width), (1, width)]
    assert layers[-1].bias is None
    assert {p.dtype for p in network.parameters()} == {torch.float64}


def test_the_last_layer_is_at_its_optimum_on_the_rows_that_the_others_did_not_see(
    example, network, train
):
    few, others = example["split"](train)
    assert (len(few), len(others)) == (12, 1188)
    adapter = TorchModule(network, l2=example["L2"])
    encoder = Encoder(adapter, adapter.head(len(others)))
    rows = encoder.encode(others, "train", train=True)
    assert stationarity(HeadObjective(encoder.head, rows)) < 1e-6
    everything = encoder.encode(train, "train", train=True)
    assert stationarity(HeadObjective(encoder.head, everything)) > 1e-3


def test_the_same_seed_gives_the_same_network_and_leaves_torch_alone(example, network, train):
    before = torch.get_rng_state()
    again = example["train_network"](train)
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    other_seed = example["train_network"](train, seed=1)
    assert not torch.equal(other_seed[1].weight, network[1].weight)


def test_it_is_corrected_on_the_census(example):
    c = example["correct_on_census"](n_rows=10_000)
    assert c.status is su.Status.CORRECTED
    assert c.stationarity < 1e-6
    gaps = [part.gaps["demographic_parity"] for part in (c.before.test, c.after.test)]
    assert gaps[1].probabilities < gaps[0].probabilities
    data = su.datasets.load("census", n_rows=10_000)
    with torch.no_grad():
        z = c.model(torch.tensor(data.test.X))[:, 0]
    np.testing.assert_allclose(c.after.test.accuracy, ((z > 0).numpy() == data.test.y).mean())
