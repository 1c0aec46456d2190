"""How much damping a Hessian needs, and in what steps it is looked for."""

LADDER = (0.0, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Damping tried in turn, as a fraction of H's diagonal."""

MAX_CONDITION = 1e13
"""A factor of worse condition leaves fewer than three correct digits in a solve."""


def steps_from(damping: float) -> tuple[float, ...]:
    """Return the damping that is asked for, and what is tried where it is not enough."""
    return (damping, *(step for step in LADDER if step > damping))
