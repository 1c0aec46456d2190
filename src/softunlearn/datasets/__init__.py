"""Data sets to try the library on, as train, validation and test rows with groups.

`load` is the way in, `load_images` that of images; `census` is synthetic and always there, the
others are real. `DATASETS` says what each one holds and what it may be used for, `locate` where
its files are, and `fetch` downloads them.
"""

from softunlearn.datasets.catalogue import DATASETS, DataFile, DatasetInfo, names
from softunlearn.datasets.images import load_images
from softunlearn.datasets.registry import load
from softunlearn.datasets.splits import Splits
from softunlearn.datasets.store import fetch, locate

__all__ = [
    "DATASETS",
    "DataFile",
    "DatasetInfo",
    "Splits",
    "fetch",
    "load",
    "load_images",
    "locate",
    "names",
]
