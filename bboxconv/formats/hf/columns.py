"""The columns of strangers' data sets, found by their usual spellings, as images and objects of the model.

`objects` is a struct of lists, as most data sets have it, or a list of structs; or its lists stand at the top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

OBJECTS = ("objects", "annotations", "annotation", "object", "targets", "target", "boxes", "labels", "detections")
BBOX = ("bbox", "bboxes", "box", "boxes")
CATEGORY = (
    *("category", "categories", "label", "labels", "category_id", "category_ids", "class", "classes"),
    *("class_label", "class_labels", "class_id", "class_ids", "category_name", "class_name", "name"),
)
_OBJECT_SPELLINGS: Mapping[str, Sequence[str]] = {
    "id": ("id", "ids", "bbox_id", "box_id", "annotation_id"),
    "area": ("area", "areas"),
    "iscrowd": ("iscrowd", "is_crowd"),
    "score": ("score", "scores"),
    "track_id": ("track_id", "track_ids"),
    **{name: (name,) for name in ("shape", "difficult", "truncated", "occluded", "segmentation", "keypoints", "extra")},
}
_IMAGE_SPELLINGS: Mapping[str, Sequence[str]] = {
    "id": ("image_id", "id", "img_id"),
    "file_name": ("file_name", "filename", "image_file_name", "image_path", "image_name", "image"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    **{name: (name,) for name in ("video", "frame", "extra")},
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a file holds what. `objects` is empty where the lists stand at the top."""

    objects: str
    bbox: str
    category: str
    object: Mapping[str, str]
    """The column of each further field of an object."""
    image: Mapping[str, str]
    """The column of each field of an image."""
    bytes: str
    """The column that is a struct of an image's bytes and path."""

    @property
    def category_path(self) -> tuple[str, ...]:
        """The path of the column of classes."""
        return (self.objects, self.category) if self.objects else (self.category,)


def find_columns(kind: pa.Schema) -> Columns | None:
    """The columns that hold boxes, and those of their images; None where there are none."""
    names = [name for name in OBJECTS if name in kind.names]
    names += [name for name in kind.names if name not in names]
    for name in names:
        inner = _inner(kind.field(name).type)
        if inner is not None and _one(BBOX, inner):
            return _columns(kind, name, inner)
    lists = [field.name for field in kind if is_list(field.type)]
    bbox = _one(BBOX, lists)
    if bbox and (is_list(kind.field(bbox).type.value_type) or pa.types.is_null(kind.field(bbox).type.value_type)):
        return _columns(kind, "", lists)
    return None


def images_alone(kind: pa.Schema) -> Columns:
    """The columns of images without boxes: nobody looked at them, unless one of the usual names has an empty list."""
    empty = [name for name in OBJECTS if name in kind.names and is_list(kind.field(name).type)]
    return _columns(kind, _one(OBJECTS, [n for n in empty if pa.types.is_null(kind.field(n).type.value_type)]), ())


def _columns(kind: pa.Schema, objects: str, inner: Sequence[str]) -> Columns:
    own = {field: name for field, names in _OBJECT_SPELLINGS.items() if (name := _one(names, inner))}
    if not objects:  # beside the columns of an image, these are its own
        own = {field: name for field, name in own.items() if field not in ("id", "extra")}
    outer = [field.name for field in kind if not is_list(field.type) and field.name != objects]
    texts = [name for name in outer if is_text(kind.field(name).type)]
    image = {
        field: name
        for field, names in _IMAGE_SPELLINGS.items()
        if (name := _one(names, texts if field == "file_name" else outer))
    }
    structs = [field for field in kind if pa.types.is_struct(field.type) and _is_image(field.type)]
    return Columns(objects, _one(BBOX, inner), _one(CATEGORY, inner), own, image, structs[0].name if structs else "")


def _one(names: Sequence[str], there: Sequence[str]) -> str:
    return next((name for name in names if name in there), "")


def _inner(kind: pa.DataType) -> list[str] | None:
    """The names of the fields of a struct, or of the structs of a list."""
    if is_list(kind):
        kind = kind.value_type
    return [field.name for field in kind] if pa.types.is_struct(kind) else None


def _is_image(kind: pa.DataType) -> bool:
    types = {field.name: field.type for field in kind}
    return set(types) >= {"bytes", "path"} and (
        pa.types.is_binary(types["bytes"])
        or pa.types.is_large_binary(types["bytes"])
        or pa.types.is_null(types["bytes"])
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text of any kind, or could be."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list of any kind."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


@dataclass(frozen=True, slots=True)
class Lists:
    """The objects of a batch, flattened, of the images that are sound.

    `offsets` (B + 1), `annotated` (B) and `columns` (N each) are of the images where `sound` (B before) is True.
    """

    sound: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    annotated: NDArray[np.bool_]
    columns: Mapping[str, pa.Array]


def lists_of(batch: pa.RecordBatch, found: Columns) -> Lists:
    """The objects of each image; an image is not sound where its lists are of different lengths."""
    if not found.bbox:
        everything, looked = np.ones(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
        if found.objects:
            looked = batch.column(found.objects).is_valid().to_numpy(zero_copy_only=False)
        return Lists(everything, np.zeros(len(batch) + 1, np.int64), looked, {})
    if found.objects:
        column = batch.column(found.objects)
        if is_list(column.type):
            return _of_structs(column)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        children = {field.name: pc.struct_field(column, [field.name]) for field in column.type if is_list(field.type)}
    else:
        wanted = [found.bbox, found.category, *found.object.values()]
        children = {name: batch.column(name) for name in wanted if name}
        valid = batch.column(found.bbox).is_valid().to_numpy(zero_copy_only=False)
    lengths = {
        name: pc.list_value_length(child).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        for name, child in children.items()
    }
    counts = np.maximum(lengths[found.bbox], 0)
    sound = np.ones(len(batch), np.bool_)
    for own in lengths.values():  # a list that is null says nothing of any object
        sound &= (own == counts) | (own == -1)
    counts = counts[sound]
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    columns = {}
    for name, child in children.items():
        kept = child if sound.all() else child.filter(pa.array(sound))
        there = np.repeat(lengths[name][sound] >= 0, counts)
        values = pc.list_flatten(kept)
        columns[name] = values if there.all() else values.take(pa.array(np.cumsum(there) - 1, mask=~there))
    return Lists(sound, offsets, valid[sound], columns)


def _of_structs(column: pa.Array) -> Lists:
    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    rows = pc.list_flatten(column)
    columns = {field.name: pc.struct_field(rows, [field.name]) for field in rows.type}
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return Lists(np.ones(len(column), np.bool_), offsets, valid, columns)
