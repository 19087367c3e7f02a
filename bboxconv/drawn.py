"""What is drawn of objects, polygons, masks and keypoints, as numbers: for objects that nothing else places, and for
formats that write a polygon in place of its box.
"""

from __future__ import annotations

from itertools import chain

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.boxes import BoxFormat, convert_boxes, extent

_PARTS = msgspec.json.Decoder(list[list[float]])
_NUMBERS = msgspec.json.Decoder(list[float])
_POINTS = 3
"""Points that a polygon has at least."""
_LARGEST = 1e150
"""Beyond this the width or area of an extent would be infinite."""


def polygon_points(text: str | None) -> NDArray[np.float64] | None:
    """The points (N, 2) of polygons; None where the text is something else."""
    try:
        polygons = _PARTS.decode(text or "null")
    except (msgspec.DecodeError, RecursionError):
        return None
    points = np.array(list(chain.from_iterable(polygons)))
    even = all(len(polygon) % 2 == 0 for polygon in polygons)
    return points.reshape(-1, 2) if even and len(points) and bool((abs(points) < _LARGEST).all()) else None


def is_mask(text: str | None) -> bool:
    """Whether a segmentation is run-length encoded."""
    return text is not None and text.startswith("{")


def redrawn(texts: pa.StringArray, box: BoxFormat, *, corners: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The boxes (N, 4) around polygons, in `box`, and which of N objects have a polygon that can be written in place
    of the box. `corners`: polygons of four points alone."""
    parts = [_parts(text, corners=corners) for text in texts.to_pylist()]
    lengths = [sum(map(len, part)) // 2 for part in parts]
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(parts)), np.float64).reshape(-1, 2)
    edges = extent(flat, np.cumsum([0, *lengths]))
    written = np.array([length > 0 for length in lengths], np.bool_)
    return np.asarray(convert_boxes(edges, BoxFormat("xyxy", box.scale), box), np.float64), written


def upright(boxes: NDArray[np.float64], box: BoxFormat) -> NDArray[np.float64]:
    """The rectangles (N, 4) that boxes in `box` are, none of a negative size."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if box.kind == "xyxy":
        return np.hstack([np.minimum(first, second), np.maximum(first, second)])
    return np.hstack([first + np.minimum(second, 0) if box.kind == "xywh" else first, np.abs(second)])


def _parts(text: str | None, *, corners: bool) -> list[list[float]]:
    try:
        parts = [] if text is None else _PARTS.decode(text)
    except msgspec.DecodeError:
        return []
    if corners:
        return parts if len(parts) == 1 and len(parts[0]) == 8 else []
    return [part for part in parts if len(part) >= 2 * _POINTS and len(part) % 2 == 0]


def drawn_differ(text: str, other: str, tolerance: float) -> bool:
    """Whether numbers that were drawn are not those that were read, by more than a tolerance. Several polygons that
    were joined to one are known by their extent alone, and behind the last keypoint zeros may stand."""
    try:
        if text.startswith("[["):
            parts, found = _parts(text, corners=False), _PARTS.decode(other)
            if len(parts) != 1:
                return False
            numbers, read = parts[0], list(chain.from_iterable(found))
            if len(numbers) != len(read):
                return True
        else:
            numbers, read = _NUMBERS.decode(text), _NUMBERS.decode(other)
    except msgspec.DecodeError:
        return text != other
    size = min(len(numbers), len(read))
    near = np.abs(np.array(numbers[:size]) - np.array(read[:size])) <= tolerance
    return not near.all() or any(read[size:])
