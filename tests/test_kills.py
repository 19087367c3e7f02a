"""Runs that do not end by themselves: killed, stopped, out of disk, of memory, of permissions. The destination is as it
was before, or complete.

BBOXCONV_KILLS=500 kills more runs than the 50 for a file and the 50 for a folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killer import content, source

KILLS = int(os.environ.get("BBOXCONV_KILLS", "50"))
SEED = int(os.environ.get("BBOXCONV_KILLS_SEED", "1"))
KILLER = Path(__file__).with_name("killer.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_run_leaves_the_old_output_or_the_new(kind: str, tmp_path: Path) -> None:
    """SIGKILL at any moment: every file is whole, files of others stay, the next run completes what was begun and
    leaves no staging."""
    words = [sys.executable, str(KILLER), str(tmp_path), kind, str(KILLS), str(SEED)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60 + KILLS, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    sys.stdout.write(f"{kind}: {seen}\n")
    assert seen["faults"] == []
    assert seen["killed"] + seen.get("ended", 0) == KILLS
    assert seen["killed"] > KILLS * 0.8
    assert seen["staging left"] > KILLS / 10
    assert seen["old"] > 0
    assert seen.get("between", 0) + seen.get("new", 0) > 0


PARALLEL = """
import sys
from contextlib import contextmanager
from bboxconv import pipeline, workers
from bboxconv.formats.coco import reading
def at_work(jobs, old=workers.at_work):
    @contextmanager
    def begun():
        with old(2) as crew:
            crew.begin()
            list(crew.run(abs, range(4)))
            print("ready", flush=True)
            yield crew
    return begun()
pipeline.at_work = at_work
from bboxconv.__main__ import main
main()
"""
"""`bboxconv`, with its processes started before anything is read."""


@contextmanager
def parallel(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run over two processes, in a session of its own, that has begun to work."""
    command = [sys.executable, "-c", PARALLEL, *words]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        yield run


def alive(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def ended(session: int) -> bool:
    """Whether all processes of a session end within some seconds."""
    until = time.monotonic() + 10
    while alive(session):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def large(path: Path) -> Path:
    """A COCO file that takes about a second."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 99, "height": 99} for i in range(20_000)]
    boxes = [
        {"id": i, "image_id": i % 20_000, "category_id": 1, "bbox": [1.5, 2, 5, 6], "area": 30, "iscrowd": 0}
        for i in range(100_000)
    ]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    return path


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")


@needs_proc
@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, 143, "terminated\n"),
        (signal.SIGHUP, 129, "hung up\n"),
    ],
)
def test_a_signal_ends_all_processes(number: signal.Signals, code: int, said: str, group: bool, tmp_path: Path) -> None:
    """In the middle of a parallel run, sent to it alone or as a terminal does: one line, the old output, no staging,
    no process."""
    large(tmp_path / "a.json")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note").write_text("mine")
    before = content(tmp_path)
    with parallel(tmp_path, "convert", "a.json", "out", "-t", "yolo", "--overwrite", "-q") as run:
        assert len(alive(run.pid)) >= 4  # itself, the fork server and two workers
        time.sleep(0.3)
        (os.killpg if group else os.kill)(run.pid, number)
        _, err = run.communicate(timeout=30)
        assert (run.returncode, err) == (code, said)
        assert ended(run.pid)
    assert content(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out"]


@needs_proc
def test_the_lock_goes_with_a_killed_run(tmp_path: Path) -> None:
    """A run that is killed while its workers work: the next run starts at once, and what the old workers still write
    does not get into its output."""
    large(tmp_path / "a.json")
    for delay in (0.2, 0.5):
        with parallel(tmp_path, "convert", "a.json", "out", "-t", "yolo") as run:
            time.sleep(delay)
            run.kill()
            run.wait()
            words = [sys.executable, "-m", "bboxconv", "convert", "a.json", "out", "-t", "yolo", "--overwrite"]
            after = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (after.returncode, after.stderr.count("note[staging-cleared]")) == (0, 1), after.stderr
            assert ended(run.pid)
        assert len(list((tmp_path / "out" / "labels").iterdir())) == 20_000
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out"]
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"data.yaml", "labels", ".bboxconv-manifest"}
        (tmp_path / "out").rename(tmp_path.with_suffix(f".{delay}"))


def limited(kind: int, amount: int) -> Callable[[], None]:
    """What sets a limit in a process before it starts Python."""
    return lambda: resource.setrlimit(kind, (amount, amount))


@pytest.mark.parametrize(
    ("target", "size"),
    [
        ("out.jsonl", 0),
        ("out.jsonl", 4096),
        ("out.parquet", 0),
        ("out.parquet", 100),
        ("out.json", 9000),
        ("out", 100),
        ("out", 4096),
    ],
)
def test_a_full_disk_leaves_the_old_output(target: str, size: int, tmp_path: Path) -> None:
    """Where a file cannot grow beyond some size the run says so in its own words, exit 74, and nothing has changed."""
    source(tmp_path / "old.json", 0, 1.5)
    source(tmp_path / "new.json", 40, 2.5)
    words = [sys.executable, "-m", "bboxconv", "convert", "old.json", target, "--overwrite"]
    if target == "out":
        (tmp_path / "out").mkdir()
        words += ["-t", "coco"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    before = content(tmp_path)
    words[4] = "new.json"
    limit = limited(resource.RLIMIT_FSIZE, size)
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert run.returncode == 74, run.stderr
    assert "File too large" in run.stderr
    assert run.stderr.startswith("error[")
    assert "Traceback" not in run.stderr
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_a_full_file_system_leaves_the_old_output(tmp_path: Path) -> None:
    """On a mounted file system of some kilobytes (where the test may mount one): the same."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k,nr_inodes=120", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("nothing can be mounted here")
    try:
        (disk / "out.jsonl").write_text("old")
        (disk / "note").write_text("mine")
        before = content(disk)
        source(tmp_path / "a.json", 0, 1.5)
        for words in (["out.jsonl"], ["tree", "-t", "yolo"], ["tree", "-t", "voc"], [".", "-t", "yolo"]):
            command = [sys.executable, "-m", "bboxconv", "convert", str(tmp_path / "a.json"), *words, "--overwrite"]
            run = subprocess.run(command, cwd=disk, capture_output=True, text=True, check=False)
            assert (run.returncode, "No space left on device" in run.stderr) == (74, True), run.stderr
            assert content(disk) == before
            assert not list(disk.glob(".*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_out_of_memory_leaves_the_old_output(tmp_path: Path) -> None:
    """Where the system gives no more memory the run says so, exit 74."""
    large(tmp_path / "a.json")
    (tmp_path / "out.jsonl").write_text("old")
    before = content(tmp_path)
    script = """
import resource, sys
from pathlib import Path
import bboxconv.preload, bboxconv.pipeline, bboxconv.formats.coco.reading, bboxconv.formats.jsonl, bboxconv.cli.commands
import bboxconv.cli.ui, bboxconv.staging
from bboxconv.__main__ import main
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), used + (8 << 20)))
main()
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("looks at /proc")
    words = [sys.executable, "-c", script, "convert", "a.json", "out.jsonl", "--overwrite", "--jobs", "1"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 74, run.stderr
    assert run.stderr.startswith("error[out-of-memory]: there is not enough memory")
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def unprivileged() -> None:
    """Let permissions hold for the superuser too, in a process before it starts Python."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if ctypes.CDLL(None, use_errno=True).prctl(24, capability) != 0:  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "the superuser cannot be held back here")


needs_permissions = pytest.mark.skipif(
    os.geteuid() == 0 and sys.platform != "linux", reason="permissions do not hold for the superuser"
)


@needs_permissions
@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["shut/new.jsonl"], "shut/new.jsonl"),
        (["shut/old.jsonl", "--overwrite"], "shut/old.jsonl"),
        (["shut/new", "-t", "yolo"], "shut/new"),
        (["tree", "-t", "yolo", "--overwrite"], "tree/labels"),
    ],
)
def test_a_folder_that_cannot_be_written_stays_as_it_is(words: list[str], where: str, tmp_path: Path) -> None:
    """No permission: exit 74, before anything has changed."""
    source(tmp_path / "a.json", 0, 1.5)
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "old.jsonl").write_text("old")
    (tmp_path / "shut").chmod(0o555)
    (tmp_path / "tree" / "labels").mkdir(parents=True)
    (tmp_path / "tree" / "labels" / "note").write_text("mine")
    (tmp_path / "tree" / "labels").chmod(0o555)
    before = content(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "bboxconv", "convert", "a.json", *words],
        cwd=tmp_path,
        preexec_fn=unprivileged,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 74, run.stderr
    assert run.stderr.startswith("error[write-failed]: cannot write: Permission denied\n")
    assert where in run.stderr
    assert content(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


@needs_permissions
def test_a_folder_is_replaced_whose_parent_cannot_be_written(tmp_path: Path) -> None:
    """Where nothing can stand beside the folder, its output is put together inside of it."""
    source(tmp_path / "a.json", 0, 1.5)
    (tmp_path / "out").mkdir()
    tmp_path.chmod(0o555)
    for _ in range(2):
        words = [sys.executable, "-m", "bboxconv", "convert", "a.json", "out", "-t", "yolo", "--overwrite"]
        run = subprocess.run(words, cwd=tmp_path, preexec_fn=unprivileged, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"data.yaml", "labels", ".bboxconv-manifest"}
    tmp_path.chmod(0o755)
