"""Passes over validation rows that several metrics share.

Metrics on the same features need the same logits, and their gradients are one product with them.
"""

from collections.abc import Sequence

from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.head import LinearHead
from softunlearn.metrics.metric import Aim
from softunlearn.objective import HeadObjective
from softunlearn.rows import Array, Rows


def logits(head: LinearHead, each: Sequence[Rows]) -> list[Array]:
    """Return the logits of each of some rows, (n, k); the same features are met once."""
    found: dict[int, Array] = {}
    for rows in each:
        if id(rows.X) not in found:
            found[id(rows.X)] = HeadObjective(head, rows).logits()
    return [found[id(rows.X)] for rows in each]


def pullbacks(head: LinearHead, each: Sequence[Rows], parts: Sequence[Array]) -> list[Array]:
    """Return the parameter gradients, (p, r), of each of some logit gradients, (n, k, r)."""
    gradients: dict[int, Array] = {}
    for key in {id(rows.X): None for rows in each}:
        own = [i for i, rows in enumerate(each) if id(rows.X) == key]
        stacked = array_namespace(parts[0]).concat([parts[i] for i in own], axis=2)
        pulled, start = HeadObjective(head, each[own[0]]).pullback(stacked), 0
        for i in own:
            gradients[i] = pulled[:, start : start + parts[i].shape[2]]
            start += parts[i].shape[2]
    return [gradients[i] for i in range(len(each))]


def gradients(aims: Sequence[Aim], head: LinearHead) -> Float[Array, "p m"]:
    """Return df/dtheta of each aim at a head, side by side."""
    each = [aim.rows_for(head) for aim in aims]
    parts = [
        aim.metric.logit_gradient(z, rows.y, rows.g)[:, :, None]
        for aim, rows, z in zip(aims, each, logits(head, each), strict=True)
    ]
    return array_namespace(head.W).concat(pullbacks(head, each, parts), axis=1)
