"""The re-linearised path, against constrained training by SciPy and against what it promises."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.curvature import Cholesky
from softunlearn.exceptions import SingularCurvatureError
from softunlearn.objective import HeadObjective
from softunlearn.paths import Relinearised
from softunlearn.paths.relinearised import _Constraints, _Geometry, multipliers
from tests.cases import HEAD_CASES, minimise

PARITY = "demographic_parity"


@pytest.fixture(scope="module")
def corrections(census, census_model):
    rows = {"train": census.train, "validation": census.validation, "test": census.test}
    return {
        norm: su.correct(census_model, **rows, path=Relinearised(norm, refresh=1))
        for norm in ("curvature", "weights")
    }


@pytest.mark.parametrize("norm", ["curvature", "weights"])
def test_points_are_where_they_were_aimed_at(norm, corrections):
    frontier = corrections[norm].frontier
    start = frontier[0].metric
    for point in frontier:
        np.testing.assert_allclose(point.metric, (1 - point.step) * start, atol=0.05 * start)
        np.testing.assert_allclose(point.predicted, point.metric, atol=0.05 * start)


def test_points_are_those_of_training_under_a_constraint(census, census_model, monkeypatch):
    """SciPy minimises the training loss subject to the validation gap that the point has."""
    import softunlearn.paths.relinearised as module

    # without the constraint on the validation loss the path is that of constrained training
    monkeypatch.setitem(module.UTILITY_LENGTH, "curvature", 0.0)
    c = su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        path=Relinearised(steps=20, refresh=1),
    )
    objective, goal = c.session.scores.objective, c.session.start.goal
    (target,) = goal.targets

    def at(theta):
        return objective.head.with_theta(theta)

    for point in (c.frontier[20], c.frontier[52]):
        constraint = {
            "type": "eq",
            "fun": lambda theta, level=point.metric: target.value(at(theta)) - level,
            "jac": lambda theta: target.gradient(at(theta)),
        }
        best = minimize(
            lambda theta: objective.at(at(theta)).loss_sum(),
            objective.head.theta,
            jac=lambda theta: objective.at(at(theta)).total_gradient(),
            constraints=[constraint],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        loss = objective.loss_sum()
        reached = objective.at(point.head).loss_sum()
        assert best.success
        # 1 % of what the constraint costs
        np.testing.assert_allclose(reached - loss, best.fun - loss, rtol=0.01)


@pytest.mark.parametrize("norm", ["curvature", "weights"])
def test_the_weights_are_those_of_the_whole_way(norm, corrections, census, census_model):
    """A refit by scikit-learn under them ends at the point, wherever all weights are positive."""
    c = corrections[norm]
    index = max(
        i for i in range(len(c.frontier)) if (1 + np.asarray(c.frontier[i].weigh())).min() > 0
    )
    assert index > 2
    at = c.at(index)
    again = LogisticRegression(C=census_model.C, tol=1e-10, solver="newton-cholesky")
    again.fit(census.train.X, census.train.y, sample_weight=1 + at.weights)
    np.testing.assert_allclose(again.coef_, at.model.coef_, rtol=1e-3, atol=1e-4)


def test_one_curvature_leads_where_new_ones_do(census, census_model, monkeypatch):
    import softunlearn.paths.relinearised as module

    monkeypatch.setitem(module.UTILITY_LENGTH, "curvature", 0.0)
    rows = {"train": census.train, "validation": census.validation}
    risen = []
    for refresh in (1, None):
        c = su.correct(census_model, **rows, path=Relinearised(refresh=refresh))
        objective, (*_, end) = c.session.scores.objective, c.frontier
        assert end.metric < 0.05 * c.frontier[0].metric
        risen.append(objective.at(end.head).loss_sum() - objective.loss_sum())
    np.testing.assert_allclose(*risen, rtol=0.1)


@pytest.mark.parametrize("in_weights", [False, True], ids=["curvature", "weights"])
def test_a_step_is_the_shortest_that_does_what_is_asked(in_weights, rng):
    """SciPy minimises r . d + d . H d / 2, or the ||eps||^2 / 2 of the weights that make d."""
    objective = minimise(HEAD_CASES[0].objective(rng))
    p = objective.head.n_parameters
    H, G = objective.hessian(), objective.row_products(np.eye(p))
    V, slope = objective.gradient(rng.normal(size=(40, 3))), rng.normal(size=p)
    wanted = _Constraints(np.array([1.0, 0.4, -5.0]), V, np.array([0, 0, -1]), (0.0,), ())
    weighing = objective if in_weights else None
    step = _Geometry.at(
        wanted, slope, Cholesky().factor(objective), weighing, centred=not in_weights
    ).shortest(wanted, utility=True)
    eps_of = -np.linalg.pinv(np.linalg.solve(H, G.T))

    def length(d):
        return np.sum((eps_of @ d) ** 2) / 2 if in_weights else slope @ d + d @ H @ d / 2

    best = minimize(
        length,
        step.d + 0.1 * rng.normal(size=p),
        constraints={"type": "ineq", "fun": lambda d: -(wanted.excess + V.T @ d)},
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert best.success
    assert (wanted.excess + V.T @ step.d).max() < 1e-8
    np.testing.assert_allclose(step.d, best.x, atol=1e-4 * np.abs(best.x).max())
    for t in (0.25, 1.0):
        np.testing.assert_allclose(step.energy(t), length(t * step.d), rtol=1e-8)
    np.testing.assert_allclose(step.Hd, H @ step.d, atol=1e-8)
    np.testing.assert_allclose(step.bend, step.d @ H @ step.d / 2, rtol=1e-8)


def test_constraints_that_contradict_have_no_step_and_repeated_ones_do_no_harm():
    """Against SciPy's minimiser of the dual; K = R^T R of fewer dimensions than constraints."""
    rng = np.random.default_rng(3)
    R = rng.normal(size=(2, 3))
    R, wanted = R[:, [0, 0, 1, 2, 1]], R.T @ rng.normal(size=2)
    wanted = wanted[[0, 0, 1, 2, 1]]  # one z has them all exactly
    K = R.T @ R
    y = multipliers(K, wanted)
    dual = minimize(
        lambda y: (y @ K @ y / 2 - wanted @ y, K @ y - wanted),
        np.zeros(5),
        jac=True,
        bounds=[(0, None)] * 5,
        options={"ftol": 1e-15, "gtol": 1e-12},
    )
    np.testing.assert_allclose(R @ y, R @ dual.x, rtol=1e-6)
    order = np.array([3, 0, 4, 2, 1])
    again = multipliers(K[np.ix_(order, order)], wanted[order])
    np.testing.assert_allclose(R[:, order] @ again, R @ y, rtol=1e-12)
    opposed = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert multipliers(opposed, np.array([1.0, 0.0])) is None
    assert multipliers(opposed, np.array([1.0, -1.0])) is not None
    np.testing.assert_array_equal(multipliers(opposed, np.array([-1.0, -2.0])), 0)


@pytest.mark.parametrize(("longer", "there_is"), [(1.5, True), (300.0, True), (3000.0, False)])
def test_constraints_nearly_opposed_have_a_step_while_it_is_not_absurdly_long(longer, there_is):
    """In the plane, of rows (+-cos a, sin a): z = (0, 1 / sin a) is the shortest."""
    a = np.arcsin(1 / longer)
    R = np.array([[np.cos(a), -np.cos(a)], [np.sin(a), np.sin(a)]])
    y = multipliers(R.T @ R, np.ones(2))
    assert (y is not None) == there_is
    if y is not None:
        np.testing.assert_allclose(R @ y, [0.0, longer], rtol=1e-4, atol=1e-4 * longer)


def test_progress_goes_from_nothing_to_all(census, census_model):
    told = []
    su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        path=Relinearised(steps=5),
        select="full",
        progress=lambda what, part: told.append(part) if "walking" in what else None,
    )
    np.testing.assert_allclose(told, np.arange(1, 21) / 20)


@pytest.mark.parametrize("seed", range(6))
def test_no_point_costs_more_than_to_know_nothing(seed):
    """Of separable rows without a penalty the curvature says nothing, and steps are long."""
    rng = np.random.default_rng(seed)
    X, y, g = rng.normal(size=(16, 4)), np.arange(16) % 2, np.arange(16) // 4 % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=np.inf, max_iter=100).fit(X[:8], y[:8])
    rows = {"train": (X[:8], y[:8]), "validation": (X[8:], y[8:], g[8:])}
    frontier = su.correct(model, **rows, insist=True, select="full").frontier
    most = max(frontier[0].log_loss, np.log(2)) + 1e-3
    assert max(point.log_loss for point in frontier) <= most


def test_no_point_is_surpassed_by_another(corrections):
    for c in corrections.values():
        points = list(c.frontier)[1:]
        assert not any(p.surpassed_by(other) for p in points for other in points)


def test_the_path_ends_where_the_curvature_cannot_be_factored(census, census_model):
    class Fragile:
        """A solver that works once."""

        times = 0

        def factor(self, objective: HeadObjective):
            Fragile.times += 1
            if Fragile.times > 1:
                raise SingularCurvatureError("no more")
            return Cholesky().factor(objective)

    rows = {"train": census.train, "validation": census.validation}
    path = Relinearised(refresh=3)
    c = su.correct(census_model, **rows, curvature=Fragile(), path=path)
    assert 1 < len(c.frontier) <= 4 * path.refresh + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "length"}, '`norm` must be "curvature" or "weights"'),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"refresh": 0}, "`refresh` must be at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Relinearised(**options)


@pytest.mark.parametrize("options", [{"scheme": "hard"}, {"algorithm": "ntk"}])
def test_what_cannot_take_it_is_refused(options, census, census_model):
    rows = {"train": census.train, "validation": census.validation}
    with pytest.raises(ValueError, match="relinearised `path` takes algorithm='influence'"):
        su.correct(census_model, **rows, path="relinearised", **options)
