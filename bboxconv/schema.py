"""The data model: a header and a stream of record batches with one row per image (DESIGN.md, "What flows").

All access to the objects of a batch goes through `flat` and `boxes_of`: `.values` of an Arrow list ignores slices and
`.flatten()` drops nulls, and both would shift boxes silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.boxes import BoxFormat
from bboxconv.errors import Findings

if TYPE_CHECKING:
    import pandas as pd

Shape = Literal["box", "rbox", "quad", "polygon", "mask", "ellipse", "circle", "line", "points", "cuboid", "tag"]
SHAPES: tuple[str, ...] = get_args(Shape)
"""What `shape` may say; every batch uses this one dictionary, so that batches never need a common one found."""

_MANY = 1 << 15

SHAPE = pa.dictionary(pa.int8(), pa.string())
BBOX = pa.list_(pa.float64(), 4)

OBJECT = pa.struct(
    [
        pa.field("id", pa.int64()),
        pa.field("category", pa.int32()),
        pa.field("bbox", BBOX),
        pa.field("shape", SHAPE),
        pa.field("score", pa.float64()),
        pa.field("area", pa.float64()),
        pa.field("iscrowd", pa.bool_()),
        pa.field("difficult", pa.bool_()),
        pa.field("ignore", pa.bool_()),
        pa.field("truncated", pa.float64()),
        pa.field("occluded", pa.float64()),
        pa.field("rotation", pa.float64()),
        pa.field("track_id", pa.int64()),
        pa.field("segmentation", pa.string()),
        pa.field("keypoints", pa.string()),
        pa.field("extra", pa.string()),
    ]
)
OBJECT_FIELDS = tuple(f.name for f in OBJECT)

IMAGE = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("file_name", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("split", pa.string()),
        pa.field("video", pa.string()),
        pa.field("frame", pa.int32()),
        pa.field("extra", pa.string()),
        pa.field("objects", pa.list_(pa.field("item", OBJECT, nullable=False))),
    ]
)
IMAGE_FIELDS = tuple(f.name for f in IMAGE if f.name != "objects")

JSON_FIELDS = frozenset({"segmentation", "keypoints", "extra"})
"""Fields that hold JSON text."""


@dataclass(frozen=True, slots=True)
class Category:
    """One class. Its index in `Header.categories` is what the `category` column holds."""

    name: str
    id: int | None = None
    supercategory: str | None = None
    extra: str | None = None
    """JSON text of an object: every further key."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is said once for the whole data set. `info`, `licenses` and `extra` are JSON text, as written."""

    box: BoxFormat
    categories: tuple[Category, ...] = ()
    info: str | None = None
    licenses: str | None = None
    extra: str | None = None
    """JSON text of an object: every other top-level key."""
    source: str = ""
    """Name of the format that it was read from."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Every switch of meaning that was in force when it was read."""


class Part(Protocol):
    """Some images of a data set: a picklable task."""

    @property
    def images(self) -> int:
        """How many there are at most."""
        ...

    def __call__(self, findings: Findings, /) -> Iterator[pa.RecordBatch]:
        """The images, in batches. What is seen on the way is added to the findings."""
        ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """A header and a stream of batches of `IMAGE`; iterating again reads again."""

    header: Header
    stream: Callable[[], Iterator[pa.RecordBatch]]
    images: int | None = None
    """How many images, where that is known beforehand."""
    image_folders: tuple[tuple[str | None, Path], ...] = ()
    """Where the image files of each split may lie (None: of all): sizes are looked up there, images copied from
    there.
    """
    parts: Callable[[], Iterable[Part]] | None = None
    """The same batches as tasks for any process; `bboxconv.parts.of_parts` makes such a data set."""
    compared: bool = False
    """Its reader has looked for ids, and categories, that occur more than once."""
    at_will: bool = False
    """Its parts may be read in any order, again and again, and each takes no longer than its own images need: nobody
    gains by holding them elsewhere."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.stream()

    def to_table(self) -> pa.Table:
        """All images as one Arrow table of `IMAGE`, one row per image, with the header in the schema's metadata."""
        return pa.Table.from_batches(self, schema=IMAGE).replace_schema_metadata(_metadata(self.header))

    def to_pandas(self) -> pd.DataFrame:
        """One tidy row per box.

        Columns: image_id, file_name, width, height, split, then the object's fields with `category` as the class name
        (pandas categorical), `category_id` as the source's id, and the four numbers of the box under the names of its
        format (x1 y1 x2 y2, x y w h, or cx cy w h; see `coordinate_names`). Images without boxes have no row.
        """
        from bboxconv.frame import boxes_frame  # noqa: PLC0415 - pandas is loaded where a frame is asked for

        return boxes_frame(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The batches as an Arrow C stream, for Polars, DuckDB, pandas and every other reader of the interface."""
        kind = IMAGE.with_metadata(_metadata(self.header))
        return pa.RecordBatchReader.from_batches(kind, iter(self)).__arrow_c_stream__(requested_schema)


def _metadata(header: Header) -> dict[str, str]:
    """The header beside the columns, as in Parquet files."""
    from bboxconv import headerjson, jsontext  # noqa: PLC0415 - these import this module

    return {"bboxconv": jsontext.compose(headerjson.header_members(header)) or ""}


def coordinate_names(box: BoxFormat) -> tuple[str, str, str, str]:
    """The names of the four numbers of a box of this kind."""
    return box.columns


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a batch of B images, flattened to N rows.

    `offsets` (B + 1, int64, from 0) says which rows belong to which image, `annotated` (B, bool) is False where
    nobody looked, `rows` holds the N objects without a null among them.
    """

    offsets: NDArray[np.int64]
    annotated: NDArray[np.bool_]
    rows: pa.StructArray

    def column(self, name: str) -> pa.Array:
        """One field of the N objects."""
        return self.rows.field(name)

    def image_of(self) -> NDArray[np.int64]:
        """The row number (N,) of the image of each object."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def with_columns(self, columns: Mapping[str, pa.Array]) -> Objects:
        """The same objects with some fields replaced, each by a column (N,)."""
        return replace(self, rows=with_columns(self.rows, columns))


def given(column: pa.Array) -> NDArray[np.bool_]:
    """Which values (N,) are not null. Most columns have all of theirs or none, which takes no look at each."""
    if column.null_count in (0, len(column)):
        return np.full(len(column), not column.null_count)
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False))


def flat(batch: pa.RecordBatch) -> Objects:
    """The objects of a batch, whatever slices or nulls it holds."""
    lists = batch.column("objects")
    rows = lists.flatten()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if len(rows) and rows.offset:  # a StructArray's own offset is not applied to its children by every kernel
        rows = pa.concat_arrays([rows])
    return Objects(offsets, given(lists), rows)


def boxes_of(rows: pa.StructArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The boxes (N, 4) of flattened objects, in the header's box format, NaN where there is none, and their validity
    (N,).
    """
    boxes = rows.field("bbox")
    valid = given(boxes)
    values = boxes.values.slice(boxes.offset * 4, len(boxes) * 4).to_numpy(zero_copy_only=False).reshape(-1, 4)
    if not valid.all():
        values = np.where(valid[:, None], values, np.nan)
    return values, valid


def bbox_array(values: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> pa.FixedSizeListArray:
    """The inverse of `boxes_of`: (N, 4) numbers and validity to an Arrow column."""
    flat_values = pa.array(np.ascontiguousarray(values, dtype=np.float64).reshape(-1))
    mask = None if valid is None or valid.all() else pa.array(~valid)
    return pa.FixedSizeListArray.from_arrays(flat_values, type=BBOX, mask=mask)


def shape_array(codes: NDArray[np.int8], valid: NDArray[np.bool_]) -> pa.DictionaryArray:
    """A `shape` column from indices into SHAPES."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=~valid), pa.array(SHAPES))


def null_column(name: str, length: int) -> pa.Array:
    """An object column without a value."""
    if length > _MANY:
        return _nulls(name, length)
    return _nulls_at_hand(name).slice(0, length)


@lru_cache(maxsize=len(OBJECT_FIELDS))
def _nulls_at_hand(name: str) -> pa.Array:
    """As many as most batches have: to make them for each batch would take as long as some columns of numbers."""
    return _nulls(name, _MANY)


def _nulls(name: str, length: int) -> pa.Array:
    kind = OBJECT.field(name).type
    if kind == SHAPE:
        return shape_array(np.zeros(length, np.int8), np.zeros(length, np.bool_))
    return pa.nulls(length, kind)


def object_rows(columns: Mapping[str, pa.Array], length: int) -> pa.StructArray:
    """Flattened objects from the columns that a format has; the others are null."""
    arrays = [columns[name] if name in columns else null_column(name, length) for name in OBJECT_FIELDS]
    return pa.StructArray.from_arrays(arrays, fields=list(OBJECT))


def with_columns(rows: pa.StructArray, columns: Mapping[str, pa.Array]) -> pa.StructArray:
    """Flattened objects with some columns replaced."""
    return object_rows({**{name: rows.field(name) for name in OBJECT_FIELDS}, **columns}, len(rows))


def image_batch(
    columns: Mapping[str, pa.Array],
    offsets: NDArray[np.int64],
    rows: pa.StructArray,
    annotated: NDArray[np.bool_] | None = None,
) -> pa.RecordBatch:
    """A batch from the image columns that a format has (others null), the offsets (B + 1,) and the flattened
    objects.
    """
    length = len(offsets) - 1
    mask = None if annotated is None or annotated.all() else pa.array(~annotated)
    kind = IMAGE.field("objects").type
    objects = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rows, type=kind, mask=mask)
    arrays = [columns[name] if name in columns else pa.nulls(length, IMAGE.field(name).type) for name in IMAGE_FIELDS]
    return pa.RecordBatch.from_arrays([*arrays, objects], schema=IMAGE)


def with_objects(batch: pa.RecordBatch, objects: Objects) -> pa.RecordBatch:
    """The same images with other objects."""
    columns = {name: batch.column(name) for name in IMAGE_FIELDS}
    return image_batch(columns, objects.offsets, objects.rows, objects.annotated)


def with_image_columns(batch: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """The same images with some columns replaced, each by a column (B,)."""
    for name, column in columns.items():
        batch = batch.set_column(IMAGE.get_field_index(name), IMAGE.field(name), column)
    return batch


def with_split(batch: pa.RecordBatch, split: str | None) -> pa.RecordBatch:
    """The same images in the split that the caller says; None: in their own."""
    return batch if split is None else with_image_columns(batch, {"split": pa.repeat(split, len(batch))})


def by_split(batch: pa.RecordBatch) -> Iterator[tuple[str | None, NDArray[np.bool_]]]:
    """Each split of the batch, in order of first sight, and which of its images (B,) are in it."""
    column = batch.column("split")
    for split in pc.unique(column).to_pylist():
        mask = column.is_null() if split is None else pc.equal(column, split).fill_null(False)
        yield split, mask.to_numpy(zero_copy_only=False)


def pieces(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The images of a batch in order, at most `size` at a time."""
    for start in range(0, len(batch), size):
        yield batch.slice(start, size)


def keep_objects(objects: Objects, keep: NDArray[np.bool_]) -> Objects:
    """The objects where `keep` (N,) is True; every image stays."""
    if keep.all():
        return objects
    before = np.concatenate(([0], np.cumsum(keep)))
    return Objects(before[objects.offsets].astype(np.int64), objects.annotated, objects.rows.filter(pa.array(keep)))


def keep_images(batch: pa.RecordBatch, keep: NDArray[np.bool_]) -> pa.RecordBatch:
    """The images where `keep` (B,) is True, with their objects."""
    return batch if keep.all() else batch.filter(pa.array(keep))
