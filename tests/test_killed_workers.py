"""Workers that are killed outright, at any moment: the run ends with an error, and so do its other processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from bboxconv.errors import OutputError
from bboxconv.workers import Workers, at_work

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")

LARGE = 1 << 22
"""Bytes of a result: a pipe takes 65,536 at once."""


def killed_after(count: int) -> bytes:
    """A task whose process is killed once so many bytes of its result are sent."""
    left = count

    def send(self: Connection, data: bytes, write: object = None) -> None:
        nonlocal left
        rest = memoryview(data)[:left]
        whole = len(rest) == len(data)
        left -= len(rest)
        while rest:
            rest = rest[os.write(self.fileno(), rest) :]
        if not whole or not left:
            os.kill(os.getpid(), signal.SIGKILL)

    Connection._send = send  # type: ignore[attr-defined]
    return bytes(LARGE)


def killed_within(seconds: float) -> bytes:
    """A task whose process is killed so long after it has begun, or after its result is sent."""
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(8 * LARGE)


def large(number: int) -> bytes:
    """A task with a large result."""
    return bytes(LARGE)


def forever(number: int) -> None:
    """A task that does not end by itself, nor is told to."""
    os.kill(os.getpid(), signal.SIGSTOP)


def run_tasks(workers: Workers, tasks: Iterator[tuple[Callable[[int], object], int]]) -> str:
    """How a run of tasks ends."""
    try:
        list(workers.run(call, tasks))
    except OutputError as error:
        return error.diagnostics[0].code
    return "done"


def call(task: tuple[Callable[[int], object], int]) -> object:
    """A task that is one of several kinds."""
    function, number = task
    return function(number)


def seconds_until_gone(work: Callable[[Workers], None]) -> float:
    """Do work with two processes, and say how long it takes from then on until both are gone."""
    with at_work(2) as workers:
        workers.begin()
        list(workers.run(large, range(4)))
        processes = list(workers.executor._processes)  # type: ignore[attr-defined]
        began = time.monotonic()
        work(workers)
    assert not any(Path(f"/proc/{process}/exe").exists() for process in processes)
    return time.monotonic() - began


def at_every_point() -> None:
    """Killed at each point of a result: before it, in its length, in the middle, at its last byte, and after it with
    the lock held that the others wait for. Its pool tells one of them by itself: the first."""
    for count in (0, 1, 4, 100, LARGE // 2, LARGE, 2 * LARGE):
        tasks = [(large, 0), (killed_after, count), *[(large, n) for n in range(8)]]
        ends = []
        took = seconds_until_gone(lambda workers: ends.append(run_tasks(workers, iter(tasks))))  # noqa: B023
        assert ends == ["worker-died"] or count == 2 * LARGE
        assert took < 4, (count, took)


def at_random() -> None:
    """Killed at any moment of four results on end."""
    choose = random.Random(1)
    for _ in range(8):
        tasks = [(killed_within, choose.uniform(0, 0.1)), *[(large, n) for n in range(8)]]
        ends = []
        assert seconds_until_gone(lambda workers: ends.append(run_tasks(workers, iter(tasks)))) < 4  # noqa: B023
        assert ends[0] in ("worker-died", "done")


def with_nobody_waiting() -> None:
    """Killed while it sends a result that nobody wants any more: the end of the run waits for none."""

    def work(workers: Workers) -> None:
        workers.submit(killed_after, LARGE // 2)
        workers.submit(forever, 0)

    assert seconds_until_gone(work) < 4


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import {module} as tests
from bboxconv import workers
workers._STEP = 0.1
tests.{how}()
"""


@pytest.mark.parametrize("how", [at_every_point, at_random, with_nobody_waiting])
def test_a_worker_that_is_killed_never_hangs_a_run(how: Callable[[], None]) -> None:
    """Whatever it was at: a result that is cut off in the middle is waited for by nobody, at the end of the program
    neither."""
    script = SCRIPT.format(folder=str(Path(__file__).parent), module=__name__, how=how.__name__)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        try:
            _, err = run.communicate(timeout=30)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
    assert (run.returncode, err) == (0, "")
