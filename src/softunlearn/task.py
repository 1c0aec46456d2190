"""What a call of `correct` asks for: rows and metrics, checked and encoded for the head."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from softunlearn.aims import (
    BUDGETED,
    Crafter,
    Wanted,
    adapted,
    aim,
    attacks_of,
    budgeted,
    figure_path,
    needs_groups,
)
from softunlearn.evaluation import Evaluator, with_budgets
from softunlearn.goal import Goal
from softunlearn.head import LinearHead
from softunlearn.metrics import Target
from softunlearn.metrics.gaps import positive_class
from softunlearn.metrics.metric import Aim
from softunlearn.models import Encoder, ModelAdapter
from softunlearn.models.groups import Groups
from softunlearn.rows import Rows

DECIDING = ("validation", "choose_on")
"""The parts that metrics are measured on to decide something."""


@dataclass(frozen=True, eq=False)
class Task:
    """What the user gave, checked and encoded.

    `judge` is the goal on the rows that choose the point, where they are others; `paths` says
    where the figures hold each target, "" where they do not.
    """

    adapter: ModelAdapter
    rows: dict[str, Rows]
    given: dict[str, Rows]
    goal: Goal
    judge: Goal | None
    evaluator: Evaluator
    coding: Groups | None
    paths: tuple[str, ...]


def read_task(
    model: Any, given: dict[str, Rows], wants: tuple[Wanted, ...], holds: tuple[Wanted, ...]
) -> Task:
    """Return all rows as the model's head sees them, and what is to be achieved on them."""
    adapter, head = adapted(model, given["train"])
    encoder = Encoder(adapter, head).with_groups_of(*given.values(), pooled_by=given["validation"])
    compares = any(map(needs_groups, (*wants, *holds)))
    rows = {
        name: encoder.encode(
            part, name, groups=compares and name in DECIDING, train=name == "train"
        )
        for name, part in given.items()
    }
    validation, craft = rows["validation"], Crafter(adapter, head)
    wants, holds = (
        tuple(budgeted(want, head, validation.X) for want in some) for some in (wants, holds)
    )

    def goal_on(part: str) -> Goal:
        def aims(some: tuple[Wanted, ...], name: str) -> tuple[Aim, ...]:
            return tuple(aim(want, encoder, rows[part], given[part], craft, name) for want in some)

        return Goal(head, aims(wants, "metric"), aims(holds, "hold"), rows[part])

    attacks = attacks_of((*wants, *holds)) | with_budgets(BUDGETED, head, validation)
    positive, coding = _positive((*wants, *holds), head), encoder.coding
    return Task(
        adapter,
        rows,
        given,
        goal_on("validation"),
        goal_on("choose_on") if "choose_on" in given else None,
        Evaluator(head, attacks, positive, encoder.groups, craft),
        coding,
        tuple(figure_path(want, attacks, positive, coding) for want in wants),
    )


def _positive(wants: tuple[Wanted, ...], head: LinearHead) -> int | None:
    """Return the class whose rates are reported; None for several classes and none named."""
    for want in wants:
        found = getattr(want.metric if isinstance(want, Target) else want, "positive", None)
        if found is not None:
            return positive_class(found, np.zeros((1, head.W.shape[0])))
    return None if len(head.classes) > 2 else 1
