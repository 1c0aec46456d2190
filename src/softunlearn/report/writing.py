"""A page of text onto disk: whole, or not at all."""

from collections.abc import Callable
from pathlib import Path

from softunlearn.disk import placed_file
from softunlearn.exceptions import FileError


def write_whole(path: str | Path, make: Callable[[], str]) -> None:
    """Write what `make` returns; a file that is there is replaced as a whole.

    Raises
    ------
    FileError
        The folder does not exist or cannot be written to, or the path is a folder's.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    if path.is_dir():
        raise FileError(f"Cannot write {path}: it is a folder; give the name of a file in it.")
    page = make()
    try:
        with placed_file(path) as unfinished:
            unfinished.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror or error}.") from error
