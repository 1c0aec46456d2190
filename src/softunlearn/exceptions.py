"""What can go wrong, one class for each thing that a caller may want to catch.

Bad arguments raise Python's own exceptions or `InputError`, which is a `ValueError`. "Cannot be
done" is no exception at all: it is a `Status` in the result.
"""

from collections.abc import Sequence
from enum import StrEnum


class SoftUnlearnError(Exception):
    """Any failure that is not a plain bad argument.

    Examples
    --------
    >>> import softunlearn as su
    >>> try:
    ...     su.load("nowhere")
    ... except su.SoftUnlearnError as error:
    ...     print(type(error).__name__)
    FileError
    """


class InputError(SoftUnlearnError, ValueError):
    """Rows that cannot be used, with every problem found, one line each.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> try:
    ...     su.correct(model, train=([[0.0], [1.0]], [0, 2]), validation=([[0.0]], [0]))
    ... except su.InputError as error:
    ...     print(error.problems[0])
    `train`: 1 labels are unknown to the model, the first is 2 in row 1; it knows 0, 1.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class ModelError(SoftUnlearnError, TypeError):
    """A model that has no linear head this library can correct.

    Examples
    --------
    >>> import softunlearn as su
    >>> try:
    ...     su.models.adapt("a model")
    ... except su.ModelError as error:
    ...     print(str(error)[:37])
    No linear head is known in a str. Giv
    """


class FileError(SoftUnlearnError):
    """A file or folder that cannot be read or written, or is not what it says.

    Examples
    --------
    >>> import softunlearn as su
    >>> try:
    ...     su.load("nowhere")
    ... except su.FileError as error:
    ...     print(error)
    nowhere holds no manifest.json; give a folder that a correction wrote.
    """


class DataUnavailableError(FileError):
    """A data set that is neither on this machine nor to be downloaded.

    Examples
    --------
    >>> import softunlearn as su
    >>> try:
    ...     su.datasets.fetch("celeba")
    ... except su.DataUnavailableError:
    ...     data = su.datasets.load("census", n_rows=1000)
    """


class SingularCurvatureError(SoftUnlearnError, ArithmeticError):
    """The Hessian has no usable factor, even damped.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from softunlearn.curvature import Cholesky
    >>> from softunlearn.head import LinearHead
    >>> from softunlearn.objective import HeadObjective
    >>> wide = su.Rows(np.zeros((2, 25_000)), np.array([0, 1]))
    >>> try:
    ...     Cholesky().factor(HeadObjective(LinearHead(np.zeros((1, 25_000)), None), wide))
    ... except su.SingularCurvatureError as error:
    ...     print(error)
    The head has 25,000 parameters, and its Hessian would take 5 GiB; ...
    """


class NoOptimumError(SoftUnlearnError, ArithmeticError):
    """Training that does not end: a loss without a minimum, or one that cannot be reached.

    Examples
    --------
    >>> import numpy as np, softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[-1.0], [-2.0], [1.0], [2.0]]), [0, 0, 1, 1]
    >>> model = LogisticRegression(C=np.inf).fit(X, y)  # separable, and without a penalty
    >>> try:
    ...     su.leave_one_out(model, (X, y), su.Target(su.metrics.LogLoss(), (X, y)))
    ... except su.NoOptimumError as error:
    ...     print(type(error).__name__)
    NoOptimumError
    """


class SoftUnlearnWarning(UserWarning):
    """Something the caller should know, and that does not stop the work.

    Examples
    --------
    Without its third row the classes are separable, and there is no penalty:

    >>> import warnings, numpy as np, softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[-2.0], [-1.0], [3.0], [1.0], [2.0]]), np.array([0, 0, 0, 1, 1])
    >>> model = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    >>> target = su.Target(su.metrics.LogLoss(), (X, y))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", su.SoftUnlearnWarning)
    ...     np.isnan(su.leave_one_out(model, (X, y), target)[:, 0])
    array([False, False,  True, False, False])
    """


class Status(StrEnum):
    """What happened to a correction.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> train, validation, test = su.datasets.load("census", n_rows=1000)
    >>> model = LogisticRegression(max_iter=1000).fit(train.X, train.y)
    >>> c = su.correct(model, train=train, validation=validation, only_above=0.9)
    >>> c.status is su.Status.NOTHING_TO_CORRECT, c.status == "NOTHING_TO_CORRECT"
    (True, True)
    """

    CORRECTED = "CORRECTED"
    NOTHING_TO_CORRECT = "NOTHING_TO_CORRECT"
    NO_PARETO_DIRECTION = "NO_PARETO_DIRECTION"
    TARGET_OUT_OF_REACH = "TARGET_OUT_OF_REACH"
    UTILITY_WOULD_SUFFER = "UTILITY_WOULD_SUFFER"
    DIVERGED = "DIVERGED"
    AUDITED = "AUDITED"
