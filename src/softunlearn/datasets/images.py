"""CIFAR-10 and CIFAR-100: small photographs, as their own site's binary files hold them.

A record is one label byte of CIFAR-10, two of CIFAR-100 (its 20 coarse classes, then its 100
classes), and 3,072 bytes: the red, green and blue planes of 32 x 32 pixels. No pickled file is
read. CIFAR-10 is also read from a Parquet file of JPEG images with the official split.

They are no tables, so `load` does not know them: `load_images` does.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softunlearn.datasets.splits import Splits, deal
from softunlearn.datasets.store import roots
from softunlearn.exceptions import DataUnavailableError, FileError
from softunlearn.rows import Rows

SIDE, COLOURS = 32, 3

_PARQUET = "cifar10_jpeg.parquet"


@dataclass(frozen=True)
class _Files:
    """The binary files of a data set: those of its official training and test images."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: int
    source: str = "https://www.cs.toronto.edu/~kriz/cifar.html"


_FILES = {
    "cifar10": _Files(tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",), 1),
    "cifar100": _Files(("train.bin",), ("test.bin",), 2),
}


@dataclass(frozen=True, eq=False)
class _Images:
    """Images not yet decoded, or as bytes, with their labels; coarse ones of CIFAR-100."""

    content: np.ndarray
    labels: np.ndarray

    def rows(self, index: np.ndarray) -> Rows:
        """Return some of them as rows: uint8 (n, 3, 32, 32), the label, and the coarse label."""
        labels = self.labels[index]
        g = labels[:, 0] if labels.shape[1] == 2 else None
        X = [_decoded(one) for one in self.content[index]]
        return Rows(np.stack(X), labels[:, -1].astype(np.int64), g)


def load_images(name: str, *, n_rows: int | None = None, seed: int = 0) -> Splits:
    """Return a data set of images as train, validation and test rows.

    The official test images are the test rows; a fifth of the official training images, the same
    part of every class, are validation rows. Rows keep the order of the files, which may be that
    of the classes.

    Parameters
    ----------
    name : {"cifar10", "cifar100"}
        Looked for in `$SOFTUNLEARN_DATA/NAME`, then in the user's cache directory: the official
        binary files, of CIFAR-10 also `cifar10_jpeg.parquet`. Nothing is downloaded.
    n_rows : int, optional
        Rows of all three parts together, in the same proportions; default: all 60,000.
    seed : int, default=0
        Of the validation rows, and of which rows there are.

    Returns
    -------
    Splits
        Each part a `Rows` whose `X` is uint8 of shape (n, 3, 32, 32), `y` the class; `g`, of
        CIFAR-100 alone, is the coarse class.

    Raises
    ------
    ValueError
        No data set of images has that name, or there are too few rows.
    DataUnavailableError
        Its files are not on this machine; the message says what to put where.
    FileError
        A file is not as long as its records are.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from pathlib import Path
    >>> from unittest.mock import patch
    >>> from softunlearn import datasets
    >>> record = np.zeros(1 + 3072, dtype=np.uint8).tobytes()
    >>> with tempfile.TemporaryDirectory() as root, patch.dict(os.environ, SOFTUNLEARN_DATA=root):
    ...     folder = Path(root, "cifar10")
    ...     folder.mkdir()
    ...     for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
    ...         _ = (folder / name).write_bytes(10 * record)
    ...     train, validation, test = datasets.load_images("cifar10")
    >>> train.X.shape, len(validation), len(test)
    ((40, 3, 32, 32), 10, 10)
    """
    if name not in _FILES:
        raise ValueError(f"`name` must be one of {', '.join(map(repr, _FILES))}, got {name!r}.")
    official = _official(name)
    parts = deal(np.arange(len(official[0].labels)), official[0].labels[:, -1], (4, 1), seed)
    parts = (*parts, np.arange(len(official[1].labels)))
    if n_rows is not None:
        total = sum(map(len, parts))
        if not 10 <= n_rows <= total:
            raise ValueError(f"`n_rows` must be from 10 to {total:,}, got {n_rows}.")
        rng = np.random.default_rng(seed)
        sizes = [round(n_rows * len(part) / total) for part in parts]
        parts = tuple(
            np.sort(rng.permutation(part)[:size]) for part, size in zip(parts, sizes, strict=True)
        )
    train, validation, test = parts
    return Splits(official[0].rows(train), official[0].rows(validation), official[1].rows(test))


def _official(name: str) -> tuple[_Images, _Images]:
    """Return the official training and test images."""
    files = _FILES[name]
    for root in roots():
        folder = root / name
        if all((folder / file).is_file() for file in (*files.train, *files.test)):
            return _binary(folder, files.train, files.labels), _binary(
                folder, files.test, files.labels
            )
        if name == "cifar10" and (folder / _PARQUET).is_file():
            return _parquet(folder / _PARQUET)
    wanted = " and ".join((*files.train, *files.test))
    raise DataUnavailableError(
        f"Data set {name!r} is not here: it is not downloaded automatically; put {wanted} (the "
        f"binary version, see {files.source}) into $SOFTUNLEARN_DATA/{name}."
    )


def _binary(folder: Path, names: tuple[str, ...], labels: int) -> _Images:
    """Return the records of binary files."""
    width, parts = labels + COLOURS * SIDE * SIDE, []
    for name in names:
        content = np.fromfile(folder / name, dtype=np.uint8)
        if len(content) == 0 or len(content) % width:
            raise FileError(
                f"{folder / name} has {len(content):,} bytes, which is no number of records of "
                f"{width:,}; replace it by the one of the binary version."
            )
        parts.append(content.reshape(-1, width))
    records = np.concatenate(parts)
    return _Images(records[:, labels:], records[:, :labels])


def _parquet(path: Path) -> tuple[_Images, _Images]:
    """Return the images of a Parquet file with the columns split, label and jpeg."""
    import pandas as pd

    table = pd.read_parquet(path, columns=["split", "label", "jpeg"])
    found = []
    for part in (0, 1):
        own = table[table["split"] == part]
        labels = own["label"].to_numpy(dtype=np.uint8)[:, None]
        found.append(_Images(own["jpeg"].to_numpy(dtype=object), labels))
    return found[0], found[1]


def _decoded(one: np.ndarray | bytes) -> np.ndarray:
    """Return an image as three planes."""
    if isinstance(one, np.ndarray):
        return one.reshape(COLOURS, SIDE, SIDE)
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(one)).convert("RGB")).transpose(2, 0, 1)
