"""Rows in any form, through a module that is left as it was, and the cache of their features."""

import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset, TensorDataset

import softunlearn as su
from softunlearn.exceptions import InputError
from softunlearn.models import Encoder, TorchModule, adapt
from softunlearn.rows import Rows
from tests.models.torch_cases import DEVICES, D, N, network


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
