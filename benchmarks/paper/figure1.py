"""Figure 1: what removing each training row, exactly, would do to the test rows' metrics.

Every row is left out in turn and the logistic regression trained to its optimum again. For Adult
the result is also held against cold refits, and the time against the published way: each model
trained from the start, on data prepared anew.
"""

import resource
import time
from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT, Job
from benchmarks.paper.setting import L2, Setting, Trained, leverages, targets_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import softunlearn as su

REMOVED = 0.2
"""Part of the rows that the published hard baseline removes."""

SHOWN = 4000
"""Points that the figure draws: enough to see the shape, few enough to see them."""

CHECKED, HIGHEST, TIMED = 100, 20, 50
"""Random rows and rows of highest leverage that are refitted cold, and those that are timed."""


def jobs() -> list[Job]:
    """Return one job for each data set."""
    return [
        Job(f"figure1/{data}", compute, {"data": data}, alone=True)
        for data in ("adult", "bank", "celeba")
    ]


def compute(*, data: str) -> dict[str, Any]:
    """Return counts, the points to draw, seconds, and for Adult the checks."""
    trained = Setting(data, "lr", whole=True).trained()
    targets = targets_of(trained)
    folder = OUT / "arrays" / f"figure1-{data}"
    resumed = folder.exists() and any(folder.iterdir())
    began = time.perf_counter()
    exact = su.leave_one_out(
        trained.model, trained.train, list(targets.values()), cache=su.ArrayCache(folder)
    )
    seconds = time.perf_counter() - began
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    columns = dict(zip(targets, exact.T, strict=True))
    found: dict[str, Any] = {
        "rows": len(exact),
        "seconds": None if resumed else seconds,
        "peak_bytes": peak,
        "counts": {
            name: _counts(column, columns["utility"])
            for name, column in columns.items()
            if name != "utility"
        },
        "points": {
            name: _points(column, columns["utility"])
            for name, column in columns.items()
            if name != "utility"
        },
    }
    if data == "adult":
        found["check"] = _check(trained, exact)
        found["published"] = _published_way(data, seconds / len(exact))
    return found


def _counts(change: np.ndarray, utility: np.ndarray) -> dict[str, Any]:
    """Return how many removals help the target, and at what cost; negative is better."""
    helps, n = change < 0, len(change)
    removed = round(REMOVED * n)
    worst = np.argsort(change)[:removed]
    return {
        "help the target": int(helps.sum()),
        "and harm utility": int((helps & (utility > 0)).sum()),
        "left by removing 20 %": int(helps.sum() - (change[worst] < 0).sum()),
        "utility change of the 20 %, summed": float(utility[worst].sum()),
        "closest half carries": float(
            np.sort(np.abs(change))[: n // 2].sum() / np.abs(change).sum()
        ),
    }


def _points(change: np.ndarray, utility: np.ndarray) -> dict[str, list[float]]:
    """Return rows evenly spread over the order of the target's change."""
    order = np.argsort(change)
    some = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    return {"target": change[some].tolist(), "utility": utility[some].tolist()}


def _check(trained: Trained, exact: np.ndarray) -> dict[str, Any]:
    """Return the relative distance to changes between models trained from the start."""
    n = len(trained.train)
    random = np.random.default_rng(0).choice(n, CHECKED, replace=False)
    rows = {
        "random rows": random,
        "rows of highest leverage": np.argsort(-leverages(trained))[:HIGHEST],
    }
    before = _measured(trained, None)
    error = {}
    for name, index in rows.items():
        cold = np.array([_measured(trained, int(i)) - before for i in index])
        error[name] = (
            np.linalg.norm(exact[index] - cold, axis=0) / np.linalg.norm(cold, axis=0)
        ).max()
    return {name: float(value) for name, value in error.items()}


def _measured(trained: Trained, left_out: int | None) -> np.ndarray:
    """Return the metrics of `targets_of` of a model trained from the start, by other means."""
    X, y = np.asarray(trained.train.X), np.asarray(trained.train.y)
    if left_out is not None:
        X, y = np.delete(X, left_out, axis=0), np.delete(y, left_out)
    model = LogisticRegression(
        C=trained.model.C,
        fit_intercept=trained.model.fit_intercept,
        solver="newton-cholesky",
        tol=1e-13,
        max_iter=1000,
    ).fit(X, y)
    test, first = trained.test, np.unique(trained.test.g)[0]
    attacked = np.asarray(targets_of(trained)["robustness"].rows.X)
    p, z = model.predict_proba(np.asarray(test.X)), model.decision_function(np.asarray(test.X))
    loss = np.logaddexp(0.0, np.where(test.y == 1, -z, z))
    one, positive = np.asarray(test.g) == first, np.asarray(test.y) == 1
    return np.array(
        [
            loss.sum(),
            log_loss(test.y, model.predict_proba(attacked), normalize=False),
            abs(p[one, 1].mean() - p[~one, 1].mean()),
            abs(loss[one & positive].mean() - loss[~one & positive].mean()),
        ]
    )


def _published_way(data: str, seconds_a_row: float) -> dict[str, float]:
    """Return the seconds of a cold refit on data prepared anew, and how many of ours that is."""
    began = time.perf_counter()
    for row in range(TIMED):
        splits = su.datasets.load(data)
        X, y = np.delete(splits.train.X, row, axis=0), np.delete(splits.train.y, row)
        model = LogisticRegression(C=1 / L2[data], tol=1e-8, max_iter=10_000).fit(X, y)
        model.predict_proba(splits.test.X)
    each = (time.perf_counter() - began) / TIMED
    return {"rows": TIMED, "seconds_a_row": each, "ratio": each / seconds_a_row}
