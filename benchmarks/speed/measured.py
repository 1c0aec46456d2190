"""What a method takes: seconds and memory, of a process that runs nothing else.

Needs NumPy alone: it is imported by processes of other environments too.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


class PeakMemory:
    """The most memory that the process had inside of `with`, above what it had before, in MB.

    Linux keeps the peak, and starts anew when it is asked to.
    """

    peak = 0.0

    def __enter__(self) -> "PeakMemory":
        Path("/proc/self/clear_refs").write_text("5")
        self._before = resident()
        return self

    def __exit__(self, *_: object) -> None:
        self.peak = _status("VmHWM") - self._before


def resident() -> float:
    """Return the process's memory in MB."""
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6  # the kernel's kB are KiB


Problem = dict[str, np.ndarray]
"""X, y, W and l2 of a head without an intercept, and X_v, y_v (and more) of validation rows."""


MOST_MEMORY = 18 * 10**9
"""Bytes that a method may take: the machine is to live on."""

LONG = 15.0
"""Seconds after which a first run counts, and is the only one."""


def run(methods: dict[str, Callable[..., Callable[[], np.ndarray]]]) -> None:
    """Time one of some methods, as `peers.py` asks for it on the command line.

    `methods[name](problem, **options)` prepares the data in the form that the method takes, and
    returns what is timed: a function that returns every training row's score.
    """
    name, problem, scores, rounds, options = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    with np.load(problem) as file:
        arrays = dict(file)
    solve = methods[name](arrays, **json.loads(options))
    start = time.perf_counter()
    with PeakMemory() as memory:
        found = solve()
    first = time.perf_counter() - start
    seconds = [first] if first > LONG else []
    for _ in range(0 if seconds else int(rounds)):
        start = time.perf_counter()
        found = solve()
        seconds.append(time.perf_counter() - start)
    np.save(scores, found)
    print(json.dumps({"seconds": seconds, "peak": memory.peak}))
