"""Against torch itself: what the head predicts is what the module does, before and after."""

import copy
import random
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset, TensorDataset

import softunlearn as su
from softunlearn.exceptions import InputError, ModelError
from softunlearn.influence import stationarity
from softunlearn.models import Encoder, TorchModule, adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

N, D = 60, 5

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]

LOGITS = [1, 2, 3]


@pytest.fixture
def X(rng):
    return rng.normal(size=(N, D)).astype(np.float32)


def network(n_logits, *, bias=True, dtype=torch.float32, seed=0):
    """A module that batches, dropout and random draws would all disturb."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        OrderedDict(
            hidden=nn.Linear(D, 7),
            norm=nn.BatchNorm1d(7),
            act=nn.ReLU(),
            drop=nn.Dropout(0.5),
            fc=nn.Linear(7, n_logits, bias=bias),
        )
    )
    module(torch.randn(30, D))  # so that the norm's running figures are not its first ones
    return module.to(dtype)


def evaluated(module, X):
    """The module's own logits, by torch alone, on a copy."""
    module = copy.deepcopy(module).eval()
    parameter = next(module.parameters())
    with torch.no_grad():
        return module(torch.tensor(X).to(parameter)).double().cpu().numpy()


def probabilities(logits):
    """Of the second class and on, from torch's own link functions."""
    z = torch.tensor(logits)
    p = torch.sigmoid(z) if z.shape[1] == 1 else torch.softmax(z, dim=1)
    return p.numpy() if z.shape[1] != 2 else p[:, 1:].numpy()


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


def random_state():
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.cuda.get_rng_state().tolist() if torch.cuda.is_available() else None,
    )


class Drawing(Dataset):
    """Draws from every global generator, as augmentations do."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        random.random()
        np.random.normal()  # noqa: NPY002
        torch.rand(1)
        return torch.tensor(self.X[index]), 0


class Meddling(nn.Module):
    """Changes buffers whatever mode it is in, and draws random numbers in eval mode too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("last", None)
        self.hidden, self.fc = nn.Linear(D, 4), nn.Linear(4, 1)

    def forward(self, x):
        self.calls += 1
        self.last = x.mean()
        self.register_buffer(f"new{int(self.calls)}", x.sum())
        F.dropout(x, training=True)
        return self.fc(torch.relu(self.hidden(x)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [lambda: network(1), Meddling])
def test_the_module_and_all_random_state_are_left_as_they_were(make, device, X):
    module = make().to(device)
    module.train()
    next(module.children()).eval()
    next(module.parameters()).requires_grad_(False)
    module(torch.tensor(X, device=device)).sum().backward()
    flags = [part.training for part in module.modules()]
    buffers = {name: (b, b.clone()) for name, b in module.named_buffers()}
    parameters = {
        name: (p, p.clone(), p.requires_grad, p.grad, None if p.grad is None else p.grad.clone())
        for name, p in module.named_parameters()
    }
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(Drawing(X), batch_size=16, generator=generator)
    states = random_state(), generator.get_state().tolist()
    adapter = adapt(module, loader)
    adapter.features(loader)
    adapter.logits(X)
    adapter.with_head(adapter.head(N))
    assert (random_state(), generator.get_state().tolist()) == states
    assert [part.training for part in module.modules()] == flags
    assert dict(module.named_buffers()).keys() == buffers.keys()
    for name, b in module.named_buffers():
        assert b is buffers[name][0]
        assert torch.equal(b, buffers[name][1])
    for name, p in module.named_parameters():
        same, value, requires_grad, grad, grad_value = parameters[name]
        assert p is same
        assert torch.equal(p, value)
        assert p.requires_grad == requires_grad
        assert p.grad is grad
        assert grad is None or torch.equal(grad, grad_value)
    for part in module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


@pytest.mark.parametrize("change", [0.0, 1.0])
def test_a_corrected_module_is_in_eval_mode_whatever_mode_it_was_in(change, X):
    module = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1)).train()
    adapter = adapt(module)
    head = adapter.head(N)
    corrected = adapter.with_head(replace(head, W=head.W + change))
    assert not any(part.training for part in corrected.modules())
    assert all(part.training for part in module.modules())
    rows = torch.tensor(X)
    assert torch.equal(corrected(rows), corrected(rows))


def test_they_are_left_so_when_the_rows_are_refused(X):
    module = network(1).train()
    state = random_state()
    with pytest.raises(InputError, match="the model cannot take these rows: mat1"):
        adapt(module).features(X[:, :2])
    assert all(part.training for part in module.modules())
    assert random_state() == state
    assert not module.fc._forward_hooks


class Items(Dataset):
    """Rows as a data set, in the form that `make` gives each."""

    def __init__(self, X, make):
        self.X, self.make = X, make

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.make(torch.tensor(self.X[index]))


class Keyed(nn.Module):
    """Takes its inputs by name, several of them, and refuses labels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.fc = nn.Linear(2 * D, 1)

    def forward(self, values, other=None):
        other = -values if other is None else other
        return SimpleNamespace(logits=self.fc(torch.cat([values, other], dim=1)), loss=None)


def loader(data, **options):
    return DataLoader(data, batch_size=16, **options)


FORMS = {
    "array": lambda X: X,
    "float64 array": lambda X: X.astype(np.float64),
    "tensor": torch.tensor,
    "list": lambda X: X.tolist(),
    "dataframe": pd.DataFrame,
    "objects": lambda X: pd.DataFrame(X.astype(object)),
    "sparse": sparse.csr_matrix,
    "sparse that cannot be sliced": sparse.coo_matrix,
    "polars": pl.DataFrame,
    "pyarrow": lambda X: pa.table({f"x{j}": X[:, j] for j in range(D)}),
    "data set of tensors": lambda X: Items(X, lambda x: x),
    "data set of tuples": lambda X: TensorDataset(torch.tensor(X), torch.zeros(N)),
    "data set of mappings": lambda X: Items(X, lambda x: {"values": x, "label": 1}),
    "data set of two inputs": lambda X: Items(X, lambda x: ((x, -x), 1)),
    "subset": lambda X: Subset(
        TensorDataset(torch.tensor(np.vstack([X[::-1], X]))), range(N, 2 * N)
    ),
    "loader of tensors": lambda X: loader(Items(X, lambda x: x)),
    "loader of tuples": lambda X: loader(TensorDataset(torch.tensor(X), torch.zeros(N))),
    "loader of mappings": lambda X: loader(Items(X, lambda x: {"values": x, "labels": 1})),
    "loader of labelled mappings": lambda X: loader(Items(X, lambda x: ({"values": x}, 1))),
    "loader with a collator": lambda X: loader(
        list(X), collate_fn=lambda items: {"values": torch.tensor(np.stack(items))}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_come_in_any_form(form, X):
    module = Keyed()
    given = FORMS[form](X)
    adapter = adapt(module, given)
    encoder = Encoder(adapter, adapter.head(N))
    rows = encoder.encode(Rows(given, np.arange(N) % 2), "train")
    expected = np.column_stack([X, -X])
    np.testing.assert_array_equal(rows.X, expected)
    assert rows.X.dtype == np.float32


def test_integers_stay_so_and_a_dataframe_of_them_does_not():
    tokens = np.arange(12).reshape(4, 3)
    words = nn.Sequential(nn.Embedding(12, 2), nn.Flatten(), nn.Linear(6, 1))
    assert adapt(words).features(tokens).shape == (4, 6)
    plain = nn.Sequential(nn.Identity(), nn.Linear(3, 1))
    np.testing.assert_array_equal(adapt(plain).features(pd.DataFrame(tokens)), tokens)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: loader(X, shuffle=True), "in the order of y; make it with shuffle=False"),
        (lambda X: loader(X, sampler=RandomSampler(X)), "no sampler of its own"),
        (lambda X: loader(X, drop_last=True), "drop_last=False"),
        (
            lambda X: DataLoader(
                X, batch_sampler=torch.utils.data.BatchSampler(RandomSampler(X), 4, False)
            ),
            "no sampler of its own",
        ),
        (lambda X: DataLoader(X, batch_size=None), "must give every row once"),
        (lambda X: [["a"] * D] * N, "the model cannot take these rows"),
        (lambda X: X[:, 0], "the model cannot take these rows"),
        (lambda X: pd.DataFrame({"a": ["x"] * N}), "could not convert string to float: 'x'"),
        (
            lambda X: loader(X, collate_fn=lambda items: torch.tensor(np.stack(items[1:]))),
            "X has 60 rows, and the module was given 56 by its batches",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_one_clear_line(make, message, X):
    given = make(X)
    adapter = adapt(network(1), given)  # what is wrong with rows is said where they have a name
    with pytest.raises(InputError, match=message) as caught:
        Encoder(adapter, adapter.head(N)).encode(Rows(given, np.arange(N) % 2), "train")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("`train`: ")


def test_batches_of_any_size_give_the_same_features(X):
    module, told = network(1, dtype=torch.float64), []
    whole = TorchModule(module, batch_size=N).features(X)
    parts = TorchModule(
        module, batch_size=7, progress=lambda what, part: told.append((what, part))
    ).features(X)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    assert {what for what, _ in told} == {"extracting features"}
    assert [part for _, part in told] == sorted(part for _, part in told)
    assert told[-1][1] == 1.0
    assert len(told) == 9


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


def test_features_come_from_the_cache(tmp_path, X):
    module, told = network(1), []
    options = {"cache": su.ArrayCache(tmp_path), "progress": lambda *what: told.append(what)}
    phi = TorchModule(module, **options).features(X)
    assert told.pop()[1] == 1.0
    again = TorchModule(module, **options)
    np.testing.assert_array_equal(again.features(X), phi)
    corrected = again.with_head(again.head(N).with_theta(np.ones(8)))
    np.testing.assert_array_equal(TorchModule(corrected, **options).features(X), phi)
    assert not told


@pytest.mark.parametrize(
    "change",
    ["weight", "buffer", "rows", "row order", "type of rows", "architecture", "head", "forward"],
)
def test_the_cache_is_missed_when_what_features_depend_on_changes(change, tmp_path, X):
    module, told = network(1), []
    options = {"cache": su.ArrayCache(tmp_path), "progress": lambda *what: told.append(what)}
    TorchModule(module, **options).features(X)
    told.clear()
    if change == "weight":
        module.hidden.weight.data[0, 0] += 1e-3
    elif change == "buffer":
        module.norm.running_mean[0] += 1e-3
    elif change == "rows":
        X[-1, -1] += 1e-3
    elif change == "row order":
        X = X[::-1].copy()
    elif change == "type of rows":
        X = X.astype(np.float64)
    elif change == "architecture":
        module.act = nn.Tanh()
    elif change == "forward":
        options["forward"] = lambda module, inputs: module(inputs * 2)
    elif change == "head":
        module.add_module("top", nn.Linear(1, 1))
    TorchModule(module, **options).features(X)
    assert told


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


def test_a_loader_is_corrected_from_end_to_end(census):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(census.train.X.shape[1], 1, dtype=torch.float64))
    sets = {
        name: (
            loader(TensorDataset(torch.tensor(rows.X), torch.tensor(rows.y))),
            rows.y,
            rows.g,
        )
        for name, rows in (("train", census.train), ("validation", census.validation))
    }
    c = su.correct(module, **sets)
    assert c.frontier[0].metric > 0
    assert isinstance(c.model, nn.Sequential)


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
