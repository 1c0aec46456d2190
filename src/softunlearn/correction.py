"""The record of a correction: what was done, what it is based on, and what else could be had.

A correction is made once, with every point of its frontier; choosing another point is a matter of
that point's weights, model and figures.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from softunlearn.evaluation import Evaluator, Figures
from softunlearn.exceptions import Status
from softunlearn.head import LinearHead
from softunlearn.influence import Influence
from softunlearn.models import ModelAdapter
from softunlearn.network import UnlearnedNetwork
from softunlearn.path import Frontier
from softunlearn.rows import Rows
from softunlearn.select import Choice
from softunlearn.unlearning import Unlearner
from softunlearn.weights import Conditions, Problem, WeightScheme

NOT_AT_OPTIMUM = 0.01
"""Drift, as a part of the metric, above which the result says that training had not converged."""


@dataclass(frozen=True)
class SplitFigures:
    """The figures of one head on training, validation and, where given, test rows."""

    train: Figures
    validation: Figures
    test: Figures | None

    def items(self) -> Iterator[tuple[str, Figures]]:
        """Yield name and figures of the splits that there are."""
        for name in ("train", "validation", "test"):
            if (figures := getattr(self, name)) is not None:
                yield name, figures


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
    before, after : SplitFigures
        Figures of the original and the corrected model.
    target : str
        Name of the metric.
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
    problem: Problem
    scheme: WeightScheme
    algorithm: Unlearner


def with_choice(correction: Correction, choice: Choice) -> Correction:
    """Return the correction with a point of its frontier chosen: its model, weights, figures."""
    session = correction.session
    point = correction.frontier[choice.index]
    unchanged = choice.index == 0
    solved = session.scheme.solve(session.problem.with_budget(point.step * session.problem.budget))
    start, after = time.perf_counter(), correction.before
    if isinstance(point.reached, UnlearnedNetwork):
        adapter = point.reached.adapter
        if not unchanged:
            phi = {name: adapter.features(part.X) for name, part in session.given.items()}
            rows = {name: part.with_features(phi[name]) for name, part in session.rows.items()}
            after = evaluate_splits(session.evaluator, point.head, rows, session.rows)
    else:
        adapter = session.adapter
        if not unchanged:
            after = evaluate_splits(session.evaluator, point.head, session.rows)
    spent = correction.timings.get("evaluation", 0.0) + time.perf_counter() - start
    corrected = replace(
        correction,
        model=adapter.with_head(point.head),
        weights=np.zeros_like(correction.weights) if unchanged else np.asarray(solved.eps),
        status=choice.status,
        message=choice.message,
        chosen=choice.index,
        after=after,
        timings={**correction.timings, "evaluation": spent},
    )
    return replace(corrected, message=_message(corrected, choice))


def _message(correction: Correction, choice: Choice) -> str:
    """Return the choice's message, with what else the reader must know."""
    notes = [choice.message]
    before, after = correction.before.test, correction.after.test
    if choice.index and before is not None and after is not None:
        notes.append(f"On test rows {_moved(correction.target, before, after)}.")
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
    return " ".join(notes)


def _moved(target: str, before: Figures, after: Figures) -> str:
    """Return accuracy, and the target where it is among the figures, before and after."""
    said = [f"accuracy goes from {before.accuracy:.4f} to {after.accuracy:.4f}"]
    if target in before.gaps:
        kind = "loss" if target == "equal_opportunity" else "probabilities"
        pair = [getattr(figures.gaps[target], kind) for figures in (before, after)]
        said.insert(0, f"the metric goes from {pair[0]:.4f} to {pair[1]:.4f}")
    elif target == "adversarial_loss":
        pair = [figures.adversarial_loss for figures in (before, after)]
        said.insert(0, f"the metric goes from {pair[0]:.4f} to {pair[1]:.4f}")
    return " and ".join(said)


def evaluate_splits(
    evaluator: Evaluator,
    head: LinearHead,
    rows: dict[str, Rows],
    origin: dict[str, Rows] | None = None,
) -> SplitFigures:
    """Return a head's figures on all rows; `origin` as in `Evaluator.evaluate`."""
    figures = {
        name: evaluator.evaluate(head, part, None if origin is None else origin[name])
        for name, part in rows.items()
    }
    return SplitFigures(figures["train"], figures["validation"], figures.get("test"))
