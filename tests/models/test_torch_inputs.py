"""Against torch's own derivatives of its own losses, and finite differences of them."""

import copy
import random

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from softunlearn.attacks import FGSM, PGD, Boundary
from softunlearn.exceptions import InputError, ModelError
from softunlearn.models import TorchModule

N, SHAPE = 24, (2, 5, 5)
KINDS = [FGSM, PGD]
NORMS = ["linf", "l2"]

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


@pytest.fixture
def images(rng):
    return torch.tensor(rng.uniform(size=(N, *SHAPE)))


def network(n_logits, dtype=torch.float64):
    """A module that batches, dropout and random draws would all disturb."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.Softplus(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(36, n_logits),
    )
    module(torch.randn(30, *SHAPE))  # so that the norm's running figures are not its first ones
    return module.to(dtype)


def labels(n_logits, rng):
    return rng.integers(max(2, n_logits), size=N)


def losses(module, X, y):
    """By torch's own losses, on a copy."""
    module, y = copy.deepcopy(module).eval(), torch.as_tensor(y)
    z = module(X)
    if z.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype), reduction="none")
    return F.cross_entropy(z, y, reduction="none")


def size(norm, move):
    flat = move.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@pytest.mark.parametrize("n_logits", [1, 2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_fgsm_takes_the_step_of_torchs_own_gradient(norm, n_logits, images, rng):
    module, y = network(n_logits), labels(n_logits, rng)
    X = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses(module, X, y).sum(), X)
    length = gradient.flatten(1).norm(dim=1).reshape(N, 1, 1, 1)
    direction = gradient.sign() if norm == "linf" else gradient / length
    moved = TorchModule(module).perturbed_inputs(FGSM(0.1, norm=norm, on="inputs"), images, y)
    torch.testing.assert_close(moved, images + 0.1 * direction, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_logits", [1, 3])
def test_a_short_step_is_along_the_finite_difference_gradient(n_logits, images, rng):
    module, y, h = network(n_logits), labels(n_logits, rng), 1e-5
    attack = FGSM(1.0, norm="l2", on="inputs")
    moves = TorchModule(module).perturbed_inputs(attack, images[:2], y[:2]) - images[:2]
    with torch.no_grad():
        for i in range(2):
            around = h * torch.eye(50, dtype=torch.float64).reshape(50, *SHAPE)
            same = np.full(50, y[i])
            up = losses(module, images[i] + around, same)
            down = losses(module, images[i] - around, same)
            gradient = (up - down) / (2 * h)
            torch.testing.assert_close(
                moves[i].flatten(), gradient / gradient.norm(), rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_logits", [1, 2, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_pgd_stays_in_the_ball_and_is_never_the_weaker(norm, n_logits, dtype, device, images, rng):
    module, y = network(n_logits, dtype).to(device), labels(n_logits, rng)
    adapter = TorchModule(module)
    fgsm, pgd = (
        adapter.perturbed_inputs(kind(0.5, norm=norm, on="inputs", clip=(0, 1)), images, y)
        for kind in KINDS
    )
    rounding = 10 * torch.finfo(dtype).eps
    for moved in (fgsm, pgd):
        assert moved.dtype == dtype
        assert moved.device == images.device
        assert moved.shape == images.shape
        assert (size(norm, moved - images.to(dtype)) <= 0.5 + rounding).all()
        assert ((moved >= 0) & (moved <= 1)).all()
    module = module.cpu()
    with torch.no_grad():
        clean, one, many = (losses(module, X.to(dtype), y) for X in (images, fgsm, pgd))
    slack = 100 * torch.finfo(dtype).eps * (1 + many)
    assert (many >= one - slack).all()
    assert (many >= clean - slack).all()
    assert (many > clean).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n_logits", [1, 2, 3])
def test_a_module_of_one_layer_is_attacked_as_its_head(n_logits, norm, kind, rng):
    module = nn.Linear(6, n_logits, dtype=torch.float64)
    adapter = TorchModule(module)
    X, y = rng.normal(size=(N, 6)), labels(n_logits, rng)
    on_inputs = adapter.perturbed_inputs(kind(0.3, norm=norm, on="inputs"), X, y)
    on_features = kind(0.3, norm=norm).perturb(adapter.head(N), X, y)
    np.testing.assert_allclose(on_inputs, on_features, rtol=0, atol=1e-10)


def test_a_module_that_is_sure_is_attacked_all_the_same(rng):
    """In float32 the log loss of a logit of 100 is 0, and so is torch's own gradient of it."""
    module = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[100.0, -200.0, 300.0]]))
    X, y = np.array([[1.0, 1.0, 1.0]], dtype=np.float32), np.array([1])
    moved = TorchModule(module).perturbed_inputs(FGSM(0.5, on="inputs"), X, y)
    np.testing.assert_array_equal(moved, [[0.5, 1.5, 0.5]])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_left_as_it_was(kind, device, images, rng):
    module = network(3, torch.float32).to(device).train()
    module[1].eval()
    module[0].weight.requires_grad_(False)
    module[0].bias.grad = torch.ones_like(module[0].bias)
    X, y = images.float(), labels(3, rng)
    before, X_before, y_before = copy.deepcopy(module), X.clone(), y.copy()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    TorchModule(module, batch_size=7).perturbed_inputs(kind(0.1, on="inputs"), X, y)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    np.testing.assert_array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    assert torch.equal(X, X_before)
    assert not X.requires_grad
    np.testing.assert_array_equal(y, y_before)
    for (name, ours), theirs in zip(module.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        assert ours.requires_grad == theirs.requires_grad
        if name == "0.bias":
            assert torch.equal(ours.grad, torch.ones_like(ours))
        else:
            assert ours.grad is None
    for ours, theirs in zip(module.buffers(), before.buffers(), strict=True):
        assert torch.equal(ours, theirs)
        assert not ours.requires_grad
    for ours, theirs in zip(module.modules(), before.modules(), strict=True):
        assert ours.training == theirs.training
        assert not ours._forward_hooks


def test_a_module_that_works_in_place_does_not_change_the_rows(rng):
    module = nn.Sequential(nn.LeakyReLU(0.5, inplace=True), nn.Linear(4, 1))
    X, y = torch.tensor(rng.normal(size=(N, 4)), dtype=torch.float32), labels(1, rng)
    before = X.clone()
    moved = TorchModule(module).perturbed_inputs(FGSM(0.25, on="inputs"), X, y)
    assert torch.equal(X, before)
    towards = torch.sign(module[1].weight[0].detach()) * torch.tensor(1 - 2 * y)[:, None]
    torch.testing.assert_close(moved, X + 0.25 * towards)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_do_not_matter(kind, images, rng):
    module, y, attack = network(3), labels(3, rng), kind(0.2, norm="l2", on="inputs")
    one, many = (
        TorchModule(module, batch_size=size).perturbed_inputs(attack, images, y) for size in (N, 7)
    )
    torch.testing.assert_close(one, many, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_logits", [1, 3])
def test_without_labels_rows_move_away_from_the_predicted_class(n_logits, images):
    module, attack = network(n_logits), PGD(0.2, on="inputs")
    with torch.no_grad():
        z = copy.deepcopy(module).eval()(images)
    predicted = (z[:, 0] > 0).long() if n_logits == 1 else z.argmax(1)
    adapter = TorchModule(module)
    assert torch.equal(
        adapter.perturbed_inputs(attack, images),
        adapter.perturbed_inputs(attack, images, predicted),
    )


def test_rows_may_be_whatever_gives_floats(rng):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    X, y = rng.normal(size=(N, 3)).astype(np.float32), labels(1, rng)
    adapter, attack = TorchModule(module, batch_size=10), FGSM(0.1, on="inputs")
    expected = adapter.perturbed_inputs(attack, X, y)
    assert isinstance(expected, np.ndarray)
    assert expected.dtype == np.float32
    arrays = [X.astype(np.float64), pd.DataFrame(X)]
    tensors = [torch.tensor(X), TensorDataset(torch.tensor(X), torch.tensor(y))]
    tensors.append(DataLoader(tensors[1], batch_size=5))
    for rows in arrays + tensors:
        moved = adapter.perturbed_inputs(attack, rows, torch.tensor(y))
        assert isinstance(moved, np.ndarray if any(rows is a for a in arrays) else torch.Tensor)
        np.testing.assert_array_equal(np.asarray(moved), expected)
    np.testing.assert_array_equal(adapter.perturbed_inputs(attack, X, y.tolist()), expected)


def test_half_precision_does_not_round_the_rows(images, rng):
    module, y = network(2, torch.bfloat16), labels(2, rng)
    X = images.float()
    moved = TorchModule(module).perturbed_inputs(PGD(1e-3, on="inputs"), X, y)
    assert moved.dtype == torch.float32
    assert (moved != X).any()
    assert (size("linf", moved - X) <= 1e-3 + 1e-6).all()


def test_an_attack_can_be_made_where_gradients_are_off(images, rng):
    module, y, attack = network(1), labels(1, rng), FGSM(0.1, on="inputs")
    expected = TorchModule(module).perturbed_inputs(attack, images, y)
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            here = TorchModule(module).perturbed_inputs(attack, images.clone(), y)
        assert torch.equal(here, expected)


def test_progress_is_told(images):
    told = []
    adapter = TorchModule(network(1), batch_size=12, progress=lambda *said: told.append(said))
    adapter.perturbed_inputs(FGSM(0.1, on="inputs"), images)
    assert told == [("attacking inputs", 0.5), ("attacking inputs", 1.0)]


class Tokens(nn.Module):
    """Of token ids, alone or by keyword."""

    def __init__(self):
        super().__init__()
        self.embedding, self.fc = nn.Embedding(9, 4), nn.Linear(4, 1)

    def forward(self, ids, other=None):
        return self.fc(self.embedding(ids).mean(1))


@pytest.mark.parametrize(
    ("rows", "got"),
    [
        (np.ones((6, 3), dtype=np.int64), "a tensor of torch.int64"),
        (torch.ones(6, 3, dtype=torch.uint8), "a tensor of torch.uint8"),
        ([{"ids": torch.ones(3, dtype=torch.int64)}] * 6, "a mapping"),
        ([((torch.ones(3), torch.ones(3)), 0)] * 6, "a tuple"),
        (DataLoader(TensorDataset(torch.ones(6, 3).long(), torch.ones(6))), "torch.int64"),
    ],
    ids=["integers", "bytes", "mapping", "two inputs", "loader"],
)
def test_rows_that_are_not_floats_are_refused(rows, got):
    with pytest.raises(InputError, match=rf"needs one tensor of floats.*the rows give.*{got}"):
        TorchModule(Tokens()).perturbed_inputs(FGSM(0.1, on="inputs"), rows)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(N - 1, dtype=int), "one class code for each of 24 rows"),
        (np.zeros((N, 1), dtype=int), "one class code for each of 24 rows"),
        (np.zeros(N), "one class code for each of 24 rows"),
        (np.full(N, 3), "class codes from 0 to 2, got 3 to 3"),
        (np.full(N, -1), "class codes from 0 to 2, got -1 to -1"),
    ],
)
def test_labels_that_are_no_codes_are_refused(y, message, images):
    with pytest.raises(InputError, match=message):
        TorchModule(network(3)).perturbed_inputs(FGSM(0.1, on="inputs"), images, y)


def test_attacks_that_are_not_on_inputs_are_refused(images):
    adapter = TorchModule(network(1))
    with pytest.raises(TypeError, match="FGSM or PGD, got Boundary"):
        adapter.perturbed_inputs(Boundary(), images)
    with pytest.raises(ValueError, match=r"make it PGD\(epsilon, on='inputs'\)"):
        adapter.perturbed_inputs(PGD(0.1), images)


def test_rows_outside_the_range_are_refused(images):
    with pytest.raises(InputError, match=r"clip is \(0, 1\)"):
        TorchModule(network(1)).perturbed_inputs(FGSM(0.1, on="inputs", clip=(0, 1)), -images)


class Odd(nn.Module):
    """Something done to the inputs before a linear layer."""

    def __init__(self, before):
        super().__init__()
        self.before, self.fc = before, nn.Linear(3, 1)

    def forward(self, x):
        return self.fc(self.before(x))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (torch.detach, "No gradient reaches the module's inputs"),
        (lambda x: torch.ones_like(x), "No gradient reaches the module's inputs"),
        (lambda x: torch.tensor(x.detach().numpy()), "No gradient reaches the module's inputs"),
        (lambda x: torch.sqrt(x * 0), "infinite or not a number"),
    ],
    ids=["detached", "unused", "through numpy", "nan"],
)
@pytest.mark.parametrize("trained", [True, False])
def test_modules_without_a_gradient_in_their_inputs_are_refused(trained, before, message):
    module = Odd(before).requires_grad_(trained)
    with pytest.raises(ModelError, match=message):
        TorchModule(module).perturbed_inputs(FGSM(0.1, on="inputs"), torch.ones(4, 3))


def test_a_module_whose_output_is_not_its_heads_is_refused(rng):
    module = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    with pytest.raises(ModelError, match="gives its output"):
        TorchModule(module).perturbed_inputs(FGSM(0.1, on="inputs"), torch.ones(4, 3))


def test_a_module_that_works_in_place_leaves_the_rows_as_they_are():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 1))
    X = torch.linspace(-1, 1, 12).reshape(4, 3)
    kept = X.clone()
    TorchModule(module).features(X)
    assert torch.equal(X, kept)
