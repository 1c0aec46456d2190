"""Every public name says what it is by an example that runs."""

import inspect
from importlib import import_module

import pytest

PACKAGES = ["", *(".metrics .attacks .weights .paths .unlearning .models .datasets".split())]
PACKAGES += [".curvature", ".report", ".cli"]


def documented():
    """Return the classes and functions that packages re-export; constants have no docstring."""
    for package in PACKAGES:
        module = import_module(f"softunlearn{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield pytest.param(value, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("value", documented())
def test_it_has_an_example(value):
    assert ">>> " in (inspect.getdoc(value) or "")
