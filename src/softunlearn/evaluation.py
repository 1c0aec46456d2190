"""Every figure that is reported of a head on some rows, each with its interval.

Each gap is given three times: on probabilities (what a correction optimises), on predicted labels
(what practitioners read), and on the log loss (the paper's surrogate for equal opportunity).

Robustness is given twice: *transfer* is on rows perturbed once, against the original head, and
kept (the paper's protocol); *adaptive* on rows perturbed anew, against the head that is measured.
The boundary attack has no budget: adaptively it flips every prediction of any head, so beside
it stand two that have one, the worst case within a ball.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import to_device

from softunlearn import intervals
from softunlearn.attacks import Attack
from softunlearn.head import LinearHead
from softunlearn.intervals import Cell, Change, Interval
from softunlearn.losses import CrossEntropy, class_probabilities, predicted_class
from softunlearn.metrics import DemographicParity, EqualizedOdds, EqualOpportunity, GroupGap
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows

KINDS = ("probabilities", "labels", "loss")

Craft = Callable[[Attack, LinearHead, Rows, Any], Array]
"""Perturbed features of rows, made by an attack against a head; last, what the model takes."""


@dataclass(frozen=True)
class Gap:
    """How far apart the groups are, max - min; NaN where fewer than two groups have such rows.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> gap = c.before.validation.gaps["demographic_parity"]
    >>> gap.probabilities > 0, gap.labels > 0
    (True, True)
    """

    probabilities: float
    labels: float
    loss: float


@dataclass(frozen=True)
class GroupFigures:
    """What one group gets.

    Parameters
    ----------
    name : str
    rows : int
    accuracy : float
    positive_rate : float
        Part of the rows predicted positive; NaN where no class is the positive one.
    mean_probability : float
        Of the positive class; NaN likewise.
    intervals : dict of str to Interval
        Of each of the three.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> [(group.name, group.rows) for group in c.before.validation.groups]
    [('Female', 97), ('Male', 103)]
    """

    name: str
    rows: int
    accuracy: float
    positive_rate: float
    mean_probability: float
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Attacked:
    """Mean log loss and accuracy on perturbed rows.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> attacked = c.before.validation.robustness["l2_ball"].adaptive
    >>> attacked.loss > c.before.validation.log_loss
    True
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Robustness:
    """A head under one attack: made once against the original, and anew against the head.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> ball = c.before.validation.robustness["l2_ball"]
    >>> ball.transfer == ball.adaptive  # the original is attacked in the same way by both
    True
    """

    transfer: Attacked
    adaptive: Attacked


@dataclass(frozen=True)
class Figures:
    """A head's figures on one set of rows.

    Parameters
    ----------
    rows : int
    accuracy : float
    log_loss : float
        Mean, in nats.
    gaps : dict of str to Gap
        "demographic_parity", "equal_opportunity" (rows of the positive class) and
        "equalized_odds" (the larger of the gaps among positives and among the others); of several
        classes each, against the rest, and the largest. Of several sensitive columns each has its
        own, too: "demographic_parity by sex". Empty where the rows have no groups.
    groups : tuple of GroupFigures
    robustness : dict of str to Robustness
        By attack; empty for training rows.
    attack : str
        Which of them is the correction's own.
    intervals : dict of str to Interval
        95 %, by the path to the figure: "accuracy", "log_loss",
        "gaps.demographic_parity.labels", "robustness.boundary.transfer.loss".

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, select="full")
    >>> figures = c.after.validation
    >>> figures.rows, sorted(figures.gaps)
    (200, ['demographic_parity', 'equal_opportunity', 'equalized_odds'])
    >>> figures.accuracy in figures.intervals["accuracy"]
    True
    """

    rows: int
    accuracy: float
    log_loss: float
    gaps: Mapping[str, Gap]
    groups: tuple[GroupFigures, ...]
    robustness: Mapping[str, Robustness]
    attack: str
    intervals: Mapping[str, Interval]

    @property
    def adversarial_loss(self) -> float:
        """Return the mean log loss on rows perturbed once by the correction's own attack."""
        found = self.robustness.get(self.attack)
        return math.nan if found is None else found.transfer.loss

    @property
    def adversarial_accuracy(self) -> float:
        """Return the accuracy on the same rows."""
        found = self.robustness.get(self.attack)
        return math.nan if found is None else found.transfer.accuracy


@dataclass(frozen=True, eq=False)
class Observed:
    """What a head does with each row; figures and their changes are made of it.

    Parameters
    ----------
    z : ndarray of shape (n, k)
    y : ndarray of shape (n,)
    g : ndarray of shape (n,) or None
    attacked : dict of str to ndarray of shape (n, k)
        Logits of perturbed rows, by attack and protocol: "boundary.transfer".
    columns : dict of str to ndarray of shape (n,)
        Where there are several sensitive columns, the group codes of each alone.
    """

    z: np.ndarray
    y: np.ndarray
    g: np.ndarray | None
    attacked: Mapping[str, np.ndarray]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def right(self) -> np.ndarray:
        """Return 1.0 where the predicted class is the observed one."""
        return (predicted_class(self.z) == self.y).astype(float)

    @cached_property
    def loss(self) -> np.ndarray:
        """Return each row's log loss."""
        return np.asarray(CrossEntropy().value(self.z, self.y))


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Measures heads in the same way, on any rows.

    Parameters
    ----------
    original : LinearHead
        Transferred attacks are made against it.
    attacks : dict of str to Attack
        With budgets of their own; the first is the correction's.
    positive : int or None
        Position of the positive class; None for several classes, each against the rest.
    groups : tuple of str
        Names of the groups, by code.
    craft : callable, optional
        How an attack is made. Default: on the head's features.
    """

    original: LinearHead
    attacks: Mapping[str, Attack]
    positive: int | None = 1
    groups: tuple[str, ...] = ()
    craft: Craft = lambda attack, head, rows, X: attack.perturb(head, rows.X, rows.y)

    @property
    def attack(self) -> str:
        """Return the name of the correction's own attack."""
        return next(iter(self.attacks), "")

    def observe(
        self,
        head: LinearHead,
        rows: Rows,
        X: Any = None,
        origin: Rows | None = None,
        *,
        attacked: bool = True,
        columns: Mapping[str, np.ndarray] | None = None,
    ) -> Observed:
        """Return what a head does with rows, and with their perturbed forms where asked.

        `X` is what the model takes for these rows, for attacks on its inputs; `columns` as in
        `Observed`.
        Where the features themselves were corrected, `origin` holds the original ones: a
        transferred attack is made on those, and its perturbation added to the new.
        """
        logits = {}
        for name, attack in self.attacks.items() if attacked else ():
            once = self.craft(attack, self.original, origin or rows, X)
            moved = once if origin is None else rows.X + (once - origin.X)
            logits[f"{name}.transfer"] = _logits(head, rows.with_features(moved))
            if head is self.original:
                logits[f"{name}.adaptive"] = logits[f"{name}.transfer"]
            else:
                anew = rows.with_features(self.craft(attack, head, rows, X))
                logits[f"{name}.adaptive"] = _logits(head, anew)
        g = None if rows.g is None else _host(rows.g)
        z, y = HeadObjective(head, rows).logits_and_labels()
        return Observed(_host(z), _host(y), g, logits, columns or {})

    def evaluate(self, head: LinearHead, rows: Rows, X: Any = None) -> Figures:
        """Return a head's figures on rows; see `observe`."""
        return self.figures(self.observe(head, rows, X))

    def figures(self, seen: Observed) -> Figures:
        """Return the figures of what was observed."""
        quantities = _row_quantities(seen)
        means = {path: float(q.mean()) for path, (q, _) in quantities.items()}
        found = {path: _interval(q, labels) for path, (q, labels) in quantities.items()}
        robustness = {}
        for name in self.attacks if seen.attacked else ():
            each = {
                protocol: Attacked(means[f"{path}.loss"], means[f"{path}.accuracy"])
                for protocol in ("transfer", "adaptive")
                if (path := f"robustness.{name}.{protocol}")
            }
            robustness[name] = Robustness(**each)
        gaps = {}
        for name, (g, by_kind) in self._compared(seen).items():
            gaps[name] = Gap(
                **{kind: intervals.largest_gap(cells, g) for kind, cells in by_kind.items()}
            )
            for kind, cells in by_kind.items():
                if not math.isnan(getattr(gaps[name], kind)):
                    found[f"gaps.{name}.{kind}"] = intervals.cells(
                        cells, g, labels=kind == "labels"
                    )
        return Figures(
            rows=len(seen.y),
            accuracy=means["accuracy"],
            log_loss=means["log_loss"],
            gaps=gaps,
            groups=self._groups(seen),
            robustness=robustness,
            attack=self.attack,
            intervals=found,
        )

    def changes(self, before: Observed, after: Observed) -> dict[str, Change]:
        """Return every figure's change on the same rows, paired, by its path."""
        earlier, later = _row_quantities(before), _row_quantities(after)
        found = {
            path: intervals.mean_change(q, later[path][0], labels=labels)
            for path, (q, labels) in earlier.items()
        }
        was, now = self._compared(before), self._compared(after)
        for name, (g, by_kind) in was.items():
            for kind, cells in by_kind.items():
                if not math.isnan(intervals.largest_gap(cells, g)):
                    found[f"gaps.{name}.{kind}"] = intervals.gap_change(
                        cells, now[name][1][kind], g, labels=kind == "labels"
                    )
        return found

    def _compared(self, seen: Observed) -> dict[str, tuple[np.ndarray, dict[str, list[Cell]]]]:
        """Return, by gap, the groups that are compared and, by kind, what is averaged of whom."""
        if seen.g is None:
            return {}
        groupings = {"": seen.g} | {f" by {name}": g for name, g in seen.columns.items()}
        n_classes = max(2, seen.z.shape[1])
        p, label, loss = class_probabilities(seen.z), predicted_class(seen.z), seen.loss
        metrics: dict[str, GroupGap] = {
            "demographic_parity": DemographicParity(self.positive),
            "equal_opportunity": EqualOpportunity(self.positive),
            "equalized_odds": EqualizedOdds(self.positive),
        }
        found = {}
        for name, metric in metrics.items():
            compared = metric.comparisons(seen.y, n_classes)
            by_kind = {
                "probabilities": [(p[:, c], where) for c, where in compared],
                "labels": [((label == c).astype(float), where) for c, where in compared],
                "loss": [(loss, where) for _, where in compared],
            }
            found |= {f"{name}{which}": (g, by_kind) for which, g in groupings.items()}
        return found

    def _groups(self, seen: Observed) -> tuple[GroupFigures, ...]:
        if seen.g is None:
            return ()
        c, right = self.positive, seen.right
        if c is None and seen.z.shape[1] == 1:
            c = 1
        nothing = np.full(len(right), math.nan)
        rate = nothing if c is None else (predicted_class(seen.z) == c).astype(float)
        p = nothing if c is None else class_probabilities(seen.z)[:, c]
        figures = []
        for code, name in enumerate(self.groups):
            rows = seen.g == code
            if not rows.any():
                continue
            of_group = {
                "accuracy": (right[rows], True),
                "positive_rate": (rate[rows], True),
                "mean_probability": (p[rows], False),
            }
            figures.append(
                GroupFigures(
                    name,
                    int(rows.sum()),
                    **{key: float(q.mean()) for key, (q, _) in of_group.items()},
                    intervals={
                        key: _interval(q, labels)
                        for key, (q, labels) in of_group.items()
                        if not np.isnan(q).any()
                    },
                )
            )
        return tuple(figures)


def with_budgets(attacks: Mapping[str, Attack], head: LinearHead, rows: Rows) -> dict[str, Attack]:
    """Return the attacks, each with a budget: where it has none, set by the rows and the head.

    Without those for which none can be set: a head of zero weights has no boundary.
    """
    found = {}
    for name, attack in attacks.items():
        with suppress(ValueError):
            found[name] = attack.fixed(head, rows.X)
    return found


def _row_quantities(seen: Observed) -> dict[str, tuple[np.ndarray, bool]]:
    """Return what figures are means of, by path, and whether it is 0 or 1."""
    found = {"accuracy": (seen.right, True), "log_loss": (seen.loss, False)}
    for name, z in seen.attacked.items():
        under = replace(seen, z=z, attacked={})
        found[f"robustness.{name}.loss"] = (under.loss, False)
        found[f"robustness.{name}.accuracy"] = (under.right, True)
    return found


def _interval(q: np.ndarray, labels: bool) -> Interval:
    return intervals.proportion(float(q.sum()), len(q)) if labels else intervals.mean(q)


def _logits(head: LinearHead, rows: Rows) -> np.ndarray:
    return _host(HeadObjective(head, rows).logits())


def _host(x: Array) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))
