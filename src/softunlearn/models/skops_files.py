"""A scikit-learn model on disk: skops, a zip of numbers and of the names of types, without code.

A type that skops does not know to be harmless is loaded only if the caller names it; nothing here
ever unpickles. The archive is looked at before skops reads it: its members are plain names, each
once, and unpacked they are not much larger than the file.
"""

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from softunlearn.exceptions import FileError

TRUSTED = (
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "numpy.dtype",
)
"""Types that skops does not know to be harmless and that are: values and no code."""

MAX_EXPANSION, ALWAYS_BYTES = 100, 64 * 2**20
"""How many times larger than its file an archive's content may be; so much it may be anyhow."""

MOST_NAMES, MOST_LETTERS = 20, 200
"""Of a stranger's types in a message."""

_ZIP_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 1


def write_model(model: Any, path: Path, *, trusted: Sequence[str] = ()) -> None:
    """Write a model.

    Raises
    ------
    FileError
        It holds what skops cannot write, or types that could not be read back.
    """
    try:
        skops.io.dump(model, path)
        unknown = _untrusted(path, trusted)
    except OSError:
        raise
    except Exception as error:  # whatever an object in the model does when it is taken apart
        raise FileError(
            f"The {type(model).__name__} cannot be written by skops: {_first_line(error)}"
        ) from error
    if unknown:
        raise FileError(
            f"The model holds types that are not trusted and could not be read back: "
            f"{unknown}. Name each with trusted= (--trust on the command line)."
        )


def read_model(path: str | Path, *, trusted: Sequence[str] = ()) -> Any:
    """Return the model in a skops file.

    Raises
    ------
    FileError
        There is no such file, it is not a skops file, or it holds types that are not trusted.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise FileError(f"{path} is not a file; give a model written by skops.io.dump.")
    try:
        with zipfile.ZipFile(path) as archive:
            problem = _problem(archive, path.stat().st_size)
        if problem is None:
            return skops.io.load(path, trusted=[*TRUSTED, *trusted])
    except UntrustedTypesFoundException as error:
        unknown = _untrusted(path, trusted)
        raise FileError(
            f"{path} holds types that are not trusted: {unknown}. "
            "If you know where the file comes from, name each with --trust (trusted= in Python)."
        ) from error
    except Exception as error:  # a file by a stranger may raise anything in its reader
        raise FileError(
            f"{path} is not a skops file, or is damaged; write it anew with skops.io.dump."
        ) from error
    raise FileError(f"{path} is not a file that skops.io.dump writes: {problem}.")


def _untrusted(path: Path, trusted: Sequence[str]) -> str:
    """Return the names of types that are not trusted, as they can be shown; "" for none."""
    names = sorted(set(skops.io.get_untrusted_types(file=path)) - {*TRUSTED, *trusted})
    shown = [name if name.isprintable() else repr(name) for name in names[:MOST_NAMES]]
    more = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join([name[:MOST_LETTERS] for name in shown] + more)


def _problem(archive: zipfile.ZipFile, n_bytes: int) -> str | None:
    """Return what is wrong with an archive, if anything is; nothing is unpacked in vain."""
    allowed = max(ALWAYS_BYTES, MAX_EXPANSION * n_bytes)
    members = archive.infolist()
    if problem := _misnamed(members):
        return problem
    if any(member.flag_bits & _ENCRYPTED for member in members):
        return "it is encrypted"
    content = sum(member.file_size for member in members)
    if content <= allowed:
        content += sum(_inside(archive, member) for member in members)
    if content > allowed:
        return f"unpacked it would take {content:,} bytes, from {n_bytes:,}"
    return None


def _misnamed(members: Sequence[zipfile.ZipInfo]) -> str | None:
    """Return what is wrong with the names; skops gives each member one of its own, no folders."""
    names: set[str] = set()
    for name in (member.orig_filename for member in members):
        if not name or any(sign in name for sign in "/\\:\0") or name.startswith("."):
            return f"it holds {name!r:.80}, which is not the plain name of a file"
        if name in names:
            return f"it holds {name!r:.80} twice"
        names.add(name)
    return None


def _inside(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the size of what an archive in the archive (a sparse matrix) holds, 0 of others."""
    with archive.open(member) as file:
        if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
            return 0
    with zipfile.ZipFile(io.BytesIO(archive.read(member))) as inner:
        return sum(one.file_size for one in inner.infolist())


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".") + "."
