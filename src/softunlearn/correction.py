"""The record of a correction: what was done, what it is based on, and what else could be had.

A correction is made once, with every point of its frontier; choosing another point is a matter of
that point's weights, model and figures. These are computed when they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import to_device

from softunlearn.evaluation import Observed
from softunlearn.exceptions import Status
from softunlearn.influence import Influence
from softunlearn.intervals import Change
from softunlearn.message import message
from softunlearn.network import UnlearnedNetwork
from softunlearn.paths import Frontier, Point
from softunlearn.row_vectors import entries, parts
from softunlearn.select import Choice
from softunlearn.session import BySplit, Session, SplitFigures
from softunlearn.weights import Conditions


@dataclass(frozen=True, eq=False)
class Correction:
    """What `correct` did, and what it is based on.

    Figures, weights and diagnostics are computed when they are first asked for, and kept.

    Parameters
    ----------
    model : object
        The corrected model, a copy of the type that came in; a plain copy where nothing was
        corrected.
    status : Status
        What happened, in a word.
    reason : str
        Why this point was chosen; `message` says more.
    frontier : Frontier
        The points to choose from, the original model first.
    chosen : int
        Which of them `model` is.
    session : Session
        What all points share.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, test=test, select="full")
    >>> c.status, c.weights.shape
    (<Status.CORRECTED: 'CORRECTED'>, (600,))
    >>> gap = c.after.validation.gaps["demographic_parity"].probabilities
    >>> abs(gap - c.point.metric) < 1e-9
    True
    >>> c.at(0).status  # the original model
    <Status.NOTHING_TO_CORRECT: 'NOTHING_TO_CORRECT'>
    """

    model: Any
    status: Status
    reason: str
    frontier: Frontier
    chosen: int
    session: Session

    @property
    def target(self) -> str:
        """Return the name of the metric, or of several."""
        return ", ".join(self.session.names)

    @property
    def point(self) -> Point:
        """Return the point that was chosen."""
        return self.frontier[self.chosen]

    @cached_property
    def weights(self) -> np.ndarray:
        """Return eps (n,): the training rows' weight changes that stand for the chosen point.

        Where a head has more parameters than rows no weights may lead to it: these come nearest.
        """
        return _host(entries(self.point.weigh()))

    @property
    def influence(self) -> Influence:
        """Return the influence of every training row: target, utility, leverage."""
        return self.session.influence

    @property
    def before(self) -> SplitFigures:
        """Return the figures of the original model on all rows, with intervals."""
        return self.session.before

    @cached_property
    def after(self) -> SplitFigures:
        """Return the figures of the corrected model, with intervals."""
        if self.chosen == 0:
            return self.before
        return self._seen.map(lambda name, seen: self.session.figures(seen))

    @cached_property
    def change(self) -> BySplit[dict[str, Change]]:
        """Return what changed, paired by row, with 95 % intervals; empty where nothing did.

        By the path to the figure, as in `Figures.intervals`: `c.change.test["accuracy"]`.
        """
        was, now, session = self.session.seen, self._seen, self.session
        if self.chosen == 0:
            return BySplit(was.names, lambda name: {})

        def changes(name: str, before: Observed) -> dict[str, Change]:
            after = getattr(now, name)
            with session.timed("evaluation"):
                return session.evaluator.changes(before, after)

        return was.map(changes)

    @cached_property
    def message(self) -> str:
        """Return what happened, in words to act on."""
        return message(self)

    @property
    def conditions(self) -> Conditions:
        """Return Theorem 1's conditions, as measured."""
        return self.session.conditions

    @property
    def stationarity(self) -> float:
        """Return the relative gradient norm of training; 0: trained to its optimum."""
        return self.session.stationarity

    @property
    def drift(self) -> float:
        """Return the predicted change of the metric if training were merely finished.

        v . H^-1 grad F with its sign turned; 0 at the optimum.
        """
        return self.session.drift

    @property
    def timings(self) -> dict[str, float]:
        """Return the seconds that each step took, as far as it was asked for."""
        return dict(self.session.timings)

    @cached_property
    def _seen(self) -> BySplit[Observed]:
        """Return what the corrected model does with all rows."""
        session, reached = self.session, self.point.reached

        def observe(name: str) -> Observed:
            rows, origin = session.rows[name], None
            if isinstance(reached, UnlearnedNetwork):
                phi, origin = reached.adapter.features(session.given[name].X), rows
                rows = rows.with_features(phi)
            return session.observe(name, reached.head, rows, origin)

        return BySplit(tuple(session.rows), observe)

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
        choice = Choice(index, status, message)
        return with_choice(self.session, self.frontier, choice)

    def weights_to_parquet(self, path: str | Path) -> None:
        """Write `weights` into a Parquet file, without ever holding all of them.

        A table of "row", from 0, and "eps". Of soft weights each is written as it is computed, in
        a pass over the training rows.

        Parameters
        ----------
        path : str or Path
            Replaced once all is written.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from softunlearn.streams import write_vector  # loads pyarrow

        write_vector(path, "eps", parts(self.point.weigh()))

    def to_html(self, path: str | Path) -> None:
        """Write the report, one self-contained page.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from softunlearn.report import write_report  # loads matplotlib and jinja2

        write_report(self, path)

    def to_model_card(self, path: str | Path) -> None:
        """Write the model card, in Markdown, with a header that model hubs read.

        Raises
        ------
        FileError
            The file cannot be written.
        """
        from softunlearn.report import write_model_card

        write_model_card(self, path)

    def save(self, directory: str | Path, *, trusted: Sequence[str] = ()) -> None:
        """Write model, card, weights, figures and report into a folder; see `softunlearn.load`.

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

    def log_to_mlflow(self, *, trusted: Sequence[str] = ()) -> str:
        """Log figures, settings and all files to MLflow's active run, or to a new one.

        Where MLflow keeps them is its own matter (MLFLOW_TRACKING_URI).

        Parameters
        ----------
        trusted : sequence of str, optional
            As for `save`.

        Returns
        -------
        str
            The run's id.

        Raises
        ------
        ImportError
            MLflow is not installed.
        """
        from softunlearn.tracking import log

        return log(self, trusted=trusted)


def with_choice(session: Session, frontier: Frontier, choice: Choice) -> Correction:
    """Return the correction in which a point of the frontier is chosen."""
    reached = frontier[choice.index].reached
    adapter = reached.adapter if isinstance(reached, UnlearnedNetwork) else session.adapter
    return Correction(
        model=adapter.with_head(reached.head),
        status=choice.status,
        reason=choice.message,
        frontier=frontier,
        chosen=choice.index,
        session=session,
    )


def _host(x: Any) -> np.ndarray:
    return np.asarray(to_device(x, "cpu"))
