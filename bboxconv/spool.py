"""Record batches held back until the stream can go on, and put in order by image: in memory up to a budget, beyond it
and between processes in a file without a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.shelf import Left, Shelf, Unnamed


@dataclass(frozen=True, slots=True)
class Slip:
    """A batch that is held: where it is, how many rows and bytes it has."""

    rows: int
    size: int
    batch: pa.RecordBatch | None = None
    left: Left | None = None

    def load(self) -> pa.RecordBatch:
        """The batch."""
        if self.left is None:
            return self.batch
        with pa.ipc.open_stream(pa.py_buffer(self.left.read())) as reader:
            return reader.read_next_batch()


def leave(batches: Sequence[pa.RecordBatch], shelf: Shelf) -> list[Slip]:
    """Put batches on a shelf. Raises OutputError where it cannot take them."""
    if not shelf.path:
        return [Slip(batch.num_rows, batch.nbytes, batch) for batch in batches]
    lefts = shelf.leave([_serialized(batch) for batch in batches])
    return [Slip(batch.num_rows, left.size, None, left) for batch, left in zip(batches, lefts, strict=True)]


def _serialized(batch: pa.RecordBatch) -> memoryview:
    text = pa.BufferOutputStream()
    with pa.ipc.new_stream(text, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(text.getvalue())


@dataclass(frozen=True, slots=True)
class Slips(Sequence[Slip]):
    """Slips of which there may be very many: those whose batches lie in one file take 24 bytes each."""

    others: tuple[Slip, ...] = ()
    file: Left | None = None
    """The file, as where its first batch lies."""
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64), compare=False)
    """Rows, bytes and start (N, 3) of each batch in the file."""

    @classmethod
    def of(cls, slips: Sequence[Slip]) -> Slips:
        """The same slips."""
        lefts = [slip.left for slip in slips if slip.left is not None and slip.left.path]
        if not lefts or len({left.path for left in lefts}) > 1 or len(lefts) < len(slips):
            return cls(tuple(slips))
        rows = [slip.rows for slip in slips]
        places = np.column_stack([rows, [left.size for left in lefts], [left.start for left in lefts]])
        return cls((), lefts[0], places.astype(np.int64))

    def __len__(self) -> int:
        return len(self.others) + len(self.places)

    @overload
    def __getitem__(self, number: int) -> Slip: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Slip]: ...
    def __getitem__(self, number: int | slice) -> Slip | Sequence[Slip]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if self.file is None:
            return self.others[number]
        rows, size, start = self.places[number].tolist()
        return Slip(rows, size, None, replace(self.file, size=size, start=start))


@dataclass(slots=True)
class Spool:
    """Holds batches as long as it lives."""

    memory: int
    """The budget in bytes for what is held in memory."""
    rows: int = 0
    size: int = 0
    """The bytes of all batches together."""
    _in_memory: int = 0
    _file: Unnamed | None = None

    def keep(self, batch: pa.RecordBatch) -> Slip:
        """Hold a batch. Raises OutputError where the disk cannot take it."""
        return self.take(Slip(batch.num_rows, batch.nbytes, batch))

    def take(self, slip: Slip) -> Slip:
        """Hold what a task left on `shelf`, or sent."""
        self.rows += slip.rows
        self.size += slip.size
        if slip.left is not None:
            return replace(slip, left=replace(slip.left, owner=self._file))
        self._in_memory += slip.size
        if self._in_memory <= self.memory:
            return slip
        self._in_memory -= slip.size
        return leave([slip.load()], self._open().own_shelf)[0]

    def take_all(self, slips: Slips) -> Slips:
        """Hold all that a task left."""
        if slips.file is None:
            return Slips.of([self.take(slip) for slip in slips.others])
        rows, size, _ = slips.places.sum(axis=0).tolist()
        self.rows += rows
        self.size += size
        return replace(slips, file=replace(slips.file, owner=self._file))

    def shelf(self, *, apart: bool) -> Shelf:
        """Where tasks leave batches, whether they run in this process or `apart` from it."""
        return self._open(shared=True).shelf if apart else Shelf()

    def _open(self, *, shared: bool = False) -> Unnamed:
        if self._file is None:
            self._file = Unnamed.open(shared=shared)
        return self._file


PARTITION = 16 << 20
"""About how many bytes are ordered at once: a process needs some three times as much for it."""
MOST = 256
"""Partitions at most: each holds a piece of every block, and pieces must not become too small to read."""
_IMAGE = "image number"


def width_of(images: int, expected: int, step: int) -> int:
    """How many images a partition has, where about `expected` bytes of rows will come: a multiple of `step`, unless
    that many images have more rows than a partition should."""
    parts = max(1, min(MOST, -(-expected // PARTITION)))
    width = max(1, -(-images // parts))
    if parts == 1:
        return -(-width // step) * step
    return max(1, width // step) * step if 2 * width > step else width


def divided(batch: pa.RecordBatch, image: NDArray[np.int64], width: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows in any order, and the number (N,) of the image of each: the number of each partition that has rows, and
    these, in the order of their images and within one as they came."""
    if not batch.num_rows:
        return
    batch = batch.append_column(_IMAGE, pa.array(image.astype(np.int32)))
    if (image[1:] < image[:-1]).any():
        order = np.argsort(image, kind="stable")
        batch, image = batch.take(pa.array(order)), image[order]
    part = image // width
    edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(part)]
    for start, stop in pairwise(edges):
        yield int(part[start]), batch.slice(start, stop - start)


def in_order(pieces: Iterable[pa.RecordBatch]) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """The rows of one partition, from the pieces of all blocks in their order: by image, within one as they came, and
    the number (N,) of the image of each. A column that a piece does not have is null there."""
    batch = _together(pieces)
    at = batch.schema.get_field_index(_IMAGE)
    image = batch.column(at).to_numpy()
    batch = batch.select([n for n in range(batch.num_columns) if n != at])
    if (image[1:] < image[:-1]).any():
        order = np.argsort(image, kind="stable")
        batch, image = batch.take(pa.array(order)), image[order]
    return batch, image.astype(np.int64)


def _together(pieces: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """All pieces as one batch; nothing of a piece is held any longer."""
    held = list(pieces)
    kind = held[0].schema
    if all(piece.schema.equals(kind) for piece in held):
        return pa.concat_batches(held)
    table = pa.concat_tables([pa.Table.from_batches([piece]) for piece in held], promote_options="default")
    (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return batch
