"""One side of a comparison: what of its images is compared, divided by their names."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import schema, stages
from bboxconv.boxes import BoxFormat, rotated_envelope
from bboxconv.codec import Encoding
from bboxconv.dividing import Pieces
from bboxconv.imagenames import FORMS, form
from bboxconv.pairing import keys, usual_splits
from bboxconv.precision import Precision
from bboxconv.shelf import Shelf

FLAGS = ("iscrowd", "difficult", "ignore", "truncated", "occluded", "rotation")
"""The fields of objects that are compared where both sides have them."""
WANTED = frozenset(
    [f"image.{name}" for name in ("id", "file_name", "width", "height", "split")]
    + [f"object.{name}" for name in ("category", "bbox", *FLAGS)]
    + ["unannotated"]
)
"""The fields that are looked at."""
_OBJECT = pa.struct([schema.OBJECT.field(name) for name in ("category", "bbox", *FLAGS)])
KIND = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("split", pa.string()),
        *(schema.IMAGE.field(name) for name in ("width", "height")),
        pa.field("objects", pa.list_(pa.field("item", _OBJECT, nullable=False))),
    ]
)
"""What is compared of images."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A batch of which what is compared was left on the shelf."""

    pieces: Pieces
    precision: Precision
    boxes: NDArray[np.int64]
    """How many have each class; the first number is of those without."""
    images: int
    unsized: int
    """How many images have boxes and no size."""


@dataclass(frozen=True, slots=True)
class Reducer:
    """Reduces batches to what is compared, and divides them into `parts` by the names of their images."""

    shelf: Shelf
    parts: int
    box: BoxFormat
    classes: NDArray[np.int64]
    """The number, common to both sides, of each class of the header, and -1 at the end, for none."""
    known: int
    """How many such numbers there are."""
    turned: bool
    """Whether rotated boxes are compared as they are; else their envelopes are."""

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Reduced:
        """What is compared of the images of a batch, left on the shelf."""
        objects = schema.flat(batch)
        values, valid = schema.boxes_of(objects.rows)
        classes = self.classes[objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)]
        columns = {"category": pa.array(classes, pa.int32()), "bbox": objects.column("bbox")}
        columns |= {name: objects.column(name) for name in FLAGS}
        if not self.turned and self.box.rotation is not None:
            columns["bbox"] = schema.bbox_array(self._envelopes(batch, objects, values), valid)
            columns["rotation"] = schema.null_column("rotation", len(values))
        rows = pa.StructArray.from_arrays([columns[one.name] for one in _OBJECT], fields=list(_OBJECT))
        mask = None if objects.annotated.all() else pa.array(~objects.annotated)
        offsets = pa.array(objects.offsets, pa.int32())
        lists = pa.ListArray.from_arrays(offsets, rows, type=KIND.field("objects").type, mask=mask)
        names = keys(batch, "")
        shown = [names, usual_splits(batch), batch.column("width"), batch.column("height"), lists]
        part = np.array([zlib.crc32(name.encode()) % self.parts for name in _common(names)], np.int64)
        slim = pa.RecordBatch.from_arrays(shown, schema=KIND)
        return Reduced(
            Pieces.of(slim, part, encoding.first, self.shelf),
            Precision.of(values),
            np.bincount(classes + 1, minlength=self.known + 1),
            len(batch),
            len(stages.missing(batch, ["width", "height"], with_objects=True)),
        )

    def _envelopes(
        self, batch: pa.RecordBatch, objects: schema.Objects, values: NDArray[np.float64]
    ) -> NDArray[np.floating]:
        angles = objects.column("rotation").fill_null(0.0).to_numpy(zero_copy_only=False)
        sizes = stages.sizes_of(batch, objects.image_of())
        return rotated_envelope(values, angles, self.box, np.where(np.isnan(sizes), 1.0, sizes))


def _common(names: pa.StringArray) -> list[str]:
    """What names that may be of one image have in common."""
    found: list[str] = form(names, FORMS - 1).to_pylist()
    return found
