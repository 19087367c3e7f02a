"""Tasks on an executor: same results, same order, errors that arrive."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bboxconv.errors import DataError, OutputError
from bboxconv.workers import at_work, give_back


def square(number: int) -> int:
    if number == 13:
        raise DataError.of("unlucky", "thirteen", where="here")
    return number * number


def process(number: int) -> int:
    return os.getpid()


def die(number: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    """Whatever the number of processes."""
    with at_work(jobs) as workers:
        workers.begin()
        assert list(workers.run(square, range(13))) == [n * n for n in range(13)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_arrives_whole(jobs: int) -> None:
    """Its type and its diagnostics cross the process border."""
    with at_work(jobs) as workers, pytest.raises(DataError) as caught:
        workers.begin()
        list(workers.run(square, [1, 13, 2]))
    assert caught.value.diagnostics[0].code == "unlucky"
    assert caught.value.diagnostics[0].where == ("here",)


def test_a_worker_that_dies_is_an_error_and_no_hang() -> None:
    """A process that ends in the middle of a task is reported as such."""
    with at_work(2) as workers, pytest.raises(OutputError) as caught:
        workers.begin()
        list(workers.run(die, range(4)))
    assert caught.value.diagnostics[0].code == "worker-died"


@pytest.mark.parametrize("name", ["numpy", "signal", "bboxconv/__init__"])
def test_workers_import_nothing_from_the_folder_of_a_run(tmp_path: Path, name: str) -> None:
    """Modules that lie in the current folder, such as those of a stranger's data set, are run by no process."""
    trap = tmp_path / "data" / f"{name}.py"
    trap.parent.mkdir(parents=True)
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()")
    (tmp_path / "script.py").write_text(SUM)
    assert _run_script(tmp_path / "data", str(tmp_path / "script.py")) == "285\n"
    assert not (tmp_path / "sprung").exists()


def test_a_script_needs_no_guard_of_its_main_part(tmp_path: Path) -> None:
    """A program without `if __name__ == "__main__"` runs once, however many processes its tasks have."""
    (tmp_path / "script.py").write_text(SUM)
    assert _run_script(tmp_path, "script.py") == "285\n"


SUM = """
import operator
from bboxconv.workers import at_work
with at_work(2) as workers:
    workers.begin()
    print(sum(workers.run(operator.methodcaller("__mul__", 1), [n * n for n in range(10)])))
"""


def _run_script(folder: Path, *words: str) -> str:
    """What a script says that is run in a folder and must end well."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_ctrl_c_waits_for_no_result() -> None:
    """Interrupted, a run ends its processes in the middle of their tasks."""
    with pytest.raises(KeyboardInterrupt), at_work(2) as workers:
        workers.begin()
        processes = set(workers.run(process, range(4)))
        workers.submit(time.sleep, 60)  # longer than anybody waits
        began = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - began < 20
    assert not any(Path(f"/proc/{number}/exe").exists() for number in processes)


def test_processes_start_when_there_is_enough_to_do() -> None:
    """Tasks run in this process until somebody begins, in others from then on, and here again after the end."""
    with at_work(2) as workers:
        assert set(workers.run(process, range(3))) == {os.getpid()}
        workers.begin()
        assert os.getpid() not in set(workers.run(process, range(3)))
    assert set(workers.run(process, range(3))) == {os.getpid()}


def test_one_job_never_starts_a_process() -> None:
    """However much there is to do."""
    with at_work(1) as workers:
        workers.begin()
        assert set(workers.run(process, range(3))) == {os.getpid()}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_workers_end_when_their_parent_is_killed() -> None:
    """A run that is killed outright leaves no process: the pipe that all of them hold comes to its end."""
    script = """
import os, signal
from bboxconv.workers import at_work
with at_work(2) as workers:
    workers.begin()
    list(workers.run(abs, range(4)))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.wait(timeout=60) == -signal.SIGKILL
        assert run.stdout is not None
        assert select.select([run.stdout], [], [], 20)[0]
        assert run.stdout.read() == b""


def test_what_very_many_images_no_longer_need_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the system, by the allocator; a few images are not worth that."""
    given: list[int] = []

    class Pool:
        def release_unused(self) -> None:
            given.append(1)

    monkeypatch.setattr("pyarrow.default_memory_pool", Pool)
    give_back(200_000)
    assert not given
    give_back(200_001)
    assert given
