"""Rows that do not fit in memory: read in chunks, one ahead of the arithmetic, whenever needed.

`StreamedRows` answers as `Rows` does; where its chunks come from is a `Source`. The one that there
is reads Parquet files. What a pass holds at once is bounded, and known beforehand (`peak_bytes`).
"""

from softunlearn.streams.parquet import from_parquet
from softunlearn.streams.streamed import Batch, Source, StreamedRows
from softunlearn.streams.writing import write_vector

__all__ = ["Batch", "Source", "StreamedRows", "from_parquet", "write_vector"]
