"""The arithmetic of `boxes.py` on numpy arrays: block by block, and in place within a block.

A block is small enough to stay in the cache, so that every pass after the first reads it from there: this is what
converts a data set, and it is as fast as numpy written by hand. Nothing here writes to what the caller gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bboxconv.boxformat import BoxFormat, Kind, Rotation

Floats: TypeAlias = NDArray[np.floating]

_BLOCK = 16_384  # boxes converted at a time: 512 KiB of float64
_PAIRS = 65_536  # pairs of boxes compared at a time: 512 KiB for each of the arrays between


def numbers(given: object, last: int, what: str) -> Floats:
    """What was given as an array of floats with `last` numbers on its last axis; ValueError where it is none."""
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of different lengths, which numpy tells of in words of its own
        raise ValueError(f"{what} must have {last} numbers on the last axis, in every row") from error
    if array.shape == (0,):  # the empty list
        array = array.reshape(0, last)
    if array.ndim == 0 or array.shape[-1] != last:
        raise ValueError(f"{what} must have {last} numbers on the last axis, not the shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{what} must be numbers, not {array.dtype}")
    return array if array.dtype in (np.float32, np.float64, np.float16) else array.astype(np.float64)


def wide(array: Floats) -> Floats:
    """Half precision as float32: a product of two sides is beyond float16 from 256 pixels on."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def image_sizes(given: object, lead: tuple[int, ...]) -> Floats:
    """Image sizes as an array that broadcasts to lead + (2,), NaN allowed; ValueError where they are none."""
    sizes = np.asarray(given)
    if sizes.ndim == 0 or sizes.shape[-1] != 2 or sizes.dtype.kind not in "iuf":
        raise ValueError(f"image_size must be (w, h) on the last axis, not {sizes.dtype} of shape {sizes.shape}")
    fit(sizes, (*lead, 2), "image_size")
    if sizes.size and np.fmin.reduce(sizes, axis=None) <= 0:
        raise ValueError("image sizes must be positive")
    return sizes


def fit(array: Floats, shape: tuple[int, ...], what: str) -> Floats:
    """The array broadcast to a shape; ValueError that says what does not fit."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{what} of shape {array.shape} cannot be broadcast to {shape}") from None


def limits(fmt: BoxFormat, image_size: object, shape: tuple[int, ...]) -> Floats:
    """The far edges of the images in the unit of `fmt`, infinite where the size is unknown."""
    if fmt.scale is not None:
        return np.array([fmt.scale, fmt.scale], dtype=np.float64)
    if image_size is None:
        raise ValueError(f"the edges of {fmt.name} boxes need the image sizes: give image_size")
    sizes = image_sizes(image_size, shape[:-1]).astype(np.float64)
    sizes[np.isnan(sizes)] = np.inf
    return sizes


def convert(array: Floats, old: BoxFormat, new: BoxFormat, image_size: object, shifts: tuple[float, ...]) -> Floats:
    """Copy block by block, and convert each block in place while it is in the cache.

    Kind and shifts are changed in pixels where one format has them: exact for integers and halves. What multiplies
    goes before what divides, which leaves one rounding.
    """
    last = array.shape[-1]
    rescaled = old.scale != new.scale
    if rescaled and array.dtype == np.float16:  # in which neither a size such as 2049 is exact, nor 300 * 300 finite
        return convert(wide(array), old, new, image_size, shifts).astype(array.dtype)
    sizes: Floats = np.ones((1, 2))
    if old.needs_size(new):
        if image_size is None:
            raise ValueError(f"converting {old.name} to {new.name} needs the image sizes: give image_size")
        sizes = image_sizes(image_size, array.shape[:-1])
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


def cos_sin(angle: Floats, rotation: Rotation) -> tuple[Floats, Floats]:
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


def clip_corners(array: Floats, fmt: BoxFormat, limit: Floats) -> Floats:
    """Corners in `fmt` cut at the edges of their images, whose far ones are `limit` (..., 2)."""
    first, second = fmt.offsets
    low = np.array([-first, -first, -second, -second], dtype=np.float64)
    high = np.concatenate([limit, limit], axis=-1) + low
    below, above = array < low, array > high
    if not (below.any() or above.any()):
        return array
    result: Floats = np.where(below, low, np.where(above, high, array)).astype(array.dtype, copy=False)
    return result


def check_pairs(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """The leading axes of two shapes (..., N, 4) and (..., M, 4) broadcast together; ValueError where they are none."""
    for shape in (first, second):
        if len(shape) < 2:
            raise ValueError(f"boxes must have the shape (..., N, 4), not {tuple(shape)}; one box is [box]")
    lead = []
    for a, b in zip_longest(reversed(first[:-2]), reversed(second[:-2]), fillvalue=1):
        if a != b and 1 not in (a, b):
            raise ValueError(f"the leading axes of {tuple(first)} and {tuple(second)} cannot be broadcast together")
        lead.append(b if a == 1 else a)
    return tuple(reversed(lead))


def blocks(groups: int, rows: int, columns: int, pairs: int) -> Iterator[tuple[slice, slice]]:
    """Which groups and which rows of them to compare at once, so that these are some `pairs`, if no row has more."""
    together, high = max(1, pairs // max(1, rows * columns)), max(1, pairs // max(1, columns))
    for group in range(0, groups, together):
        for row in range(0, rows, high):
            yield slice(group, min(group + together, groups)), slice(row, min(row + high, rows))


def iou(first: Floats, second: Floats, first_areas: Floats, second_areas: Floats) -> Floats:
    """Intersection over union of each of (..., N, 4) corners and their areas with each of (..., M, 4)."""
    lead = check_pairs(first.shape, second.shape)
    rows, columns = first.shape[-2], second.shape[-2]
    result = np.empty((*lead, rows, columns), dtype=np.result_type(first, second))
    groups = math.prod(lead)
    out = result.reshape(groups, rows, columns)

    def flat(array: Floats, *shape: int) -> Floats:
        """One group behind the other; each coordinate for itself, for the comparisons to read straight on."""
        grouped = np.broadcast_to(array, (*lead, *shape)).reshape(groups, *shape)
        return np.ascontiguousarray(np.moveaxis(grouped, 2, 0)) if len(shape) == 2 else grouped

    a, b = flat(first, rows, 4), flat(second, columns, 4)
    area, other = flat(first_areas, rows), flat(second_areas, columns)
    with np.errstate(all="ignore"):
        for group, row in blocks(groups, rows, columns, _PAIRS):
            left, right = a[:, group, row, None], b[:, group, None, :]
            width, height = (
                np.minimum(left[axis + 2], right[axis + 2]) - np.maximum(left[axis], right[axis]) for axis in (0, 1)
            )
            shared = np.maximum(width, 0, out=width)
            shared *= np.maximum(height, 0, out=height)
            union = area[group, row, None] + other[group, None, :]
            union -= shared
            np.divide(shared, union, out=out[group, row])
    return result
