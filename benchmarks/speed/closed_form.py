"""The weights in closed form at 10^8 rows against what memory allows.

The floor is two passes, 40 bytes a row: a and u are read for their inner products, then read again
while eps is written. It is given by the bandwidth of a plain copy, measured in the same run, in
turn. eps goes into memory that is there already.

    python benchmarks/speed/closed_form.py [--rows 100_000_000] [--rounds 5]
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np

from softunlearn.weights import ClosedForm, Problem

FLOOR_BYTES = 40
"""Of a row, in two passes: 16 read, then 16 read and 8 written."""


def main() -> None:
    """Print the medians and their ratio."""
    options = argparse.ArgumentParser(description="Time the closed form against two passes.")
    options.add_argument("--rows", type=int, default=10**8)
    options.add_argument("--rounds", type=int, default=5)
    arguments = options.parse_args()
    n, rng = arguments.rows, np.random.default_rng(0)
    a, eps = rng.standard_normal(n), np.zeros(n)
    u = rng.standard_normal(n)
    u -= 0.3 * a  # utility binds: case 4, which needs both
    held = _peak_bytes()

    def solve() -> None:
        weights = ClosedForm().solve(Problem(a, u, budget=1.0), out=eps)
        assert weights.case == 4

    def copy() -> None:
        np.copyto(eps, a)

    seconds = in_turn({"copy": copy, "closed form": solve}, arguments.rounds)
    copied = 16 * n / statistics.median(seconds["copy"])
    floor, ours = FLOOR_BYTES * n / copied, statistics.median(seconds["closed form"])
    print(f"{n:,} rows; a copy moves {copied / 1e9:.1f} GB/s")
    print(f"{'two passes at that':20} {1e3 * floor:9.1f} ms")
    print(f"{'closed form':20} {1e3 * ours:9.1f} ms (min {1e3 * min(seconds['closed form']):.1f})")
    print(f"{'ratio':20} {ours / floor:9.2f}")
    print(f"{'memory beside a, u, eps':20} {(_peak_bytes() - held) / 2**20:.1f} MiB")
    gain, fall = float(u @ eps), float(a @ eps)
    print(f"a . eps = {fall:.12f} (wanted 1), u . eps = {gain:.2e} (wanted >= 0)")


def in_turn(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each, run alternately after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
