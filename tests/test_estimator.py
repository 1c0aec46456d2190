"""SoftUnlearner is what scikit-learn expects of a classifier, and is `correct` all the same."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import softunlearn as su
from softunlearn.estimator import weight_keyword
from softunlearn.rows import Rows

HALF = su.Select(metric_at_most=0.1)
DRAWN = "the rows that decide are drawn one by one, and repeating a row changes the draw"


def logistic(**options):
    return LogisticRegression(max_iter=1000, **options)


@pytest.fixture(scope="module")
def data():
    return su.datasets.load("census", n_rows=2000)


@pytest.fixture(scope="module")
def fitted(data):
    train = data.train
    return su.SoftUnlearner(logistic()).fit(train.X, train.y, sensitive_features=train.g)


class OfATrainedModel(su.SoftUnlearner):
    """A SoftUnlearner of a frozen model, trained on whatever rows a check brings."""

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        model = clone(self.estimator).fit(X, y, sample_weight=sample_weight)
        dense = np.asarray(X.toarray() if issparse(X) else X, dtype=float)
        y = np.ravel(np.asarray(y))
        there = np.ones(len(y), bool) if sample_weight is None else np.asarray(sample_weight) > 0
        others, first = np.unique(dense[there], axis=0, return_index=True)
        unlearner = su.SoftUnlearner(
            FrozenEstimator(model), metric=self.metric, validation=(others, y[there][first])
        )
        unlearner.fit(X, y, sample_weight=sample_weight)
        self.estimator_, self.held_out_ = unlearner.estimator_, unlearner.held_out_
        return self


# a fairness metric needs groups, which the checks do not give
@parametrize_with_checks(
    [
        su.SoftUnlearner(logistic(), metric="adversarial_loss"),
        OfATrainedModel(logistic(), metric="adversarial_loss"),
    ],
    expected_failed_checks=lambda estimator: (
        {}
        if isinstance(estimator, OfATrainedModel)
        else {
            "check_sample_weight_equivalence_on_dense_data": DRAWN,
            "check_sample_weight_equivalence_on_sparse_data": DRAWN,
        }
    ),
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_rows_that_the_estimator_cannot_take_bring_its_own_error_wherever_they_fall(fitted, data):
    train = data.train
    X = train.X.astype(object)
    for held_out in (True, False):
        odd = X.copy()
        odd[np.flatnonzero(fitted.held_out_ == held_out)[0], 0] = {"no": "number"}
        with pytest.raises(TypeError, match="must be a string or a real number, not 'dict'"):
            su.SoftUnlearner(logistic()).fit(odd, train.y, sensitive_features=train.g)


def test_it_is_correct_on_a_clone_trained_on_the_rows_that_are_not_held_out(fitted, data):
    train, out = data.train, fitted.held_out_
    model = logistic().fit(train.X[~out], train.y[~out])
    by_hand = su.correct(
        model,
        train=(train.X[~out], train.y[~out]),
        validation=(train.X[out], train.y[out], train.g[out]),
    )
    assert fitted.correction_.status is su.Status.CORRECTED
    np.testing.assert_array_equal(fitted.correction_.weights, by_hand.weights)
    np.testing.assert_array_equal(fitted.estimator_.coef_, by_hand.model.coef_)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(by_hand.model, method)(data.test.X)
        np.testing.assert_array_equal(getattr(fitted, method)(data.test.X), expected)
    accuracy = (by_hand.model.predict(data.test.X) == data.test.y).mean()
    assert fitted.score(data.test.X, data.test.y) == accuracy


def test_every_option_of_correct_is_one_of_the_estimator():
    of_correct = dict(inspect.signature(su.correct).parameters)
    own = dict(inspect.signature(su.SoftUnlearner).parameters)
    for name in ("model", "train", "test", "progress"):
        of_correct.pop(name)
    assert set(own) == {"estimator", *of_correct}
    for name in set(of_correct) - {"validation"}:
        assert own[name].default == of_correct[name].default


def test_options_reach_correct(data):
    train = data.train
    options = {
        "metric": ["equal_opportunity", su.metrics.DemographicParity()],
        "hold": "adversarial_loss",
        "select": su.Select(metric_at_most=0.5),
        "only_above": 0.01,
        "insist": True,
        "choose_on": data.test,
    }
    model = su.SoftUnlearner(logistic(), validation=data.validation, **options)
    by_hand = su.correct(
        logistic().fit(train.X, train.y),
        train=train,
        validation=data.validation,
        **options,
    )
    c = model.fit(train.X, train.y).correction_
    assert c.target == "equal_opportunity, demographic_parity"
    assert c.chosen == by_hand.chosen
    np.testing.assert_array_equal(c.weights, by_hand.weights)
    assert not model.held_out_.any()


class TestFrozen:
    def test_it_is_correct_on_the_model_itself(self, data):
        train = data.train
        model = logistic().fit(train.X, train.y)
        coef = model.coef_.copy()
        frozen = su.SoftUnlearner(FrozenEstimator(model), validation=data.validation)
        by_hand = su.correct(model, train=train, validation=data.validation)
        c = frozen.fit(train.X, train.y).correction_
        assert c.status is su.Status.CORRECTED
        np.testing.assert_array_equal(c.weights, by_hand.weights)
        assert type(frozen.estimator_) is LogisticRegression
        np.testing.assert_array_equal(model.coef_, coef)
        assert clone(frozen).estimator is frozen.estimator

    def test_other_rows_must_decide(self, data):
        train = data.train
        frozen = FrozenEstimator(logistic().fit(train.X, train.y))
        with pytest.raises(ValueError, match="others must decide: give them as validation="):
            su.SoftUnlearner(frozen).fit(train.X, train.y, sensitive_features=train.g)
        same = su.SoftUnlearner(frozen, validation=(train.X, train.y, train.g))
        with pytest.raises(ValueError, match="has the rows given to `fit`, and must have others"):
            same.fit(train.X, train.y)

    def test_weights_are_those_it_was_trained_with(self, data, rng):
        train, weight = data.train, rng.uniform(0.5, 2.0, size=len(data.train))
        model = logistic().fit(train.X, train.y, sample_weight=weight)
        frozen = su.SoftUnlearner(FrozenEstimator(model), validation=data.validation)
        weighted = Rows(train.X, train.y, weight=weight)
        by_hand = su.correct(model, train=weighted, validation=data.validation)
        for routing in (False, True):
            with config_context(enable_metadata_routing=routing):
                c = frozen.fit(train.X, train.y, sample_weight=weight).correction_
                np.testing.assert_array_equal(c.weights, by_hand.weights)

    def test_a_model_that_is_not_trained_is_refused(self, data):
        frozen = FrozenEstimator(logistic())
        with pytest.raises(su.ModelError, match="not trained yet"):
            su.SoftUnlearner(frozen, validation=data.validation).fit(data.train.X, data.train.y)

    def test_scikit_learn_leaves_it_unchecked_as_it_does_any_frozen_estimator(self, data):
        frozen = FrozenEstimator(logistic().fit(data.train.X, data.train.y))
        assert get_tags(su.SoftUnlearner(frozen))._skip_test


def test_random_states_are_those_of_scikit_learn(data):
    train = data.train

    def out(random_state):
        model = su.SoftUnlearner(logistic(), select="none", random_state=random_state)
        return model.fit(train.X, train.y, sensitive_features=train.g).held_out_

    first = out(np.random.RandomState(5))
    np.testing.assert_array_equal(first, out(np.random.RandomState(5)))
    assert (first != out(None)).any()


class TestWeights:
    def test_they_train_the_estimator(self, data, rng):
        train, weight = data.train, rng.uniform(0.5, 2.0, size=len(data.train))
        model = su.SoftUnlearner(logistic(), select="none")  # which changes nothing
        model.fit(train.X, train.y, sensitive_features=train.g, sample_weight=weight)
        kept = ~model.held_out_
        expected = logistic().fit(train.X[kept], train.y[kept], sample_weight=weight[kept])
        np.testing.assert_array_equal(model.estimator_.coef_, expected.coef_)
        np.testing.assert_array_equal(model.correction_.session.rows["train"].weight, weight[kept])

    def test_a_weight_is_so_many_rows_where_the_rows_that_decide_are_given(self, data, rng):
        X, y = data.train.X, data.train.y
        weight = rng.integers(4, size=len(y))
        exact = LogisticRegression(tol=1e-10, max_iter=5000)
        model = su.SoftUnlearner(exact, validation=data.validation, select=HALF)
        weighted = clone(model).fit(X, y, sample_weight=weight)
        repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert weighted.correction_.status is su.Status.CORRECTED
        assert weighted.correction_.chosen == repeated.correction_.chosen
        # the two trainings end within 1e-10 in the gradient's largest entry
        np.testing.assert_allclose(
            weighted.predict_proba(data.test.X), repeated.predict_proba(data.test.X), atol=1e-6
        )

    @pytest.mark.parametrize(
        ("estimator", "keyword"),
        [
            (logistic(), "sample_weight"),
            (make_pipeline(StandardScaler(), logistic()), "logisticregression__sample_weight"),
            (
                GridSearchCV(make_pipeline(StandardScaler(), logistic()), {}),
                "logisticregression__sample_weight",
            ),
        ],
    )
    def test_they_go_to_the_last_step(self, estimator, keyword, data, rng):
        assert weight_keyword(estimator) == keyword
        train, weight = data.train, rng.integers(1, 3, size=len(data.train)).astype(float)
        model = su.SoftUnlearner(estimator, select="none", validation=data.validation)
        model.fit(train.X, train.y, sample_weight=weight)
        expected = clone(estimator).fit(train.X, train.y, **{keyword: weight})
        test = data.test.X
        np.testing.assert_array_equal(model.predict_proba(test), expected.predict_proba(test))

    def test_an_estimator_that_takes_none_refuses_them(self, data):
        class Unweighted(LogisticRegression):
            def fit(self, X, y):
                return super().fit(X, y)

        train = data.train
        for estimator in (Unweighted(), make_pipeline(Unweighted())):
            for routing in (False, True):
                with (
                    config_context(enable_metadata_routing=routing),
                    pytest.raises(ValueError, match=r"`sample_weight` was given, and the .* is"),
                ):
                    su.SoftUnlearner(estimator, validation=data.validation).fit(
                        train.X, train.y, sample_weight=np.ones(len(train))
                    )

    def test_they_are_one_column(self, data):
        weight = np.ones((len(data.train), 2))
        with pytest.raises(ValueError, match="`sample_weight` must be one column, got shape"):
            su.SoftUnlearner(logistic()).fit(data.train.X, data.train.y, sample_weight=weight)


def parity_gap(y, predicted, sensitive_features):
    rate = pd.Series(predicted).groupby(np.asarray(sensitive_features)).mean()
    return rate.max() - rate.min()


class TestRouting:
    def test_groups_pass_through_a_pipeline_and_a_search(self, data):
        train = data.train
        with config_context(enable_metadata_routing=True):
            unlearner = su.SoftUnlearner(logistic(), select="full")
            unlearner.set_fit_request(sensitive_features=True)
            pipeline = make_pipeline(StandardScaler(), unlearner)
            score = make_scorer(parity_gap, greater_is_better=False)
            score.set_score_request(sensitive_features=True)
            grid = {"softunlearner__estimator__C": [0.01, 1.0]}
            search = GridSearchCV(pipeline, grid, scoring=score, cv=2)
            search.fit(train.X, train.y, sensitive_features=train.g)
            plain = GridSearchCV(
                make_pipeline(StandardScaler(), logistic()), {}, scoring=score, cv=2
            ).fit(train.X, train.y, sensitive_features=train.g)
        c = search.best_estimator_[-1].correction_
        assert c.status is su.Status.CORRECTED
        assert set(c.before.validation.gaps) >= {"demographic_parity"}
        assert search.best_score_ > plain.best_score_

    def test_weights_pass_to_the_estimator_that_requests_them(self, data, rng):
        train, weight = data.train, rng.uniform(0.5, 2.0, size=len(data.train))
        with config_context(enable_metadata_routing=True):
            inner = make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                logistic().set_fit_request(sample_weight=True),
            )
            model = su.SoftUnlearner(inner, select="none", validation=data.validation)
            model.set_fit_request(sample_weight=True, sensitive_features=False)
            outer = make_pipeline(model).fit(train.X, train.y, sample_weight=weight)
            expected = clone(inner).fit(train.X, train.y, sample_weight=weight)
        test = data.test.X
        np.testing.assert_array_equal(outer.predict_proba(test), expected.predict_proba(test))
        np.testing.assert_array_equal(outer[-1].correction_.session.rows["train"].weight, weight)

    def test_what_nobody_asked_for_is_refused_not_dropped(self, data):
        train = data.train
        weight = np.ones(len(train))
        with config_context(enable_metadata_routing=True):
            unlearner = su.SoftUnlearner(logistic())
            with pytest.raises(UnsetMetadataPassedError, match="sensitive_features"):
                make_pipeline(unlearner).fit(train.X, train.y, sensitive_features=train.g)
            given = su.SoftUnlearner(logistic(), validation=data.validation)
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                given.fit(train.X, train.y, sample_weight=weight)
            unweighted = logistic().set_fit_request(sample_weight=False)
            with pytest.raises(ValueError, match="is not trained with it"):
                given.set_params(estimator=unweighted).fit(train.X, train.y, sample_weight=weight)

    def test_it_works_directly_with_routing_and_without(self, data, fitted):
        train = data.train
        with config_context(enable_metadata_routing=True):
            routed = clone(fitted).fit(train.X, train.y, sensitive_features=train.g)
        np.testing.assert_array_equal(routed.estimator_.coef_, fitted.estimator_.coef_)

    def test_pipelines_and_searches_pass_groups_without_routing_too(self, data, fitted):
        train = data.train
        groups = {"softunlearner__sensitive_features": train.g}
        pipeline = make_pipeline(clone(fitted)).fit(train.X, train.y, **groups)
        np.testing.assert_array_equal(pipeline[-1].estimator_.coef_, fitted.estimator_.coef_)
        search = GridSearchCV(clone(fitted), {"select": ["none", "full"]}, cv=2)
        search.fit(train.X, train.y, sensitive_features=train.g)
        assert search.best_estimator_.correction_.status in (
            su.Status.AUDITED,
            su.Status.CORRECTED,
        )
        assert search.best_params_["select"] == "none"  # the most accurate


@pytest.mark.parametrize("wrap", ["pipeline", "search"])
def test_pipelines_and_searches_can_be_inside(wrap, data):
    inner = make_pipeline(StandardScaler(), logistic())
    if wrap == "search":
        inner = GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    model = su.SoftUnlearner(inner).fit(
        data.train.X, data.train.y, sensitive_features=data.train.g
    )
    assert model.correction_.status is su.Status.CORRECTED
    assert type(model.estimator_) is type(inner)
    assert model.n_features_in_ == data.train.X.shape[1]


class TestScikitLearnsWays:
    def test_parameters_are_read_and_set(self):
        model = su.SoftUnlearner(logistic(C=2.0), metric="equal_opportunity")
        parameters = model.get_params()
        assert parameters["metric"] == "equal_opportunity"
        assert parameters["estimator__C"] == 2.0
        model.set_params(estimator__C=3.0, validation=0.5, select=su.Select())
        assert (model.estimator.C, model.validation) == (3.0, 0.5)
        again = clone(model)
        assert again.estimator is not model.estimator
        assert again.get_params()["select"] == su.Select()
        assert is_classifier(model)
        shown = repr(su.SoftUnlearner(LogisticRegression(C=2.0), validation=0.5))
        assert shown == "SoftUnlearner(estimator=LogisticRegression(C=2.0), validation=0.5)"

    def test_rows_can_be_a_parameter(self, data):
        model = su.SoftUnlearner(logistic(), validation=data.validation)
        again = clone(model)
        np.testing.assert_array_equal(again.validation.X, data.validation.X)
        assert "LogisticRegression" in repr(model)
        assert "LogisticRegression" in model._repr_html_()

    def test_a_notebook_shows_it(self, fitted):
        html = fitted._repr_html_()
        assert "SoftUnlearner" in html
        assert "LogisticRegression" in html

    def test_a_pickle_predicts_alike_and_holds_no_rows(self, fitted, data):
        written = pickle.dumps(fitted)
        assert len(written) < 10_000 < data.train.X.nbytes
        for again in (pickle.loads(written), copy.deepcopy(fitted)):
            test = data.test.X
            np.testing.assert_array_equal(again.predict_proba(test), fitted.predict_proba(test))
            np.testing.assert_array_equal(again.held_out_, fitted.held_out_)
            assert not hasattr(again, "correction_")
            with pytest.raises(AttributeError, match=r"Keep it with correction_\.save"):
                _ = again.correction_
        assert fitted.correction_.status is su.Status.CORRECTED

    def test_cross_validation_runs(self, data):
        done = cross_validate(
            su.SoftUnlearner(logistic()),
            data.train.X,
            data.train.y,
            params={"sensitive_features": data.train.g},
            cv=2,
            return_estimator=True,
        )
        assert all(hasattr(one, "correction_") for one in done["estimator"])

    def test_methods_are_those_of_the_estimator(self, data):
        model = su.SoftUnlearner(MLPClassifier(max_iter=5))
        assert not hasattr(model, "decision_function")
        assert hasattr(model, "predict_proba")
        assert not hasattr(su.SoftUnlearner(SGDClassifier(loss="hinge")), "predict_proba")
        with pytest.raises(AttributeError, match="has no attribute 'decision_function'"):
            _ = model.decision_function
        for attribute in ("classes_", "n_features_in_", "correction_"):
            with pytest.raises(AttributeError, match=f"has no attribute '{attribute}'"):
                getattr(model, attribute)
        with pytest.raises(NotFittedError):
            model.predict(data.test.X)

    def test_names_of_columns_are_those_of_the_estimator(self, data):
        frame = pd.DataFrame(data.train.X, columns=list(data.train.feature_names))
        model = su.SoftUnlearner(logistic(), select="none")
        model.fit(frame, data.train.y, sensitive_features=data.train.g)
        np.testing.assert_array_equal(model.feature_names_in_, data.train.feature_names)
        model.fit(data.train.X, data.train.y, sensitive_features=data.train.g)
        assert not hasattr(model, "feature_names_in_")

    def test_tags_are_the_estimators(self):
        assert get_tags(su.SoftUnlearner(logistic())).input_tags.sparse
        assert not get_tags(su.SoftUnlearner(RandomForestClassifier())).non_deterministic
        assert get_tags(su.SoftUnlearner(logistic())).target_tags.required


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"validation": 0}, ValueError, "`validation` must be a part of the rows, above 0"),
            ({"validation": 1.0}, ValueError, r"\(X, y, g\), got 1.0"),
            ({"validation": "some"}, TypeError, "`validation` must be su.Rows or a tuple"),
            ({"metric": "parity"}, ValueError, "`metric` must be one of 'demographic_parity'"),
            ({"hold": "parity"}, ValueError, "`hold` must be one of"),
            ({"algorithm": "x"}, ValueError, "`algorithm` must be one of"),
            ({"random_state": "x"}, ValueError, "cannot be used to seed"),
            ({"estimator": 3}, TypeError, "`estimator` must be a scikit-learn classifier, got a"),
            ({"estimator": RandomForestClassifier(2)}, su.ModelError, "RandomForestClassifier"),
        ],
    )
    def test_each_option_has_its_line(self, data, options, error, message):
        train, given = data.train, {"estimator": logistic(), **options}
        with pytest.raises(error, match=message) as caught:
            su.SoftUnlearner(**given).fit(train.X, train.y, sensitive_features=train.g)
        assert "\n" not in str(caught.value)

    def test_a_metric_that_compares_groups_needs_them(self, data):
        train = data.train
        for metric in ("demographic_parity", ["adversarial_loss", "equal_opportunity"]):
            with pytest.raises(su.InputError, match="fit was given none: give it `sensitive_fea"):
                su.SoftUnlearner(logistic(), metric=metric).fit(train.X, train.y)
        held = su.SoftUnlearner(logistic(), metric="adversarial_loss", hold="demographic_parity")
        with pytest.raises(su.InputError, match="fit was given none"):
            held.fit(train.X, train.y)
        given = su.SoftUnlearner(logistic(), validation=(data.validation.X, data.validation.y))
        with pytest.raises(su.InputError, match="`validation` has no groups"):
            given.fit(train.X, train.y)

    def test_groups_that_cannot_be_read_are_named(self, data):
        train = data.train
        g = np.array(train.g, dtype=object)
        g[7] = None
        with pytest.raises(su.InputError, match=r"`sensitive_features`: 1 rows have no group.*7"):
            su.SoftUnlearner(logistic()).fit(train.X, train.y, sensitive_features=g)
        for some in (train.g[1:], {"sex": train.g[1:]}):
            with pytest.raises(ValueError, match="inconsistent numbers of samples"):
                su.SoftUnlearner(logistic()).fit(train.X, train.y, sensitive_features=some)
        with pytest.raises(su.InputError, match="all rows are of group 'a'; a gap needs at least"):
            su.SoftUnlearner(logistic()).fit(
                train.X, train.y, sensitive_features=["a"] * len(train)
            )

    def test_too_few_rows_are_said_to_be_so(self):
        class Constant(LogisticRegression):
            def fit(self, X, y):
                self.coef_, self.intercept_ = np.zeros((1, 1)), np.zeros(1)
                self.classes_ = np.array([0, 1])
                return self

        model = su.SoftUnlearner(Constant(), metric="adversarial_loss")
        with pytest.raises(su.InputError, match=r"0\.25 of the rows of each class is not one row"):
            model.fit([[0.0], [1.0]], [0, 1])
