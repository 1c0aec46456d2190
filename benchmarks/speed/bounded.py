"""Bounded weights at 10^6 rows against generic solvers of the same quadratic programme.

    minimise ||eps||^2 / 2   subject to   a . eps = delta,  u . eps >= 0,  -1 <= eps <= 1

the limit lam -> 0 of Eq. 6 with bounds, with a budget that puts some rows at a bound. Each solver
gets the sparse form that it is made for, built before the clock starts. Objectives are relative to
ours; what a solution falls short of feasible by stands beside it.

    make bench-bounded        (python benchmarks/speed/bounded.py [--rows 1_000_000] [--only PIQP])
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from softunlearn.weights import Bounded, Problem

REACH = 0.6
"""The budget, as a part of what is within reach of the bounds: one row in twenty is at one."""


def main() -> None:
    """Print seconds, ratios and objectives."""
    options = argparse.ArgumentParser(description="Time bounded weights against QP solvers.")
    options.add_argument("--rows", type=int, default=10**6)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", nargs="*", default=["PIQP", "Clarabel"])
    arguments = options.parse_args()
    n, rng = arguments.rows, np.random.default_rng(0)
    a = rng.standard_normal(n)
    u = rng.standard_normal(n) - 0.3 * a
    delta = REACH * float(np.abs(a).sum())

    def ours() -> np.ndarray:
        return Bounded().solve(Problem(a, u, delta)).eps

    peers = {"PIQP": piqp_solver, "Clarabel": clarabel_solver}
    solvers: dict[str, Callable[[], np.ndarray]] = {"softunlearn": ours}
    solvers |= {name: peers[name](a, u, delta) for name in arguments.only}
    ours()  # a warm-up
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    found: dict[str, np.ndarray] = {}
    for _ in range(arguments.rounds):
        for name, solve in solvers.items():
            start = time.perf_counter()
            found[name] = solve()
            seconds[name].append(time.perf_counter() - start)
    fastest, best = statistics.median(seconds["softunlearn"]), _value(found["softunlearn"])
    at_bound = np.mean(np.abs(found["softunlearn"]) == 1)
    print(f"{n:,} rows, {at_bound:.1%} at a bound; medians of {arguments.rounds}")
    print(f"{'':12} {'seconds':>9} {'times ours':>11} {'objective':>20} {'infeasible by':>14}")
    for name, eps in found.items():
        middle = statistics.median(seconds[name])
        print(
            f"{name:12} {middle:9.3f} {middle / fastest:11.1f} "
            f"{(_value(eps) - best) / best:+20.1e} {_infeasibility(eps, a, u, delta):14.1e}"
        )


def piqp_solver(a: np.ndarray, u: np.ndarray, delta: float) -> Callable[[], np.ndarray]:
    """Return PIQP's sparse interior point method on the problem."""
    piqp: Any = import_module("piqp")
    n = len(a)
    P, A = sparse.csc_matrix(sparse.identity(n)), sparse.csc_matrix(a[None, :])
    G, c = sparse.csc_matrix(u[None, :]), np.zeros(n)

    def solve() -> np.ndarray:
        solver = piqp.SparseSolver()
        solver.settings.eps_abs = solver.settings.eps_rel = 1e-9
        solver.setup(
            P, c, A, np.array([delta]), G, np.zeros(1), np.full(1, np.inf), -np.ones(n), np.ones(n)
        )
        solver.solve()
        return np.array(solver.result.x)

    return solve


def clarabel_solver(a: np.ndarray, u: np.ndarray, delta: float) -> Callable[[], np.ndarray]:
    """Return Clarabel's interior point method on the problem."""
    clarabel: Any = import_module("clarabel")
    n = len(a)
    P, identity = sparse.identity(n, format="csc"), sparse.identity(n, format="csc")
    A = sparse.vstack([a[None, :], -u[None, :], identity, -identity], format="csc")
    b = np.concatenate([[delta, 0.0], np.ones(2 * n)])
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(2 * n + 1)]
    settings = clarabel.DefaultSettings()
    settings.verbose = False

    def solve() -> np.ndarray:
        solver = clarabel.DefaultSolver(P, np.zeros(n), A, b, cones, settings)
        return np.array(solver.solve().x)

    return solve


def _value(eps: np.ndarray) -> float:
    return 0.5 * float(eps @ eps)


def _infeasibility(eps: np.ndarray, a: np.ndarray, u: np.ndarray, delta: float) -> float:
    """Return the largest violation of a constraint, relative to its right side or its length."""
    return max(
        abs(float(a @ eps) - delta) / delta,
        max(0.0, -float(u @ eps)) / float(np.linalg.norm(u)),
        max(0.0, float(np.abs(eps).max()) - 1),
    )


if __name__ == "__main__":
    main()
