"""Text files of one record a line, cut into blocks of whole lines that can be read on any core.

Lines end with `\\n`. What else may stand around a record is white space to its decoder: a `\\r` before the end, blank
lines; the byte order mark is taken off here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bboxconv.errors import DataError
from bboxconv.io import BOM, compression_of, open_input, read_range

BLOCK = 4 << 20
_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines: a range of a plain file, which the task reads by itself, or the bytes of a compressed one.
    Positions are those in the decompressed text."""

    path: str
    start: int
    stop: int
    data: bytes | None = None

    def read(self) -> bytes:
        """The bytes of the lines, without a byte order mark."""
        data = read_range(self.path, self.start, self.stop) if self.data is None else self.data
        return data.removeprefix(BOM) if self.start == 0 else data


@contextmanager
def _opened(path: Path, max_expansion: float | None, shown: str) -> Iterator[BinaryIO]:
    """An open file, decompressed. Raises DataError where its compression is broken, or a bomb."""
    packed = compression_of(path)
    try:
        with open_input(path, max_expansion, shown) as file:
            yield file
    except OSError as error:
        if packed is None:
            raise
        message = f"cannot decompress: not a whole {packed} file"
        raise DataError.of("bad-compression", message, where=shown or str(path)) from error


def first_line(path: Path, max_expansion: float | None = None, *, shown: str = "") -> tuple[bytes, int, int]:
    """The first line that is not blank, its number from 1, and the position where the next one starts.

    The line is empty where there is none. `shown` is the file in messages, its path where that is empty.

    Raises DataError where the file's compression is broken, or unpacks to more than `max_expansion` says
    (`io.open_input`).
    """
    data = bytearray()
    with _opened(path, max_expansion, shown) as file:
        while more := file.read(
            max(1 << 16, len(data))
        ):  # doubling, so that one endless line is not searched again and again
            data += more
            start = len(data) - len(data.removeprefix(BOM).lstrip(_SPACE))
            if data.find(b"\n", start) >= 0:
                break
    start = len(data) - len(data.removeprefix(BOM).lstrip(_SPACE))
    stop = data.find(b"\n", start) + 1 or len(data)
    return bytes(data[start:stop].rstrip(_SPACE)), data.count(b"\n", 0, start) + 1, stop


def blocks(
    path: Path, start: int = 0, size: int = BLOCK, max_expansion: float | None = None, *, shown: str = ""
) -> Iterator[Block]:
    """The lines from position `start` on, in blocks of about `size` bytes; a longer line is a block of its own.

    Raises DataError as `first_line`.
    """
    if compression_of(path) is None:
        with path.open("rb") as file:
            while True:
                file.seek(start + size - 1)
                file.readline()  # to the end of the line in which the block's last byte lies
                stop = min(file.tell(), os.fstat(file.fileno()).st_size)
                if stop <= start:
                    return
                yield Block(str(path), start, stop)
                start = stop
    with _opened(path, max_expansion, shown) as file:
        _skip(file, start)
        rest = b""
        while more := file.read(max(size, len(rest))):
            cut = more.rfind(b"\n") + 1
            if not cut:
                rest += more
                continue
            data = rest + more[:cut]
            yield Block(str(path), start, start + len(data), data)
            start, rest = start + len(data), more[cut:]
        if rest:
            yield Block(str(path), start, start + len(rest), rest)


def _skip(file: BinaryIO, size: int) -> None:
    while size and (skipped := len(file.read(min(size, BLOCK)))):
        size -= skipped
