"""Results on disk, so that a run that was cut short goes on where it was.

A result is one JSON file: what was asked for, by which code and versions, and what came out. It is
read back only where all of the former are the same. It is written beside its place and moved there
in one step: what is on disk is whole or absent.
"""

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from softunlearn.disk import placed_file, remove_leftovers

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "paper"
EXAMPLES = {"deep_language": "language_gap.py", "deep_text": "toxicity_text.py"}
"""Examples that experiments are made of; the others' is the paper's network."""

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")


@dataclass(frozen=True)
class Job:
    """Something to compute, once.

    Parameters
    ----------
    name : str
        Of its file, without the ending.
    compute : callable
        Returns what JSON can hold.
    settings : dict
        What `compute` is called with, all that the result depends on beside the code.
    alone : bool, default=False
        Whether it is timed, or uses all cores, so that nothing else should run.
    """

    name: str
    compute: Callable[..., Any]
    settings: dict[str, Any] = field(default_factory=dict)
    alone: bool = False

    def kept(self) -> Any:
        """Return the result of an earlier run of the same code, or None."""
        found = _read(OUT / f"{self.name}.json")
        same = found is not None and found["stamp"] == self._stamp()
        return found["result"] if found is not None and same else None

    def run(self) -> Any:
        """Return the result, computed and kept where it was not there."""
        if (kept := self.kept()) is not None:
            return kept
        began, processor = time.perf_counter(), time.process_time()
        result = self.compute(**self.settings)
        made = {
            "commit": commit(),
            "seconds": round(time.perf_counter() - began, 2),
            "processor_seconds": round(time.process_time() - processor, 2),
        }
        text = json.dumps({"stamp": self._stamp(), "made": made, "result": result})
        write(OUT / f"{self.name}.json", text)
        return json.loads(text)["result"]

    def seconds(self) -> float:
        """Return how long it took, in whichever run that was."""
        found = _read(OUT / f"{self.name}.json")
        return 0.0 if found is None else found["made"]["seconds"]

    def _stamp(self) -> dict[str, Any]:
        code = code_digest(self.compute.__module__)
        stamp = {"settings": self.settings, "code": code, "versions": versions()}
        return json.loads(json.dumps(stamp))


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    with placed_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the versions that figures depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@cache
def code_digest(module: str) -> str:
    """Return the sha256 of the library's code and of what a module of experiments needs."""
    here, shown = ROOT / "benchmarks" / "paper", {"report", "cli"}
    library = ROOT / "src" / "softunlearn"
    files = [p for p in library.rglob("*.py") if not shown & set(p.relative_to(library).parts)]
    files += [here / "setting.py", here / f"{module.rpartition('.')[2]}.py"]
    files += [ROOT / "examples" / EXAMPLES.get(module.rpartition(".")[2], "paper_network.py")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def commit() -> str:
    """Return the commit that the working tree stands at, with a + where it holds changes."""

    def git(*arguments: str) -> str:
        ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return ran.stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        "+" if git("status", "--porcelain") else ""
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
