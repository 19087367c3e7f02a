"""What comes from standard input, and goes to standard output: where it lies meanwhile, and what is left of it."""

from __future__ import annotations

import io
import json
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import bboxconv
from bboxconv import pipeline
from bboxconv.passing import passing
from bboxconv.request import Request
from bboxconv.shelf import Shelf, Unnamed
from bboxconv.workers import at_work

HEADER = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"name": "cat"}]}
IMAGES = [
    {"type": "image", "file": f"{n}.jpg", "objects": [{"category": 0, "bbox": [1, 2, 3, n]}]} for n in range(5000)
]
LINES = "".join(json.dumps(row) + "\n" for row in (HEADER, *IMAGES)).encode()
COMMAND = [sys.executable, "-m", "bboxconv", "convert", "-", "-", "-f", "jsonl", "-t", "coco", "-q"]

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system has no names for open files")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this process and those that it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is LINES."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES)))


def size(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def killed(*command: str) -> None:
    """Kill a run outright that has copied what it reads, and is about to write: its reader does not read."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin is not None and run.stdout is not None
        run.stdin.write(LINES)
        run.stdin.close()
        assert select.select([run.stdout], [], [], 60)[0]
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL


def whole(*command: str) -> bytes:
    """What a run writes that ends well."""
    return subprocess.run(command, input=LINES, capture_output=True, check=True).stdout


@needs_proc
def test_a_killed_run_leaves_none_of_its_bytes(temporary: Path) -> None:
    """What was copied from stdin, and for stdout, goes with the process; the next run removes the rest."""
    killed(*COMMAND)
    assert len(list(temporary.iterdir())) == 2
    assert size(temporary) < 500
    assert len(json.loads(whole(*COMMAND))["images"]) == 5000
    assert list(temporary.iterdir()) == []


NO_PROC = """
from bboxconv.shelf import Shelf, Unnamed
Unnamed.shelf = Shelf()
from bboxconv.__main__ import main
main()
"""


def test_without_names_for_open_files_the_next_run_removes_the_bytes(temporary: Path) -> None:
    """Where a file without a name cannot be opened again it has one, and is removed once its run is gone."""
    command = [sys.executable, "-c", NO_PROC, *COMMAND[3:]]
    killed(*command)
    assert size(temporary) > len(LINES)
    assert whole(*command) == whole(*COMMAND)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("proc", [True, False])
def test_what_a_run_uses_stays(proc: bool, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runs, of this process and of another, remove nothing of one that is still there, nor what is not ours."""
    if not proc:
        monkeypatch.setattr(Unnamed, "shelf", Shelf())
    (temporary / "bboxconv-stream-note").write_text("mine")
    with passing("a.json") as path:
        path.write_bytes(b"a")
        with passing("b.json") as other:
            other.write_bytes(b"b")
        whole(*COMMAND)
        assert path.read_bytes() == b"a"
        assert path.name == "a.json"
        assert not other.parent.exists()
    assert [one.name for one in temporary.iterdir()] == ["bboxconv-stream-note"]


@pytest.mark.usefixtures("stdin")
def test_processes_read_what_came_on_stdin(tmp_path: Path, temporary: Path) -> None:
    """All workers of a run open it, wherever it lies."""
    (tmp_path / "a.jsonl").write_bytes(LINES)
    with at_work(2) as workers:
        workers.begin()
        pipeline.run(Request(("-",), str(tmp_path / "a.json"), "jsonl"), workers=workers)
    bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert list(temporary.glob("bboxconv*")) == []


@pytest.mark.usefixtures("stdin")
def test_a_data_set_from_stdin_is_read_as_often_as_wanted(temporary: Path) -> None:
    """What was copied is there as long as the data set, or one reading of it, is."""
    data = bboxconv.read("-", from_="jsonl", batch_size=1000)
    assert [sum(map(len, data)) for _ in range(2)] == [5000, 5000]
    batches = iter(data)
    del data
    assert sum(map(len, batches)) == 5000
    del batches
    assert list(temporary.iterdir()) == []


def test_a_data_set_from_stdin_that_is_refused_leaves_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its copy goes at once, whoever still holds the error."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(bboxconv.DataError) as caught:
        bboxconv.read("-", from_="jsonl")
    assert list(temporary.iterdir()) == []
    assert caught.value.diagnostics[0].code == "no-annotations"
