"""The pages on how to add something, followed to the letter and held to the contracts."""

import importlib.util
import inspect
import re
import sys
from itertools import product
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import torch

import softunlearn as su
from cases import HEAD_CASES
from softunlearn.head import LinearHead
from tests.attacks import test_boundary as attacks
from tests.curvature import test_solvers as solvers
from tests.metrics import test_metrics as metrics
from tests.unlearning import test_unlearners as unlearners

Metrics, Solvers = metrics.TestEveryMetric, solvers.TestEverySolver
Unlearners, SOME_HEADS = unlearners.TestEveryUnlearner, unlearners.SOME_HEADS
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def of_page(tmp_path_factory):
    """What makes an object of the class in a page's first block, kept in a file of its own."""
    made = {}

    def make(page, name):
        if name not in made:
            text = (DOCS / page).read_text(encoding="utf-8")
            path = tmp_path_factory.mktemp("page") / f"page_{name.lower()}.py"
            path.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
            spec = importlib.util.spec_from_file_location(path.stem, path)
            made[name] = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(made[name])
        return getattr(made[name], name)()

    yield make
    for module in made.values():
        del sys.modules[module.__name__]


def contracts(suite):
    """Return the tests of a class of contracts, by name."""
    return [name for name in vars(suite) if name.startswith("test_")]


def keep(suite, contract, one, **choices):
    """Run a contract over every combination of what it is parametrised by."""
    test = getattr(suite(), contract)
    asked = [name for name in inspect.signature(test).parameters if name in choices]
    for values in product(*(choices[name] for name in asked)):
        given = dict(zip(asked, values, strict=True))
        if "rng" in inspect.signature(test).parameters:
            given["rng"] = np.random.default_rng(0)
        test(one, **given)


def rows(k):
    rng, n = np.random.default_rng(0), 60
    return rng.normal(size=(n, k)), rng.integers(max(2, k), size=n), rng.integers(3, size=n)


@pytest.mark.parametrize("contract", contracts(Metrics))
def test_the_metric_keeps_the_contracts(contract, of_page):
    brier = of_page("adding/metric.md", "Brier")
    choices = {"validation": [rows(1), rows(3)], "xp": [torch, array_api_strict]}
    keep(Metrics, contract, brier, case=HEAD_CASES, **choices)


def test_the_metric_is_scikit_learns_brier_score(of_page):
    from sklearn.metrics import brier_score_loss

    z, y, g = rows(1)
    p = 1 / (1 + np.exp(-z[:, 0]))
    score = of_page("adding/metric.md", "Brier").value(z, y, g)
    np.testing.assert_allclose(score, 2 * brier_score_loss(y, p))


@pytest.mark.parametrize("k", [1, 4])
def test_the_attack_keeps_the_contracts(k, of_page, rng):
    attack = of_page("adding/attack.md", "OneFeature")
    head = LinearHead(rng.normal(size=(k, 5)), rng.normal(size=k))
    attacks.test_attacks_return_perturbed_copies(attack, head, rng)
    attacks.test_without_labels_rows_move_away_from_the_predicted_class(attack, head, rng)


@pytest.mark.parametrize("contract", contracts(Solvers))
def test_the_solver_keeps_the_contracts(contract, of_page):
    keep(Solvers, contract, of_page("adding/solver.md", "Eigen"), case=HEAD_CASES)


@pytest.mark.parametrize("contract", contracts(Unlearners))
def test_the_algorithm_keeps_the_contracts(contract, of_page):
    keep(Unlearners, contract, of_page("algorithms/adding.md", "Coin"), case=SOME_HEADS)


@pytest.mark.parametrize("scheme", ["soft", "hard"])
def test_the_algorithm_corrects_a_model(scheme, of_page, census, census_model):
    c = su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        algorithm=of_page("algorithms/adding.md", "Coin"),
        scheme=scheme,
    )
    assert min(point.metric for point in c.frontier) < c.frontier[0].metric
