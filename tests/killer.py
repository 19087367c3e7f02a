"""Kills conversions and looks at what they leave: run by test_kills in a process of its own, as it forks.

`python killer.py FOLDER KIND KILLS SEED` prints a JSON object: how many runs were killed, how many left the old
output, the new one, or a folder in between, and every fault that was seen. KIND is `file` or `folder`.

One half of the kills comes at a moment anywhere in the run, the other at a call that changes the file system: before
or after the n-th. After each kill a run without `--overwrite` on the same destination has to set right what was left.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import bboxconv.cli.commands
import bboxconv.formats.coco.reading
import bboxconv.formats.jsonl
import bboxconv.formats.yolo.writing
import bboxconv.pipeline
import bboxconv.preload  # noqa: F401 - a child that is forked spends its time on the conversion
from bboxconv.__main__ import run

CHANGES = ("mkdir", "rename", "replace", "rmdir", "unlink")
IMAGES = 150
FOREIGN = {"images/1.jpg": b"jpg", "notes.md": b"mine", "labels/note.txt": b"mine too"}
OUTSIDE = 2
"""The exit code of a run that refuses to overwrite."""


def source(path: Path, first: int, shift: float) -> Path:
    """A COCO file of IMAGES images from a number on."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 99, "height": 99} for i in range(first, first + IMAGES)]
    boxes = [
        {"id": 10 * i + j, "image_id": i, "category_id": 1, "bbox": [shift, j, 5, 6], "area": 30, "iscrowd": 0}
        for i in range(first, first + IMAGES)
        for j in range(9)
    ]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    return path


def child(argv: Sequence[str], changes: Callable[[], None] = lambda: None) -> int:
    """Start a conversion in a process of its own."""
    process = os.fork()
    if process == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        changes()
        code: int = run(argv)
        os._exit(code)
    return process


def trap(number: int, after: bool, told: int = -1) -> Callable[[], None]:
    """What makes a process kill itself at its n-th change; `told`: where the changes so far are written instead."""
    seen = 0

    def change(call: Callable[..., object]) -> Callable[..., object]:
        def changed(*args: object, **named: object) -> object:
            nonlocal seen
            seen += 1
            if seen == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*args, **named)
            finally:
                if seen == number and after:
                    os.kill(os.getpid(), signal.SIGKILL)
                if told >= 0:
                    os.write(told, b".")

        return changed

    def arm() -> None:
        for name in CHANGES:
            setattr(os, name, change(getattr(os, name)))

    return arm


def content(path: Path) -> dict[str, bytes]:
    """Every file by its name; an empty object where there is nothing."""
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    return {"": path.read_bytes()} if path.exists() else {}


def main(folder: Path, kind: str, kills: int, seed: int) -> dict[str, object]:
    """Kill that many runs."""
    choose = random.Random(seed)
    dst = folder / ("out.jsonl" if kind == "file" else "out")
    sources = [source(folder / "a.json", 0, 1.5), source(folder / "b.json", IMAGES // 2, 2.5)]
    words = [["convert", str(path), str(dst), *(["-t", "yolo"] if kind == "folder" else [])] for path in sources]

    def foreign() -> None:
        for name, data in FOREIGN.items() if kind == "folder" else ():
            (dst / name).parent.mkdir(parents=True, exist_ok=True)
            (dst / name).write_bytes(data)

    whole, seconds = [], math.inf
    for one in words:
        began = time.monotonic()
        assert os.waitpid(child([*one, "--overwrite"]), 0)[1] == 0
        seconds = min(seconds, time.monotonic() - began)
        foreign()
        whole.append(content(dst))
    now = 1  # the source that the output is of
    outlet, inlet = os.pipe()
    assert os.waitpid(child([*words[0], "--overwrite"], trap(-1, after=False, told=inlet)), 0)[1] == 0
    now, calls = 0, len(os.read(outlet, 1 << 16))
    seen: Counter[str] = Counter()
    faults: list[str] = []
    for round_ in range(kills):
        new = 1 - now
        if round_ % 2:
            point, after = choose.randint(1, calls), choose.random() < 0.5
            what = f"at change {point} of {calls}, {'after' if after else 'before'} it"
            process = child([*words[new], "--overwrite"], trap(point, after))
            moment = math.inf
        else:
            moment = choose.uniform(0, seconds)
            what = f"after {moment:.4f} of {seconds:.4f} s"
            process = child([*words[new], "--overwrite"])
            time.sleep(moment)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        seen["killed" if os.WIFSIGNALED(status) else "ended"] += 1
        if not os.WIFSIGNALED(status):
            seconds = min(seconds, moment)  # runs are shorter than they were
        here = content(dst)
        torn = [name for name, data in here.items() if data not in (whole[0].get(name), whole[1].get(name))]
        faults += [f"{what}: {name} is torn" for name in torn]
        faults += [f"{what}: {name} is gone" for name in FOREIGN if kind == "folder" and name not in here]
        state = "old" if here == whole[now] else "new" if here == whole[new] else "between"
        seen[state] += 1
        if kind == "file" and state == "between":
            faults.append(f"{what}: neither old nor new")
        left = [path for path in folder.iterdir() if path.name.endswith(".bboxconv-stage")]
        seen["staging left"] += bool(left)
        if os.waitstatus_to_exitcode(os.waitpid(child(words[new]), 0)[1]) != OUTSIDE:
            faults.append(f"{what}: the next run did not refuse to overwrite")
        there = content(dst)
        if there not in (here if state != "between" else whole[new], whole[new]):
            faults.append(f"{what}: the next run did not complete it")
        faults += [f"{what}: {path.name} is left" for path in folder.iterdir() if path.name.startswith(".")]
        if there not in whole or faults:
            break
        now = whole.index(there)
    return {**seen, "faults": faults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))  # noqa: T201
