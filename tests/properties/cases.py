"""Small data sets with what real ones have too much of, and what may come of correcting on them.

Every set is drawn from a seed and a handful of oddities, so that Hypothesis can take away what a
failure does not need. A correction of it is either sound, in the sense of `assert_sound`, or one
of the library's own exceptions with a message.
"""

import signal
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.unlearning import ALGORITHMS

USUAL = settings(max_examples=max(1, settings.default.max_examples // 5), deadline=None)
"""Four or five properties share the profile's number of examples."""

SECONDS = 30
"""A case that takes more of a processor hangs: the usual one takes a tenth of a second."""

ODDITIES = (
    "repeated rows",
    "constant column",
    "zero column",
    "collinear columns",
    "separable classes",
    "one row a group",
    "a group of one class",
    "no penalty",
    "strong penalty",
    "no intercept",
    "not trained",
    "weighted",
    "balanced",
    "more columns than rows",
)
SCALES = (1e-300, 1e-160, 1e-8, 1.0, 1e8, 1e150, 1e300)


@dataclass(frozen=True, eq=False)
class Case:
    """A trained model and the rows to correct it on."""

    model: Any
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    Xv: np.ndarray
    yv: np.ndarray
    g: np.ndarray
    odd: frozenset[str] = frozenset()
    scale: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Case(n={len(self.y)}, d={self.X.shape[1]}, classes={len(self.model.classes_)}, "
            f"groups={len(np.unique(self.g))}, scale={self.scale:g}, odd={sorted(self.odd)}, "
            f"options={dict(self.options)})"
        )

    @property
    def train(self) -> su.Rows:
        """Return the training rows."""
        return su.Rows(self.X, self.y, None, self.weight)

    def but(self, **changes: Any) -> "Case":
        """Return the case with some fields replaced."""
        return replace(self, **changes)

    def correct(self) -> su.Correction:
        """Return the correction."""
        validation = (self.Xv, self.yv, self.g)
        return su.correct(self.model, train=self.train, validation=validation, **self.options)


SHORT = su.unlearning.Training(epochs=5)


def options() -> st.SearchStrategy[dict[str, Any]]:
    """Return keyword arguments of `correct` that go together."""
    aims = st.sampled_from(
        [
            "demographic_parity",
            "equal_opportunity",
            "equalized_odds",
            "adversarial_loss",
            "adaptive_loss",
            ("demographic_parity", "adversarial_loss"),
        ]
    )
    trained = [replace(ALGORITHMS[name], training=SHORT) for name in ("ga_ft", "scrub", "eu_k")]
    ways = st.one_of(
        st.just({}),
        st.just({"path": "straight"}),
        st.fixed_dictionaries(
            {
                "scheme": st.sampled_from(["soft", "hard", "bounded"]),
                "algorithm": st.sampled_from(["influence", "fisher", "ntk", *trained]),
            }
        ),
    )
    return st.builds(
        lambda metric, insist, select, way: {
            "metric": metric,
            "insist": insist,
            "select": select,
            **way,
        },
        aims,
        st.booleans(),
        st.sampled_from(["no_utility_loss", "full"]),
        ways,
    ).filter(lambda found: found.get("scheme") != "hard" or isinstance(found["metric"], str))


ANY_OPTIONS = options()
ANY_ODDITIES = st.frozensets(st.sampled_from(ODDITIES), max_size=3)
ANY_SCALE = st.sampled_from(SCALES)
SOME_GROUPS = st.integers(2, 4)


@st.composite
def cases(
    draw: Callable,
    *,
    odd: st.SearchStrategy = ANY_ODDITIES,
    scales: st.SearchStrategy = ANY_SCALE,
    options: st.SearchStrategy = ANY_OPTIONS,
    groups: st.SearchStrategy = SOME_GROUPS,
) -> Case:
    """Return a case, of 8 to 60 training rows and 8 to 60 validation rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m, d = draw(st.integers(8, 60)), draw(st.integers(8, 60)), draw(st.integers(1, 4))
    n_classes = draw(st.sampled_from([2, 2, 3]))
    found, scale = draw(odd), draw(scales)
    return made(rng, n, m, d, n_classes, draw(groups), found, scale, draw(options))


def made(
    rng: np.random.Generator,
    n: int,
    m: int,
    d: int,
    n_classes: int,
    n_groups: int,
    odd: frozenset[str],
    scale: float,
    options: Mapping[str, Any],
) -> Case:
    """Return the case of these sizes and oddities."""
    d = n + 2 if "more columns than rows" in odd else d
    X, g = rng.normal(size=(n + m, d)), np.concatenate([np.zeros(n, int), np.arange(m)])
    g[n:] %= m if "one row a group" in odd else n_groups
    X[:, 0] += g % 2
    if "constant column" in odd:
        X[:, -1] = 1.0
    if "zero column" in odd:
        X[:, -1] = 0.0
    if "collinear columns" in odd:
        X = np.column_stack([X, X.sum(axis=1)])
    noise = 0.0 if "separable classes" in odd else 1.0
    z = X[:, :1] * np.arange(n_classes) + noise * rng.normal(size=(n + m, n_classes))
    y = z.argmax(axis=1)
    for part in (slice(0, n), slice(n, n + m)):
        y[part][:n_classes] = np.arange(n_classes)
    if "a group of one class" in odd:
        y[n:][g[n:] == 0] = 0
        y[n:][np.flatnonzero(g[n:] == 1)[:1]] = 1
    if "repeated rows" in odd:
        again = rng.integers(max(n_classes, 2), size=n - n_classes)
        X[n_classes:n], y[n_classes:n] = X[again], y[again]
    weight = rng.integers(0, 3, size=n).astype(float) if "weighted" in odd else None
    if weight is not None:
        weight[:n_classes] = 1.0
    model = fitted(X[:n], y[:n], weight, odd, rng)
    model.coef_ = model.coef_ / scale
    X = X * scale
    return Case(model, X[:n], y[:n], weight, X[n:], y[n:], g[n:], odd, scale, options)


def fitted(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    odd: frozenset[str],
    rng: np.random.Generator,
) -> LogisticRegression:
    """Return a logistic regression that was trained as the oddities say."""
    C = np.inf if "no penalty" in odd else 1e-4 if "strong penalty" in odd else 1.0
    model = LogisticRegression(
        C=C,
        fit_intercept="no intercept" not in odd,
        class_weight="balanced" if "balanced" in odd else None,
        max_iter=100,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weight)
    if "not trained" in odd:
        model.coef_ = rng.normal(size=model.coef_.shape)
    return model


@contextmanager
def in_time():
    """Fail where what is inside works for longer than `SECONDS`, or waits for ten minutes."""

    def hangs(*_: Any) -> None:
        raise AssertionError("A hang.")

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    earlier = {which: signal.signal(which, hangs) for which in timers}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        yield
    finally:
        for which, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(which, earlier[which])


def outcome(case: Case) -> su.Correction | None:
    """Return the correction with all that can be asked of it, or None for a clear error."""
    with in_time():
        try:
            correction = case.correct()
            assert_sound(correction, case)
        except su.SoftUnlearnError as error:
            said = str(error)
        else:
            return correction
    assert len(said) > 20, said
    assert "nan" not in said.split(), said
    return None


def assert_sound(correction: su.Correction, case: Case) -> None:
    """Fail where a number is not finite that should be, or not what the model says."""
    n = len(case.y)
    origin = correction.frontier[0].log_loss
    if isinstance(correction.session.path, su.paths.Relinearised):
        # a point that costs more than to know nothing is none
        most = max(origin, np.log(len(case.model.classes_))) + 2e-3
        assert max(point.log_loss for point in correction.frontier) <= most
    for point in correction.frontier:
        costs = (point.step, point.metric, point.accuracy, point.log_loss, point.predicted)
        assert np.isfinite(costs).all(), costs
        assert np.isfinite([*point.metrics, *point.held]).all()
    model = correction.model
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict_proba(case.Xv)).all()
    assert correction.weights.shape == (n,)
    assert np.isfinite(correction.weights).all()
    influence = correction.influence
    for values in (influence.target, influence.targets, influence.utility, influence.leverage):
        assert values is None or np.isfinite(values).all()
    assert np.isfinite([influence.residual, correction.stationarity, correction.drift]).all()
    for figures in (correction.before.validation, correction.after.validation):
        assert np.isfinite([figures.accuracy, figures.log_loss]).all()
        for where, interval in figures.intervals.items():
            # of one row nothing is known: its interval is infinite
            assert interval.low <= interval.high, (where, interval)
    for where, change in correction.change.validation.items():
        assert not np.isnan([change.value, change.low, change.high]).any(), where
    assert " nan" not in correction.message, correction.message
    assert_model_is_measured(correction, case)


def assert_model_is_measured(correction: su.Correction, case: Case) -> None:
    """Fail where what is said of the chosen point is not what scikit-learn says of its model."""
    p = correction.model.predict_proba(case.Xv)
    own = p[np.arange(len(case.yv)), case.yv]
    accuracy = correction.after.validation.accuracy
    top = p.max(axis=1)
    tied = np.sum(p > top[:, None] * (1 - 1e-9), axis=1) > 1
    wrong = abs(accuracy - (p.argmax(axis=1) == case.yv).mean())
    assert wrong <= tied.mean() + 1e-12
    if (own > 1e-12).all():  # else scikit-learn's probabilities have lost the loss
        loss = correction.after.validation.log_loss
        np.testing.assert_allclose(loss, -np.log(own).mean(), rtol=1e-3, atol=1e-9)
