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
    attack_name,
    attack_of,
    needs_groups,
)
from softunlearn.attacks import Adaptive, Attack
from softunlearn.evaluation import Evaluator, with_budgets
from softunlearn.goal import Aim, Goal
from softunlearn.head import LinearHead
from softunlearn.metrics import Target
from softunlearn.metrics.gaps import positive_class
from softunlearn.models import Encoder, ModelAdapter
from softunlearn.models.groups import Groups
from softunlearn.rows import Rows


@dataclass(frozen=True, eq=False)
class Task:
    """What the user gave, checked and encoded."""

    adapter: ModelAdapter
    rows: dict[str, Rows]
    given: dict[str, Rows]
    goal: Goal
    evaluator: Evaluator
    coding: Groups | None


def read_task(
    model: Any, given: dict[str, Rows], wants: tuple[Wanted, ...], holds: tuple[Wanted, ...]
) -> Task:
    """Return all rows as the model's head sees them, and what is to be achieved on them."""
    adapter, head = adapted(model, given["train"])
    encoder = Encoder(adapter, head).with_groups_of(*given.values(), pooled_by=given["validation"])
    compares = any(map(needs_groups, (*wants, *holds)))
    rows = {
        name: encoder.encode(
            part, name, groups=compares and name == "validation", train=name == "train"
        )
        for name, part in given.items()
    }
    own = attack_of(*wants, *holds)
    attacks = with_budgets({attack_name(own): own, **BUDGETED}, head, rows["validation"])
    craft = Crafter(adapter, head)
    return Task(
        adapter,
        rows,
        given,
        Goal(
            head,
            _aims(wants, encoder, rows, given, craft, "metric"),
            _aims(holds, encoder, rows, given, craft, "hold"),
            rows["validation"],
        ),
        Evaluator(head, attacks, _positive(wants, head), encoder.groups, craft),
        encoder.coding,
    )


def _aims(
    wants: tuple[Wanted, ...],
    encoder: Encoder,
    rows: dict[str, Rows],
    given: dict[str, Rows],
    craft: Crafter,
    argument: str,
) -> tuple[Aim, ...]:
    """Return what is wanted as functions of heads; attacks without a budget get one."""
    head, validation = encoder.head, rows["validation"]
    found = []
    for want in wants:
        if isinstance(want, Adaptive):
            want = Adaptive(want.attack.fixed(head, validation.X))
        elif isinstance(want, Attack):
            want = want.fixed(head, validation.X)
        found.append(aim(want, encoder, validation, given["validation"], craft, argument))
    return tuple(found)


def _positive(wants: tuple[Wanted, ...], head: LinearHead) -> int | None:
    """Return the class whose rates are reported; None for several classes and none named."""
    for want in wants:
        found = getattr(want.metric if isinstance(want, Target) else want, "positive", None)
        if found is not None:
            return positive_class(found, np.zeros((1, head.W.shape[0])))
    return None if len(head.classes) > 2 else 1
