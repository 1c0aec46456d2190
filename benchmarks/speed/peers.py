"""Step 1 against other libraries, each in its own process and environment, in one run.

Two problems: Adult's logistic regression (the embedded census without Adult), and a wide head of
100 classes on 512 features of 20,000 rows. Both heads have their intercept as a last feature of
ones, penalised as the others are: the one penalty that all libraries know. What is asked for is
every training row's influence on one scalar, the log loss on the validation rows; this library
also does four targets at once. The error is that of the scores against exact ones, relative in
norm, whatever their scale and sign, because each library has a convention of its own.

Iterative solvers of others are run to an error of 1e-3, with ever more iterations until they
reach it, of which the last run alone is counted. A method that asks for more memory than 18 GB
has failed.

    make bench-peers          (python benchmarks/speed/peers.py [--peers build/peers] [--rounds 3])
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from step1 import adult
from wide_head import made

from softunlearn.attacks import Boundary
from softunlearn.curvature import Cholesky, ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.metrics import LogLoss, Target
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

HERE = Path(__file__).parent
WANTED = 1e-3
ITERATIONS = (64, 128, 256, 384, 448, 512)


@dataclass(frozen=True)
class Method:
    """A method of one of the two scripts, and what it is called with.

    Parameters
    ----------
    name : str
    options : dict
    peer : bool
        Whether it runs in the peers' environment.
    iterates : bool
        Whether it is given ever more iterations, as `maxiter`, until the error is the wanted one.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    peer: bool = True
    iterates: bool = False


OURS = {
    "adult": Method("softunlearn", peer=False),
    "wide": Method("softunlearn", {"tolerance": 7e-4}, peer=False),
}
METHODS = {
    "adult": (
        Method("softunlearn", {"targets": 4}, peer=False),
        Method("the published way", peer=False),
        Method("pyDVL DirectInfluence"),
        Method("pyDVL DirectInfluence", {"loader": "torch's"}),
        Method("pyDVL CgInfluence", iterates=True),
        Method("dattri IFAttributorExplicit"),
        Method("dattri IFAttributorCG", iterates=True),
        Method("captum NaiveInfluenceFunction"),
        Method("kronfluence EK-FAC"),
    ),
    "wide": (
        Method("softunlearn", peer=False),
        Method("pyDVL CgInfluence", iterates=True),
        Method("dattri IFAttributorCG", iterates=True),
        Method("kronfluence EK-FAC"),
    ),
}


def main() -> None:
    """Print a table for each problem."""
    options = argparse.ArgumentParser(description="Time step 1 against other libraries.")
    options.add_argument("--peers", type=Path, default=Path("build/peers"))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=METHODS)
    asked = options.parse_args()
    python = asked.peers / "bin" / "python"
    if not python.exists():
        options.error(f"{python} is not there; `make bench-peers` sets the environment up")
    for name in [asked.only] if asked.only else METHODS:
        with tempfile.TemporaryDirectory() as folder:
            problem = Path(folder) / "problem.npz"
            arrays = PROBLEMS[name]()
            np.savez(problem, allow_pickle=False, **arrays)
            compare(OURS[name], METHODS[name], problem, exact(arrays), python, asked.rounds)


def compare(
    our: Method,
    methods: tuple[Method, ...],
    problem: Path,
    truth: np.ndarray,
    python: Path,
    rounds: int,
) -> None:
    """Print a line for each method; ours is run first and last, and its slower time is taken."""
    found = []
    for method in (our, *methods, our):
        found += filter(None, [tried(method, problem, truth, python, rounds)])
        print(f"{found[-1].name}: {found[-1].seconds:.4f} s", file=sys.stderr, flush=True)
    first, *found, last = found
    ours = max(first, last, key=lambda one: one.seconds)
    print(f"{'':38}{'iterations':>11}{'seconds':>10}{'times ours':>12}{'MB':>8}{'error':>10}")
    for one in (ours, *found):
        print(
            f"{one.name:38}{one.iterations or '':>11}{one.seconds:10.4f}"
            f"{one.seconds / ours.seconds:12.1f}{one.peak:8.0f}{one.error:10.1e}",
            flush=True,
        )


@dataclass(frozen=True)
class Outcome:
    """What a method took, and how far its scores are from exact ones."""

    name: str
    seconds: float
    peak: float
    error: float
    iterations: int | None


def tried(
    method: Method, problem: Path, truth: np.ndarray, python: Path, rounds: int
) -> Outcome | None:
    """Return what a method took, with as many iterations as it needs.

    Of one that fails before it gets there, the last that it did; None if that is nothing.
    """
    best = None
    for iterations in ITERATIONS if method.iterates else (None,):
        outcome = once(method, iterations, problem, truth, python, rounds)
        if outcome is None:
            break
        best = outcome
        if best.error <= WANTED:
            break
    return best


def once(
    method: Method,
    iterations: int | None,
    problem: Path,
    truth: np.ndarray,
    python: Path,
    rounds: int,
) -> Outcome | None:
    """Return what a method took, in a process of its own, or None and say why it failed."""
    options = method.options | ({"maxiter": iterations} if iterations else {})
    script = HERE / ("peer_methods.py" if method.peer else "own_methods.py")
    scores = problem.with_name("scores.npy")
    asked = [method.name, str(problem), str(scores), str(rounds), json.dumps(options)]
    process = subprocess.run(
        [str(python) if method.peer else sys.executable, "-W", "ignore", str(script), *asked],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    label = " ".join([method.name, *(f"{k}={v}" for k, v in method.options.items())])
    if process.returncode:
        why = process.stderr.strip().splitlines()[-1:]
        print(f"{label} failed: {why}", file=sys.stderr, flush=True)
        return None
    took = json.loads(process.stdout.splitlines()[-1])
    return Outcome(
        label,
        statistics.median(took["seconds"]),
        took["peak"],
        error_of(np.load(scores), truth),
        iterations,
    )


def error_of(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return ||c scores - truth|| / ||truth||, c the best scale."""
    a, b = scores.astype(np.float64), truth
    missing = (a @ b) / (a @ a) * a - b
    return float(np.linalg.norm(missing) / np.linalg.norm(b))


def exact(problem: dict[str, np.ndarray]) -> np.ndarray:
    """Return the scores in full precision."""
    k = max(2, len(problem["W"]))
    head = LinearHead(problem["W"], None, l2=float(problem["l2"]), classes=tuple(range(k)))
    objective = HeadObjective(head, Rows(problem["X"], problem["y"]))
    gradient = Target(LogLoss(), Rows(problem["X_v"], problem["y_v"])).gradient(head)[:, None]
    narrow = head.n_parameters < 1000
    solver = Cholesky() if narrow else ConjugateGradients(tolerance=1e-10, max_iterations=5000)
    return objective.row_products(solver.factor(objective).solve(gradient).x)[:, 0]


def adult_problem() -> dict[str, np.ndarray]:
    """Return Adult's head with its rows, and the validation rows attacked."""
    head, train, validation = adult()
    attacked = Boundary().perturb(head, validation.X)
    rows = {"y": train.y, "y_v": validation.y, "g_v": validation.g}
    return whole(head, {"X": train.X, "X_v": validation.X, "X_attacked": attacked}) | rows


def wide_problem() -> dict[str, np.ndarray]:
    """Return a wide head with its rows."""
    objective, (target, _) = made(20_000, 512, 100)
    rows = {"y": objective.rows.y, "y_v": target.rows.y}
    return whole(objective.head, {"X": objective.rows.X, "X_v": target.rows.X}) | rows


PROBLEMS = {"adult": adult_problem, "wide": wide_problem}


def whole(head: LinearHead, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays with the intercept as a last feature."""
    assert head.b is not None
    ones = {name: np.column_stack([X, np.ones(len(X))]) for name, X in features.items()}
    return {"W": np.column_stack([head.W, head.b]), "l2": np.array(head.l2), **ones}


if __name__ == "__main__":
    main()
