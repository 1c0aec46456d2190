"""What may be changed in the numeric core, as cosmic-ray's operators see it.

Left out is what no numeric test could notice (annotations, what is in a `raise`, the star that
begins keyword-only arguments), and what every test notices that comes past: bit operators in the
place of arithmetic, which floats do not have.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast  # pyright: ignore[reportMissingImports]
from cosmic_ray.mutating import MutationVisitor  # pyright: ignore[reportMissingImports]
from cosmic_ray.plugins import get_operator, operator_names  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).parents[2]
CORE = Path("src/softunlearn")


@dataclass(frozen=True)
class Mutant:
    """A change that an operator makes in a file, at the operator's so-many-th place there."""

    path: str
    operator: str
    occurrence: int
    line: int

    def code(self, source: str) -> str:
        """Return the file with the change made."""
        return MutationVisitor.mutate_code(source, get_operator(self.operator)(), self.occurrence)

    def key(self) -> str:
        """Return what tells the mutant, as long as its file does not change near it."""
        return f"{self.path} {self.operator} {self.occurrence}\n{self.diff()}"

    def diff(self) -> str:
        """Return the lines that differ."""
        source = (ROOT / self.path).read_text()
        pair = source.splitlines(), self.code(source).splitlines()
        lines = list(difflib.unified_diff(*pair, lineterm="", n=0))[2:]
        return "\n".join(line for line in lines if not line.startswith("@@"))


def mutants(modules: Iterable[str]) -> Iterator[Mutant]:
    """Yield all mutants of some modules and folders of modules of the library."""
    names = [name for name in sorted(operator_names()) if not get_operator(name).arguments()]
    for name in modules:
        place = ROOT / CORE / name
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            nodes = list(ast_nodes(get_ast(path.read_text())))
            for operator in filter(_meaningful, names):
                yield from _of_operator(str(path.relative_to(ROOT)), operator, nodes)


def _meaningful(operator: str) -> bool:
    before, _, after = operator.rpartition("_")
    bits = ("BitOr", "BitAnd", "BitXor", "LShift", "RShift")
    return not ("BinaryOperator" in operator and after in bits and not before.endswith(bits))


def _of_operator(path: str, operator: str, nodes: list[Any]) -> Iterator[Mutant]:
    mutate, occurrence = get_operator(operator)(), 0
    for node in nodes:
        for (line, _), _ in mutate.mutation_positions(node):
            if not _beside_the_point(node):
                yield Mutant(path, operator, occurrence, line)
            occurrence += 1


def _beside_the_point(node: Any) -> bool:
    """Return if a change there is of an annotation, a message, or how arguments are passed."""
    if node.type == "operator" and node.parent.type == "parameters":
        return True
    if "TYPE_CHECKING" in getattr(node, "get_code", str)().split(":")[0]:
        return True
    while node.parent is not None:
        parent = node.parent
        if parent.type == "raise_stmt":
            return True
        if parent.type in ("annassign", "tfpdef") and node is parent.children[1]:
            return True
        if parent.type == "tfpdef" and node is parent.children[-1]:
            return True
        if parent.type == "funcdef" and node is getattr(parent, "annotation", None):
            return True
        node = parent
    return False
