"""Figure 2: every algorithm with hard and with soft weights, for fairness and for robustness.

Under `clean`, hard weights remove ever more of the most detrimental rows until the target, on
validation rows, improves no further. Soft weights are taken at two points of their path:

* *lowest*: where the target is lowest on validation rows, the rule that hard weights follow;
* *matched*: of the points whose target is at most that of the hard weights, the one of highest
  validation accuracy; where there is none, the lowest. It compares what one target costs.

Under `paper`, hard weights remove the published share of the rows, and soft weights are those of
the whole budget, *published*; nothing is chosen. All have the same budget of 30 epochs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from benchmarks.paper.kept import Job
from benchmarks.paper.setting import DATA, EXTREMES, Setting, Trained

import softunlearn as su
from softunlearn.paths import Frontier, Start
from softunlearn.row_vectors import entries
from softunlearn.weights import TopK

ALGORITHMS = {
    "lr": ("ga_ft", "influence", "fisher", "scrub", "bad_teacher"),
    "nn": ("ga_ft", "influence", "fisher", "ntk", "scrub", "bad_teacher", "cf_k", "eu_k"),
}
"""Those of table 1 (logistic regression) and of table 2 (network)."""

TARGETS = {
    "fairness": "demographic_parity",
    "equal opportunity": "equal_opportunity",
    "robustness": "adversarial_loss",
}

FIGURES = {
    "accuracy": lambda f: f.accuracy,
    "log loss": lambda f: f.log_loss,
    "fairness": lambda f: f.gaps["demographic_parity"].probabilities,
    "fairness, labels": lambda f: f.gaps["demographic_parity"].labels,
    "equal opportunity": lambda f: f.gaps["equal_opportunity"].loss,
    "robustness": lambda f: f.adversarial_loss,
    "robustness, adaptive": lambda f: f.robustness["l2_ball"].adaptive.loss,
}
"""What is measured of every model on test rows."""


REMOVED = {"bank": 0.001}
"""Share of the rows that the published hard baseline removes; 20 % elsewhere."""

NO_BUDGET = 1e9
"""A step so long that hard weights remove all the rows they may."""

SEEDS = {"clean": (0, 1, 2, 3, 4), "paper": (0, 42, 100)}
"""Those of `paper` are the published ones. They change a network's first parameters and the
algorithms' random numbers, never the split."""


def jobs() -> list[Job]:
    """Return one job for each data set, model, seed and protocol."""
    found = []
    for protocol, seeds in SEEDS.items():
        for data in (*DATA, EXTREMES):
            for model in ALGORITHMS:
                for seed in seeds:
                    of = {"data": data, "model": model, "seed": seed, "protocol": protocol}
                    if data == EXTREMES:
                        if protocol == "paper":
                            continue
                        of["targets"] = ["fairness", "equal opportunity"]
                    found.append(Job(f"figure2/{protocol}-{data}-{model}-{seed}", compute, of))
    return found


def compute(*, targets: Sequence[str] = tuple(TARGETS), **setting: Any) -> list[dict[str, Any]]:
    """Return one record for each target, algorithm and choice of a point."""
    np.seterr(over="ignore")
    where = Setting(**setting)
    trained = where.trained()
    return [
        {**asdict(where), "target": target, "algorithm": algorithm, **record}
        for target in targets
        for algorithm in ALGORITHMS[where.model]
        for record in _compared(trained, where, TARGETS[target], algorithm)
    ]


def _compared(
    trained: Trained, where: Setting, metric: str, algorithm: str
) -> Iterator[dict[str, Any]]:
    correct = partial(
        su.correct,
        trained.model,
        train=trained.train,
        validation=trained.validation,
        test=trained.test,
        metric=metric,
        algorithm=algorithm,
        insist=True,
        select="none",
        random_state=where.seed,
    )
    if where.protocol == "paper":
        share = TopK(REMOVED.get(where.data, 0.2))
        hard = correct(scheme=share, path=Single(NO_BUDGET))
        soft = correct(scheme="soft", path=Single(1.0))
        yield _record(hard, "hard", 1)
        yield _record(soft, "published", 1)
    else:
        hard = correct(scheme="hard", path="straight")
        soft = correct(scheme="soft", path="straight")
        removed = lowest(hard.frontier)
        yield _record(hard, "hard", removed)
        yield _record(soft, "lowest", lowest(soft.frontier))
        yield _record(soft, "matched", matched(soft.frontier, hard.frontier[removed].metric))
    yield _record(soft, "original", 0)


@dataclass(frozen=True)
class Single:
    """One step, whatever comes of it."""

    step: float

    def walk(self, start: Start, progress: Any = None) -> Frontier:
        """Return the original and that step."""
        weights = start.scheme.solve(start.problem.part(self.step))
        reached = start.correctable.unlearn(start.algorithm, weights.eps)
        point = start.point(
            self.step,
            reached,
            start.correctable.measure(reached),
            predicted=start.goal.start.metrics[0] - weights.predicted,
            changed_rows=int((entries(weights.eps) != 0).sum()),
            weigh=lambda: weights.eps,
        )
        return Frontier((start.origin(), point))


def lowest(frontier: Frontier) -> int:
    """Return the point of lowest target."""
    return min(range(len(frontier)), key=lambda i: frontier[i].metric)


def matched(frontier: Frontier, metric: float) -> int:
    """Return the most accurate of the points whose target is at most that; else the lowest."""
    reached = [i for i, point in enumerate(frontier) if point.metric <= metric]
    if not reached:
        return lowest(frontier)
    return max(reached, key=lambda i: frontier[i].accuracy)


def _record(c: su.Correction, chosen: str, index: int) -> dict[str, Any]:
    point = c.frontier[index]
    # not `c.at(index).after`, which measures training rows too
    figures = c.session.evaluator.evaluate(point.head, c.session.rows["test"])
    values = {name: figure(figures) for name, figure in FIGURES.items()}
    return {
        "chosen": chosen,
        "step": point.step,
        "changed_rows": point.changed_rows,
        "metric_on_validation": point.metric,
        "accuracy_on_validation": point.accuracy,
        "figures": {k: None if math.isnan(v) else v for k, v in values.items()},
        "diverged_points": sum(p.reached.diverged for p in c.frontier),
    }
