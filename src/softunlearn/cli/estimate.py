"""What a correction would take: memory and time, from sizes and a short calibration.

The correction is run on two samples of the training rows, s and s / 4, with all validation and
test rows, short ones twice. With t(s) the least of its seconds, M the most memory that this
process has held until then, b the bytes of a row as it was read and d the inputs of the last
layer, n rows take about

    time    t(s) + (n - s) (t(s) - t(s / 4)) / (3 s / 4)
    memory  M + (n - s) (2 b + 2 * 8 d + 8 * 24)   of rows in memory
            M + (n - s) 8 * 24 + one pass' buffers  of rows that are read in chunks

All is linear in n but for what the samples have whole: matrices of the size of the head, squared.
A row is held as read and once more while it is, its features twice, and 24 numbers of it are
results: influences, weights, and what they are sorted by.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from softunlearn.cli.files import PARQUET, Files, frame_rows, read_in_parts
from softunlearn.correct import correct
from softunlearn.models import adapt
from softunlearn.rows import Rows

SAMPLE_BYTES, LEAST_SAMPLE, MOST_SAMPLE = 2**26, 4000, 100_000
"""The calibration's training rows have about so many bytes of features, more than a processor's
caches hold, and are no fewer and no more than these numbers of rows."""

SHORT = 2.0
"""What takes fewer seconds is timed twice."""

RESULTS = 24
"""Numbers of eight bytes that are held for every training row in the end."""


@dataclass(frozen=True)
class Estimate:
    """What a correction would take.

    Parameters
    ----------
    rows : dict of str to int
        How many rows there are, by split.
    sample : int
        Training rows that were corrected to find it out.
    streamed : bool
        Whether the training rows would be read in chunks.
    inputs, parameters : int
        Of the last layer.
    solver : str
        How influences are solved for.
    memory_bytes : int or None
        At the peak; None where this system does not say what a process holds.
    seconds : float
        Until everything is written, but for reading the files.
    """

    rows: dict[str, int]
    sample: int
    streamed: bool
    inputs: int
    parameters: int
    solver: str
    memory_bytes: int | None
    seconds: float


def estimate(
    files: Files, options: dict[str, Any], progress: Callable[[str, float], None]
) -> Estimate:
    """Return what the correction that the options ask for would take; nothing is written.

    Raises
    ------
    SoftUnlearnError or ValueError
        As the correction itself would: the inputs are read and checked.
    """
    progress("reading a sample", 0.0)
    given = files.but_training()
    d = adapt(files.read_model).head(1).W.shape[1]
    at_most = int(np.clip(SAMPLE_BYTES // (8 * d), LEAST_SAMPLE, MOST_SAMPLE))
    n, sample, row_bytes, buffers = _sample(files, at_most)
    progress("correcting a sample", 0.3)
    quarter = _some(sample, len(sample) // 4)
    (few, _), (whole, solver) = (_seconds(given, rows, options) for rows in (quarter, sample))
    slope = max(0.0, whole - few) / max(1, len(sample) - len(quarter))
    head, held = adapt(files.read_model, sample.X).head(n), _most_held()
    a_row = 8 * RESULTS + (0 if files.streams else 2 * row_bytes + 2 * 8 * d)
    more = (n - len(sample)) * a_row + buffers
    others = {
        name: len(given[name]) for name in ("validation", "choose_on", "test") if name in given
    }
    return Estimate(
        rows={"train": n} | others,
        sample=len(sample),
        streamed=files.streams,
        inputs=d,
        parameters=head.n_parameters,
        solver=solver,
        memory_bytes=None if held is None else held + more,
        seconds=whole + (n - len(sample)) * slope,
    )


def _sample(files: Files, at_most: int) -> tuple[int, Rows, int, int]:
    """Return the number of training rows, some of them, bytes a row and of a pass' buffers."""
    if files.streams or files.train.suffix.lower() in PARQUET:
        rows: Any = replace(files, cluster=None, stream=True).streamed()
        sample = rows.take(np.arange(min(len(rows), at_most)))
        if getattr(files.read_model, "feature_names_in_", None) is not None:
            sample = replace(sample, X=pd.DataFrame(sample.X, columns=list(rows.feature_names)))
        return len(rows), sample, rows.source.row_bytes, rows.peak_bytes * files.streams
    n, table = _every_so_many(files.train, at_most)
    sample = frame_rows(table, files.train, files.read_model, files.label, files.asked.sensitive)
    held = int(table.memory_usage(deep=True).sum())
    return n, sample, held // max(1, len(table)), 0


def _every_so_many(path: Path, at_most: int) -> tuple[int, pd.DataFrame]:
    """Return how many rows a table has, and up to so many of them, evenly spaced."""
    kept, n, stride = [], 0, 1
    for part in read_in_parts(path):
        kept.append(part.iloc[(-n) % stride :: stride])
        n += len(part)
        while n > at_most * stride:  # every second of those that are kept
            table, stride = pd.concat(kept), 2 * stride
            kept = [table.iloc[::2]]
    return n, pd.concat(kept)


def _some(rows: Rows, n: int) -> Rows:
    return rows.take(np.linspace(0, len(rows) - 1, max(n, 1)).astype(int))


def _seconds(given: dict[str, Any], train: Rows, options: dict[str, Any]) -> tuple[float, str]:
    """Return how long a correction and its figures take, the lesser of two, and its solver."""
    once, solver = _timed(given, train, options)
    return (once, solver) if once > SHORT else min((once, solver), _timed(given, train, options))


def _timed(given: dict[str, Any], train: Rows, options: dict[str, Any]) -> tuple[float, str]:
    from softunlearn.report import summarise

    clocks = (time.perf_counter, time.process_time)
    began = [clock() for clock in clocks]
    correction = correct(**given, train=train, **options, insist=True, select="full")
    summarise(correction)
    # processor time counts every thread, and the clock on the wall what else the machine does
    spent = min(clock() - start for clock, start in zip(clocks, began, strict=True))
    return spent, correction.influence.solver


def _most_held() -> int | None:
    """Return the most memory that this process has held, where the system says so."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held
