"""The images of COCO files, and how annotations find theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.errors import Findings
from bboxconv.readers.jsonblocks import ArrayReader
from bboxconv.readers.jsonelements import Fault, Part, columns_of, reader, then
from bboxconv.readers.jsonvalues import Field
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Spool, leave
from bboxconv.workers import give_back

IMAGE_FIELDS = (
    Field("id", "id", required=True),
    Field("file_name", "text"),
    Field("width", "size"),
    Field("height", "size"),
    Field("video", "text", usual=False),
    Field("frame", "number", usual=False),
)


def repeated(ids: Sequence[NDArray[np.int64]]) -> list[int]:
    """The ids that occur more than once, in order, of columns of ids."""
    together = np.sort(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
    found: list[int] = np.unique(together[1:][together[1:] == together[:-1]]).tolist()
    return found


def images_named(annotations: Iterable[pa.RecordBatch]) -> ImageBlock:
    """The images that results speak of, in the order in which they are first named."""
    schema_ = columns_of(IMAGE_FIELDS)
    seen: dict[tuple[int | None, str | None], None] = {}
    for batch in annotations:
        pairs = (
            pa.table([batch.column("image_id"), batch.column("image_id#")], names=["a", "b"])
            .group_by(["a", "b"], use_threads=False)
            .aggregate([])
        )
        seen.update(dict.fromkeys(zip(pairs["a"].to_pylist(), pairs["b"].to_pylist(), strict=True)))
    columns: dict[str, list[object]] = {
        "id": [a for a, _ in seen],
        "id#": [b for _, b in seen],
        "element": list(range(len(seen))),
    }
    columns["extra"] = [None if text is None else f'{{"id":{text}}}' for text in columns["id#"]]
    arrays = [pa.array(columns.get(f.name, [None] * len(seen)), f.type) for f in schema_]
    return _block(pa.RecordBatch.from_arrays(arrays, schema=schema_), Shelf())


_DENSE, _TABLE = 16, 1 << 22
"""How many places a table of numbers has at most: for each id, and in all (16 MB)."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number of an image or a category by its id."""

    ids: NDArray[np.int64]
    """Ids that are int64, in order; the first and the last alone where there is a table."""
    numbers: NDArray[np.int32]
    """The number of each id, or a table: of each from the first to the last, -1 where there is none. There a number is
    looked up in a tenth of the time that a search takes; where ids lie too far apart it would be too large."""
    others: Mapping[str, int]
    table: bool = False

    @classmethod
    def of(cls, ids: NDArray[np.int64], numbers: NDArray[np.int64], others: Mapping[str, int]) -> Numbers:
        """From ids that are int64 and their numbers, both (N,), and the numbers of the other ids."""
        ends = np.array([ids.min(), ids.max()]) if len(ids) else np.zeros(0, np.int64)
        span = int(ends[1]) - int(ends[0]) + 1 if len(ids) else 0
        if 0 < span <= min(_TABLE, _DENSE * len(ids)):
            table = np.full(span, -1, np.int32)
            table[ids - ends[0]] = numbers
            return cls(ends, table, others, table=True)
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], numbers[order].astype(np.int32), others)

    def knows(self, ids: Sequence[int | str]) -> bool:
        """Whether all these ids have a number."""
        plain = np.array([key for key in ids if isinstance(key, int)], np.int64)
        return all(key in self.others for key in ids if isinstance(key, str)) and bool((self._of_ids(plain) >= 0).all())

    def find(self, batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
        """The number (B,) of what each row of a batch names in a column, -1 where there is none."""
        ids, others = batch.column(name), batch.column(name + "#")
        found = self._of_ids(ids.fill_null(0).to_numpy(zero_copy_only=False))
        if ids.null_count:
            for row in np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False)).tolist():
                found[row] = self.others.get(others[row].as_py(), -1)
        return found

    def _of_ids(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number (N,) of each of these, -1 where there is none."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        if not self.table:
            places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
            return np.where(self.ids[places] == ids, self.numbers[places], -1).astype(np.int64)
        inside = (ids >= self.ids[0]) & (ids <= self.ids[-1])
        places = np.where(inside, ids - self.ids[0], 0)
        return np.where(inside, self.numbers[places], -1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class ImageBlock:
    """What a task found in a block of images, and left of it."""

    count: int
    """How many elements it has."""
    slip: Slip
    ids: pa.Int64Array
    """The id of each image, null where it is no int64."""
    others: Mapping[int, str]
    """The ids that are not, by row."""
    faults: tuple[Fault, ...] = ()

    def held(self, spool: Spool) -> ImageBlock:
        """The block with what it left held."""
        return replace(self, slip=spool.take(self.slip))


def images_reader(shelf: Shelf) -> ArrayReader[ImageBlock]:
    """How a block of images is read."""
    return then(reader(IMAGE_FIELDS), partial(_leave_block, shelf))


def _leave_block(shelf: Shelf, part: Part) -> ImageBlock:
    return replace(_block(part.batch, shelf), count=part.count, faults=part.faults)


def _block(batch: pa.RecordBatch, shelf: Shelf) -> ImageBlock:
    ids, others = batch.column("id"), batch.column("id#")
    rows = np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False)).tolist() if ids.null_count else []
    texts = {row: others[row].as_py() for row in rows}
    return ImageBlock(len(batch), leave([batch], shelf)[0], pa.concat_arrays([ids]), texts)


Repeats = dict[int, tuple[int | str, str]]
"""The id of each entry that is a fault, by the number of the entry, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a document, in the order of their numbers, as they are held."""

    slips: tuple[Slip, ...]

    @property
    def count(self) -> int:
        """How many images there are."""
        return sum(slip.rows for slip in self.slips)

    def rows(self, first: int, last: int) -> tuple[tuple[Slip, int, int], ...]:
        """Where the images from number `first` to before `last` stand: slips, each from and to which row."""
        found, start = [], 0
        for slip in self.slips:
            stop = start + slip.rows
            if start < last and first < stop:
                found.append((slip, max(0, first - start), min(last, stop) - start))
            start = stop
        return tuple(found)


def images_of(
    blocks: Sequence[ImageBlock], file: str, findings: Findings, spool: Spool, repeats: Repeats
) -> tuple[Images, Numbers]:
    """Put the images together, and the number of the image of each id; entries that repeat an id are faults, which
    go to `repeats`, those that repeat an image are left out."""
    known = [block.ids.drop_null().to_numpy() for block in blocks]
    texts = [text for block in blocks for text in block.others.values()]
    if repeated(known) or len(set(texts)) < len(texts):
        blocks = list(_first_entries(blocks, file, findings, spool, repeats))
    start, numbers, others = 0, [], {}
    for block in blocks:
        numbers.append(start + np.flatnonzero(block.ids.is_valid().to_numpy(zero_copy_only=False)))
        others.update({text: start + row for row, text in block.others.items()})
        start += block.slip.rows
    ids = [block.ids.drop_null().to_numpy() for block in blocks]
    found = Numbers.of(_joined(ids), _joined(numbers), others)
    del ids, numbers, known
    give_back(start)
    return Images(tuple(block.slip for block in blocks)), found


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _first_entries(
    blocks: Sequence[ImageBlock], file: str, findings: Findings, spool: Spool, repeats: Repeats
) -> Iterator[ImageBlock]:
    """The blocks without the entries whose id has occurred before."""
    first: dict[int | str, str | None] = {}
    for block in blocks:
        batch = block.slip.load()
        keep: list[bool] = []
        columns = [batch.column(name).to_pylist() for name in ("id", "id#", "file_name")]
        for number, text, name in zip(*columns, strict=True):
            key = text if number is None else number
            keep.append(key not in first)
            if key not in first:
                first[key] = name
                continue
            element = _element(blocks, block, batch, len(keep) - 1)
            if first[key] == name:
                message = "an image is listed twice; the first entry is kept"
                place = f"{file}: $.images[{element}]"
                findings.add("duplicate-image", message, severity="warning", where=place, detail=f"id {key}", images=1)
            else:
                repeats[element] = (key, f"id {key}: {first[key]} and {name}")
        yield _block(batch.filter(pa.array(keep, pa.bool_())), Shelf()).held(spool)


def _element(blocks: Sequence[ImageBlock], block: ImageBlock, batch: pa.RecordBatch, row: int) -> int:
    """The number of an image in the array."""
    before = sum(other.count for other in blocks[: next(n for n, other in enumerate(blocks) if other is block)])
    return before + int(batch.column("element")[row].as_py())
