"""Small data sets for tests, made of batches by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.schema import Category, Dataset, Header


def dataset(
    images: Sequence[Mapping[str, object]],
    categories: Sequence[str | Category] = ("cat", "dog"),
    box: str = "xywh",
    batch_size: int = 4096,
) -> Dataset:
    """A data set of images, each a mapping of image columns and `objects`, a list of mappings (or None: nobody
    looked).
    """
    named = tuple(c if isinstance(c, Category) else Category(c) for c in categories)

    def stream() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(images), batch_size):
            yield batch(images[start : start + batch_size])

    return Dataset(Header(BoxFormat.parse(box), named), stream, len(images))


def batch(images: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
    """One batch of images."""
    lists = [image.get("objects", []) for image in images]
    rows = [row for objects in lists for row in (objects or [])]
    offsets = np.cumsum([0, *[len(objects or []) for objects in lists]])
    columns = {name: pa.array([row.get(name) for row in rows], schema.OBJECT.field(name).type) for name in _given(rows)}
    shown = {
        name: pa.array([i.get(name) for i in images], schema.IMAGE.field(name).type) for name in schema.IMAGE_FIELDS
    }
    annotated = np.array([objects is not None for objects in lists], np.bool_)
    return schema.image_batch(shown, offsets, schema.object_rows(columns, len(rows)), annotated)


def _given(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return [name for name in schema.OBJECT_FIELDS if name != "shape" and any(name in row for row in rows)]


def coco(
    path: Path, images: Sequence[object], annotations: Sequence[object], categories: Sequence[object], **rest: object
) -> Path:
    """Write a COCO file."""
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, **rest}))
    return path
