"""Every public name says what it is by an example that runs."""

import inspect
from importlib import import_module

import pytest

PACKAGES = [
    "softunlearn",
    "softunlearn.metrics",
    "softunlearn.attacks",
    "softunlearn.weights",
    "softunlearn.paths",
    "softunlearn.unlearning",
    "softunlearn.models",
    "softunlearn.generative",
    "softunlearn.datasets",
    "softunlearn.curvature",
    "softunlearn.report",
    "softunlearn.cli",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_class_and_function_has_an_example(package):
    module = import_module(package)
    values = {name: getattr(module, name) for name in module.__all__}
    without = [
        name
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isfunction(value)
        if ">>> " not in (value.__doc__ or "")
    ]
    assert without == []
