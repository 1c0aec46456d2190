"""Models as users have them: what comes out predicts through their own pipeline."""

import copy
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from softunlearn.exceptions import InputError, ModelError
from softunlearn.influence import stationarity
from softunlearn.models import Encoder, adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@pytest.fixture
def frame(rng):
    return pd.DataFrame(
        {
            "age": rng.integers(20, 60, size=200).astype(float),
            "job": rng.choice(["nurse", "smith", "clerk"], size=200),
            "extra": rng.normal(size=200),
        }
    )


@pytest.fixture
def y(rng, frame):
    return np.where(frame.age + 10 * rng.normal(size=200) > 40, "yes", "no")


def columns():
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["job"]), (StandardScaler(), ["age"])
    )


def logistic(**options):
    return LogisticRegression(tol=1e-9, max_iter=5000, **options)


# from 1.8 on scikit-learn warns of its old attributes, unless it is told that they are not meant
NEW_ATTRIBUTES: Any = (
    {"l1_ratios": (0.0,), "use_legacy_attributes": False}
    if "use_legacy_attributes" in signature(LogisticRegressionCV).parameters
    else {}
)
LINEAR_MODELS = {
    "plain": logistic(),
    "no intercept": logistic(fit_intercept=False),
    "no penalty": logistic(C=np.inf),
    "strong penalty": logistic(C=0.01),
    "class weight": logistic(class_weight="balanced"),
    "newton": LogisticRegression(solver="newton-cholesky", tol=1e-9),
    "cv": LogisticRegressionCV(
        Cs=3,
        tol=1e-9,
        max_iter=5000,
        scoring="accuracy",
        **NEW_ATTRIBUTES,
    ),
}


@pytest.mark.parametrize("name", LINEAR_MODELS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_converged_model_is_at_the_optimum_of_our_objective(name, n_classes, rng):
    """So penalty, intercept, class weights and layout are read as scikit-learn means them."""
    X = rng.normal(size=(300, 4))
    y = np.digitize(X @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=300), np.arange(n_classes - 1))
    model = copy.deepcopy(LINEAR_MODELS[name]).fit(X, y)
    adapter = adapt(model)
    head = adapter.head(len(y))
    rows = Encoder(adapter, head).encode(Rows(X, y), "train", train=True)
    assert stationarity(HeadObjective(head, rows)) < 1e-5
    np.testing.assert_allclose(head.logits(X), adapter.logits(X))


def test_sgd_penalty_is_read_in_the_sum_convention(rng):
    """alpha weighs a mean loss: the same optimum as a LogisticRegression of C = 1 / (alpha n)."""
    X = rng.normal(size=(500, 3))
    y = (X[:, 0] + rng.normal(size=500) > 0).astype(int)
    sgd = SGDClassifier(
        loss="log_loss", alpha=0.01, max_iter=2000, tol=None, average=True, random_state=0
    )
    head = adapt(sgd.fit(X, y)).head(500)
    np.testing.assert_allclose(head.l2, 0.01 * 500)
    exact = logistic(C=1 / head.l2).fit(X, y)
    np.testing.assert_allclose(head.W, exact.coef_, atol=0.02)
    elastic = SGDClassifier(loss="log_loss", penalty="elasticnet", l1_ratio=0.25, alpha=0.01)
    np.testing.assert_allclose(adapt(elastic.fit(X, y)).head(500).l2, 0.75 * 5)


def test_sample_weights_of_training_count(rng):
    X, y = rng.normal(size=(200, 3)), rng.integers(2, size=200)
    weight = rng.uniform(0.1, 3.0, size=200)
    adapter = adapt(logistic().fit(X, y, sample_weight=weight))
    encoder = Encoder(adapter, adapter.head(200))
    given = encoder.encode(Rows(X, y, weight=weight), "train", train=True)
    forgotten = encoder.encode(Rows(X, y), "train", train=True)
    assert stationarity(HeadObjective(encoder.head, given)) < 1e-6
    assert stationarity(HeadObjective(encoder.head, forgotten)) > 1e-3


@pytest.mark.parametrize("wrap", ["pipeline", "nested", "search", "search in pipeline"])
def test_a_corrected_pipeline_predicts_through_its_own_steps(wrap, frame, y):
    grid = {"C": [0.1, 1.0]}
    model = {
        "pipeline": lambda: make_pipeline(columns(), logistic()),
        "nested": lambda: make_pipeline(columns(), make_pipeline(StandardScaler(), logistic())),
        "search": lambda: GridSearchCV(
            make_pipeline(columns(), logistic()), {"logisticregression__C": [0.1, 1.0]}
        ),
        "search in pipeline": lambda: make_pipeline(columns(), GridSearchCV(logistic(), grid)),
    }[wrap]().fit(frame, y)
    adapter = adapt(model)
    head = adapter.head(len(y))
    phi = adapter.features(frame)
    np.testing.assert_allclose(head.logits(phi), adapter.logits(frame))
    before = model.predict_proba(frame)
    changed = adapter.with_head(head.with_theta(head.theta + 0.1))
    assert type(changed) is type(model)
    z = head.with_theta(head.theta + 0.1).logits(phi)
    np.testing.assert_allclose(changed.predict_proba(frame)[:, 1], 1 / (1 + np.exp(-z[:, 0])))
    np.testing.assert_array_equal(model.predict_proba(frame), before)
    same = adapter.with_head(head).predict_proba(frame)
    np.testing.assert_array_equal(same, before)


def test_names_of_features_pass_through_the_pipeline(frame, y):
    model = make_pipeline(columns(), logistic()).fit(frame, y)
    names = adapt(model).feature_names()
    assert names == (
        "onehotencoder__job_clerk",
        "onehotencoder__job_nurse",
        "onehotencoder__job_smith",
        "standardscaler__age",
    )
    assert adapt(logistic().fit(frame[["age"]], y)).feature_names() == ("age",)


def test_what_has_no_linear_head_is_refused_with_a_way_out(rng):
    X, y = rng.normal(size=(60, 2)), rng.integers(3, size=60)
    binary = y > 0
    cases = [
        (RandomForestClassifier(n_estimators=2).fit(X, y), "ends in a RandomForestClassifier"),
        (LinearSVC().fit(X, binary), "ends in a LinearSVC"),
        (CalibratedClassifierCV(logistic()).fit(X, binary), "ends in a CalibratedClassifierCV"),
        (logistic(), "LogisticRegression is not trained yet: call fit"),
        (make_pipeline(StandardScaler(), logistic()), "is not trained yet"),
        (SGDClassifier().fit(X, binary), "loss='hinge'.*Train it with loss='log_loss'"),
        (SGDClassifier(loss="log_loss").fit(X, y), "one class against the rest"),
        ("a string", "No linear head is known in a str"),
        (None, "NoneType"),
    ]
    for model, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            adapt(model)
        assert "\n" not in str(caught.value)


class Contrary(LogisticRegression):
    """Predicts the opposite of its coefficients."""

    def decision_function(self, X):
        return -super().decision_function(X)


def test_a_model_that_does_not_predict_by_its_head_is_refused(rng):
    X, y = rng.normal(size=(60, 2)), rng.integers(2, size=60)
    adapter = adapt(Contrary().fit(X, y))
    with pytest.raises(ModelError, match="not those of its last linear layer"):
        Encoder(adapter, adapter.head(60)).encode(Rows(X, y), "train")


def test_rows_are_met_in_the_order_in_which_batches_take_them(rng):
    """A dataframe's columns lie one after the other; NumPy would copy all for every batch."""
    X = np.asfortranarray(rng.normal(size=(50, 3)))
    model = LogisticRegression().fit(X, rng.integers(2, size=50))
    phi = adapt(model).features(pd.DataFrame(X, columns=["a", "b", "c"]).to_numpy())
    assert phi.flags.c_contiguous
    np.testing.assert_array_equal(phi, X)


def test_what_an_error_announces_on_its_next_line_is_said():
    X = pd.DataFrame({"hours": [1.0, 2.0, 3.0, None]})
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, [0, 1, 0, 1])
    with pytest.raises(InputError, match=r"cannot take these rows: .* 'many'"):
        adapt(model).features(X.astype(object).replace(2.0, "many"))
