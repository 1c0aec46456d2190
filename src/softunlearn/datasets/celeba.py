"""CelebA: who smiles, from the 39 other attributes of each photograph.

The table holds what `list_attr_celeba.txt` and `list_eval_partition.txt` hold: image number,
partition (0 train, 1 validation, 2 test) and 40 attributes, in the order of the images. The clean
split is the official one, so it does not depend on the seed.
"""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd

from softunlearn.datasets.table import Table


def read(files: Mapping[str, bytes]) -> Table:
    """Return CelebA's attributes with the official partition."""
    everyone = pd.read_parquet(io.BytesIO(files["celeba_attributes.parquet"]))
    raw = everyone.drop(columns=["image_number", "partition", "Smiling"])
    partition = everyone["partition"].to_numpy()
    return Table(
        raw=raw,
        encoded=raw.astype(float),
        y=everyone["Smiling"].to_numpy(dtype=np.int64),
        g=np.where(everyone["Male"].to_numpy(), "Male", "Not male"),
        official=tuple(np.flatnonzero(partition == part) for part in range(3)),
    )
