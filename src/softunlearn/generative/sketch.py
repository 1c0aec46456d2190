"""Gradients projected to few dimensions, so that those of all examples can be kept.

A Johnson-Lindenstrauss projection that is sparse: each of p coordinates is added, with a random
sign, to one of k / s buckets in each of s blocks, and the sum divided by sqrt(s). Inner products
are kept without bias, with a variance of at most about 2 |g|^2 |v|^2 / k, whatever p is. The
projection is drawn anew from its seed whenever it is applied, parameter by parameter, and never
held: what is held is n x k numbers, and one batch of gradients.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from softunlearn.array_cache import ArrayCache, key
from softunlearn.generative.losses import Loss, batches
from softunlearn.generative.parameters import Chosen
from softunlearn.models.torch_batches import content, source
from softunlearn.rows import Rows


@dataclass(frozen=True)
class Sketch:
    """A sparse random projection of gradients to `dimension` numbers.

    A dot product is then off by ||g|| ||v|| / sqrt(dimension) or so, at most sqrt(2) times that.
    The correlation with the exact ones is about 1 / sqrt(1 + r / dimension), where r is the mean
    of (||g|| ||v||)^2 over that of (g . v)^2: small where the gradients have much to do with v.

    Parameters
    ----------
    dimension : int, default=2048
        k: numbers kept for each example. A multiple of `nonzeros`.
    nonzeros : int, default=4
        s: buckets that each coordinate is added to.
    seed : int, default=0
        Of the projection.
    batch_size : int, default=8
        Examples whose whole gradients are held at once.
    cache : ArrayCache, optional
        Keeps projected gradients on disk, by the sha256 of the parameters and the examples; the
        next metric on them takes no pass over the examples.

    References
    ----------
    Kane and Nelson, 2014, for the projection.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> texts = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2]])
    >>> words = torch.nn.Embedding(3, 3)
    >>> gap = generative.GroupLossGap(texts, ["a", "b", "a"])
    >>> generative.dot_products(words, texts, gap, sketch=generative.Sketch(64)).shape
    (3,)
    """

    dimension: int = 2048
    nonzeros: int = 4
    seed: int = 0
    batch_size: int = 8
    cache: ArrayCache | None = None

    def __post_init__(self) -> None:
        for name in ("dimension", "nonzeros", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.dimension % self.nonzeros:
            raise ValueError(
                f"`dimension` must be a multiple of nonzeros={self.nonzeros}, got "
                f"{self.dimension}."
            )

    def of(self, which: Chosen, vectors: Tensor) -> np.ndarray:
        """Return projected vectors, shape (k, m) of vectors (p, m)."""
        sizes = [parameter.numel() for parameter in which.parameters]
        return self._projected(vectors.T.split(sizes, dim=1)).T

    def of_gradients(self, which: Chosen, train: Any, loss: Loss) -> np.ndarray:
        """Return examples' projected gradients (n, k), from the cache where they are there."""
        if self.cache is None:
            return self._gradients(which, train, loss)
        name = key(self._dependencies(which, train, loss))
        if (kept := self.cache.get(name)) is not None:
            return kept
        found = self._gradients(which, train, loss)
        self.cache.put(name, found)
        return found

    def _gradients(self, which: Chosen, train: Any, loss: Loss) -> np.ndarray:
        n, theta = len(Rows(train, None)), which.by_name(which.theta)
        found = np.empty((n, self.dimension), dtype=np.float32)

        def of_one(parameters: dict[str, Tensor], one: Any) -> Tensor:
            return which.losses(parameters, loss, _of_one(one), 1)[0]

        each = vmap(grad(of_one), in_dims=(None, 0), randomness="different")
        for i, batch in enumerate(batches(train, self.batch_size, which.module)):
            with sdpa_kernel(SDPBackend.MATH):
                gradients = each(theta, batch)
            parts = [gradients[name].detach().flatten(start_dim=1) for name in which.names]
            found[i * self.batch_size : (i + 1) * self.batch_size] = self._projected(parts)
        return found

    def _projected(self, parts: Sequence[Tensor]) -> np.ndarray:
        """Return rows of parameters' gradients, one (b, size) tensor a parameter, as (b, k)."""
        first = parts[0]
        width = self.dimension // self.nonzeros
        kept = torch.zeros(len(first), self.dimension, dtype=first.dtype, device=first.device)
        generator = torch.Generator().manual_seed(self.seed)
        for part in parts:
            for block in range(self.nonzeros):
                # where a coordinate goes, and its sign, in one draw
                drawn = torch.randint(2 * width, (part.shape[1],), generator=generator)
                drawn = drawn.to(part.device)
                signed = part * (1 - 2 * (drawn % 2)).to(part.dtype)
                kept.index_add_(1, block * width + drawn // 2, signed)
        return (kept / self.nonzeros**0.5).cpu().numpy()

    def _dependencies(self, which: Chosen, train: Any, loss: Loss) -> Iterator[bytes | memoryview]:
        """Yield what projected gradients depend on."""
        yield repr((self.dimension, self.nonzeros, self.seed, which.names)).encode()
        module = which.module
        yield repr((module, getattr(module, "config", None), source(loss))).encode()
        for part in sorted({source(type(part)) for part in module.modules()}):
            yield part.encode()
        for name, tensor in module.state_dict().items():
            yield name.encode()
            yield from content(tensor)
        for batch in batches(train, self.batch_size, which.module):
            yield from content(batch)


def _of_one(one: Any) -> Any:
    """Return an example as a batch of one."""
    if isinstance(one, Mapping):
        return {name: value[None] for name, value in one.items()}
    return one[None]
