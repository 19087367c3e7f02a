"""One row for each box, and back: the shape for SQL and data frames.

An image without objects keeps one row, in which `object` is false: no row is lost, and an object without a bbox is
told from no object.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.schema import OBJECT, SHAPES, Header, coordinate_names

IMAGE_COLUMNS = {name: {"id": "image_id", "extra": "image_extra"}.get(name, name) for name in schema.IMAGE_FIELDS}
"""What the columns of an image are called beside those of a box."""
_OWN = ("category", "bbox")
OUT_OF_ORDER = "the rows of an image do not stand together, or the images are not in order of their number"


def row_schema(header: Header) -> pa.Schema:
    """The columns: `image` (running number), the image's, `annotated`, `object`, the class by name, index and id, the
    four numbers, the other fields of the object."""
    return pa.schema(
        [
            pa.field("image", pa.int64()),
            *(schema.IMAGE.field(name).with_name(column) for name, column in IMAGE_COLUMNS.items()),
            pa.field("annotated", pa.bool_()),
            pa.field("object", pa.bool_()),
            OBJECT.field("id").with_name("box_id"),
            pa.field("category", pa.dictionary(pa.int32(), pa.string())),
            pa.field("category_index", pa.int32()),
            pa.field("category_id", pa.int64()),
            *(pa.field(name, pa.float64()) for name in coordinate_names(header.box)),
            *(field for field in OBJECT if field.name not in (*_OWN, "id")),
        ]
    )


def wanted_rows(header: Header, wanted: Collection[str]) -> pa.Schema:
    """Those columns of `row_schema` that hold these fields (`image.file_name`, `object.bbox`), and those that say which
    rows are of which image."""
    asked = {column for name, column in IMAGE_COLUMNS.items() if f"image.{name}" in wanted}
    own = {"id": ["box_id"], "category": ["category_index"], "bbox": coordinate_names(header.box)}
    for name in schema.OBJECT_FIELDS:
        if f"object.{name}" in wanted:
            asked.update(own.get(name, [name]))
    return pa.schema([field for field in row_schema(header) if field.name in {"image", "annotated", "object", *asked}])


def box_rows(batch: pa.RecordBatch, header: Header, first: int = 0, *, texts_once: bool = False) -> pa.RecordBatch:
    """The rows of a batch of images, which are numbered from `first`. `texts_once`: the texts of images are
    dictionary arrays, which hold the text of an image once and not for each of its boxes."""
    objects = schema.flat(batch)
    lengths = np.diff(objects.offsets)
    counts = np.maximum(lengths, 1)
    image = np.repeat(np.arange(len(batch)), counts)
    filled = lengths[image] > 0
    rows = objects.rows
    if not filled.all():
        rows = pa.StructArray.from_arrays(
            [_with_gaps(rows.field(name), filled) for name in schema.OBJECT_FIELDS], fields=list(OBJECT)
        )
    boxes, valid = schema.boxes_of(rows)
    index = rows.field("category")
    names = [category.name for category in header.categories]
    unique = {
        name: place for place, name in enumerate(dict.fromkeys(names))
    }  # two classes may have one name, two entries of a dictionary may not
    which = pa.array([unique[name] for name in names], pa.int32()).take(index)
    images = pa.array(image)
    columns = {
        "image": pa.array(image + first),
        **{column: _spread(batch.column(name), images, texts_once) for name, column in IMAGE_COLUMNS.items()},
        "annotated": pa.array(objects.annotated).take(images),
        "object": pa.array(filled),
        "box_id": rows.field("id"),
        "category": pa.DictionaryArray.from_arrays(which, pa.array(list(unique), pa.string())),
        "category_index": index,
        "category_id": pa.array([category.id for category in header.categories], pa.int64()).take(index),
        **{
            name: pa.array(np.ascontiguousarray(boxes[:, i]), mask=~valid)
            for i, name in enumerate(coordinate_names(header.box))
        },
        **{name: rows.field(name) for name in schema.OBJECT_FIELDS if name not in (*_OWN, "id")},
    }
    kind = [field.with_type(column.type) for field, column in zip(row_schema(header), columns.values(), strict=True)]
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=pa.schema(kind))


def _with_gaps(column: pa.Array, filled: NDArray[np.bool_]) -> pa.Array:
    """The values of a column in the rows where `filled` (N,) is True, null in the others. Texts, which may be large,
    stay where they are."""
    if not pa.types.is_string(column.type) or column.buffers()[2] is None:
        return column.take(pa.array(np.cumsum(filled) - 1, mask=~filled))
    _, offsets, texts = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    valid = filled.copy()
    valid[filled] = column.is_valid().to_numpy(zero_copy_only=False)
    spaced = bounds[np.concatenate(([0], np.cumsum(filled)))]
    return pa.StringArray.from_buffers(len(filled), pa.py_buffer(spaced), texts, pa.array(valid).buffers()[1])


def _spread(column: pa.Array, images: pa.Array, texts_once: bool) -> pa.Array:
    """The value of the image of each row."""
    return (column.dictionary_encode() if texts_once and pa.types.is_string(column.type) else column).take(images)


def first_rows(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The row at which each image begins. Raises ValueError where the rows of an image do not stand together, and where
    a column that says what a row is has nulls."""
    for name in ("image", "annotated", "object"):
        if name in rows.column_names and rows.column(name).null_count:
            raise ValueError(f"column {name!r} has nulls")
    number = rows.column("image").to_numpy()
    steps = np.diff(number)
    if (steps < 0).any():
        raise ValueError(OUT_OF_ORDER)
    return np.concatenate(([0], np.flatnonzero(steps) + 1))[: len(number)]


def image_rows(rows: pa.Table, header: Header) -> pa.RecordBatch:
    """The images of some rows of `row_schema`; the inverse of `box_rows`. Fields that they have no column for are null.
    Raises ValueError as `first_rows`."""
    starts = first_rows(rows)
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    filled = columns["object"].to_numpy(zero_copy_only=False)
    first = pa.array(starts)
    offsets = np.concatenate(([0], np.cumsum(filled)))[np.append(starts, len(filled))].astype(np.int64)
    keep = pa.array(filled)
    kept = {name: column if filled.all() else column.filter(keep) for name, column in columns.items()}
    named = {"id": "box_id", "category": "category_index"}
    own = {name: named.get(name, name) for name in schema.OBJECT_FIELDS}
    objects = {name: kept[column] for name, column in own.items() if column in kept}
    boxes = [kept[name] for name in coordinate_names(header.box) if name in kept]
    if boxes:
        valid = boxes[0].is_valid().to_numpy(zero_copy_only=False)
        numbers = np.column_stack([column.to_numpy(zero_copy_only=False) for column in boxes])
        objects["bbox"] = schema.bbox_array(numbers, valid)
    if "shape" in objects:
        objects["shape"] = shapes(objects["shape"])
    images = {name: columns[column].take(first) for name, column in IMAGE_COLUMNS.items() if column in columns}
    annotated = columns["annotated"].take(first).to_numpy(zero_copy_only=False)
    return schema.image_batch(images, offsets, schema.object_rows(objects, int(offsets[-1])), annotated)


def shapes(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """A shape column with the dictionary that all batches share. Raises ValueError for a shape that is none of
    SHAPES."""
    codes = pc.index_in(column.dictionary, pa.array(SHAPES))
    taken = codes.take(column.indices)
    if taken.null_count > column.null_count:
        raise ValueError(f"a shape is none of {', '.join(SHAPES)}")
    return pa.DictionaryArray.from_arrays(taken.cast(pa.int8()), pa.array(SHAPES))
