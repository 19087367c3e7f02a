"""Box formats and the conversion between them: array in, array out.

A box is four numbers on the last axis. What they mean is a `BoxFormat`: the kind (corners, corner and size, centre
and size), the unit (pixels, or the image's side divided into `scale` parts), the number of the first pixel, and
whether the second corner is the last pixel of the box or the edge behind it. y points downwards.

Everything is reasoned in continuous edges with origin 0. The PASCAL VOC development kit numbers pixels from 1 and its
xmax, ymax are the last pixels of the box, so its (xmin, ymin, xmax, ymax) has the edges (xmin-1, ymin-1, xmax, ymax).

Integers and lists become float64; float32 and float64 stay what they are. NaN passes through silently.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bboxconv.boxformat import BoxFormat as BoxFormat
from bboxconv.boxformat import Kind, Rotation

Floats: TypeAlias = NDArray[np.floating]

_BLOCK = 16_384  # boxes converted at a time: 512 KiB of float64, so that every pass after the first reads the cache


def convert_boxes(
    boxes: ArrayLike, source: str | BoxFormat, target: str | BoxFormat, image_size: ArrayLike | None = None
) -> Floats:
    """Convert (..., 4) boxes from one format to another, each given as a BoxFormat or by name (`cxcywhn`, `coco`
    ...).

    image_size: (w, h) in pixels for all boxes, or an array that broadcasts to (..., 2); needed only between pixels
    and a scaled format. Returns a new array of the boxes' shape. Where both formats mean the same numbers no
    arithmetic runs, and an array of floats is returned itself, not a copy. Rotation is not looked at: the boxes are
    the unrotated rectangles of both sides.

    ValueError: a last axis other than 4, an unknown format, a size that is missing, does not fit or is not positive.
    """
    old, new = _as_format(source), _as_format(target)
    array = _numbers(boxes, 4, "boxes")
    if old.kind == new.kind and old.scale == new.scale and _offsets(old) == _offsets(new):
        return array
    # The change of kind is linear, so the source's offsets take the same way, and one addition per column is enough.
    first, second = _offsets(old)
    moved = np.array([[first, first, second, second]], dtype=np.float64)
    _change_kind(moved, old.kind, new.kind)
    first, second = _offsets(new)
    return _convert(array, old, new, image_size, (float(moved[0, 0]) - first, float(moved[0, 2]) - second))


def corner_to_center(boxes: ArrayLike) -> Floats:
    """(..., 4) boxes x1, y1, x2, y2 to cx, cy, w, h in the same unit; ValueError for another last axis."""
    return convert_boxes(boxes, "xyxy", "cxcywh")


def center_to_corner(boxes: ArrayLike) -> Floats:
    """(..., 4) boxes cx, cy, w, h to x1, y1, x2, y2 in the same unit; ValueError for another last axis."""
    return convert_boxes(boxes, "cxcywh", "xyxy")


def convert_points(
    points: ArrayLike, source: str | BoxFormat, target: str | BoxFormat, image_size: ArrayLike | None = None
) -> Floats:
    """Convert (..., 2) points x, y between the units of two box formats: of these only scale and origin matter.

    image_size, result and errors as for `convert_boxes`.
    """
    old, new = _as_format(source), _as_format(target)
    array = _numbers(points, 2, "points")
    if old.scale == new.scale and old.origin == new.origin:
        return array
    return _convert(array, old, replace(new, kind=old.kind), image_size, (float(new.origin - old.origin),))


def extent(points: ArrayLike, offsets: ArrayLike) -> Floats:
    """The smallest xyxy boxes around groups of points, in the points' unit.

    points: (M, 2). offsets: (N + 1,) integers; group i is points[offsets[i]:offsets[i + 1]], as in an Arrow list.
    Returns (N, 4), NaN for an empty group and along an axis with a NaN. ValueError: shapes or offsets that do not
    fit.
    """
    array = _numbers(points, 2, "points")
    bounds = np.asarray(offsets)
    if array.ndim != 2:
        raise ValueError(f"points must have the shape (M, 2), not {array.shape}")
    if bounds.ndim != 1 or not bounds.size or bounds.dtype.kind not in "iu":
        raise ValueError(f"offsets must be N + 1 integers, not {bounds.dtype} of shape {bounds.shape}")
    bounds = bounds.astype(np.int64, copy=False)
    if bounds[0] < 0 or bounds[-1] > len(array) or (bounds[1:] < bounds[:-1]).any():
        raise ValueError(f"offsets must rise from 0 or more to at most {len(array)}, the number of points")
    result = np.full((len(bounds) - 1, 4), np.nan, dtype=array.dtype)
    # reduceat gives an empty group the value at its start, and reads the last group to the array's end.
    filled = np.flatnonzero(bounds[1:] > bounds[:-1])
    if filled.size:
        starts = bounds[:-1][filled]
        for axis in (0, 1):
            column = np.ascontiguousarray(array[: bounds[-1], axis])
            result[filled, axis] = np.minimum.reduceat(column, starts)
            result[filled, axis + 2] = np.maximum.reduceat(column, starts)
    return result


def rotated_envelope(
    boxes: ArrayLike, angles: ArrayLike, fmt: BoxFormat, image_size: ArrayLike | None = None
) -> Floats:
    """The axis-aligned boxes around rectangles that are turned by their angles, computed in pixels.

    boxes: (..., 4) unrotated rectangles in `fmt`; angles: broadcasts to (...), read as `fmt.rotation` says.
    image_size as for `convert_boxes`; needed where `fmt` has a scale. Returns (..., 4) in `fmt`. A box whose angle is
    zero or NaN (none given) keeps its very numbers. ValueError: no rotation in `fmt`, else as for `convert_boxes`.
    """
    if fmt.rotation is None:
        raise ValueError(f"box format {fmt.name} has no rotation")
    array = _numbers(boxes, 4, "boxes")
    angle = _fit(np.asarray(angles, dtype=np.float64), array.shape[:-1], "angles")
    turned = (angle != 0) & ~np.isnan(angle)
    # astype copies, so that turning in place never reaches the caller's array.
    center = convert_boxes(array.astype(np.float64), fmt, "cxcywh", image_size)
    with np.errstate(all="ignore"):
        cos, sin = _cos_sin(angle, fmt.rotation)
        w, h = center[..., 2].copy(), center[..., 3].copy()
        if fmt.rotation.pivot == "corner":
            center[..., 0] += (w * cos - h * sin - w) / 2
            center[..., 1] += (w * sin + h * cos - h) / 2
        center[..., 2] = np.abs(w * cos) + np.abs(h * sin)
        center[..., 3] = np.abs(w * sin) + np.abs(h * cos)
    envelope = convert_boxes(center, "cxcywh", fmt, image_size)
    return np.where(turned[..., None], envelope, array).astype(array.dtype, copy=False)


def outside(
    boxes: ArrayLike, fmt: BoxFormat, image_size: ArrayLike | None, *, tolerance: float = 0.0
) -> NDArray[np.bool_]:
    """Whether each box passes an edge of its image: (..., 4) boxes in `fmt` to (...) bools.

    image_size: as for `convert_boxes`, in pixels; NaN is an unknown size, whose far edges are not passed. None is
    right for a scaled format, which has its edges at 0 and `scale`. A difference of the last bits, which adding a
    size to a corner may leave, is no passing, and nor is one of up to `tolerance`, in the unit of `fmt`: what is
    written with six decimals passes an edge by half a unit of the last. NaN in a box passes nothing. ValueError as
    for `convert_boxes`.
    """
    array = _numbers(boxes, 4, "boxes")
    edges = convert_boxes(array, fmt, _edges_of(fmt))
    slack = 4 * float(np.finfo(array.dtype).eps)
    limit = _limits(fmt, image_size, array.shape) * (1 + slack)
    low, high = edges[..., :2], edges[..., 2:]
    with np.errstate(all="ignore"):
        # A negative size swaps the edges, so both are held against both sides.
        near, far = slack * np.abs(high) + tolerance, slack * np.abs(low) + tolerance
        passed = (low < -near) | (high < -far) | (low > limit + tolerance) | (high > limit + tolerance)
    return np.asarray(passed[..., 0] | passed[..., 1], dtype=np.bool_)


def box_area(boxes: ArrayLike, fmt: BoxFormat) -> Floats:
    """Width times height (...,) of boxes (..., 4), in the square of their unit; negative where one side is, infinite
    where no float64 can hold it.
    """
    sides = convert_boxes(boxes, fmt, BoxFormat("xywh", fmt.scale, fmt.origin, fmt.inclusive))
    with np.errstate(all="ignore"):
        return np.asarray(sides[..., 2] * sides[..., 3])


def degenerate(boxes: ArrayLike, fmt: BoxFormat) -> NDArray[np.bool_]:
    """Whether each box has no area: width or height zero or less, or NaN in any number; (..., 4) to (...) bools.

    The width is the continuous one: an inclusive box from pixel 5 to pixel 5 is one pixel wide. ValueError for
    another last axis than 4.
    """
    array = _numbers(boxes, 4, "boxes")
    x, y, w, h = (array[..., column] for column in range(4))
    with np.errstate(all="ignore"):
        if fmt.kind == "xyxy":
            w, h = w - x + fmt.inclusive, h - y + fmt.inclusive
        return np.asarray(~((w > 0) & (h > 0)) | np.isnan(x) | np.isnan(y), dtype=np.bool_)


def clip_boxes(boxes: ArrayLike, fmt: BoxFormat, image_size: ArrayLike | None) -> Floats:
    """Cut boxes at the edges of their images: (..., 4) boxes in `fmt`, in and out.

    image_size and errors as for `outside`. Only the boxes that are `outside` change, the others keep their very
    numbers; where there are none, an array of floats is returned itself. A box wholly outside becomes one of zero
    width or height at the edge.
    """
    array = _numbers(boxes, 4, "boxes")
    passing = outside(array, fmt, image_size)
    if not passing.any():
        return array
    limit = np.broadcast_to(_limits(fmt, image_size, array.shape), (*array.shape[:-1], 2))[passing]
    edges = convert_boxes(array[passing], fmt, _edges_of(fmt))
    clipped = np.clip(edges, 0, np.concatenate([limit, limit], axis=-1)).astype(array.dtype, copy=False)
    result = array.copy()
    result[passing] = convert_boxes(clipped, _edges_of(fmt), fmt)
    return result


def _as_format(given: str | BoxFormat) -> BoxFormat:
    return BoxFormat.parse(given) if isinstance(given, str) else given


def _edges_of(fmt: BoxFormat) -> BoxFormat:
    return replace(fmt, kind="xyxy", origin=0, inclusive=False)


def _offsets(fmt: BoxFormat) -> tuple[float, float]:
    """What to add to the first and the second pair of numbers to have them continuous with origin 0."""
    return -fmt.origin, fmt.inclusive - fmt.origin if fmt.kind == "xyxy" else 0


def _numbers(given: ArrayLike, last: int, what: str) -> Floats:
    array = np.asarray(given)
    if array.shape == (0,):  # the empty list
        array = array.reshape(0, last)
    if array.ndim == 0 or array.shape[-1] != last:
        raise ValueError(f"{what} must have {last} numbers on the last axis, not the shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{what} must be numbers, not {array.dtype}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _sizes(image_size: ArrayLike, lead: tuple[int, ...]) -> Floats:
    """Image sizes as an array that broadcasts to lead + (2,), NaN allowed; ValueError where they are none."""
    sizes = np.asarray(image_size)
    if sizes.ndim == 0 or sizes.shape[-1] != 2 or sizes.dtype.kind not in "iuf":
        raise ValueError(f"image_size must be (w, h) on the last axis, not {sizes.dtype} of shape {sizes.shape}")
    _fit(sizes, (*lead, 2), "image_size")
    if sizes.size and np.fmin.reduce(sizes, axis=None) <= 0:
        raise ValueError("image sizes must be positive")
    return sizes


def _fit(array: Floats, shape: tuple[int, ...], what: str) -> Floats:
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{what} of shape {array.shape} cannot be broadcast to {shape}") from None


def _limits(fmt: BoxFormat, image_size: ArrayLike | None, shape: tuple[int, ...]) -> Floats:
    """The far edges of the images in the unit of `fmt`, infinite where the size is unknown."""
    if fmt.scale is not None:
        return np.array([fmt.scale, fmt.scale], dtype=np.float64)
    if image_size is None:
        raise ValueError(f"the edges of {fmt.name} boxes need the image sizes: give image_size")
    sizes = _sizes(image_size, shape[:-1]).astype(np.float64)
    sizes[np.isnan(sizes)] = np.inf
    return sizes


def _convert(
    array: Floats, old: BoxFormat, new: BoxFormat, image_size: ArrayLike | None, shifts: tuple[float, ...]
) -> Floats:
    """Copy block by block, and convert each block in place while it is in the cache.

    Kind and shifts are changed in pixels where one format has them: exact for integers and halves. What multiplies
    goes before what divides, which leaves one rounding.
    """
    last = array.shape[-1]
    rescaled = old.scale != new.scale
    sizes: Floats = np.ones((1, 2))
    if old.needs_size(new):
        if image_size is None:
            raise ValueError(f"converting {old.name} to {new.name} needs the image sizes: give image_size")
        sizes = _sizes(image_size, array.shape[:-1])
        if sizes.size and not (sizes.min() > 0 and sizes.max() < np.inf):
            raise ValueError("image sizes must be positive, finite numbers")
        sizes = (sizes if sizes.size == 2 else np.broadcast_to(sizes, (*array.shape[:-1], 2))).reshape(-1, 2)
    result = np.empty(array.shape, dtype=array.dtype)
    flat, out = array.reshape(-1, last), result.reshape(-1, last)
    with np.errstate(all="ignore"):
        for start in range(0, len(flat), _BLOCK):
            block = out[start : start + _BLOCK]
            block[...] = flat[start : start + _BLOCK]
            sides = (sizes if len(sizes) == 1 else sizes[start : start + _BLOCK]).astype(array.dtype, copy=False)
            if rescaled and old.scale is not None:
                _rescale(block, old.scale, new.scale, sides)
            if old.kind != new.kind:
                _change_kind(block, old.kind, new.kind)
            for column in range(last):
                if shifts[column // 2]:
                    block[:, column] += shifts[column // 2]
            if rescaled and old.scale is None:
                _rescale(block, old.scale, new.scale, sides)
    return result


def _rescale(block: Floats, old: float | None, new: float | None, sizes: Floats) -> None:
    for column in range(block.shape[1]):
        numbers, side = block[:, column], sizes[:, column % 2]
        if new != 1:
            numbers *= side if new is None else new
        if old != 1:
            numbers /= side if old is None else old


def _change_kind(block: Floats, old: Kind, new: Kind) -> None:
    """Change the kind of (n, 4) boxes in place, each axis by as few operations as there are."""
    for axis in (0, 1):
        a, b = block[:, axis], block[:, axis + 2]
        match old, new:
            case "xyxy", "xywh":
                b -= a
            case "xywh", "xyxy":
                b += a
            case "xyxy", "cxcywh":
                total = a + b
                b -= a
                np.multiply(total, 0.5, out=a)
            case "cxcywh", "xyxy":
                half = b * 0.5
                np.add(a, half, out=b)
                a -= half
            case "xywh", "cxcywh":
                a += b * 0.5
            case "cxcywh", "xywh":
                a -= b * 0.5


def _cos_sin(angle: Floats, rotation: Rotation) -> tuple[Floats, Floats]:
    """Cosine and sine of the clockwise turn (y points down); quarter turns in degrees give exact zeros and ones."""
    if rotation.unit == "degree":
        quarter = np.rint(angle / 90)
        rest = np.deg2rad(angle - quarter * 90)
        cos, sin = np.cos(rest), np.sin(rest)
        which = np.where(np.isfinite(quarter), quarter % 4, 0).astype(np.intp)
        cos, sin = np.choose(which, (cos, -sin, -cos, sin)), np.choose(which, (sin, cos, -sin, -cos))
    else:
        cos, sin = np.cos(angle), np.sin(angle)
    return cos, -sin if rotation.sense == "ccw" else sin
