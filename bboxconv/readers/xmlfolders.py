"""Where a folder has XML files. A module of its own: every format is asked whether a folder is its own, and lxml takes
time to load."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bboxconv.errors import OutputError
from bboxconv.io import listing
from bboxconv.names import Names

LITTER = frozenset(["__MACOSX", ".ipynb_checkpoints"])
"""Folders of copies that nobody made on purpose; so are files called `._*`."""


def by_folder(root: Path, depth: int = 64) -> Iterator[tuple[str, Names]]:
    """The folders below a folder, and itself, that hold XML files: the path of each, which ends with `/` (that of the
    folder itself is empty), and its files in order.

    Hidden folders of `root` and what systems leave behind are passed over. Raises OutputError where a folder cannot
    be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [("", 0)]
    while waiting:
        prefix, level = waiting.pop()
        try:
            folder = (root / prefix).stat()
            if (folder.st_dev, folder.st_ino) in seen:  # a link may lead back
                continue
            seen.add((folder.st_dev, folder.st_ino))
            there = listing(root / prefix)
            names = there.ending(".xml")
            if there.others:  # what is no file is found out when it is read, and named
                names = Names.of(chain(names, (name for name in there.others if name[-4:].lower() == ".xml"))).sorted()
            if names and (there.starting("._") or there.others):
                names = Names.of(name for name in names if name[:2] != "._")
            deeper = there.folders if level < depth else ()
            inside = [name for name in deeper if name not in LITTER and (level or name[0] != ".") and name[:2] != "._"]
            waiting += [(f"{prefix}{name}/", level + 1) for name in inside]
        except OSError as error:
            raise OutputError.of(
                "read-failed", f"cannot read: {error.strerror or error}", where=str(root / prefix)
            ) from error
        if names:
            yield prefix, names
