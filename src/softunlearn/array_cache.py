"""Arrays on disk that took long to compute: a network's features, exact leave-one-out.

An entry's name is the sha256 of all that its array depends on, so nothing is ever out of date:
another model or other rows have another name. An entry is a sha256 of what follows, then an array
in NumPy's own format, which holds numbers and no objects. It is written beside its place and moved
there in one step: an interrupted run leaves no half entry, and of two processes that write the
same entry either may win. What does not match its checksum, or is no array, is not there.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softunlearn.disk import opened, placed_file, remove_leftovers
from softunlearn.exceptions import FileError, SoftUnlearnWarning

_CHECKSUM_BYTES = hashlib.sha256().digest_size
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class ArrayCache:
    """A folder of computed arrays; delete it, or any file in it, whenever you like.

    Parameters
    ----------
    directory : str or Path
        Made where it is not there. Nothing else should be kept in it.

    Raises
    ------
    FileError
        The folder cannot be made or written to.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ArrayCache(folder)
    ...     cache.put(key([b"model", b"rows"]), np.eye(2))
    ...     cache.get(key([b"model", b"rows"])), cache.get(key([b"model", b"other rows"]))
    (array([[1., 0.], [0., 1.]]), None)
    """

    directory: str | Path

    def __post_init__(self) -> None:
        folder = Path(self.directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{folder} cannot be made: {error.strerror or error}.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FileError(f"{folder} cannot be written; give a folder that can.")
        remove_leftovers(folder)

    def get(self, name: str) -> np.ndarray | None:
        """Return the entry's array, or None where it is missing or damaged."""
        try:
            with opened(self._path(name)) as file:
                checksum = file.read(_CHECKSUM_BYTES)
                if hashlib.file_digest(file, "sha256").digest() != checksum:
                    return None
                file.seek(_CHECKSUM_BYTES)
                return np.lib.format.read_array(file, allow_pickle=False)
        except Exception:  # missing, or not what `put` wrote: a reader may raise anything of it
            return None

    def put(self, name: str, array: np.ndarray) -> None:
        """Keep an array under a name; where they cannot be kept, warn and go on."""
        try:
            self._write(self._path(name), array)
        except OSError as error:
            warnings.warn(
                f"What was computed is not kept for next time: {self.directory} cannot be written "
                f"({error.strerror or error}).",
                SoftUnlearnWarning,
                stacklevel=2,
            )

    def _path(self, name: str) -> Path:
        return Path(self.directory) / f"{name}.array"

    def _write(self, path: Path, array: np.ndarray) -> None:
        with placed_file(path) as unfinished, unfinished.open("w+b") as file:
            file.write(bytes(_CHECKSUM_BYTES))
            np.lib.format.write_array(file, array, allow_pickle=False)
            file.seek(_CHECKSUM_BYTES)
            checksum = hashlib.file_digest(file, "sha256").digest()
            file.seek(0)
            file.write(checksum)


def key(parts: Iterable[bytes | memoryview]) -> str:
    """Return one name for a sequence of parts; other parts, or other borders, have another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(memoryview(part).nbytes.to_bytes(_LENGTH_BYTES, "little"))
        digest.update(part)
    return digest.hexdigest()
