"""Tasks on an executor: picklable functions of one argument, run on all cores, results taken in the order of the
tasks.

Results do not depend on the number of jobs: the tasks are the same, and so is their order.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from bboxconv.errors import OutputError

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

PRELOAD = ("bboxconv.schema", "bboxconv.readers.jsonelements", "pyarrow.compute")
"""What every worker needs."""


class Here(Executor):
    """An executor that runs each task in this process when it is submitted."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run now; the future is done on return."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its task raised
            future.set_exception(error)
        return future


def _method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; this one decides what becomes of it, workers end with the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def available() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pool(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes, or this process where that is one.

    Raises OutputError where a worker process dies while the block waits for its results.
    """
    if jobs <= 1:
        yield Here()
        return
    context = multiprocessing.get_context(_method())
    # loaded once in the server that workers are forked from: they start at once and share its memory
    context.set_forkserver_preload([*PRELOAD])
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_interrupts)
    try:
        yield executor
    except BrokenProcessPool as error:
        raise OutputError.of(
            "worker-died", "a worker process ended before its task", hint="out of memory? fewer --jobs need less"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def run(function: Callable[[T], R], tasks: Iterable[T], jobs: int) -> Iterator[R]:
    """The result of each task, in order; no more than a few results wait at a time.

    Raises what a task raised, and OutputError where a worker process died.
    """
    if jobs <= 1:
        for task in tasks:
            yield function(task)
        return
    with pool(jobs) as executor:
        waiting: deque[Future[R]] = deque()
        for task in tasks:
            waiting.append(executor.submit(function, task))
            if len(waiting) > jobs + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
