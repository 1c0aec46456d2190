"""What a correction says of itself: why this point, what test rows say, and what else to know."""

from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import to_device

from softunlearn.evaluation import Figures
from softunlearn.intervals import Change

if TYPE_CHECKING:
    from softunlearn.correction import Correction

NOT_AT_OPTIMUM = 0.01
"""Drift, as a part of the metric, above which the result says that training had not converged."""

HIGH_LEVERAGE = 0.5
"""Above it the influence of a removed row is under half of what removing it does."""


def message(correction: "Correction") -> str:
    """Return the choice's reason, with what else the reader must know."""
    notes = [correction.reason]
    if correction.chosen and "test" in correction.session.rows:
        notes.append(_on_test_rows(correction))
    if abs(correction.drift) > NOT_AT_OPTIMUM * correction.frontier[0].metrics[0]:
        notes.append(
            "The model was not at the optimum of its training loss: finishing its training alone "
            f"is predicted to change the metric by {correction.drift:+.2g}. Train it longer, or "
            "give the sample weights it was trained with; an l1 penalty, or liblinear's on the "
            "intercept, has the same effect."
        )
    if clipped := correction.point.reached.clipped_rows:
        notes.append(
            f"{clipped:,} rows had a negative weight, which the algorithm took as 0: the largest "
            "weights are beyond what it can follow."
        )
    if (damping := correction.session.scores.curvature.damping) > 0:
        notes.append(f"The Hessian was singular, and {damping:.0e} of its diagonal was added.")
    # of rows that are not in memory it would cost a pass as long as the correction itself
    if correction.session.rows["train"].in_memory and (fragile := _fragile(correction)):
        notes.append(fragile)
    return " ".join(notes)


def _on_test_rows(correction: "Correction") -> str:
    """Return what the test rows say: the changes, and whether they are more than noise."""
    before, changes = correction.before.test, correction.change.test
    assert before is not None
    assert changes is not None
    said, certain = [], True
    session = correction.session
    for name, path in zip(session.names, session.paths, strict=True):
        if path in changes:
            what = "the metric" if len(session.names) == 1 else name
            said.append(_moved(what, value_at(before, path), changes[path]))
            certain = certain and changes[path].high < 0
    said.append(_moved("accuracy", before.accuracy, changes["accuracy"]))
    note = f"On test rows {', '.join(said[:-1])}{' and ' * (len(said) > 1)}{said[-1]}."
    return note if certain else f"{note} That the metric fell is not certain there."


def _moved(what: str, was: float, change: Change) -> str:
    return f"{what} goes from {was:.4f} to {was + change.value:.4f} {_range(change)}"


def _range(change: Change) -> str:
    return f"(change {change.value:+.4f}, 95 % {change.low:+.4f} to {change.high:+.4f})"


def value_at(figures: Figures, path: str) -> float:
    """Return the figure that a path such as "gaps.demographic_parity.labels" leads to."""
    found: Any = figures
    for key in path.split("."):
        found = found[key] if hasattr(found, "keys") else getattr(found, key)
    return float(found)


def _fragile(correction: "Correction") -> str:
    """Return a note that names the rows of which the first-order picture is far too small."""
    h = np.asarray(to_device(correction.influence.leverage, "cpu"))
    rows = np.flatnonzero(h > HIGH_LEVERAGE)
    if not len(rows):
        return ""
    worst = rows[np.argsort(-h[rows], kind="stable")][:3]
    shown = ", ".join(str(row) for row in worst) + (", ..." if len(rows) > len(worst) else "")
    return (
        f"{len(rows):,} training rows ({shown}) have a leverage above {HIGH_LEVERAGE:g}: removing "
        "one would do over twice what its influence says."
    )
