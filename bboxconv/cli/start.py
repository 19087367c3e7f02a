"""What a command does before it imports what it needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bboxconv import workers

_LARGE = 32 << 20
"""Bytes of a file from which on several processes read it."""
_CROWDED = 200 << 10
"""Bytes of a folder that has some thousand files."""


def make_ready(sources: Sequence[str], jobs: int) -> None:
    """Let the other processes load what they need while this one does, where there is likely enough for them to
    do."""
    paths = [path for source in sources for path in (source, source.partition("=")[2]) if path]
    if jobs != 1 and any(_is_large(Path(path)) for path in paths):
        workers.warm()
    workers.own_process()


def _is_large(path: Path) -> bool:
    try:
        if not path.is_dir():
            return path.stat().st_size > _LARGE
        return any(folder.stat().st_size > _CROWDED for folder in _folders(path, 3))
    except OSError:  # whoever reads it says so
        return False


def _folders(path: Path, depth: int) -> list[Path]:
    """A folder and those in it; a folder of many files is not looked into."""
    found = [path]
    if depth and path.stat().st_size <= _CROWDED:
        with os.scandir(path) as entries:
            inside = [Path(entry.path) for entry in entries if entry.is_dir()]
        found += [folder for one in inside[:100] for folder in _folders(one, depth - 1)]
    return found
