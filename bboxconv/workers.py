"""Where tasks are done: picklable functions of one argument, in this process or on all cores, results taken in the
order of the tasks.

Results do not depend on the number of processes: the tasks are the same, and so is their order. Whoever finds that
there is much to do calls `begin`; without it no process is started.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from bboxconv.errors import OutputError

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

PRELOAD = "bboxconv.preload"
"""The module that loads what every worker needs."""
_STEP = 0.5
"""Seconds after which who waits for processes looks whether one of them has died."""
_PATIENCE = 5.0
"""Seconds that a task may take which nobody wants any more."""
_MOMENT = 1.0
"""Seconds in which a process ends by itself when its run was stopped."""
_SAFE_PATH = "PYTHONSAFEPATH"
_MANY = 200_000
"""Images of which so much is left that a run has no room for it anyway."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt, as its malloc.h numbers them."""


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


@dataclass(slots=True)
class Workers:
    """The executor of a run: this process until `begin`, a pool of `jobs` processes from then on until `close`."""

    jobs: int = 1
    executor: Executor = field(default_factory=Here)

    @property
    def apart(self) -> bool:
        """Whether tasks run in other processes than this one."""
        return not isinstance(self.executor, Here)

    @property
    def ahead(self) -> int:
        """How many tasks are under way at a time: enough that no process waits, few enough that results are."""
        return self.jobs + 2 if self.apart else 1

    def begin(self) -> None:
        """There is enough to do for all processes: start them, where there are to be several."""
        if self.jobs > 1 and not self.apart:
            from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - 40 ms that small inputs do not need

            self.executor = ProcessPoolExecutor(self.jobs, mp_context=warm(), initializer=_settle_in)
            with _without_main():
                for _ in range(self.jobs):  # a process starts with its first task: while this one goes on
                    self.submit(bool, None)

    def submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        """Do one task. Raises OutputError where a process of the pool has died."""
        try:
            return self.executor.submit(_undisturbed, function, task)
        except BrokenExecutor as error:
            raise _died() from error

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The result of each task, in order; no more than a few results wait at a time.

        Raises what a task raised, and OutputError where a process died.
        """
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:
                waiting.append(self.submit(function, task))
                if len(waiting) >= self.ahead:
                    yield self.result_of(waiting.popleft())
            while waiting:
                yield self.result_of(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def result_of(self, future: Future[R]) -> R:
        """What a submitted task returned. Raises what it raised, and OutputError where a process died: if that was
        killed while it sent a result, the pool itself waits for the rest, and tells nothing."""
        while not future.done():
            wait((future,), _STEP)
            if not future.done() and any(process.exitcode is not None for process in _processes(self.executor)):
                raise _died()
        try:
            return future.result()
        except BrokenExecutor as error:
            raise _died() from error

    def close(self) -> None:
        """End the processes, once the tasks that they are at are done. Where one of them was killed, as `abandon`."""
        self._end(float("inf"))

    def abandon(self) -> None:
        """End the processes, once the tasks that they are at are done, or after some seconds, or where one of them was
        killed: no result is waited for, as the rest of one that it sent never comes."""
        self._end(_PATIENCE)

    def _end(self, patience: float) -> None:
        processes = _processes(self.executor)
        pool = getattr(self.executor, "_executor_manager_thread", None)
        results = getattr(self.executor, "_result_queue", None)
        pending = getattr(self.executor, "_pending_work_items", {})
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = Here()
        if pool is None:
            return
        until = time.monotonic() + patience
        while pool.is_alive() and time.monotonic() < until and not any(process.exitcode for process in processes):
            pool.join(_STEP)
        for process in processes:
            process.kill()
        for process in processes:
            process.join(_MOMENT)
        if pool.is_alive() and results is not None:
            for number, item in list(pending.items()):
                if item.future.cancelled():  # Python up to 3.12 would fail to tell it of the end, and print that
                    pending.pop(number, None)
            results._writer.close()  # now nobody can write there: the pool sees the end of what it waits for
            pool.join(_MOMENT)


@contextmanager
def at_work(jobs: int) -> Iterator[Workers]:
    """The workers of one run."""
    workers = Workers(jobs)
    try:
        yield workers
    except KeyboardInterrupt:
        workers.abandon()
        raise
    finally:
        workers.close()


def _processes(executor: Executor) -> list[BaseProcess]:
    """The processes of a pool, those that have ended too."""
    return list((getattr(executor, "_processes", None) or {}).values())


def _died() -> OutputError:
    return OutputError.of(
        "worker-died", "a worker process ended before its task", hint="out of memory? fewer --jobs need less"
    )


def _undisturbed(function: Callable[[T], R], task: T) -> R:
    """Run a task without the search for cycles: it would look at the objects of a block over and over, which takes
    as long as making them, and tasks make no cycles."""
    searching = gc.isenabled()
    gc.disable()
    try:
        return function(task)
    finally:
        if searching:
            gc.enable()


def warm() -> BaseContext:
    """The context in which workers start. Where there is a fork server it is started, without waiting for it: it
    loads what workers need, once, while this process does other things."""
    import multiprocessing  # noqa: PLC0415 - as above

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    from multiprocessing import forkserver, resource_tracker  # noqa: PLC0415 - there are none on Windows

    # what is started now never sees what is sent to all processes of a run: the first one sees to it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        with _nothing_from_here():
            resource_tracker.ensure_running()  # first: it would let the others through again, and ignores them itself
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _without_main() -> Iterator[None]:
    """Let processes that are started now not run the program's own script again, as they would to find its functions:
    tasks are functions of modules, and a script that has no `if __name__ == "__main__"` would start all anew."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _nothing_from_here() -> Iterator[None]:
    """Let processes that are started now import nothing from the folder in which the run is: it may be a stranger's
    data set, with a numpy.py in it. What is started by `python -c` looks there first."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]
        if before is not None:
            os.environ[_SAFE_PATH] = before


def _settle_in() -> None:
    """Ctrl-C reaches every process of a terminal; the one that was started by hand decides what becomes of it,
    workers end with the pool. A worker is one of several, and uses one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()
    with suppress(ImportError):
        import pyarrow as pa  # noqa: PLC0415 - loaded in every worker, not by who imports this module

        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)


def _end_soon(number: int, frame: FrameType | None) -> None:
    """SIGTERM, to all processes or from a pool that is broken: end, and not in the middle of a result."""
    timer = threading.Timer(_MOMENT, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    """End this worker when the process that wants its results is gone: killed, it cannot say so, and each worker holds
    the queue of the others open."""
    from multiprocessing import parent_process  # noqa: PLC0415 - loaded in every worker

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def own_process() -> None:
    """Set up a process that is ours alone, before anything is imported that uses numpy or pyarrow."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads turn idly at first
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others keep what they had for a block
    _give_memory_back()
    leave_pandas_out()


def _give_memory_back() -> None:
    """Let the allocator of glibc, where it is that, give back what was large, and use again what was not.

    Left to itself it raises both limits with what it meets: what a block needed then stays, in pieces.
    """
    import ctypes  # noqa: PLC0415 - numpy loads it too

    with suppress(OSError, AttributeError):
        allocator = ctypes.CDLL(None)
        for parameter, value in ((_MMAP_THRESHOLD, 32 << 20), (_TRIM_THRESHOLD, 64 << 20), (_ARENA_MAX, 1)):
            allocator.mallopt(parameter, value)


def give_back(images: int) -> None:
    """Let the system have what putting very many images together has taken and no longer needs: else it stays with the
    process, in places between what is held."""
    if images > _MANY:
        import pyarrow as pa  # noqa: PLC0415 - who has images has loaded it

        pa.default_memory_pool().release_unused()


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, for a process that is ours alone.

    Whatever Arrow makes an array of, it first asks whether that is of pandas, and imports pandas to know: 0.3 s. It
    asks once: where pandas is not there then, nothing is taken to be of it, and who wants a data frame has it
    imported still.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415 - as below

    absent = _Absent("pandas")
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)


@dataclass(frozen=True, slots=True)
class _Absent:
    """Finds that there is no such module."""

    name: str

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Raises ModuleNotFoundError for it."""
        if fullname == self.name:
            raise ModuleNotFoundError(name=fullname)


def available() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
