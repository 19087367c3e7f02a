"""Box formats and the conversion between them: array in, array out.

A box is four numbers on the last axis. What they mean is a `BoxFormat`: the kind (corners, corner and size, centre
and size), the unit (pixels, or the image's side divided into `scale` parts), the number of the first pixel, and
whether the second corner is the last pixel of the box or the edge behind it. y points downwards.

Everything is reasoned in continuous edges with origin 0. The PASCAL VOC development kit numbers pixels from 1 and its
xmax, ymax are the last pixels of the box, so its (xmin, ymin, xmax, ymax) has the edges (xmin-1, ymin-1, xmax, ymax).

Arrays. `convert_boxes`, `corner_to_center`, `center_to_corner`, `clip_boxes`, `box_area` and `box_iou` take numpy
arrays and lists, which become numpy arrays; torch tensors, JAX, CuPy and other arrays of the array API standard,
which stay what they are, on their device and with their gradients; and DataFrames of pandas with four columns. The
floats of an array keep their type (float16, float32, float64, bfloat16). Integers and lists become float64 in numpy
and pandas, in other libraries their default float (torch.get_default_dtype()), also where no halves arise: the type
of a result does not depend on the formats, and no small integer overflows. NaN passes silently.

A DataFrame gives one with the same index. Its columns are taken by name where they are called as the numbers of the
format usually are (x1 y1 x2 y2, xmin ymin xmax ymax, x y width height ...), else in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bboxconv import boxnumpy
from bboxconv.boxformat import BoxFormat as BoxFormat
from bboxconv.boxnumpy import Floats, cos_sin, fit, limits, numbers, wide

if TYPE_CHECKING:
    import pandas as pd


class Array(Protocol):
    """An array of any library, or a DataFrame."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes, the last of them 4."""
        ...


A = TypeVar("A", bound=Array)
F = TypeVar("F", bound=np.floating)
Nested: TypeAlias = "Sequence[float | Nested]"
Sizes: TypeAlias = ArrayLike | Array | None

# torch.compile cannot read a union of types in isinstance.
_OF_NUMPY = (np.ndarray, np.generic, list, tuple, int, float)
_CORNER, _CENTER = BoxFormat("xyxy"), BoxFormat("cxcywh")


@overload
def convert_boxes(
    boxes: NDArray[F], source: str | BoxFormat, target: str | BoxFormat, image_size: Sizes = None
) -> NDArray[F]: ...
@overload
def convert_boxes(
    boxes: NDArray[np.integer] | Nested, source: str | BoxFormat, target: str | BoxFormat, image_size: Sizes = None
) -> NDArray[np.float64]: ...
@overload
def convert_boxes(boxes: A, source: str | BoxFormat, target: str | BoxFormat, image_size: Sizes = None) -> A: ...
def convert_boxes(
    boxes: ArrayLike | Array, source: str | BoxFormat, target: str | BoxFormat, image_size: Sizes = None
) -> object:
    """Convert (..., 4) boxes from one format to another, each given as a BoxFormat or by name (`cxcywhn`, `coco`
    ...).

    image_size: (w, h) in pixels for all boxes, or an array that broadcasts to (..., 2); needed only between pixels
    and a scaled format. Returns a new array of the boxes' shape. Where both formats mean the same numbers no
    arithmetic runs, and an array of floats is returned itself, not a copy. Rotation is not looked at: the boxes are
    the unrotated rectangles of both sides. float16 and bfloat16 are rescaled in float32, and rounded once. The columns
    of a DataFrame keep their names as long as the boxes keep their kind, else they are x1 y1 x2 y2, x y w h or cx cy
    w h.

    ValueError: a last axis other than 4, an unknown format, a size that is missing, does not fit or is not positive
    (of sizes that are traced, as by jax.jit, the values are not looked at).
    """
    return _convert(boxes, _as_format(source), _as_format(target), image_size)


@overload
def corner_to_center(boxes: NDArray[F]) -> NDArray[F]: ...
@overload
def corner_to_center(boxes: NDArray[np.integer] | Nested) -> NDArray[np.float64]: ...
@overload
def corner_to_center(boxes: A) -> A: ...
def corner_to_center(boxes: ArrayLike | Array) -> object:
    """(..., 4) boxes x1, y1, x2, y2 to cx, cy, w, h in the same unit: cx = (x1 + x2) / 2, w = x2 - x1.

    Any array, with any leading axes; ValueError for another last axis.
    """
    return _convert(boxes, _CORNER, _CENTER)


@overload
def center_to_corner(boxes: NDArray[F]) -> NDArray[F]: ...
@overload
def center_to_corner(boxes: NDArray[np.integer] | Nested) -> NDArray[np.float64]: ...
@overload
def center_to_corner(boxes: A) -> A: ...
def center_to_corner(boxes: ArrayLike | Array) -> object:
    """(..., 4) boxes cx, cy, w, h to x1, y1, x2, y2 in the same unit: x1 = cx - w / 2, x2 = cx + w / 2.

    Any array, with any leading axes; ValueError for another last axis.
    """
    return _convert(boxes, _CENTER, _CORNER)


def convert_points(
    points: ArrayLike, source: str | BoxFormat, target: str | BoxFormat, image_size: ArrayLike | None = None
) -> Floats:
    """Convert (..., 2) points x, y between the units of two box formats: of these only scale and origin matter.

    image_size, result and errors as for `convert_boxes`.
    """
    old, new = _as_format(source), _as_format(target)
    array = numbers(points, 2, "points")
    if old.scale == new.scale and old.origin == new.origin:
        return array
    return boxnumpy.convert(array, old, replace(new, kind=old.kind), image_size, (float(new.origin - old.origin),))


def extent(points: ArrayLike, offsets: ArrayLike) -> Floats:
    """The smallest xyxy boxes around groups of points, in the points' unit.

    points: (M, 2). offsets: (N + 1,) integers; group i is points[offsets[i]:offsets[i + 1]], as in an Arrow list.
    Returns (N, 4), NaN for an empty group and along an axis with a NaN. ValueError: shapes or offsets that do not
    fit.
    """
    array = numbers(points, 2, "points")
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
    array = numbers(boxes, 4, "boxes")
    angle = fit(np.asarray(angles, dtype=np.float64), array.shape[:-1], "angles")
    turned = (angle != 0) & ~np.isnan(angle)
    # astype copies, so that turning in place never reaches the caller's array.
    center = convert_boxes(array.astype(np.float64), fmt, "cxcywh", image_size)
    with np.errstate(all="ignore"):
        cos, sin = cos_sin(angle, fmt.rotation)
        w, h = center[..., 2].copy(), center[..., 3].copy()
        if fmt.rotation.pivot == "corner":
            center[..., 0] += (w * cos - h * sin - w) / 2
            center[..., 1] += (w * sin + h * cos - h) / 2
        center[..., 2] = np.abs(w * cos) + np.abs(h * sin)
        center[..., 3] = np.abs(w * sin) + np.abs(h * cos)
    envelope = convert_boxes(center, "cxcywh", fmt, image_size)
    return np.where(turned[..., None], envelope, array).astype(array.dtype, copy=False)


def outside(boxes: ArrayLike, fmt: BoxFormat, image_size: Sizes, *, tolerance: float = 0.0) -> NDArray[np.bool_]:
    """Whether each box passes an edge of its image: (..., 4) boxes in `fmt` to (...) bools.

    image_size: as for `convert_boxes`, in pixels; NaN is an unknown size, whose far edges are not passed. None is
    right for a scaled format, which has its edges at 0 and `scale`. A difference of the last bits, which adding a
    size to a corner may leave, is no passing, and nor is one of up to `tolerance`, in the unit of `fmt`: what is
    written with six decimals passes an edge by half a unit of the last. NaN in a box passes nothing. ValueError as
    for `convert_boxes`.
    """
    array = wide(numbers(boxes, 4, "boxes"))
    edges = convert_boxes(array, fmt, fmt.edges)
    slack = 4 * float(np.finfo(array.dtype).eps)
    limit = limits(fmt, image_size, array.shape) * (1 + slack)
    low, high = edges[..., :2], edges[..., 2:]
    with np.errstate(all="ignore"):
        # A negative size swaps the edges, so both are held against both sides.
        near, far = slack * np.abs(high) + tolerance, slack * np.abs(low) + tolerance
        passed = (low < -near) | (high < -far) | (low > limit + tolerance) | (high > limit + tolerance)
    return np.asarray(passed[..., 0] | passed[..., 1], dtype=np.bool_)


@overload
def box_area(boxes: NDArray[np.float16], fmt: str | BoxFormat = ...) -> NDArray[np.float32]: ...
@overload
def box_area(boxes: NDArray[F], fmt: str | BoxFormat = ...) -> NDArray[F]: ...
@overload
def box_area(boxes: NDArray[np.integer] | Nested, fmt: str | BoxFormat = ...) -> NDArray[np.float64]: ...
@overload
def box_area(boxes: pd.DataFrame, fmt: str | BoxFormat = ...) -> pd.Series[float]: ...
@overload
def box_area(boxes: A, fmt: str | BoxFormat = ...) -> A: ...
def box_area(boxes: ArrayLike | Array, fmt: str | BoxFormat = "xyxy") -> object:
    """Width times height (...,) of boxes (..., 4), in the square of their unit; negative where one side is, infinite
    where it is too large a number.

    Of float16 and bfloat16 the areas are float32, as 256 times 256 is no float16. Of a DataFrame they are a Series
    `area`. ValueError: a last axis other than 4, an unknown format.
    """
    given = _as_format(fmt)
    match _home(boxes):
        case "array":
            from bboxconv import boxarrays  # noqa: PLC0415 - as in _convert

            return boxarrays.area(boxes, given)
        case "frame":
            from bboxconv import boxframes  # noqa: PLC0415 - as in _convert

            return boxframes.area(boxes, given, lambda values: box_area(values, given))
    w, h = _sides(wide(numbers(boxes, 4, "boxes")), given)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(w * h)


@overload
def box_iou(boxes1: NDArray[F], boxes2: NDArray[F], fmt: str | BoxFormat = ...) -> NDArray[F]: ...
@overload
def box_iou(boxes1: A, boxes2: A | NDArray[np.number] | Nested, fmt: str | BoxFormat = ...) -> A: ...
@overload
def box_iou(boxes1: Nested, boxes2: A, fmt: str | BoxFormat = ...) -> A: ...
@overload
def box_iou(boxes1: Nested, boxes2: Nested, fmt: str | BoxFormat = ...) -> NDArray[np.float64]: ...
def box_iou(boxes1: ArrayLike | Array, boxes2: ArrayLike | Array, fmt: str | BoxFormat = "xyxy") -> object:
    """Intersection over union (..., N, M) of each of the boxes (..., N, 4) with each of (..., M, 4), both in `fmt`.

    Leading axes broadcast. What is in memory beside the boxes and the result is some 65 thousand pairs (a million in
    libraries other than numpy), or one row of the result where that is longer; libraries other than numpy have the
    result twice for a moment, as its parts are joined. NaN where a box has a NaN, and where neither of two boxes has
    an area. The formula is torchvision's: of float16 and bfloat16 the result is float32, and a box whose sides are
    negative is not mended. Of boxes in a scaled format both are taken to be of one image.

    Where one of the two is an array of another library than numpy, numpy arrays and lists beside it become such, of
    its type and on its device. Two DataFrames give one with the index of the first as rows and of the second as
    columns. ValueError: shapes other than these, an unknown format.
    """
    return _iou(boxes1, boxes2, _as_format(fmt))


def degenerate(boxes: ArrayLike, fmt: BoxFormat) -> NDArray[np.bool_]:
    """Whether each box has no area: width or height zero or less, or NaN in any number; (..., 4) to (...) bools.

    The width is the continuous one: an inclusive box from pixel 5 to pixel 5 is one pixel wide. ValueError for
    another last axis than 4.
    """
    array = wide(numbers(boxes, 4, "boxes"))
    w, h = _sides(array, fmt)
    unknown = np.isnan(array[..., 0]) | np.isnan(array[..., 1])
    return np.asarray(~((w > 0) & (h > 0)) | unknown, dtype=np.bool_)


@overload
def clip_boxes(boxes: NDArray[F], fmt: str | BoxFormat = ..., image_size: Sizes = ...) -> NDArray[F]: ...
@overload
def clip_boxes(
    boxes: NDArray[np.integer] | Nested, fmt: str | BoxFormat = ..., image_size: Sizes = ...
) -> NDArray[np.float64]: ...
@overload
def clip_boxes(boxes: A, fmt: str | BoxFormat = ..., image_size: Sizes = ...) -> A: ...
def clip_boxes(boxes: ArrayLike | Array, fmt: str | BoxFormat = "xyxy", image_size: Sizes = None) -> object:
    """Cut boxes at the edges of their images: (..., 4) boxes in `fmt`, in and out.

    image_size: as for `convert_boxes`, in pixels; NaN is an unknown size, at whose far edges nothing is cut. None is
    right for a scaled format, which has its edges at 0 and `scale`. A box wholly outside becomes one of zero width or
    height at the edge. Corners keep their very numbers but for those that are beyond an edge. Of a box with a size,
    all numbers change if it is `outside`, and none do else: the last bits which adding a size to a corner may leave
    beyond the edge stay. An array of floats in which nothing changes may be returned itself. ValueError as for
    `convert_boxes`.
    """
    given = _as_format(fmt)
    match _home(boxes):
        case "array":
            from bboxconv import boxarrays  # noqa: PLC0415 - as in _convert

            return boxarrays.clip(boxes, given, image_size)
        case "frame":
            from bboxconv import boxframes  # noqa: PLC0415 - as in _convert

            return boxframes.mapped(boxes, given, given, lambda values: clip_boxes(values, given, image_size))
    array = numbers(boxes, 4, "boxes")
    limit = limits(given, image_size, array.shape)
    if given.kind == "xyxy":
        return boxnumpy.clip_corners(array, given, limit)
    passing = outside(array, given, image_size)
    if not passing.any():
        return array
    far = np.broadcast_to(limit, (*array.shape[:-1], 2))[passing]
    edges = convert_boxes(wide(array[passing]), given, given.edges)
    clipped = np.clip(edges, 0, np.concatenate([far, far], axis=-1)).astype(edges.dtype, copy=False)
    result = array.copy()
    result[passing] = convert_boxes(clipped, given.edges, given)
    return result


def _convert(boxes: object, old: BoxFormat, new: BoxFormat, image_size: object = None) -> object:
    match _home(boxes):
        case "array":
            from bboxconv import boxarrays  # noqa: PLC0415 - for arrays that are none of numpy

            return boxarrays.convert(boxes, old, new, image_size)
        case "frame":
            from bboxconv import boxframes  # noqa: PLC0415 - for frames alone

            return boxframes.mapped(boxes, old, new, lambda values: _convert(values, old, new, image_size))
    array = numbers(boxes, 4, "boxes")
    if old.same_numbers(new):
        return array
    return boxnumpy.convert(array, old, new, image_size, old.shifts(new))


def _iou(boxes1: object, boxes2: object, fmt: BoxFormat) -> object:
    homes = _home(boxes1), _home(boxes2)
    if "frame" in homes:
        from bboxconv import boxframes  # noqa: PLC0415 - as in _convert

        return boxframes.pairs(boxes1, boxes2, fmt, lambda first, second: _iou(first, second, fmt))
    if "array" in homes:
        from bboxconv import boxarrays  # noqa: PLC0415 - as in _convert

        return boxarrays.iou(boxes1, boxes2, fmt)
    first, second = wide(numbers(boxes1, 4, "boxes")), wide(numbers(boxes2, 4, "boxes"))
    boxnumpy.check_pairs(first.shape, second.shape)
    corners = convert_boxes(first, fmt, fmt.edges), convert_boxes(second, fmt, fmt.edges)
    return boxnumpy.iou(*corners, box_area(first, fmt), box_area(second, fmt))


def _home(boxes: object) -> Literal["numpy", "array", "frame"]:
    """Whose boxes these are: numpy's (and lists, and all that numpy takes), another library's, or a DataFrame."""
    if isinstance(boxes, _OF_NUMPY):
        return "numpy"
    from bboxconv import boxarrays, boxframes  # noqa: PLC0415 - for arrays that are none of numpy

    if boxframes.is_frame(boxes):
        return "frame"
    return "array" if boxarrays.is_array(boxes) else "numpy"


def _as_format(given: str | BoxFormat) -> BoxFormat:
    if isinstance(given, BoxFormat):
        return given
    if not isinstance(given, str):
        raise TypeError(f"a box format is a name such as 'xyxy' or a BoxFormat, not {given!r}")
    return BoxFormat.parse(given)


def _sides(array: Floats, fmt: BoxFormat) -> tuple[Floats, Floats]:
    """The continuous width and height of each box."""
    x, y, w, h = (array[..., column] for column in range(4))
    with np.errstate(all="ignore"):
        if fmt.kind == "xyxy":
            w, h = w - x, h - y
            if fmt.inclusive:
                w, h = w + 1, h + 1
    return w, h
