"""The contract of an attack."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Integer

from softunlearn.head import LinearHead
from softunlearn.rows import Array


@runtime_checkable
class Attack(Protocol):
    """A way to perturb rows against a head. It draws no random numbers."""

    def perturb(
        self, head: LinearHead, phi: Float[Array, "n d"], y: Integer[Array, "n"] | None = None
    ) -> Float[Array, "n d"]:
        """Return perturbed copies of the rows, in the head's precision.

        `y` holds class codes, the classes that the rows are moved away from; without them those
        that the head predicts.
        """
        ...

    def fixed(self, head: LinearHead, phi: Float[Array, "n d"]) -> "Attack":
        """Return the attack with a budget of its own: the rows' under this head if it has none.

        What is returned can be made against any head, and is as strong against each.
        """
        ...
