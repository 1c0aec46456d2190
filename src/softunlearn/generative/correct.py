"""The three steps for any torch module: dot products, weights, first-order updates (Eq. 9).

    step 1   a_i = sigma g_i . v, for the metric and for the validation loss     influence.py
    step 2   the weights of the library's schemes, soft or hard                  su.weights
    step 3   minibatch descent of the weighted losses, measured every epoch      walk.py

Training examples carry the weights, validation examples decide, and what is in `report` is only
reported on. The module runs in eval mode throughout: without dropout a correction is what its
weights say, and the figures are those of the model that is returned.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from softunlearn.aims import named
from softunlearn.exceptions import Status
from softunlearn.generative.algorithms import GENERATIVE_ALGORITHMS, GenerativeAlgorithm
from softunlearn.generative.correction import GenerativeCorrection
from softunlearn.generative.losses import Loss, Metric, next_token_loss
from softunlearn.generative.parameters import chosen
from softunlearn.generative.sketch import Sketch
from softunlearn.generative.walk import Ended, Walk, Work
from softunlearn.models.torch_running import in_eval_mode, undisturbed
from softunlearn.unlearning import Adam, Training
from softunlearn.weights import SCHEMES, Problem, WeightScheme

STEPS = ("step 1: influence", "step 2: weights", "step 3: correction")

TRAINING = Training(epochs=10, batch_size=32, optimiser=Adam(lr=1e-3))
"""How the default walk is trained."""


def correct(
    module: nn.Module,
    *,
    train: Any,
    validation: Any,
    metric: Metric,
    loss: Loss = next_token_loss,
    parameters: Sequence[str] | None = None,
    algorithm: str | GenerativeAlgorithm = "ga_ft",
    scheme: str | WeightScheme = "soft",
    training: Training = TRAINING,
    refresh: int | None = 2,
    sketch: Sketch | None = None,
    only_above: float = 0.0,
    max_loss_rise: float = 0.01,
    report: Mapping[str, Metric] | None = None,
    random_state: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> GenerativeCorrection:
    """Correct any torch module by first-order updates under weights of its training examples.

    Parameters
    ----------
    module : nn.Module
        It is not changed.
    train : Tensor or mapping of Tensor
        The n examples that the module was trained on, or some of them, as it takes them.
    validation : Tensor or mapping of Tensor
        Examples whose mean loss is the utility: it decides, and should be of other examples.
    metric : callable
        What to bring down to zero: takes the module, returns a number made of torch operations,
        such as `GroupLossGap(rows, groups)`. It decides too.
    loss : callable, default=next_token_loss
        Takes the module and a batch of b examples, returns a tensor of shape (b,).
    parameters : sequence of str, optional
        Names of the parameters to correct, with `*` for any characters. Default: all that ask for
        a gradient, the adapters alone where the rest is frozen.
    algorithm : str or GenerativeAlgorithm, default="ga_ft"
        "ga", "ga_ft", "ft", "npo", or an object.
    scheme : str or WeightScheme, default="soft"
        "soft", "hard", "bounded", or an object of `su.weights`.
    training : Training, optional
        Epochs of the whole walk, minibatch and optimiser, of `su.unlearning`. Default: 10 epochs
        of minibatches of 32, Adam with a rate of 1e-3. `SGD` is Eq. 9 as it is printed.
    refresh : int or None, default=2
        Epochs after which soft weights take new influences, a further pass of two dot products an
        example, and add what these ask for; None for never, as in the paper.
    sketch : Sketch, optional
        Take influences from projected gradients. Default: exact dot products.
    only_above : float, default=0.0
        Correct only where the metric is larger.
    max_loss_rise : float, default=0.01
        Part by which the validation loss may rise: of the points that keep it, the one of the
        lowest metric is chosen.
    report : dict of str to callable, optional
        Further functions of the module whose values before and after are in the result, such as
        the same gap on test examples.
    random_state : int, default=0
        Seed of the order of minibatches.
    progress : callable, optional
        Called with what is being done and the part of it that is done, 0 to 1.

    Returns
    -------
    GenerativeCorrection

    Raises
    ------
    InputError
        A loss or a metric is not what it should be.
    ModelError
        There are no parameters to correct, or an operation has no forward-mode derivative.
    ValueError
        An option is unknown.

    References
    ----------
    Section 4.3, Eq. 9.

    Examples
    --------
    A model of pairs of words, and texts of two groups of which one is rarer:

    >>> import torch
    >>> from softunlearn import generative
    >>> a, b = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[4, 3, 2, 1]])
    >>> train = torch.cat([a.repeat(30, 1), b.repeat(3, 1)])
    >>> words = torch.nn.Embedding(5, 5)
    >>> optimiser = torch.optim.Adam(words.parameters(), lr=0.1)
    >>> for _ in range(20):
    ...     optimiser.zero_grad()
    ...     generative.next_token_loss(words, train).mean().backward()
    ...     optimiser.step()
    >>> texts = torch.cat([a, b])
    >>> gap = generative.GroupLossGap(texts, ["a", "b"])
    >>> c = generative.correct(words, train=train, validation=texts, metric=gap)
    >>> c.status, c.after.metric < c.before.metric, c.after.loss < 1.01 * c.before.loss
    (<Status.CORRECTED: 'CORRECTED'>, True, True)
    """
    algorithm_ = named(algorithm, GENERATIVE_ALGORITHMS, GenerativeAlgorithm, "algorithm")
    scheme_ = named(scheme, SCHEMES, WeightScheme, "scheme")
    if not 0 <= max_loss_rise < np.inf:
        raise ValueError(f"`max_loss_rise` must be at least 0, got {max_loss_rise}.")
    if refresh is not None and refresh < 1:
        raise ValueError(f"`refresh` must be at least 1, or None, got {refresh}.")
    say, began = progress or (lambda what, part: None), time.perf_counter()
    which = chosen(in_eval_mode(copy.deepcopy(module)), parameters)
    work = Work(which, train, validation, metric, loss, training, dict(report or {}))
    with torch.inference_mode(False), undisturbed(which.module), which.alone():
        say("step 1: influence", 0.0)
        before = work.figures(everything=True)
        influence = work.influence(sketch)
        told = [time.perf_counter()]
        problem = Problem(influence.target, influence.utility, max(0.0, before.metric))
        weights = scheme_.solve(problem)
        told.append(time.perf_counter())
        walk = Walk(work, before, max_loss_rise, sketch, random_state)
        if before.metric <= only_above:
            ended = Ended(
                Status.NOTHING_TO_CORRECT,
                f"The metric is {before.metric:.4g}, not above {only_above:g}.",
            )
        elif not weights.change_something:
            ended = Ended(weights.status, weights.message)
        else:
            ended = walk.taken(problem, scheme_, algorithm_, refresh, say)
        which.load(walk.theta)
        after = before if walk.index == 0 else work.figures(everything=True)
    told.append(time.perf_counter())
    return GenerativeCorrection(
        which.module,
        ended.status,
        ended.message,
        walk.eps,
        influence,
        before,
        after,
        tuple(walk.points),
        walk.index,
        which.names,
        dict(zip(STEPS, np.diff([began, *told]).tolist(), strict=True)),
    )
