"""The last k > 1 layers of a torch module."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import softunlearn as su
from softunlearn.curvature import Cholesky
from softunlearn.head import LinearHead
from softunlearn.models import TorchModule
from softunlearn.models.adapter import Deep
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.unlearning import (
    SGD,
    Adam,
    AscentAndFineTuning,
    BadTeacher,
    CatastrophicForgetting,
    ExactUnlearning,
    Phase,
    Scrub,
    Term,
    Training,
)
from softunlearn.unlearning.by_training import TrainableHead
from softunlearn.unlearning.training import Trainable

ALGORITHMS = [AscentAndFineTuning, BadTeacher, CatastrophicForgetting, ExactUnlearning, Scrub]


@pytest.fixture(scope="module")
def network(census):
    """A small network, trained in float64."""
    torch.manual_seed(0)
    X, y = torch.tensor(census.train.X), torch.tensor(census.train.y).double()
    width = X.shape[1]
    module = nn.Sequential(
        nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)
    ).double()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(module(X)[:, 0], y).backward()
        optimiser.step()
    return module


def rows_of(census):
    return Rows(census.train.X, np.asarray(census.train.y))


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.__name__)
@pytest.mark.parametrize("batch_size", [None, 256])
def test_one_layer_through_torch_is_the_head_trained_by_numpy(
    algorithm, batch_size, network, census
):
    """Same seed, same batches, same optimiser: 1e-6 in float64."""
    adapter = TorchModule(network, l2=0.5)
    rows, eps = rows_of(census), np.random.default_rng(1).normal(size=len(census.train))
    head = adapter.head(len(rows))
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(rows))
    objective = HeadObjective(head, Rows(adapter.features(rows.X), rows.y, weight=weight))
    tail = adapter.tail(Rows(rows.X, rows.y, weight=weight), 1)
    assert isinstance(tail, Trainable)
    training = Training(epochs=4, batch_size=batch_size, optimiser=Adam(lr=1e-2))
    unlearner = algorithm(training=training)
    # both start from, and are taught by, the same random layer
    anew = TrainableHead(objective).initialised(np.random.default_rng(3))

    def same_start(trainable, theta):
        trainable = copy.copy(trainable)
        object.__setattr__(trainable, "initialised", lambda rng: theta)
        return trainable

    rng = [np.random.default_rng(4) for _ in range(2)]
    ours = unlearner.fit(same_start(TrainableHead(objective), anew), eps, rng[0])
    theirs = unlearner.fit(same_start(tail, torch.tensor(anew)), torch.tensor(eps), rng[1])
    np.testing.assert_allclose(theirs.theta.numpy(), ours.theta, rtol=1e-6, atol=1e-8)


def test_gradients_of_several_layers_are_those_of_autograd(network, census):
    adapter, rows = TorchModule(network, l2=0.3), rows_of(census)
    tail = adapter.tail(rows, 2)
    w = torch.tensor(np.random.default_rng(0).uniform(size=len(rows)))
    loss = su.losses.CrossEntropy()
    gradient = tail.gradient(tail.theta, Phase([Term(loss, w, tail.labels)], penalty=1.0), None)
    module = copy.deepcopy(network)
    z = module(torch.tensor(rows.X))[:, 0]
    target = torch.tensor(rows.y).double()
    nll = nn.functional.binary_cross_entropy_with_logits(z, target, reduction="none")
    last = [module[2], module[4]]
    penalty = sum(0.15 * (layer.weight**2).sum() for layer in last)
    ((w * nll).sum() + penalty).backward()
    expected = torch.cat([p.grad.reshape(-1) for layer in last for p in layer.parameters()])
    np.testing.assert_allclose(gradient.numpy(), expected.numpy() / len(rows), atol=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.__name__)
@pytest.mark.parametrize("scheme", ["soft", "hard"])
def test_a_network_is_corrected_in_its_last_two_layers(algorithm, scheme, network, census):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    c = su.correct(
        network,
        train=census.train,
        validation=census.validation,
        test=census.test,
        algorithm=algorithm(layers=2, training=Training(epochs=10, optimiser=SGD(lr=0.1))),
        scheme=scheme,
        select="full",
    )
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert c.frontier[0].metric == pytest.approx(
        c.before.validation.gaps["demographic_parity"].probabilities
    )
    if c.chosen == 0:
        return  # nothing that was tried helps: hard removal may not
    after = dict(c.model.named_parameters())
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {"2.weight", "2.bias", "4.weight", "4.bias"}
    # the reported figures are those of the model that is returned
    p = torch.sigmoid(c.model(torch.tensor(census.test.X))[:, 0]).detach().numpy()
    male = np.asarray(census.test.g) == "Male"
    gap = abs(p[male].mean() - p[~male].mean())
    assert c.after.test.gaps["demographic_parity"].probabilities == pytest.approx(gap)
    assert c.after.test.accuracy == pytest.approx(((p > 0.5) == census.test.y).mean())


def test_robustness_of_deeper_layers_is_of_the_perturbation_kept(network, census):
    """Perturbed features are the new ones plus what the attack added to the original ones."""
    c = su.correct(
        network,
        train=census.train,
        validation=census.validation,
        metric="adversarial_loss",
        algorithm=CatastrophicForgetting(layers=2, training=Training(epochs=10)),
        select="full",
    )
    assert c.chosen > 0
    assert c.after.validation.adversarial_loss == pytest.approx(c.frontier[c.chosen].metric)
    X = torch.tensor(census.validation.X)
    phi, phi_new = network[:4](X).detach().numpy(), c.model[:4](X).detach().numpy()
    original = TorchModule(network).head(1)
    moved = phi_new + su.attacks.Boundary().perturb(original, phi) - phi
    z = c.model[4](torch.tensor(moved))[:, 0]
    loss = nn.functional.binary_cross_entropy_with_logits(
        z, torch.tensor(census.validation.y).double()
    )
    assert c.after.validation.adversarial_loss == pytest.approx(loss.item())


def test_what_cannot_be_trained_deeper_is_refused(network, census, census_model):
    adapter = TorchModule(network)
    assert isinstance(adapter, Deep)
    with pytest.raises(ValueError, match="`layers` is 4, and the module has 3 layers"):
        adapter.tail(rows_of(census), 4)
    with pytest.raises(su.ModelError, match="`layers` is 2, and only the last layer"):
        su.correct(
            census_model,
            train=census.train,
            validation=census.validation,
            algorithm=CatastrophicForgetting(layers=2),
        )
    objective = HeadObjective(
        LinearHead(np.zeros((1, 2)), None), Rows(np.eye(2), np.array([0, 1]))
    )
    with pytest.raises(ValueError, match="deeper layers need a torch module"):
        Scrub(layers=2).apply(
            objective,
            np.zeros(2),
            curvature=Cholesky(damping=1.0).factor(objective),
            rng=np.random.default_rng(0),
        )
    with pytest.raises(ValueError, match="`layers` must be at least 1"):
        Scrub(layers=0)


@pytest.mark.parametrize("adaptive", [False, True])
def test_an_attack_on_a_networks_inputs_is_brought_down(adaptive, network, census):
    attack = su.attacks.FGSM(0.2, norm="l2", on="inputs")
    metric = su.attacks.Adaptive(attack) if adaptive else attack
    X, y = torch.tensor(census.train.X), np.asarray(census.train.y)
    held_out = torch.tensor(census.validation.X), np.asarray(census.validation.y)
    c = su.correct(network, train=(X, y), validation=held_out, metric=metric, select="full")
    # the whole network is attacked, by back-propagation, and measured as it is
    attacked = TorchModule(c.model if adaptive else network)
    perturbed = attacked.perturbed_inputs(attack, *held_out)
    with torch.no_grad():
        z = c.model(perturbed)[:, 0].numpy()
    loss = np.logaddexp(0, z) - held_out[1] * z
    np.testing.assert_allclose(c.point.metric, loss.mean(), rtol=1e-6)
    assert c.point.metric < c.frontier[0].metric
    robustness = c.after.validation.robustness["fgsm_l2_inputs"]
    found = robustness.adaptive if adaptive else robustness.transfer
    np.testing.assert_allclose(found.loss, c.point.metric, rtol=1e-6)


def test_an_attack_on_inputs_needs_a_network(census, census_model):
    attack = su.attacks.FGSM(0.2, on="inputs")
    with pytest.raises(su.ModelError, match="give a torch module, or an attack on features"):
        su.correct(census_model, train=census.train, validation=census.validation, metric=attack)


@pytest.mark.parametrize(
    "metric",
    [
        su.attacks.Adaptive(su.attacks.FGSM(0.2)),
        su.attacks.FGSM(0.2, on="inputs"),
    ],
    ids=["adaptive", "inputs"],
)
def test_attacks_that_deeper_layers_would_change_are_refused(metric, network, census):
    with pytest.raises(ValueError, match="needs an algorithm with layers=1"):
        su.correct(
            network,
            train=(torch.tensor(census.train.X), np.asarray(census.train.y)),
            validation=(torch.tensor(census.validation.X), np.asarray(census.validation.y)),
            metric=metric,
            algorithm=CatastrophicForgetting(layers=2),
        )
