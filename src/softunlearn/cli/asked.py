"""What the options ask for: metrics by name, of which groups and class, and a point to take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from softunlearn.aims import METRICS
from softunlearn.correction import Correction
from softunlearn.metrics import GroupGap
from softunlearn.select import Select

DEFAULT_METRIC, DEFAULT_SELECT = "demographic_parity", "no_utility_loss"


@dataclass(frozen=True)
class Asked:
    """What is to be brought down and held, in the words of the command line.

    Parameters
    ----------
    metric, hold : sequence of str
        Names; where no metric is named, "demographic_parity".
    sensitive : sequence of str
        Columns that hold the groups.
    by : str, optional
        The one of them that gaps to be brought down compare.
    positive : str, optional
        Label of the positive class.
    """

    metric: Sequence[str] = ()
    hold: Sequence[str] = ()
    sensitive: Sequence[str] = ()
    by: str | None = None
    positive: str | None = None

    def check_groups(self) -> None:
        """Raise where a gap between groups is asked for, and no column is named.

        Raises
        ------
        ValueError
            That is so.
        """
        gaps = [name for name in (*(self.metric or [DEFAULT_METRIC]), *self.hold) if _is_gap(name)]
        if gaps and not self.sensitive:
            raise ValueError(
                f"{gaps[0]} compares groups: name their column with --sensitive, or give a "
                "--metric that needs none, such as adversarial_loss."
            )

    def arguments(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return `correct`'s `metric` and `hold`, for a model of these classes.

        Raises
        ------
        ValueError
            There is no such column or class, or no gap that it could be of.
        """
        names = list(self.metric) or [DEFAULT_METRIC]
        if self.by is not None and self.by not in self.sensitive:
            columns = ", ".join(self.sensitive) or "none is given"
            raise ValueError(
                f"--by must be one of the --sensitive columns ({columns}), got {self.by}."
            )
        if self.by is not None and not any(_is_gap(name) for name in names):
            raise ValueError(f"--by is for gaps between groups; {', '.join(names)} is none.")
        if self.positive is not None and self.positive not in classes:
            raise ValueError(
                f"--positive must be one of {', '.join(classes)}, got {self.positive}."
            )
        code = None if self.positive is None else classes.index(self.positive)
        # one column alone is what is compared anyhow
        by = self.by if len(self.sensitive) > 1 else None
        metrics = [_metric(name, code, by) for name in names]
        held = [_metric(name, code, None) for name in self.hold]
        return {"metric": metrics[0] if len(metrics) == 1 else metrics, "hold": held}


def rule_of(
    select: str | None,
    metric_at_most: float | None,
    utility_loss_at_most: float | None,
    point: int | None,
) -> Any:
    """Return how a point is chosen; where one is named, none yet.

    Raises
    ------
    ValueError
        More than one way is asked for.
    """
    bounded = metric_at_most is not None or utility_loss_at_most is not None
    if sum((select is not None, bounded, point is not None)) > 1:
        raise ValueError(
            "Give one of --select, --point, and --metric-at-most with --utility-loss-at-most."
        )
    if point is not None:
        return "none"
    if bounded:
        return Select(metric_at_most=metric_at_most, utility_loss_at_most=utility_loss_at_most)
    return select or DEFAULT_SELECT


def at_point(correction: Correction, point: int | None) -> Correction:
    """Return the correction with a point chosen that was asked for by its number.

    Raises
    ------
    ValueError
        The frontier has no such point.
    """
    if point is None:
        return correction
    last = len(correction.frontier) - 1
    if 0 <= point <= last:
        return correction.at(point)
    if last == 0:
        raise ValueError(
            f"--point must be 0, the original model, which is all there is, got {point}. "
            f"{correction.reason}"
        )
    raise ValueError(f"--point must be from 0 to {last}, the points of the frontier, got {point}.")


def _is_gap(name: str) -> bool:
    return isinstance(METRICS.get(name), GroupGap)


def _metric(name: str, positive: int | None, by: str | None) -> Any:
    """Return a name, or the gap that it names with a class or column of its own."""
    found: Any = METRICS.get(name)
    if not _is_gap(name) or (positive is None and by is None):
        return name
    return replace(found, positive=positive, by=by)
