"""Runtimes: steps 1, 2 and 3 of every algorithm, hard and soft, at the paper's single step.

The processor's seconds of one process with one thread, the median of several runs.
"""

import statistics
import time
from typing import Any

import numpy as np
from benchmarks.paper.kept import Job
from benchmarks.paper.setting import Setting

import softunlearn as su
from softunlearn.unlearning import ALGORITHMS

NAMES = [name for name in ALGORITHMS if name not in ("ft", "ga")]
REPEATS = 5
STEPS = ("step 1: influence", "step 2: weights", "step 3: correction")


def jobs() -> list[Job]:
    """Return one job for each model on Adult."""
    return [Job(f"runtimes/{model}", compute, {"model": model}, True) for model in ("lr", "nn")]


def compute(*, model: str) -> list[dict[str, Any]]:
    """Return one record for each algorithm and scheme."""
    np.seterr(over="ignore")
    trained = Setting("adult", model).trained()
    found = []
    for algorithm in NAMES:
        for scheme in ("hard", "soft"):
            runs = []
            for _ in range(REPEATS):
                began = time.process_time()
                c = su.correct(
                    trained.model,
                    train=trained.train,
                    validation=trained.validation,
                    algorithm=algorithm,
                    scheme=scheme,
                    path=su.paths.Straight((1.0,)),
                    insist=True,
                    select="full",
                )
                runs.append((time.process_time() - began, c.timings))
            found.append(
                {
                    "algorithm": algorithm,
                    "scheme": scheme,
                    "whole": statistics.median(whole for whole, _ in runs),
                    **{
                        step: statistics.median(timings[step] for _, timings in runs)
                        for step in STEPS
                    },
                }
            )
    return found
