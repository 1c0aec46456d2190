"""
The paper's neural network
==========================

Two ReLU layers as wide as the input, then one linear unit without intercept. All of it is trained
on a small part of the rows; then those layers are frozen, and the last one is trained on all the
others, to its optimum: a logistic regression on what the layers before make of a row. That is the
layer which is corrected, and those others are the rows whose weights are.

Run it with `python examples/paper_network.py`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

import softunlearn as su
from softunlearn.models import TorchModule

L2 = 1e-4
"""Penalty of the last layer, beside the sum of losses: the paper's 1/C."""

LEARNING_RATE = 1e-2
MAX_STEPS = 15_000
PATIENCE = 10
MIN_FALL = 1e-4
"""What counts as a fall of the loss: on few rows it falls for ever, by less and less."""


def split(train: su.Rows, *, part: float = 0.01, seed: int = 0) -> tuple[su.Rows, su.Rows]:
    """Return the rows that the hidden layers are trained on, and the others."""
    order = np.random.default_rng(seed).permutation(len(train))
    n = max(2, round(part * len(train)))
    return _some(train, np.sort(order[:n])), _some(train, np.sort(order[n:]))


def train_network(train: su.Rows, *, part: float = 0.01, seed: int = 0) -> nn.Module:
    """Return the network, in float64, trained on rows with labels 0 and 1.

    Parameters
    ----------
    train : Rows
        Numbers, one label and no group needed.
    part : float, default=0.01
        Part of the rows that the hidden layers are trained on (CelebA in the paper: 0.2).
    seed : int, default=0
        Of that part, and of the first parameters.
    """
    few, others = split(train, part=part, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = few.X.shape[1]
        hidden = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        network = nn.Sequential(hidden, nn.Linear(width, 1, bias=False)).double()
    _train_all(network, few)
    with torch.no_grad():
        phi = hidden(torch.as_tensor(others.X)).numpy()
    head = LogisticRegression(C=1 / L2, fit_intercept=False, tol=1e-10, solver="newton-cholesky")
    network[1].weight.data = torch.tensor(head.fit(phi, others.y).coef_)
    return network


def _train_all(network: nn.Module, rows: su.Rows) -> None:
    """Take full-batch steps until the loss has stopped falling for `PATIENCE` of them."""
    X, y = torch.as_tensor(rows.X), torch.as_tensor(rows.y, dtype=torch.float64)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    best, waited = np.inf, 0
    for _ in range(MAX_STEPS):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(X)[:, 0], y)
        loss.backward()
        optimiser.step()
        waited = 0 if loss.item() < best - MIN_FALL else waited + 1
        best = min(best, loss.item())
        if waited == PATIENCE:
            break


def _some(rows: su.Rows, index: np.ndarray) -> su.Rows:
    g = None if rows.g is None else np.asarray(rows.g)[index]
    return replace(rows, X=np.asarray(rows.X)[index], y=np.asarray(rows.y)[index], g=g)


def correct_on_census(n_rows: int = 20_000) -> Any:
    """Return the correction of the network for demographic parity."""
    data = su.datasets.load("census", n_rows=n_rows)
    network = train_network(data.train)
    return su.correct(
        TorchModule(network, l2=L2),
        train=split(data.train)[1],
        validation=data.validation,
        test=data.test,
    )


def main() -> None:
    """Correct the network and print what came of it."""
    c = correct_on_census()
    print(c.status, c.message)
    for name, figures in (("before", c.before.test), ("after", c.after.test)):
        gap = figures.gaps["demographic_parity"].probabilities
        print(f"{name:6} test accuracy {figures.accuracy:.4f}, demographic parity {gap:.4f}")


if __name__ == "__main__":
    main()
