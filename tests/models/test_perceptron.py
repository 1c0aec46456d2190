"""scikit-learn's MLPClassifier: what its head predicts is what it does itself."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import softunlearn as su
from softunlearn.exceptions import InputError, ModelError
from softunlearn.influence import stationarity
from softunlearn.models import Encoder, adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

# most of these are not trained to the end, and need not be
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 200
NAMES = np.array(["clerk", "nurse", "smith"])


def perceptron(**options):
    given = {"hidden_layer_sizes": (6, 4), "solver": "lbfgs", "alpha": 0.5, "random_state": 0}
    return MLPClassifier(
        **{**given, "max_iter": 3000, "tol": 1e-12, "max_fun": 100_000, **options}
    )


@pytest.fixture
def X(rng):
    return rng.normal(size=(N, 3))


def labels(X, n_classes):
    noise = np.random.default_rng(1).normal(size=N)
    return NAMES[np.digitize(X[:, 0] * X[:, 1] + noise, np.arange(n_classes - 1))]


def predicted(z):
    p = np.column_stack([1 - expit(z), expit(z)])
    return p if z.shape[1] == 1 else softmax(z, axis=1)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("sizes", [(), (5,), (6, 4)])
def test_head_and_features_predict_what_the_model_does(sizes, n_classes, activation, X):
    model = perceptron(hidden_layer_sizes=sizes, activation=activation, max_iter=30)
    model.fit(X, labels(X, n_classes))
    adapter = adapt(model)
    head = adapter.head(N)
    phi = adapter.features(X)
    assert phi.shape == (N, sizes[-1] if sizes else 3)
    assert head.classes == tuple(NAMES[:n_classes])
    np.testing.assert_allclose(predicted(head.logits(phi)), model.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(adapter.logits(X), head.logits(phi), atol=1e-12)
    assert (adapter.feature_names() is None) == (not sizes)
    changed = head.with_theta(head.theta + np.linspace(-1, 1, head.n_parameters))
    corrected = adapter.with_head(changed)
    expected = predicted(changed.logits(phi))
    np.testing.assert_allclose(corrected.predict_proba(X), expected, atol=1e-12)
    assert type(corrected) is MLPClassifier
    same = adapter.with_head(head).predict_proba(X)
    np.testing.assert_array_equal(same, model.predict_proba(X))
    assert np.abs(model.predict_proba(X) - expected).max() > 0.01  # the original is as it was


@pytest.mark.parametrize("alpha", [0.2, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_converged_model_is_at_the_optimum_of_our_objective(n_classes, alpha, X):
    model = perceptron(hidden_layer_sizes=(4,), alpha=alpha, activation="tanh").fit(
        X, labels(X, n_classes)
    )
    adapter = adapt(model)
    encoder = Encoder(adapter, adapter.head(N))
    assert encoder.head.l2 == alpha
    rows = encoder.encode(Rows(X, labels(X, n_classes)), "train", train=True)
    # SciPy stops at a relative fall of the loss of 2e-9: at the root of that in the gradient
    assert stationarity(HeadObjective(encoder.head, rows)) < 2e-3
    doubled = replace(encoder.head, l2=2 * alpha)
    assert stationarity(HeadObjective(doubled, rows)) > 0.05


@pytest.mark.parametrize(("solver", "rate"), [("adam", 0.01), ("sgd", 0.02)])
@pytest.mark.parametrize("batch_size", ["auto", 50])
def test_stochastic_solvers_add_the_penalty_once_a_batch(solver, rate, batch_size, rng):
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] + rng.normal(size=400) > 0).astype(int)
    model = perceptron(
        hidden_layer_sizes=(),
        solver=solver,
        alpha=20.0,
        batch_size=batch_size,
        learning_rate_init=rate,
        max_iter=400,
        n_iter_no_change=400,
    )
    model.fit(X, y)
    head = adapt(model).head(400)
    assert head.l2 == 20.0 * (2 if batch_size == "auto" else 8)
    exact = LogisticRegression(C=1 / head.l2, tol=1e-8).fit(X, y)
    # the last steps' noise; half or double the penalty is off by 0.07 and more
    np.testing.assert_allclose(head.W, exact.coef_, atol=0.025)


@pytest.mark.parametrize("wrap", ["pipeline", "nested", "search", "search in pipeline"])
def test_a_corrected_pipeline_predicts_through_its_own_steps(wrap, rng):
    frame = pd.DataFrame(
        {"age": rng.normal(40, 10, size=N), "job": rng.choice(NAMES, size=N), "extra": 1.0}
    )
    y = (frame.age + 10 * rng.normal(size=N) > 40).to_numpy()
    columns = make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["age"]))
    small = perceptron(hidden_layer_sizes=(4,), max_iter=20)
    grid = {"alpha": [0.1, 1.0]}
    model = {
        "pipeline": lambda: make_pipeline(columns, small),
        "nested": lambda: make_pipeline(columns, make_pipeline(StandardScaler(), small)),
        "search": lambda: GridSearchCV(
            make_pipeline(columns, small), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2
        ),
        "search in pipeline": lambda: make_pipeline(columns, GridSearchCV(small, grid, cv=2)),
    }[wrap]().fit(frame, y)
    adapter = adapt(model)
    head = adapter.head(N)
    rows = Encoder(adapter, head).encode(Rows(frame, y), "train", train=True)
    assert rows.feature_names == tuple(f"hidden unit {j}" for j in range(4))
    changed = head.with_theta(head.theta + 0.1)
    corrected = adapter.with_head(changed)
    assert type(corrected) is type(model)
    np.testing.assert_allclose(corrected.predict_proba(frame), predicted(changed.logits(rows.X)))


def test_sparse_rows_and_dataframes_give_the_same_features(X):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = perceptron(max_iter=3000, tol=1e-2).fit(frame, labels(X, 2))
    adapter = adapt(model)
    expected = adapter.features(frame)
    np.testing.assert_array_equal(adapter.features(X), expected)
    np.testing.assert_allclose(adapter.features(sparse.csr_matrix(X)), expected, atol=1e-12)
    np.testing.assert_allclose(adapter.logits(sparse.csr_array(X)), adapter.logits(frame))
    with pytest.raises(InputError, match="X has 2 columns where the model was trained with 3"):
        adapter.features(X[:, :2])
    bad = np.where(np.arange(3) == 1, np.inf, X)
    with pytest.raises(InputError, match="feature 'hidden unit 0' is"):
        Encoder(adapter, adapter.head(N)).encode(Rows(bad, labels(X, 2)), "train")


def test_float32_stays_float32(X):
    X = X.astype(np.float32)
    model = perceptron(solver="adam", max_iter=5).fit(X, labels(X, 2))
    adapter = adapt(model)
    assert adapter.features(X).dtype == np.float32
    corrected = adapter.with_head(adapter.head(N))
    assert {W.dtype for W in corrected.coefs_} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(corrected.predict_proba(X), model.predict_proba(X))


def test_what_has_no_such_head_is_refused_with_a_way_out(X):
    several = perceptron(tol=1e-1).fit(X, (X[:, :2] > 0).astype(int))
    cases = [
        (perceptron(), "MLPClassifier is not trained yet: call fit"),
        (make_pipeline(StandardScaler(), perceptron()), "is not trained yet"),
        (several, "predicts 2 labels at once. Train one for each"),
        (MLPRegressor(), "ends in a MLPRegressor, which has no linear head.*or MLPClassifier"),
    ]
    for model, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            adapt(model)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metric", ["demographic_parity", "adversarial_loss"])
def test_a_perceptron_on_the_census_is_corrected(metric, census):
    model = MLPClassifier((8,), alpha=1.0, max_iter=60, learning_rate_init=0.01, random_state=0)
    model.fit(census.train.X, census.train.y)
    coefs = copy.deepcopy(model.coefs_)
    c = su.correct(
        model, train=census.train, validation=census.validation, test=census.test, metric=metric
    )
    assert c.status is su.Status.CORRECTED
    for before, same, after in zip(coefs, model.coefs_, c.model.coefs_, strict=True):
        np.testing.assert_array_equal(before, same)
        assert (after != same).any() == (len(same) == 8)
    accuracy = (c.model.predict(census.test.X) == census.test.y).mean()
    np.testing.assert_allclose(c.after.test.accuracy, accuracy)
    if metric == "demographic_parity":
        p, female = c.model.predict_proba(census.test.X)[:, 1], census.test.g == "Female"
        gap = abs(p[female].mean() - p[~female].mean())
        np.testing.assert_allclose(c.after.test.gaps[metric].probabilities, gap)
