"""Runs of the command line as users have them: a process, its streams and its exit code, with or without a
terminal.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SURROUNDINGS = {
    "no-terminal": {},
    "github-actions": {"GITHUB_ACTIONS": "true", "CI": "true"},
    "no-color": {"NO_COLOR": "1"},
    "narrow": {"COLUMNS": "40"},
}
DECIDING = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "GITHUB_ACTIONS", "CI", "PY_COLORS", "TERM")


@dataclass(frozen=True)
class Done:
    """What a run left: text without its seconds, which differ from run to run, and the exit code."""

    out: str
    err: str
    code: int


def timeless(text: str) -> str:
    """The text with every duration as `0.0 s`."""
    return re.sub(r"\b\d+\.\d s\b", "0.0 s", re.sub(r'("seconds": ?)[0-9.]+', r"\g<1>0.0", text))


@dataclass(frozen=True)
class Shell:
    """A folder to run in, and what of the environment differs from a bare one."""

    folder: Path
    extra: Mapping[str, str]

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a run: none of those that decide on looks, but the ones given."""
        kept = {key: value for key, value in os.environ.items() if key not in DECIDING}
        return {**kept, "TERM": "xterm-256color", **self.extra, **more}

    def __call__(self, *words: str, stdin: str = "", **more: str) -> Done:
        """Run `bboxconv` without a terminal."""
        done = subprocess.run(
            [sys.executable, "-m", "bboxconv", *words],
            cwd=self.folder,
            env=self.environment(**more),
            input=stdin.encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Done(timeless(done.stdout.decode()), timeless(done.stderr.decode()), done.returncode)

    def terminal(self, *words: str, code: str = "", **more: str) -> Done:
        """Run `bboxconv` (or Python code) with a terminal of 80 columns on all streams; `out` holds both outputs."""
        command: Sequence[str] = ["-c", code, *words] if code else ["-m", "bboxconv", *words]
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            seen += piece
        os.close(ours)
        return Done(timeless(seen.decode().replace("\r\n", "\n")), "", process.wait(60))


COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": 2, "file_name": "b.jpg", "width": 10, "height": 10},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 100, 50], "area": 5000, "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog", "supercategory": "animal"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small COCO file, `a.json`: two images, two boxes (one a crowd), two classes."""
    (tmp_path / "a.json").write_text(json.dumps(COCO))
    return tmp_path


@pytest.fixture
def shell(folder: Path) -> Shell:
    """Runs in the folder, in the barest surroundings."""
    return Shell(folder, {})


@pytest.fixture(params=SURROUNDINGS)
def anywhere(folder: Path, request: pytest.FixtureRequest) -> Shell:
    """Runs in the folder, once in each of the four surroundings."""
    return Shell(folder, SURROUNDINGS[request.param])
