"""The reference lists every public name."""

import re
from importlib import import_module
from inspect import ismodule
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "index.rst").read_text()
PARTS = re.split(r"^\.\. currentmodule:: (\S+)$", PAGE, flags=re.MULTILINE)
LISTED = {
    module: re.findall(r"^   (\w[\w.]*)$", part, re.MULTILINE)
    for module, part in zip(PARTS[1::2], PARTS[2::2], strict=True)
}


@pytest.mark.parametrize("module", LISTED)
def test_every_public_name_is_in_the_reference(module):
    there = import_module(module)
    public = set(there.__all__) - {"__version__"}
    packages = {name for name in public if ismodule(getattr(there, name))}
    assert {f"{module}.{name}" for name in packages} <= set(LISTED)
    assert public - packages <= {*LISTED[module], *LISTED["softunlearn"]}
