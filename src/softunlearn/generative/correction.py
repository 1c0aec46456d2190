"""The record of a corrected module: what was reached on the way, and why this point."""

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from softunlearn.exceptions import Status


@dataclass(frozen=True)
class Figures:
    """What a module does on validation examples, and whatever else is reported on.

    Parameters
    ----------
    metric : float
    loss : float
        Mean over validation examples.
    reported : dict of str to float
        The values of `report`; nothing was chosen by them.

    Examples
    --------
    >>> from softunlearn import generative
    >>> generative.Figures(metric=0.2, loss=1.5).reported
    {}
    """

    metric: float
    loss: float
    reported: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Influences:
    """Step 1's scores: what removing each training example is predicted to change.

    Parameters
    ----------
    target, utility : ndarray of shape (n,)
        sigma g_i . v for the gradients v of the metric and of the mean validation loss.
    sigma : float
        What stands for the inverse Hessian.

    Examples
    --------
    >>> import numpy as np
    >>> from softunlearn import generative
    >>> int(np.argmin(generative.Influences(np.array([0.1, -0.2]), np.zeros(2), 1.0).target))
    1
    """

    target: np.ndarray
    utility: np.ndarray
    sigma: float


@dataclass(frozen=True)
class Point:
    """What was reached after an epoch, on validation examples.

    Parameters
    ----------
    part : float
        Of the budget that the weights were to use; 0 for the original.
    epoch : int
        Of training under these weights.
    metric, loss : float

    Examples
    --------
    >>> from softunlearn import generative
    >>> generative.Point(part=1.0, epoch=2, metric=0.1, loss=1.5).epoch
    2
    """

    part: float
    epoch: int
    metric: float
    loss: float


@dataclass(frozen=True, eq=False)
class GenerativeCorrection:
    """A corrected module with its evidence.

    Parameters
    ----------
    model : nn.Module
        A copy of the module that came in, corrected in the chosen parameters alone.
    status : Status
    message : str
        What happened, in words.
    weights : ndarray of shape (n,)
        eps: weight change of every training example.
    influence : Influences
    before, after : Figures
    frontier : tuple of Point
        All points that were reached; the first is the original.
    index : int
        The point that was chosen.
    parameters : tuple of str
        Names of the parameters that were corrected.
    timings : dict of str to float
        Seconds of each step.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> texts = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0]])
    >>> words = torch.nn.Embedding.from_pretrained(torch.eye(3), freeze=False)
    >>> gap = generative.GroupLossGap(texts, [0, 1, 1, 1])
    >>> c = generative.correct(words, train=texts, validation=texts, metric=gap)
    >>> c.frontier[0].metric == c.before.metric, c.weights.shape, c.parameters
    (True, (4,), ('weight',))
    """

    model: nn.Module
    status: Status
    message: str
    weights: np.ndarray
    influence: Influences
    before: Figures
    after: Figures
    frontier: tuple[Point, ...]
    index: int
    parameters: tuple[str, ...]
    timings: dict[str, float]

    @property
    def point(self) -> Point:
        """Return the point that was chosen."""
        return self.frontier[self.index]
