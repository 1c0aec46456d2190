"""What is handed from one step to the next cannot be changed on the way."""

import dataclasses
import importlib
import pkgutil

import pytest

import softunlearn as su

ELSEWHERE = ("cli", "models", "report", "streams", "tracking", "datasets", "generative")
"""Packages that load other libraries, and are no part of the numeric core."""


def dataclasses_of_the_core():
    for module in pkgutil.walk_packages(su.__path__, "softunlearn."):
        if module.name.split(".")[1] in ELSEWHERE:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if dataclasses.is_dataclass(value) and value.__module__ == module.name:
                yield value


def test_records_and_settings_are_frozen():
    changeable = [
        record.__name__
        for record in dataclasses_of_the_core()
        if not record.__dataclass_params__.frozen
    ]
    assert changeable == []


@pytest.mark.parametrize(
    "make",
    [
        su.weights.ClosedForm,
        su.weights.Bounded,
        su.weights.TopK,
        su.unlearning.Training,
        su.metrics.DemographicParity,
        su.attacks.Boundary,
    ],
)
def test_equal_settings_are_equal(make):
    assert make() == make()
    assert hash(make()) == hash(make())
