"""
Influence per class and per group
=================================

Which training rows harm which class? One call gives the influence of every training row on every
class's loss, and on every group's: as many targets as there are classes and groups, solved for
together. Nothing of the Hessian's size is formed where the head is wide.

Without options it takes scikit-learn's digits, and trains again without the most harmful row of
each class to see whether the prediction holds. `--wide` measures time and memory on a head of 100
classes and 2,048 features, on rows made up on the spot.

Run it with `python examples/influence_by_class.py [--wide] [--rows 3000]`.
"""

import argparse
import resource
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import softunlearn as su


def digits() -> tuple[su.Rows, su.Rows]:
    """Return training and validation rows; the groups are faint and bold digits."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    ink = X.mean(axis=1)
    g = np.where(ink > np.median(ink), "bold", "faint")
    return su.Rows(X[::2], y[::2]), su.Rows(X[1::2], y[1::2], g[1::2])


def made_up(n: int, classes: int = 100, features: int = 2048) -> tuple[su.Rows, su.Rows]:
    """Return rows of two random layers over clusters: their spectrum decays as a network's."""
    rng, total = np.random.default_rng(0), n + 20 * classes
    y = np.arange(total) % classes
    hidden = rng.normal(size=(classes, 64))[y] + 2 * rng.normal(size=(total, 64))
    for width in (features // 2, features):
        hidden = np.maximum(hidden @ rng.normal(size=(hidden.shape[1], width)), 0)
        hidden /= hidden.std()
    g = np.where(hidden[:, 0] > np.median(hidden[:, 0]), "high", "low")
    return su.Rows(hidden[:n], y[:n]), su.Rows(hidden[n:], y[n:], g[n:])


def influences(model: LogisticRegression, train: su.Rows, other: su.Rows) -> dict[str, np.ndarray]:
    """Return the influence of every training row on the loss of each class, then of each group."""
    targets = {f"class {c}": target for c, target in su.metrics.per_class(other).items()}
    targets |= {f"group {g}": target for g, target in su.metrics.per_group(other).items()}
    a = su.influence_scores(model, train, list(targets.values()))
    return dict(zip(targets, a.T, strict=True))


def show_digits() -> None:
    """Print the row that harms each class most, and what training again without it does."""
    train, other = digits()

    def trained(X: np.ndarray, y: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(X, y)

    model = trained(np.asarray(train.X), train.y)
    found = influences(model, train, other)
    print(f"{'loss of':12} {'row':>4} {'predicted change':>17} {'trained again':>14}")
    for name, a in found.items():
        kind, value = name.split()
        labels = np.asarray(other.g).astype(str) if kind == "group" else other.y.astype(str)
        some = labels == value
        worst = int(a.argmin())
        again = trained(np.delete(train.X, worst, axis=0), np.delete(train.y, worst))
        after, before = (
            log_loss(other.y[some], m.predict_proba(other.X[some]), labels=model.classes_)
            for m in (again, model)
        )
        print(f"{name:12} {worst:4d} {a[worst]:+17.6f} {after - before:+14.6f}")


def show_wide(n: int) -> None:
    """Print what all classes' and groups' influences take on a wide head."""
    train, other = made_up(n)
    began = time.process_time()
    model = LogisticRegression(C=0.01, max_iter=100).fit(train.X, train.y)
    right = model.score(other.X, other.y)
    print(
        f"{n:,} rows, {train.X.shape[1]:,} features, {len(model.classes_)} classes: trained in "
        f"{time.process_time() - began:.0f} s, accuracy {right:.3f} on {len(other):,} other rows"
    )
    before, began, wall = peak(), time.process_time(), time.perf_counter()
    found = influences(model, train, other)
    print(
        f"{len(found)} targets: {time.process_time() - began:.0f} s of processor time, "
        f"{time.perf_counter() - wall:.0f} s by the clock; peak memory {peak():.2f} GB, "
        f"{before:.2f} GB before"
    )
    own = [a[train.y == c].sum() for c, a in zip(model.classes_, found.values(), strict=False)]
    print(f"Of {np.mean(np.array(own) > 0):.0%} of the classes the own rows lower the loss.")


def peak() -> float:
    """Return the most memory that this process had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Show the digits, or measure the wide head."""
    parser = argparse.ArgumentParser(description="Influence on every class and every group.")
    parser.add_argument("--wide", action="store_true", help="measure 100 classes x 2,048 features")
    parser.add_argument("--rows", type=int, default=3000, help="training rows of --wide")
    options = parser.parse_args()
    if options.wide:
        show_wide(options.rows)
    else:
        show_digits()


if __name__ == "__main__":
    main()
