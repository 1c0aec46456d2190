"""Figure 3: influence against the exact change, for every training row of Adult.

Of the logistic regression under both protocols, and of the network's last layer. Pearson and
Spearman correlation, of influence as it is (Eq. 3 to 5) and divided by 1 - leverage.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.paper.kept import OUT, Job
from benchmarks.paper.setting import Setting, Trained, leverages, targets_of
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.influence import removal_influence
from softunlearn.models import adapt

SHOWN = 4000
"""Points that the figure draws."""


def jobs() -> list[Job]:
    """Return one job for each model."""
    return [
        Job(f"figure3/{model}-{protocol}", compute, {"model": model, "protocol": protocol}, True)
        for model, protocol in (("lr", "clean"), ("nn", "clean"), ("lr", "paper"))
    ]


def compute(*, model: str, protocol: str) -> dict[str, Any]:
    """Return the correlations of every target, and the points to draw."""
    trained = Setting("adult", model, protocol=protocol).trained()
    if model == "nn":
        trained = _last_layer(trained)
    targets = targets_of(trained)
    # models and rows that figure 1 left out already are not left out again
    folder = OUT / "arrays" / ("figure1-adult" if model == "lr" else "figure3-nn")
    exact = su.leave_one_out(
        trained.model, trained.train, list(targets.values()), cache=su.ArrayCache(folder)
    )
    plain = su.influence_scores(trained.model, trained.train, list(targets.values()))
    h = leverages(trained)
    corrected = removal_influence(plain, h)
    return {
        "rows": len(h),
        "highest leverage": float(h.max()),
        "targets": {
            name: {
                "plain": _agreement(exact[:, j], plain[:, j]),
                "with leverage": _agreement(exact[:, j], corrected[:, j]),
                "points": _points(exact[:, j], plain[:, j], corrected[:, j]),
            }
            for j, name in enumerate(targets)
        },
    }


def _last_layer(trained: Trained) -> Trained:
    """Return a network's last layer as a model of its own, on the features that enter it."""
    adapter = adapt(trained.model)

    def features(rows: su.Rows) -> su.Rows:
        return replace(rows, X=adapter.features(rows.X), feature_names=None)

    train = features(trained.train)
    model = LogisticRegression(
        C=1 / adapter.head(len(train)).l2,
        fit_intercept=False,
        solver="newton-cholesky",
        tol=1e-10,
    ).fit(train.X, train.y)
    return Trained(model, train, features(trained.validation), features(trained.test))


def _agreement(exact: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """Return both correlations of the rows whose exact change is known."""
    known = np.isfinite(exact)
    x, y = exact[known], estimate[known]
    return {
        "Pearson": float(np.corrcoef(x, y)[0, 1]),
        "Spearman": float(np.corrcoef(rankdata(x), rankdata(y))[0, 1]),
        "rows": int(known.sum()),
    }


def _points(exact: np.ndarray, plain: np.ndarray, corrected: np.ndarray) -> dict[str, list[float]]:
    order = np.argsort(exact)
    some = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    columns = {"exact": exact, "plain": plain, "with leverage": corrected}
    return {name: column[some].tolist() for name, column in columns.items()}


def draw(results: dict[str, Any]) -> None:
    """Draw estimate against exact change, one row of panels for each model."""
    import matplotlib.pyplot as plt

    names = list(next(iter(results.values()))["targets"])
    figure, axes = plt.subplots(
        len(results),
        len(names),
        figsize=(3.4 * len(names), 3.2 * len(results)),
        squeeze=False,
        layout="constrained",
    )
    for line, (model, found) in zip(axes, results.items(), strict=True):
        for axis, name in zip(line, names, strict=True):
            points = found["targets"][name]["points"]
            exact = np.array(points["exact"])
            for kind, colour in (("plain", "C1"), ("with leverage", "C0")):
                axis.scatter(exact, points[kind], s=4, color=colour, label=kind)
            low, high = np.quantile(exact, [0.001, 0.999])
            room = 0.1 * (high - low)
            axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, zorder=0)
            axis.set_xlim(low - room, high + room)
            axis.set_ylim(low - room, high + room)
            axis.ticklabel_format(scilimits=(-2, 2))
            axis.set_title(f"{model}: {name}", fontsize=9)
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("exact change (the middle 99.8 % of the rows)")
    figure.supylabel("estimate")
    figure.savefig(OUT / "figure3.png", dpi=130)
    plt.close(figure)
