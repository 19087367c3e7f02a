"""Output that appears whole or not at all.

What is written is put together in a folder beside its destination, `.NAME.bboxconv-stage`, and put in place by one
rename. In a folder that exists, files are moved in one by one (`placing`). The staging folder is locked as long as a
run uses it, so that two runs never write one output; where it is found without a holder, its run was killed, and the
next run on the same destination removes it, once it has moved what was being moved.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bboxconv import placing
from bboxconv.errors import Diagnostic, Findings, OutputError, UsageError
from bboxconv.io import MANIFEST, SPECIAL, files_below, is_special
from bboxconv.lock import NAME as LOCK
from bboxconv.lock import Lock, take

Layout = Literal["file", "folder"]
STAGE = ".bboxconv-stage"
"""The end of the name of a staging folder."""
_JOURNAL = ".journal"
_LONGEST = 143
"""Bytes of a name that every file system in use takes: encrypted folders have the shortest."""


@contextmanager
def staged(dst: Path, layout: Layout, *, overwrite: bool) -> Iterator[Path]:
    """A path to write to; put in place at `dst` when the block ends, removed when it raises. Raises as `claimed` and
    `Claim.filled`."""
    with claimed(dst, layout, overwrite=overwrite) as claim, claim.filled() as stage:
        yield stage


@contextmanager
def claimed(dst: Path, layout: Layout, *, overwrite: bool, findings: Findings | None = None) -> Iterator[Claim]:
    """A destination that no other run writes to until the block ends. What a killed run left there is completed or
    removed first, which `findings` tells.

    A link is followed: what it names is replaced. Folders that had to be made for `dst` are removed again where
    nothing was put in place.

    Raises UsageError where `dst` exists and `overwrite` is not given; OutputError where another run writes there, or
    where the folder cannot be written to.
    """
    _refuse_kind(dst, layout)
    target = Path(os.path.realpath(dst))
    with ExitStack() as undo:
        with _told(dst):
            folder = _stage_folder(target)
            if not overwrite and not os.path.lexists(folder):  # where nothing may be written, this is why
                refuse_existing(dst, layout, overwrite=False)
            for made in reversed([one for one in target.parents if not one.exists()]):
                undo.callback(_remove_empty, made)
            if target.parent.exists() and not target.parent.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(dst))
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = take(folder, str(dst))
            undo.callback(lock.release)
            seen = _recover(folder, dst, target)
            _refuse_still(dst, layout, overwrite, seen)
            claim = Claim(dst, target, layout, overwrite, lock, Path(), Findings() if findings is None else findings)
            undo.callback(claim.clear)
            claim.findings.merge(seen)
            # no process that outlives a killed run for a moment knows this name
            claim.stage = Path(tempfile.mkdtemp(prefix="run-", dir=folder)) / (target.name or "output")
            if layout == "folder":
                claim.stage.mkdir()
        yield claim


@dataclass(slots=True)
class Claim:
    """A destination that is ours, and the path where its content is put together."""

    shown: Path
    dst: Path
    layout: Layout
    overwrite: bool
    lock: Lock
    stage: Path
    findings: Findings
    unfinished: bool = False
    """Files are being moved, and the next run has to go on."""

    @contextmanager
    def filled(self) -> Iterator[Path]:
        """The path to write to; put in place when the block ends.

        Raises UsageError where a file that bboxconv did not write is in the way; OutputError where writing fails, or
        where somebody removed what was written.
        """
        with _told(self.shown, self._refuse_removed):
            yield self.stage
            self._refuse_removed()
            if self.layout == "file":
                refuse_existing(self.shown, "file", overwrite=self.overwrite)
                self.stage.replace(self.dst)
            else:
                self._place_folder()

    def clear(self) -> None:
        """Remove what was not put in place."""
        if not self.unfinished and self.lock.holds:
            _to_the_end(lambda: _empty(self.lock.folder))

    def _refuse_removed(self) -> None:
        if not self.lock.holds or not self.stage.parent.exists():
            message = "somebody removed the folder in which the output was put together"
            raise OutputError.of("staging-removed", message, where=str(self.shown), detail=str(self.lock.folder))

    def _place_folder(self) -> None:
        if self._placed_at_once():
            return
        journal = self.stage.parent.with_suffix(_JOURNAL)
        placing.begin(self.stage, self.dst, journal)
        self.unfinished = True
        found = list[placing.Placed]()
        written = placing.names(journal)
        try:
            _to_the_end(lambda: found.append(placing.complete(self.stage, self.dst, journal)))
        except OSError as error:
            if not self.stage.is_dir():
                with suppress(OSError):
                    placing.keep_account(self.stage, self.dst, written)
            self._refuse_removed()
            raise _unfinished(error, self.shown, self.lock.folder) from error
        finally:
            self.unfinished = journal.exists()
        self.findings.merge(_of_placed(found[-1], self.shown))

    def _placed_at_once(self) -> bool:
        """Put a whole folder where none is, or an empty one that nobody stands in."""
        exists = self.dst.exists()
        if exists and (any(self.dst.iterdir()) or os.path.samefile(self.dst, ".")):  # noqa: PTH121 - no path of it
            return False
        if any(files_below(self.stage)):
            written = placing.names_below(self.stage)
            placing.write_manifest(self.stage / MANIFEST, written)
        try:
            if exists:
                shutil.copymode(self.dst, self.stage)
            self.stage.replace(self.dst)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            (self.stage / MANIFEST).unlink(missing_ok=True)  # somebody put a file there just now
            return False
        return True


def refuse_existing(dst: Path, layout: Layout, *, overwrite: bool) -> None:
    """Raise UsageError where `dst` exists and may not be replaced."""
    _refuse_kind(dst, layout)
    exists = dst.exists() and (layout == "file" or any(one.name != STAGE for one in dst.iterdir()))
    if exists and not overwrite:
        hint = (
            "--overwrite replaces what bboxconv wrote there before" if layout == "folder" else "--overwrite replaces it"
        )
        raise UsageError.of("output-exists", "the output exists", where=str(dst), hint=hint)


def _refuse_kind(dst: Path, layout: Layout) -> None:
    if is_special(dst):
        raise UsageError.of(
            "special-file", "the output is a device or a pipe, which is never replaced", where=str(dst), hint=SPECIAL
        )
    if layout == "file" and dst.is_dir():
        raise UsageError.of(
            "output-is-folder", "the output is a folder, and this format writes one file", where=str(dst)
        )
    if layout == "folder" and dst.exists() and not dst.is_dir():
        raise UsageError.of("output-is-file", "the output is a file, and this format writes a folder", where=str(dst))


def _refuse_still(dst: Path, layout: Layout, overwrite: bool, seen: Findings) -> None:
    """As `refuse_existing`; the error tells as well what was done to the leftovers of a killed run."""
    try:
        refuse_existing(dst, layout, overwrite=overwrite)
    except UsageError as error:
        raise UsageError([*seen, *error.diagnostics]) from None


def _stage_folder(dst: Path) -> Path:
    """The staging folder of a destination: beside it, or in it where nothing can be moved in from there. Its name
    follows from that of the destination, so that the next run finds it."""
    beside = dst.parent
    if dst.is_dir():
        here = dst.stat().st_dev == beside.stat().st_dev and os.access(beside, os.W_OK | os.X_OK)
        if dst == beside or not here:
            return dst / STAGE
    name = os.fsencode(dst.name)
    if len(name) + len(STAGE) < _LONGEST:
        return beside / f".{dst.name}{STAGE}"
    from hashlib import sha256  # noqa: PLC0415 - names are short

    return beside / f".{sha256(name).hexdigest()[:32]}{STAGE}"


def _recover(folder: Path, dst: Path, target: Path) -> Findings:
    """Complete or remove what a killed run left. Raises OutputError where it cannot be completed."""
    seen = Findings()
    if all(one.name == LOCK for one in folder.iterdir()):
        return seen
    completed = False
    for journal in sorted(folder.glob(f"*{_JOURNAL}")):
        if not target.is_dir():  # somebody removed what was to be completed
            break
        stage = journal.with_suffix("") / (target.name or "output")
        try:
            placed = placing.complete(stage, target, journal)
        except OSError as error:
            raise _unfinished(error, dst, folder) from error
        seen.merge(_of_placed(placed, dst))
        completed = True
    if completed:
        message = "a run was killed while it moved its files into this folder; they were moved first"
        seen.add("output-completed", message, severity="note", where=str(dst))
    else:
        message = "what a run left that was killed was removed; the output was as before"
        seen.add("staging-cleared", message, severity="note", where=str(dst))
    _empty(folder)
    return seen


def _of_placed(placed: placing.Placed, dst: Path) -> Iterator[Diagnostic]:
    seen = Findings()
    for name in placed.left:
        message = "a file that bboxconv did not write appeared while files were moved; it stays, ours is not written"
        seen.add("foreign-file", message, severity="warning", where=str(dst / name))
    for name in placed.missing:
        message = "a file that was to be moved into the folder is gone: somebody removed it"
        seen.add("output-incomplete", message, severity="warning", where=str(dst / name))
    return iter(seen)


def _unfinished(error: OSError, dst: Path, folder: Path) -> OutputError:
    return OutputError.of(
        "output-unfinished",
        f"files could not all be moved into the folder: {error.strerror or error}",
        where=str(dst),
        detail=str(error.filename2 or error.filename or ""),
        hint=f"the next run on this folder moves the rest, which waits in {folder}",
    )


@contextmanager
def _told(dst: Path, look: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Errors of the system as OutputError; `look` may raise what is behind them."""
    try:
        yield
    except OSError as error:
        look()
        where = str(error.filename or dst)
        message = f"cannot write: {error.strerror or error}"
        raise OutputError.of("write-failed", message, where=str(dst) if STAGE in where else where) from error


def _to_the_end(work: Callable[[], object]) -> None:
    """Do what may be done twice; Ctrl-C is heard after it."""
    try:
        work()
    except KeyboardInterrupt:
        work()
        raise


def _empty(folder: Path) -> None:
    with suppress(FileNotFoundError):
        for one in folder.iterdir():
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one, ignore_errors=True)
            elif one.name != LOCK:
                one.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
