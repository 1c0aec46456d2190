"""Exact leave-one-out against models that scikit-learn trains from the start, one for each row."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import softunlearn as su
from softunlearn import refits as module
from softunlearn.curvature import Cholesky
from softunlearn.exceptions import NoOptimumError, SoftUnlearnWarning
from softunlearn.influence import leverage
from softunlearn.leave_one_out import leave_one_out
from softunlearn.models import adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


def drawn(rng, n=150, d=4, n_classes=2, weighted=False):
    """Rows whose labels follow the features, in part."""
    X = rng.normal(size=(n, d)) * [1.0, 3.0, 0.3, 1.0][:d]
    z = X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(n, n_classes)) * 1.5
    weight = rng.uniform(0.3, 2.0, size=n) if weighted else None
    return Rows(X, z.argmax(axis=1), rng.integers(2, size=n), weight)


def targets_on(rows):
    metrics = (su.metrics.LogLoss(), su.metrics.DemographicParity(positive=1))
    return [su.Target(metric, rows) for metric in metrics]


def measured(model, rows):
    """The metrics of `targets_on`, by other means."""
    p, classes = model.predict_proba(rows.X), model.classes_
    gap = p[rows.g == 0, 1].mean() - p[rows.g == 1, 1].mean()
    return np.array([log_loss(rows.y, p, normalize=False, labels=classes), abs(gap)])


def exact(**options):
    return LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000, **options)


def refitted_changes(model, train, validation, left_out):
    """Each metric after a fit without the row, less that after a fit with it."""

    def fitted(keep):
        weight = None if train.weight is None else train.weight[keep]
        return measured(model.fit(train.X[keep], train.y[keep], weight), validation)

    everything = np.arange(len(train))
    before = fitted(everything)
    return np.array([fitted(np.delete(everything, i)) - before for i in left_out])


def random_and_highest_leverage(model, train, rng):
    objective = HeadObjective(adapt(model).head(len(train)), train)
    h = leverage(objective, Cholesky().factor(objective))
    return np.concatenate([rng.choice(len(train), 5, replace=False), np.argsort(-h)[:5]])


def assert_close(found, expected):
    """To 1e-6 of each change; changes far below the others are known to 1e-8 of those."""
    small = 1e-8 * np.abs(expected).max(axis=0)
    error = np.abs(found - expected) / (1e-6 * np.abs(expected) + small)
    assert error.max() <= 1, f"{error.max():.3g} times the tolerance"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_changes_are_those_of_cold_refits(n_classes, intercept, weighted, rng):
    train = drawn(rng, n_classes=n_classes, weighted=weighted)
    validation = drawn(rng, n_classes=n_classes)
    model = exact(C=2.0, fit_intercept=intercept).fit(train.X, train.y, train.weight)
    rows = random_and_highest_leverage(model, train, rng)
    found = leave_one_out(model, train, targets_on(validation), rows=rows)
    assert_close(found, refitted_changes(model, train, validation, rows))


def test_changes_without_a_penalty_are_those_of_cold_refits(rng):
    train, validation = drawn(rng), drawn(rng)
    model = exact(C=np.inf).fit(train.X, train.y)
    rows = random_and_highest_leverage(model, train, rng)
    found = leave_one_out(model, train, targets_on(validation), rows=rows)
    assert_close(found, refitted_changes(model, train, validation, rows))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_model_stopped_early_is_first_trained_to_the_end(n_classes, rng):
    train, validation = drawn(rng, n_classes=n_classes), drawn(rng, n_classes=n_classes)
    early = LogisticRegression(C=2.0, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        early.fit(train.X, train.y)
    found = leave_one_out(early, train, targets_on(validation), rows=[3, 1, 4])
    assert_close(found, refitted_changes(exact(C=2.0), train, validation, [3, 1, 4]))


def test_the_only_row_of_its_category_is_left_out_exactly(rng):
    """Its leverage is near 1: no other row says anything of that category's parameter."""
    drawn_train, drawn_validation = drawn(rng), drawn(rng)
    category = np.zeros((150, 2))
    category[7, 0], category[90:, 1] = 1.0, 1.0
    elsewhere = np.zeros((150, 2))
    elsewhere[:40, 0] = 1.0
    train = drawn_train.with_features(np.hstack([drawn_train.X, category]))
    validation = drawn_validation.with_features(np.hstack([drawn_validation.X, elsewhere]))
    model = exact(C=1e3).fit(train.X, train.y)
    objective = HeadObjective(adapt(model).head(150), train)
    assert leverage(objective, Cholesky().factor(objective))[7] > 0.8
    found = leave_one_out(model, train, targets_on(validation), rows=[7, 8])
    assert_close(found, refitted_changes(model, train, validation, [7, 8]))


def test_units_and_offsets_of_features_change_nothing(rng):
    """Without a penalty a model is the same in any units; its refits are found in all of them."""
    train, validation = drawn(rng), drawn(rng)
    scale, offset = np.array([1e4, 1.0, 1e-3, 1.0]), np.array([5e4, 2000.0, 0.0, 0.0])
    model = exact(C=np.inf).fit(train.X, train.y)
    rows = random_and_highest_leverage(model, train, rng)
    expected = refitted_changes(exact(C=np.inf), train, validation, rows)
    model.coef_ = model.coef_ / scale
    model.intercept_ = model.intercept_ - model.coef_ @ offset
    moved = [part.with_features(part.X * scale + offset) for part in (train, validation)]
    found = leave_one_out(model, moved[0], targets_on(moved[1]), rows=rows)
    assert_close(found, expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_newton_steps_of_a_models_own_lead_to_the_same_optimum(n_classes, rng, monkeypatch):
    """What follows where the shared factor does not converge."""
    train, validation = drawn(rng, n_classes=n_classes), drawn(rng, n_classes=n_classes)
    model = exact(C=2.0).fit(train.X, train.y)
    rows = random_and_highest_leverage(model, train, rng)
    monkeypatch.setattr(module, "MAX_STEPS", 0)
    found = leave_one_out(model, train, targets_on(validation), rows=rows)
    assert_close(found, refitted_changes(model, train, validation, rows))


def test_a_heavy_row_is_left_out_exactly(rng):
    """It weighs as much as all others: the Hessian without it is far from the one with it."""
    train, validation = drawn(rng, weighted=True), drawn(rng)
    train.weight[5] = 300.0
    model = exact(C=10.0).fit(train.X, train.y, train.weight)
    found = leave_one_out(model, train, targets_on(validation), rows=[5])
    assert_close(found, refitted_changes(model, train, validation, [5]))


def test_a_row_of_no_weight_changes_nothing(rng):
    train = drawn(rng, weighted=True)
    train.weight[5] = 0.0
    model = exact(C=2.0).fit(train.X, train.y, train.weight)
    found = leave_one_out(model, train, targets_on(drawn(rng)), rows=[5])
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


def test_the_size_of_a_block_and_the_order_of_rows_change_nothing(rng, monkeypatch):
    train, validation = drawn(rng), drawn(rng)
    model = exact(C=2.0).fit(train.X, train.y)
    every = leave_one_out(model, train, targets_on(validation))
    assert every.shape == (150, 2)
    monkeypatch.setattr(module, "MODELS", 3)
    monkeypatch.setattr(module, "CHUNK_BYTES", 2048)
    monkeypatch.setattr(module, "MAX_BYTES", 2**16)
    monkeypatch.setattr(module, "THREADS", 3)
    rows = rng.permutation(150)
    assert_close(leave_one_out(model, train, targets_on(validation), rows=rows), every[rows])


def test_leverage_makes_influence_exact_where_categories_are_rare(rng):
    """Pearson over all rows, a third of them in a category of their own."""
    n, single = 300, 100
    X = np.hstack([rng.normal(size=(n, 3)), np.eye(n)[:, :single]])
    y = (X[:, 0] + rng.logistic(size=n) > 0).astype(int)
    elsewhere = np.hstack(
        [rng.normal(size=(n, 3)), 0.1 * np.eye(single)[rng.integers(single, size=n)]]
    )
    model = exact(C=5.0).fit(X, y)
    target = su.Target(su.metrics.LogLoss(), (elsewhere, rng.integers(2, size=n)))
    found = leave_one_out(model, (X, y), target)[:, 0]
    influence = su.influence_scores(model, (X, y), target)[:, 0]
    corrected = su.influence_scores(model, (X, y), target, leverage=True)[:, 0]
    assert np.corrcoef(found, influence)[0, 1] < 0.99
    assert np.corrcoef(found, corrected)[0, 1] >= 0.999


def test_training_without_an_end_is_an_error(rng):
    X = rng.normal(size=(60, 2))
    model = exact(C=1.0).fit(X, X[:, 0] > 0)
    model.C = np.inf  # separable classes, and no penalty any more
    with pytest.raises(NoOptimumError, match="penalty"):
        leave_one_out(model, (X, X[:, 0] > 0), targets_on(Rows(X, X[:, 0] > 0, X[:, 1] > 0)))


def test_a_row_without_which_training_has_no_end_is_reported(rng):
    """Without a penalty, and without the one row that keeps the classes from being separable."""
    x = np.concatenate([np.linspace(-3, -1, 30), np.linspace(1, 3, 30), [2.0]])
    X, y = x[:, None], np.concatenate([np.zeros(30, int), np.ones(30, int), [0]])
    model = exact(C=np.inf).fit(X, y)
    target = su.Target(su.metrics.LogLoss(), (X, y))
    with pytest.warns(SoftUnlearnWarning, match="row 60"):
        found = leave_one_out(model, (X, y), target, rows=[0, 60])
    assert np.isfinite(found[:, 0]).tolist() == [True, False]


def test_wrong_options_are_refused(rng):
    train = drawn(rng)
    model, target = exact().fit(train.X, train.y), targets_on(train)[0]
    for rows in ([150], [-1]):
        with pytest.raises(ValueError, match="between 0 and 149"):
            leave_one_out(model, train, target, rows=rows)
    for rows in ([0.5], [[1]], np.ones(150, bool)):
        with pytest.raises(TypeError, match="positions"):
            leave_one_out(model, train, target, rows=rows)
    with pytest.raises(ValueError, match="tolerance"):
        leave_one_out(model, train, target, tolerance=0)
    with pytest.raises(TypeError, match="Target"):
        leave_one_out(model, train, [])


def test_progress_ends_at_one_and_no_rows_give_no_changes(rng):
    train = drawn(rng)
    model, seen = exact().fit(train.X, train.y), []
    leave_one_out(
        model, train, targets_on(train), rows=[1, 2], progress=lambda what, part: seen.append(part)
    )
    assert seen[-1] == 1.0
    assert leave_one_out(model, train, targets_on(train), rows=[]).shape == (0, 2)


def test_progress_is_the_part_of_the_rows_that_is_done(rng, monkeypatch):
    import softunlearn.refits as module

    monkeypatch.setattr(module, "MAX_BYTES", 1)  # a row at a time
    train = drawn(rng)
    model, seen = exact().fit(train.X, train.y), []
    options = {"rows": range(8), "progress": lambda what, part: seen.append(part)}
    leave_one_out(model, train, targets_on(train), **options)
    np.testing.assert_allclose(seen, np.arange(9) / 8)


@pytest.mark.data
@pytest.mark.slow
def test_adult_changes_are_those_of_cold_refits(adult, rng):
    """The row of highest leverage, 0.999, is the only one of its native country.

    What it does to utility and what it does to the gap differ by seven powers of ten.
    """
    validation = Rows(adult.validation.X, adult.validation.y, adult.validation.g == "Male")
    model = exact(C=1 / 2.2622, fit_intercept=False).fit(adult.train.X, adult.train.y)
    rows = random_and_highest_leverage(model, adult.train, rng)[3:7]
    found = leave_one_out(model, adult.train, targets_on(validation), rows=rows, tolerance=1e-8)
    assert_close(found, refitted_changes(model, adult.train, validation, rows))


def test_a_torch_head_gives_the_changes_of_the_same_head_in_scikit_learn(rng):
    """Two logits of a module are one of half the penalty; float32 weights are not the optimum."""
    torch = pytest.importorskip("torch")
    train, validation = drawn(rng), drawn(rng)
    single = [part.with_features(part.X.astype(np.float32)) for part in (train, validation)]
    model = exact(C=2.0).fit(single[0].X.astype(float), train.y)
    module_ = torch.nn.Linear(4, 2)
    with torch.no_grad():
        module_.weight[1] = torch.from_numpy(model.coef_[0] / 2)
        module_.weight[0] = -module_.weight[1]
        module_.bias[1] = float(model.intercept_[0])
        module_.bias[0] = 0.0
    wrapped = su.models.TorchModule(module_, l2=1.0)
    found = leave_one_out(wrapped, single[0], targets_on(single[1]), rows=[3, 1, 4])
    inputs = [part.with_features(part.X.astype(float)) for part in single]
    assert_close(found, refitted_changes(model, inputs[0], inputs[1], [3, 1, 4]))


def test_a_run_that_was_interrupted_goes_on_where_it_was(rng, tmp_path, monkeypatch):
    train, validation = drawn(rng, n=60), drawn(rng)
    model = exact(C=2.0).fit(train.X, train.y)
    monkeypatch.setattr(module, "MODELS", 8)
    whole = leave_one_out(model, train, targets_on(validation))
    seen: list[float] = []

    def interrupt(what, part):
        seen.append(part)
        if part > 0.5:
            raise KeyboardInterrupt

    cache = su.ArrayCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        leave_one_out(model, train, targets_on(validation), cache=cache, progress=interrupt)
    computed, refits = [], module._refits
    monkeypatch.setattr(
        module, "_refits", lambda *given: computed.append(len(given[2])) or refits(*given)
    )
    again = leave_one_out(model, train, targets_on(validation), cache=cache)
    np.testing.assert_array_equal(again, whole)
    assert sum(computed) == 60 - round(60 * seen[-1])
    leave_one_out(model, train, targets_on(validation), cache=cache)
    assert sum(computed) == 60 - round(60 * seen[-1])


@pytest.mark.parametrize("changed", ["X", "y", "metric", "C", "tolerance"])
def test_what_is_kept_is_of_the_same_model_rows_and_targets_alone(changed, rng, tmp_path):
    train, validation, C = drawn(rng, n=60), drawn(rng), 2.0
    options = {"rows": [1, 2], "cache": su.ArrayCache(tmp_path)}
    model = exact(C=C).fit(train.X, train.y)
    leave_one_out(model, train, targets_on(validation), **options)
    targets = targets_on(validation)
    if changed == "X":
        train = train.with_features(train.X + 0.1 * rng.normal(size=train.X.shape))
    elif changed == "y":
        validation = Rows(validation.X, 1 - validation.y, validation.g)
        targets = targets_on(validation)
    elif changed == "metric":
        targets[1] = su.Target(su.metrics.EqualOpportunity(positive=1), validation)
    elif changed == "C":
        model = exact(C=20.0).fit(train.X, train.y)
    else:
        options["tolerance"] = 1e-2
    found = leave_one_out(model, train, targets, **options)
    del options["cache"]
    np.testing.assert_array_equal(found, leave_one_out(model, train, targets, **options))


def test_a_cache_refuses_what_it_cannot_tell_apart(rng, tmp_path):
    train = drawn(rng, n=60)
    model = exact().fit(train.X, train.y)
    metric = su.metrics.from_function(
        lambda z, y, g: float(z.mean()), lambda z, y, g: np.full_like(z, 1 / len(z))
    )
    with pytest.raises(ValueError, match="frozen dataclass"):
        leave_one_out(model, train, su.Target(metric, train), cache=su.ArrayCache(tmp_path))
