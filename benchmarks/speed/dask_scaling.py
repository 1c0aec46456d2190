"""A correction whose training rows live on one Dask worker, against two, on one machine.

A model of six classes on 100 features: H takes 21 products of the size of a Gram product, so that
arithmetic is what takes time. Workers are processes of one thread. A call is `su.correct` of rows
that no worker has read yet. "ratio" is by the wall, with whatever else the machine does (its load
is printed); "of processor" is the processor time of the one worker to that of the busier of the
two, which is what the division of the work gives by itself.

    python benchmarks/speed/dask_scaling.py [--rows 1_000_000] [--rounds 3]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression

import softunlearn as su

N_FEATURES, N_CLASSES = 100, 6
GROUP_ROWS = 5_000
SAMPLE_ROWS, VALIDATION_ROWS = 20_000, 2_000


def main() -> None:
    """Print the seconds with one and with two workers, and their ratios."""
    options = argparse.ArgumentParser(description="Time one Dask worker against two.")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args()
    rng = np.random.default_rng(0)
    X, y, _ = _rows(rng, SAMPLE_ROWS)
    model = LogisticRegression(max_iter=200).fit(X, y)
    validation = _rows(rng, VALIDATION_ROWS)
    with tempfile.TemporaryDirectory() as folder, _cluster(1) as one, _cluster(2) as two:
        small, path = Path(folder) / "small.parquet", Path(folder) / "rows.parquet"
        _write(small, rng, 4 * GROUP_ROWS)
        _write(path, rng, arguments.rows)
        found: list[list[tuple[float, float]]] = [[], []]
        clients = Client(one), Client(two)
        for client in clients:
            _correct(client, small, model, validation)  # loads what the workers need
        for _ in range(arguments.rounds):
            for client, times in zip(clients, found, strict=True):
                times.append(_correct(client, path, model, validation))
            load = os.getloadavg()[0]
            (a, p), (b, q) = (times[-1] for times in found)
            print(
                f"one worker {a:.2f} s, two {b:.2f} s, ratio {a / b:.2f}, of processor "
                f"{p / q:.2f}, load {load:.1f} on {os.cpu_count()} cores",
                flush=True,
            )
        for client in clients:
            client.close()
    (a, p), (b, q) = (map(statistics.median, zip(*times, strict=True)) for times in found)
    print(f"medians: {a:.2f} s, {b:.2f} s, ratio {a / b:.2f}, of processor {p / q:.2f}")


def _cluster(n_workers: int) -> LocalCluster:
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def _correct(client: Client, path: Path, model, validation) -> tuple[float, float]:
    """Return the seconds of a correction, and the processor time of the busiest worker in it."""
    before: Any = client.run(time.process_time)
    began = time.perf_counter()
    train = su.Rows.from_parquet(path, label="y", cluster=client)
    su.correct(model, train=train, validation=validation, insist=True)
    seconds = time.perf_counter() - began
    after: Any = client.run(time.process_time)
    return seconds, max(after[worker] - before[worker] for worker in before)


def _write(path: Path, rng: np.random.Generator, n: int) -> None:
    X, y, _ = _rows(rng, n)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)])
    frame.assign(y=y).to_parquet(path, row_group_size=GROUP_ROWS)


def _rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, labels and groups."""
    X = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
    g = rng.integers(2, size=n)
    X[:, 0] += 0.5 * g
    z = X[:, :N_CLASSES] + rng.gumbel(size=(n, N_CLASSES))
    return X, z.argmax(axis=1), g


if __name__ == "__main__":
    main()
