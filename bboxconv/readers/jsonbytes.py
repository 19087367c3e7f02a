"""The bytes of a JSON document by position, from a plain file or a compressed one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from bboxconv.io import open_input


class PlainText:
    """A plain file: whoever reads a block opens it and reads the range."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO = path.open("rb")
        self.size: int | None = os.fstat(self.file.fileno()).st_size

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, fewer where the file ends."""
        return os.pread(self.file.fileno(), stop - start, start)

    def data(self, start: int, stop: int) -> bytes | None:
        """The bytes to hand to whoever reads a block; None where it can read the range itself."""
        return None

    def release(self, before: int) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class PackedText:
    """Decompressed text, held from the first byte that may be asked for again; about `keep` bytes more than that."""

    def __init__(self, path: Path, keep: int, max_expansion: float | None, shown: str) -> None:
        self.path = path
        self.keep = keep
        self.file = open_input(path, max_expansion, shown)
        self.size: int | None = None
        self.held = bytearray()
        self.base = 0

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, fewer where the file ends."""
        while self.base + len(self.held) < stop:
            more = self.file.read(max(1 << 20, stop - self.base - len(self.held)))
            if not more:
                break
            self.held += more
        return bytes(self.held[start - self.base : stop - self.base])

    def data(self, start: int, stop: int) -> bytes | None:
        """The bytes to hand to whoever reads a block; None where it can read the range itself."""
        return self.read(start, stop)

    def release(self, before: int) -> None:
        """Nothing before this byte will be asked for again."""
        if before - self.base > self.keep:
            del self.held[: before - self.base]
            self.base = before

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()
