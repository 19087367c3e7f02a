"""Record batches held back until the stream can go on: in memory up to a budget, beyond it in a file.

The file has no name from the moment that it is open, so nothing stays behind however the run ends.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.errors import OutputError


@dataclass(slots=True, weakref_slot=True)
class Spool:
    """Batches in the order in which they were appended; read as often as wanted once `append` is over."""

    memory: int
    """The budget in bytes for what is held in memory."""
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _bytes: int = 0
    _file: FileIO | None = None
    _places: list[tuple[int, int]] = field(default_factory=list)
    _end: int = 0
    rows: int = 0
    size: int = 0
    """The bytes of all batches together."""

    def append(self, batch: pa.RecordBatch) -> None:
        """Hold a batch. All batches have one schema.

        Raises OutputError where the file cannot take it.
        """
        self._held.append(batch)
        self._bytes += batch.nbytes
        self.size += batch.nbytes
        self.rows += batch.num_rows
        if self._bytes > self.memory:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="bboxconv-", buffering=0)  # noqa: SIM115 - lives as long as the spool
                weakref.finalize(self, self._file.close)
            for batch in self._held:
                text = pa.BufferOutputStream()
                with pa.ipc.new_stream(text, batch.schema) as writer:
                    writer.write_batch(batch)
                self._write(memoryview(text.getvalue()))
        except OSError as error:
            raise OutputError.of(
                "spill-failed",
                f"cannot hold data back on disk: {error.strerror or error}",
                where=tempfile.gettempdir(),
                hint="TMPDIR names another folder",
            ) from error
        self._held.clear()
        self._bytes = 0

    def _write(self, data: memoryview) -> None:
        assert self._file is not None
        self._places.append((self._end, len(data)))
        self._end += len(data)
        while data:
            data = data[self._file.write(data) :]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for place, size in self._places:
            assert self._file is not None
            with pa.ipc.open_stream(os.pread(self._file.fileno(), size, place)) as reader:
                yield reader.read_next_batch()
        yield from self._held


PARTITION = 64 << 20
"""About how many bytes are ordered at once: a sort and a take over more would need twice that memory, and string
columns of 2 GiB overflow their offsets.
"""


@dataclass(slots=True)
class ByImage:
    """Rows in any order, given back ordered by image and, within an image, in the order in which they came.

    Rows are first divided into ranges of images, each in a spool of its own, and then ordered range by range.
    """

    images: int
    """How many images there are; rows name them by number."""
    expected: int
    """About how many bytes of rows will come."""
    memory: int
    step: int
    """Ranges are multiples of this many images."""
    rows: int = 0
    _width: int = 0
    _parts: list[Spool] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = max(1, min(256, -(-self.expected // PARTITION)))
        self._width = max(1, -(-self.images // (parts * self.step))) * self.step
        count = max(1, -(-self.images // self._width))
        self._parts = [Spool(self.memory // count) for _ in range(count)]

    def add(self, batch: pa.RecordBatch, image: NDArray[np.int64]) -> None:
        """Rows and the number (N,) of the image of each."""
        self.rows += batch.num_rows
        if not batch.num_rows:
            return
        batch = batch.append_column(_IMAGE, pa.array(image))
        if len(self._parts) == 1:
            self._parts[0].append(batch)
            return
        part = image // self._width
        if (part[1:] < part[:-1]).any():
            order = np.argsort(part, kind="stable")
            batch, part = batch.take(pa.array(order)), part[order]
        edges = np.flatnonzero(np.diff(part)) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(part)], strict=True):
            piece = batch.slice(start, stop - start)
            # a slice would keep the whole batch alive, and be counted whole where it is spilled
            self._parts[int(part[start])].append(pa.concat_batches([piece, piece.slice(0, 0)]) if len(edges) else piece)

    def ranges(self) -> Iterator[tuple[int, int, pa.RecordBatch | None, NDArray[np.int64]]]:
        """For each range of images: its first and last image (exclusive), its rows in order (None where there are
        none) and the image number (N,) of each.
        """
        for number, part in enumerate(self._parts):
            first = number * self._width
            last = min(self.images, first + self._width)
            batches = list(part)
            if not batches:
                yield first, last, None, np.zeros(0, np.int64)
                continue
            batch = pa.concat_batches(batches)
            image = batch.column(_IMAGE).to_numpy()
            batch = batch.select(range(batch.num_columns - 1))
            if (image[1:] < image[:-1]).any():
                order = np.argsort(image, kind="stable")
                batch, image = batch.take(pa.array(order)), image[order]
            yield first, last, batch, image


_IMAGE = "image number"
