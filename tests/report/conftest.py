"""Small corrections to report on, of every unusual kind."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder

import softunlearn as su
from tests.report.cases import HOSTILE, correction, fit, make, parts


@pytest.fixture(scope="session")
def corrected():
    """The usual case: two groups, a test set, the whole correction."""
    c = correction(parts(*make()), select="full")
    assert c.status is su.Status.CORRECTED
    return c


@pytest.fixture(scope="session")
def unchanged():
    """Nothing to correct, and no test rows."""
    rows = parts(*make())
    del rows["test"]
    return correction(rows, only_above=1.0)


@pytest.fixture(scope="session")
def without_groups():
    rows = {name: part[:2] for name, part in parts(*make()).items()}
    return correction(rows, metric="adversarial_loss", select="full")


@pytest.fixture(scope="session")
def multiclass():
    """Three classes and none named positive: there are groups, and no gaps."""
    return correction(parts(*make(classes=3)), metric="adversarial_loss", select="full")


@pytest.fixture(scope="session")
def hard():
    return correction(parts(*make()), scheme="hard", select="full")


@pytest.fixture(scope="session")
def groupless_test():
    rows = parts(*make())
    rows["test"] = rows["test"][:2]
    return correction(rows, select="full")


@pytest.fixture(scope="session")
def own_metric():
    """The log loss on rows of one's own: no figure of the splits."""
    X, y, _ = make(n=60, seed=1)
    metric = su.Target(su.metrics.LogLoss("mean"), (X, y))
    return correction(parts(*make()), metric=metric, select="full")


@pytest.fixture(scope="session")
def hostile():
    """Names and values that would break a page, a figure or a table if they could."""
    X, y, g = make()
    frame = pd.DataFrame(
        {
            HOSTILE: np.where(X[:, 0] > 0, HOSTILE, "</td></table>"),
            'x" onmouseover="alert(1)': np.where(X[:, 1] > 0, "long " * 500, "a\x00b\x1b\u202ec"),
            "$\\frac{": np.where(X[:, 2] > 0, "{{ 7 * 7 }}", "&amp;"),
        }
    )
    groups = np.where(g == "a", "</svg>" + HOSTILE, "$x^{$ \u6f22\U0001f600 --> ]]>")
    labels = np.where(y == 1, "<b>yes</b>", "no")
    rows = {
        name: (frame.iloc[part], labels[part], groups[part])
        for name, part in (
            ("train", slice(0, 120)),
            ("validation", slice(120, 180)),
            ("test", slice(180, 240)),
        )
    }
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return correction(rows, model=fit(*rows["train"][:2], encoder), select="full")


KINDS = [
    "corrected",
    "unchanged",
    "without_groups",
    "multiclass",
    "hard",
    "groupless_test",
    "own_metric",
    "hostile",
]


@pytest.fixture(scope="session", params=KINDS)
def any_correction(request):
    return request.getfixturevalue(request.param)
