"""Which solver is chosen, and that a wide head is corrected without a dense Hessian."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.curvature import Automatic, Cholesky, ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


@pytest.mark.parametrize(
    ("n", "d", "k", "solver"),
    [
        (30_000, 102, 1, Cholesky),
        (1_000_000, 1000, 1, Cholesky),
        (30_000, 100, 3, Cholesky),
        (1000, 30_000, 1, ConjugateGradients),
        (5000, 300, 40, ConjugateGradients),
        (20_000, 512, 100, ConjugateGradients),
        (50_000, 2048, 1000, ConjugateGradients),
    ],
)
def test_a_dense_hessian_is_for_heads_that_are_not_wide(n, d, k, solver):
    head = LinearHead(np.broadcast_to(0.0, (k, d)), None, classes=tuple(range(max(2, k))))
    rows = Rows(np.broadcast_to(0.0, (n, d)), np.broadcast_to(0, n))
    assert isinstance(Automatic().choose(HeadObjective(head, rows)), solver)


def test_rows_that_are_read_are_read_once_where_memory_allows():
    """A product a pass would read them some dozens of times."""

    class Read(Rows):
        in_memory = False

    rows = Read(np.broadcast_to(0.0, (10**7, 100)), np.broadcast_to(0, 10**7))
    for k, solver in ((3, Cholesky), (100, ConjugateGradients)):
        head = LinearHead(np.zeros((k, 100)), None, classes=tuple(range(k)))
        assert isinstance(Automatic().choose(HeadObjective(head, rows)), solver)


def images(n, d, k, rng):
    """Return features of k classes, two of them confused in one group more than in the other."""
    y, g = rng.integers(k, size=n), rng.integers(2, size=n)
    centres = np.random.default_rng(1).normal(size=(k, d))
    X = centres[y] + 3 * rng.normal(size=(n, d))
    X[(g == 1) & (y == 3)] += 0.6 * (centres[5] - centres[3])
    return X, y, np.where(g == 1, "a", "b")


def trained(n, d, k):
    rng = np.random.default_rng(0)
    (X, y, _), validation, test = (images(m, d, k, rng) for m in (n, 3000, 3000))
    model = LogisticRegression(C=0.01, max_iter=300).fit(X, y)
    return model, {"train": (X, y), "validation": validation, "test": test}


@pytest.fixture(scope="module")
def wide():
    return trained(4000, 100, 24)


@pytest.mark.slow
def test_a_wide_head_is_corrected_without_a_dense_hessian(wide, monkeypatch, tmp_path):
    model, rows = wide

    def refuse(self):
        raise AssertionError("a p x p matrix was formed")

    monkeypatch.setattr(HeadObjective, "hessian", refuse)
    monkeypatch.setattr(HeadObjective, "gram", refuse)
    metric = su.metrics.DemographicParity(positive=3)
    c = su.correct(model, **rows, metric=metric, insist=True)
    assert c.status is su.Status.CORRECTED
    assert c.frontier[-1].metric < 0.1 * c.frontier[0].metric
    assert c.influence.solver == "conjugate gradients"
    assert 0 < c.influence.iterations < 40
    assert c.influence.residual < 1e-2
    assert c.influence.leverage is None
    assert c.conditions.rank is None
    c.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "conjugate gradients" in page
    assert "Leverage was not measured" in page
    c.save(tmp_path / "saved")
    np.testing.assert_array_equal(su.load(tmp_path / "saved").weights["eps"], c.weights)


@pytest.mark.slow
def test_corrections_are_those_of_the_dense_solver():
    model, rows = trained(2000, 40, 8)
    metric = su.metrics.DemographicParity(positive=3)
    ours, dense = (
        su.correct(model, **rows, metric=metric, insist=True, curvature=curvature)
        for curvature in (ConjugateGradients(), Cholesky())
    )
    assert dense.influence.solver == "Cholesky factor"
    error = np.linalg.norm(ours.influence.target - dense.influence.target)
    assert error < 1e-3 * np.linalg.norm(dense.influence.target)
    np.testing.assert_allclose(ours.drift, dense.drift, rtol=1e-2, atol=1e-6)
    for one, other in zip(ours.frontier, dense.frontier, strict=True):
        np.testing.assert_allclose(one.metric, other.metric, atol=1e-3 * dense.frontier[0].metric)
    assert np.linalg.norm(ours.weights - dense.weights) < 1e-2 * np.linalg.norm(dense.weights)


@pytest.mark.slow
def test_other_paths_and_algorithms_take_a_wide_head(wide):
    model, rows = wide
    metric = su.metrics.DemographicParity(positive=3)
    for options in (
        {"path": su.paths.Relinearised(norm="weights", steps=2)},
        {"path": "straight"},
        {"scheme": "hard"},
        {"algorithm": su.unlearning.NTK(epochs=2)},
        {"algorithm": "fisher"},
    ):
        c = su.correct(model, **rows, metric=metric, insist=True, select="full", **options)
        assert c.influence.solver == "conjugate gradients"
        assert len(c.weights) == 4000


def test_leverage_of_a_wide_binary_head_is_refused_with_a_way_out(census, census_model):
    target = su.Target(su.metrics.LogLoss(), census.validation)
    with pytest.raises(ValueError, match=r"needs a dense Hessian.*Cholesky"):
        su.influence_scores(
            census_model, census.train, target, leverage=True, curvature=ConjugateGradients()
        )


@pytest.mark.parametrize("scheme", ["soft", "hard"])
def test_a_binary_head_is_corrected_by_either_solver(scheme, census, census_model):
    rows = {"train": census.train, "validation": census.validation}
    c = su.correct(
        census_model,
        **rows,
        scheme=scheme,
        curvature=ConjugateGradients(tolerance=1e-8),
        insist=True,
    )
    d = su.correct(census_model, **rows, scheme=scheme, insist=True)
    np.testing.assert_allclose(c.influence.target, d.influence.target, rtol=1e-5, atol=1e-10)
    assert c.status is d.status
