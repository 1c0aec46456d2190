"""A wide head's influences: plain conjugate gradients, the peers' preconditioner, and ours.

The head is a softmax regression of 100 classes on 512 features of 20,000 rows: two random ReLU
layers over latent clusters, which gives features a decaying spectrum, trained by 100 iterations
of L-BFGS. What is solved for is the gradient of a parity gap between two groups, or with
`--targets 2` also that of the log loss, on rows that were not trained on. The error is that of
the influences, relative in norm, against a solution to 1e-10. All run in one process, with the
same threads, and each stops at the first iterate whose error is below 1e-3; the time that it
takes to measure the error is not counted.

    python benchmarks/speed/wide_head.py [--targets 2] [--threads 1]
    python benchmarks/speed/wide_head.py --large    # 50,000 x 2,048, 1,000 classes: memory
"""

import argparse
import os
import threading
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_info, threadpool_limits

from softunlearn.curvature import ConjugateGradients
from softunlearn.head import LinearHead
from softunlearn.metrics import DemographicParity, LogLoss, Target
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows

WANTED = 1e-3
"""Error of the influences at which a method has done its work."""

MOST = 1000
"""Iterations after which a method has failed."""


def main() -> None:
    """Print a line for each method, and the ratios."""
    options = argparse.ArgumentParser(description="Time the influences of a wide head.")
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--features", type=int, default=512)
    options.add_argument("--classes", type=int, default=100)
    options.add_argument("--targets", type=int, default=1, choices=(1, 2))
    options.add_argument("--threads", type=int, default=None)
    options.add_argument("--large", action="store_true")
    asked = options.parse_args()
    with threadpool_limits(asked.threads, "blas"):
        threads = [pool["num_threads"] for pool in threadpool_info()]
        print(f"Threads of the linear algebra: {threads}")
        large() if asked.large else compare(asked)


def compare(asked: argparse.Namespace) -> None:
    """Run all methods on one head."""
    objective, targets = made(asked.rows, asked.features, asked.classes)
    gradients = np.stack([t.gradient(objective.head) for t in targets[: asked.targets]], axis=1)
    truth = objective.row_products(
        ConjugateGradients(tolerance=1e-10, max_iterations=5000)
        .factor(objective)
        .solve(gradients)
        .x
    )

    def errors(x: np.ndarray) -> np.ndarray:
        missing = objective.row_products(x) - truth
        return np.linalg.norm(missing, axis=0) / np.linalg.norm(truth, axis=0)

    print(f"\n{'':34} products  cpu s  wall s    error  peak MB")
    spent = {}
    for name, method in {
        "plain, float64": lambda watch: simple(objective, gradients, watch, np.float64, False),
        "peers' preconditioner, float32": lambda watch: simple(
            objective, gradients, watch, np.float32, True
        ),
        "ours, tolerance 1e-3": lambda watch: ours(objective, gradients, watch, 1e-3),
        "ours, default (3e-4)": lambda watch: ours(objective, gradients, watch, 3e-4),
    }.items():
        watch = Watch(errors)
        with PeakMemory() as memory:
            products = method(watch)
        spent[name] = watch.cpu
        print(
            f"{name:34} {products:8}  {watch.cpu:5.1f}  {watch.wall:6.1f}  {watch.error:.1e}"
            f"  {memory.peak:7.0f}",
            flush=True,
        )
    plain, peers, *_ = spent.values()
    for name, seconds in list(spent.items())[2:]:
        print(
            f"{name}: {plain / seconds:.1f} times as fast as plain, {peers / seconds:.1f} as peers"
        )


def ours(objective: HeadObjective, gradients: np.ndarray, watch: "Watch", tolerance: float) -> int:
    """Run this library's solver, the making of its preconditioner included."""
    with watch:
        factored = ConjugateGradients(tolerance=tolerance).factor(objective)
        solution = factored.solve(gradients)
    watch.look(solution.x)
    return solution.iterations


def simple(
    objective: HeadObjective, gradients: np.ndarray, watch: "Watch", dtype: type, peers: bool
) -> int:
    """Run textbook conjugate gradients, one right-hand side after the other; return products."""
    with watch:
        X, l2 = objective.rows.X.astype(dtype), objective.head.l2
        A = np.concatenate([X, np.ones((len(X), 1), dtype)], axis=1)
        P = objective.probabilities(dtype)
        penalty = np.append(np.full(X.shape[1], l2), 0).astype(dtype)
        precondition = gram_of_all(A, P, l2) if peers else lambda r: r

    def product(v: np.ndarray) -> np.ndarray:
        U = A @ v.T
        U *= P
        U -= P * U.sum(axis=1, keepdims=True)
        return U.T @ A + v * penalty

    k, total = P.shape[1], 0
    x = np.zeros_like(gradients)
    for j in range(gradients.shape[1]):
        with watch:
            r = gradients[:, j].reshape(k, -1).astype(dtype)
            here = np.zeros_like(r)
            z = precondition(r)
            direction, rz = z, float((r * z).sum())
        for _ in range(MOST):
            with watch:
                q = product(direction)
                step = dtype(rz / float((direction * q).sum()))
                here, r = here + step * direction, r - step * q
                z = precondition(r)
                rz, was = float((r * z).sum()), rz
                direction = z + dtype(rz / was) * direction
            total += 1
            x[:, j] = here.ravel()
            if watch.look(x, j) < WANTED:
                break
    return total


def gram_of_all(A: np.ndarray, P: np.ndarray, l2: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the peers' preconditioner: (Gram / n) x diag(sum p (1 - p)) + l2, inverted."""
    values, V = np.linalg.eigh(A.T @ A / len(A))
    scale = (P * (1 - P)).sum(axis=0)[:, None] * values + A.dtype.type(l2)
    return lambda r: ((r @ V) / scale) @ V.T


class Watch:
    """Adds up the seconds spent inside of `with`, and measures errors outside of it."""

    def __init__(self, errors: Callable[[np.ndarray], np.ndarray]) -> None:
        self.cpu = self.wall = 0.0
        self.error = float("inf")
        self._errors = errors

    def __enter__(self) -> None:
        self._began = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time() - self._began[0]
        self.wall += time.perf_counter() - self._began[1]

    def look(self, x: np.ndarray, column: int | None = None) -> float:
        """Return the error of a solution's column, or the largest; it is also kept."""
        errors = self._errors(x)
        self.error = float(errors.max())
        return self.error if column is None else float(errors[column])


class PeakMemory:
    """The most memory that the process had inside of `with`, above what it had before."""

    def __enter__(self) -> "PeakMemory":
        self._before, self.peak, self._done = resident(), 0.0, False
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done = True
        self._thread.join()

    def _watch(self) -> None:
        while not self._done:
            self.peak = max(self.peak, resident() - self._before)
            time.sleep(0.005)


def resident() -> float:
    """Return the process's memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def made(n: int, d: int, k: int) -> tuple[HeadObjective, list[Target]]:
    """Return a trained head on its rows, and two targets on a fifth as many other rows."""
    rng = np.random.default_rng(0)
    total, latent = n + n // 5, 64
    y = rng.integers(k, size=total)
    hidden = rng.normal(size=(k, latent))[y] + 4 * rng.normal(size=(total, latent))
    for width in (d // 2, d):
        hidden = np.maximum(hidden @ rng.normal(size=(hidden.shape[1], width)), 0)
        hidden /= hidden.std()
    group = (hidden[:, 0] > np.median(hidden[:, 0])).astype(int)
    train, other = slice(0, n), slice(n, total)
    start = LinearHead(np.zeros((k, d)), np.zeros(k), l2=1.0, classes=tuple(range(k)))
    objective = HeadObjective(start, Rows(hidden[train].copy(), y[train]))

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = objective.at(start.with_theta(theta))
        return at.loss_sum(), at.total_gradient()

    found = minimize(loss, start.theta, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    objective = objective.at(start.with_theta(found.x))
    right = (objective.logits().argmax(axis=1) == y[train]).mean()
    print(f"{n:,} rows, {d} features, {k} classes; {right:.0%} of the training rows are right")
    rows = Rows(hidden[other].copy(), y[other], group[other])
    return objective, [Target(DemographicParity(positive=0), rows), Target(LogLoss(), rows)]


def large() -> None:
    """Print what a head of 2,048 features and 1,000 classes takes on 50,000 rows."""
    n, d, k = 50_000, 2048, 1000
    rng = np.random.default_rng(0)
    y = rng.integers(k, size=n)
    means = rng.normal(size=(k, d)).astype(np.float32)
    X = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 5000):
        part = slice(start, start + 5000)
        X[part] = np.maximum(means[y[part]] + 3 * rng.normal(size=(5000, d)), 0)
    W = (means - means.mean(axis=0)).astype(np.float64)
    W *= 2 / (X[:1000] @ W.T).std()  # not trained, but as much in doubt as a trained one
    head = LinearHead(W, np.zeros(k), l2=1.0, classes=tuple(range(k)))
    objective = HeadObjective(head, Rows(X, y))
    watch, other = Watch(lambda x: np.zeros(1)), Rows(X[:2000], y[:2000], y[:2000] % 2)
    gradient = Target(DemographicParity(positive=0), other).gradient(head)[:, None]
    print(f"{n:,} rows, {d:,} features, {k:,} classes; {resident():,.0f} MB with the data")
    with PeakMemory() as memory, watch:
        solution = ConjugateGradients(tolerance=0.3).factor(objective).solve(gradient)
        objective.row_products(solution.x)
    print(
        f"{solution.iterations} products to a tolerance of 0.3, relative residual "
        f"{solution.residual:.1e}: {watch.wall:.0f} s, cpu {watch.cpu:.0f} s, "
        f"{memory.peak:,.0f} MB above the data, {resident():,.0f} MB now"
    )


if __name__ == "__main__":
    main()
