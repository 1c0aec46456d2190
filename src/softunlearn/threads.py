"""Parts of the rows, shared out over threads.

NumPy lets go of the interpreter inside of a product, so threads that each take a part use all
cores, for what is elementwise too. A part's products are too small to share out any further: each
is left to one thread, and so a result does not depend on how many threads there are.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

_one_at_a_time = threading.Lock()
"""Held while BLAS is told to take one thread: it can be told so for the whole process only."""

_kept: dict[int, int] = {}
"""Threads, by identity, that keep BLAS to one thread, and how many their passes may take."""


def in_threads(
    function: Callable[..., T], parts: Generator[tuple[Any, ...]], *, short: bool = False
) -> Iterator[T]:
    """Yield `function(*part)` in order, of as many parts at a time as BLAS would take threads.

    In the caller's thread where BLAS takes one, as it does inside of such a part, and where all
    of them are so `short` that waking threads takes as long.
    """
    with closing(parts):
        n = max(n_threads(), _kept.get(threading.get_ident(), 1))
        if n == 1 or not _one_at_a_time.acquire(blocking=False):
            yield from (function(*part) for part in parts)
            return
        try:
            with _blas().limit(limits=1):
                if short:
                    yield from (function(*part) for part in parts)
                else:
                    yield from _shared_out(function, parts, n)
        finally:
            _one_at_a_time.release()


@contextmanager
def left_to_passes() -> Iterator[None]:
    """Keep the threads for passes over rows; BLAS takes one for all that comes between them.

    OpenBLAS's own threads wait busily for more to do, some 20 ms, and passes that follow have to
    share the cores with them: where short products and passes alternate, these take twice as long.
    """
    me, n = threading.get_ident(), n_threads()
    if n == 1 or me in _kept:
        yield
        return
    _kept[me] = n
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        del _kept[me]


def _shared_out(
    function: Callable[..., T], parts: Iterable[tuple[Any, ...]], n: int
) -> Iterator[T]:
    workers, waiting = _workers(n), deque[Future[T]]()
    try:
        for part in parts:
            if len(waiting) == n:
                yield waiting.popleft().result()
            # np.errstate and the like are the caller's
            waiting.append(workers.submit(copy_context().run, function, *part))
        while waiting:
            yield waiting.popleft().result()
    finally:  # an error, or a caller that has seen enough: BLAS is one's own until all have ended
        for future in waiting:
            future.cancel()
        wait(waiting)


@cache
def _workers(n: int) -> ThreadPoolExecutor:
    """Return the threads, which are kept: to start them takes longer than a short pass."""
    return ThreadPoolExecutor(n, thread_name_prefix="softunlearn")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_workers.cache_clear)


def n_threads() -> int:
    """Return how many threads BLAS would take."""
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


@cache
def _blas() -> ThreadpoolController:
    """Return what says and sets the threads of BLAS: looking for it takes longer than a pass."""
    return ThreadpoolController().select(user_api="blas")
