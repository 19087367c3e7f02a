"""What `stats` counts in one batch, in whatever process: sizes, shapes and places of boxes, by split and by class.

The edges of the histograms are fixed, so that the figures of two data sets can be laid beside each other. A value on
an edge belongs to what is above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import schema, stages
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.codec import Encoding
from bboxconv.schema import Objects
from bboxconv.tally import Integers, Outline, classes_of, counted, outline, splits_of

FIELDS = frozenset(
    [f"image.{name}" for name in ("id", "file_name", "width", "height", "split")]
    + [f"object.{name}" for name in ("id", "category", "bbox", "area", "rotation")]
    + [f"object.{name}" for name in ("iscrowd", "difficult", "ignore", "truncated", "occluded")]
    + ["category.id", "unannotated"]
)
"""The fields that are looked at."""
FLAGS = ("iscrowd", "difficult", "ignore", "truncated", "occluded")
SIZES = ("small", "medium", "large", "unknown")
SIZE_EDGES = (32.0**2, 96.0**2)
"""Square pixels from which on a box is medium, and large, as in COCO's evaluation."""
PER_IMAGE_EDGES = (0, 1, 2, 3, 5, 9, 17, 33, 65, 129, inf)
"""Boxes of an image: none, 1, 2, 3 to 4, 5 to 8, and so on to 65 to 128, and more."""
AREA_EDGES = (0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, inf)
"""Parts of the image that a box covers: two steps for each factor of ten. A box without area covers nothing."""
RATIO_EDGES = (0, *(2 ** (step / 2 + 0.25) for step in range(-6, 6)), inf)
"""Width by height: steps of the square root of 2, each as far to one side of 1 as another is to the other."""
GRID = 10
"""Rows and columns of the grid over an image."""
WIDTHS: Mapping[str, int] = {
    "flags": len(FLAGS),
    "sizes": len(SIZES),
    "relative_areas": len(AREA_EDGES) - 1,
    "aspect_ratios": len(RATIO_EDGES) - 1,
    "positions": GRID * GRID,
    "boxes_per_image": len(PER_IMAGE_EDGES) - 1,
}
"""The columns that the counts of a group have, by what they count."""
WIDTH = sum(WIDTHS.values())
NO_SIZE = -1
"""The size of an image whose size is not known."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted in a batch of K categories."""

    outline: Outline
    splits: Integers
    """(S, WIDTH), a row for each split of the outline."""
    images: Integers
    """(K + 1,) images that have a box of each class, and of none."""
    classes: tuple[Integers, Integers]
    """Of (K + 1, WIDTH), one row after the other: which are not zero, and these. None where classes are not asked
    for."""
    image_sizes: tuple[tuple[Integers, Integers], ...]
    """For each split, sizes as width times 2 ** 32 plus height, and how many images have them."""
    duplicates: int
    """Boxes that are the same as another before them."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Counts what is in a batch: an encoder."""

    categories: int
    by_class: bool

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Measured:
        """Count what is in a batch whose boxes stand in `encoding.box`."""
        assert encoding.box is not None
        objects = schema.flat(batch)
        image, lengths, classes = objects.image_of(), np.diff(objects.offsets), classes_of(objects, self.categories)
        names, split = splits_of(batch)
        codes = _codes(batch, objects, encoding.box)
        looked_at = np.flatnonzero(objects.annotated)
        per_image = counted(split[looked_at], _bins(lengths[looked_at], PER_IMAGE_EDGES), len(names), _PER_IMAGE)
        pairs, boxes = np.unique(image * (self.categories + 1) + classes, return_counts=True)
        pair = pairs % (self.categories + 1)
        none = np.zeros(0, np.int64)
        by_class = none, none
        if self.by_class:
            of_class = counted(pair, _bins(boxes, PER_IMAGE_EDGES), self.categories + 1, _PER_IMAGE)
            by_class = _sparse(np.hstack([_counts(codes, classes, self.categories + 1), of_class]).reshape(-1))
        return Measured(
            outline(batch, objects, self.categories),
            np.hstack([_counts(codes, split[image], len(names)), per_image]),
            np.bincount(pair, minlength=self.categories + 1).astype(np.int64),
            by_class,
            tuple(_image_sizes(batch, split == number) for number in range(len(names))),
            _duplicates(objects, image, classes),
        )


_PER_IMAGE = WIDTHS["boxes_per_image"]
_Codes = Sequence[tuple[Integers, int]]
"""For some columns of counts: which of them (N,) each box is in, or -1, and how many columns there are."""


def _counts(codes: _Codes, group: Integers, groups: int) -> Integers:
    """The columns of the boxes of each group, of which (N,) says the number."""
    return np.hstack([counted(group, code, groups, number) for code, number in codes])


def _sparse(counts: Integers) -> tuple[Integers, Integers]:
    there = np.flatnonzero(counts)
    return there.astype(np.int64), counts[there]


def _bins(values: NDArray[np.float64] | Integers, edges: Sequence[float]) -> Integers:
    """Between which edges each value (N,) lies; -1 for one that is not a number."""
    found = np.searchsorted(np.array(edges[1:-1]), values, side="right").astype(np.int64)
    found[np.isnan(values)] = -1
    return found


def _codes(batch: pa.RecordBatch, objects: Objects, box: BoxFormat) -> _Codes:
    """All columns but those of images."""
    values, _ = schema.boxes_of(objects.rows)
    image_sizes = stages.sizes_of(batch, objects.image_of())
    image_sizes[~(image_sizes > 0)] = np.nan
    with np.errstate(all="ignore"):
        pixels = fractions = convert_boxes(values, box, BoxFormat("cxcywh", box.scale))
        both = np.hstack([image_sizes, image_sizes])
        if box.scale is None:
            fractions = pixels / both
        else:
            fractions = fractions / box.scale
            pixels = fractions * both
        width, height = pixels[:, 2], pixels[:, 3]
        flat = ~((width > 0) & (height > 0))
        ratios = np.where(flat, np.nan, width / height)
        given = objects.column("area").fill_null(np.nan).to_numpy(zero_copy_only=False)
        areas = np.where(np.isnan(given), _areas(pixels), given)
    sizes = _bins(areas, (0, *SIZE_EDGES, inf))
    sizes[sizes < 0] = SIZES.index("unknown")
    flags = [(np.where(_is_set(objects, name), 0, -1), 1) for name in FLAGS]
    return [
        *flags,
        (sizes, len(SIZES)),
        (_bins(_areas(fractions), AREA_EDGES), WIDTHS["relative_areas"]),
        (_bins(ratios, RATIO_EDGES), WIDTHS["aspect_ratios"]),
        (_cells(fractions), WIDTHS["positions"]),
    ]


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area (N,) of boxes cx, cy, w, h; zero where a side is negative, inf beyond the largest number."""
    with np.errstate(over="ignore", invalid="ignore"):
        area: NDArray[np.float64] = np.maximum(boxes[:, 2], 0) * np.maximum(boxes[:, 3], 0)
    return area


def _cells(boxes: NDArray[np.float64]) -> Integers:
    """The cell of the grid in which the center (N,) of each box lies; -1 outside the image."""
    centers = boxes[:, :2]
    inside: NDArray[np.bool_] = np.all((centers >= 0) & (centers <= 1), axis=1)
    cells = np.minimum((np.where(inside[:, None], centers, 0) * GRID).astype(np.int64), GRID - 1)
    return np.where(inside, cells[:, 1] * GRID + cells[:, 0], -1)


def _is_set(objects: Objects, name: str) -> NDArray[np.bool_]:
    """Whether each object has the flag: true, or, where there are levels, more than zero."""
    column = objects.column(name)
    if pa.types.is_boolean(column.type) or column.null_count == len(column):
        return stages.flagged(name)(objects)
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False) > 0)


def _image_sizes(batch: pa.RecordBatch, chosen: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The sizes of the images that are chosen (B,), and how many have each."""
    sides = [batch.column(name).fill_null(0).to_numpy().astype(np.int64)[chosen] for name in ("width", "height")]
    packed = np.where((sides[0] > 0) & (sides[1] > 0), (sides[0] << 32) | sides[1], NO_SIZE)
    sizes, counts = np.unique(packed, return_counts=True)
    return sizes, counts.astype(np.int64)


def _duplicates(objects: Objects, image: Integers, classes: Integers) -> int:
    """How many boxes are the same, class and numbers, as another before them in their image. Only those that have a
    number in common, which is made of all that is compared, are looked at."""
    values, valid = schema.boxes_of(objects.rows)
    turned = objects.column("rotation").fill_null(np.nan).to_numpy(zero_copy_only=False)
    compared = [image, classes, *((column + 0.0).view(np.int64) for column in (*values.T, turned))]  # -0 is 0
    mixed = np.zeros(len(image), np.uint64)
    for column in compared:
        mixed = (mixed ^ column.view(np.uint64)) * _FACTOR
        mixed ^= mixed >> _HALF
    mixed = mixed[valid]
    order = np.argsort(mixed)
    same = mixed[order][1:] == mixed[order][:-1]
    if not same.any():
        return 0
    again = np.flatnonzero(valid)[order[np.append(same, False) | np.append(False, same)]]
    rows = np.stack([column[again] for column in compared], axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


_FACTOR, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
