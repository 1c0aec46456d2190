"""Against torch itself: what the head predicts is what the module does, before and after."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

import softunlearn as su
from softunlearn.exceptions import InputError
from softunlearn.influence import stationarity
from softunlearn.models import Encoder, TorchModule, adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from tests.models.torch_cases import DEVICES, LOGITS, D, N, evaluated, network, probabilities


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n_logits", LOGITS)
def test_head_and_features_predict_what_the_module_does(n_logits, bias, device, X):
    module = network(n_logits, bias=bias).to(device)
    adapter = adapt(module)
    head = adapter.head(N)
    assert head.W.shape == (n_logits if n_logits > 2 else 1, 7)
    assert head.W.dtype == np.float64
    assert (head.b is not None) == bias
    assert head.classes == tuple(range(max(2, n_logits)))
    z = head.logits(adapter.features(X).astype(np.float64))
    theirs = evaluated(module, X)
    np.testing.assert_allclose(probabilities(z), probabilities(theirs), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(adapter.logits(X), z)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_logits", LOGITS)
def test_the_corrected_module_predicts_what_the_corrected_head_does(
    n_logits, dtype, device, X, rng
):
    module = network(n_logits, dtype=dtype).to(device)
    before = copy.deepcopy(module.state_dict())
    adapter = adapt(module)
    head = adapter.head(N)
    head = head.with_theta(head.theta + rng.normal(size=head.n_parameters))
    corrected = adapter.with_head(head)
    expected = head.logits(adapter.features(X).astype(np.float64))
    np.testing.assert_allclose(
        probabilities(evaluated(corrected, X)), probabilities(expected), rtol=1e-4, atol=1e-6
    )
    assert type(corrected) is type(module)
    for name, value in corrected.state_dict().items():
        assert (value.dtype, value.device) == (before[name].dtype, before[name].device)
        if not name.startswith("fc."):
            assert torch.equal(value, before[name])
        assert torch.equal(module.state_dict()[name], before[name])  # the original's


def test_two_logits_move_apart_by_half_the_change_each(rng):
    module = network(2, dtype=torch.float64)
    adapter = adapt(module)
    head = adapter.head(N)
    change = rng.normal(size=head.n_parameters)
    fc = adapter.with_head(head.with_theta(head.theta + change)).fc
    moved = np.column_stack(
        [(fc.weight - module.fc.weight).detach(), (fc.bias - module.fc.bias).detach()]
    )
    np.testing.assert_allclose(moved, [-change / 2, change / 2], atol=1e-12)


@pytest.mark.parametrize("n_logits", LOGITS)
def test_an_unchanged_head_gives_the_same_module_bit_for_bit(n_logits):
    module = network(n_logits)
    adapter = adapt(module)
    same = adapter.with_head(adapter.head(N))
    for name, value in same.state_dict().items():
        assert torch.equal(value, module.state_dict()[name])
    assert [p.requires_grad for p in same.parameters()] == [True] * len(list(same.parameters()))


@pytest.mark.parametrize("n_logits", LOGITS)
def test_l2_is_the_penalty_of_the_sum_of_losses(n_logits, rng):
    """A module at torch's own optimum, weight_decay = l2 / n, is at ours; two logits halve it."""
    X = torch.tensor(rng.normal(size=(200, 3)))
    y = torch.tensor(rng.integers(max(2, n_logits), size=200))
    module, l2 = nn.Linear(3, n_logits, bias=False, dtype=torch.float64), 20.0
    optimiser = torch.optim.LBFGS(
        module.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=0
    )

    def loss():
        optimiser.zero_grad()
        z = module(X)
        mean = (
            F.binary_cross_entropy_with_logits(z[:, 0], y.double())
            if n_logits == 1
            else F.cross_entropy(z, y)
        )
        total = mean + l2 / 200 / 2 * (module.weight**2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    adapter = TorchModule(module, l2=l2)
    encoder = Encoder(adapter, adapter.head(200))
    rows = encoder.encode(Rows(X, y), "train", train=True)
    assert stationarity(HeadObjective(encoder.head, rows)) < 1e-6
    assert stationarity(HeadObjective(TorchModule(module).head(200), rows)) > 1e-3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("n_logits", LOGITS)
def test_half_precision_is_read_as_float32_and_written_back_as_it_was(n_logits, dtype, device, X):
    module = network(n_logits, dtype=dtype).to(device)
    adapter = TorchModule(module, batch_size=16)
    encoder = Encoder(adapter, adapter.head(N))
    rows = encoder.encode(Rows(X, np.arange(N) % 2), "train")
    assert rows.X.dtype == np.float32
    assert adapter.with_head(encoder.head).fc.weight.dtype == dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"l2": -1.0}, "`l2` must be at least 0 and finite, got -1.0"),
        ({"l2": float("nan")}, "got nan"),
        ({"classes": ("a", "b", "c")}, "must have 2 labels, as 'fc' has 1 logits, got 3"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        TorchModule(network(1), **options).head(N)


def test_labels_may_have_names_and_inputs_do(X):
    adapter = TorchModule(network(2), classes=("no", "yes"))
    assert adapter.head(N).classes == ("no", "yes")
    assert adapter.feature_names()[3] == "fc input 3"
    assert adapt(nn.Linear(D, 1)).feature_names() is None  # they are the module's own
    assert adapter.class_weight(np.zeros(N)) is None
    X[4, 1] = np.nan
    with pytest.raises(
        InputError, match=r"feature 'fc input 0' is missing \(NaN\) in row 4, and 1 r"
    ):
        Encoder(adapter, adapter.head(N)).encode(Rows(X, ["no", "yes"] * (N // 2)), "train")


@pytest.mark.parametrize("n_logits", LOGITS)
@pytest.mark.parametrize("metric", ["demographic_parity", "adversarial_loss"])
def test_a_network_on_the_census_is_corrected(n_logits, metric, census):
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(census.train.X.shape[1], 8), nn.Tanh()).double()
    X, y = torch.tensor(census.train.X), np.asarray(census.train.y)
    validation = [census.validation.X, np.asarray(census.validation.y), census.validation.g]
    if n_logits == 3:  # 1, or 2 where they also work long hours
        hours = census.train.feature_names.index("hours_per_week")
        y = y * (1 + (census.train.X[:, hours] > 0.5))
        validation[1] = validation[1] * (1 + (validation[0][:, hours] > 0.5))
    phi = hidden(X).detach().numpy()
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(phi, y)
    top = nn.Linear(8, n_logits, dtype=torch.float64)
    W, b = torch.tensor(model.coef_), torch.tensor(model.intercept_)
    halves = torch.tensor([[-0.5], [0.5]], dtype=torch.float64)
    top.weight.data = halves * W if n_logits == 2 else W
    top.bias.data = halves[:, 0] * b if n_logits == 2 else b
    module = nn.Sequential(hidden, top)
    adapter = TorchModule(module, l2=2.0 if n_logits == 2 else 1.0)
    target = metric
    if metric == "demographic_parity":
        target = su.metrics.DemographicParity(positive=max(1, n_logits - 1))
    # with two classes the features lose most of the gap: what is left is hardly more than noise
    options = {"metric": target, "insist": True, "select": su.Select(utility_loss_at_most=0.002)}
    c = su.correct(adapter, train=(X, y), validation=tuple(validation), **options)
    assert c.status is su.Status.CORRECTED
    assert c.stationarity < 1e-5
    point = c.frontier[c.chosen]
    assert point.metric < c.frontier[0].metric
    assert type(c.model) is nn.Sequential
    if metric == "demographic_parity":  # measured anew, on the corrected module itself
        z = evaluated(c.model, validation[0])
        p = probabilities(z)[:, -1]
        female = np.asarray(validation[2]) == "Female"
        gap = abs(p[female].mean() - p[~female].mean())
        np.testing.assert_allclose(gap, point.metric, rtol=1e-6)
    # scikit-learn's head on the same features is corrected the same way
    same = su.correct(
        model,
        train=(phi, y),
        validation=(hidden(torch.tensor(validation[0])).detach().numpy(), *validation[1:]),
        **options,
    )
    np.testing.assert_allclose(c.weights, same.weights, rtol=1e-6, atol=1e-9)


def test_a_compiled_module_is_run_uncompiled(X):
    module = network(1)
    compiled = torch.compile(module, backend="eager")
    adapter = adapt(compiled, X)
    assert adapter.layer_name == "fc"
    np.testing.assert_array_equal(adapter.features(X), adapt(module).features(X))
    head = adapter.head(N)
    corrected = adapter.with_head(head.with_theta(head.theta + 1))
    assert type(corrected) is type(compiled)
    assert torch.equal(corrected.fc.weight, module.fc.weight + 1)


def test_asking_for_it_without_torch_says_what_to_install():
    code = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import softunlearn.models
try:
    from softunlearn.models import TorchModule
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install softunlearn[torch]" in done.stdout
