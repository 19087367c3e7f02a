"""What is drawn on an image, as numbers in its pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import convert_boxes, convert_points
from bboxconv.boxformat import BoxFormat
from bboxconv.boxnumpy import cos_sin
from bboxconv.drawing.masks import Mask, mask_of
from bboxconv.drawn import is_mask
from bboxconv.schema import Category, Header

Points = NDArray[np.float64]

_PIXELS = BoxFormat("xyxy")
_EXTENTS = ("rbox", "quad", "polygon", "mask", "ellipse", "circle")
"""Shapes of which the bbox is the extent: it is not drawn where they are."""
_FAR = 1e7
"""Pixels beyond which nothing is drawn: numbers of a picture are 32 bits."""
_POLYGONS = msgspec.json.Decoder(list[list[float]])
_NUMBERS = msgspec.json.Decoder(list[float])


@dataclass(frozen=True, slots=True)
class Figure:
    """One object, in pixels of its image."""

    category: int | None
    name: str
    """Of the class, with the score and the flags."""
    box: tuple[float, float, float, float] | None
    """The edges of the box, or of what is around all that is drawn; None: the object has no place."""
    outlined: bool
    """Whether the box itself is drawn."""
    turned: Points | None = None
    """The corners (4, 2) of a box that is turned."""
    polygons: tuple[Points, ...] = ()
    """Of (M, 2) points."""
    mask: Mask | None = None
    """Over the whole image."""
    keypoints: Points | None = None
    """(K, 3): x, y and whether it is not labelled (0), hidden (1) or seen (2)."""
    skeleton: tuple[tuple[int, int], ...] = ()
    """The numbers, from 0, of keypoints that are joined."""
    hatched: bool = False
    """A crowd, or a region to be ignored."""
    odd: bool = False
    """Whether something that is drawn cannot be read."""

    @property
    def area(self) -> float:
        """Of the box; nothing where there is none."""
        return 0.0 if self.box is None else (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def top(self) -> tuple[float, float] | None:
        """The highest point of what is drawn in place of a box, which has no corner to put a label at."""
        rings = [*self.polygons, *([] if self.turned is None else [self.turned])]
        if self.outlined or not rings:
            return None
        points = np.concatenate(rings)
        x, y = points[int(np.argmin(points[:, 1]))].tolist()
        return x, y


def figures_of(
    row: pa.RecordBatch, header: Header, size: tuple[int, int], names: Sequence[str], points: Sequence[Sequence[int]]
) -> list[Figure]:
    """The objects of one image, which has that size (width, height), the largest first.

    `names` is what to call each class, `points` the pairs of keypoints of each that are joined, flat.
    """
    objects = schema.flat(row)
    if not len(objects.rows):
        return []
    values, valid = schema.boxes_of(objects.rows)
    edges = np.asarray(convert_boxes(values, header.box, _PIXELS, size), np.float64)
    edges = np.hstack([np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])])
    valid = valid & np.isfinite(edges).all(axis=1)
    turned = _turned(objects, values, header.box, size)
    found = []
    columns = {name: objects.column(name).to_pylist() for name in _DRAWN}
    for number, category in enumerate(columns["category"]):
        given = {name: column[number] for name, column in columns.items()}
        polygons, mask, odd = _segments(given["segmentation"], header.box, size)
        drawn = bool(polygons) or mask is not None
        keypoints, wrong = _keypoints(given["keypoints"], header.box, size)
        own = tuple(np.clip(edges[number], -_FAR, _FAR).tolist()) if valid[number] else None
        pairs = points[category] if category is not None else ()
        figure = Figure(
            category,
            _called(given, "" if category is None else names[category]),
            own,
            own is not None and turned[number] is None and not (drawn and given["shape"] in _EXTENTS),
            turned[number],
            polygons,
            mask,
            keypoints,
            tuple(zip(pairs[::2], pairs[1::2], strict=False)),
            bool(given["iscrowd"] or given["ignore"]),
            odd or wrong,
        )
        found.append(replace(figure, box=_around(figure)))
    return sorted(found, key=lambda one: -one.area)


_DRAWN = ("category", "segmentation", "keypoints", "shape", "score", "iscrowd", "ignore", "difficult")


def _called(given: dict[str, object], name: str) -> str:
    """A class with the score of the object and its flags: what is hatched is said in words too."""
    score = given["score"]
    words = [name or "no class"]
    if isinstance(score, float) and math.isfinite(score):
        words.append(f"{score:.2f}")
    flags = [word for word, flag in (("crowd", "iscrowd"), ("ignore", "ignore"), ("difficult", "difficult"))
             if given[flag]]  # fmt: skip
    return " ".join([*words, *([f"({', '.join(flags)})"] if flags else [])])


def _around(figure: Figure) -> tuple[float, float, float, float] | None:
    """Where the label of an object stands: its box, the box of what is drawn of it, or nowhere."""
    corners = [] if figure.outlined else [*figure.polygons, *([] if figure.turned is None else [figure.turned])]
    if figure.box is None and figure.keypoints is not None:
        corners.append(figure.keypoints[figure.keypoints[:, 2] > 0, :2])
    if figure.box is None and figure.mask is not None:
        inside = figure.mask.pixels()
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if len(rows):
            corners.append(np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float64))
    points = np.concatenate(corners) if corners else np.zeros((0, 2))
    if not len(points):
        return figure.box
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _turned(
    objects: schema.Objects, values: NDArray[np.float64], box: BoxFormat, size: tuple[int, int]
) -> list[Points | None]:
    """The corners (4, 2) of each box that is turned."""
    angles = objects.column("rotation")
    if box.rotation is None or angles.null_count == len(angles):
        return [None] * len(values)
    center = np.asarray(convert_boxes(values, box, BoxFormat("cxcywh"), size), np.float64)
    angle = angles.fill_null(np.nan).to_numpy(zero_copy_only=False)
    with np.errstate(all="ignore"):
        cos, sin = cos_sin(angle, box.rotation)
    pivot = center[:, :2] - (center[:, 2:] / 2 if box.rotation.pivot == "corner" else 0)
    found: list[Points | None] = []
    for number in range(len(values)):
        w, h = center[number, 2:]
        corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float64)
        corners -= (w / 2, h / 2) if box.rotation.pivot == "center" else (0, 0)
        turn = np.array([[cos[number], sin[number]], [-sin[number], cos[number]]])
        points = corners @ turn + pivot[number]
        found.append(np.clip(points, -_FAR, _FAR) if np.isfinite(points).all() and angle[number] else None)
    return found


def _segments(text: str | None, box: BoxFormat, size: tuple[int, int]) -> tuple[tuple[Points, ...], Mask | None, bool]:
    """The polygons or the mask of a segmentation, and whether it is neither."""
    if text is None:
        return (), None, False
    if is_mask(text):
        mask = mask_of(text)
        return (), mask, mask is None
    try:
        parts = _POLYGONS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return (), None, True
    polygons = [_points(part, box, size) for part in parts if len(part) % 2 == 0 and len(part) >= 4]
    kept = tuple(polygon for polygon in polygons if polygon is not None)
    return kept, None, len(kept) < len(parts)


def _points(numbers: Sequence[float], box: BoxFormat, size: tuple[int, int]) -> Points | None:
    points = np.asarray(convert_points(np.array(numbers, np.float64).reshape(-1, 2), box, _PIXELS, size), np.float64)
    return np.clip(points, -_FAR, _FAR) if np.isfinite(points).all() else None


def _keypoints(text: str | None, box: BoxFormat, size: tuple[int, int]) -> tuple[Points | None, bool]:
    """The keypoints of an object, and whether they cannot be read."""
    if text is None:
        return None, False
    try:
        triples = np.array(_NUMBERS.decode(text), np.float64)
    except (msgspec.DecodeError, RecursionError):
        return None, True
    if len(triples) % 3 or not np.isfinite(triples).all():
        return None, True
    triples = triples.reshape(-1, 3)
    points = _points(triples[:, :2].reshape(-1).tolist(), box, size)
    if points is None:
        return None, True
    return (np.column_stack((points, triples[:, 2])) if (triples[:, 2] > 0).any() else None), False


def skeleton_of(category: Category) -> tuple[int, ...]:
    """The pairs of keypoints that a class joins, flat and numbered from 0, from its `skeleton` as COCO has it."""
    try:
        pairs = json.loads(category.extra or "{}").get("skeleton", [])
        numbers = [int(number) - 1 for pair in pairs for number in pair if len(pair) == 2]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ()
    return tuple(numbers) if all(number >= 0 for number in numbers) else ()


def extent_of(figures: Sequence[Figure]) -> tuple[int, int] | None:
    """The size (width, height) that has room for all figures; None where nothing has a place."""
    edges = [figure.box for figure in figures if figure.box is not None]
    if not edges:
        return None
    return max(math.ceil(max(edge[2] for edge in edges)), 1), max(math.ceil(max(edge[3] for edge in edges)), 1)
