"""Data sets whose batches come from tasks that are independent of each other, so that any process can do any of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bboxconv.errors import Findings
from bboxconv.schema import Dataset, Header, Part, pieces
from bboxconv.spool import Slip


def of_parts(
    header: Header,
    parts: Callable[[], Iterable[Part]],
    findings: Findings,
    images: int | None = None,
    image_folders: tuple[tuple[str | None, Path], ...] = (),
    *,
    at_will: bool = False,
) -> Dataset:
    """A data set of the batches of all parts, in order. Whoever iterates over it has what the parts see in
    `findings`, once, however often it is read. `at_will` is as in `Dataset`."""
    told = _Told()

    def stream() -> Iterator[pa.RecordBatch]:
        for number, part in enumerate(parts()):
            seen = Findings(findings.recording)
            batches = list(part(seen))
            if number == told.parts:
                findings.merge(seen)
                told.parts += 1
            yield from batches

    return Dataset(header, stream, images, image_folders, parts, at_will=at_will)


@dataclass(slots=True)
class _Told:
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A batch that is held until the header is known, as a part: given in batches of at most `size` images."""

    slip: Slip
    size: int

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.slip.rows

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Its images."""
        return pieces(self.slip.load(), self.size)


def parts_of(dataset: Dataset, size: int) -> Iterable[Part]:
    """The parts of a data set; where it has none, its images in groups of `size`, each a part: what is written must
    not depend on the batches in which they come."""
    return (_Given(tuple(group)) for group in _groups(dataset, size)) if dataset.parts is None else dataset.parts()


def regrouped(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """The images in batches of `size`, whatever batches they come in; in several where one would be too large."""
    for group in _groups(batches, size):
        yield from _Given(tuple(group))(Findings())


def _groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[list[pa.RecordBatch]]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        start = 0
        while start < len(batch):
            held.append(batch.slice(start, size - sum(map(len, held))))
            start += len(held[-1])
            if sum(map(len, held)) == size:
                yield held
                held = []
    if held:
        yield held


@dataclass(frozen=True, slots=True)
class _Given:
    """Batches at hand, as a part."""

    batches: tuple[pa.RecordBatch, ...]

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(map(len, self.batches))

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """All of them as one, unless that is too large."""
        if len(self.batches) == 1 or sum(batch.nbytes for batch in self.batches) > _LARGE:
            yield from self.batches
        else:
            yield pa.Table.from_batches(self.batches).combine_chunks().to_batches()[0]


_LARGE = 1 << 30
"""Bytes from which on batches stay apart: an Arrow column of text ends at 2 GiB."""
