"""
A language model's gap between groups of prompts
================================================

Two groups of speakers use words of their own. The model has read few texts of the second group, a
third of them garbled, and predicts its words less well. Soft weights on the training texts bring
the gap in loss down; hard weights, which can only remove texts, get less far in the same epochs.

Everything is made up on the spot, the model (a GPT-2 of two small layers) too. Training texts
carry the weights, validation texts decide, and the figures printed are of test texts.

Run it with `python examples/language_gap.py` (needs `pip install softunlearn[hf]`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from softunlearn import generative
from softunlearn.unlearning import Adam, Training

WORDS = 12
"""Of each group."""

LENGTH = 10
"""Words of a text."""

GARBLED = 0.35
"""Part of the second group's training texts whose words are in no order."""

SUCCESSORS = (0.7, 0.2, 0.1)
"""How often each of a word's three successors follows it."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Token ids (n, length), the group of each text, and whether it is garbled."""

    ids: torch.Tensor
    groups: np.ndarray
    garbled: np.ndarray

    def gap(self) -> generative.GroupLossGap:
        """Return the gap in loss between the groups of these texts."""
        return generative.GroupLossGap(self.ids, self.groups, batch_size=256)


def make_texts(n_first: int, n_second: int, garbled: float, seed: int) -> Texts:
    """Return texts of both groups, whose words follow each other in the same way every time."""
    language, rng = np.random.default_rng(0), np.random.default_rng(seed)
    follows = np.stack([language.permutation(WORDS) for _ in range(2 * len(SUCCESSORS))])
    groups = np.repeat([0, 1], [n_first, n_second])
    bad = (groups == 1) & (rng.random(len(groups)) < garbled)
    ids = np.empty((len(groups), LENGTH), dtype=np.int64)
    ids[:, 0] = rng.integers(WORDS, size=len(groups))
    for t in range(1, LENGTH):
        kind = rng.choice(len(SUCCESSORS), p=SUCCESSORS, size=len(groups))
        next_word = follows[kind + len(SUCCESSORS) * groups, ids[:, t - 1]]
        ids[:, t] = np.where(bad, rng.integers(WORDS, size=len(groups)), next_word)
    return Texts(torch.tensor(ids + WORDS * groups[:, None]), groups, bad)


def train_model(ids: torch.Tensor, *, epochs: int = 12, width: int = 32, seed: int = 0) -> Any:
    """Return a small GPT-2 trained on texts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=2 * WORDS,
                n_positions=LENGTH,
                n_embd=width,
                n_layer=2,
                n_head=2,
                bos_token_id=0,
                eos_token_id=0,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
            )
        )
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for some in np.array_split(order.permutation(len(ids)), max(1, len(ids) // 32)):
            optimiser.zero_grad()
            generative.next_token_loss(model, ids[some]).mean().backward()
            optimiser.step()
    return model.eval()


@dataclass(frozen=True, eq=False)
class Setting:
    """A trained model with its texts."""

    model: nn.Module
    train: Texts
    validation: Texts
    test: Texts


def make_setting(n: int = 900, *, seed: int = 0, width: int = 32, epochs: int = 12) -> Setting:
    """Return a model trained on n texts of the first group and a third as many of the second."""
    train = make_texts(n, n // 3, GARBLED, 3 * seed + 1)
    validation, test = (make_texts(n // 3, n // 3, 0.0, 3 * seed + k) for k in (2, 3))
    model = train_model(train.ids, epochs=epochs, width=width, seed=seed)
    return Setting(model, train, validation, test)


def corrected(
    setting: Setting,
    scheme: Any,
    algorithm: Any = "ga_ft",
    *,
    epochs: int = 10,
    lr: float = 1e-3,
    refresh: int | None = 2,
) -> generative.GenerativeCorrection:
    """Return the model corrected for the gap, reported on test texts."""
    test = setting.test

    def test_loss(module: nn.Module) -> torch.Tensor:
        return generative.next_token_loss(module, test.ids).mean()

    return generative.correct(
        setting.model,
        train=setting.train.ids,
        validation=setting.validation.ids,
        metric=setting.validation.gap(),
        algorithm=algorithm,
        scheme=scheme,
        refresh=refresh,
        training=Training(epochs=epochs, batch_size=32, optimiser=Adam(lr=lr)),
        report={"gap": test.gap(), "loss": test_loss},
    )


def main() -> None:
    """Correct the model under soft and hard weights and print what came of it."""
    setting = make_setting()
    print(f"{'weights':8} {'algorithm':9} {'test gap':>17} {'test loss':>17}  status")
    for algorithm in ("ga", "ga_ft", "npo"):
        for scheme in ("soft", "hard"):
            c = corrected(setting, scheme, algorithm)
            gap, loss = (
                f"{c.before.reported[name]:.4f} > {c.after.reported[name]:.4f}"
                for name in ("gap", "loss")
            )
            print(f"{scheme:8} {algorithm:9} {gap:>17} {loss:>17}  {c.status}")


if __name__ == "__main__":
    main()
