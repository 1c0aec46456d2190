"""The main job, on the embedded census and on Adult."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import softunlearn as su
from softunlearn.curvature import Cholesky

PARITY = "demographic_parity"


@pytest.fixture(scope="module")
def correction(census, census_model):
    return su.correct(
        census_model, train=census.train, validation=census.validation, test=census.test
    )


def test_the_bias_falls_and_accuracy_is_kept_on_validation_rows(correction):
    assert correction.status is su.Status.CORRECTED
    before, after = correction.before.validation, correction.after.validation
    assert after.gaps[PARITY].probabilities < 0.9 * before.gaps[PARITY].probabilities
    assert after.accuracy >= before.accuracy - 0.002


def test_model_weights_and_figures_belong_together(correction, census, census_model):
    model = correction.model
    assert type(model) is LogisticRegression
    test = census.test
    accuracy = (model.predict(test.X) == test.y).mean()
    np.testing.assert_allclose(correction.after.test.accuracy, accuracy)
    p, male = model.predict_proba(test.X)[:, 1], np.asarray(test.g) == "Male"
    gap = abs(p[male].mean() - p[~male].mean())
    np.testing.assert_allclose(correction.after.test.gaps[PARITY].probabilities, gap)


def test_the_weights_are_those_of_a_training_that_ends_at_the_corrected_model(
    correction, census, census_model
):
    """scikit-learn, trained under the weights, ends at the corrected model exactly."""
    w = 1 + correction.weights
    assert (w > 0).all()
    again = LogisticRegression(C=census_model.C, tol=1e-10, solver="newton-cholesky")
    again.fit(census.train.X, census.train.y, sample_weight=w)
    # the first model was trained to 1e-8
    np.testing.assert_allclose(again.coef_, correction.model.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.intercept_, correction.model.intercept_, atol=1e-4)


def test_the_straight_path_is_eq_8_with_the_weights_of_eq_7(straight, census, census_model):
    correction, model = straight, straight.model
    X = np.column_stack([census.train.X, np.ones(len(census.train.X))])
    q = census_model.predict_proba(census.train.X)[:, 1]
    penalty = np.eye(X.shape[1]) / census_model.C
    penalty[-1, -1] = 0
    H = X.T @ ((q * (1 - q))[:, None] * X) + penalty
    step = np.linalg.solve(H, X.T @ ((q - census.train.y) * correction.weights))
    moved = np.append(model.coef_[0], model.intercept_) - np.append(
        census_model.coef_[0], census_model.intercept_
    )
    np.testing.assert_allclose(moved, -step, rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module")
def straight(census, census_model):
    rows = {"train": census.train, "validation": census.validation}
    return su.correct(census_model, **rows, path="straight")


def test_predicted_changes_are_minus_a_times_eps(straight):
    correction = straight
    point, start = correction.frontier[correction.chosen], correction.frontier[0]
    predicted = start.metric - correction.influence.target @ correction.weights
    np.testing.assert_allclose(point.predicted, predicted)
    np.testing.assert_allclose(predicted, (1 - point.step) * start.metric, atol=1e-12)
    assert correction.influence.utility @ correction.weights >= -1e-9


def test_the_original_model_and_the_rows_are_untouched(census, census_model):
    theta, X = census_model.coef_.copy(), census.train.X.copy()
    su.correct(census_model, train=census.train, validation=census.validation)
    np.testing.assert_array_equal(census_model.coef_, theta)
    np.testing.assert_array_equal(census.train.X, X)


def test_another_point_of_the_frontier_can_be_taken(correction):
    original = correction.at(0)
    np.testing.assert_array_equal(original.weights, np.zeros_like(correction.weights))
    assert original.after == original.before
    full = correction.at(-1)
    assert full.chosen == len(correction.frontier) - 1
    again = full.at(correction.chosen)
    np.testing.assert_array_equal(again.weights, correction.weights)
    assert again.after == correction.after
    gap = full.after.validation.gaps[PARITY].probabilities
    np.testing.assert_allclose(gap, correction.frontier[-1].metric)
    last = len(correction.frontier) - 1
    with pytest.raises(IndexError, match=f"from 0 to {last}"):
        correction.at(last + 1)


def test_figures_of_a_split_are_measured_when_they_are_asked_for(census, census_model):
    rows = {"train": census.train, "validation": census.validation, "test": census.test}
    c = su.correct(census_model, **rows)
    assert all(map(bool, (c.message, c.after.test, c.change.validation)))
    assert "train" not in vars(c.before)
    assert "train" not in vars(c.session.seen)
    assert [name for name, _ in c.before.items()] == ["train", "validation", "test"]


def test_the_same_call_gives_the_same_result(correction, census, census_model):
    again = su.correct(
        census_model, train=census.train, validation=census.validation, test=census.test
    )
    np.testing.assert_array_equal(again.weights, correction.weights)
    assert again.after == correction.after


@pytest.mark.parametrize("metric", ["demographic_parity", "equal_opportunity", "equalized_odds"])
@pytest.mark.parametrize("scheme", ["soft", "hard"])
def test_every_metric_falls_under_every_scheme(metric, scheme, census, census_model):
    c = su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        metric=metric,
        scheme=scheme,
        select="full",
    )
    assert c.frontier[c.chosen].metric < c.frontier[0].metric
    if scheme == "hard":
        assert set(c.weights) <= {-1.0, 0.0}


def test_robustness_needs_no_groups(census, census_model):
    validation = (census.validation.X, census.validation.y)
    c = su.correct(
        census_model,
        train=(census.train.X, census.train.y),
        validation=validation,
        metric="adversarial_loss",
    )
    before, after = c.before.validation, c.after.validation
    np.testing.assert_allclose(c.frontier[0].metric, before.adversarial_loss)
    assert after.adversarial_loss < before.adversarial_loss
    stronger = su.correct(
        census_model,
        train=census.train,
        validation=validation,
        metric=su.attacks.Boundary(gamma=2.0),
    )
    assert stronger.before.validation.adversarial_loss > before.adversarial_loss


def test_a_metric_on_rows_of_its_own_is_a_target(census, census_model):
    old = census.validation.X[:, 0] > 0
    rows = (census.validation.X[old], census.validation.y[old])
    target = su.Target(su.metrics.LogLoss("mean"), rows)
    c = su.correct(census_model, train=census.train, validation=census.validation, metric=target)
    p = census_model.predict_proba(rows[0])[np.arange(len(rows[1])), rows[1]]
    np.testing.assert_allclose(c.frontier[0].metric, -np.log(p).mean())
    assert c.frontier[1].metric < c.frontier[0].metric


def test_multiclass_heads_are_corrected(rng):
    X, g = rng.normal(size=(900, 4)), rng.integers(2, size=900)
    X[:, 3] = g
    y = (X[:, :3] + 0.8 * g[:, None] * [1, 0, 0] + rng.normal(size=(900, 3))).argmax(axis=1)
    model = LogisticRegression(tol=1e-8, max_iter=500).fit(X[:600], y[:600])
    train, validation = (X[:600], y[:600]), (X[600:], y[600:], g[600:])
    parity = su.metrics.DemographicParity(positive=0)
    c = su.correct(model, train=train, validation=validation, metric=parity)
    assert c.status is su.Status.CORRECTED
    gap = c.after.validation.gaps[PARITY].probabilities
    np.testing.assert_allclose(gap, c.frontier[c.chosen].metric)
    robust = su.correct(model, train=train, validation=validation, metric="adversarial_loss")
    assert min(point.metric for point in robust.frontier) < robust.frontier[0].metric
    each = su.correct(model, train=train, validation=validation)
    p = model.predict_proba(X[600:])
    apart = np.abs(p[g[600:] == 0].mean(axis=0) - p[g[600:] == 1].mean(axis=0))
    np.testing.assert_allclose(each.frontier[0].metric, apart.max())
    assert each.frontier[-1].metric < 0.2 * each.frontier[0].metric


def test_below_the_threshold_nothing_is_corrected(census, census_model):
    c = su.correct(census_model, train=census.train, validation=census.validation, only_above=0.9)
    assert c.status is su.Status.NOTHING_TO_CORRECT
    assert "not above 0.9" in c.message
    assert len(c.frontier) == 1
    np.testing.assert_array_equal(c.model.coef_, census_model.coef_)
    assert not c.weights.any()


def test_opposed_target_and_utility_are_said_to_be_so(census, census_model):
    """The target is the validation loss with its sign turned: what helps one harms the other."""

    class Opposite(su.metrics.LogLoss):
        def value(self, z, y, g):
            return 1e4 - super().value(z, y, g)

        def logit_gradient(self, z, y, g):
            return -super().logit_gradient(z, y, g)

    c = su.correct(
        census_model, train=census.train, validation=census.validation, metric=Opposite()
    )
    assert c.status is su.Status.NO_PARETO_DIRECTION
    assert not c.conditions.independent
    np.testing.assert_array_equal(c.model.coef_, census_model.coef_)


def test_a_model_that_has_not_converged_is_said_to_be_so(census):
    with pytest.warns(UserWarning, match="failed to converge"):
        model = LogisticRegression(max_iter=3).fit(census.train.X, census.train.y)
    c = su.correct(model, train=census.train, validation=census.validation)
    assert c.stationarity > 0.01
    assert "not at the optimum" in c.message


def test_an_audit_changes_nothing_and_shows_what_could_be_had(census, census_model):
    c = su.correct(census_model, train=census.train, validation=census.validation, select="none")
    assert c.status is su.Status.AUDITED
    assert len(c.frontier) > 10
    np.testing.assert_array_equal(c.model.coef_, census_model.coef_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "fairness"}, "`metric` must be one of 'demographic_parity'.* got 'fairness'"),
        ({"algorithm": "magic"}, "`algorithm` must be one of 'influence'.* got 'magic'"),
        (
            {"scheme": "medium"},
            "`scheme` must be one of 'soft', 'hard', 'bounded' or an object, got 'medium'",
        ),
        ({"select": "best"}, "`select` must be one of 'no_utility_loss'.* got 'best'"),
        ({"only_above": float("nan")}, "`only_above` must be a number, got nan"),
        ({"only_above": "0.5"}, "`only_above` must be a number, got '0.5'"),
        ({"random_state": -1}, "`random_state` must be an integer of at least 0, got -1"),
    ],
)
def test_unknown_options_are_refused_by_name(options, message, census, census_model):
    with pytest.raises(ValueError, match=message):
        su.correct(census_model, train=census.train, validation=census.validation, **options)


def test_the_threshold_itself_is_not_above_it(census, census_model):
    rows = {"train": census.train, "validation": census.validation}
    metric = su.correct(census_model, **rows).frontier[0].metric
    at = su.correct(census_model, **rows, only_above=metric)
    below = su.correct(census_model, **rows, only_above=np.nextafter(metric, 0))
    assert at.status is su.Status.NOTHING_TO_CORRECT
    assert below.status is su.Status.CORRECTED


def test_drift_is_the_change_that_finishing_training_brings(census):
    early = LogisticRegression(tol=0.01).fit(census.train.X, census.train.y)
    done = LogisticRegression(tol=1e-9, max_iter=5000).fit(census.train.X, census.train.y)
    rows = {"train": census.train, "validation": census.validation}
    one, other = (su.correct(model, **rows) for model in (early, done))
    change = other.frontier[0].metric - one.frontier[0].metric
    assert abs(change) > 1e-5
    np.testing.assert_allclose(one.drift, change, rtol=0.2)
    assert abs(other.drift) < 1e-6


def test_the_message_says_what_happened_on_test_rows(correction):
    gap = correction.after.test.gaps[PARITY].probabilities
    assert "On test rows the metric goes from" in correction.message
    assert f"to {gap:.4f} (change" in correction.message


def test_influence_scores_want_targets(census, census_model):
    for wrong in ([], [su.metrics.LogLoss()], su.metrics.LogLoss):
        with pytest.raises(TypeError):
            su.influence_scores(census_model, census.train, wrong)


def test_weights_of_rows_that_decide_are_refused_not_dropped(census, census_model):
    validation = census.validation
    weighted = su.Rows(validation.X, validation.y, validation.g, np.ones(len(validation)))
    with pytest.raises(
        su.InputError, match="`validation` has weights, and only training rows can"
    ):
        su.correct(census_model, train=census.train, validation=weighted)


@pytest.mark.parametrize("wrong", [3, None, {"weights": 1}])
def test_objects_that_are_none_are_refused_by_name(wrong, census, census_model):
    for option in ("metric", "algorithm", "scheme", "select"):
        with pytest.raises(TypeError, match=f"`{option}` must be"):
            su.correct(
                census_model, train=census.train, validation=census.validation, **{option: wrong}
            )


def test_damping_is_reported(census, census_model):
    c = su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        curvature=Cholesky(damping=0.01),
    )
    assert c.conditions.damping == 0.01
    assert "of its diagonal was added" in c.message


def test_importing_the_library_loads_nothing_heavy():
    heavy = ["torch", "sklearn", "pandas", "pyarrow", "matplotlib", "jinja2", "typer", "skops"]
    code = f"import sys, softunlearn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def frontier_on_test(correction):
    tests = [correction.at(i).after.test for i in range(len(correction.frontier))]
    return pd.DataFrame(
        {
            "accuracy": [figures.accuracy for figures in tests],
            "gap": [figures.gaps[PARITY].probabilities for figures in tests],
            "adversarial": [figures.adversarial_loss for figures in tests],
        }
    )


@pytest.mark.data
@pytest.mark.slow
def test_adult_reaches_the_published_trade_offs(adult, adult_model):
    c = su.correct(adult_model, train=adult.train, validation=adult.validation, test=adult.test)
    before, after = c.before.test.gaps[PARITY], c.after.test.gaps[PARITY]
    np.testing.assert_allclose(c.before.test.accuracy, 0.8491, atol=5e-5)
    np.testing.assert_allclose(before.probabilities, 0.2037, atol=5e-5)
    assert after.probabilities <= 0.9 * before.probabilities
    points = frontier_on_test(c)
    assert ((points.accuracy >= 0.841) & (points.gap <= 0.145)).any()
    assert ((points.accuracy >= 0.82) & (points.gap <= 0.02)).any()


@pytest.mark.data
@pytest.mark.slow
def test_adult_becomes_robust_against_the_frozen_attack(adult, adult_model):
    c = su.correct(
        adult_model,
        train=adult.train,
        validation=adult.validation,
        test=adult.test,
        metric="adversarial_loss",
        select=su.Select(metric_at_most=0.75),
    )
    np.testing.assert_allclose(c.before.test.adversarial_loss, 1.22, atol=0.005)
    assert c.after.test.adversarial_loss <= 0.75
    assert c.after.test.accuracy >= c.before.test.accuracy - 0.001


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


def noise(rng, n=1500):
    X, g = rng.normal(size=(n, 3)), rng.integers(2, size=n)
    y = (X[:, 0] + rng.logistic(size=n) > 0).astype(int)
    return X, y, g


def test_a_gap_that_is_noise_is_left_alone_unless_insisted_on(rng):
    train, validation = noise(rng), noise(rng)
    model = LogisticRegression().fit(*train[:2])
    c = su.correct(model, train=train, validation=validation)
    assert c.status is su.Status.NOTHING_TO_CORRECT
    assert "cannot be told from zero" in c.message
    assert "insist=True" in c.message
    np.testing.assert_array_equal(c.model.coef_, model.coef_)
    insisted = su.correct(model, train=train, validation=validation, insist=True)
    assert len(insisted.frontier) > 5
    assert insisted.frontier[-1].metric < insisted.frontier[0].metric


def test_of_several_targets_the_noise_is_held(rng):
    X, y, g = noise(rng, n=3000)
    X[:, 1] += g
    y = (X[:, 0] + 0.8 * X[:, 1] + rng.logistic(size=3000) > 0.4).astype(int)
    other = rng.integers(2, size=3000)
    rows = X, y, np.column_stack([g, other])
    model = LogisticRegression().fit(X, y)
    wanted = [su.metrics.DemographicParity(by=0), su.metrics.DemographicParity(by=1)]
    c = su.correct(model, train=(X, y), validation=rows, metric=wanted)
    assert len(c.frontier[0].metrics) == len(c.frontier[0].held) == 1
    assert c.target == "demographic_parity by 0"


def test_changes_are_known_better_than_figures_since_rows_are_paired(correction):
    """Changes are paired: their intervals are narrower than those of the figures."""
    change = correction.change.test["accuracy"]
    figures = [correction.before.test, correction.after.test]
    np.testing.assert_allclose(change.value, figures[1].accuracy - figures[0].accuracy)
    width = figures[0].intervals["accuracy"].high - figures[0].intervals["accuracy"].low
    assert change.high - change.low < 0.7 * width


def test_rows_of_high_leverage_are_named(rng):
    X = np.column_stack([rng.normal(size=400), np.arange(400) == 17])
    g = (X[:, 0] > 0).astype(int)
    y = (X[:, 0] + rng.logistic(size=400) > 0).astype(int)
    model = LogisticRegression(C=1e4, tol=1e-8).fit(X, y)
    c = su.correct(model, train=(X, y), validation=(X, y, g))
    assert c.influence.leverage[17] > 0.8
    assert "1 training rows (17) have a leverage above 0.5" in c.message


def test_influence_with_leverage_is_the_change_of_a_removal(rng):
    X = np.column_stack([rng.normal(size=(300, 2)), np.arange(300) == 5])
    y = (X[:, 0] + rng.logistic(size=300) > 0).astype(int)
    model = LogisticRegression(C=100.0, tol=1e-10, solver="newton-cholesky").fit(X, y)
    target = su.Target(su.metrics.LogLoss(), (X, y))
    exact = su.leave_one_out(model, (X, y), target, rows=[5])[0, 0]
    plain = su.influence_scores(model, (X, y), target)[5, 0]
    better = su.influence_scores(model, (X, y), target, leverage=True)[5, 0]
    # to second order: not exact for a row that alone decides a weight, and far better than plain
    assert abs(better - exact) < abs(plain - exact)
    assert better > 3 * plain > 0


def test_a_model_of_zero_weights_has_nothing_to_correct(rng):
    X, y, g = noise(rng, 300)
    model = LogisticRegression(C=1e-12).fit(X, y)
    model.coef_ = np.zeros_like(model.coef_)
    c = su.correct(model, train=(X, y), validation=(X, y, g))
    assert c.status is su.Status.NOTHING_TO_CORRECT
    assert set(c.before.validation.robustness) == {"boundary"}


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


def wide(rng, n, d=60):
    """Rows of which one feature says something and d - 1 are noise."""
    X = rng.normal(size=(n, d))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(int)
    return X, y


def test_points_are_measured_on_the_rows_that_choose():
    rng = np.random.default_rng(0)
    train, aim, choose = wide(rng, 300), wide(rng, 50), wide(rng, 400)
    model = LogisticRegression().fit(*train)
    given = {"train": train, "validation": aim, "metric": su.metrics.LogLoss("mean")}
    c = su.correct(model, choose_on=choose, insist=True, select="full", **given)
    assert len(c.frontier) > 2
    for i, point in enumerate(c.frontier):
        own = c.at(i).model
        assert point.accuracy == own.score(*choose)
        loss = log_loss(choose[1], own.predict_proba(choose[0]))
        assert point.metric == pytest.approx(loss, rel=1e-9)  # rounding
    same = su.correct(model, choose_on=aim, insist=True, **given)
    alone = su.correct(model, insist=True, **given)
    assert [p.metric for p in same.frontier] == [p.metric for p in alone.frontier]
    np.testing.assert_array_equal(same.model.coef_, alone.model.coef_)


def test_few_validation_rows_are_followed_and_rows_that_choose_say_so():
    rng = np.random.default_rng(1)
    train, aim, choose, test = wide(rng, 300), wide(rng, 50), wide(rng, 1000), wide(rng, 4000)
    model = LogisticRegression().fit(*train)

    def test_loss(c):
        return log_loss(test[1], c.model.predict_proba(test[0]))

    given = {"train": train, "validation": aim, "metric": su.metrics.LogLoss("mean")}
    followed = su.correct(model, insist=True, select="full", **given)
    chosen = su.correct(model, insist=True, choose_on=choose, **given)
    before = log_loss(test[1], model.predict_proba(test[0]))
    assert followed.point.metric < 0.5 * followed.frontier[0].metric
    assert test_loss(followed) > 1.2 * before
    assert test_loss(chosen) <= before + 0.005  # what 1,000 rows can tell apart


def test_rows_that_choose_need_a_head_alone():
    rng = np.random.default_rng(0)
    rows, deeper = wide(rng, 60), su.unlearning.CatastrophicForgetting(layers=2)
    with pytest.raises(ValueError, match="`choose_on` needs an algorithm with layers=1"):
        su.correct(
            LogisticRegression().fit(*rows),
            train=rows,
            validation=rows,
            choose_on=rows,
            algorithm=deeper,
        )
