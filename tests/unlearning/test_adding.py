"""docs/algorithms/adding.md, followed to the letter."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import softunlearn as su
from tests.unlearning import test_unlearners as contracts

PAGE = Path(__file__).parents[2] / "docs" / "algorithms" / "adding.md"
CONTRACTS = [name for name in dir(contracts.TestEveryUnlearner) if name.startswith("test_")]


@pytest.fixture(scope="module")
def coin(tmp_path_factory):
    """The page's class, in a file of its own."""
    path = tmp_path_factory.mktemp("page") / "coin.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])
    spec = importlib.util.spec_from_file_location("coin", path)
    module = sys.modules["coin"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.Coin()
    del sys.modules["coin"]


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("case", contracts.SOME_HEADS, ids=str)
def test_the_algorithm_of_the_page_keeps_the_contracts(contract, case, coin, rng):
    getattr(contracts.TestEveryUnlearner(), contract)(coin, case, rng)


@pytest.mark.parametrize("scheme", ["soft", "hard"])
def test_it_corrects_a_model(scheme, coin, census, census_model):
    c = su.correct(
        census_model,
        train=census.train,
        validation=census.validation,
        algorithm=coin,
        scheme=scheme,
    )
    assert min(point.metric for point in c.frontier) < c.frontier[0].metric
