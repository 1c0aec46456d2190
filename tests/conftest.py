"""What all tests share: shape checks in the core, and real data where it can be had."""

import os

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CORE = [
    "softunlearn.losses",
    "softunlearn.head",
    "softunlearn.objective",
    "softunlearn.row_vectors",
    "softunlearn.metrics",
    "softunlearn.attacks",
    "softunlearn.curvature",
    "softunlearn.influence",
    "softunlearn.weights",
    "softunlearn.unlearning",
]

# every array annotation of the core is checked at run time, for the whole test run
install_import_hook(CORE, "beartype.beartype")

# the same examples in every run; `make properties` looks for new ones
settings.register_profile("usual", derandomize=True, deadline=None)
settings.register_profile("long", max_examples=10_000, deadline=None, print_blob=True)
settings.load_profile("usual")


def pytest_collection_modifyitems(config, items):
    if os.environ.get("SOFTUNLEARN_DATA"):
        return
    skip = pytest.mark.skip(reason="real data: set SOFTUNLEARN_DATA to the folder that holds it")
    for item in items:
        if "data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def adult():
    """Adult as published: official training rows, UCI's test rows cut in halves."""
    import softunlearn as su

    return su.datasets.load("adult", protocol="paper")


@pytest.fixture(scope="session")
def adult_model(adult):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / 2.2622, tol=1e-8, max_iter=3000)
    return model.fit(adult.train.X, adult.train.y)


@pytest.fixture(scope="session")
def census():
    import softunlearn as su

    return su.datasets.load("census", n_rows=3000)


@pytest.fixture(scope="session")
def census_model(census):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(tol=1e-8, max_iter=1000).fit(census.train.X, census.train.y)
