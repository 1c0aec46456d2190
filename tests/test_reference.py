"""The reference lists every public name."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "index.rst").read_text()
PARTS = re.split(r"^\.\. currentmodule:: (\S+)$", PAGE, flags=re.MULTILINE)
LISTED = {
    module: re.findall(r"^   (\w[\w.]*)$", part, re.MULTILINE)
    for module, part in zip(PARTS[1::2], PARTS[2::2], strict=True)
}
SUBPACKAGES = {"metrics", "attacks", "weights", "paths", "unlearning", "models", "datasets"}


@pytest.mark.parametrize("module", LISTED)
def test_every_public_name_is_in_the_reference(module):
    public = set(import_module(module).__all__)
    if module == "softunlearn":
        public -= {*SUBPACKAGES, "__version__"}
        assert {f"softunlearn.{name}" for name in SUBPACKAGES} <= set(LISTED)
    assert public <= {*LISTED[module], *LISTED["softunlearn"]}
