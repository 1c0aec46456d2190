"""The quadratic programme, its solution's record, and the contract of a scheme.

    minimise   -sum_k a_k . eps + lam ||eps||^2
    subject to  a_k . eps <= delta_k,   u_j . eps >= 0                                   (Eq. 6)

a_k . eps is the predicted fall of the k-th target metric; its budget stops the correction where
the metric is predicted to be zero. u_j . eps is that of a loss, or of another metric, that must
not rise. The paper has one target and one utility; several of each are beyond it.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from jaxtyping import Float

from softunlearn.exceptions import Status
from softunlearn.row_vectors import Directed, Held, RowVectors
from softunlearn.rows import Array

OPPOSED = 1e-6
"""Constraints are opposed where they leave less than this fraction of what the target alone would
do, or ask for weights that are longer by its inverse: that is rounding, or of no use."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What the weights are to achieve.

    Parameters
    ----------
    target : array-like of shape (n,) or (n, m), or Directed
        a: influence of every row on the target metric, or on each of m.
    utility : array-like of shape (n,) or (n, h), or Directed
        u: influence of every row on utility, a loss, or on each of h metrics that are held.
    budget : float or array-like of shape (m,)
        delta: the largest predicted fall of each target metric; at least 0.

    Raises
    ------
    ValueError
        The lengths differ, or something is not finite, or a budget is negative.

    Examples
    --------
    >>> problem = Problem(target=[1.0, -2.0], utility=[0.5, 0.5], budget=0.1)
    >>> problem.part(0.5).budget
    0.05
    >>> Problem([[1.0, 0.0], [-2.0, 1.0]], [0.5, 0.5], budget=[0.1, 0.2]).targets.shape
    (2, 2)
    """

    target: Any
    utility: Any
    budget: Any
    vectors: RowVectors = field(init=False, repr=False)
    """Targets, then utilities."""

    def __post_init__(self) -> None:
        vectors = self._directed() if isinstance(self.target, Directed) else self._held()
        object.__setattr__(self, "vectors", vectors)
        self._check_finite()
        object.__setattr__(self, "budget", _checked(self.budget, self.n_targets))

    @property
    def n_rows(self) -> int:
        """Return n."""
        return self.vectors.n_rows

    @property
    def n_targets(self) -> int:
        """Return m."""
        return _width(self.target)

    @property
    def targets(self) -> Float[Array, "n m"]:
        """Return a as a matrix, one column a target."""
        return _matrix(self.vectors.columns[: self.n_targets])

    @property
    def utilities(self) -> Float[Array, "n h"]:
        """Return u as a matrix, one column a metric that is held."""
        return _matrix(self.vectors.columns[self.n_targets :])

    @property
    def budgets(self) -> Float[np.ndarray, "..."]:
        """Return the budgets as a vector of shape (m,)."""
        return np.atleast_1d(np.asarray(self.budget, dtype=np.float64))

    def with_budget(self, budget: Any) -> "Problem":
        """Return the same problem with another budget, or other budgets."""
        same = copy.copy(self)
        object.__setattr__(same, "budget", _checked(budget, self.n_targets))
        return same

    def part(self, t: float) -> "Problem":
        """Return the same problem with t times every budget."""
        return self.with_budget(t * self.budget)

    def _held(self) -> Held:
        """Return the vectors of arrays, in float64, having checked that they fit each other."""
        for name in ("target", "utility"):
            object.__setattr__(self, name, _float_array(getattr(self, name)))
        shapes = tuple(self.target.shape), tuple(self.utility.shape)
        if shapes[0][:1] != shapes[1][:1] or not all(len(shape) in (1, 2) for shape in shapes):
            raise ValueError(
                "`target` and `utility` must be of the same length, one value a row and metric, "
                f"got shapes {shapes[0]} and {shapes[1]}."
            )
        return Held((*_columns(self.target), *_columns(self.utility)))

    def _directed(self) -> Directed:
        """Return the vectors of two that are known by their directions."""
        return self.target.beside(self.utility)

    def _check_finite(self) -> None:
        """Raise where an influence is NaN or infinite: then so are its products."""
        finite = np.isfinite(np.diag(self.vectors.products.inner))
        m = self.n_targets
        for name, of_name in (("target", finite[:m]), ("utility", finite[m:])):
            if not of_name.all():
                raise ValueError(f"`{name}` must be finite, got NaN or infinite influences.")


@dataclass(frozen=True, eq=False)
class Weights:
    """A solution of the programme.

    Parameters
    ----------
    eps : array of shape (n,), or Directed
        Weight change of every row; its weight in training would be 1 + eps. Known by its
        direction where the influences are.
    predicted : float or tuple of m floats
        a_k . eps, the predicted fall of each target metric; a float where `target` is a vector.
    utility_gain : float or tuple of h floats
        u_j . eps, the predicted fall of each loss; a float where `utility` is a vector.
    status : Status
        CORRECTED where eps does something.
    message : str
        What happened, in words.
    case : int
        Which line of Eq. 7 (1 to 4); 0 where none applies (eps = 0, or another programme).
    multipliers : tuple of float
        mu_1 to mu_m and nu_1 to nu_h of the constraints, in the stationarity condition
        2 lam eps = sum_k (1 - mu_k) a_k + sum_j nu_j u_j, clipped to the bounds where there are
        any. In the limit lam = 0 they are 1 and 0.
    combination : tuple of float
        x_1 to x_(m + h): eps = sum_k x_k a_k + sum_j x_(m+j) u_j, clipped to the bounds where
        there are any. Empty for weights of another form.
    residual : float
        How far the solver's eps is from the optimality conditions: the largest difference of
        c . eps from what is wanted, over all constraints that bind or are violated, each divided
        by ||c|| ||eps||; of a correction out of reach also the relative gap between the part
        reached and a proven upper bound for it. Stationarity holds by construction. 0 for a
        scheme that solves no programme.

    Examples
    --------
    >>> import softunlearn as su
    >>> problem = su.weights.Problem(target=[1.0, -2.0, 0.5], utility=[1.0, 1.0, 0.5], budget=0.2)
    >>> weights = su.weights.ClosedForm().solve(problem)
    >>> round(weights.predicted, 12), weights.utility_gain > -1e-12, weights.case
    (0.2, True, 4)
    """

    eps: Any
    predicted: Any
    utility_gain: Any
    status: Status
    message: str
    case: int = 0
    multipliers: tuple[float, ...] = ()
    combination: tuple[float, ...] = ()
    residual: float = 0.0

    @property
    def change_something(self) -> bool:
        """Return whether eps is anything but 0."""
        return self.status in (Status.CORRECTED, Status.TARGET_OUT_OF_REACH)


@runtime_checkable
class WeightScheme(Protocol):
    """A way to choose weights.

    Examples
    --------
    The rows of the largest harm each lose half of their weight:

    >>> import numpy as np, softunlearn as su
    >>> class HalveTheWorst:
    ...     scales = False
    ...     def solve(self, problem):
    ...         eps = np.where(problem.target < np.quantile(problem.target, 0.1), -0.5, 0.0)
    ...         a, u = float(problem.target @ eps), float(problem.utility @ eps)
    ...         return su.weights.Weights(eps, a, u, su.Status.CORRECTED, "Ten percent, halved.")
    >>> isinstance(HalveTheWorst(), su.weights.WeightScheme)
    True

    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, scheme=HalveTheWorst())
    >>> min(point.metric for point in c.frontier) < c.frontier[0].metric
    True
    """

    @property
    def scales(self) -> bool:
        """Whether the weights for a part t of the budget are t times those for all of it."""
        ...

    def solve(self, problem: Problem) -> Weights:
        """Return the weights for a problem; eps = 0, with a reason, where there are none."""
        ...


def unchanged(problem: Problem, status: Status, message: str) -> Weights:
    """Return eps = 0, with the reason."""
    m, q = problem.n_targets, len(problem.vectors.products.unit)
    return Weights(
        problem.vectors.combined(np.zeros(q)),
        as_given(np.zeros(m), problem.target),
        as_given(np.zeros(q - m), problem.utility),
        status,
        message,
    )


def as_given(values: Any, columns: Any) -> float | tuple[float, ...]:
    """Return one value a column: a float for a vector, a tuple of floats for a matrix."""
    floats = tuple(float(value) for value in values)
    return floats if columns.ndim == 2 else floats[0]


def _checked(budget: Any, m: int) -> Any:
    """Return a budget that holds one value a target."""
    budgets = np.asarray(budget, dtype=np.float64)
    if m == 0 or np.atleast_1d(budgets).shape != (m,):
        raise ValueError(
            f"`budget` must hold one value a target, got {budgets.size} for {m} targets."
        )
    if not bool(np.all((budgets >= 0) & np.isfinite(budgets))):
        raise ValueError(f"`budget` must be at least 0 and finite, got {budget}.")
    return budgets if budgets.ndim else budget


def _float_array(values: Any) -> Array:
    """Return values in float64, on their device: squares of 10^8 entries are summed."""
    if not is_array_api_obj(values):
        return np.asarray(values, dtype=np.float64)
    array: Array = values
    xp = array_namespace(array)
    return array if array.dtype == xp.float64 else xp.astype(array, xp.float64)


def _width(values: Any) -> int:
    return values.shape[1] if values.ndim == 2 else 1


def _columns(values: Array) -> tuple[Array, ...]:
    return (values,) if values.ndim == 1 else tuple(values[:, j] for j in range(values.shape[1]))


def _matrix(columns: tuple[Array, ...]) -> Array:
    return array_namespace(*columns).stack(columns, axis=1)
