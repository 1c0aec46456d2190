"""Step 1 without a Hessian: gradient dot products, exact or of projected gradients.

H^-1 is taken for sigma I (section 4.3 of the paper), so the influence of example i on a metric
with gradient v is a_i = sigma g_i . v, g_i the gradient of its loss. The products of a whole batch
are one forward-mode derivative of its losses along v, so no per-example gradient is ever held.

Beyond the paper, sigma = v.v / sum_i (g_i . v)^2: the inverse of the empirical Fisher matrix
sum_i g_i g_i^T along v, which stands for H there. It makes a_i a change of the metric in its own
unit, and hard weights, which remove until the budget is used up, need that.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from softunlearn.exceptions import ModelError
from softunlearn.generative.losses import Loss, Metric, batches, next_token_loss
from softunlearn.generative.parameters import Chosen, chosen, gradient_of
from softunlearn.generative.sketch import Sketch
from softunlearn.models.torch_batches import first_line
from softunlearn.models.torch_running import undisturbed
from softunlearn.rows import Rows


def dot_products(
    module: nn.Module,
    train: Any,
    metrics: Metric | Sequence[Metric],
    *,
    loss: Loss = next_token_loss,
    parameters: Sequence[str] | None = None,
    sketch: Sketch | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Return g_i . v of every training example and metric: gradients' dot products.

    Parameters
    ----------
    module : nn.Module
        It is not changed, and runs in eval mode.
    train : Tensor or mapping of Tensor
        n examples, as the module takes them.
    metrics : callable, or a sequence of m
        Each takes the module and returns a number.
    loss : callable, default=next_token_loss
        Of the module and a batch: one value an example.
    parameters : sequence of str, optional
        Names of those that gradients are taken in, with `*` for any characters. Default: all that
        ask for a gradient.
    sketch : Sketch, optional
        Take the products of projected gradients, which a cache keeps for the next metric.
        Default: exact products.
    batch_size : int, default=64
        Examples to run at once.

    Returns
    -------
    ndarray of shape (n, m), or (n,) for one metric
        Positive where training on the example brings the metric down.

    Raises
    ------
    InputError
        A loss or a metric is not what it should be.
    ModelError
        The module has an operation without a forward-mode derivative: give a sketch.

    Examples
    --------
    >>> import torch
    >>> from softunlearn import generative
    >>> texts = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2]])
    >>> words = torch.nn.Embedding(3, 3)
    >>> gap = generative.GroupLossGap(texts, ["a", "b", "a"])
    >>> generative.dot_products(words, texts, gap).shape
    (3,)
    """
    several = isinstance(metrics, Sequence)
    which = chosen(module, parameters)
    with undisturbed(module), which.alone():
        wanted = metrics if several else [metrics]
        directions = torch.stack([gradient_of(which, metric)[1] for metric in wanted], dim=1)
        found = products(which, train, loss, directions, sketch, batch_size)
    return found if several else found[:, 0]


def products(
    which: Chosen, train: Any, loss: Loss, directions: Tensor, sketch: Sketch | None, size: int
) -> np.ndarray:
    """Return g_i . v for directions (p, m), exact or projected, shape (n, m)."""
    if sketch is None:
        return _along(which, train, loss, directions, size)
    return sketch.of_gradients(which, train, loss) @ sketch.of(which, directions)


def sigma(products_: np.ndarray, v: Tensor) -> float:
    """Return v.v / sum_i (g_i . v)^2, the inverse curvature along v; 0 where no g_i meets it."""
    met = float(products_ @ products_)
    return float(v.double() @ v.double()) / met if met > 0 else 0.0


def _along(which: Chosen, train: Any, loss: Loss, directions: Tensor, size: int) -> np.ndarray:
    """Return exact products: derivatives of each batch's losses along the directions."""
    n, theta = len(Rows(train, None)), which.by_name(which.theta)
    found = np.empty((n, directions.shape[1]))
    for i, batch in enumerate(batches(train, size, which.module)):
        rows = slice(i * size, min(n, (i + 1) * size))
        count = rows.stop - rows.start

        def losses(parameters: dict[str, Tensor], batch: Any = batch, n: int = count) -> Tensor:
            return which.losses(parameters, loss, batch, n)

        for j in range(directions.shape[1]):
            with _differentiable_forwards():
                slope: Any = jvp(losses, (theta,), (which.by_name(directions[:, j]),))[1]
            found[rows, j] = slope.double().cpu().numpy()
    return found


@contextmanager
def _differentiable_forwards() -> Iterator[None]:
    """Take attention as plain products: the fused ones have no forward-mode derivative."""
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), warnings.catch_warnings():
            # torch scripts some of its own derivatives when the first one is taken
            warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
            yield
    except NotImplementedError as error:
        raise ModelError(
            f"The module has an operation without a forward-mode derivative: {first_line(error)} "
            "Give sketch=generative.Sketch(), which takes gradients by back-propagation."
        ) from error
