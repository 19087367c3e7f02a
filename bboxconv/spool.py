"""Record batches held back until the stream can go on, and put in order by image: in memory up to a budget, beyond it
and between processes in a file without a name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.shelf import Left, Shelf, Unnamed

_LARGE = 1 << 20
"""Bytes from which on a batch is measured before it is written to memory."""
_ROWS = 256
"""About how many rows are brought in order at once, where all together need not be."""


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


def leave(batches: Iterable[pa.RecordBatch], shelf: Shelf) -> list[Slip]:
    """Put batches on a shelf, one after the other. Raises OutputError where it cannot take them."""
    if not shelf.path:
        return [Slip(batch.num_rows, batch.nbytes, batch) for batch in batches]
    rows: list[int] = []

    def texts() -> Iterator[memoryview]:
        for batch in batches:
            rows.append(batch.num_rows)
            yield _serialized(batch)

    lefts = shelf.leave(texts())
    return [Slip(number, left.size, None, left) for number, left in zip(rows, lefts, strict=True)]


def _serialized(batch: pa.RecordBatch) -> memoryview:
    if batch.nbytes < _LARGE:
        text = pa.BufferOutputStream()
        _write(batch, text)
        return memoryview(text.getvalue())
    counter = pa.MockOutputStream()  # else it is copied over and over as it grows
    _write(batch, counter)
    room = pa.allocate_buffer(counter.size())
    _write(batch, pa.FixedSizeBufferWriter(room))
    return memoryview(room)


def _write(batch: pa.RecordBatch, out: pa.NativeFile) -> None:
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)


@dataclass(frozen=True, slots=True)
class Slips(Sequence[Slip]):
    """Slips of which there may be very many: those whose batches lie in one file, or are the rows of one, take 24 bytes
    each."""

    others: tuple[Slip, ...] = ()
    file: Left | None = None
    """The file, as where its first batch lies."""
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64), compare=False)
    """Rows, bytes and start (N, 3) of each batch in the file, or in `whole`; there bytes are not counted."""
    whole: pa.RecordBatch | None = None
    """A batch of which each is some rows."""

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
        if self.others:
            return self.others[number]
        rows, size, start = self.places[number].tolist()
        if self.file is not None:
            return Slip(rows, size, None, replace(self.file, size=size, start=start))
        assert self.whole is not None
        piece = pa.concat_batches([self.whole.slice(start, rows)])  # these rows alone: it may be sent
        return Slip(rows, piece.nbytes, piece)


def leave_parts(batch: pa.RecordBatch, part: NDArray[np.int64], shelf: Shelf) -> tuple[NDArray[np.int64], Slips]:
    """Put the rows of a batch on a shelf by the part (N,) of each, in it as they came, without a copy of them all: the
    parts (P,) that have rows, in order, and what was left of each. Raises OutputError where it cannot take them."""
    order = np.argsort(part, kind="stable")
    part = part[order]
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    edges = [*starts.tolist(), len(part)]
    if shelf.path:
        return part[starts], Slips.of(leave(_ordered(batch, order, edges), shelf))
    return part[starts], leave_pieces(batch.take(pa.array(order)), edges, shelf)


def _ordered(batch: pa.RecordBatch, order: NDArray[np.int64], edges: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows between each two edges, in that order."""
    held, first = batch.slice(0, 0), 0
    for start, stop in pairwise(edges):
        if stop > first + len(held):
            last = edges[min(bisect_left(edges, start + _ROWS), len(edges) - 1)]
            held, first = batch.take(pa.array(order[start:last])), start
        yield held.slice(start - first, stop - start)


def leave_pieces(batch: pa.RecordBatch, edges: Sequence[int], shelf: Shelf) -> Slips:
    """Put on a shelf what a batch has between each two of these rows, one piece at a time. Raises OutputError where it
    cannot take them."""
    if shelf.path:
        return Slips.of(leave((batch.slice(start, stop - start) for start, stop in pairwise(edges)), shelf))
    places = np.column_stack([np.diff(edges), np.zeros(len(edges) - 1), edges[:-1]]).astype(np.int64)
    return Slips((), None, places, batch)


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
        if slips.whole is not None:
            return self._take_pieces(slips.whole, slips)
        if slips.file is None:
            return Slips.of([self.take(slip) for slip in slips.others])
        rows, size, _ = slips.places.sum(axis=0).tolist()
        self.rows += rows
        self.size += size
        return replace(slips, file=replace(slips.file, owner=self._file))

    def _take_pieces(self, whole: pa.RecordBatch, slips: Slips) -> Slips:
        """Hold all pieces of a batch in memory or none: one alone would keep the others there."""
        self.rows += whole.num_rows
        self.size += whole.nbytes
        if self._in_memory + whole.nbytes <= self.memory:
            self._in_memory += whole.nbytes
            return slips
        return leave_pieces(whole, [*slips.places[:, 2].tolist(), whole.num_rows], self._open().own_shelf)

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
    batch = together(pieces)
    at = batch.schema.get_field_index(_IMAGE)
    image = batch.column(at).to_numpy()
    batch = batch.select([n for n in range(batch.num_columns) if n != at])
    if (image[1:] < image[:-1]).any():
        order = np.argsort(image, kind="stable")
        batch, image = batch.take(pa.array(order)), image[order]
    if batch.nbytes > PARTITION:  # of a crowded image: what is still to be made of it needs the room
        pa.default_memory_pool().release_unused()
    return batch, image.astype(np.int64)


def together(pieces: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """All pieces as one batch, a column that one does not have null there; nothing of a piece is held any longer."""
    held = list(pieces)
    kind = held[0].schema
    if all(piece.schema.equals(kind) for piece in held):
        return pa.concat_batches(held)
    table = pa.concat_tables([pa.Table.from_batches([piece]) for piece in held], promote_options="default")
    (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return batch
