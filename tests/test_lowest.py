"""`lowest.txt` holds the lower bounds of pyproject.toml, each as the one version to be tested."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_AT_ITS_BOUND = {"torch"}
"""Older builds bring gigabytes of CUDA libraries along."""


def parsed(requirements, operator):
    """Return the version that stands behind the operator, by name, without trailing zeros."""
    found = [re.fullmatch(rf"([\w-]+){operator}([\w.]+)", one) for one in requirements]
    return {one[1].lower(): re.sub(r"(\.0)+$", "", one[2]) for one in found if one}


def test_lowest_versions_are_the_lower_bounds():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = told["project"]
    groups = [project["dependencies"], told["dependency-groups"]["test"]]
    groups += project["optional-dependencies"].values()
    bounds = parsed({one for group in groups for one in group}, ">=")
    lowest = parsed((ROOT / "lowest.txt").read_text(encoding="utf-8").splitlines(), "==")
    for name in NOT_AT_ITS_BOUND:
        bounds.pop(name), lowest.pop(name)
    assert lowest == bounds
