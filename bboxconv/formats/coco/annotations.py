"""The annotations of COCO files: each block is read, divided by image and left on a shelf by one task; each range of
images is put together from there by another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import BoxFormat, convert_boxes, extent
from bboxconv.drawn import is_mask, polygon_points
from bboxconv.errors import Findings
from bboxconv.formats.coco.images import Numbers, repeated
from bboxconv.readers.jsonblocks import ArrayReader
from bboxconv.readers.jsonelements import Fault, Part, reader, then
from bboxconv.readers.jsonvalues import Field
from bboxconv.shelf import Shared, Shelf
from bboxconv.spool import Slip, Slips, Spool, divided, in_order, leave

XYWH = BoxFormat("xywh")
ANNOTATION_FIELDS = (
    Field("id", "id"),
    Field("image_id", "key", required=True),
    Field("category_id", "key"),
    Field("bbox", "box"),
    Field("area", "float"),
    Field("iscrowd", "flag"),
    Field("segmentation", "raw"),
    Field("keypoints", "raw", usual=False),
    Field("score", "float", usual=False),
    Field("ignore", "flag", usual=False),
    Field("difficult", "flag", usual=False),
    Field("truncated", "float", usual=False),
    Field("occluded", "float", usual=False),
    Field("track_id", "id", usual=False),
)
NO_IMAGE = "the image of an annotation does not exist"
NO_CATEGORY = "the category of an annotation does not exist"
_NOTHING = pa.scalar(None, pa.string())
_AT_ONCE = 1_000_000
"""Ids that are compared at once: 8 MB of them."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An annotation of a block whose image does not exist."""

    element: int
    image_id: str


@dataclass(frozen=True, slots=True)
class Block:
    """What a task found in a block of annotations, and left of it."""

    count: int
    """How many elements it has."""
    parts: tuple[int, ...]
    """The partitions, in order, of which it has annotations; -1: of any image, in their own order."""
    pieces: Slips
    """The annotations of each."""
    boxes: int
    captions: bool
    """Whether they have captions."""
    faults: tuple[Fault, ...]
    orphans: tuple[Orphan, ...] = ()
    ids: Slip | None = None
    categories: tuple[int | str, ...] = ()
    """The ids of the categories that are named, where somebody wants to know."""

    def held(self, spool: Spool) -> Block:
        """The block with all that it left held."""
        pieces = spool.take_all(self.pieces)
        return replace(self, pieces=pieces, ids=None if self.ids is None else spool.take(self.ids))


@dataclass(frozen=True, slots=True)
class Divide:
    """How annotations are divided: the number of the image of each id, and how many images a partition has."""

    images: Numbers
    width: int


def annotations_reader(
    shelf: Shelf, divide: Shared[Divide] | None, *, listing: bool = False, needless: Sequence[str] = ()
) -> ArrayReader[Block]:
    """How a block is read; divided by image where these are known. `listing`: with the ids of its categories;
    `needless` are columns of JSON text of which nobody wants more than whether there is a value."""
    return then(reader(ANNOTATION_FIELDS), partial(_leave_block, shelf, divide, listing, tuple(needless)))


def _leave_block(
    shelf: Shelf, divide: Shared[Divide] | None, listing: bool, needless: tuple[str, ...], part: Part
) -> Block:
    given = len(part.batch) - part.batch.column("bbox").null_count
    batch, faults = complete(part)
    captions = "caption" in part.keys and pc.any(pc.match_substring(part.batch.column("extra"), '"caption":')).as_py()
    found = Block(part.count, (), Slips(), given, bool(captions), (*part.faults, *faults))
    if listing:
        found = replace(found, categories=named_categories(batch))
    for name in needless:
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, name, pc.if_else(batch.column(at).is_valid(), "[]", _NOTHING))
    if divide is None:
        return replace(found, parts=(-1,), pieces=Slips.of(leave([batch], shelf)))
    return _divide(found, batch, shelf, divide.get())


def divide_again(task: tuple[Block, Shelf, Shared[Divide]]) -> Block:
    """Divide a block that was left as a whole, once the images are known; a task."""
    block, shelf, divide = task
    (slip,) = block.pieces
    return _divide(block, slip.load(), shelf, divide.get())


def _divide(found: Block, batch: pa.RecordBatch, shelf: Shelf, divide: Divide) -> Block:
    image = divide.images.find(batch, "image_id")
    orphans = tuple(
        Orphan(batch.column("element")[row].as_py(), key_of(batch, "image_id", row))
        for row in np.flatnonzero(image < 0).tolist()
    )
    ids = pa.RecordBatch.from_arrays([batch.column("id").drop_null()], ["id"])
    held = [
        n for n, f in enumerate(batch.schema) if batch.column(n).null_count < len(batch) and "image_id" not in f.name
    ]
    batch = batch.select(held)
    if orphans:
        batch, image = batch.filter(pa.array(image >= 0)), image[image >= 0]
    parts = list(divided(batch, image, divide.width))
    *slips, id_slip = leave([*(piece for _, piece in parts), ids], shelf)
    numbers = tuple(number for number, _ in parts)
    return replace(found, parts=numbers, pieces=Slips.of(slips), orphans=orphans, ids=id_slip)


def key_of(batch: pa.RecordBatch, name: str, row: int) -> str:
    """An id as it was written."""
    key = batch.column(name)[row]
    return str(key if key.is_valid else batch.column(name + "#")[row])


def named_categories(batch: pa.RecordBatch) -> tuple[int | str, ...]:
    """The ids of the categories that annotations name."""
    columns = (batch.column("category_id"), batch.column("category_id#"))
    return tuple(chain.from_iterable(pc.unique(column.drop_null()).to_pylist() for column in columns))


def complete(part: Part) -> tuple[pa.RecordBatch, list[Fault]]:
    """The annotations that have a place in their image, and faults for the others."""
    batch, faults = _complete(part.batch)
    raws = part.raws([fault.element for fault in faults]) if faults else []
    return batch, [replace(fault, raw=raw) for fault, raw in zip(faults, raws, strict=True)]


def _complete(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Fault]]:
    """Annotations without a bbox get the extent of their polygons, and `shape`; those that nothing places are
    faults."""
    boxes = batch.column("bbox")
    if not boxes.null_count:
        return batch, []
    values, valid = schema.boxes_of(pa.StructArray.from_arrays([boxes], names=["bbox"]))
    values, keep = values.copy(), np.ones(len(batch), np.bool_)
    drawn = valid.copy()
    faults: list[Fault] = []
    for row in np.flatnonzero(~valid).tolist():
        points = polygon_points(batch.column("segmentation")[row].as_py())
        if points is not None:
            values[row] = convert_boxes(extent(points, [0, len(points)]), "xyxy", XYWH)
            drawn[row] = True
        elif not batch.column("keypoints")[row].is_valid and not is_mask(batch.column("segmentation")[row].as_py()):
            keep[row] = False
            message = "an annotation has no bbox, polygon, mask or keypoints"
            faults.append(Fault(batch.column("element")[row].as_py(), "", "missing-field", message))
    batch = batch.set_column(batch.schema.get_field_index("bbox"), "bbox", schema.bbox_array(values, drawn))
    polygon = np.full(len(batch), schema.SHAPES.index("polygon"), np.int8)
    batch = batch.append_column("shape", schema.shape_array(polygon, drawn & ~valid))
    return (batch if keep.all() else batch.filter(pa.array(keep))), faults


@dataclass(frozen=True, slots=True)
class Ranges:
    """What all ranges of images share."""

    categories: Numbers
    where: str
    """The array in messages: `file.json: $.annotations`."""
    split: str | None
    annotated: bool
    size: int
    """Images of a batch at most."""
    told: bool = False
    """Annotations whose category does not exist were reported before."""


@dataclass(frozen=True, slots=True)
class ImageRange:
    """The images from number `first` to before `last`: in which slips they stand (from and to which row), and the
    pieces of their annotations, each with the number of the first element of its block. A `schema.Part`."""

    shared: Shared[Ranges]
    first: int
    last: int
    rows: tuple[tuple[Slip, int, int], ...]
    pieces: tuple[tuple[Slip, int], ...]

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.last - self.first

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """The images with their annotations; a category that does not exist is a fault."""
        ranges = self.shared.get()
        images = pa.Table.from_batches([slip.load().slice(at, stop - at) for slip, at, stop in self.rows])
        columns = {name: images[name].combine_chunks() for name in schema.IMAGE_FIELDS if name in images.column_names}
        rows, number = self._objects(ranges, findings)
        for start in range(self.first, self.last, ranges.size):
            stop = min(self.last, start + ranges.size)
            offsets = np.searchsorted(number, np.arange(start, stop + 1))
            own = {name: column.slice(start - self.first, stop - start) for name, column in columns.items()}
            piece = rows.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
            annotated = np.full(stop - start, ranges.annotated)
            yield schema.with_split(schema.image_batch(own, offsets - offsets[0], piece, annotated), ranges.split)

    def _objects(self, ranges: Ranges, findings: Findings) -> tuple[pa.StructArray, NDArray[np.int64]]:
        """The objects in the order of their images, and the number of the image of each."""
        if not self.pieces:
            return schema.object_rows({}, 0), np.zeros(0, np.int64)
        batch, number = in_order(slip.load() for slip, _ in self.pieces)
        batch = _all_columns(batch)
        category = ranges.categories.find(batch, "category_id")
        given = pc.or_(batch.column("category_id").is_valid(), batch.column("category_id#").is_valid())
        mask = given.to_numpy(zero_copy_only=False)
        keep = (category >= 0) | ~mask
        faults = [] if ranges.told else np.flatnonzero(~keep).tolist()
        places = self._places() if faults else pa.nulls(0, pa.int64())
        for row in faults:
            place = f"{ranges.where}[{places[row]}].category_id"
            detail = f"category_id {key_of(batch, 'category_id', row)}"
            findings.add("orphan-annotation", NO_CATEGORY, where=place, detail=detail, boxes=1)
        columns = {name: batch.column(name) for name in schema.OBJECT_FIELDS if name in batch.schema.names}
        columns["category"] = pa.array(category.astype(np.int32), mask=~mask)
        rows = schema.object_rows(columns, len(batch))
        return (rows, number) if keep.all() else (rows.filter(pa.array(keep)), number[keep])

    def _places(self) -> pa.Int64Array:
        """The number of each object in the whole array: only messages ask for it."""
        return in_order(_with_place(slip.load(), first) for slip, first in self.pieces)[0].column("element")


def _with_place(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    """The piece with the numbers of its elements in the whole array."""
    at = batch.schema.get_field_index("element")
    return batch.set_column(at, "element", pc.add(batch.column(at), first))


def _all_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the columns of ids, which it lacks where none of its rows has one."""
    for name, kind in (("category_id", pa.int64()), ("category_id#", pa.string())):
        if name not in batch.schema.names:
            batch = batch.append_column(name, pa.nulls(len(batch), kind))
    return batch


@dataclass(frozen=True, slots=True)
class RepeatedIds:
    """Looks for ids that occur more than once. A `schema.Part` without images."""

    ids: tuple[Slip, ...]
    where: str
    images: int = 0

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Adds each to the findings."""
        rounds = -(-sum(slip.rows for slip in self.ids) // _AT_ONCE)
        found: list[int] = []
        for turn in range(rounds):
            columns = (slip.load().column("id").to_numpy() for slip in self.ids)
            found += repeated([ids[ids % rounds == turn] if rounds > 1 else ids for ids in columns])
        for number in sorted(found):
            message = "an annotation id occurs more than once; all are read"
            findings.add(
                "duplicate-annotation-id", message, severity="warning", where=self.where, detail=f"id {number}"
            )
        return iter(())
