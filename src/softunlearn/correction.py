"""The record of a correction: what was done, what it is based on, and what else could be had.

A correction is made once, with every point of its frontier; choosing another point is a matter of
that point's weights, model and figures.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from array_api_compat import to_device

from softunlearn.evaluation import Evaluator, Figures, Observed
from softunlearn.exceptions import Status
from softunlearn.head import LinearHead
from softunlearn.influence import Influence
from softunlearn.intervals import Change
from softunlearn.models import ModelAdapter
from softunlearn.network import UnlearnedNetwork
from softunlearn.paths import Frontier, Start
from softunlearn.paths import Path as Way
from softunlearn.rows import Rows
from softunlearn.select import Choice
from softunlearn.weights import Conditions

NOT_AT_OPTIMUM = 0.01
"""Drift, as a part of the metric, above which the result says that training had not converged."""

HIGH_LEVERAGE = 0.5
"""Above it the influence of a removed row is under half of what removing it does."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class BySplit(Generic[T]):
    """The same thing of training, validation and, where given, test rows."""

    train: T
    validation: T
    test: T | None

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield name and value of the splits that there are."""
        for name in ("train", "validation", "test"):
            if (value := getattr(self, name)) is not None:
                yield name, value

    def map(self, function: Callable[[T], U]) -> "BySplit[U]":
        """Return `function` of each."""
        return of_splits({name: function(value) for name, value in self.items()})


def of_splits(values: dict[str, T]) -> BySplit[T]:
    """Return values by the name of the split."""
    return BySplit(values["train"], values["validation"], values.get("test"))


SplitFigures = BySplit[Figures]
"""The figures of one head on training, validation and, where given, test rows."""


@dataclass(frozen=True, eq=False)
class Correction:
    """What `correct` did, and what it is based on.

    Parameters
    ----------
    model : object
        The corrected model, a copy of the type that came in; a plain copy where nothing was
        corrected.
    weights : ndarray of shape (n,)
        eps: the training rows' weight changes at the chosen point.
    status : Status
    message : str
        What happened, in words to act on.
    influence : Influence
        Of every training row.
    frontier : Frontier
        All points walked, the original model first.
    chosen : int
        Which of them `model` is.
    before, after : BySplit of Figures
        Figures of the original and the corrected model, with intervals.
    change : BySplit of dict of str to Change
        What changed, paired by row, with 95 % intervals: `c.change.test["accuracy"]`, by the path
        to the figure, as in `Figures.intervals`. Empty where nothing was changed.
    target : str
        Name of the metric, or of several.
    conditions : Conditions
        Theorem 1's, as measured.
    stationarity : float
        Relative gradient norm of the training objective; 0: trained to its optimum.
    drift : float
        Predicted change of the metric if training were merely finished, v . H^-1 grad F with its
        sign turned; 0 at the optimum.
    timings : dict of str to float
        Seconds each step took.
    """

    model: Any
    weights: np.ndarray
    status: Status
    message: str
    influence: Influence
    frontier: Frontier
    chosen: int
    before: SplitFigures
    after: SplitFigures
    change: BySplit[dict[str, Change]]
    target: str
    conditions: Conditions
    stationarity: float
    drift: float
    timings: dict[str, float]
    session: "Session"

    def at(self, index: int) -> "Correction":
        """Return the same correction with point `index` of the frontier chosen.

        Raises
        ------
        IndexError
            There is no such point.
        """
        if not -len(self.frontier) <= index < len(self.frontier):
            raise IndexError(
                f"`index` must be from 0 to {len(self.frontier) - 1}, the frontier's points, "
                f"got {index}."
            )
        index %= len(self.frontier)
        message = "The original model." if index == 0 else f"Point {index}, chosen by the caller."
        status = Status.CORRECTED if index else Status.NOTHING_TO_CORRECT
        return with_choice(self, Choice(index, status, message))

    def to_html(self, path: str | Path) -> None:
        """Write the report, one self-contained page.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from softunlearn.report import write_report  # loads matplotlib and jinja2

        write_report(self, path)

    def save(self, directory: str | Path, *, trusted: Sequence[str] = ()) -> None:
        """Write model, weights, figures and report into a folder; see `softunlearn.load`.

        Parameters
        ----------
        directory : str or Path
            New, empty, or an earlier correction's, which is replaced.
        trusted : sequence of str, optional
            Types in a scikit-learn model that skops does not know and that you do.

        Raises
        ------
        FileError
            The folder cannot be written, or holds something else.
        """
        from softunlearn.saving import save  # loads pyarrow and skops

        save(self, directory, trusted=trusted)


@dataclass(frozen=True, eq=False)
class Session:
    """What a correction was made from; kept to evaluate other points and to explain it."""

    adapter: ModelAdapter
    rows: dict[str, Rows]
    given: dict[str, Rows]
    evaluator: Evaluator
    start: Start
    path: Way
    seen: BySplit[Observed]


def with_choice(correction: Correction, choice: Choice) -> Correction:
    """Return the correction with a point of its frontier chosen: its model, weights, figures."""
    session, point = correction.session, correction.frontier[choice.index]
    began, unchanged = time.perf_counter(), choice.index == 0
    after, change = correction.before, BySplit({}, {}, {} if session.seen.test else None)
    adapter, rows, origin = session.adapter, session.rows, None
    if isinstance(point.reached, UnlearnedNetwork):
        adapter = point.reached.adapter
        if not unchanged:
            phi = {name: adapter.features(part.X) for name, part in session.given.items()}
            rows = {name: part.with_features(phi[name]) for name, part in rows.items()}
            origin = session.rows
    if not unchanged:
        evaluator = session.evaluator
        seen = observe_splits(evaluator, point.head, rows, session.given, origin)
        after = seen.map(evaluator.figures)
        pairs = zip(session.seen.items(), seen.items(), strict=True)
        change = of_splits({name: evaluator.changes(was, now) for (name, was), (_, now) in pairs})
    weights = np.asarray(_host(point.weigh()))
    spent = correction.timings.get("evaluation", 0.0) + time.perf_counter() - began
    corrected = replace(
        correction,
        model=adapter.with_head(point.head),
        weights=weights,
        status=choice.status,
        message=choice.message,
        chosen=choice.index,
        after=after,
        change=change,
        timings={**correction.timings, "evaluation": spent},
    )
    return replace(corrected, message=_message(corrected, choice))


def _message(correction: Correction, choice: Choice) -> str:
    """Return the choice's message, with what else the reader must know."""
    notes = [choice.message]
    if choice.index and correction.change.test is not None:
        notes.append(_on_test_rows(correction))
    if abs(correction.drift) > NOT_AT_OPTIMUM * correction.frontier[0].metric:
        notes.append(
            "The model was not at the optimum of its training loss: finishing its training alone "
            f"is predicted to change the metric by {correction.drift:+.2g}. Train it longer, or "
            "give the sample weights it was trained with; an l1 penalty, or liblinear's on the "
            "intercept, has the same effect."
        )
    if clipped := correction.frontier[choice.index].reached.clipped_rows:
        notes.append(
            f"{clipped:,} rows had a negative weight, which the algorithm took as 0: the largest "
            "weights are beyond what it can follow."
        )
    if correction.conditions.damping > 0:
        notes.append(
            f"The Hessian was singular, and {correction.conditions.damping:.0e} of its diagonal "
            "was added."
        )
    if fragile := _fragile(correction):
        notes.append(fragile)
    return " ".join(notes)


def _on_test_rows(correction: Correction) -> str:
    """Return what the test rows say: the changes, and whether they are more than noise."""
    before, changes = correction.before.test, correction.change.test
    assert before is not None
    assert changes is not None
    path = metric_path(correction.target, before.attack)
    said = []
    if path in changes:
        was, change = value_at(before, path), changes[path]
        said.append(f"the metric goes from {was:.4f} to {was + change.value:.4f} {_range(change)}")
    was, change = before.accuracy, changes["accuracy"]
    said.append(f"accuracy goes from {was:.4f} to {was + change.value:.4f} {_range(change)}")
    note = f"On test rows {' and '.join(said)}."
    if path in changes and not changes[path].high < 0:
        note += " That the metric fell is not certain there."
    return note


def _range(change: Change) -> str:
    return f"(change {change.value:+.4f}, 95 % {change.low:+.4f} to {change.high:+.4f})"


def metric_path(target: str, attack: str) -> str:
    """Return where the figures hold a target, "" where they do not."""
    if target in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        return f"gaps.{target}.{'loss' if target == 'equal_opportunity' else 'probabilities'}"
    return {
        "adversarial_loss": f"robustness.{attack}.transfer.loss",
        "adaptive_loss": f"robustness.{attack}.adaptive.loss",
    }.get(target, "")


def value_at(figures: Figures, path: str) -> float:
    """Return the figure that a path such as "gaps.demographic_parity.labels" leads to."""
    found: Any = figures
    for key in path.split("."):
        found = found[key] if hasattr(found, "keys") else getattr(found, key)
    return float(found)


def _fragile(correction: Correction) -> str:
    """Return a note that names the rows of which the first-order picture is far too small."""
    h = np.asarray(_host(correction.influence.leverage))
    rows = np.flatnonzero(h > HIGH_LEVERAGE)
    if not len(rows):
        return ""
    worst = rows[np.argsort(-h[rows], kind="stable")][:3]
    shown = ", ".join(str(row) for row in worst) + (", ..." if len(rows) > len(worst) else "")
    return (
        f"{len(rows):,} training rows ({shown}) have a leverage above {HIGH_LEVERAGE:g}: removing "
        "one would do over twice what its influence says."
    )


def observe_splits(
    evaluator: Evaluator,
    head: LinearHead,
    rows: dict[str, Rows],
    given: dict[str, Rows],
    origin: dict[str, Rows] | None = None,
) -> BySplit[Observed]:
    """Return what a head does with all rows; training rows are not attacked."""
    return of_splits(
        {
            name: evaluator.observe(
                head,
                part,
                given[name].X,
                None if origin is None else origin[name],
                attacked=name != "train",
            )
            for name, part in rows.items()
        }
    )


def _host(x: Any) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))
