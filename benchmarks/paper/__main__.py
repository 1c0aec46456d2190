"""Compute what is not there yet, one experiment after another, and write the page and the figures.

    SOFTUNLEARN_DATA=... python -m benchmarks.paper [--only figure2 ...] [--page docs/paper.md]

Results are kept in `build/paper`. A run that was cut short goes on where it was; results of other
code or other versions are computed anew.
"""

import argparse
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.paper import (
    figure1,
    figure2,
    figure3,
    page,
    reversals,
    runtimes,
    theorem1,
    weights,
)
from benchmarks.paper.kept import OUT, Job, write
from benchmarks.paper.setting import DATA
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from softunlearn import datasets
from softunlearn.exceptions import DataUnavailableError

PARTS = {
    part.__name__.rpartition(".")[2]: part
    for part in (figure1, figure3, runtimes, weights, theorem1, reversals, figure2)
}
WORKERS = 2


def main() -> None:
    """Run all, or some, of the experiments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description="Run the paper's experiments."
    )
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--page", type=Path, help="where to write the page (default: its folder)")
    options = parser.parse_args()
    try:
        for name in DATA:
            if datasets.locate(name) is None:
                datasets.fetch(name)
    except DataUnavailableError as error:
        parser.error(str(error))
    began = time.perf_counter()
    jobs = [job for name in options.only for job in PARTS[name].jobs()]
    missing = [job for job in jobs if job.kept() is None]
    _run(missing)
    minutes = (time.perf_counter() - began) / 60
    print(
        f"{len(missing)} of {len(jobs)} results computed in {minutes:.1f} minutes, others were "
        f"there; peak memory of a process {_peak() / 1e9:.2f} GB."
    )
    if set(options.only) == set(PARTS):
        results = {name: page.results_of(part.jobs()) for name, part in PARTS.items()}
        path = options.page or OUT / "paper.md"
        write(path, page.text(results))
        page.draw(results)
        print(f"Written: {path}, and figures in {OUT}.")


def _run(jobs: Sequence[Job]) -> None:
    """Compute jobs: those that want the machine for themselves first, then the others."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("experiments", total=len(jobs))

        def report(job: Job) -> None:
            progress.console.print(f"{job.name}: {job.seconds():.0f} s")
            progress.advance(task)

        for job in (job for job in jobs if job.alone):
            with _workers(1) as pool:  # a process of its own, whose peak memory is the job's
                pool.submit(job.run).result()
            report(job)
        with _workers(WORKERS) as pool:
            running: dict[Future, Job] = {
                pool.submit(job.run): job for job in jobs if not job.alone
            }
            for done in as_completed(running):
                done.result()
                report(running[done])


def _workers(n: int) -> ProcessPoolExecutor:
    """Return processes of one thread each: what they compute does not depend on how many."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    return ProcessPoolExecutor(n, mp_context=get_context("spawn"))


def _peak() -> int:
    return 1024 * max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


if __name__ == "__main__":
    main()
