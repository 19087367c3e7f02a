"""The arithmetic of `boxes.py` on the arrays of other libraries: torch, JAX, CuPy and all that have the array API.

Every number is added, multiplied and rounded in the order of `boxnumpy.py`, so that the results are the same, but out
of place and with no look at the values, so that gradients pass and what traces (torch.compile, jax.jit, vmap) can. The
arrays stay on their device. The names of functions are those of the array API standard; `array_api_compat` gives them
for libraries that call them otherwise.
"""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Protocol, Self, TypeGuard

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_jax_array, to_device

from bboxconv.boxformat import BoxFormat, Kind
from bboxconv.boxnumpy import blocks, check_pairs

_PAIRS = 1_048_576  # pairs of boxes compared at a time: few calls of torch, 8 MiB of float64 for each of its steps

# torch.compile cannot read a union of types in isinstance.
_OF_PYTHON = (list, tuple, int, float)
_OF_NUMPY = (np.ndarray, np.generic, *_OF_PYTHON)


# ruff: noqa: D102 - the operators are what they are everywhere
class Array(Protocol):
    """What the arithmetic here asks of an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> object: ...
    @property
    def device(self) -> object: ...
    def __getitem__(self, key: object, /) -> Self: ...
    def __add__(self, other: object, /) -> Self: ...
    def __sub__(self, other: object, /) -> Self: ...
    def __mul__(self, other: object, /) -> Self: ...
    def __truediv__(self, other: object, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def __invert__(self) -> Self: ...
    def __lt__(self, other: object, /) -> Self: ...
    def __le__(self, other: object, /) -> Self: ...
    def __gt__(self, other: object, /) -> Self: ...
    def __and__(self, other: object, /) -> Self: ...
    def __or__(self, other: object, /) -> Self: ...


def is_array(given: object) -> TypeGuard[Array]:
    """Whether this is an array of a library that is known here, and none of numpy."""
    return not isinstance(given, _OF_NUMPY) and (_is_tensor(given) or is_array_api_obj(given))


def convert(boxes: object, old: BoxFormat, new: BoxFormat, image_size: object) -> Array:
    """`boxes.convert_boxes`."""
    xp, array = _numbers(boxes)
    if old.same_numbers(new):
        return array
    rescaled = old.scale != new.scale
    kept = array.dtype
    if rescaled:
        array = _wide(xp, array)
    columns: list[Array] = _columns(xp, array)
    sides: list[Array] = []
    if old.needs_size(new):
        if image_size is None:
            raise ValueError(f"converting {old.name} to {new.name} needs the image sizes: give image_size")
        sizes = _sizes(xp, image_size, array, "positive, finite numbers")
        sides = [sizes[..., 0], sizes[..., 1]] * 2
    if rescaled and old.scale is not None:
        columns = _rescale(columns, old.scale, new.scale, sides)
    if old.kind != new.kind:
        x, w = _change_kind(columns[0], columns[2], old.kind, new.kind)
        y, h = _change_kind(columns[1], columns[3], old.kind, new.kind)
        columns = [x, y, w, h]
    first, second = old.shifts(new)
    columns = [c + shift if shift else c for c, shift in zip(columns, (first, first, second, second), strict=True)]
    if rescaled and old.scale is None:
        columns = _rescale(columns, old.scale, new.scale, sides)
    return _as_type(xp, xp.stack(columns, axis=-1), kept)


def clip(boxes: object, fmt: BoxFormat, image_size: object) -> Array:
    """`boxes.clip_boxes`."""
    xp, array = _numbers(boxes)
    numbers = _wide(xp, array)
    limit = _limits(xp, fmt, image_size, numbers)
    if fmt.kind == "xyxy":
        first, second = fmt.offsets
        low = _like(xp, [-first, -first, -second, -second], numbers)
        return _as_type(xp, _between(xp, numbers, low, xp.concat([limit, limit], axis=-1) + low), array.dtype)
    edges = convert(numbers, fmt, fmt.edges, None)
    slack = 4 * float(xp.finfo(numbers.dtype).eps)
    near, far = edges[..., :2], edges[..., 2:]
    reach = limit * (1 + slack)
    passed = (near < -(xp.abs(far) * slack)) | (far < -(xp.abs(near) * slack)) | (near > reach) | (far > reach)
    inside = _between(xp, edges, _like(xp, 0.0, edges), xp.concat([limit, limit], axis=-1))
    cut = convert(inside, fmt.edges, fmt, None)
    return _as_type(xp, xp.where((passed[..., 0] | passed[..., 1])[..., None], cut, numbers), array.dtype)


def area(boxes: object, fmt: BoxFormat) -> Array:
    """`boxes.box_area`."""
    xp, array = _numbers(boxes)
    array = _wide(xp, array)
    x, y, w, h = _columns(xp, array)
    if fmt.kind == "xyxy":
        w, h = w - x, h - y
        if fmt.inclusive:
            w, h = w + 1, h + 1
    result: Array = w * h
    return result


def iou(boxes1: object, boxes2: object, fmt: BoxFormat) -> Array:
    """`boxes.box_iou`, where one of the two is an array of another library: the other one becomes an array like it."""
    if is_array(boxes1) and is_array(boxes2) and _namespace(boxes1) is not _namespace(boxes2):
        owners = " and ".join(type(boxes).__module__.partition(".")[0] for boxes in (boxes1, boxes2))
        raise ValueError(f"the boxes must be arrays of one library, not of {owners}")
    xp, like = _numbers(boxes1 if is_array(boxes1) else boxes2)
    first, second = (_numbers(boxes if is_array(boxes) else _like(xp, boxes, like))[1] for boxes in (boxes1, boxes2))
    first, second = _wide(xp, first), _wide(xp, second)
    lead = check_pairs(first.shape, second.shape)
    areas = area(first, fmt), area(second, fmt)
    first, second = convert(first, fmt, fmt.edges, None), convert(second, fmt, fmt.edges, None)
    rows, columns, groups = first.shape[-2], second.shape[-2], math.prod(lead)
    if _compiling() or groups * rows * columns <= _PAIRS:
        return _overlap(xp, first, second, *areas)

    def flat(array: Array, *shape: int) -> Array:
        """One group behind the other."""
        grouped: Array = xp.reshape(xp.broadcast_to(array, (*lead, *shape)), (groups, *shape))
        return grouped

    a, b = flat(first, rows, 4), flat(second, columns, 4)
    area1, area2 = flat(areas[0], rows), flat(areas[1], columns)
    parts: dict[int, list[Array]] = {}
    for group, row in blocks(groups, rows, columns, _PAIRS):
        part = _overlap(xp, a[group, row, ...], b[group, ...], area1[group, row], area2[group, ...])
        parts.setdefault(group.start, []).append(part)
    whole = [part[0] if len(part) == 1 else xp.concat(part, axis=1) for part in parts.values()]
    joined = whole[0] if len(whole) == 1 else xp.concat(whole, axis=0)
    result: Array = xp.reshape(joined, (*lead, rows, columns))
    return result


def _numbers(boxes: object) -> tuple[ModuleType, Array]:
    """The functions for an array, and it as floats with four numbers on the last axis; ValueError where it is none."""
    assert is_array(boxes)
    xp = _namespace(boxes)
    array: Array = boxes
    shape = tuple(array.shape)
    if shape == (0,):  # the empty list
        array = xp.reshape(array, (0, 4))
    elif not shape or shape[-1] != 4:
        raise ValueError(f"boxes must have 4 numbers on the last axis, not the shape {shape}")
    if xp.isdtype(array.dtype, "real floating"):
        return xp, array
    if not xp.isdtype(array.dtype, "integral"):
        raise ValueError(f"boxes must be numbers, not {array.dtype}")
    return xp, xp.astype(array, xp.asarray(1.0).dtype)


def _wide(xp: ModuleType, array: Array) -> Array:
    """float16 and bfloat16 as float32, as in `boxnumpy.wide`."""
    return _as_type(xp, array, xp.float32 if xp.finfo(array.dtype).bits < 32 else array.dtype)


def _as_type(xp: ModuleType, array: Array, dtype: object) -> Array:
    same: Array = array if array.dtype == dtype else xp.astype(array, dtype)
    return same


def _like(xp: ModuleType, values: object, array: Array) -> Array:
    """Numbers as an array of the type and on the device of another."""
    if not _is_tensor(array) and is_jax_array(array):  # which takes constants to the device of what they meet
        found: Array = xp.asarray(values, dtype=array.dtype)
    elif is_array(values) and _namespace(values) is _namespace(array):
        found = _as_type(xp, values, array.dtype)
        found = found if _device(found) == _device(array) else to_device(found, _device(array))
    else:
        plain = np.array(values) if is_array(values) else values  # a copy: torch minds what cannot be written to
        found = xp.asarray(plain, dtype=array.dtype, device=_device(array))
    return found


def _sizes(xp: ModuleType, given: object, array: Array, wanted: str) -> Array:
    """Image sizes as an array like the boxes', which broadcasts to theirs; ValueError where they are none.

    NaN is an unknown size and passes, unless `finite` is wanted.
    """
    if is_array(given) and not _namespace(given).isdtype(given.dtype, ("real floating", "integral")):
        raise ValueError(f"image_size must be numbers, not {given.dtype}")
    try:
        sizes = _like(xp, given if is_array(given) or isinstance(given, _OF_PYTHON) else np.asarray(given), array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"image_size must be (w, h) on the last axis, not {given!r}") from error
    shape, lead = tuple(sizes.shape), tuple(array.shape[:-1])
    if not shape or shape[-1] != 2:
        raise ValueError(f"image_size must be (w, h) on the last axis, not {sizes.dtype} of shape {shape}")
    goal = (*lead, 2)
    pairs = zip(reversed(shape), reversed(goal), strict=False)
    if len(shape) > len(goal) or any(own not in (1, other) for own, other in pairs):
        raise ValueError(f"image_size of shape {shape} cannot be broadcast to {goal}")
    good = (sizes > 0) & (sizes < math.inf) if wanted == "positive, finite numbers" else ~(sizes <= 0)
    if not _holds(xp, good):
        raise ValueError(f"image sizes must be {wanted}")
    return sizes


def _limits(xp: ModuleType, fmt: BoxFormat, image_size: object, array: Array) -> Array:
    """The far edges of the images in the unit of `fmt`, infinite where the size is unknown."""
    if fmt.scale is not None:
        return _like(xp, [fmt.scale, fmt.scale], array)
    if image_size is None:
        raise ValueError(f"the edges of {fmt.name} boxes need the image sizes: give image_size")
    sizes = _sizes(xp, image_size, array, "positive")
    known: Array = xp.where(xp.isnan(sizes), _like(xp, math.inf, array), sizes)
    return known


def _is_tensor(given: object) -> bool:
    """Whether this is a tensor of torch, found out in a way that torch.compile can read without a warning."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def _namespace(array: Array) -> ModuleType:
    """The functions of the array API for an array."""
    if _is_tensor(array):
        from array_api_compat import torch  # noqa: PLC0415 - imports torch

        return torch
    return array_namespace(array)


def _device(array: Array) -> object:
    return array.device if _is_tensor(array) else device(array)


def _compiling() -> bool:
    """Whether torch.compile reads this code, which cannot look at a value."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def _holds(xp: ModuleType, good: Array) -> bool:
    """Whether all are true; what is traced, or has no values, is taken to be."""
    if _compiling():
        return True
    try:
        return bool(xp.all(good))
    except (TypeError, RuntimeError):  # jax.jit and torch.vmap, and torch's meta device
        return True


def _columns(xp: ModuleType, array: Array) -> list[Array]:
    """The four numbers of each box."""
    return list(xp.unbind(array, -1) if _is_tensor(array) else xp.unstack(array, axis=-1))


def _between(xp: ModuleType, numbers: Array, low: Array, high: Array) -> Array:
    """The numbers, and the limits in the place of those beyond; NaN stays."""
    held: Array = xp.where(numbers < low, low, xp.where(numbers > high, high, numbers))
    return held


def _overlap(xp: ModuleType, first: Array, second: Array, areas1: Array, areas2: Array) -> Array:
    """Intersection over union of corners (..., N, 4) and (..., M, 4)."""
    # Each coordinate for itself, for the comparisons to read straight on.
    one, other = (xp.stack(_columns(xp, corners), axis=0) for corners in (first, second))
    a, b = [one[i, ..., :, None] for i in range(4)], [other[i, ..., None, :] for i in range(4)]
    width, height = (
        xp.clip(xp.minimum(a[axis + 2], b[axis + 2]) - xp.maximum(a[axis], b[axis]), min=0) for axis in (0, 1)
    )
    shared: Array = width * height
    return shared / (areas1[..., :, None] + areas2[..., None, :] - shared)


def _rescale(columns: list[Array], old: float | None, new: float | None, sides: list[Array]) -> list[Array]:
    if new != 1:
        columns = [column * (sides[i] if new is None else new) for i, column in enumerate(columns)]
    if old != 1:
        columns = [column / (sides[i] if old is None else old) for i, column in enumerate(columns)]
    return columns


def _change_kind(a: Array, b: Array, old: Kind, new: Kind) -> tuple[Array, Array]:
    """The two numbers of one axis in another kind."""
    match old, new:
        case "xyxy", "xywh":
            return a, b - a
        case "xywh", "xyxy":
            return a, b + a
        case "xyxy", "cxcywh":
            return (a + b) * 0.5, b - a
        case "cxcywh", "xyxy":
            half = b * 0.5
            return a - half, a + half
        case "xywh", "cxcywh":
            return a + b * 0.5, b
        case _:
            return a - b * 0.5, b
