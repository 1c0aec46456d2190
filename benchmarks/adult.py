"""What a correction of Adult reaches on test rows: the README's table.

Logistic regression with intercept on the published split. Soft weights, the influence update, the
re-linearised path; the choice on validation rows, the figures on test rows.

    SOFTUNLEARN_DATA=... python benchmarks/adult.py
"""

import time

from sklearn.linear_model import LogisticRegression

import softunlearn as su
from softunlearn.session import SplitFigures

COLUMNS = (
    "corrected for",
    "point",
    "accuracy",
    "parity gap, mean p",
    "parity gap, labels",
    "attacked loss",
)


def main() -> None:
    """Print the table, in Markdown."""
    data = su.datasets.load("adult", protocol="paper")
    model = LogisticRegression(C=1 / 2.2622, tol=1e-8, max_iter=3000)
    model.fit(data.train.X, data.train.y)
    fair, seconds = timed(model, data, "demographic_parity")
    robust, more_seconds = timed(model, data, "adversarial_loss")
    print("|", " | ".join(COLUMNS), "|")
    print("|", " | ".join("---" for _ in COLUMNS), "|")
    row("nothing", "", fair.before)
    row("demographic parity", "the default choice", fair.after)
    for name, part in (("half of the gap", 0.5), ("a quarter", 0.25), ("a twentieth", 0.05)):
        row("", f"{name} on validation rows", fair.at(first_below(fair, part)).after)
    row("attacked loss", "the default choice", robust.after)
    to_target = robust.at(first_below(robust, 0.6))
    row("", "six tenths on validation rows", to_target.after)
    print(f"\n`su.correct` took {seconds:.2f} s and {more_seconds:.2f} s.")


def timed(
    model: LogisticRegression, data: su.datasets.Splits, metric: str
) -> tuple[su.Correction, float]:
    """Return a correction and the seconds it took."""
    start = time.perf_counter()
    correction = su.correct(
        model, train=data.train, validation=data.validation, test=data.test, metric=metric
    )
    return correction, time.perf_counter() - start


def first_below(correction: su.Correction, part: float) -> int:
    """Return the first point whose validation metric is at most a part of the original's."""
    limit = part * correction.frontier[0].metric
    return next(i for i, point in enumerate(correction.frontier) if point.metric <= limit)


def row(target: str, point: str, figures: SplitFigures) -> None:
    """Print one line of the table."""
    test = figures.test
    assert test is not None
    gap = test.gaps["demographic_parity"]
    print(
        f"| {target} | {point} | {test.accuracy:.4f} | {gap.probabilities:.4f} "
        f"| {gap.labels:.4f} | {test.adversarial_loss:.3f} |"
    )


if __name__ == "__main__":
    main()
