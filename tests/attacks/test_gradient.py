"""Against closed forms, brute force over a cube's corners, and torch's own derivatives."""

from itertools import product

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from softunlearn.attacks import FGSM, PGD
from softunlearn.attacks.gradient import odds_against
from softunlearn.exceptions import InputError
from softunlearn.head import LinearHead

KINDS = [FGSM, PGD]
NORMS = ["linf", "l2"]
D = 4


def head_of(k, rng, *, intercept=True, size=1.0):
    return LinearHead(size * rng.normal(size=(k, D)), rng.normal(size=k) if intercept else None)


def log_loss(head, phi, y):
    """By SciPy, one column a class."""
    z = head.logits(phi)
    z = np.hstack([np.zeros_like(z), z]) if z.shape[1] == 1 else z
    return -log_softmax(z, axis=1)[np.arange(len(y)), y]


def distance(norm, move):
    return np.linalg.norm(move, ord=np.inf if norm == "linf" else 2, axis=1)


def worst_case(norm, head, phi, y, epsilon):
    """The move of a budget that lowers the margin of a head of one logit most, by duality."""
    w = head.W[0]
    towards = np.sign(w) if norm == "linf" else w / np.linalg.norm(w)
    side = np.where(y == 1, 1.0, -1.0)
    return phi - epsilon * side[:, None] * towards


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("intercept", [True, False])
def test_attacks_on_one_logit_are_the_worst_case(intercept, norm, rng):
    head = head_of(1, rng, intercept=intercept)
    phi, y = rng.normal(size=(30, D)), rng.integers(2, size=30)
    expected = worst_case(norm, head, phi, y, 0.7)
    np.testing.assert_allclose(
        FGSM(0.7, norm=norm).perturb(head, phi, y), expected, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        PGD(0.7, norm=norm).perturb(head, phi, y), expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e4])
def test_a_model_that_is_sure_is_attacked_all_the_same(size, norm, rng):
    """Of logits of a thousand the loss is 0 or the gradient 1; of tiny ones its square is 0."""
    head = head_of(1, rng, intercept=False, size=size)
    phi, y = rng.normal(size=(30, D)), rng.integers(2, size=30)
    expected = worst_case(norm, LinearHead(head.W / size, None), phi, y, 0.1)
    for kind in KINDS:
        moved = kind(0.1, norm=norm).perturb(head, phi, y)
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", NORMS)
def test_two_logits_are_attacked_as_their_difference(norm, kind, rng):
    W, b = rng.normal(size=(2, D)), rng.normal(size=2)
    two, one = LinearHead(W, b), LinearHead(W[1:] - W[:1], b[1:] - b[:1])
    phi, y = rng.normal(size=(30, D)), rng.integers(2, size=30)
    attack = kind(0.4, norm=norm)
    np.testing.assert_allclose(
        attack.perturb(two, phi, y), attack.perturb(one, phi, y), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_is_never_weaker_than_fgsm_nor_than_no_attack(norm, rng):
    head = head_of(5, rng, size=3.0)
    phi, y = rng.normal(size=(500, D)), rng.integers(5, size=500)
    clean = log_loss(head, phi, y)
    fgsm = log_loss(head, FGSM(0.8, norm=norm).perturb(head, phi, y), y)
    pgd = log_loss(head, PGD(0.8, norm=norm).perturb(head, phi, y), y)
    slack = 1e-12 * (1 + pgd)  # of the rounding of a loss
    assert (pgd >= fgsm - slack).all()
    assert (pgd >= clean - slack).all()
    assert (pgd > fgsm + 1e-6).any()


@pytest.mark.parametrize("norm", NORMS)
def test_pgds_steps_are_two_and_a_half_radii_together(norm, rng):
    head, phi, y = head_of(3, rng), rng.normal(size=(50, D)), rng.integers(3, size=50)
    unsaid, said = PGD(0.8, norm=norm, steps=5), PGD(0.8, norm=norm, steps=5, step_size=0.4)
    np.testing.assert_array_equal(unsaid.perturb(head, phi, y), said.perturb(head, phi, y))


def test_pgd_finds_nearly_the_worst_corner_of_the_cube(rng):
    """The loss is convex, so its maximum over a cube is in one of the 2^d corners."""
    head = head_of(3, rng, size=2.0)
    phi, y = rng.normal(size=(100, D)), rng.integers(3, size=100)
    corners = 0.8 * np.array(list(product([-1.0, 1.0], repeat=D)))
    worst = np.max([log_loss(head, phi + corner, y) for corner in corners], axis=0)
    found = log_loss(head, PGD(0.8).perturb(head, phi, y), y)
    assert (found <= worst + 1e-9).all()
    assert np.mean(found >= worst - 1e-9) > 0.9  # an ascent may end in another corner


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.sampled_from([1, 2, 4]),
    n=st.integers(1, 6),
    epsilon=st.floats(1e-6, 1e3),
    size=st.floats(0, 1e3),
    norm=st.sampled_from(NORMS),
    kind=st.sampled_from(KINDS),
    clipped=st.booleans(),
)
def test_rows_stay_in_the_ball_and_in_the_range(seed, k, n, epsilon, size, norm, kind, clipped):
    rng = np.random.default_rng(seed)
    head = head_of(k, rng, size=size)
    phi, y = rng.uniform(size=(n, D)), rng.integers(max(2, k), size=n)
    attack = kind(epsilon, norm=norm, clip=(0.0, 1.0) if clipped else None)
    moved = attack.perturb(head, phi, y)
    assert np.isfinite(moved).all()
    # one unit in the last place of a row's entry, and of the radius
    assert (distance(norm, moved - phi) <= epsilon * (1 + 1e-12) + 1e-15).all()
    assert not clipped or ((moved >= 0) & (moved <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    epsilon=st.floats(1e-6, 1e3),
    norm=st.sampled_from(NORMS),
    clipped=st.booleans(),
)
def test_fgsm_does_not_lower_the_loss_of_two_classes(seed, epsilon, norm, clipped):
    rng = np.random.default_rng(seed)
    head = head_of(1, rng)
    phi, y = rng.uniform(size=(5, D)), rng.integers(2, size=5)
    attack = FGSM(epsilon, norm=norm, clip=(0.0, 1.0) if clipped else None)
    moved = attack.perturb(head, phi, y)
    assert (log_loss(head, moved, y) >= log_loss(head, phi, y) - 1e-12).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("k", [1, 3])
def test_rows_without_a_gradient_stay(k, norm, kind, rng):
    head = LinearHead(np.zeros((k, D)), rng.normal(size=k))
    phi, y = rng.normal(size=(5, D)), rng.integers(max(2, k), size=5)
    np.testing.assert_array_equal(kind(0.5, norm=norm).perturb(head, phi, y), phi)


def test_a_column_without_weight_does_not_move(rng):
    head = LinearHead(np.array([[1.0, 0.0, -2.0]]), None)
    phi, y = rng.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    np.testing.assert_array_equal(FGSM(0.5).perturb(head, phi, y)[:, 1], phi[:, 1])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_odds_and_their_gradient_are_those_of_torch(k, rng):
    z = torch.tensor(3 * rng.normal(size=(40, k)), requires_grad=True)
    y = torch.tensor(rng.integers(max(2, k), size=40))
    p = torch.softmax(torch.cat([torch.zeros_like(z), z], 1) if k == 1 else z, dim=1)
    own = p[torch.arange(40), y]
    expected = torch.log((1 - own) / own)
    m, dz = odds_against(z.detach().numpy(), y.numpy())
    np.testing.assert_allclose(m, expected.detach(), rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(expected.sum(), z)
    np.testing.assert_allclose(dz, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "strict"])
def test_other_arrays_are_attacked_as_numpys(xp, k, norm, kind, rng):
    head = head_of(k, rng)
    phi, y = rng.normal(size=(20, D)), rng.integers(max(2, k), size=20)
    attack = kind(norm=norm, clip=(-9.0, 9.0))
    expected = attack.fixed(head, phi)
    theirs = LinearHead(xp.asarray(head.W), xp.asarray(head.b))
    fixed = attack.fixed(theirs, xp.asarray(phi))
    assert fixed.epsilon == pytest.approx(expected.epsilon, rel=1e-12)
    moved = fixed.perturb(theirs, xp.asarray(phi), xp.asarray(y))
    np.testing.assert_allclose(
        np.asarray(moved), expected.perturb(head, phi, y), rtol=0, atol=1e-9
    )


def test_single_precision_rows_are_attacked_in_the_heads_precision(rng):
    head = head_of(1, rng)
    phi, y = rng.normal(size=(20, D)).astype(np.float32), rng.integers(2, size=20)
    moved = FGSM(0.5).perturb(head, phi, y)
    assert moved.dtype == np.float64
    np.testing.assert_array_equal(moved, FGSM(0.5).perturb(head, phi.astype(np.float64), y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", NORMS)
def test_a_budget_from_the_data_is_half_the_median_distance(norm, kind, rng):
    order = 1 if norm == "linf" else 2
    one, several = head_of(1, rng), head_of(3, rng)
    phi = rng.normal(size=(31, D))
    expected = 0.5 * np.median(np.abs(one.logits(phi)[:, 0]) / np.linalg.norm(one.W[0], order))
    assert kind(norm=norm).fixed(one, phi).epsilon == pytest.approx(expected)
    nearest = []
    for row in phi:
        z = several.W @ row + several.b
        t = z.argmax()
        nearest.append(
            min(
                (z[t] - z[c]) / np.linalg.norm(several.W[t] - several.W[c], order)
                for c in range(3)
                if c != t
            )
        )
    fixed = kind(norm=norm).fixed(several, phi)
    assert fixed.epsilon == pytest.approx(0.5 * np.median(nearest))


@pytest.mark.parametrize("attack", [FGSM(norm="l2"), PGD(norm="l2", steps=3, step_size=0.2)])
def test_a_fixed_attack_is_as_strong_against_every_head(attack, rng):
    head, other, phi = head_of(1, rng), head_of(1, rng, size=10.0), rng.normal(size=(20, D))
    fixed = attack.fixed(head, phi)
    assert fixed.fixed(other, phi) is fixed
    assert attack.epsilon is None
    for name in vars(attack):
        assert name == "epsilon" or getattr(fixed, name) == getattr(attack, name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_without_a_budget_says_what_to_do(kind, rng):
    head, phi = head_of(1, rng), rng.normal(size=(5, D))
    with pytest.raises(ValueError, match=r"give `epsilon`, or call `fixed\(head, phi\)` first"):
        kind().perturb(head, phi)


@pytest.mark.parametrize("W", [np.zeros((1, D)), np.ones((1, D))])
def test_rows_that_set_no_budget_are_refused(W):
    with pytest.raises(ValueError, match="sets no budget; give `epsilon`"):
        FGSM().fixed(LinearHead(W, None), np.zeros((3, D)))


def test_an_attack_on_inputs_is_not_made_on_features(rng):
    with pytest.raises(ValueError, match="perturbed_inputs"):
        FGSM(0.1, on="inputs").perturb(head_of(1, rng), rng.normal(size=(5, D)))


def test_rows_outside_the_range_are_refused(rng):
    with pytest.raises(InputError, match=r"clip is \(0, 1\) and the rows are between -2 and 0.5"):
        FGSM(0.1, clip=(0, 1)).perturb(head_of(1, rng), np.array([[-2.0, 0.0, 0.5, 0.1]]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, "`epsilon` must be above 0"),
        ({"epsilon": float("inf")}, "`epsilon` must be above 0"),
        ({"epsilon": float("nan")}, "`epsilon` must be above 0"),
        ({"norm": "l1"}, "`norm` must be"),
        ({"on": "weights"}, "`on` must be"),
        ({"on": "inputs"}, "needs an `epsilon`"),
        ({"clip": (1.0, 0.0)}, "`clip` must be"),
    ],
)
def test_options_out_of_range_are_refused(options, message, kind):
    with pytest.raises(ValueError, match=message):
        kind(**options)


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"step_size": 0.0}, {"step_size": float("nan")}]
)
def test_steps_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
        PGD(0.1, **options)
