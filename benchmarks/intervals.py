"""Do the stated 95 % intervals of the test change hold the change on all rows? And small samples.

Coverage: a data set is split anew many times into training, validation and test rows of a few
thousand; a model is trained and corrected; the change of every figure from before to after on the
test rows has an interval. The large-sample value is the change on all rows left over, which are
several times as many; their own sampling error widens the misses by under a tenth.

Small samples: what the default choice costs on test rows where validation rows are few.

    SOFTUNLEARN_DATA=... python benchmarks/intervals.py [--data adult celeba] [--splits 200]
"""

import argparse
from collections import Counter

import numpy as np
from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.rows import Rows

SIZE = {"train": 6000, "validation": 3000, "test": 3000}
FIGURES = (
    "accuracy",
    "log_loss",
    "gaps.demographic_parity.probabilities",
    "gaps.demographic_parity.labels",
    "gaps.equalized_odds.probabilities",
    "gaps.equalized_odds.labels",
)
POINTS = {"the default choice": None, "the last point": -1}
FEW = (150, 300, 600, 1200, 3000)
REPEATS = 30


def main() -> None:
    """Print both tables, in Markdown."""
    parser = argparse.ArgumentParser(description="Coverage of intervals, and small samples.")
    parser.add_argument("--data", nargs="+", default=["adult", "celeba"])
    parser.add_argument("--splits", type=int, default=200)
    options = parser.parse_args()
    print("| data | point | figure | covered |\n| --- | --- | --- | --- |")
    pools = {name: pool(name) for name in options.data}
    for name, rows in pools.items():
        covered, total = coverage(rows, options.splits)
        for point in POINTS:
            for figure in FIGURES:
                key = point, figure
                part = covered[key] / total[key]
                print(f"| {name} | {point} | {figure} | {part:.1%} of {total[key]} |", flush=True)
    print("\n| data | validation rows | corrected | accuracy lost, mean (worst) | gap closed |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in pools.items():
        for few in FEW:
            print(f"| {name} | {few} | {small_sample(rows, few)} |", flush=True)


def pool(name: str) -> Rows:
    """Return all rows of a data set."""
    data = su.datasets.load(name)
    X, y, g = (
        np.concatenate([np.asarray(getattr(part, field)) for part in data])
        for field in ("X", "y", "g")
    )
    return Rows(X, y, g)


def drawn(rows: Rows, rng: np.random.Generator, validation: int) -> dict[str, Rows]:
    """Return training, validation and test rows, and the rest."""
    order, parts, start = rng.permutation(len(rows)), {}, 0
    for name, size in {**SIZE, "validation": validation, "rest": len(rows)}.items():
        i = order[start : start + size]
        parts[name] = Rows(rows.X[i], rows.y[i], rows.g[i])
        start += size
    return parts


def corrected(parts: dict[str, Rows]) -> su.Correction:
    """Return the correction of a model trained on the training rows."""
    model = LogisticRegression(solver="newton-cholesky", tol=1e-8)
    model.fit(parts["train"].X, parts["train"].y)
    train, validation, test = (parts[name] for name in SIZE)
    return su.correct(model, train=train, validation=validation, test=test)


def coverage(rows: Rows, splits: int) -> tuple[Counter, Counter]:
    """Return how often each figure's interval held the large-sample change, and of how many."""
    covered, total = Counter(), Counter()
    for seed in range(splits):
        parts = drawn(rows, np.random.default_rng(seed), SIZE["validation"])
        c = corrected(parts)
        evaluator, rest = c.session.evaluator, parts["rest"]
        assert c.session.coding is not None
        coded = Rows(rest.X, rest.y, c.session.coding.codes(rest.g))
        before = evaluator.observe(c.frontier[0].head, coded, attacked=False)
        for name, index in POINTS.items():
            at = c if index is None else c.at(index)
            if at.chosen == 0:
                continue
            after = evaluator.observe(at.point.head, coded, attacked=False)
            true, stated = evaluator.changes(before, after), at.change.test
            assert stated is not None
            for figure in FIGURES:
                total[name, figure] += 1
                covered[name, figure] += (
                    stated[figure].low <= true[figure].value <= (stated[figure].high)
                )
    return covered, total


def small_sample(rows: Rows, few: int) -> str:
    """Return the columns of the second table."""
    lost, closed = [], []
    for seed in range(REPEATS):
        parts = drawn(rows, np.random.default_rng(10_000 + seed), few)
        parts["test"] = parts["rest"]
        c = corrected(parts)
        before, after = c.before.test, c.after.test
        assert before is not None
        assert after is not None
        lost.append(before.accuracy - after.accuracy)
        gaps = [f.gaps["demographic_parity"].probabilities for f in (before, after)]
        closed.append(gaps[0] - gaps[1])
    done = sum(gap != 0 for gap in closed)
    return (
        f"{done} of {REPEATS} | {np.mean(lost):+.4f} ({max(lost):+.4f}) | {np.mean(closed):+.4f}"
    )


if __name__ == "__main__":
    main()
