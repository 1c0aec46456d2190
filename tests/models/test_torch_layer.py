"""Which layer gives the logits, and what is no linear head at all."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from softunlearn.exceptions import ModelError
from softunlearn.models import TorchModule, adapt
from tests.models.torch_cases import D, N, evaluated, network


class Unordered(nn.Module):
    """Its last layer is made first, and its output loses a dimension on the way out."""

    def __init__(self, out=lambda z: z, n_logits=1):
        super().__init__()
        torch.manual_seed(0)
        self.out = out
        self.last = nn.Linear(4, n_logits)
        self.first = nn.Linear(D, 4)

    def forward(self, x):
        return self.out(self.last(torch.tanh(self.first(x))))


@pytest.mark.parametrize(
    "out",
    [
        lambda z: z,
        lambda z: z.squeeze(1),
        lambda z: z.squeeze(),
        lambda z: {"logits": z, "hidden": None},
        lambda z: SimpleNamespace(logits=z),
        lambda z: z.double(),
        lambda z: z.bfloat16(),
    ],
)
def test_the_layer_that_gives_the_logits_is_found(out, X):
    module = Unordered(out)
    adapter = adapt(module, X)
    assert adapter.layer_name == "last"
    np.testing.assert_array_equal(adapter.head(N).W, module.last.weight.detach())
    expected = torch.tanh(module.first(torch.tensor(X))).detach()
    np.testing.assert_allclose(adapter.features(X), expected, atol=1e-6)
    with pytest.raises(
        ModelError, match=r"come from its layer 'last', not from 'first'.*head='last'"
    ):
        adapt(module).features(X)  # without rows the last one made is taken for it
    assert TorchModule(module, head="last").layer_name == "last"
    assert adapt(adapter, X) is adapter


@pytest.mark.parametrize(
    "out",
    [
        torch.sigmoid,
        torch.Tensor.sigmoid_,  # in place: what the layer gave is overwritten
        lambda z: torch.log_softmax(z, dim=1),
        lambda z: torch.relu(z - 0.1),
        lambda z: 2 * z,
        lambda z: z[:, :1],
        lambda z: z.flip(1),
    ],
)
def test_a_module_that_goes_on_after_its_last_layer_is_refused(out, X):
    module = Unordered(out, n_logits=3)
    match = r"No linear layer of the Unordered gives its output: .* 'last', 'first'.*forward="
    with pytest.raises(ModelError, match=match) as caught:
        adapt(module, X)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=match):
        TorchModule(module, head="last").features(X)


def test_a_clamp_that_the_first_rows_do_not_reach_is_noticed_later(X):
    X = np.vstack([np.zeros((300, D), np.float32), 100 * X])
    module = Unordered(lambda z: z.clamp(-1, 1))
    adapter = adapt(module, X)
    assert adapter.layer_name == "last"
    with pytest.raises(ModelError, match="something comes after"):
        adapter.features(X)


def test_forward_gets_at_logits_that_the_module_does_not_return(X):
    module = Unordered(lambda z: (z, "hidden"))
    with pytest.raises(ModelError, match=r"returns a tuple where logits are needed.*forward="):
        adapt(module).features(X)
    adapter = TorchModule(module, forward=lambda module, inputs: module(inputs)[0]).located(X)
    assert adapter.layer_name == "last"
    assert adapter.features(X).shape == (N, 4)


class Cosine(nn.Linear):
    def forward(self, input):
        return F.linear(input, F.normalize(self.weight), self.bias)


class Tied(nn.Module):
    """The head's weight is a hidden layer's too."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(D, D, bias=False)
        self.fc = nn.Linear(D, D, bias=False)
        self.fc.weight = self.hidden.weight

    def forward(self, x):
        return self.fc(torch.tanh(self.hidden(x)))


def test_a_weight_shared_with_another_layer_changes_in_the_head_alone(X):
    module = Tied()
    adapter = adapt(module, X)
    head = adapter.head(N)
    corrected = adapter.with_head(head.with_theta(head.theta + 1))
    assert torch.equal(corrected.hidden.weight, module.hidden.weight)
    assert adapter.layer_name == "fc"
    expected = head.with_theta(head.theta + 1).logits(adapter.features(X).astype(float))
    np.testing.assert_allclose(evaluated(corrected, X), expected, atol=1e-5)


def test_what_is_no_linear_head_is_refused_with_a_way_out(X):
    weight_normed = nn.utils.parametrizations.weight_norm(nn.Linear(D, 1))
    per_token = nn.Sequential(nn.Unflatten(1, (D, 1)), nn.Linear(1, 2))
    cases = [
        (lambda: adapt(nn.Conv1d(1, 1, 1)), "Conv1d has no nn.Linear"),
        (lambda: TorchModule("fc"), "must be a torch.nn.Module, got str"),
        (lambda: TorchModule(network(1), head="head"), "got 'head'; they are 'hidden', 'fc'"),
        (lambda: TorchModule(network(1), head="act"), "got 'act'; they are 'hidden', 'fc'"),
        (lambda: adapt(weight_normed), "no plain parameter.*remove_parametrizations"),
        (lambda: adapt(nn.LazyLinear(1)), "lazy layers"),
        (lambda: adapt(Cosine(D, 1)).features(X), "is a Cosine whose output is not W phi"),
        (lambda: adapt(per_token).features(X), r"inputs of shape \(60, 5, 1\).*pool them"),
    ]
    for make, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)
