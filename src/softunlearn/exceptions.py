"""What can go wrong, one class for each thing that a caller may want to catch.

Bad arguments raise Python's own exceptions or `InputError`, which is a `ValueError`. "Cannot be
done" is no exception at all: it is a `Status` in the result.
"""

from collections.abc import Sequence
from enum import StrEnum


class SoftUnlearnError(Exception):
    """Any failure that is not a plain bad argument."""


class InputError(SoftUnlearnError, ValueError):
    """Rows that cannot be used, with every problem found, one line each."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class ModelError(SoftUnlearnError, TypeError):
    """A model that has no linear head this library can correct."""


class FileError(SoftUnlearnError):
    """A file or folder that cannot be read or written, or is not what it says."""


class DataUnavailableError(FileError):
    """A data set that is neither on this machine nor to be downloaded."""


class SingularCurvatureError(SoftUnlearnError, ArithmeticError):
    """The Hessian has no usable factor, even damped."""


class NoOptimumError(SoftUnlearnError, ArithmeticError):
    """Training that does not end: a loss without a minimum, or one that cannot be reached."""


class SoftUnlearnWarning(UserWarning):
    """Something the caller should know, and that does not stop the work."""


class Status(StrEnum):
    """What happened to a correction."""

    CORRECTED = "CORRECTED"
    NOTHING_TO_CORRECT = "NOTHING_TO_CORRECT"
    NO_PARETO_DIRECTION = "NO_PARETO_DIRECTION"
    TARGET_OUT_OF_REACH = "TARGET_OUT_OF_REACH"
    UTILITY_WOULD_SUFFER = "UTILITY_WOULD_SUFFER"
    DIVERGED = "DIVERGED"
    AUDITED = "AUDITED"
