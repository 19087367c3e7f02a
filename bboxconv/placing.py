"""Files moved one by one into a folder that exists, in place of those of the last run.

A manifest in the folder names the files that bboxconv wrote: no other is replaced or removed. While files move, the
manifest to be is a journal beside them; put in place as the last of all, it ends the moving. Killed in between, what
is to be done follows from the journal, from the files that have not moved, and from the manifest that is still there:
`complete` does the rest, and doing it twice is as doing it once.
"""

# Strings, not Path: an object for each of 100,000 files costs as much as moving the file.
# ruff: noqa: PTH105

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from bboxconv.errors import UsageError
from bboxconv.io import CLASH, MANIFEST, files_below, unsafe_name
from bboxconv.names import Names

_AT_ONCE = 10_000
"""Names of a manifest that become text at a time."""
_IN_THE_WAY = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of the files that were to be moved."""

    left: tuple[str, ...] = ()
    """Not moved: a file that is not ours appeared there meanwhile, and stays."""
    missing: tuple[str, ...] = ()
    """Neither in the folder nor waiting to be moved: somebody removed them."""


def begin(stage: Path, dst: Path, journal: Path) -> None:
    """Look whether all files below `stage` can be moved into the folder `dst`, and write the journal.

    Raises UsageError where a file or a link that bboxconv did not write is in the way, OSError where a folder cannot
    be written to; nothing is changed then.
    """
    written = list(names_below(stage))
    _look(written, _manifest(dst), dst, stage.stat().st_dev)
    draft = journal.with_name(journal.name + "-draft")
    write_manifest(draft, written, lasting=True)
    draft.replace(journal)
    _make_lasting(journal.parent)


def complete(stage: Path, dst: Path, journal: Path) -> Placed:
    """Move the files that the journal names and that still wait below `stage`; remove the old ones; put the manifest
    in place, which ends the journal.

    Raises OSError where the system refuses: the journal stays, and so does what has not moved.
    """
    written = names(journal)
    before = _manifest(dst)
    _clear_the_way(dst, before, written)
    for folder in sorted({name.rpartition("/")[0] for name in written}):
        with suppress(*CLASH):  # somebody put a file there just now
            (dst / folder).mkdir(parents=True, exist_ok=True)
    left = [name for name in written if not _move(f"{stage}/{name}", f"{dst}/{name}", ours=name in before)]
    for name in sorted(before.difference(written)):
        _forget(dst, name)
    missing = [name for name in written if not os.path.lexists(f"{dst}/{name}")]
    if left or missing:
        known = journal.with_name(journal.name + "-known")
        write_manifest(known, sorted(set(written).difference(left, missing)))
        known.replace(dst / MANIFEST)
        journal.unlink()
    else:
        journal.replace(dst / MANIFEST)
    return Placed(tuple(left), tuple(missing))


def keep_account(stage: Path, dst: Path, written: Iterable[str]) -> None:
    """Let the manifest name what was moved, where the moving can never be completed: whose it is must not be lost."""
    moved = {name for name in written if os.path.lexists(f"{dst}/{name}") and not os.path.lexists(f"{stage}/{name}")}
    write_manifest(dst / MANIFEST, sorted(_manifest(dst) | moved))


def write_manifest(path: Path, names: Iterable[str], *, lasting: bool = False) -> None:
    """Write a manifest of files, by relative name with `/`; `lasting`: it is on the disk on return."""
    rest, separator = iter(names), ""
    with path.open("wb") as file:
        file.write(b'{"bboxconv": 1, "files": [')
        while some := list(islice(rest, _AT_ONCE)):
            # a name a line: no name holds this, as quotes in it are escaped
            text = json.dumps(some, ensure_ascii=False)[1:-1].replace('", "', '",\n"')
            file.write((separator + text).encode("utf-8", "surrogatepass"))
            separator = ",\n"
        file.write(b"]}\n")
        if lasting:
            file.flush()
            os.fsync(file.fileno())


def names_below(folder: Path) -> Names:
    """The names of the files that are below a folder now, sorted."""
    return Names.of(name for name, _ in files_below(folder)).sorted()


def _look(written: Sequence[str], before: frozenset[str], dst: Path, device: int) -> None:
    """Raise what `begin` does: each folder on the way must be one, no link, here and open; each file free or ours."""
    for folder in sorted(_folders(written)):
        found = _lstat(f"{dst}/{folder}" if folder else str(dst))
        if found is None or (folder in before and not stat.S_ISDIR(found.st_mode)):
            continue
        path = dst / folder
        if not stat.S_ISDIR(found.st_mode):
            raise _foreign(path)
        if found.st_dev != device:
            raise OSError(errno.EXDEV, "the folder is on another file system", str(path))
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    for name in written:
        found = _lstat(f"{dst}/{name}")
        if found is None or (name in before and not stat.S_ISDIR(found.st_mode)):
            continue
        path = dst / name
        if not stat.S_ISDIR(found.st_mode) or any(f"{name}/{other}" not in before for other, _ in files_below(path)):
            raise _foreign(path)


def _foreign(path: Path) -> UsageError:
    return UsageError.of(
        "foreign-file",
        "a file is in the way that bboxconv did not write",
        where=str(path),
        hint="move it away, or write to another folder",
    )


def _clear_the_way(dst: Path, before: frozenset[str], written: Sequence[str]) -> None:
    """Remove old files that stand where a folder must be, or below the place of a file."""
    folders, files = _folders(written), frozenset(written)
    blocked = _folders(before) & files
    for name in sorted(before):
        if name in folders or (blocked and any(str(parent) in blocked for parent in PurePosixPath(name).parents)):
            _forget(dst, name)


def _move(source: str, target: str, *, ours: bool) -> bool:
    """Move a file, unless it has moved. False where what is not ours stands at the target."""
    if not ours and os.path.lexists(target):
        return not os.path.lexists(source)
    try:
        os.replace(source, target)
    except FileNotFoundError:
        if os.path.lexists(source):  # the folder that it moves to is gone
            raise
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        return False
    return True


def _forget(folder: Path, name: str) -> None:
    path = folder / name
    inside = list(path.parents)[: len(PurePosixPath(name).parts) - 1]
    if any(parent.is_symlink() for parent in inside) or (path.is_dir() and not path.is_symlink()):
        return
    with suppress(NotADirectoryError):
        path.unlink(missing_ok=True)
    for parent in inside:
        try:
            parent.rmdir()
        except OSError:
            return


def _manifest(folder: Path) -> frozenset[str]:
    """The files of a folder that bboxconv wrote; a manifest that a stranger made names none outside of it."""
    try:
        return frozenset(name for name in names(folder / MANIFEST) if unsafe_name(name) is None) - {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def names(manifest: Path) -> list[str]:
    """The names that a manifest or a journal holds. Raises OSError, ValueError, KeyError where it is none."""
    found: list[str] = json.loads(manifest.read_bytes().decode("utf-8", "surrogatepass"))["files"]
    return found


def _folders(names: Iterable[str]) -> frozenset[str]:
    """The folders that files are in, and those that these are in; `` is the outermost."""
    found = {""}
    for folder in {name.rpartition("/")[0] for name in names}:
        inner = folder
        while inner and inner not in found:
            found.add(inner)
            inner = inner.rpartition("/")[0]
    return frozenset(found)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make_lasting(folder: Path) -> None:
    """See to it that the names in a folder are on the disk, where the system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
