"""Files and folders that are whole or absent, and files that are what they say.

What is written goes beside its place, under a hidden name, and is moved there in one step: a
failure, or the end of the process at any moment, leaves what was there before. What a killed
process left beside the place is removed by a later one, once it is a day old.
"""

import ctypes
import errno
import os
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from softunlearn.exceptions import FileError

LEFTOVER_SECONDS = 86_400.0
"""Age from which what was never finished is taken for a killed process's, and not at work."""

_ENDING = ".partial"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
_AS_IT_IS = ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")  # where the system has them


@contextmanager
def placed_file(path: Path) -> Iterator[Path]:
    """Give a file's name beside `path`; what is written there is moved to `path` at the end."""
    unfinished = _beside(path)
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def placed_folder(directory: Path) -> Iterator[Path]:
    """Give an empty folder beside `directory`, of files, that takes its place at the end."""
    place = _beside(directory)
    place.mkdir()
    try:
        yield place
        for path in (*place.iterdir(), place):
            _written_through(path)
        place = _moved(place, directory)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left in a folder while they wrote a file of this name."""
    before = time.time() - LEFTOVER_SECONDS
    for path in folder.glob(f".{name}.*{_ENDING}"):
        with suppress(OSError):
            if path.lstat().st_mtime < before:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def opened(path: Path) -> BufferedReader:
    """Return a file opened for reading: never what a link leads to, a pipe or a device.

    Raises
    ------
    FileError
        It is missing, is no plain file, or cannot be read.
    """
    flags = os.O_RDONLY
    for name in _AS_IT_IS:
        flags |= getattr(os, name, 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing; copy the whole folder, or save it again.") from error
    except OSError as error:
        linked = error.errno == errno.ELOOP
        reason = "it is a link, not a file" if linked else error.strerror or error
        raise FileError(f"{path} cannot be read: {reason}.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileError(f"{path} is not a plain file.")
    return os.fdopen(handle, "rb")


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{_ENDING}")


def _written_through(path: Path) -> None:
    """Wait until a file's or folder's content is on the disk, so that no power cut undoes it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _moved(place: Path, directory: Path) -> Path:
    """Put one folder in the other's place; return where the other, if any, is now."""
    try:
        place.rename(directory)  # where nothing is, or an empty folder
        return place
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if _exchanged(place, directory):
        return place
    old = _beside(directory)  # without such a call there is neither for a moment
    directory.rename(old)
    try:
        place.rename(directory)
    except OSError:
        old.rename(directory)
        raise
    return old


def _exchanged(a: Path, b: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    exchange = None
    if sys.platform == "linux":
        exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        return False
    return exchange(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0
