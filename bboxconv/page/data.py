"""What the page has of every image and box: columns of numbers, made where the images are read.

Boxes stand as corners in parts of the sides of their image, `UNIT` to a side, as 16-bit numbers: a step is a 25th of a
pixel in an image of 640, and a file of 860,000 boxes stays under 15 MB.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema, sizes
from bboxconv.boxes import BoxFormat, convert_boxes, degenerate, outside, rotated_envelope
from bboxconv.codec import Encoding
from bboxconv.schema import Objects
from bboxconv.stages import ROUNDING, flagged

UNIT = 1 << 14
FARTHEST = (1 << 15) - 1
"""Stands for all that is as far outside, or farther: some two sides of the image."""
NOWHERE = -(1 << 15)
"""Stands for a box that there is none of: an object with a class alone, or a number that is not finite."""
FLAGS = ("iscrowd", "difficult", "ignore", "truncated", "occluded")
TURNED = "rotated"
ODD = {
    "box-outside-image": "",
    "box-without-area": "",
    "without-boxes": "without boxes",
    "not-annotated": "not annotated",
    "without-size": "without a known size",
}
"""What is known of each image: codes of findings, and what is no finding but worth a look, in words."""
READ = frozenset(
    {f"image.{name}" for name in ("id", "file_name", "width", "height", "split")}
    | {f"object.{name}" for name in ("id", "category", "bbox", "rotation", *FLAGS)}
)
"""The fields that the page looks at."""


@dataclass(frozen=True, slots=True)
class Packed:
    """B images with N boxes."""

    names: pa.StringArray
    """What each image (B,) is called: by its file, else by its id; null where it has neither."""
    splits: pa.StringArray
    canvas: NDArray[np.int32]
    """Width and height (B, 2) in pixels; negative where they are not known: how far the boxes reach, or -1 and -1
    where they are parts of the image."""
    counts: NDArray[np.int32]
    """How many boxes each image (B,) has."""
    boxes: NDArray[np.int16]
    """Left, top, right and bottom (N, 4)."""
    classes: NDArray[np.int32]
    """The index of the class (N,), -1 for none."""
    flags: NDArray[np.uint8]
    """A bit (N,) for each of `FLAGS`, and one for boxes that are drawn around a rotated one."""
    odd: tuple[NDArray[np.bool_], ...]
    """For each of `ODD`, of which images (B,) it is true."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Makes columns of a batch whose boxes are in `box`; sizes that are not given are looked up in the folders."""

    box: BoxFormat
    folders: tuple[tuple[str | None, Path], ...]
    exif: bool

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Packed:
        """The columns of a batch."""
        objects = schema.flat(batch)
        image_of = objects.image_of()
        known = self._sizes(batch)
        values, valid = schema.boxes_of(objects.rows)
        own = np.where(known > 0, known, np.nan)[image_of] if self.box.scale is None else None
        turned = np.zeros(len(values), np.bool_)
        angles = objects.column("rotation")
        if self.box.rotation is not None and angles.null_count < len(angles) and (own is not None):
            angle = angles.fill_null(0.0).to_numpy(zero_copy_only=False)
            values = np.asarray(rotated_envelope(values, angle, self.box, own), np.float64)
            turned = angle != 0
        edges = convert_boxes(values, self.box, self.box.edges)
        with np.errstate(invalid="ignore"):
            corners = np.hstack([np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])])
        usable = valid & np.isfinite(corners).all(axis=1)
        canvas = _canvas(known, corners[usable], image_of[usable], self.box.scale is None)
        unit = np.abs(canvas)[image_of] if self.box.scale is None else np.full((len(values), 2), self.box.scale)
        with np.errstate(invalid="ignore", over="ignore"):
            parts = np.rint(corners / np.hstack([unit, unit]) * UNIT)
        boxes = np.where(usable[:, None], np.clip(parts, -FARTHEST, FARTHEST), NOWHERE).astype(np.int16)
        lengths = np.diff(objects.offsets)
        slack = ROUNDING * self.box.scale if self.box.scale else 0.0
        odd = (
            _any(outside(values, self.box, own, tolerance=slack) & valid, image_of, len(batch)),
            _any(degenerate(values, self.box) & valid, image_of, len(batch)),
            (lengths == 0) & objects.annotated,
            ~objects.annotated,
            np.asarray((known <= 0).any(axis=1), np.bool_),
        )
        names = pc.coalesce(batch.column("file_name"), pc.binary_join_element_wise("id", _texts(batch, "id"), " "))
        return Packed(
            names,
            batch.column("split"),
            canvas,
            lengths.astype(np.int32),
            boxes,
            objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32),
            _flags(objects, turned),
            odd,
        )

    def _sizes(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Width and height (B, 2) of each image, 0 where nobody knows them."""
        sides = [batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) for name in ("width", "height")]
        known = np.stack(sides, axis=1).astype(np.int64)
        absent = (known <= 0).any(axis=1)
        if not absent.any() or not self.folders:
            return known
        for split, mask in schema.by_split(batch):
            rows = np.flatnonzero(mask & absent)
            folders = [folder for one, folder in self.folders if one is None or one == split]
            found = sizes.from_images(batch.column("file_name").take(pa.array(rows)), folders, exif=self.exif)
            known[rows] = np.stack([side.fill_null(0).to_numpy(zero_copy_only=False) for side in found], axis=1)
        return known


def _canvas(
    known: NDArray[np.int64], corners: NDArray[np.float64], image_of: NDArray[np.int64], pixels: bool
) -> NDArray[np.int32]:
    """Where to draw the boxes of each image."""
    canvas = np.where(known > 0, known, -1)
    unknown = (known <= 0).any(axis=1)
    canvas[unknown] = -1
    if pixels and unknown.any():
        reach = np.ones(canvas.shape)
        np.maximum.at(reach, image_of, corners[:, 2:])
        canvas[unknown] = -np.ceil(np.minimum(reach[unknown], 1e9)).astype(np.int64)
    return canvas.astype(np.int32)


def _texts(batch: pa.RecordBatch, name: str) -> pa.StringArray:
    return batch.column(name).cast(pa.string())


def _any(rows: NDArray[np.bool_], image_of: NDArray[np.int64], images: int) -> NDArray[np.bool_]:
    found = np.zeros(images, np.bool_)
    found[image_of[rows]] = True
    return found


def _flags(objects: Objects, turned: NDArray[np.bool_]) -> NDArray[np.uint8]:
    bits = (turned * (1 << len(FLAGS))).astype(np.uint8)
    for at, name in enumerate(FLAGS):
        column = objects.column(name)
        if column.null_count == len(column):
            continue
        if pa.types.is_boolean(column.type):
            marked = flagged(name)(objects)
        else:
            marked = column.fill_null(0).to_numpy(zero_copy_only=False) > 0
        bits |= (marked * (1 << at)).astype(np.uint8)
    return bits


@dataclass(frozen=True, slots=True)
class Images:
    """All images of the page, in the order of the data set."""

    packed: tuple[Packed, ...]

    @classmethod
    def of(cls, pieces: Iterable[Packed]) -> Images:
        """Of all batches."""
        return cls(tuple(pieces))

    def __len__(self) -> int:
        return sum(len(one.counts) for one in self.packed)

    @property
    def boxes(self) -> int:
        """How many boxes all images have."""
        return sum(len(one.boxes) for one in self.packed)

    def names(self) -> pa.ChunkedArray:
        """What the images are called."""
        return pa.chunked_array([one.names for one in self.packed], pa.string())

    def splits(self) -> pa.ChunkedArray:
        """The splits of the images."""
        return pa.chunked_array([one.splits for one in self.packed], pa.string())

    def odd(self, name: str) -> NDArray[np.int64]:
        """The numbers of the images of which one of `ODD` is true."""
        at = [*ODD].index(name)
        return np.flatnonzero(np.concatenate([np.zeros(0, np.bool_), *(one.odd[at] for one in self.packed)]))

    def columns(self) -> dict[str, object]:
        """The columns as the script of the page reads them."""
        names, splits = self.names().to_pylist(), self.splits().combine_chunks().dictionary_encode()
        canvas = np.concatenate([np.zeros((0, 2), np.int32), *(one.canvas for one in self.packed)])
        flags = np.concatenate([np.zeros(0, np.uint8), *(one.flags for one in self.packed)])
        return {
            "names": [f"image {at + 1}" if name is None else name for at, name in enumerate(names)],
            "splits": splits.dictionary.to_pylist(),
            "split": column(splits.indices.fill_null(-1).to_numpy(zero_copy_only=False)),
            "widths": column(canvas[:, 0]),
            "heights": column(canvas[:, 1]),
            "counts": column(np.concatenate([np.zeros(0, np.int32), *(one.counts for one in self.packed)])),
            "boxes": column(np.concatenate([np.zeros((0, 4), np.int16), *(one.boxes for one in self.packed)])),
            "classes": column(np.concatenate([np.zeros(0, np.int32), *(one.classes for one in self.packed)])),
            "flags": column(flags) if flags.any() else None,
            "flag_names": [*FLAGS, TURNED],
            "unit": UNIT,
        }


def column(numbers: NDArray[np.integer]) -> dict[str, str]:
    """Whole numbers as the smallest kind of typed array that holds them, in base64."""
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            data = np.ascontiguousarray(numbers, np.dtype(kind).newbyteorder("<"))
            name = np.dtype(kind).name
            array = ("Ui" + name[2:] if name[0] == "u" else "I" + name[1:]) + "Array"
            return {"type": array, "data": base64.b64encode(data.tobytes()).decode("ascii")}
    raise OverflowError(f"{high} does not fit 32 bits")
