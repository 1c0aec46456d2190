"""Hard weights: the most harmful rows are removed, the others left as they are.

The usual form of unlearning, and what soft weights are compared with: eps is -1 for the k rows
of most negative target influence and 0 elsewhere; utility plays no part.
"""

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, to_device

from softunlearn.exceptions import Status
from softunlearn.weights.problem import Problem, Weights


@dataclass(frozen=True)
class TopK:
    """Remove the fewest rows whose predicted effect uses up the budget.

    Parameters
    ----------
    max_fraction : float, default=1.0
        At most this part of all rows is removed; the paper's experiments use 0.2.

    Examples
    --------
    >>> import numpy as np
    >>> problem = Problem(np.array([-3.0, 1.0, -2.0, -1.0]), np.zeros(4), budget=4.0)
    >>> TopK().solve(problem).eps
    array([-1.,  0., -1.,  0.])
    """

    max_fraction: float = 1.0
    scales = False

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction <= 1:
            raise ValueError(
                f"`max_fraction` must be above 0 and at most 1, got {self.max_fraction}."
            )

    def solve(self, problem: Problem) -> Weights:
        """Return -1 for the rows removed and 0 for the others."""
        xp = array_namespace(problem.target)
        a = np.asarray(to_device(problem.target, "cpu"), dtype=np.float64)
        worst_first = np.argsort(a, kind="stable")
        harm = np.cumsum(np.maximum(-a[worst_first], 0.0))
        most = min(int(np.count_nonzero(a < 0)), int(self.max_fraction * len(a)))
        enough = int(np.searchsorted(harm, problem.budget)) + 1 if problem.budget > 0 else 0
        k = min(enough, most)
        eps = np.zeros(len(a))
        eps[worst_first[:k]] = -1.0
        eps = xp.asarray(eps, dtype=problem.target.dtype, device=problem.target.device)
        if k == 0:
            status, message = Status.NOTHING_TO_CORRECT, "There is no harmful row to remove."
        elif enough > most:
            status, message = (
                Status.TARGET_OUT_OF_REACH,
                f"Removing all {most:,} rows that may be removed is not enough.",
            )
        else:
            status, message = Status.CORRECTED, f"{k:,} of {len(a):,} rows are removed."
        return Weights(
            eps,
            predicted=float(xp.sum(problem.target * eps)),
            utility_gain=float(xp.sum(problem.utility * eps)),
            status=status,
            message=message,
        )
