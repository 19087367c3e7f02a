"""Files without a name, in which the processes of a run leave for each other what is too large to be sent.

Such a file is gone with the process that made it, however that ends. Other processes of the machine open it by its
path under /proc; where there is no such path, what would be left there is sent after all.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import IO, Generic, TypeVar

from bboxconv.errors import OutputError

T = TypeVar("T")
Buffer = bytes | memoryview

_CHUNK = 1 << 20
_LARGE = 1 << 16
"""Bytes from which on an array is mapped, not read."""
_FILES = 8
"""Files of a shelf that processes use at the same time."""


@dataclass(frozen=True, slots=True)
class Left:
    """Bytes that a task left: `size` of them, here as `data`, or from `start` on in the file at `path`."""

    size: int
    data: Buffer | None = None
    path: str = ""
    start: int = 0
    owner: object = field(default=None, compare=False, repr=False)
    """What keeps the file open; it is not sent."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Left, (self.size, self.data, self.path, self.start))

    def read(self) -> Buffer:
        """All the bytes."""
        if self.data is not None:
            return self.data
        file = os.open(self.path, os.O_RDONLY)
        try:
            data = os.pread(file, self.size, self.start)
            while len(data) < self.size:  # the system reads 2 GiB at a time
                data += os.pread(file, self.size - len(data), self.start + len(data))
            return data
        finally:
            os.close(file)

    def mapped(self) -> Buffer:
        """All the bytes, in memory that the processes of the machine have in common: for a file that is never
        cleared."""
        if self.data is not None or not self.size:
            return self.data or b""
        file = os.open(self.path, os.O_RDONLY)
        try:
            skip = self.start % mmap.ALLOCATIONGRANULARITY
            data = mmap.mmap(file, skip + self.size, access=mmap.ACCESS_READ, offset=self.start - skip)
        finally:
            os.close(file)
        return memoryview(data)[skip:]

    def copy_to(self, out: IO[bytes], skip: int = 0) -> None:
        """Write the bytes, without the first `skip`, to a file."""
        if self.data is not None:
            out.write(memoryview(self.data)[skip:])
            return
        file = os.open(self.path, os.O_RDONLY)
        try:
            for at in range(self.start + skip, self.start + self.size, _CHUNK):
                out.write(os.pread(file, min(_CHUNK, self.start + self.size - at), at))
        finally:
            os.close(file)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a task leaves bytes: in the file at `path`, or where that is empty in its result."""

    path: str = ""
    folder: str = ""
    """Where the file is, for messages."""
    others: tuple[str, ...] = ()
    """Further files: processes that append to one wait for each other."""
    owner: object = field(default=None, compare=False, repr=False)
    """What keeps the files open; it is not sent."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Shelf, (self.path, self.folder, self.others))

    def leave(self, texts: Iterable[Buffer]) -> list[Left]:
        """Leave each of these. Raises OutputError where the file cannot take them."""
        if not self.path:
            return [Left(len(text), text) for text in texts]
        try:
            paths = (self.path, *self.others)
            path = paths[os.getpid() % len(paths)]
            file = os.open(path, os.O_WRONLY | os.O_APPEND)  # several processes may be at it
            try:
                return [self._append(file, path, text) for text in texts]
            finally:
                os.close(file)
        except OSError as error:
            raise _full(error, self.folder) from error

    def _append(self, file: int, path: str, text: Buffer) -> Left:
        written = os.write(file, text)
        end = os.lseek(file, 0, os.SEEK_CUR)
        while written < len(text):  # more than 2 GiB, or a full disk, which the next call tells
            more = os.write(file, memoryview(text)[written:])
            if os.lseek(file, 0, os.SEEK_CUR) != end + more:
                raise OSError(0, "another process wrote in between")
            end, written = end + more, written + more
        return Left(len(text), None, path, end - written, self.owner)


@dataclass(slots=True, weakref_slot=True)
class Unnamed:
    """Files without a name that this process has opened."""

    files: tuple[FileIO, ...]
    folder: str

    @classmethod
    def open(cls, folder: Path | None = None, *, shared: bool = False) -> Unnamed:
        """In that folder, or the one for temporary files; one file, or several where processes write at the same
        time. Raises OutputError where the folder cannot take one."""
        place = str(folder) if folder is not None else _folder()
        try:
            files = tuple(
                tempfile.TemporaryFile(prefix="bboxconv-", buffering=0, dir=place)  # noqa: SIM115
                for _ in range(_FILES if shared else 1)
            )
        except OSError as error:
            raise _full(error, place) from error
        unnamed = cls(files, place)
        for file in files:
            weakref.finalize(unnamed, file.close)
        return unnamed

    @property
    def shelf(self) -> Shelf:
        """The shelf that the files are, for all processes of the machine; one that holds nothing where that cannot
        be."""
        path, *others = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in self.files]
        return Shelf(path, self.folder, tuple(others), self) if os.access(path, os.W_OK) else Shelf()

    @property
    def own_shelf(self) -> Shelf:
        """The shelf that the first file is for this process."""
        own = Shelf(f"/dev/fd/{self.files[0].fileno()}", self.folder, (), self)
        return self.shelf if self.shelf.path else own

    def clear(self) -> None:
        """Forget all that was left."""
        for file in self.files:
            file.truncate(0)


def _folder() -> str:
    return tempfile.gettempdir() if tempfile.tempdir is None else str(tempfile.tempdir)


def _full(error: OSError, folder: str) -> OutputError:
    beside = folder not in ("", _folder())
    return OutputError.of(
        "spill-failed",
        f"cannot hold data back on disk: {error.strerror or error}",
        where=folder,
        hint="the output takes twice its size there while it is written" if beside else "TMPDIR names another folder",
    )


@dataclass(frozen=True, slots=True)
class Shared(Generic[T]):
    """A value that many tasks need: sent with each as its place alone, loaded once in each process; of its large arrays
    there is one for all of them, which cannot be written to."""

    here: T | None
    left: tuple[Left, ...] = ()
    """The pickled value, and its arrays."""
    token: bytes = b""

    def get(self) -> T:
        """The value."""
        if not self.left:
            assert self.here is not None
            return self.here
        value: T = _load(self.left, self.token)
        return value

    def __reduce__(self) -> tuple[object, ...]:
        return (Shared, (self.here, self.left, self.token))


def share(value: T, shelf: Shelf) -> Shared[T]:
    """Put a value on a shelf that is not cleared, for the tasks of other processes; as it is where the shelf holds
    nothing."""
    if not shelf.path:
        return Shared(value)
    arrays: list[memoryview] = []

    def apart(buffer: pickle.PickleBuffer) -> bool:
        large = buffer.raw().nbytes >= _LARGE
        if large:
            arrays.append(buffer.raw())
        return not large

    text = pickle.dumps(value, pickle.HIGHEST_PROTOCOL, buffer_callback=apart)
    return Shared(None, tuple(shelf.leave([text, *arrays])), os.urandom(8))


@lru_cache(maxsize=2)
def _load(left: tuple[Left, ...], token: bytes) -> T:  # type: ignore[type-var]
    text, *arrays = left
    value: T = pickle.loads(text.read(), buffers=[array.mapped() for array in arrays])
    return value
