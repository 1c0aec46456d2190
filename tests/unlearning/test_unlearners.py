"""Contracts of all algorithms, from one table, and each against independent truth."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from cases import ALL_UNLEARNERS, HEAD_CASES, HeadCase, minimise
from softunlearn.curvature import Cholesky
from softunlearn.head import LinearHead
from softunlearn.influence import leverage
from softunlearn.losses import CrossEntropy
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.unlearning import (
    ALGORITHMS,
    NTK,
    SGD,
    Adam,
    AscentAndFineTuning,
    BadTeacher,
    Budgeted,
    CatastrophicForgetting,
    ExactUnlearning,
    Fisher,
    InfluenceUpdate,
    Scrub,
    Training,
    Unlearner,
)
from softunlearn.unlearning.by_training import TrainableHead
from softunlearn.unlearning.training import Phase, Term, train

SOME_HEADS = [HeadCase(1, True, True), HeadCase(1, False), HeadCase(3, True)]
FULL_BATCH = Training(epochs=6, batch_size=None, optimiser=Adam(lr=0.01))


def unlearned(unlearner, objective, eps, seed=0):
    rng = np.random.default_rng(seed)
    return unlearner.apply(objective, eps, curvature=Cholesky().factor(objective), rng=rng)


def apply(unlearner, objective, eps, seed=0):
    return unlearned(unlearner, objective, eps, seed).head


def full_batch(unlearner):
    """The same algorithm without minibatches."""
    trains = any(field.name == "training" for field in fields(unlearner))
    return replace(unlearner, training=FULL_BATCH) if trains else unlearner


@pytest.mark.parametrize("unlearner", ALL_UNLEARNERS, ids=list(ALGORITHMS))
@pytest.mark.parametrize("case", SOME_HEADS, ids=str)
class TestEveryUnlearner:
    def test_same_seed_same_head_of_the_same_shape(self, unlearner, case, rng):
        assert isinstance(unlearner, Unlearner)
        objective, eps = case.objective(rng), 0.3 * rng.normal(size=40)
        one, two = (apply(unlearner, objective, eps, seed=3) for _ in range(2))
        np.testing.assert_array_equal(one.theta, two.theta)
        assert np.isfinite(one.theta).all()
        assert not np.array_equal(one.theta, objective.head.theta)
        assert one.W.shape == objective.head.W.shape
        assert one.W.dtype == objective.head.W.dtype
        assert (one.l2, one.classes) == (objective.head.l2, objective.head.classes)

    def test_head_rows_and_weights_are_untouched(self, unlearner, case, rng):
        objective, eps = case.objective(rng), 0.3 * rng.normal(size=40)
        before = [objective.head.theta.copy(), objective.rows.X.copy(), eps.copy()]
        apply(unlearner, objective, eps)
        for array, copy in zip((objective.head.theta, objective.rows.X, eps), before, strict=True):
            np.testing.assert_array_equal(array, copy)

    def test_row_order_does_not_matter_to_full_batches(self, unlearner, case, rng):
        objective, eps, order = case.objective(rng), 0.3 * rng.normal(size=40), rng.permutation(40)
        rows = objective.rows
        weight = None if rows.weight is None else rows.weight[order]
        shuffled = HeadObjective(objective.head, Rows(rows.X[order], rows.y[order], None, weight))
        one = apply(full_batch(unlearner), objective, eps)
        other = apply(full_batch(unlearner), shuffled, eps[order])
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6, atol=1e-8)

    def test_a_row_of_weight_two_acts_as_two_rows(self, unlearner, case, rng):
        objective, eps = case.objective(rng), 0.3 * rng.normal(size=40)
        rows, twice = objective.rows, np.r_[np.arange(40), 7]
        base = np.ones(40) if rows.weight is None else rows.weight
        doubled = np.where(np.arange(40) == 7, 2, 1) * base
        weighted = HeadObjective(objective.head, Rows(rows.X, rows.y, None, doubled))
        repeated = HeadObjective(
            objective.head, Rows(rows.X[twice], rows.y[twice], None, base[twice])
        )
        one = apply(full_batch(unlearner), weighted, eps)
        other = apply(full_batch(unlearner), repeated, eps[twice])
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6, atol=1e-8)

    def test_torch_arrays_give_the_same_and_stay_on_their_device(self, unlearner, case, rng):
        objective, eps = case.objective(rng), 0.3 * rng.normal(size=40)
        head, rows = objective.head, objective.rows

        def tensor(array):
            return None if array is None else torch.from_numpy(array)

        there = HeadObjective(
            LinearHead(tensor(head.W), tensor(head.b), head.l2, head.classes),
            Rows(tensor(rows.X), tensor(rows.y), None, tensor(rows.weight)),
        )
        ours = apply(unlearner, objective, eps)
        theirs = apply(unlearner, there, tensor(eps))
        assert theirs.W.dtype == torch.float64
        assert theirs.W.device == there.head.W.device
        np.testing.assert_allclose(theirs.theta.numpy(), ours.theta, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_influence_update_is_the_first_order_change_of_the_exact_minimiser(case, rng):
    """The error against refits under weights 1 + t eps falls as t^2."""
    objective = minimise(case.objective(rng, n=60, d=2))
    eps = rng.normal(size=60)

    def error(t):
        refitted = minimise(objective.reweighted(1 + t * eps)).head
        return np.abs(
            visible(apply(InfluenceUpdate(), objective, t * eps)) - visible(refitted)
        ).max()

    updated = apply(InfluenceUpdate(), objective, 1e-3 * eps)
    moved = np.abs(visible(updated) - visible(objective.head)).max()
    assert moved > 1e-6
    assert error(1e-3) < 5e-3 * moved


def visible(head):
    """The parameters, less what a softmax does not see: a shift common to all classes."""
    theta = head.theta.reshape(head.W.shape[0], -1)
    return theta - theta.mean(axis=0) if len(theta) > 1 else theta


@pytest.mark.parametrize("case", SOME_HEADS, ids=str)
def test_ntk_and_long_training_reach_the_exact_weighted_refit(case, rng):
    objective, eps = minimise(case.objective(rng, n=60, d=2)), rng.uniform(-1.5, 1, size=60)
    refitted = visible(minimise(objective.reweighted(np.maximum(1 + eps, 0))).head)
    ntk = unlearned(NTK(tolerance=1e-14), objective, eps)
    np.testing.assert_allclose(visible(ntk.head), refitted, atol=1e-5)
    assert ntk.clipped_rows == (eps < -1).sum()
    assert ntk.epochs <= 10

    for algorithm in (CatastrophicForgetting, ExactUnlearning):

        def error(epochs, algorithm=algorithm):
            training = Training(
                epochs=epochs, batch_size=None, optimiser=SGD(lr=0.5, momentum=0.9)
            )
            head = apply(algorithm(training=training), objective, eps)
            return np.abs(visible(head) - refitted).max()

        assert error(600) < 1e-3
        assert error(600) < 0.5 * error(30)


def test_a_row_that_is_removed_counts_with_its_leverage(rng):
    """As a Newton step with the curvature that the other rows leave; a part of it does not."""
    X, y = rng.normal(size=(30, 2)), rng.integers(2, size=30)
    X[0] *= 6
    objective = minimise(HeadObjective(LinearHead(np.zeros((1, 2)), None, l2=0.5), Rows(X, y)))
    others = HeadObjective(objective.head, Rows(X[1:], y[1:]))
    H, H_others = objective.hessian(), others.hessian()
    g = objective.gradient(np.eye(30)[:, :1])[:, 0]
    removed = apply(InfluenceUpdate(), objective, -np.eye(30)[0])
    newton = objective.head.theta + np.linalg.solve(H_others, g)
    np.testing.assert_allclose(removed.theta, newton, rtol=1e-9)
    halved = -0.5 * np.eye(30)[0]
    found = apply(InfluenceUpdate(), objective, halved)
    np.testing.assert_allclose(found.theta, objective.head.theta + 0.5 * np.linalg.solve(H, g))
    both = apply(InfluenceUpdate(), objective, halved - np.eye(30)[1])  # only the second removed
    h = leverage(objective, Cholesky().factor(objective))[1]
    pulled = objective.gradient((halved - np.eye(30)[1] / (1 - h))[:, None])[:, 0]
    np.testing.assert_allclose(both.theta, objective.head.theta - np.linalg.solve(H, pulled))


@pytest.mark.parametrize("case", HEAD_CASES, ids=str)
def test_fisher_in_full_without_noise_is_the_newton_step(case, rng):
    objective, eps = case.objective(rng), rng.uniform(-1, 1, size=40)
    weighted = objective.reweighted(1 + eps)
    step = np.linalg.pinv(weighted.hessian(), hermitian=True) @ weighted.total_gradient()
    updated = apply(Fisher(diagonal=False, noise=0.0), objective, eps)
    expected = objective.head.with_theta(objective.head.theta - step)
    np.testing.assert_allclose(visible(updated), visible(expected), rtol=1e-6, atol=1e-8)


def test_fishers_diagonal_step_ends_where_the_quadratic_model_is_least_along_it(rng):
    X = rng.normal(size=(40, 1)) + 0.3 * rng.normal(
        size=(40, 3)
    )  # too long a step: features agree
    rows = Rows(X, rng.integers(2, size=40))
    objective = minimise(HeadObjective(LinearHead(np.zeros((1, 3)), None, l2=0.1), rows))
    eps = rng.uniform(-1, 1, size=40)
    weighted = objective.reweighted(1 + eps)
    g, H = weighted.total_gradient(), weighted.hessian()
    along = g / np.diag(H)
    part = g @ along / (along @ H @ along)
    assert part < 1
    found = apply(Fisher(noise=0.0), objective, eps)
    np.testing.assert_allclose(found.theta, objective.head.theta - part * along, rtol=1e-9)


def test_fishers_diagonal_step_lowers_the_weighted_loss_and_its_noise_has_the_stated_size(rng):
    objective, eps = minimise(HEAD_CASES[0].objective(rng)), rng.uniform(-1, 1, size=40)
    weighted = objective.reweighted(1 + eps)
    quiet = apply(Fisher(noise=0.0), objective, eps)
    assert HeadObjective(quiet, weighted.rows).loss_sum() < weighted.loss_sum()
    for fisher in (Fisher(noise=0.25), Fisher(noise=0.25, diagonal=False)):
        silent = apply(replace(fisher, noise=0.0), objective, eps)
        noise = [apply(fisher, objective, eps, seed).theta - silent.theta for seed in range(400)]
        covariance = np.linalg.inv(weighted.hessian())
        if fisher.diagonal:
            covariance = np.diag(1 / np.diag(weighted.hessian()))
        np.testing.assert_allclose(np.cov(np.transpose(noise)), 0.25 * covariance, atol=0.05)


def test_no_weights_change_nothing_where_nothing_is_to_be_unlearned(rng):
    objective, eps = minimise(HEAD_CASES[0].objective(rng)), np.zeros(40)
    silent = [
        InfluenceUpdate(),
        NTK(),
        AscentAndFineTuning(alpha=0.0),
        Scrub(alpha=0.0, gamma=0.0),
        BadTeacher(training=FULL_BATCH),
    ]
    for unlearner in silent:
        head = apply(unlearner, objective, eps)
        np.testing.assert_allclose(head.theta, objective.head.theta, atol=1e-9)


def torch_loss(algorithm, z, y, eps, original, anew):
    """Each algorithm's objective, written once more, from its definition."""
    w = torch.clamp(1 + eps, min=0)
    nll = torch.nn.functional.cross_entropy(z, y, reduction="none")

    def kl(teacher):
        log_p, log_q = (torch.log_softmax(logits / 2.0, dim=1) for logits in (teacher, z))
        kind = {"reduction": "none", "log_target": True}
        return 4.0 * torch.nn.functional.kl_div(log_q, log_p, **kind).sum(dim=1)

    if isinstance(algorithm, AscentAndFineTuning):
        return [(0.3 * eps * nll + 0.7 * (1 + eps) * nll).sum()]
    if isinstance(algorithm, Scrub):
        forget = torch.clamp(-eps, 0, 1)
        return [(w * (0.5 * kl(original) + 2.0 * nll)).sum(), -0.7 * (forget * kl(original)).sum()]
    if isinstance(algorithm, BadTeacher):
        q = torch.clamp(-eps, 0, 1)
        return [(q * kl(anew) + (1 - q) * kl(original)).sum()]
    return [(w * nll).sum()]


@pytest.mark.parametrize(
    "algorithm",
    [
        AscentAndFineTuning(ascent=0.3, alpha=0.7),
        Scrub(alpha=0.5, gamma=2.0, beta=0.7, temperature=2.0),
        BadTeacher(temperature=2.0),
        CatastrophicForgetting(),
        ExactUnlearning(),
    ],
    ids=lambda algorithm: type(algorithm).__name__,
)
@pytest.mark.parametrize("k", [1, 3])
def test_phases_are_the_published_objectives(algorithm, k, rng):
    z, original, anew = (rng.normal(size=(20, k)) for _ in range(3))
    y, eps = rng.integers(max(2, k), size=20), rng.uniform(-2, 1, size=20)

    def tensor(logits, grad=False):
        """A single logit is a softmax over (0, z)."""
        both = np.concatenate([np.zeros_like(logits), logits], axis=1) if k == 1 else logits
        return torch.tensor(both, requires_grad=grad)

    phases = algorithm.phases(eps, y, original, anew)
    wanted_z = tensor(z, grad=True)
    wanted = torch_loss(
        algorithm, wanted_z, torch.tensor(y), torch.tensor(eps), tensor(original), tensor(anew)
    )
    assert len(phases) == len(wanted)
    for phase, loss in zip(phases, wanted, strict=True):
        value = sum(
            (term.weights * term.loss.value(z, term.targets)).sum() for term in phase.terms
        )
        np.testing.assert_allclose(value, loss.item())
        gradient = sum(
            term.weights[:, None] * term.loss.logit_gradient(z, term.targets)
            for term in phase.terms
        )
        (expected,) = torch.autograd.grad(loss, wanted_z, retain_graph=True)
        np.testing.assert_allclose(gradient, expected[:, -k:].numpy(), atol=1e-12)


def test_training_that_runs_away_is_stopped_and_its_best_point_kept(rng):
    objective = minimise(HEAD_CASES[0].objective(rng))
    wild = Training(epochs=30, batch_size=None, optimiser=Adam(lr=3.0))
    ascent = AscentAndFineTuning(ascent=1.0, alpha=0.0, training=wild)
    result = unlearned(ascent, objective, np.full(40, -1.0))
    assert result.diverged
    assert result.epochs < 30
    np.testing.assert_array_equal(result.head.theta, objective.head.theta)  # the first was worse
    infinite = Training(epochs=5, batch_size=None, optimiser=SGD(lr=1e300))
    with np.errstate(all="ignore"):
        result = unlearned(Scrub(training=infinite), objective, np.full(40, -0.5))
    assert result.diverged
    assert np.isfinite(result.head.theta).all()


class Led(TrainableHead):
    """A head whose every step of unit length in the gradient leads to a given place."""

    def gradient(self, theta, phase, rows):
        return theta - self.led_to(theta)

    def led_to(self, theta):
        """Toward the labels, then away from them, then very far away."""
        right = self.objective.head.theta
        scale = float(theta @ right / (right @ right))
        return right * {0: 1.0, 1: -0.2, 0.2: -100.0}[abs(round(scale, 3))]


def test_of_training_that_runs_away_the_best_round_is_kept(rng):
    objective = minimise(HEAD_CASES[0].objective(rng))
    ones, right = np.ones(40), objective.head.theta
    phase = Phase([Term(CrossEntropy(), ones, objective.rows.y)])
    training = Training(epochs=9, batch_size=None, optimiser=SGD(lr=1.0, momentum=0.0))
    start = np.zeros_like(right)
    ended = train(Led(objective), [phase], training, start=start, retain=ones, rng=rng)
    assert ended.diverged
    assert ended.epochs == 3
    np.testing.assert_allclose(ended.theta, right, atol=1e-12)


def test_where_no_row_of_any_weight_is_kept_training_is_watched_on_all_rows(rng):
    objective = HEAD_CASES[0].objective(rng)
    weight, eps = np.ones(40), np.zeros(40)
    weight[:20], eps[20:] = 0.0, -1.0  # one half never counted, the other is removed
    rows = Rows(objective.rows.X, objective.rows.y, None, weight)
    weighted = HeadObjective(objective.head, rows)
    result = unlearned(Scrub(training=Training(epochs=5)), weighted, eps)
    assert np.isfinite(result.head.theta).all()
    assert not np.array_equal(result.head.theta, objective.head.theta)


def test_scrub_forgets_for_a_share_of_its_rounds_and_at_least_one():
    def rounds(share, epochs):
        scrub = Scrub(forget_share=share, training=Training(epochs=epochs))
        return scrub.phases(np.zeros(2), np.zeros(2, int), np.zeros((2, 1)), None)[1].rounds

    assert [rounds(0.2, 10), rounds(0.2, 3), rounds(0.5, 8), rounds(0.0, 8)] == [2, 1, 4, 0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_budgets_are_kept(name, rng):
    objective, eps = HEAD_CASES[0].objective(rng), rng.uniform(-1, 1, size=40)
    algorithm = ALGORITHMS[name]
    if not isinstance(algorithm, Budgeted):
        assert unlearned(algorithm, objective, eps).epochs == 1
        return
    for epochs in (1, 3, 7):
        shorter = algorithm.with_epochs(epochs)
        assert shorter.epochs == epochs
        assert unlearned(shorter, objective, eps).epochs <= epochs
    assert type(shorter) is type(algorithm)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Training(epochs=0),
        lambda: Training(batch_size=0),
        lambda: AscentAndFineTuning(ascent=-1.0),
        lambda: Scrub(alpha=float("nan")),
        lambda: Scrub(forget_share=-1.0),
        lambda: BadTeacher(temperature=0.0).phases(np.zeros(2), None, None, None),
        lambda: Fisher(noise=-1.0),
        lambda: NTK(epochs=0),
        lambda: NTK(tolerance=-1.0),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
