"""Files and folders: reading and writing what may be compressed, and names that are safe to write."""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa

from bboxconv.errors import OutputError, UsageError
from bboxconv.names import Names
from bboxconv.unpacking import unpacked

COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
BOM = b"\xef\xbb\xbf"
HEAD = 1 << 16
CLASH = (FileExistsError, NotADirectoryError, IsADirectoryError)
"""What making a file or folder raises where another is in the way."""
SPECIAL = "name a file; - is standard input or output"
"""What to do about a device or a pipe."""
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
"""How small files are opened: a pipe of such a name must not stop the run."""
LONGEST = 2000
"""Bytes of a relative path at most: with the folders before it, a system takes 4,096, and some 1,024."""
RESERVED = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.[^/]*)?(?:/|$)", re.IGNORECASE)
"""A name with a part that Windows takes for a device."""
USUAL_NAME = re.compile(r"\w[\w .-]{0,99}(?:/\w[\w .-]{0,99})*", re.ASCII)
"""A name of which that is all to ask, as of nearly all."""
MANIFEST = ".bboxconv-manifest"
"""In an output folder: the files that bboxconv wrote, which `--overwrite` may replace."""


def compression_of(path: Path) -> str | None:
    """`gzip` or `zstd` by the first bytes of a file, whatever its name; None where it is neither."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)


def open_input(path: Path, max_expansion: float | None = None, shown: str = "") -> BinaryIO:
    """Open a file for reading, decompressed. Reading compressed input raises OSError where it is cut off, and DataError
    where it unpacks to more than `max_expansion` times its size: None is the ratio of `unpacking.RATIOS`, 0 none.
    """
    name = compression_of(path)
    return path.open("rb") if name is None else unpacked(path, name, max_expansion, shown or str(path))


def open_output(path: Path) -> BinaryIO:
    """Open a file for writing, compressed where its name ends with .gz or .zst. The same bytes in give the same bytes
    out.
    """
    name = COMPRESSION.get(path.suffix.lower())
    return cast(
        BinaryIO, path.open("wb") if name is None else pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), name)
    )


@contextmanager
def given_file(path: Path) -> Iterator[None]:
    """While a file is read that a flag names: UsageError where there is none, OutputError where reading fails."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError.of("path-not-found", "there is no such file", where=str(path)) from error
    except OSError as error:
        raise OutputError.of(
            "read-failed", f"the file cannot be read: {error.strerror or error}", where=str(path)
        ) from error


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in a folder: of files, in code-point order, of folders, of whatever else; links are followed."""

    files: Names
    folders: tuple[str, ...]
    others: tuple[str, ...]

    def ending(self, suffix: str) -> Names:
        """The files of a suffix (`.xml`), large or small, in order."""
        return self.files.ending(suffix)

    def starting(self, start: str) -> tuple[str, ...]:
        """The files whose names start so, in order."""
        after = start[:-1] + chr(ord(start[-1]) + 1)
        return self.files[bisect_left(self.files, start) : bisect_left(self.files, after)]


def listing(folder: str | Path) -> Listing:
    """What is in a folder. Each format looks into it to know its own, and there may be 100,000 files in
    it: the last ones are remembered, as many as a tree of images and labels with three splits has, and some.

    Raises OSError where it cannot be read.
    """
    path = os.path.realpath(folder)
    return _listing(path, os.stat(path).st_mtime_ns)  # noqa: PTH116 - half the time of a path


@lru_cache(maxsize=16)
def _listing(folder: str, changed: int) -> Listing:
    folders: list[str] = []
    others: list[str] = []

    def files() -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_file():
                        yield entry.name
                    else:
                        (folders if entry.is_dir() else others).append(entry.name)
                except OSError:  # a link to itself
                    others.append(entry.name)

    names = Names.of(files()).sorted()
    return Listing(names, tuple(folders), tuple(others))


def read_small(path: str) -> bytes:
    """The bytes of a file that is likely small, in as few calls as can be: there may be 100,000 of them."""
    file = os.open(path, READ)
    try:
        data = os.read(file, HEAD)
        if not data and not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        if len(data) < HEAD:
            return data
        if not stat.S_ISREG(os.fstat(file).st_mode):  # a device may never end
            raise OSError(errno.EINVAL, "Not a regular file", path)
        chunks = [data]
        while chunk := os.read(file, 1 << 22):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(file)


def read_range(path: str, start: int, stop: int) -> bytes:
    """The bytes of a plain file from `start` to `stop`, fewer where it ends."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.pread(file, stop - start, start)
    finally:
        os.close(file)


def write_new(path: str, data: bytes | memoryview) -> None:
    """Write a small file; raises one of CLASH where another stands there, or a file where its folder would be."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        done = os.write(file, data) if data else 0
        while done < len(data):
            done += os.write(file, memoryview(data)[done:])
    finally:
        os.close(file)


def head(path: Path) -> bytes:
    """The first 64 kB of a file, decompressed; nothing for a folder."""
    if path.is_dir():
        return b""
    with open_input(path) as file:
        return file.read(HEAD)


def base_suffix(path: Path) -> str:
    """The extension of a name without that of its compression: `.json` for `a.json.gz`."""
    name = path.name.lower()
    for suffix in COMPRESSION:
        name = name.removesuffix(suffix)
    return PurePosixPath(name).suffix


def plain_path(name: str) -> str:
    """A relative path without the parts that name no folder of their own: `a.jpg` for `./a.jpg`. Two spellings of one
    file must not pass for two.
    """
    if "//" not in name and "./" not in name:
        return name
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def unsafe_name(name: str) -> str | None:
    """Why a relative path from a data set must not be joined to an output folder; None where it may.

    Names are written with `/` between parts; a backslash is refused as it separates parts elsewhere.
    """
    if USUAL_NAME.fullmatch(name) and len(name) <= LONGEST and not RESERVED.search(name):
        return None
    if not name:
        return "is empty"
    if "\0" in name:
        return "holds a NUL"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        return "is absolute"
    if "\\" in name:
        return "holds a backslash"
    parts = name.split("/")
    if ".." in parts:
        return "leads out of the folder"
    if parts[-1] in ("", "."):
        return "is that of a folder"
    if RESERVED.search(name):
        return "has a part that Windows reserves"
    if any(len(os.fsencode(part)) > 250 for part in parts):
        return "has a part longer than 250 bytes"
    if len(name) > LONGEST // 4 and len(os.fsencode(name)) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    return None


def is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket: renaming onto one replaces it, reading one may never end."""
    return path.exists() and not path.is_file() and not path.is_dir()


def size_of(path: Path) -> tuple[int, int]:
    """How many files there are below a path, and their bytes together."""
    if not path.is_dir():
        return 1, path.stat().st_size
    sizes = [entry.stat().st_size for name, entry in files_below(path) if name != MANIFEST]
    return len(sizes), sum(sizes)


def files_below(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files and links below a folder, by relative name with `/`: there may be 100,000 of them."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{inside}{entry.name}/")
                else:
                    yield inside + entry.name, entry
