"""Rows whose chunks live on the workers of a Dask cluster.

A part of the rows is some row groups. A worker reads and converts it, and keeps it in its memory
if all parts fit into the workers' memory; else it is read again in every pass. In a pass a
function of a chunk goes to every worker once, without the rows that it may refer to. Totals are
added in a tree, on the workers: one of them comes home. Values with one entry a row travel only
where they are asked for (`map`, `stream`) or given (`aligned`).

Every task is known to the scheduler from its files on, so that what a lost worker held or was
about is computed again by others. Workers tell which tasks they began: those that were begun twice
in a pass are logged.
"""

import io
import logging
import pickle
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cloudpickle
import dask.config
from distributed import Client, Future, KilledWorker, as_completed, get_worker

from softunlearn.exceptions import FileError, InputError, SoftUnlearnError
from softunlearn.rows import Array, Chunk, Rows, added
from softunlearn.streams.parquet import ParquetSource
from softunlearn.streams.streamed import READING, StreamedRows, moved

logger = logging.getLogger(__name__)

PARTS_PER_THREAD = 8
"""So many parts of about equal size leave no thread idle for long, and few totals to be added."""

PART_BYTES = 2**28
"""Features of a part at most, where row groups are small enough."""

KEPT = 0.3
"""Part of the workers' memory that rows may take as they are stored; converted, they are wider."""

FAN_IN = 8
"""Totals that are added at a time."""


def on_cluster(rows: StreamedRows, cluster: Any) -> "DaskRows":
    """Return the rows as read by the workers of a cluster; see `Rows.from_parquet`."""
    assert isinstance(rows.source, ParquetSource)
    client: Any = cluster if isinstance(cluster, Client) else _connected(cluster)
    if not client.nthreads():
        raise InputError(
            f"The cluster at {client.scheduler.address} has no workers; start some "
            f"(dask worker {client.scheduler.address})."
        )
    return DaskRows(rows.source, client)


def _connected(cluster: Any) -> Client:
    try:
        return Client(cluster, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {cluster!r}; give the address that `dask scheduler` "
            "printed, such as tcp://10.0.0.1:8786, or a dask Client."
        ) from error


class DaskRows(StreamedRows):
    """Rows that workers read and keep; see `Rows`, whose calls they answer.

    `take`, `read` and `chunks` read the files here, as `StreamedRows` does.

    Parameters
    ----------
    source : ParquetSource
    client : Client
    parts : Parts, optional
        What the workers have of these rows already.
    convert, scale, feature_names, progress
        As in `StreamedRows`; `convert` is applied by the workers.
    """

    client: Client
    parts: "Parts"

    def __init__(
        self, source: ParquetSource, client: Client, parts: "Parts | None" = None, **options: Any
    ) -> None:
        super().__init__(source, **options)
        parts = parts or Parts(client, source, self.convert)
        self.__dict__.update(client=client, parts=parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what is unpickled elsewhere: the same rows, read there."""
        return StreamedRows, (
            self.source,
            self.convert,
            self.scale,
            self.feature_names,
            self.progress,
        )

    def _with(self, **changes: Any) -> "DaskRows":
        if not changes.keys().isdisjoint(("source", "convert")):
            changes["parts"] = None
        return DaskRows(**{**self.__dict__, **changes})

    def stream(self, function: Callable[..., Any], *aligned: Array) -> Iterator[tuple[slice, Any]]:
        """Yield `function(chunk, *parts of aligned)` of every chunk in turn, and where it is."""
        # a few parts ahead: what n values take is not to be held here twice
        ahead, waiting = 2 * _n_threads(self.client), deque[Future]()
        for future in self._tasks(_streamed, function, aligned):
            waiting.append(future)
            if len(waiting) > ahead:
                yield from _result(waiting.popleft())
        while waiting:
            yield from _result(waiting.popleft())
        self.parts.log_lost()

    def sum(self, function: Callable[..., Any], *aligned: Array) -> Any:
        """Return the sum over chunks of `function(chunk, *parts of aligned)`."""
        level = list(self._tasks(_summed, function, aligned))
        n, progress = len(level), self.progress
        finished = () if progress is None else as_completed(level, loop=self.client.loop)
        while len(level) > 1:  # from here on a total is let go when it has been added
            level = [
                _submitted(self.client, _added, *level[i : i + FAN_IN])
                for i in range(0, len(level), FAN_IN)
            ]
        for i, _ in enumerate(finished):
            assert progress is not None
            progress(READING, (i + 1) / n)
        total = _result(level[0])
        self.parts.log_lost()
        return total

    def _tasks(
        self, task: Callable[..., Any], function: Callable[..., Any], aligned: tuple[Array, ...]
    ) -> Iterator[Future]:
        """Yield the task of every part, as it is submitted."""
        received = _submitted(self.client, _received, _packed(function))
        for where, rows in self.parts.loaded:
            scale = None if self.scale is None else self.scale[where]
            own = [array[where, ...] for array in aligned]
            fixed = self.parts.topic, rows, received, where, scale
            yield _submitted(self.client, task, *fixed, *own)


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts that workers have read, or are to read when the first pass is made.

    Parameters
    ----------
    client : Client
    source : ParquetSource
    convert : callable or None
        As in `StreamedRows`.
    logged : Counter
        How often a task has been said to be begun again.
    """

    client: Client
    source: ParquetSource
    convert: Callable[[Chunk, int], Chunk] | None
    logged: Counter[Any] = field(default_factory=Counter)

    @cached_property
    def topic(self) -> str:
        """Return the name under which workers tell what they begin."""
        return f"softunlearn-{uuid.uuid4().hex}"

    @cached_property
    def loaded(self) -> list[tuple[slice, Future]]:
        """Return the rows of every part, on a worker, and which these are."""
        n_bytes, keep = len(self.source) * self.source.row_bytes, self._fit()
        n_parts = max(PARTS_PER_THREAD * _n_threads(self.client), n_bytes // PART_BYTES)
        convert = _submitted(self.client, _received, _packed(self.convert))
        loaded: list[tuple[slice, Future]] = []
        start = 0
        for source in self.source.split(n_parts):
            where = slice(start, start + len(source))
            rows = _submitted(self.client, _loaded, self.topic, source, convert, where, keep)
            loaded.append((where, rows))
            start = where.stop
        return loaded

    def _fit(self) -> bool:
        """Return whether the workers have the memory to keep all rows."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [worker["memory_limit"] or float("inf") for worker in workers]
        return len(self.source) * self.source.row_bytes <= KEPT * sum(limits)

    def log_lost(self) -> None:
        """Log what has been computed again since this was last called."""
        events: Any = self.client.get_events(self.topic) or ()
        begun: Counter[Any] = Counter((one["what"], one["rows"], one["task"]) for _, one in events)
        again = Counter({task: n - 1 for task, n in begun.items()}) - self.logged
        self.logged.update(again)
        for what in sorted({what for what, _, _ in again}):
            rows = ", ".join(rows for one, rows, _ in again if one == what)
            logger.warning("A worker was lost; rows %s were %s again.", rows, what)


def _n_threads(client: Client) -> int:
    """Return how many threads the workers have."""
    threads: Any = client.nthreads()
    return max(1, sum(threads.values()))


def _submitted(client: Client, task: Callable[..., Any], *arguments: Any) -> Future:
    """Return the future of a task.

    Dask warns of arguments above 10 MB; a few p x p matrices are what is meant to travel.
    """
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
        return client.submit(task, *arguments, pure=False)


def _loaded(topic: str, source: ParquetSource, convert: Any, where: slice, keep: bool) -> Rows:
    """Return the rows of a part, in memory if they are to be kept."""
    rows = StreamedRows(source, convert)
    if not keep:
        return rows
    _tell(topic, "read", where)
    try:
        return rows.read()
    except FileError as error:
        raise FileError(
            f"{error} Worker {get_worker().address} said so: all of them must find the files "
            "under the same paths."
        ) from error


def _summed(
    topic: str, rows: Rows, function: Any, where: slice, scale: Array | None, *aligned: Array
) -> Any:
    """Return the total of a part."""
    _tell(topic, "summed", where)
    return _scaled(rows, scale).sum(function, *aligned)


def _streamed(
    topic: str, rows: Rows, function: Any, where: slice, scale: Array | None, *aligned: Array
) -> list[tuple[slice, Any]]:
    """Return the values of a part's chunks, and where these are among all rows."""
    _tell(topic, "mapped", where)
    found = _scaled(rows, scale).stream(function, *aligned)
    return [(moved(part, where.start), value) for part, value in found]


def _added(*totals: Any) -> Any:
    return added(totals)


def _scaled(rows: Rows, scale: Array | None) -> Rows:
    return rows if scale is None else rows.reweighted(scale)


def _tell(topic: str, what: str, where: slice) -> None:
    """Tell the scheduler that this worker begins its present task."""
    worker = get_worker()
    rows = f"{where.start:,} to {where.stop - 1:,}"
    task = str(worker.get_current_task())
    worker.log_event(topic, {"task": task, "what": what, "rows": rows})


def _result(future: Future) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        raise SoftUnlearnError(
            f"Workers of the cluster died again and again with the same rows: {error} Give them "
            "more memory, or files of smaller row groups."
        ) from error


class _Pickler(cloudpickle.Pickler):
    """Leaves behind the rows that a function refers to: it is called with chunks of them."""

    def persistent_id(self, obj: Any) -> str | None:
        return "rows" if isinstance(obj, StreamedRows) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> None:
        return None


def _packed(function: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(function)
    return file.getvalue()


def _received(packed: bytes) -> Any:
    return _Unpickler(io.BytesIO(packed)).load()
