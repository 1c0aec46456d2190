"""Random mutants of the numeric core: how many of them the tests notice.

cosmic-ray's operators say what may be changed in the modules of `TESTS`; a number of these
changes is drawn, all with the same chance, and each is made in a copy of the sources in a
temporary folder. The fast tests of the module run on it, then, if these pass, those of a whole
correction.

    python -m benchmarks.mutants [MUTANTS] [SEED]

What was killed is kept in build/mutants.json: a run that was interrupted goes on, and one after
tests were added judges the survivors alone. Remove the file to begin anew.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from benchmarks.mutants.changes import CORE, ROOT, Mutant, mutants

KEPT = ROOT / "build" / "mutants.json"
WORKERS = 2
SECONDS = 150
"""A few times what the longest of the selections takes; a mutant that takes longer is killed."""
MEMORY_GB = 8

TESTS = {
    "rows.py": "test_rows.py test_objective.py",
    "losses.py": "test_losses.py test_objective.py metrics/test_metrics.py",
    "head.py": "test_head.py test_objective.py",
    "objective.py": "test_objective.py test_influence.py",
    "row_vectors.py": "test_row_vectors.py",
    "intervals.py": "test_intervals.py test_evaluation.py",
    "metrics": "metrics test_evaluation.py",
    "attacks": "attacks test_evaluation.py",
    "adversary.py": "attacks test_evaluation.py",
    "curvature": "curvature",
    "influence.py": "test_influence.py",
    "goal.py": "metrics/test_gaps.py paths",
    "evaluation.py": "test_evaluation.py",
    "refits.py": "test_leave_one_out.py",
    "leave_one_out.py": "test_leave_one_out.py",
    "weights": "weights",
    "unlearning": "unlearning",
    "paths": "paths",
    "select.py": "test_select.py",
}
"""Modules, and folders of modules, and the tests that are theirs; a module's examples run too."""
WHOLE = (
    "test_records.py test_correct.py test_correct_aims.py test_deciding.py paths "
    "test_evaluation.py test_reference.py"
)
"""The tests of a whole correction, for what the module's own did not notice."""


class Copy:
    """A copy of sources and tests, in which one file at a time is another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests", "benchmarks", "docs", "examples"):  # tests read pages too
            shutil.copytree(ROOT / name, folder / name)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, folder)
        self._changes = int(time.time())

    def write(self, path: str, source: str) -> None:
        """Write a file; the time that it bears is new, so that no old bytecode is taken for it."""
        self._changes += 2
        (self.folder / path).write_text(source)
        os.utime(self.folder / path, (self._changes, self._changes))

    def verdict(self, mutant: Mutant) -> str:
        """Return how the mutant ended: killed by its own tests, others, or time; or not."""
        source = (self.folder / mutant.path).read_text()
        mutated = mutant.code(source)
        parts = Path(mutant.path).relative_to(CORE).parts
        self.write(mutant.path, mutated)
        try:
            for tests, word in ((TESTS[parts[0]], "own tests"), (WHOLE, "whole correction")):
                files = [f"tests/{test}" for test in tests.split()]
                code = self.run(files if word != "own tests" else [*files, mutant.path])
                if code != 0:
                    return "time" if code is None else word
        finally:
            self.write(mutant.path, source)
        return "survived"

    def run(self, tests: list[str]) -> int | None:
        """Return the exit code of the tests, None if they took too long."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        command = [sys.executable, "-m", "pytest", *options, "-m", "not slow and not data", *tests]
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
        where = {"PYTHONPATH": str(self.folder / "src")}
        limited = ["prlimit", f"--as={MEMORY_GB * 2**30}", *command]
        with (self.folder / "output").open("w") as output:
            process = subprocess.Popen(
                limited,
                cwd=self.folder,
                env=os.environ | threads | where,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                return process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None


def judge(drawn: list[Mutant], killed: dict[str, str]) -> list[str]:
    """Run the tests on each mutant, print what became of it, and keep it with those killed."""
    KEPT.parent.mkdir(exist_ok=True)
    lock = Lock()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        free: SimpleQueue[Copy] = SimpleQueue()
        for i in range(WORKERS):
            free.put(Copy(Path(scratch) / str(i)))

        def with_copy(run: Callable[[Copy], Any]) -> Any:
            copy = free.get()
            try:
                return run(copy)
            finally:
                free.put(copy)

        def unchanged(tests: str) -> None:
            began = time.perf_counter()
            code = with_copy(lambda copy: copy.run([f"tests/{test}" for test in tests.split()]))
            print(f"{time.perf_counter() - began:.0f} s unchanged: {tests}", flush=True)
            assert code == 0, f"the tests fail without a mutant: {tests}"

        def one(mutant: Mutant) -> str:
            verdict = with_copy(lambda copy: copy.verdict(mutant))
            print(f"{verdict:>16}  {mutant.path}:{mutant.line}\n{mutant.diff()}", flush=True)
            if verdict != "survived":
                with lock:
                    killed[mutant.key()] = verdict
                    KEPT.write_text(json.dumps(killed, indent=1))
            return verdict

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(unchanged, sorted({*TESTS.values(), WHOLE})))
            return list(pool.map(one, drawn))


def main(mutants_drawn: str = "300", seed: str = "7") -> None:
    """Draw mutants, and print how many are killed; those killed before are not run again."""
    every = list(mutants(TESTS))
    chosen = np.random.default_rng(int(seed)).permutation(len(every))[: int(mutants_drawn)]
    print(f"{len(chosen)} of {len(every)} mutants, seed {seed}", flush=True)
    earlier = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    drawn = [every[i] for i in chosen]
    counts = Counter(earlier[mutant.key()] for mutant in drawn if mutant.key() in earlier)
    counts.update(judge([mutant for mutant in drawn if mutant.key() not in earlier], earlier))
    print(", ".join(f"{n} {word}" for word, n in counts.most_common()))
    killed = len(drawn) - counts["survived"]
    print(f"{killed} of {len(drawn)} killed, {killed / len(drawn):.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
