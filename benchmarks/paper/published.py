"""What the paper reports: tables 1 and 2, improvement of soft over hard weights in per cent.

For each algorithm and data set: (fairness target, its utility, robustness target, its utility).
"""

DATA = ("adult", "bank", "celeba", "toxicity")

Cells = tuple[float, float, float, float]


def _row(*figures: float) -> dict[str, Cells]:
    return {
        data: (figures[i], figures[i + 1], figures[i + 2], figures[i + 3])
        for data, i in zip(DATA, range(0, 16, 4), strict=True)
    }


TABLE_1 = {
    "ga_ft": _row(
        25.0, 3.5, 3.5, 6.4, 98.9, 2.3, 15.9, 9.5, 40.2, 4.4, 6.4, 3.6, 23.5, 7.4, 6.4, 2.9
    ),
    "influence": _row(
        28.6, 5.6, 14.2, 3.1, 97.2, 2.9, 13.5, 13.3, 79.3, 7.0, 4.7, 2.2, 10.6, 8.1, 0.5, 0.8
    ),
    "fisher": _row(
        10.8, 4.6, 5.1, 5.4, 83.3, 2.4, 11.3, 3.8, 9.7, 4.2, 8.3, 2.1, 1.4, 8.0, 8.3, 3.3
    ),
    "scrub": _row(
        77.5, 4.3, 5.4, 5.2, 90.0, 1.7, 8.2, 5.3, 29.7, 4.4, 5.3, 2.7, 26.4, 5.7, 1.3, 4.6
    ),
    "bad_teacher": _row(
        80.0, 3.2, 5.3, 8.0, 92.9, 2.5, 8.1, 4.3, 32.2, 3.8, 6.1, 3.7, -0.7, 7.2, 3.3, 3.2
    ),
}
"""Logistic regression."""

TABLE_2 = {
    "ga_ft": _row(
        0.0, 5.5, 15.3, 8.0, 70.6, 3.6, 11.6, 7.5, 14.3, 5.0, 6.2, 5.7, 28.6, 6.0, 11.4, 7.4
    ),
    "influence": _row(
        54.7, 4.7, 3.0, 2.6, 98.1, 2.4, 2.5, 3.2, 50.0, 7.7, 2.5, 4.3, 48.7, 2.3, 2.6, 3.6
    ),
    "fisher": _row(
        -3.4, 8.5, 8.9, 12.4, 25.0, 4.1, 12.3, 10.1, 16.7, 7.8, 7.1, 10.8, 6.3, 6.1, 12.1, 8.5
    ),
    "ntk": _row(
        0.8, 8.4, 10.0, 11.1, 36.8, 3.3, 9.4, 8.9, 30.0, 5.7, 6.7, 9.5, 0.0, 4.0, 6.5, 8.8
    ),
    "scrub": _row(
        5.9, 8.1, 14.7, 10.3, 57.1, 4.1, 10.1, 9.6, 82.0, 6.4, 3.4, 4.5, 40.1, 4.1, 10.7, 8.5
    ),
    "bad_teacher": _row(
        1.4, 6.8, 11.7, 10.7, 12.5, 3.5, 11.0, 12.6, 76.9, 7.1, 7.6, 10.7, 83.3, 0.6, 10.9, 8.5
    ),
    "cf_k": _row(
        14.8, 4.2, 11.9, 6.3, 0.0, 1.9, 10.7, 6.5, 71.4, 8.6, 5.8, 2.4, 0.0, 4.8, 10.6, 8.5
    ),
    "eu_k": _row(
        84.4, 3.4, 8.4, 8.4, 97.8, 2.0, 6.7, 9.2, 90.0, 8.4, 1.2, 8.3, 74.9, 7.7, 5.4, 10.2
    ),
}
"""The network's last layer."""

TABLES = {"lr": TABLE_1, "nn": TABLE_2}

STEP_2_SHARE = 0.0003
"""Of the whole time of the influence update with soft weights."""
