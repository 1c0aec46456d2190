"""Step 1 on Adult against the one matrix product that it cannot do without.

Step 1 is: the Hessian and its factor, the gradients of the targets, one solve each, and the
influence of every training row on each target. The floor is one Gram product of the same matrix,
by one thread: OpenBLAS is no faster with two at so few columns, and leaves one that spins for
a while. Both are timed in turn, so that a machine whose speed drifts slows both.

    python benchmarks/speed/step1.py [--rounds 30] [--targets 4]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from softunlearn import datasets
from softunlearn.attacks import Boundary
from softunlearn.curvature import Cholesky
from softunlearn.head import LinearHead
from softunlearn.influence import influence
from softunlearn.metrics import (
    DemographicParity,
    EqualOpportunity,
    LogLoss,
    Target,
    passes,
)
from softunlearn.models import Encoder, adapt
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows


def main() -> None:
    """Print the medians and their ratio."""
    options = argparse.ArgumentParser(description="Time step 1 against one Gram product.")
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--targets", type=int, default=4, choices=(1, 2, 3, 4))
    arguments = options.parse_args()

    head, train, validation = adult()
    blas = ThreadpoolController().select(user_api="blas")
    targets = [
        Target(DemographicParity(), validation),
        Target(LogLoss(), validation),
        Target(EqualOpportunity(), validation),
        Target(LogLoss(), validation.with_features(Boundary().perturb(head, validation.X))),
    ][: arguments.targets]

    def step1() -> np.ndarray:
        objective = HeadObjective(head, train)
        factored = Cholesky().factor(objective)
        gradients = passes.gradients(targets, head)
        return influence(objective, factored, gradients)[0]

    def gram() -> np.ndarray:
        with blas.limit(limits=1):
            return train.X.T @ train.X

    ours, floor = in_turn(step1, gram, arguments.rounds)
    ratios = [a / b for a, b in zip(ours, floor, strict=True)]
    print(f"{len(train):,} rows, {train.X.shape[1]} features, {len(targets)} targets")
    for name, seconds in (("step 1", ours), ("one Gram product", floor)):
        print(
            f"{name:18} {1e3 * statistics.median(seconds):7.2f} ms (min {1e3 * min(seconds):.2f})"
        )
    print(f"{'ratio':18} {statistics.median(ratios):7.2f}    (median of the rounds' ratios)")


def adult() -> tuple[LinearHead, Rows, Rows]:
    """Return the head of Adult's logistic regression, with its rows; the census without Adult."""
    name = "adult" if datasets.locate("adult") is not None else "census"
    if name != "adult":
        print("Adult is not on this machine: the embedded census is timed instead.")
    data = datasets.load(name, protocol="paper", n_rows=None if name == "adult" else 50_000)
    model = LogisticRegression(C=1 / 2.2622, max_iter=3000).fit(data.train.X, data.train.y)
    adapter = adapt(model)
    head = adapter.head(len(data.train))
    encoder = Encoder(adapter, head).with_groups_of(data.validation)
    return (
        head,
        encoder.encode(data.train, "train", train=True),
        encoder.encode(data.validation, "validation", groups=True),
    )


def in_turn(
    one: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Return the seconds of both, run alternately after a warm-up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 3):
        for function, spent in zip((one, other), seconds, strict=True):
            start = time.perf_counter()
            function()
            if round_ >= 3:
                spent.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
