"""What all tests share, and the real data for those that need it."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

import bboxconv
from bboxconv.report import Report

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("bboxconv", deadline=None)  # a busy machine is no failure
settings.load_profile("bboxconv")


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the real data sets: other people's files, kept outside the repository.

    BBOXCONV_REAL_DATA names it, else it is ../shared/data; where it is absent, the test is skipped.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BBOXCONV_REAL_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real annotation data in {folder} (set BBOXCONV_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def convert() -> Callable[..., Report]:
    """`bboxconv.convert`, in the one place where these tests call it."""
    return bboxconv.convert


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
