import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from softunlearn import threads
from softunlearn.head import LinearHead
from softunlearn.objective import HeadObjective
from softunlearn.rows import Rows
from softunlearn.threads import in_threads, left_to_passes, n_threads


@pytest.fixture
def four(monkeypatch):
    """BLAS seems to take four threads until it is told otherwise."""
    own = threads.n_threads
    monkeypatch.setattr(threads, "n_threads", lambda: 4 if own() > 1 else 1)
    with threadpool_limits(2, "blas"):
        if own() == 1:
            pytest.skip("BLAS cannot take two threads here")
        yield


def numbered(n):
    for i in range(n):
        yield i, i * i


def test_values_come_in_order_from_several_threads(four):
    waiting = threading.Barrier(4, timeout=20)

    def value(i, square):
        waiting.wait()  # is passed only where four are computed at a time
        return i, square, threading.get_ident()

    found = list(in_threads(value, numbered(8)))
    assert [one[:2] for one in found] == list(numbered(8))
    assert threading.get_ident() not in {one[2] for one in found}


def test_products_of_a_part_are_left_to_one_thread_and_a_part_within_is_not_shared_out(four):
    def value(i, square):
        inner = list(in_threads(lambda j, _: threading.get_ident(), numbered(2)))
        return n_threads(), set(inner) == {threading.get_ident()}

    assert set(in_threads(value, numbered(4))) == {(1, True)}
    assert n_threads() == 2


def test_threads_that_are_left_to_passes_are_not_taken_by_blas(four):
    waiting = threading.Barrier(2, timeout=20)

    def value(i, _):
        waiting.wait()  # is passed only where two are computed at a time
        return n_threads()

    with left_to_passes():
        assert n_threads() == 1
        assert set(in_threads(value, numbered(8))) == {1}
        with left_to_passes():
            assert n_threads() == 1
        assert n_threads() == 1
    assert n_threads() == 2


def test_short_passes_stay_in_the_callers_thread(four):
    found = in_threads(lambda i, _: (threading.get_ident(), n_threads()), numbered(8), short=True)
    assert set(found) == {(threading.get_ident(), 1)}


def test_a_forked_process_has_threads_of_its_own(four):
    list(in_threads(lambda i, _: i, numbered(8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if list(in_threads(lambda i, _: i, numbered(8))) == list(range(8)) else 1)
    for _ in range(400):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended
    assert status == 0


def test_an_error_and_a_reader_that_stops_leave_everything_as_it_was(four):
    closed = []

    def parts():
        try:
            yield from numbered(100)
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda i, _: 1 // (3 - i), parts()))
    some = in_threads(lambda i, _: i, parts())
    assert next(some) == 0
    some.close()
    assert closed == [True, True]
    assert n_threads() == 2
    assert list(in_threads(lambda i, _: i, numbered(3))) == [0, 1, 2]


def test_two_callers_at_once_both_get_their_values(four):
    inside, found = threading.Event(), {}

    def slow(i, _):
        inside.wait(20)
        return i

    def caller():
        found["slow"] = list(in_threads(slow, numbered(6)))

    other = threading.Thread(target=caller)
    other.start()
    while not threads._one_at_a_time.locked():
        pass
    found["quick"] = list(in_threads(lambda i, _: i, numbered(6)))
    inside.set()
    other.join()
    assert found == {"slow": list(range(6)), "quick": list(range(6))}
    assert n_threads() == 2


def test_the_callers_error_state_holds_in_threads(four):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        list(in_threads(lambda i, _: np.exp(np.array([1e4])), numbered(4)))


@pytest.mark.parametrize("k", [1, 3])
def test_sums_are_the_same_bytes_with_any_number_of_threads(k):
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(9000, 60)), rng.integers(max(k, 2), size=9000))
    head = LinearHead(
        rng.normal(size=(k, 60)), np.zeros(k), l2=1.0, classes=tuple(range(max(k, 2)))
    )
    v = rng.normal(size=(head.n_parameters, 2))
    found = []
    for limit in (1, 2):
        with threadpool_limits(limit, "blas"):
            objective = HeadObjective(head, rows)
            found.append((objective.hessian(), objective.hvp(v), objective.row_products(v)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
