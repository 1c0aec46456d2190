"""First-order updates under weights: Eq. 9 itself, and what a correction reaches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from generative.cases import language_model, texts, with_adapters
from softunlearn import generative
from softunlearn.exceptions import Status
from softunlearn.generative import NPO, GroupLossGap, WeightedDescent, next_token_loss
from softunlearn.unlearning import SGD, Training
from softunlearn.weights import TopK, Weights

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

N = 24
ONE_STEP = Training(epochs=1, batch_size=None, optimiser=SGD(lr=0.01))


@pytest.fixture(scope="module")
def model():
    return language_model().eval()


@pytest.fixture(scope="module")
def gap():
    return GroupLossGap(texts(12, seed=1), np.arange(12) % 2)


def correct(model, gap, **more):
    given = {
        "train": texts(N),
        "validation": gap.rows,
        "metric": gap,
        "training": ONE_STEP,
        "max_loss_rise": 1.0,
    }
    return generative.correct(model, **(given | more))


class Given:
    """Weights that were chosen elsewhere."""

    scales = True

    def __init__(self, eps):
        self.eps = eps

    def solve(self, problem):
        return Weights(self.eps, 0.0, 0.0, Status.CORRECTED, "")


def test_one_step_is_equation_9(model, gap):
    found = correct(model, gap, algorithm="ga", scheme="soft")
    assert found.status == "CORRECTED"
    eps = torch.tensor(found.weights, dtype=torch.float32)
    losses = next_token_loss(model, texts(N))
    step = torch.autograd.grad((eps * losses).sum() / N, list(model.parameters()))
    after = dict(found.model.named_parameters())
    for (name, old), gradient in zip(model.named_parameters(), step, strict=True):
        torch.testing.assert_close(after[name], old - 0.01 * gradient, atol=1e-6, rtol=1e-4)


def test_the_corrected_module_is_in_eval_mode(model, gap):
    model.train()
    c = correct(model, gap, training=Training(epochs=1, batch_size=8))
    assert model.training
    assert not any(part.training for part in c.model.modules())
    model.eval()


def test_a_short_step_moves_the_metric_as_predicted(model, gap):
    lr = 1e-3
    short = Training(epochs=1, batch_size=None, optimiser=SGD(lr=lr))
    c = correct(model, gap, algorithm="ga", training=short)
    # d f = -(lr / n) sum_i eps_i g_i . v, and a_i = sigma g_i . v
    predicted = -lr / N * float(c.weights @ c.influence.target) / c.influence.sigma
    assert c.after.metric - c.before.metric == pytest.approx(predicted, rel=0.05)


def test_soft_weights_are_the_librarys_and_hard_ones_too(model, gap):
    c = correct(model, gap)
    a, u = c.influence.target, c.influence.utility
    r = a - min(0.0, a @ u) / (u @ u) * u
    np.testing.assert_allclose(c.weights, c.before.metric * r / (r @ r), rtol=1e-6)
    hard = correct(model, gap, scheme=TopK(max_fraction=0.5), algorithm="ga_ft")
    assert set(np.unique(hard.weights)) <= {-1.0, 0.0}
    assert [point.part for point in hard.frontier] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_npo_ascends_where_nothing_is_forgotten_yet_and_then_fades():
    original = torch.tensor([1.0, 1.0, 1.0])
    loss = torch.tensor([1.0, 3.0, 1.0], requires_grad=True)
    eps = torch.tensor([-0.5, -0.5, 0.5])
    NPO(beta=2.0).objective(loss, original, eps).sum().backward()
    # 2 sigmoid(beta (l0 - l)) is 1 at l = l0
    fading = 2 / (1 + np.exp(2.0 * 2.0))
    np.testing.assert_allclose(loss.grad.numpy(), [-0.5, -0.5 * fading, 0.5], rtol=1e-5)


def test_adapters_alone_are_corrected(gap):
    model = with_adapters(language_model()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    c = correct(model, gap, training=Training(epochs=4, batch_size=8))
    assert c.status == "CORRECTED"
    assert set(c.parameters) == {"lm_head.down", "lm_head.up"}
    changed = {k for k, v in c.model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"lm_head.down", "lm_head.up"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    asks = [name for name, p in c.model.named_parameters() if p.requires_grad]
    assert sorted(asks) == ["lm_head.down", "lm_head.up"]


def test_what_cannot_be_done_is_a_status(model, gap):
    assert correct(model, gap, only_above=9.0).status == "NOTHING_TO_CORRECT"
    # training on what it was not trained for: the loss of other random texts rises at once
    ascended = correct(model, gap, scheme=Given(-np.ones(N)), algorithm="ga", max_loss_rise=0.0)
    lowered = ascended.frontier[1].metric < ascended.before.metric
    kept = ascended.frontier[1].loss <= ascended.before.loss
    assert (ascended.status == "CORRECTED") == (lowered and kept)
    assert ascended.status in ("CORRECTED", "UTILITY_WOULD_SUFFER")
    wild = Training(epochs=3, batch_size=8, optimiser=SGD(lr=100.0))
    away = correct(model, gap, algorithm="ga", training=wild)
    assert away.status == "DIVERGED"
    assert "Give a smaller learning rate" in away.message
    for name, value in model.state_dict().items():
        assert torch.equal(away.model.state_dict()[name], value)


def test_options_are_checked(model, gap):
    with pytest.raises(ValueError, match="`algorithm` must be one of 'ga', 'ga_ft', 'ft', 'npo'"):
        correct(model, gap, algorithm="scrub")
    with pytest.raises(ValueError, match="`max_loss_rise` must be at least 0, got -1"):
        correct(model, gap, max_loss_rise=-1)
    with pytest.raises(ValueError, match="`refresh` must be at least 1, or None, got 0"):
        correct(model, gap, refresh=0)
    with pytest.raises(ValueError, match="`beta` must be above 0"):
        NPO(beta=0.0)
    with pytest.raises(ValueError, match="`ascent` must be at least 0"):
        WeightedDescent(ascent=-1.0)


@pytest.mark.slow
def test_the_groups_gap_is_halved_at_no_cost_and_hard_weights_reach_less():
    from language_gap import corrected, make_setting

    setting = make_setting(450, width=24)
    soft, hard = (corrected(setting, scheme) for scheme in ("soft", "hard"))
    gaps = [c.after.reported["gap"] / c.before.reported["gap"] for c in (soft, hard)]
    losses = [c.after.reported["loss"] / c.before.reported["loss"] for c in (soft, hard)]
    # measured on test texts; validation texts chose
    assert gaps[0] <= 0.5
    assert losses[0] <= 1.01
    assert gaps[0] < gaps[1]


def test_without_torch_the_extra_is_named():
    script = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import softunlearn as su
try:
    su.generative
except ImportError as error:
    assert "pip install softunlearn[torch]" in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
