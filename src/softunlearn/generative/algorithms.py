"""What each minibatch descends, given losses l_i and weight changes eps_i (Eq. 9).

    WeightedDescent   ascent eps_i l_i + alpha w_i l_i                          w_i = 1 + eps_i
    NPO               the first term of rows with eps_i < 0 is bounded

Neither knows of hard or soft weights. eps = 0 is fine-tuning on all rows, weighed by alpha.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class GenerativeAlgorithm(Protocol):
    """What is minimised for each example.

    Examples
    --------
    Train on what is kept, and do not ascend anything:

    >>> class Retained:
    ...     def objective(self, loss, original, eps):
    ...         return (1 + eps).clamp(min=0) * loss
    >>> from softunlearn import generative
    >>> isinstance(Retained(), generative.GenerativeAlgorithm)
    True
    """

    def objective(self, loss: Tensor, original: Tensor, eps: Tensor) -> Tensor:
        """Return one value an example, shape (b,).

        Parameters
        ----------
        loss : Tensor of shape (b,)
            Of the module as it is.
        original : Tensor of shape (b,)
            Of the module as it came.
        eps : Tensor of shape (b,)
            Weight changes.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class WeightedDescent:
    """Descend ascent eps_i l_i + alpha (1 + eps_i) l_i: GA, FT and GA+FT.

    Rows of negative eps are ascended. An ascent alone has no end: give it few epochs.

    Parameters
    ----------
    ascent : float, default=1.0
        Weight of the first term: 0 is fine-tuning.
    alpha : float, default=0.0
        Weight of the second: 0 is gradient ascent, as in Eq. 9.

    References
    ----------
    Eq. 9.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> loss, eps = torch.tensor([2.0, 2.0]), torch.tensor([-1.0, 0.5])
    >>> generative.WeightedDescent().objective(loss, loss, eps)
    tensor([-2.,  1.])
    >>> generative.WeightedDescent(ascent=0.0, alpha=1.0).objective(loss, loss, eps)
    tensor([0., 3.])
    """

    ascent: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "ascent", "alpha")

    def objective(self, loss: Tensor, original: Tensor, eps: Tensor) -> Tensor:
        """Return the weighted losses."""
        return (self.ascent * eps + self.alpha * (1 + eps)) * loss


@dataclass(frozen=True, kw_only=True)
class NPO:
    """Negative preference optimisation, with a weight for every example.

    A row with eps_i < 0 is forgotten by descending -eps_i (2 / beta) log(1 + exp(beta (l0 - l))),
    l0 the original model's loss. The slope is that of the ascent, -1 times, where l = l0, and
    fades as the row is forgotten, so that training does not run away. A row with eps_i > 0 is
    descended as in `WeightedDescent`.

    Parameters
    ----------
    beta : float, default=1.0
        The larger, the sooner a row counts as forgotten: at a loss some 1 / beta above.
    ascent, alpha : float, default=1.0, 0.0
        As in `WeightedDescent`; of the second term, weights below 0 count as 0.

    References
    ----------
    Zhang et al., 2024.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> original, eps = torch.tensor([2.0]), torch.tensor([-1.0])
    >>> loss = torch.tensor([2.0], requires_grad=True)
    >>> generative.NPO(beta=0.5).objective(loss, original, eps).backward()
    >>> loss.grad
    tensor([-1.])
    """

    beta: float = 1.0
    ascent: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "ascent", "alpha")
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"`beta` must be above 0 and finite, got {self.beta}.")

    def objective(self, loss: Tensor, original: Tensor, eps: Tensor) -> Tensor:
        """Return the bounded ascent of what is forgotten and the descent of the rest."""
        forgotten = 2 / self.beta * nn.functional.softplus(self.beta * (original - loss))
        moved = (-eps).clamp(min=0) * forgotten + eps.clamp(min=0) * loss
        return self.ascent * moved + self.alpha * (1 + eps).clamp(min=0) * loss


def _check(algorithm: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(algorithm, name) < float("inf"):
            raise ValueError(
                f"`{name}` must be at least 0 and finite, got {getattr(algorithm, name)}."
            )


GENERATIVE_ALGORITHMS: dict[str, GenerativeAlgorithm] = {
    "ga": WeightedDescent(),
    "ga_ft": WeightedDescent(ascent=1.0, alpha=1.0),
    "ft": WeightedDescent(ascent=0.0, alpha=1.0),
    "npo": NPO(alpha=1.0),
}
"""The algorithms that a string names."""
