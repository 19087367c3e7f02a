"""Compressed input, unpacked as it is read; and compression bombs, refused before they take memory or disk.

Annotations, however much they repeat, unpack to at most some 150 times their size from gzip and 900 from zstd, which
finds what is far apart; a bomb to 1,029 and to 30,000 times. What counts is a stretch, wherever it lies: more than
SPARE bytes on end that come of so few. Small files are no bombs, whatever their ratio.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from bboxconv.errors import DataError

RATIOS: Mapping[str, int] = {"gzip": 250, "zstd": 2500}
"""To how many times its size input may unpack, where the user does not say."""
SPARE = 50_000_000
"""Bytes that may come of anything."""
_STEP = 1 << 20
"""Bytes that are unpacked at once at most."""


def bomb(unpacked: int, packed: int, most: float, where: str) -> DataError:
    """The error for `packed` bytes of which come so many `unpacked` ones."""
    return DataError.of(
        "compression-bomb",
        f"compressed data unpacks to more than {most:,.0f} times its size",
        where=where,
        detail=f"{unpacked:,} bytes of {packed:,} so far, {unpacked / packed:,.0f} times",
        hint="--max-expansion takes a higher ratio, and 0 for none, where you trust the file",
    )


def most_of(compression: str, max_expansion: float | None) -> float:
    """The ratio that holds for a compression, where the user says `max_expansion` (None: nothing, 0: no limit)."""
    most = RATIOS[compression] if max_expansion is None else max_expansion
    return most or float("inf")


def unpacked(path: Path, compression: str, max_expansion: float | None, shown: str) -> BinaryIO:
    """Open a compressed file for reading, unpacked. Reading raises OSError where it is broken or cut off, and DataError
    where it is a bomb.
    """
    source = _Packed(path.open("rb", buffering=0))
    stream = pa.CompressedInputStream(pa.PythonFile(source, "r"), compression)
    return cast(BinaryIO, io.BufferedReader(_Unpacked(source, stream, most_of(compression, max_expansion), shown)))


class _Packed:
    """A file of which is known how much was taken."""

    def __init__(self, file: io.RawIOBase) -> None:
        self.file = file
        self.taken = 0
        self.last = 0
        """Bytes that were taken at once: some of them may not be unpacked yet, all before them are."""

    def read(self, size: int) -> bytes:
        """Take bytes."""
        data = self.file.read(size) or b""
        if data:
            self.taken += len(data)
            self.last = len(data)
        return data

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self.file.closed

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class _Unpacked(io.RawIOBase):
    """What comes of it, weighed as it comes."""

    def __init__(self, source: _Packed, stream: pa.NativeFile, most: float, shown: str) -> None:
        self.source = source
        self.stream = stream
        self.most = most
        self.shown = shown
        self.begin = 0
        """Where the stretch that is weighed begins, in the source."""
        self.length = 0
        """Bytes that have come of it."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Unpack as many bytes as fit, a step at most."""
        count: int = self.stream.readinto(memoryview(buffer)[:_STEP])
        self.length += count
        done = self.source.taken - self.source.last
        if done > self.begin and self.length <= self.most * (done - self.begin):  # no bomb: a new stretch begins
            self.begin, self.length = done, 0
        packed = self.source.taken - self.begin
        if self.length > SPARE and self.length > self.most * packed:
            raise bomb(self.length, packed, self.most, self.shown)
        return count

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self.stream.close()
            self.source.close()
            super().close()
