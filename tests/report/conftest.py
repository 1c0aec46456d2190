"""Small corrections to report on, of every unusual kind."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

import softunlearn as su
from softunlearn.metrics import DemographicParity
from tests.report.cases import HOSTILE, LOADS, correction, fit, make, parts


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
def several():
    """Two targets and one that is held, on two sensitive columns of which some cells are rare."""
    X, y, g = make(n=1200)
    rng = np.random.default_rng(5)
    age = rng.choice(["old", "young", "rare"], size=len(g), p=[0.49, 0.49, 0.02])
    X[:, 2] += 0.7 * (age == "old")
    y = (X @ [1.0, 0.8, 0.6] - 1 + rng.logistic(size=len(y)) > 0).astype(int)
    columns = pd.DataFrame({"sex": g, "age": age})
    names, slices = (
        ("train", "validation", "test"),
        (slice(600), slice(600, 900), slice(900, 1200)),
    )
    rows = {name: (X[s], y[s], columns.iloc[s]) for name, s in zip(names, slices, strict=True)}
    metrics = [DemographicParity(by="sex"), "adaptive_loss"]
    held = [DemographicParity(by="age")]
    return correction(rows, metric=metrics, hold=held, insist=True, select="full")


@pytest.fixture(scope="session")
def noise():
    """A gap that cannot be told from zero."""
    X, y, _ = make(seed=3)
    return correction(parts(X, y, np.random.default_rng(0).choice(["a", "b"], size=len(y))))


@pytest.fixture(scope="session")
def lonely():
    """One training row alone has a value in the last feature."""
    X, y, g = make(d=4)
    X[:, 3] = 0.0
    X[7, 3] = 4.0
    rows = parts(X, y, g)
    model = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000).fit(*rows["train"][:2])
    return correction(rows, model=model, select="full")


@pytest.fixture(scope="session")
def hostile():
    """Names and values that would break a page, a figure or a table if they could."""
    X, y, g = make()
    frame = pd.DataFrame(
        {
            HOSTILE: np.where(X[:, 0] > 0, HOSTILE, "</td></table>"),
            'x" onmouseover="alert(1)': np.where(X[:, 1] > 0, "long " * 500, "a\x00b\x1b\u202ec"),
            "$\\frac{": np.where(X[:, 2] > 0, "{{ 7 * 7 }}", LOADS),
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
    "several",
    "noise",
    "lonely",
    "hostile",
]


@pytest.fixture(scope="session", params=KINDS)
def any_correction(request):
    return request.getfixturevalue(request.param)
