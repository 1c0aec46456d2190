"""kill -9 at random moments: what is on disk is whole or absent, and a second run succeeds.

Three programs are killed: `softunlearn correct --out`, what keeps arrays in an `ArrayCache` (a
network's features, blocks of exact leave-one-out), and experiments that keep their results. Half
of the kills come at any moment of a run, half while it is writing. After each one what is on disk
is read back; then the program runs to its end, and has what a run has that nobody killed.

    python -m benchmarks.faults [KILLS] [SEED]
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import skops.io
import torch
from benchmarks.paper import kept
from sklearn.linear_model import LogisticRegression
from torch import nn

import softunlearn as su
from softunlearn import cli, disk
from softunlearn.models import TorchModule

WRITING_SECONDS = 0.05
"""How long after the first sign of writing a kill may come; about what writing takes."""


@dataclass(frozen=True)
class Program:
    """Something to be killed, and what its files must be at any moment.

    Parameters
    ----------
    name : str
    run : callable
        Works in a folder; called in a process of its own.
    read : callable
        Returns in a word what is there; raises where a file is neither whole nor absent.
    done : str
        What `read` returns after a run to the end.
    """

    name: str
    run: Callable[[Path], None]
    read: Callable[[Path], str]
    done: str


def correcting(given: Path) -> Program:
    """Return `softunlearn correct --out`, over the result of an earlier run or over none."""
    data = su.datasets.load("census", n_rows=400, encoded=True)
    model = LogisticRegression(max_iter=1000).fit(data.train.X, data.train.y)
    skops.io.dump(model, given / "model.skops")
    for name in ("train", "validation"):
        rows = getattr(data, name)
        table = {f"x{j}": column for j, column in enumerate(rows.X.T)} | {"y": rows.y, "g": rows.g}
        _parquet(given / f"{name}.parquet", table)

    def corrected(out: Path, select: str) -> None:
        files = [f"--{n}={given / n}.parquet" for n in ("train", "validation")]
        words = ["correct", f"--model={given / 'model.skops'}", *files, "--insist"]
        words += ["--label=y", "--sensitive=g", f"--select={select}", f"--out={out}", "--json"]
        with patch("sys.argv", ["softunlearn", *words]), suppress(SystemExit):
            cli.main()

    def run(folder: Path) -> None:
        corrected(folder / "out", "full")

    _in_child(lambda folder: corrected(folder / "earlier", "none"), given)
    _in_child(lambda folder: corrected(folder / "new", "full"), given)
    expected = {name: su.load(given / name) for name in ("earlier", "new")}

    def read(folder: Path) -> str:
        if not (folder / "out").exists():
            return "absent"
        saved = su.load(folder / "out")
        state = "earlier" if saved.metrics["status"] == "AUDITED" else "new"
        assert (saved.weights == expected[state].weights).all(axis=None)
        assert (saved.model.coef_ == expected[state].model.coef_).all()
        return state

    return Program("correct --out", run, read, "new")


def caching(given: Path) -> Program:
    """Return what keeps a network's features and blocks of leave-one-out in one cache."""
    data = su.datasets.load("census", n_rows=400)
    model = LogisticRegression(max_iter=1000, tol=1e-8).fit(data.train.X, data.train.y)
    target = su.Target(su.metrics.LogLoss(), data.validation)
    module = nn.Sequential(nn.Linear(data.train.X.shape[1], 300), nn.ReLU(), nn.Linear(300, 1))
    X = np.tile(data.train.X, (40, 1)).astype(np.float32)

    def made(cache: su.ArrayCache) -> tuple[np.ndarray, np.ndarray]:
        torch.set_num_threads(1)
        phi = TorchModule(module, cache=cache).features(X)
        return phi, su.leave_one_out(model, data.train, target, cache=cache)

    def run(folder: Path) -> None:
        phi, loo = made(su.ArrayCache(folder / "cache"))
        with disk.placed_file(folder / "found") as place, place.open("wb") as file:
            np.savez(file, phi=phi, loo=loo)

    _in_child(run, given)
    expected = dict(np.load(given / "found"))

    def read(folder: Path) -> str:
        cache = su.ArrayCache(folder / "cache")
        names = [path.stem for path in sorted((folder / "cache").glob("*.array"))]
        assert all(cache.get(name) is not None for name in names)
        if not (folder / "found").exists():
            return f"{len(names)} entries"
        found = np.load(folder / "found")
        assert all((found[name] == values).all() for name, values in expected.items())
        return "done"

    return Program("array cache", run, read, "done")


def keeping() -> Program:
    """Return experiments whose results are kept, as `make paper` keeps them."""

    def compute(i: int) -> list[int]:
        return [i] * 20_000

    compute.__module__ = "benchmarks.paper.figure2"
    names = range(20)

    def run(folder: Path) -> None:
        with patch.object(kept, "OUT", folder), patch.object(kept, "commit", lambda: "none"):
            for i in names:
                assert kept.Job(f"some/{i}", compute, {"i": i}).run() == [i] * 20_000

    def read(folder: Path) -> str:
        whole = 0
        for i in names:
            path = folder / f"some/{i}.json"
            if path.exists():
                assert json.loads(path.read_text())["result"] == [i] * 20_000
                whole += 1
        return f"{whole} results"

    kept.code_digest(compute.__module__)  # cached: it is not what is killed here
    return Program("kept results", run, read, f"{len(names)} results")


def kill(program: Program, kills: int, rng: np.random.Generator, earlier: Path | None) -> Counter:
    """Kill a program so often, and count what was found on disk.

    Raises
    ------
    AssertionError
        A file was neither whole nor absent, or a second run did not succeed.
    """
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        _in_child(program.run, Path(scratch))
        seconds = time.perf_counter() - began
    while sum(found.values()) < kills:
        with tempfile.TemporaryDirectory() as scratch:
            folder, writing = Path(scratch), bool(rng.integers(2))
            if earlier is not None and rng.integers(2):
                shutil.copytree(earlier, folder / "out")
            wait = rng.uniform(0, WRITING_SECONDS if writing else seconds)
            if not _killed(program.run, folder, wait, writing=writing):
                continue  # it was done before
            found[program.read(folder)] += 1
            _in_child(program.run, folder)
            assert program.read(folder) == program.done
            _no_leftovers(folder)
    return found


def _killed(run: Callable[[Path], None], folder: Path, wait: float, *, writing: bool) -> bool:
    """Kill a run after a time, from its first writing on if so; return if it was at work."""
    process = _started(run, folder)
    while writing and process.is_alive() and not any(folder.rglob(".*")):
        time.sleep(0.0005)
    process.join(wait)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def _in_child(run: Callable[[Path], None], folder: Path) -> None:
    process = _started(run, folder)
    process.join()
    assert process.exitcode == 0, f"a run that nobody killed ended with {process.exitcode}"


def _started(run: Callable[[Path], None], folder: Path) -> multiprocessing.Process:
    def quiet() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        run(folder)

    process = multiprocessing.get_context("fork").Process(target=quiet)
    process.start()
    return process  # pyright: ignore[reportReturnType]


def _no_leftovers(folder: Path) -> None:
    """Check that what the killed process left goes, once it is taken for left."""
    with patch.object(disk, "LEFTOVER_SECONDS", -1.0):
        for place in {path.parent for path in folder.rglob("*.partial")}:
            disk.remove_leftovers(place)
        assert not any(folder.rglob("*.partial"))


def _parquet(path: Path, table: dict[str, np.ndarray]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(table), path)


def main(kills: int = 200, seed: int = 0) -> None:
    """Kill all three, in turn so often that it makes `kills` in all, and print what was found."""
    rng = np.random.default_rng(seed)
    twice = 2 * kills // 5  # the others' runs take a tenth of the time
    shares = [kills - 2 * twice, twice, twice]
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch)
        programs = [correcting(given), caching(given), keeping()]
        for program, share in zip(programs, shares, strict=True):
            began = time.perf_counter()
            earlier = given / "earlier" if program is programs[0] else None
            found = kill(program, share, rng, earlier)
            states = ", ".join(f"{n} x {state}" for state, n in sorted(found.items()))
            spent = time.perf_counter() - began
            print(f"{program.name}: {share} kills in {spent:.0f} s; on disk: {states}", flush=True)
    print(f"{kills} kills: every file whole or absent, every second run succeeded")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
