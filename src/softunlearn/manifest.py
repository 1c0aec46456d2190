"""What a saved folder holds and where it comes from: sizes and sha256 of its files, provenance.

`manifest.json` is written last and read first. It names plain files of known names, in the folder
itself; a file is read only where its size and sha256 are those in the manifest. This tells what
was cut short or changed. It is no signature: whoever changes a file can write a manifest to match,
so the files are read as if a stranger had written all of them.
"""

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softunlearn.disk import opened
from softunlearn.exceptions import FileError

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the manifest's layout."""

MAX_JSON_BYTES = 64 * 2**20
"""Of a JSON file; in memory it takes up to twenty times as much."""

ANEW = "save the correction again, or copy the whole folder anew"


@dataclass(frozen=True)
class Manifest:
    """A folder's files, each with its size and sha256, and where they come from.

    Parameters
    ----------
    files : dict of str to (int, str)
    provenance : dict
    """

    files: dict[str, tuple[int, str]]
    provenance: dict[str, Any]


def write_manifest(folder: Path, provenance: dict[str, Any]) -> None:
    """Write the manifest of the files that are in a folder."""
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    found = {"format": FORMAT, "provenance": provenance, "files": files}
    text = json.dumps(found, indent=2, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, known: Collection[str]) -> Manifest:
    """Return a folder's manifest, once every file in it is what the manifest says.

    Parameters
    ----------
    folder : Path
    known : collection of str
        The names that files may have.

    Raises
    ------
    FileError
        There is no manifest, it is none, or a file is missing, damaged or changed.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        raise FileError(f"{folder} holds no {MANIFEST}; give a folder that a correction wrote.")
    found = read_json(path)
    if found.get("format") != FORMAT:
        raise FileError(
            f"{path} has format {found.get('format')!r:.20}, and this version of softunlearn "
            f"reads {FORMAT}; read the folder with the version that wrote it."
        )
    manifest = _checked(found, path, known)
    for name, (size, sha256) in manifest.files.items():
        _check(folder / name, size, sha256)
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file: no key twice, no NaN, nothing too large or too deep.

    Raises
    ------
    FileError
        It is something else, or cannot be read.
    """
    with opened(path) as file:
        content = file.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise FileError(f"{path} has more than {MAX_JSON_BYTES:,} bytes, too many for what it is.")
    try:
        found = json.loads(content, parse_constant=_no_number, object_pairs_hook=_unique)
    except RecursionError as error:
        raise FileError(f"{path} is nested too deeply; {ANEW}.") from error
    except ValueError as error:
        raise FileError(f"{path} is not JSON ({error}); {ANEW}.") from error
    if not isinstance(found, dict):
        raise FileError(f"{path} holds no JSON object; {ANEW}.")
    return found


def _checked(found: dict[str, Any], path: Path, known: Collection[str]) -> Manifest:
    """Return the manifest in a JSON object of the right layout."""
    files, provenance = found.get("files"), found.get("provenance")
    if not isinstance(files, dict) or not isinstance(provenance, dict):
        raise FileError(f"{path} lists no files or tells no provenance; {ANEW}.")
    if foreign := sorted(set(files) - set(known)):
        raise FileError(
            f"{path} names {foreign[0]!r:.80}, and a saved folder holds only {', '.join(known)}; "
            f"{ANEW}."
        )
    marks = {}
    for name, mark in files.items():
        size, sha256 = (
            (mark.get("bytes"), mark.get("sha256")) if isinstance(mark, dict) else 2 * (None,)
        )
        if type(size) is not int or not isinstance(sha256, str):
            raise FileError(f"{path} gives no size and sha256 of {name}; {ANEW}.")
        marks[name] = (size, sha256)
    return Manifest(marks, provenance)


def _check(path: Path, size: int, sha256: str) -> None:
    """Raise where a file is not the one that was saved."""
    with opened(path) as file:
        found = file.seek(0, 2)
        if found != size:
            how = "cut short" if found < size else "changed"
            raise FileError(
                f"{path} was {how}: it has {found:,} bytes and was saved with {size:,}; {ANEW}."
            )
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise FileError(f"{path} was changed: its sha256 is not the one saved; {ANEW}.")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
