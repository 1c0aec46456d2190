"""A whole correction of rows that are read from Parquet, against reading and two Gram products.

A file of n x 100 float32 is made (4 GB at 10^7) and kept in --folder. Timed in turn, each in a
process of its own: reading the file once; two Gram products of as many rows, in blocks, in
float32; and `su.correct`, from the file's name to the corrected model, frontier and all. "ratio"
is the third to the sum of the others, by the wall and in time of all processors; "weights" are all
rows' written to Parquet afterwards.

    python benchmarks/speed/streaming.py [--rows 100_000 1_000_000] [--folder build] [--rounds 3]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import softunlearn as su
import softunlearn.streams  # loads pandas, before the clock starts

N_FEATURES = 100
GROUP_ROWS = 100_000
SAMPLE_ROWS = 50_000
"""The model is trained on so many rows: what is timed is its correction."""

VALIDATION_ROWS = 10_000


def main() -> None:
    """Print a table, a line for each size."""
    options = argparse.ArgumentParser(description="Time the correction of streamed rows.")
    options.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6])
    options.add_argument("--folder", type=Path, default=Path("build"))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](_file(arguments.folder, arguments.rows[0]))))
        return
    print(
        f"{'rows':>12} {'reading':>9} {'two Grams':>10} {'correct':>9} {'ratio':>6} "
        f"{'of processor':>13} {'peak MB':>8} {'weights':>8} {'s / 10^6 rows':>14}"
    )
    for n in arguments.rows:
        if not _file(arguments.folder, n).exists():
            make(_file(arguments.folder, n), n)
        found = {name: [] for name in MEASURES}
        for _ in range(arguments.rounds):
            for name in MEASURES:
                found[name].append(_in_a_process(name, n, arguments.folder))
        middle = {
            name: {key: statistics.median(one[key] for one in each) for key in each[0]}
            for name, each in found.items()
        }
        read, gram, ours = (middle[name] for name in ("read", "gram", "correct"))
        ratio, of_processor = (
            ours[key] / (read[key] + gram[key]) for key in ("seconds", "processor")
        )
        print(
            f"{n:12,} {read['seconds']:9.2f} {gram['seconds']:10.2f} {ours['seconds']:9.2f} "
            f"{ratio:6.2f} {of_processor:13.2f} {ours['peak'] / 1e6:8.0f} {ours['weights']:8.2f} "
            f"{1e6 * ours['seconds'] / n:14.2f}",
            flush=True,
        )


def read(path: Path) -> dict[str, float]:
    """Return the seconds of reading the file once, a batch at a time."""
    clock = _Clock()
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for _ in file.iter_batches(GROUP_ROWS, use_threads=False):
            pass
    return clock.read()


def gram(path: Path) -> dict[str, float]:
    """Return the seconds of two Gram products, by whichever number of threads is faster."""
    n = pq.read_metadata(path).num_rows
    X = np.random.default_rng(0).standard_normal((GROUP_ROWS, N_FEATURES), dtype=np.float32)
    found: list[dict[str, float]] = []
    for threads in (1, None):
        with threadpool_limits(threads, "blas"):
            clock = _Clock()
            for first in range(0, n, GROUP_ROWS):
                block = X[: min(GROUP_ROWS, n - first)]
                _, _ = block.T @ block, block.T @ block
                if found and clock.read()["seconds"] > found[0]["seconds"]:
                    break
            found.append(clock.read())
    return min(found, key=lambda one: one["seconds"])


def correct(path: Path) -> dict[str, float]:
    """Return the seconds of a correction, its peak memory, and the seconds of all weights."""
    rng = np.random.default_rng(1)
    X, y, _ = _rows(rng, SAMPLE_ROWS)
    model = LogisticRegression(max_iter=200).fit(X, y)
    validation, test = _rows(rng, VALIDATION_ROWS), _rows(rng, VALIDATION_ROWS)
    clock = _Clock()
    train = su.Rows.from_parquet(path, label="y")
    c = su.correct(model, train=train, validation=validation, test=test)
    spent = clock.read()
    assert c.status is su.Status.CORRECTED, c.message
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock = _Clock()
    weights = path.with_suffix(".weights.parquet")
    c.weights_to_parquet(weights)
    weights.unlink()
    return {**spent, "peak": peak, "weights": clock.read()["seconds"]}


MEASURES = {"read": read, "gram": gram, "correct": correct}


def make(path: Path, n: int) -> None:
    """Write the file: features, and labels of a logistic model in which a group tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, rng = path.with_suffix(".part"), np.random.default_rng(0)
    columns = [(f"x{j}", pa.float32()) for j in range(N_FEATURES)]
    schema = pa.schema([*columns, ("y", pa.int8())])
    with pq.ParquetWriter(unfinished, schema, use_dictionary=False, compression="none") as writer:
        for first in range(0, n, GROUP_ROWS):
            X, y, _ = _rows(rng, min(GROUP_ROWS, n - first))
            arrays = [pa.array(column) for column in X.T] + [pa.array(y)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    unfinished.rename(path)


def _rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, labels and groups."""
    X = rng.standard_normal((N_FEATURES, n), dtype=np.float32).T
    g = rng.integers(2, size=n)
    X[:, 0] += 0.5 * g
    z = X[:, :10] @ np.linspace(1.0, 0.1, 10) - 0.25
    return X, (z + rng.logistic(size=n) > 0).astype(np.int8), g


def _file(folder: Path, n: int) -> Path:
    return folder / f"streaming-{n}.parquet"


class _Clock:
    """Seconds since it was made, by the wall and of all processors."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        wall, processor = self.began
        return {
            "seconds": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
        }


def _in_a_process(measure: str, n: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", measure, "--rows", str(n)]
    done = subprocess.run(
        [*command, "--folder", str(folder)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
