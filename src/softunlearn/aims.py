"""From what the user names to what is measured: metrics, attacks and targets as aims on rows.

The one place where strings, attacks and sensitive columns become functions of heads. A metric is
measured on validation rows, with the groups of its own column where it names one; an attack
becomes the loss on the rows that it perturbs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from softunlearn.adversary import Adversary
from softunlearn.attacks import FGSM, PGD, Adaptive, Attack, Boundary
from softunlearn.evaluation import Craft
from softunlearn.exceptions import ModelError
from softunlearn.head import LinearHead
from softunlearn.metrics import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    GroupGap,
    Metric,
    Target,
)
from softunlearn.metrics.metric import Aim, name_of
from softunlearn.models import Encoder, ModelAdapter, adapt
from softunlearn.models.encode import LARGEST
from softunlearn.models.groups import Groups
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows, as_rows

Wanted = Metric | Attack | Adaptive | Target

METRICS: dict[str, Wanted] = {
    "demographic_parity": DemographicParity(),
    "equal_opportunity": EqualOpportunity(),
    "equalized_odds": EqualizedOdds(),
    "adversarial_loss": Boundary(),
    "adaptive_loss": Adaptive(PGD(norm="l2")),
}
"""The targets that a string names."""

_GAPS: dict[type, str] = {
    type(metric): name for name, metric in METRICS.items() if isinstance(metric, GroupGap)
}

BUDGETED: dict[str, Attack] = {"l2_ball": FGSM(norm="l2"), "linf_ball": FGSM(norm="linf")}
"""Attacks that every head is measured under, beside the correction's own: on a linear head of one
logit one step reaches the worst case in the ball."""


def named(value: Any, names: Mapping[str, Any], kind: Any, argument: str) -> Any:
    """Return the object that a string names, or the object itself.

    Raises
    ------
    ValueError, TypeError
        It is neither; the message lists the names.
    """
    if isinstance(value, str) and value in names:
        return names[value]
    if isinstance(value, kind) and not isinstance(value, str | type):
        return value
    wrong = ValueError if isinstance(value, str) else TypeError
    raise wrong(
        f"`{argument}` must be one of {', '.join(map(repr, names))} or an object, got {value!r}."
    )


def wanted(value: Any, argument: str) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """Return what one name or object, or several, stand for, and what each is called."""
    several = isinstance(value, Sequence) and not isinstance(value, str | tuple | Target)
    values = tuple(value) if several or isinstance(value, tuple) else (value,)
    if not values and argument == "metric":
        raise ValueError("`metric` must name at least one metric, got none.")
    found = tuple(named(one, METRICS, Wanted, argument) for one in values)
    return found, tuple(_name(one) for one in values)


def needs_groups(want: Wanted) -> bool:
    """Return whether validation rows need groups for it."""
    return not isinstance(want, Attack | Adaptive | Target) and bool(want.needs_groups)


def budgeted(want: Wanted, head: LinearHead, phi: Array) -> Wanted:
    """Return what is wanted; an attack without a budget gets that of the rows."""
    if isinstance(want, Adaptive):
        return Adaptive(want.attack.fixed(head, phi))
    return want.fixed(head, phi) if isinstance(want, Attack) else want


def attacks_of(wants: Sequence[Wanted]) -> dict[str, Attack]:
    """Return the attacks among what is wanted, by the name that the figures give them.

    The paper's where there are none. A second one of a kind is numbered.
    """
    found: dict[str, Attack] = {}
    attacks = [want.attack if isinstance(want, Adaptive) else want for want in wants]
    for attack in [one for one in attacks if isinstance(one, Attack)] or [Boundary()]:
        if attack not in found.values():
            kind = _kind(attack)
            same = sum(_kind(other) == kind for other in found.values())
            found[f"{kind}_{same + 1}" if same else kind] = attack
    return found


def _kind(attack: Attack) -> str:
    name = type(attack).__name__.lower()
    norm, on = getattr(attack, "norm", None), getattr(attack, "on", "features")
    return "_".join([name, *([norm] if norm else []), *(["inputs"] if on == "inputs" else [])])


def figure_path(
    want: Wanted, attacks: Mapping[str, Attack], positive: int | None, coding: Groups | None
) -> str:
    """Return where the figures hold what is wanted, "" where they do not.

    Parameters
    ----------
    want : Metric, Attack, Adaptive or Target
        Attacks have their budgets.
    attacks : dict of str to Attack
        Those that every head is measured under.
    positive : int or None
        The class whose gaps are measured.
    coding : Groups or None
        How groups are coded.
    """
    if isinstance(want, Attack | Adaptive):
        protocol = "adaptive" if isinstance(want, Adaptive) else "transfer"
        attack = want.attack if isinstance(want, Adaptive) else want
        name = next(name for name, known in attacks.items() if known == attack)
        return f"robustness.{name}.{protocol}.loss"
    metric = _GAPS.get(type(want))
    if metric is None or not isinstance(want, GroupGap) or coding is None:
        return ""
    if want.aggregate != "max_min" or want.positive not in (None, positive):
        return ""
    which = ""
    if want.by is not None and len(coding.columns) > 1:
        which = f" by {coding.of(want.by).by}".replace(".", "_")
    kind = "loss" if isinstance(want, EqualOpportunity) else "probabilities"
    return f"gaps.{metric}{which}.{kind}"


@dataclass(frozen=True, eq=False)
class Crafter:
    """Makes attacks: on features against a head, or on inputs through the whole network.

    Parameters
    ----------
    adapter : ModelAdapter
        Of the original model.
    original : LinearHead
    """

    adapter: ModelAdapter
    original: LinearHead

    def __call__(self, attack: Attack, head: LinearHead, rows: Rows, X: Any) -> Array:
        """Return perturbed features of rows; `X` is what the model takes for them.

        Raises
        ------
        ModelError
            The attack is on inputs, and the model is no torch module.
        """
        if getattr(attack, "on", "features") == "features":
            return attack.perturb(head, rows.X, rows.y)
        if not hasattr(self.adapter, "perturbed_inputs"):
            raise ModelError(
                "An attack on inputs needs gradients through the whole model: give a torch "
                "module, or an attack on features."
            )
        victim: Any = self.adapter
        if head is not self.original:
            victim = victim.with_model(victim.with_head(head))
        return victim.features(victim.perturbed_inputs(attack, X, rows.y))


def aim(
    want: Wanted, encoder: Encoder, validation: Rows, given: Rows, craft: Craft, name: str
) -> Aim:
    """Return what is wanted as a function of heads.

    Parameters
    ----------
    want : Metric, Attack, Adaptive or Target
        Attacks have their budgets.
    encoder : Encoder
    validation, given : Rows
        The validation rows as the head and as the model take them.
    craft : callable
        A `Crafter`.
    name : str
        What the caller calls it; used in messages.
    """
    if isinstance(want, Target):
        return encoded_target(want, encoder, f"{name}.rows")
    if isinstance(want, Adaptive):
        attack = want.attack
        return Adversary(validation, lambda head: craft(attack, head, validation, given.X))
    if isinstance(want, Attack):
        return Adversary(
            validation, lambda head: craft(want, head, validation, given.X), encoder.head
        )
    coding = encoder.by(getattr(want, "by", None)).coding
    if coding is encoder.coding or coding is None:
        return Target(want, validation)
    return Target(want, replace(validation, g=coding.codes(given.g)))


def encoded_target(target: Target, encoder: Encoder, name: str) -> Target:
    """Return a user's target on the head's inputs."""
    rows = as_rows(target.rows, name).read()
    own = encoder.with_groups_of(rows).by(getattr(target.metric, "by", None))
    needs = bool(target.metric.needs_groups)
    return replace(target, rows=own.encode(rows, name, groups=needs, one_class=True))


def adapted(model: Any, train: Rows) -> tuple[ModelAdapter, LinearHead]:
    """Return a model's adapter and its head, as trained on so many rows.

    Raises
    ------
    ModelError
        Weights of the head are not finite, or too large to be squared.
    """
    # of rows that are read in chunks a few show which layer is the head
    adapter = adapt(model, train.X if train.in_memory else train.take(np.arange(1)).X)
    head = adapter.head(len(train))
    xp = array_namespace(head.W)
    largest = float(xp.max(xp.abs(head.theta)))
    if not largest <= LARGEST:
        raise ModelError(
            f"The largest weight of the model's last layer is {largest:.3g}, and at most "
            f"{LARGEST:g} can be worked with. Train the model on scaled features."
        )
    return adapter, head


def on_head(
    model: Any, train: Any, targets: Target | Sequence[Target]
) -> tuple[HeadObjective, list[Target]]:
    """Return the training objective and the targets on the head's inputs, checked.

    Raises
    ------
    TypeError
        The targets are none.
    ModelError, InputError
        As `correct`.
    """
    given = as_rows(train, "train")
    adapter, head = adapted(model, given)
    encoder = Encoder(adapter, head)
    objective = HeadObjective(head, encoder.encode(given, "train", train=True))
    targets = [targets] if isinstance(targets, Target) else list(targets)
    if not targets or not all(isinstance(target, Target) for target in targets):
        raise TypeError("`targets` must be one su.Target(metric, rows) or more of them.")
    return objective, [
        encoded_target(target, encoder, f"targets[{i}]") for i, target in enumerate(targets)
    ]


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Adaptive):
        return "adaptive_loss"
    if isinstance(value, Attack):
        return "adversarial_loss"
    metric = value.metric if isinstance(value, Target) else value
    name, by = name_of(metric), getattr(metric, "by", None)
    own = {type(known).__name__: key for key, known in METRICS.items()}
    # a metric with options of its own is still what its name says; on rows of its own it is not
    name = name if isinstance(value, Target) else own.get(name, name)
    return name if by is None else f"{name} by {by}"
