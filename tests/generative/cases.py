"""A tiny causal language model and texts for it."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

WORDS, LENGTH = 16, 7


def language_model(width=8, seed=0):
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=LENGTH,
        n_embd=width,
        n_layer=1,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.5,
    )
    return GPT2LMHeadModel(config)


def texts(n, seed=0):
    return torch.randint(WORDS, (n, LENGTH), generator=torch.Generator().manual_seed(seed))


class Adapted(torch.nn.Module):
    """A linear layer with a low-rank adapter: the layer itself asks for no gradient."""

    def __init__(self, layer, rank=2):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        out, width = layer.weight.shape
        self.down = torch.nn.Parameter(torch.randn(rank, width) / width**0.5)
        self.up = torch.nn.Parameter(torch.zeros(out, rank))

    def forward(self, x):
        return self.layer(x) + x @ self.down.T @ self.up.T


def with_adapters(model):
    """The model with an adapter in every attention block's output, and nothing else to train."""
    model.requires_grad_(False)
    model.lm_head = Adapted(model.lm_head)
    return model
