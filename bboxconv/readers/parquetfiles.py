"""What all readers of Parquet files do alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from bboxconv.errors import DataError

SMALL = 16 << 20
"""Bytes below which files are read in this process: others would take longer to start."""
BUFFER = 256 << 10
"""Bytes of a column that are read at once: else all of them would be held, packed, beside what they unpack to."""
MAGIC = b"PAR1"
"""What a file begins with, and ends."""


@contextmanager
def readable(where: str) -> Iterator[None]:
    """What goes wrong inside a file becomes a DataError."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:  # those of Arrow that are not its own are ValueErrors
        raise DataError.of(
            "bad-parquet", "the Parquet file cannot be read", where=where, detail=str(error).partition("\n")[0]
        ) from error
