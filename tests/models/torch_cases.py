"""A small torch module, and what torch alone says of it."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn

N, D = 60, 5


DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


LOGITS = [1, 2, 3]


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
