"""What the tests with other people's tools share: JSON files as they stand, and pictures.

The tools are in the extra `peers`; a test whose tool is not installed is skipped and says so.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def load() -> Callable[[Path], dict[str, Any]]:
    """A JSON file as the standard library reads it."""
    return lambda path: json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def picture() -> Callable[[Path, int, int], None]:
    """Write a black picture: a PNG whatever the extension, which every tool here knows by its content."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def write(path: Path, width: int, height: int) -> None:
        header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
        rows = zlib.compress((b"\0" + bytes((width + 7) // 8)) * height)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))

    return write
