"""Parts of the rows, shared out over threads.

NumPy lets go of the interpreter inside of a product, so threads that each take a part use all
cores, for what is elementwise too. A part's products are too small to share out any further: each
is left to one thread, and so a result does not depend on how many threads there are.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

TRIED, WORTH_SECONDS = 2, 4e-4
"""Short parts that are tried first, and what one must take for a thread to be worth it."""

_one_at_a_time = threading.Lock()
"""Held while BLAS is told to take one thread: it can be told so for the whole process only."""


def in_threads(
    function: Callable[..., T], parts: Generator[tuple[Any, ...]], *, short: bool = False
) -> Iterator[T]:
    """Yield `function(*part)` in order, of as many parts at a time as BLAS would take threads.

    In the caller's thread where BLAS takes one, as it does inside of such a part. Parts that may
    be `short` are tried there first, and stay there if a thread would cost more than it gives.
    """
    with closing(parts):
        if (n := n_threads()) == 1 or not _one_at_a_time.acquire(blocking=False):
            yield from (function(*part) for part in parts)
            return
        try:
            with _blas().limit(limits=1):
                seconds = float("inf")
                for part in islice(parts, TRIED if short else 0):
                    began = time.perf_counter()
                    value = function(*part)
                    seconds = min(seconds, time.perf_counter() - began)
                    yield value
                if seconds < WORTH_SECONDS:
                    yield from (function(*part) for part in parts)
                else:
                    yield from _shared_out(function, parts, n)
        finally:
            _one_at_a_time.release()


def _shared_out(
    function: Callable[..., T], parts: Iterable[tuple[Any, ...]], n: int
) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(n) as workers:
        for part in parts:
            if len(waiting) == n:
                yield waiting.popleft().result()
            # np.errstate and the like are the caller's
            waiting.append(workers.submit(copy_context().run, function, *part))
        while waiting:
            yield waiting.popleft().result()


def n_threads() -> int:
    """Return how many threads BLAS would take."""
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


@cache
def _blas() -> ThreadpoolController:
    """Return what says and sets the threads of BLAS: looking for it takes longer than a pass."""
    return ThreadpoolController().select(user_api="blas")
