"""A long life in little: thousands of conversions in one process leave nothing behind.

The process is one of its own: what other tests have loaded and hold would count else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from itertools import cycle, islice, product
from pathlib import Path

import pytest

import bboxconv
from bboxconv import registry

CONVERSIONS = 2000
WARM = 100
"""Conversions after which all is loaded."""
OBJECTS = [
    {"category": n % 3, "bbox": [n + 0.5, n, 10, 20.25], "segmentation": [[1, 2, 30, 4, 5, 60]], "extra": {"note": n}}
    for n in range(4)
]
IMAGES = [
    {"type": "image", "file": f"{n}.jpg", "width": 640, "height": 480, "split": "train", "objects": OBJECTS}
    for n in range(3)
]
HEADER = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"name": name} for name in "abc"]}


def memory() -> int:
    """Bytes that this process has made. Those of its libraries do not count: they are private or shared by whether
    another process happens to have loaded them too, half of all that is held."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    (made,) = (line for line in lines if line.startswith("Anonymous:"))
    return int(made.split()[1]) << 10


def open_files() -> list[str]:
    """What the descriptors of this process are, the one that looks left out."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        except FileNotFoundError:
            continue
    return sorted(found)


def live(folder: Path) -> dict[str, object]:
    """Convert from each format to each in turn, and say what there was after the first conversions and at the end."""
    start = folder / "given.jsonl"
    start.write_text("".join(json.dumps(row) + "\n" for row in (HEADER, *IMAGES)), encoding="utf-8")
    formats = [known.name for known in registry.formats() if known.reads and known.writes]
    sources = {name: place(folder / "sources", name) for name in formats}
    for name, source in sources.items():
        bboxconv.convert(start, source, to=name)
    found: dict[str, object] = {}
    for number, (first, second) in enumerate(islice(cycle(product(formats, formats)), CONVERSIONS), 1):
        out = place(folder / "outputs", second)
        sizes = start if first == "yolo" else None
        bboxconv.convert(
            sources[first], out, to=second, overwrite=True, image_sizes=sizes, memory=1 if number % 2 else 1 << 28
        )
        if number in (WARM, CONVERSIONS):
            files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
            state = (open_files(), threading.active_count(), children(), files)
            found[str(number)] = {"memory": memory(), "state": state}
    return found


def place(folder: Path, name: str) -> Path:
    info = registry.writer(name).INFO
    return folder / (name if info.layout == "folder" else f"{name}{info.extensions[0]}")


def children() -> int:
    """How many processes this one has started that are still there."""
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="the system does not tell its memory")
def test_many_conversions_leave_nothing_behind(tmp_path: Path) -> None:
    """After 2,000 conversions, each format to each in turn, a process holds what it held after the first 100, to
    within 10 percent: no memory, open file, temporary file, thread or process is left."""
    (tmp_path / "data").mkdir()
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    words = [sys.executable, __file__, str(tmp_path / "data")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    warm, end = found[str(WARM)], found[str(CONVERSIONS)]
    assert end["state"] == warm["state"]
    assert end["memory"] < warm["memory"] * 1.1
    assert list((tmp_path / "temporary").iterdir()) == []


if __name__ == "__main__":
    print(json.dumps(live(Path(sys.argv[1]))))  # noqa: T201
