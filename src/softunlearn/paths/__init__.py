"""From the original model to the full correction: which points are reached on the way.

`Straight` takes one linearisation, the original model's, and walks its budget: the paper's method
in steps, for any weights and any algorithm. `Relinearised` takes new influences at every point and
accepts a step only where the real figures moved as they should; it is for soft weights and the
influence update, and reaches further at the same cost. Beyond the paper.
"""

from softunlearn.paths.frontier import Correctable, Frontier, HeadOnRows, Path, Point, Start
from softunlearn.paths.relinearised import Relinearised
from softunlearn.paths.straight import Straight

PATHS: dict[str, Path] = {"relinearised": Relinearised(), "straight": Straight()}
"""The paths that a string names."""

__all__ = [
    "PATHS",
    "Correctable",
    "Frontier",
    "HeadOnRows",
    "Path",
    "Point",
    "Relinearised",
    "Start",
    "Straight",
]
