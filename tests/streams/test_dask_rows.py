"""Rows on the workers of a cluster, against the same rows in memory."""

import inspect
import logging
import os
import pickle
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import softunlearn as su
from softunlearn.paths import Relinearised
from softunlearn.streams import StreamedRows

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
dask_rows = pytest.importorskip("softunlearn.streams.dask_rows")

FEATURES = [f"x{j}" for j in range(5)]
N = 4000


@pytest.fixture(scope="module")
def client():
    """Two workers, each a process of one thread, which is replaced when it is killed."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    # what asks a worker that has just died gives up after so long
    patience = {"distributed.comm.timeouts.connect": "5s"}
    with (
        dask.config.set(patience),
        distributed.LocalCluster(**options, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def without_shape_checks(monkeypatch):
    """The test run's shape checks wrap functions in what cannot travel: the workers have none."""

    class Unwrapping(dask_rows._Pickler):
        def reducer_override(self, obj):
            plain = inspect.unwrap(obj) if inspect.isfunction(obj) else obj
            return super().reducer_override(plain)

    monkeypatch.setattr(dask_rows, "_Pickler", Unwrapping)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Training rows in two files of several row groups, and rows to measure on."""
    rng, n = np.random.default_rng(0), N + 2000
    X = rng.normal(size=(n, 5))
    g = rng.integers(2, size=n)
    X[:, 0] += 0.8 * g
    towards = [[0.8, -0.6, 0.0], [0.3, 0.1, -0.5], [0.0, 0.9, 0.2], [0.6, -0.4, 0.1], [0.0] * 3]
    z = X @ towards + rng.gumbel(size=(n, 3))
    frame = pd.DataFrame(X, columns=FEATURES)
    frame["three"], frame["two"] = z.argmax(axis=1), z[:, 0] > z[:, 1]
    frame["w"], frame["g"] = rng.uniform(0.5, 2.0, size=n), g
    folder = tmp_path_factory.mktemp("rows")
    frame.iloc[:1503].to_parquet(folder / "0.parquet", row_group_size=200)
    frame.iloc[1503:N].to_parquet(folder / "1.parquet", row_group_size=300)
    return frame, folder


def on_workers(data, client, label="two", **options):
    return su.Rows.from_parquet(
        data[1], label=label, features=FEATURES, cluster=client, chunk_bytes=10_000, **options
    )


def logistic(data, label, *, weight=None, **options):
    part = data[0].iloc[:N]
    model = LogisticRegression(tol=1e-10, max_iter=2000, **options)
    return model.fit(
        part[FEATURES].to_numpy(), part[label], sample_weight=None if weight is None else part.w
    )


def corrected(data, model, label, train, **options):
    validation, test = (
        (part[FEATURES].to_numpy(), part[label], part.g)
        for part in (data[0].iloc[N : N + 1000], data[0].iloc[N + 1000 :])
    )
    return su.correct(model, train=train, validation=validation, test=test, **options)


def in_memory(data, label, weight=None):
    part = data[0].iloc[:N]
    return su.Rows(
        part[FEATURES].to_numpy(), part[label], weight=None if weight is None else part.w
    )


def assert_same(one, other):
    assert other.status is one.status is su.Status.CORRECTED
    for mine, theirs in zip(other.frontier, one.frontier, strict=True):
        scale = np.linalg.norm(theirs.head.theta)
        assert np.linalg.norm(mine.head.theta - theirs.head.theta) <= 1e-10 * scale


CASES = {
    "two classes": ("two", {}),
    "weights": ("two", {"weight": "w"}),
    "balanced": ("two", {"class_weight": "balanced"}),
    "three classes": ("three", {}),
    "three, no intercept": ("three", {"fit_intercept": False, "weight": "w"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_rows_in_memory(case, data, client):
    label, options = CASES[case]
    model, weight = logistic(data, label, **options), options.get("weight")
    path = Relinearised(refresh=None)
    one = corrected(data, model, label, in_memory(data, label, weight), path=path)
    other = corrected(data, model, label, on_workers(data, client, label, weight=weight))
    assert_same(one, other)
    scale = np.linalg.norm(one.weights)
    assert np.linalg.norm(other.weights - one.weights) <= 1e-9 * scale
    assert other.before.train.log_loss == pytest.approx(one.before.train.log_loss, rel=1e-12)


@pytest.mark.slow
def test_passes_are_those_of_rows_in_memory(data, client, rng):
    rows, there = in_memory(data, "two"), on_workers(data, client)
    w = rng.uniform(size=N)
    assert len(there) == N
    for mine, theirs in (
        (there, rows),
        (there.reweighted(w).reweighted(w), rows.reweighted(w**2)),
    ):
        weight = (lambda chunk: 1.0) if theirs.weight is None else (lambda chunk: chunk.weight)

        def part(chunk, w, weight=weight):
            return chunk.X.T @ (w * weight(chunk)), w.sum()

        expected = rows.X.T @ (w if theirs.weight is None else w**3)
        total, sum_ = mine.sum(part, w)
        np.testing.assert_allclose(total, expected, rtol=1e-12)
        assert sum_ == pytest.approx(w.sum(), rel=1e-12)
    np.testing.assert_array_equal(
        there.map(lambda chunk, w: chunk.X[:, 0] * w, w), rows.X[:, 0] * w
    )
    index = np.array([0, 7, 1502, 1503, N - 1])
    np.testing.assert_array_equal(there.take(index).X, rows.X[index])
    np.testing.assert_array_equal(there.read().y, rows.y)
    np.testing.assert_array_equal(there.labels_only().map(lambda chunk: chunk.y), rows.y)
    with pytest.raises(su.InputError, match="never held whole"):
        _ = there.X


@pytest.mark.parametrize("fit", [True, False])
def test_a_part_is_read_once_if_all_fit_and_in_every_pass_else(fit, data, client, monkeypatch):
    monkeypatch.setattr(dask_rows, "KEPT", float(fit))
    rows = on_workers(data, client).converted(lambda chunk, _: chunk._replace(X=2 * chunk.X))
    expected = 2 * data[0][FEATURES].to_numpy()[:N].sum()
    for _ in range(2):
        assert rows.sum(lambda chunk: chunk.X.sum()) == pytest.approx(expected, rel=1e-12)
    events = [event["what"] for _, event in client.get_events(rows.parts.topic)]
    n_parts = len(rows.parts.loaded)
    assert n_parts > 4
    assert events.count("read") == n_parts * fit
    assert events.count("summed") == n_parts * 2


def test_a_function_travels_without_the_rows_it_refers_to(data, client):
    rows = on_workers(data, client).reweighted(np.ones(N))
    packed = dask_rows._packed(lambda chunk: (rows, chunk))
    assert len(packed) < 2000
    assert dask_rows._received(packed)(1) == (None, 1)


def test_pickled_rows_are_read_where_they_are_unpickled(data, client):
    rows = pickle.loads(pickle.dumps(on_workers(data, client)))
    assert type(rows) is StreamedRows
    np.testing.assert_array_equal(rows.read().y, data[0].two[:N])


def test_a_pass_says_how_far_it_has_come(data, client):
    told = []
    rows = on_workers(data, client).reporting(lambda what, part: told.append(part))
    rows.sum(lambda chunk: chunk.X.sum())
    assert told == sorted(told)
    assert (len(told), told[-1]) == (len(rows.parts.loaded), 1.0)


def test_what_is_wrong_with_a_row_is_said_as_it_is_elsewhere(data, client, tmp_path):
    frame = data[0].copy()
    frame.loc[3500, "x2"] = np.nan
    frame.iloc[:N].to_parquet(tmp_path / "bad.parquet", row_group_size=500)
    with pytest.raises(su.InputError, match=r"bad.parquet: .*feature 2 is missing .* row 3500,"):
        corrected(data, logistic(data, "two"), "two", on_workers((frame, tmp_path), client))


def test_a_file_that_workers_do_not_find_is_named(data, client, tmp_path):
    data[0].iloc[:N].to_parquet(tmp_path / "here.parquet")
    source = on_workers((data[0], tmp_path), client).source
    (tmp_path / "here.parquet").unlink()
    future = client.submit(dask_rows._loaded, "gone", source, None, slice(0, N), True)
    with pytest.raises(su.FileError, match=r"here.parquet is not a file.* the same paths"):
        dask_rows._result(future)


def test_an_address_serves_as_well(data, client):
    rows = on_workers(data, client.scheduler.address)
    assert rows.sum(lambda chunk: len(chunk.y)) == N
    rows.client.close()


def test_a_cluster_that_is_none_is_refused(data, monkeypatch):
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(su.InputError, match="has no workers; start some"),
    ):
        on_workers(data, empty)
    for wrong in (7, "nonsense://x"):
        with pytest.raises(su.InputError, match="No Dask scheduler answers at"):
            on_workers(data, wrong)
    monkeypatch.setitem(sys.modules, "softunlearn.streams.dask_rows", None)
    with pytest.raises(ImportError, match=r"pip install softunlearn\[dask\]"):
        on_workers(data, "tcp://10.0.0.1:8786")


def kill_one(client):
    """Kill the process of the worker that holds most."""
    held = client.has_what()
    worker = max(held, key=lambda address: len(held[address]))
    os.kill(client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)


def kill_holders(client, part):
    """Kill the processes of all workers that have some rows: a busy one's are copied to others."""
    holders = client.who_has([part])[part.key]
    for process in client.run(os.getpid, workers=list(holders)).values():
        os.kill(process, signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_dies_in_mid_run_costs_what_it_held(data, client, caplog):
    def slowly(X):
        time.sleep(0.1)
        return X

    part = data[0].iloc[:N]
    model = make_pipeline(
        StandardScaler(), FunctionTransformer(slowly), LogisticRegression(tol=1e-10)
    ).fit(part[FEATURES].to_numpy(), part.two)
    path = Relinearised(refresh=None)
    one = corrected(data, model, "two", in_memory(data, "two"), path=path)
    client.wait_for_workers(2)
    told = []

    def progress(what, part):
        if what == "reading training rows":
            told.append(part)
            if len(told) == 3:
                kill_one(client)

    with caplog.at_level(logging.WARNING, logger=dask_rows.__name__):
        other = corrected(data, model, "two", on_workers(data, client), progress=progress)
    assert len(told) > 3
    assert_same(one, other)
    assert any(
        record.name == dask_rows.__name__ and "were read again" in record.getMessage()
        for record in caplog.records
    )


@pytest.mark.slow
def test_what_is_lost_between_two_passes_is_read_again(data, client, caplog):
    client.wait_for_workers(2)
    rows = on_workers(data, client)
    total = rows.sum(lambda chunk: chunk.X.sum())
    kill_holders(client, rows.parts.loaded[0][1])
    with caplog.at_level(logging.WARNING, logger=dask_rows.__name__):
        assert rows.sum(lambda chunk: chunk.X.sum()) == pytest.approx(total, rel=1e-12)
    assert "were read again" in caplog.text
    caplog.clear()
    rows.sum(lambda chunk: chunk.X.sum())
    assert "again" not in caplog.text
