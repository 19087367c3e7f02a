"""The columns of which an expression may speak: of an image, and of each of its boxes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema, stages
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.schema import Objects
from bboxconv.sets.tree import Type

IMAGE: Mapping[str, Type] = {
    "file_name": "text",
    "width": "number",
    "height": "number",
    "split": "text",
    "video": "text",
    "frame": "number",
    "image_id": "number",
    "boxes": "number",
}
BOX: Mapping[str, Type] = {
    "category": "text",
    "x1": "number",
    "y1": "number",
    "x2": "number",
    "y2": "number",
    "box_width": "number",
    "box_height": "number",
    "area": "number",
    "relative_area": "number",
    "aspect_ratio": "number",
    "score": "number",
    "iscrowd": "flag",
    "difficult": "flag",
    "ignore": "flag",
    "truncated": "number",
    "occluded": "number",
    "rotation": "number",
    "shape": "text",
    "track_id": "number",
    "id": "number",
}
COLUMNS: Mapping[str, Type] = {**IMAGE, **BOX}
"""Every column and what is in it. `width` and `height` are those of the image in pixels, `boxes` is how many it has;
`area` is as the source has it, else that of the box in square pixels; `relative_area` its part of the image."""
_CORNERS, _SIDES = BoxFormat("xyxy"), BoxFormat("xywh")
_PLACES = ("x1", "y1", "x2", "y2")
MEASURED = frozenset({*_PLACES, "box_width", "box_height", "area", "relative_area", "aspect_ratio"})
"""Columns that come of the place of a box."""


def needs_sizes(names: Collection[str]) -> bool:
    """Whether a column may depend on the size of the image."""
    return bool((MEASURED | {"width", "height"}) & set(names))


def image_columns(batch: pa.RecordBatch, objects: Objects, names: Collection[str]) -> dict[str, pa.Array]:
    """Columns (B,) of the images of a batch."""
    found: dict[str, pa.Array] = {}
    for name in IMAGE.keys() & set(names):
        if name == "boxes":
            found[name] = pa.array(np.diff(objects.offsets), pa.int64())
        else:
            found[name] = batch.column("id" if name == "image_id" else name)
    return found


def box_columns(
    batch: pa.RecordBatch, objects: Objects, box: BoxFormat, names: Collection[str], classes: pa.StringArray
) -> tuple[dict[str, pa.Array], int]:
    """Columns (N,) of the boxes of a batch, which stand in `box`, and how many boxes have no place in pixels, as the
    size of their image is not known, where that was asked for."""
    image_of = pa.array(objects.image_of())
    found = {name: column.take(image_of) for name, column in image_columns(batch, objects, names).items()}
    unsized = 0
    if MEASURED & set(names):
        measures = Measures.of(batch, objects, box)
        found.update({name: measures.column(name, objects) for name in MEASURED & set(names)})
        unsized = measures.unsized
    for name in BOX.keys() & set(names) - MEASURED:
        column = objects.column(name)
        found[name] = classes.take(column) if name == "category" else column
        if name == "shape":
            found[name] = column.cast(pa.string())
    return found, unsized


@dataclass(frozen=True, slots=True)
class Measures:
    """Where N boxes lie in pixels, NaN where that is not known."""

    corners: NDArray[np.float64]
    """x1, y1, x2, y2 (N, 4)."""
    extents: NDArray[np.float64]
    """Width and height (N, 2)."""
    sizes: NDArray[np.float64]
    """Width and height (N, 2) of the image of each."""
    unsized: int
    """How many have a place, and an image of unknown size that is needed for it."""

    @classmethod
    def of(cls, batch: pa.RecordBatch, objects: Objects, box: BoxFormat) -> Measures:
        """Of the boxes of a batch, which stand in `box`."""
        values, valid = schema.boxes_of(objects.rows)
        sizes = stages.sizes_of(batch, objects.image_of())
        known, given = valid, None
        if box.needs_size(_CORNERS):
            known = valid & (sizes > 0).all(axis=1)
            given = sizes[known]
        corners, extents = np.full((len(values), 4), np.nan), np.full((len(values), 2), np.nan)
        if known.any():
            corners[known] = convert_boxes(values[known], box, _CORNERS, given)
            extents[known] = convert_boxes(values[known], box, _SIDES, given)[:, 2:]
        return cls(corners, extents, sizes, int(valid.sum() - known.sum()))

    def column(self, name: str, objects: Objects) -> pa.Array:
        """One of them (N,), null where it is not known."""
        width, height = self.extents.T
        with np.errstate(divide="ignore", invalid="ignore"):
            if name in _PLACES:
                values = self.corners[:, _PLACES.index(name)]
            elif name in ("box_width", "box_height"):
                values = width if name == "box_width" else height
            elif name == "aspect_ratio":
                values = width / height
            elif name == "relative_area":
                values = width * height / self.sizes.prod(axis=1)
            else:
                return pc.coalesce(objects.column("area"), _numbers(width * height))
        return _numbers(values)


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
