"""Several columns, targets, held metrics and attacks at once, and what is said of each."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import softunlearn as su

PARITY = "demographic_parity"


def test_a_metric_on_rows_of_its_own_is_a_target(census, census_model):
    old = census.validation.X[:, 0] > 0
    rows = (census.validation.X[old], census.validation.y[old])
    target = su.Target(su.metrics.LogLoss("mean"), rows)
    c = su.correct(census_model, train=census.train, validation=census.validation, metric=target)
    p = census_model.predict_proba(rows[0])[np.arange(len(rows[1])), rows[1]]
    np.testing.assert_allclose(c.frontier[0].metric, -np.log(p).mean())
    assert c.frontier[1].metric < c.frontier[0].metric


@pytest.fixture(scope="module")
def two_columns(rng_module):
    """Rows with two sensitive columns, each with a gap of its own, and a model of them."""
    rng, n = rng_module, 6000
    g = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "age": rng.choice(["old", "young"], n)})
    X = rng.normal(size=(n, 5))
    X[:, 3] += 0.9 * (g.sex == "m")
    X[:, 4] += 0.6 * (g.age == "old")
    y = (X @ [0.8, 0.5, 0.0, 0.7, 0.9] - 0.6 + rng.logistic(size=n) > 0).astype(int)
    parts = (slice(0, 3000), slice(3000, 4500), slice(4500, 6000))
    rows = [(X[s], y[s], g.iloc[s].reset_index(drop=True)) for s in parts]
    model = LogisticRegression(tol=1e-8).fit(*rows[0][:2])
    return model, dict(zip(("train", "validation", "test"), rows, strict=True))


@pytest.fixture(scope="module")
def rng_module():
    return np.random.default_rng(0)


def gap_in(model, rows, column):
    p, g = model.predict_proba(rows[0])[:, 1], rows[2][column]
    means = [p[g == value].mean() for value in g.unique()]
    return max(means) - min(means)


def test_several_columns_are_compared_by_their_combinations(two_columns):
    model, rows = two_columns
    c = su.correct(model, **rows)
    p, g = model.predict_proba(rows["validation"][0])[:, 1], rows["validation"][2]
    cells = pd.Series(p).groupby([g.sex, g.age]).mean()
    np.testing.assert_allclose(c.frontier[0].metric, cells.max() - cells.min())
    assert [group.name for group in c.before.validation.groups] == [
        "f & old",
        "f & young",
        "m & old",
        "m & young",
    ]
    assert c.frontier[-1].metric < 0.1 * c.frontier[0].metric


def test_a_metric_of_one_column_leaves_the_other_alone(two_columns):
    model, rows = two_columns
    by_sex = su.metrics.DemographicParity(by="sex")
    c = su.correct(model, **rows, metric=by_sex, select="full")
    before, after = (gap_in(m, rows["validation"], "sex") for m in (model, c.model))
    np.testing.assert_allclose((c.frontier[0].metric, c.frontier[-1].metric), (before, after))
    assert after < 0.1 * before
    assert gap_in(c.model, rows["validation"], "age") > 0.5 * gap_in(
        model, rows["validation"], "age"
    )


@pytest.mark.parametrize("scheme", ["soft", "bounded"])
def test_several_targets_fall_together(scheme, two_columns):
    model, rows = two_columns
    wanted = [su.metrics.DemographicParity(by=column) for column in ("sex", "age")]
    c = su.correct(model, **rows, metric=wanted, scheme=scheme, select="full")
    start, end = c.frontier[0], c.frontier[-1]
    assert start.metric == 1.0
    np.testing.assert_allclose(
        start.metrics, [gap_in(model, rows["validation"], column) for column in ("sex", "age")]
    )
    assert max(np.divide(end.metrics, start.metrics)) < 0.35
    for column in ("sex", "age"):
        gap = c.after.test.gaps[f"demographic_parity by {column}"].probabilities
        np.testing.assert_allclose(gap, gap_in(c.model, rows["test"], column))
        assert c.change.test[f"gaps.demographic_parity by {column}.probabilities"].high < 0
        assert f"demographic_parity by {column} goes from" in c.message
    np.testing.assert_allclose(end.metric, max(np.divide(end.metrics, start.metrics)))
    if scheme == "bounded":
        assert c.weights.min() >= -1.0
        assert c.weights.max() <= 1.0


def test_what_is_held_does_not_rise(two_columns):
    model, rows = two_columns
    hold = su.attacks.FGSM(0.3, norm="l2")
    free = su.correct(model, **rows, select="full")
    held = su.correct(model, **rows, hold=hold, select="full")
    level = held.frontier[0].held[0]
    assert free.frontier[0].held == ()
    assert max(point.held[0] for point in held.frontier) <= 1.005 * level
    # it would have risen
    goal = held.session.start.goal
    risen = goal.measure(free.frontier[-1].head).held[0] - level
    assert risen > 0.01 * level
    assert held.frontier[-1].metric < 0.5 * held.frontier[0].metric


def test_an_attack_that_adapts_is_brought_down_at_every_point(two_columns):
    model, rows = two_columns
    attack = su.attacks.PGD(0.3, norm="l2")
    c = su.correct(model, **rows, metric=su.attacks.Adaptive(attack), select="full")
    # the closed form of the worst case of a linear model in a ball
    for point in c.frontier:
        w, b = point.head.W[0], point.head.b[0]
        X, y = rows["validation"][:2]
        margin = np.where(y == 1, 1, -1) * (X @ w + b) - 0.3 * np.linalg.norm(w)
        np.testing.assert_allclose(point.metric, np.logaddexp(0, -margin).mean(), rtol=1e-6)
    assert c.frontier[-1].metric < c.frontier[0].metric
    robustness = c.after.test.robustness[c.after.test.attack]
    assert robustness.adaptive.loss >= robustness.transfer.loss


def test_the_message_gives_every_attack_its_own_figure(two_columns):
    model, rows = two_columns
    adaptive = su.attacks.Adaptive(su.attacks.PGD(0.3, norm="l2"))
    wanted = ["adversarial_loss", adaptive]
    c = su.correct(model, **rows, metric=wanted, select=su.Select(utility_loss_at_most=1.0))
    assert c.chosen
    before, after = (f.test.robustness for f in (c.before, c.after))
    for name, was, now in (
        ("adversarial_loss", before["boundary"].transfer, after["boundary"].transfer),
        ("adaptive_loss", before["pgd_l2"].adaptive, after["pgd_l2"].adaptive),
    ):
        assert f"{name} goes from {was.loss:.4f} to {now.loss:.4f}" in c.message


def test_two_attacks_of_one_kind_are_told_apart(two_columns):
    model, rows = two_columns
    weak, strong = su.attacks.FGSM(0.1, norm="l2"), su.attacks.FGSM(0.5, norm="l2")
    c = su.correct(model, **rows, metric=weak, hold=strong)
    losses = {k: v.transfer.loss for k, v in c.before.validation.robustness.items()}
    np.testing.assert_allclose(losses["fgsm_l2"], c.frontier[0].metric)
    np.testing.assert_allclose(losses["fgsm_l2_2"], c.frontier[0].held[0])


def test_the_message_says_nothing_of_a_gap_that_is_not_among_the_figures(two_columns):
    model, rows = two_columns
    pairwise = su.metrics.DemographicParity(aggregate="mean_pairwise")
    c = su.correct(model, **rows, metric=pairwise, select="full")
    assert "On test rows accuracy goes from" in c.message
    by_position = su.metrics.DemographicParity(by=0)
    c = su.correct(model, **rows, metric=by_position, select="full")
    gap = c.after.test.gaps["demographic_parity by sex"].probabilities
    assert f"to {gap:.4f} (change" in c.message


@pytest.mark.parametrize(
    "aims",
    [{"hold": "equal_opportunity"}, {"metric": ["demographic_parity", "adversarial_loss"]}],
    ids=str,
)
def test_what_hard_weights_cannot_weigh_is_refused(census, census_model, aims):
    rows = {"train": census.train, "validation": census.validation}
    with pytest.raises(ValueError, match="hard ones look at one target alone"):
        su.correct(census_model, **rows, **aims, scheme="hard")
