"""What is trained and what is measured: one loss an example, and the gap between groups of them.

An example is a row of whatever tensors the module takes. A loss is any function of the module and
a batch that returns one value an example; a metric any function of the module that returns one
number. Both are differentiated, so both must be made of torch operations.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from softunlearn.exceptions import InputError
from softunlearn.models.torch_batches import sent
from softunlearn.rows import Rows, take

Loss = Callable[[nn.Module, Any], Tensor]
"""Of a module and a batch of b examples: one value for each, a tensor of shape (b,)."""

Metric = Callable[[nn.Module], Tensor]
"""Of a module: a number to bring down to zero, a tensor without dimensions."""

IGNORED = -100
"""A label that stands for no token, in transformers as in torch."""


def next_token_loss(module: nn.Module, batch: Any) -> Tensor:
    """Return each text's mean log loss of the next token.

    Parameters
    ----------
    module : nn.Module
        A causal language model: given `input_ids` it returns logits of shape (b, length, words),
        as a tensor or as `.logits`.
    batch : Tensor or mapping of Tensor
        Token ids, shape (b, length), alone or as `input_ids`. With `labels`, the loss is of those
        that are not -100; with an `attention_mask`, of the tokens that it holds; else of all.

    Returns
    -------
    Tensor of shape (b,)

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> words = torch.nn.Embedding(5, 5)  # the next word depends on the last alone
    >>> generative.next_token_loss(words, torch.tensor([[0, 1, 2], [3, 3, 4]])).shape
    torch.Size([2])
    """
    given = batch if isinstance(batch, Mapping) else {"input_ids": batch}
    ids, mask = given["input_ids"], given.get("attention_mask")
    labels = given.get("labels")
    if labels is None:
        labels = ids if mask is None else ids.masked_fill(mask == 0, IGNORED)
    inputs = {name: value for name, value in given.items() if name != "labels"}
    output = module(**inputs) if isinstance(batch, Mapping) else module(ids)
    logits = getattr(output, "logits", output)[:, :-1].transpose(1, 2)
    each = nn.functional.cross_entropy(
        logits, labels[:, 1:], reduction="none", ignore_index=IGNORED
    )
    return each.sum(dim=1) / (labels[:, 1:] != IGNORED).sum(dim=1).clamp(min=1)


def batches(rows: Any, size: int, module: nn.Module) -> Iterator[Any]:
    """Yield batches of consecutive examples, on the module's device, in its precision."""
    n = len(Rows(rows, None))
    for start in range(0, n, size):
        yield batch_of(rows, np.arange(start, min(start + size, n)), module)


def batch_of(rows: Any, index: np.ndarray, module: nn.Module) -> Any:
    """Return some examples as a batch, on the module's device, in its precision."""
    first = next(module.parameters())
    return sent(_tensors(take(rows, index)), first.device, first.dtype)


def losses_of(module: nn.Module, loss: Loss, batch: Any, n: int) -> Tensor:
    """Return a batch's losses, having checked that there is one for each of n examples.

    Raises
    ------
    InputError
        There is not, or one of them is no number.
    """
    values = loss(module, batch)
    if not isinstance(values, Tensor) or values.shape != (n,):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise InputError(
            f"`loss` must return one value an example, a tensor of shape ({n},), got {got}; "
            "average over tokens, not over examples."
        )
    return values


@dataclass(frozen=True, eq=False)
class GroupLossGap:
    """The largest group's mean loss less the smallest's, over validation examples.

    Parameters
    ----------
    rows : Tensor or mapping of Tensor
        Examples, as the module takes them.
    groups : array-like of shape (n,)
        The group of each; at least two differ.
    loss : callable, default=next_token_loss
        Of the module and a batch: one value an example.
    batch_size : int, default=64
        Examples to run at once. Of no more than these are activations held.

    Raises
    ------
    InputError
        There is not one group an example, or only one group in all.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> gap = generative.GroupLossGap(torch.tensor([[0, 1], [0, 2], [0, 1]]), ["a", "b", "a"])
    >>> words = torch.nn.Embedding.from_pretrained(torch.tensor([[0.0, 1.0, 0.0]] * 3))
    >>> round(gap(words).item(), 6)
    1.0
    """

    rows: Any
    groups: Any
    loss: Loss = next_token_loss
    batch_size: int = 64

    def __post_init__(self) -> None:
        n = len(Rows(self.rows, None))
        groups = np.asarray(self.groups)
        if groups.shape != (n,):
            raise InputError(
                f"`groups` must have one value for each of {n:,} examples, got shape "
                f"{groups.shape}."
            )
        if len(np.unique(groups)) < 2:
            raise InputError("`groups` must hold at least two groups, got one: there is no gap.")

    def __call__(self, module: nn.Module) -> Tensor:
        """Return the gap, a tensor without dimensions."""
        by_group = self.by_group(module)
        return by_group.max() - by_group.min()

    def by_group(self, module: nn.Module) -> Tensor:
        """Return each group's mean loss, in the order of the groups."""
        _, codes = np.unique(np.asarray(self.groups), return_inverse=True)
        each, done = [], 0
        for batch in batches(self.rows, self.batch_size, module):
            n = min(self.batch_size, len(codes) - done)
            each.append(self._losses(module, batch, n))
            done += n
        losses, codes = torch.cat(each), torch.as_tensor(codes, device=each[0].device)
        return torch.stack([losses[codes == k].mean() for k in range(int(codes.max()) + 1)])

    def _losses(self, module: nn.Module, batch: Any, n: int) -> Tensor:
        """Return a batch's losses; activations are computed again when the gradient is."""
        if not torch.is_grad_enabled():
            return losses_of(module, self.loss, batch, n)
        found: Any = checkpoint(losses_of, module, self.loss, batch, n, use_reentrant=False)
        return found


def mean_loss(module: nn.Module, loss: Loss, rows: Any, size: int) -> float:
    """Return the mean loss of examples, without a gradient."""
    n, total = len(Rows(rows, None)), 0.0
    with torch.no_grad():
        for i, batch in enumerate(batches(rows, size, module)):
            found = losses_of(module, loss, batch, min(size, n - i * size))
            total += float(found.double().sum())
    return total / n


def _tensors(batch: Any) -> Any:
    """Return a batch with arrays and lists made tensors."""
    if isinstance(batch, Mapping):
        return {name: _tensors(value) for name, value in batch.items()}
    if isinstance(batch, Tensor):
        return batch
    try:
        return torch.as_tensor(np.asarray(batch))
    except (TypeError, ValueError) as error:
        raise InputError(
            "Examples must be a tensor, an array, or a mapping of them, one row an example, got "
            f"{type(batch).__name__}: tokenize texts first, padded to one length."
        ) from error
