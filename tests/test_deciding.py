"""Which rows decide: noise is left alone, and others than those that aim can choose."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import softunlearn as su

PARITY = "demographic_parity"


def test_below_the_threshold_nothing_is_corrected(census, census_model):
    c = su.correct(census_model, train=census.train, validation=census.validation, only_above=0.9)
    assert c.status is su.Status.NOTHING_TO_CORRECT
    assert "not above 0.9" in c.message
    assert len(c.frontier) == 1
    np.testing.assert_array_equal(c.model.coef_, census_model.coef_)
    assert not c.weights.any()


def test_the_threshold_itself_is_not_above_it(census, census_model):
    rows = {"train": census.train, "validation": census.validation}
    metric = su.correct(census_model, **rows).frontier[0].metric
    at = su.correct(census_model, **rows, only_above=metric)
    below = su.correct(census_model, **rows, only_above=np.nextafter(metric, 0))
    assert at.status is su.Status.NOTHING_TO_CORRECT
    assert below.status is su.Status.CORRECTED


def test_weights_of_rows_that_decide_are_refused_not_dropped(census, census_model):
    validation = census.validation
    weighted = su.Rows(validation.X, validation.y, validation.g, np.ones(len(validation)))
    with pytest.raises(
        su.InputError, match="`validation` has weights, and only training rows can"
    ):
        su.correct(census_model, train=census.train, validation=weighted)


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


def test_a_model_of_zero_weights_has_nothing_to_correct(rng):
    X, y, g = noise(rng, 300)
    model = LogisticRegression(C=1e-12).fit(X, y)
    model.coef_ = np.zeros_like(model.coef_)
    c = su.correct(model, train=(X, y), validation=(X, y, g))
    assert c.status is su.Status.NOTHING_TO_CORRECT
    assert set(c.before.validation.robustness) == {"boundary"}


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
