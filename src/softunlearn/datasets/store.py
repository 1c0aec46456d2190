"""Where data files are kept: found, downloaded, and never trusted without their checksum.

Files are looked for in `$SOFTUNLEARN_DATA`, then in the user's cache directory. What is downloaded
is bounded in size and time, checked before anything is written, and put in place in one step, so
that a failure leaves nothing behind.
"""

import gzip
import hashlib
import http.client
import io
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

import platformdirs

from softunlearn.datasets.catalogue import DatasetInfo, info_of
from softunlearn.disk import placed_file
from softunlearn.exceptions import DataUnavailableError, FileError

MAX_DOWNLOAD_BYTES = 64 * 2**20
"""Of an archive, and of each file in it; the largest one known is 6 MB."""

MAX_FILE_BYTES = 2**30
"""Of a file on this machine, uncompressed."""

DOWNLOAD_TIMEOUT_SECONDS = 30.0
"""How long to wait for a site that does not answer."""

_GZIP_MAGIC = b"\x1f\x8b"


def locate(name: str) -> Path | None:
    """Return the folder where a data set's files are, or None.

    The files are not read: whether they are what they should be is checked by `load`.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    Path or None
        None where some file is missing, and for a data set that has no files.

    Raises
    ------
    ValueError
        No data set has that name.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> datasets.locate("census") is None  # made on demand
    True
    """
    info = info_of(name)
    for root in roots():
        folder = root / info.folder
        if info.files and all(_find(folder, file.names) for file in info.files):
            return folder
    return None


def fetch(name: str) -> Path:
    """Return the cache folder of a data set, just downloaded from its own site.

    Parameters
    ----------
    name : str
        One of `names()`. Files already in the cache are replaced.

    Returns
    -------
    Path
        The folder with the data set's files, checked.

    Raises
    ------
    ValueError
        No data set has that name, or the library makes it itself.
    DataUnavailableError
        It cannot be downloaded, or is not what it should be; the message says what to put where.

    Examples
    --------
    >>> from softunlearn import datasets
    >>> datasets.fetch("census")
    Traceback (most recent call last):
    ...
    ValueError: 'census' has nothing to download: it is made by softunlearn itself.
    """
    info = info_of(name)
    if not info.files:
        raise ValueError(f"{name!r} has nothing to download: it is {info.source}.")
    if info.archive is None:
        raise _unavailable(info, f"it is not downloaded automatically (licence: {info.licence})")
    try:
        archive = _download(info.archive)
        files = {file.name: _member(archive, file.members) for file in info.files}
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(info, f"{info.archive} cannot be read ({_cause(error)})") from error
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, RuntimeError) as error:
        raise _unavailable(info, f"{info.archive} is not the archive expected") from error
    for file in info.files:
        if _sha256(files[file.name]) != file.sha256:
            raise _unavailable(info, f"{file.members[-1]} has a wrong checksum at {info.archive}")
    folder = _cache() / info.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, content in files.items():
            _write(folder / file_name, content)
    except OSError as error:
        raise _unavailable(info, f"it cannot be written ({error})") from error
    return folder


def contents(info: DatasetInfo) -> dict[str, bytes]:
    """Return each file of a data set, uncompressed, by its name; downloaded where need be.

    Raises
    ------
    FileError
        A file on this machine cannot be read or has a wrong checksum.
    DataUnavailableError
        The files are not on this machine and cannot be downloaded.
    """
    folder = locate(info.name) or fetch(info.name)
    found: dict[str, bytes] = {}
    for file in info.files:
        path = _find(folder, file.names) or folder / file.name
        try:
            content = _unpacked(path)
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{path} cannot be read: {error}.") from error
        if _sha256(content) != file.sha256:
            raise FileError(
                f"{path} is not the file of {info.name!r}: its content has sha256 "
                f"{_sha256(content)}, not {file.sha256}; replace or remove it."
            )
        found[file.name] = content
    return found


def roots() -> tuple[Path, ...]:
    """Return the folders in which data sets are looked for, the first that holds one first."""
    given = os.environ.get("SOFTUNLEARN_DATA")
    return (Path(os.path.expanduser(given)), _cache()) if given else (_cache(),)


def _cache() -> Path:
    """Return the user's cache folder, or a temporary one where there is no home directory."""
    try:
        found = Path(platformdirs.user_cache_dir("softunlearn"))
    except RuntimeError:  # of some versions; others answer with a relative path
        found = Path()
    return found if found.is_absolute() else Path(tempfile.gettempdir(), "softunlearn")


def _find(folder: Path, file_names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in file_names if os.path.isfile(folder / name)), None)


def _unpacked(path: Path) -> bytes:
    """Return what a file holds, gzipped or not, up to the most that is taken."""
    with path.open("rb") as file:
        gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        content = (gzip.GzipFile(fileobj=file) if gzipped else file).read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it holds more than {MAX_FILE_BYTES:,} bytes, too many for what it is")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            content = response.read(MAX_DOWNLOAD_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()  # it is a response too, and keeps the connection open
        raise
    if len(content) > MAX_DOWNLOAD_BYTES:
        raise OSError(f"more than {MAX_DOWNLOAD_BYTES} bytes")
    return content


def _member(archive: bytes, members: tuple[str, ...]) -> bytes:
    """Return a member of a zip archive, or of an archive inside it, and so on."""
    for member in members:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if opened.getinfo(member).file_size > MAX_DOWNLOAD_BYTES:
                raise OSError(f"{member} has more than {MAX_DOWNLOAD_BYTES} bytes")
            archive = opened.read(member)
    return archive


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or nothing; gzipped where its name says so."""
    data = gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
    with placed_file(path) as unfinished:
        unfinished.write_bytes(data)


def _cause(error: Exception) -> object:
    return getattr(error, "reason", error)  # of urllib's errors, without their wrapping


def _unavailable(info: DatasetInfo, reason: str) -> DataUnavailableError:
    wanted = " and ".join(file.names[-1] for file in info.files)
    return DataUnavailableError(
        f"Data set {info.name!r} is not here: {reason}; put {wanted} (see {info.source}) into "
        f"$SOFTUNLEARN_DATA/{info.folder} or {_cache() / info.folder}."
    )
