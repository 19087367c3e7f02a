"""The images of a stream divided into parts by their names, so that two streams are compared a part at a time,
whatever the order of either, in memory that does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import io
from bboxconv.codec import FormatInfo
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Slips, Spool, leave_parts, together

_PART = 8 << 20
"""About how many bytes of a data set are compared at once."""
_MOST = 1024
_PACKED = 6
"""How many times larger than its file compressed data may be."""
_NUMBER = "number of the image"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A batch that was divided."""

    parts: NDArray[np.int64]
    """The part of each piece, in order."""
    slips: Slips
    """The images of each."""

    @classmethod
    def of(cls, batch: pa.RecordBatch, part: NDArray[np.int64], first: int, shelf: Shelf) -> Pieces:
        """Of the images of a batch, by the part (B,) of each, left on the shelf. Each is known by its number in the
        stream, from `first` on."""
        numbers = np.arange(first, first + len(batch))
        return cls(*leave_parts(batch.append_column(_NUMBER, pa.array(numbers, pa.int64())), part, shelf))


@dataclass(frozen=True, slots=True)
class Parts:
    """One side, all of it divided; there may be very many pieces, and none is an object of its own."""

    pieces: tuple[Slips, ...]
    """Those of each batch."""
    order: NDArray[np.int32]
    """The batch and the place in it (N, 2) of each piece, ordered by part."""
    edges: NDArray[np.int64]
    """Where in that order each part begins, and the last ends."""

    @classmethod
    def of(cls, batches: Iterable[Pieces], parts: int, spool: Spool) -> Parts:
        """Of all batches, which are held from now on."""
        pieces: list[Slips] = []
        numbers = [np.zeros(0, np.int64)]
        for batch in batches:
            pieces.append(spool.take_all(batch.slips))
            numbers.append(batch.parts)
        part = np.concatenate(numbers)
        places = [np.column_stack([np.full(len(one), n), np.arange(len(one))]) for n, one in enumerate(pieces)]
        by_part = np.argsort(part, kind="stable")
        order = np.concatenate([np.zeros((0, 2), np.int64), *places]).astype(np.int32)[by_part]
        edges = np.searchsorted(part[by_part], np.arange(parts + 1))
        return cls(tuple(pieces), order, edges)

    def of_part(self, number: int) -> tuple[Slip, ...]:
        """The images of a part."""
        order = self.order[self.edges[number] : self.edges[number + 1]].tolist()
        return tuple(self.pieces[batch][place] for batch, place in order)


def number_of_parts(path: Path, info: FormatInfo) -> int:
    """Into how many parts to divide a data set of that format: the larger it is, the more."""
    size = io.size_of(path)[1]
    packed = not info.compressible or path.suffix.lower() in io.COMPRESSION
    return max(1, min(_MOST, -(-size * (_PACKED if packed else 1) // _PART)))


def loaded(slips: Sequence[Slip], kind: pa.Schema) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """The images of a part, in the columns of `kind`, and the number (B,) of each in its stream."""
    if not slips:
        return pa.RecordBatch.from_pylist([], schema=kind), np.zeros(0, np.int64)
    batch = together(slip.load() for slip in slips)
    columns = [batch.column(name) for name in kind.names]
    return pa.RecordBatch.from_arrays(columns, schema=kind), batch.column(_NUMBER).to_numpy()
