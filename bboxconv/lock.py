"""A lock on a folder that goes with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import platform
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bboxconv.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME = "lock"
"""The file in the folder that is locked."""
_TRIES = 100
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that knows no locks."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A folder that this process alone uses."""

    folder: Path
    file: int

    @property
    def holds(self) -> bool:
        """Whether the folder is still the one that was locked: somebody may have removed it, and another run may have
        made it again."""
        return _is_at(self.file, self.folder / NAME)

    def release(self) -> None:
        """Let go; the folder goes too, where nothing else is in it."""
        try:
            if self.holds:
                with suppress(OSError):
                    (self.folder / NAME).unlink()
                    self.folder.rmdir()
        finally:
            if sys.platform != "win32":
                with suppress(OSError):  # not by closing alone: a child of this process may hold the file open
                    fcntl.flock(self.file, fcntl.LOCK_UN)
            os.close(self.file)


def take(folder: Path, shown: str) -> Lock:
    """Make the folder where it is not there, and lock it. `shown` is the output that it is for, for messages.

    Raises OutputError where another process, or another thread, holds it, or where it is another user's; OSError where
    it cannot be made.
    """
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            _refuse_stranger(folder, shown)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            file = os.open(folder / NAME, flags, 0o600)  # not inherited by processes that are started
        except FileNotFoundError:  # who had it has just removed it
            continue
        lock = Lock(folder, file)
        try:
            if not _hold(file):
                raise _busy(shown, os.pread(file, 200, 0).decode("ascii", "replace"))
        except BaseException:
            os.close(file)
            raise
        try:
            if lock.holds:
                os.ftruncate(file, 0)
                os.pwrite(file, f"{os.getpid()} {_started(os.getpid())} {platform.node()}".encode(), 0)
                return lock
        except BaseException:  # a full disk
            lock.release()
            raise
        os.close(file)
    raise _busy(shown, "")


def _busy(shown: str, holder: str) -> OutputError:
    number = holder.partition(" ")[0]
    return OutputError.of(
        "output-busy",
        "another run is writing this output",
        where=shown,
        detail=f"process {number}" if number.isdecimal() else "",
        hint="wait for it to end, or write to another place",
    )


def _refuse_stranger(folder: Path, shown: str) -> None:
    """In a folder that all may write to, another user may have made what is to be ours."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
        message = "what stands where the output is put together was not made by this user"
        raise OutputError.of("staging-foreign", message, where=shown, detail=str(folder), hint="remove it")


def _hold(file: int) -> bool:
    """Lock the file; False where another has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return not _alive(os.pread(file, 200, 0).decode("ascii", "replace"))
    return True


def _alive(holder: str) -> bool:
    """Whether the process that wrote this is there. That of another machine is taken to be: nobody can tell."""
    number, _, rest = holder.partition(" ")
    start, _, machine = rest.partition(" ")
    if not number.isdecimal():
        return False
    return machine != platform.node() or _started(int(number)) == start


def _started(process: int) -> str:
    """When a process was started, as the system counts it: the number alone may be another's by now. Nothing where
    there is none, `-` where the system does not tell."""
    try:
        return (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists() or sys.platform == "win32":
            return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return "-"
    return "-"


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False
