"""Box arithmetic on the arrays of other libraries, on lists and on DataFrames.

What it should be is numpy's result, which test_boxes.py holds to values worked by hand, and torchvision's formulas,
which are written out here: torchvision itself is not needed.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from test_boxes import FORMATS, SAME_BOX

import bboxconv
from bboxconv import (
    BoxFormat,
    box_area,
    box_iou,
    boxarrays,
    boxnumpy,
    center_to_corner,
    clip_boxes,
    convert_boxes,
    corner_to_center,
)
from bboxconv.boxes import outside


@dataclass(frozen=True)
class Library:
    """An array library, with double precision on."""

    name: str
    module: ModuleType

    def array(self, values: Any, dtype: str | None = None) -> Any:
        """An array of it."""
        given = {} if dtype is None else {"dtype": getattr(self.module, dtype)}
        return self.module.asarray(values, **given)

    def same(self, found: Any, expected: np.ndarray) -> None:
        """Hold one of its arrays to numpy's, to the bit; XLA multiplies by the reciprocal of what it divides by."""
        if self.name == "jax":
            np.testing.assert_allclose(self.numpy(found), expected, rtol=1e-14, atol=1e-8)
        else:
            assert_array_equal(self.numpy(found), expected)

    def numpy(self, array: Any) -> np.ndarray:
        """The values of one of its arrays, which it must be."""
        assert type(array) is type(self.array([0.0])), type(array)
        return np.asarray(array)


@pytest.fixture(scope="module", params=["torch", "jax", "array_api_strict"])
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Each library that is installed; the strict one refuses all that the standard does not have."""
    module = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    if request.param != "jax":
        yield Library(request.param, module)
        return
    module.config.update("jax_enable_x64", True)
    yield Library("jax", pytest.importorskip("jax.numpy"))
    module.config.update("jax_enable_x64", False)


@pytest.fixture
def torch() -> Any:
    """torch, where it is installed."""
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def jax() -> Any:
    """JAX, where it is installed."""
    return pytest.importorskip("jax", reason="jax is not installed")


def corners(count: int, seed: int = 0) -> np.ndarray:
    """Boxes with two corners in order."""
    numbers = np.random.default_rng(seed).random((count, 4)) * 300
    numbers[:, 2:] += numbers[:, :2]
    return numbers


def torchvision_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """torchvision.ops.box_iou, line by line."""
    area1 = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area2 = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    lt = np.maximum(a[:, None, :2], b[:, :2])
    rb = np.minimum(a[:, None, 2:], b[:, 2:])
    wh = (rb - lt).clip(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    with np.errstate(invalid="ignore"):
        return inter / (area1[:, None] + area2 - inter)


ANY_BOXES = st.lists(st.tuples(*[st.floats(-1e6, 1e6) | st.just(np.nan)] * 4), max_size=2)
SIZES = [(640, 480), (333, 500.5)]


@settings(max_examples=20)
@given(ANY_BOXES, st.sampled_from(FORMATS), st.sampled_from(FORMATS), st.sampled_from(SIZES))
def test_converts_as_numpy(library: Library, rows: list, old: BoxFormat, new: BoxFormat, size: Any) -> None:
    """Any box in any pair of formats becomes the floats that numpy's become, with one size or one for each box."""
    boxes = np.array(rows).reshape(-1, 4)
    given = library.array(boxes)
    expected = convert_boxes(boxes, old, new, size)
    library.same(convert_boxes(given, old, new, size), expected)
    each = np.array([size] * len(boxes)).reshape(-1, 2)
    for sizes in (each, library.array(each)):
        library.same(convert_boxes(given, old, new, sizes), expected)


@pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # the strict library is numpy, which warns
@settings(max_examples=20)
@given(ANY_BOXES, st.sampled_from(FORMATS))
def test_clips_and_measures_as_numpy(library: Library, rows: list, fmt: BoxFormat) -> None:
    """Clipped boxes, areas and IoU are numpy's to the bit; a size that is NaN is no edge."""
    boxes = np.array(rows).reshape(-1, 4)
    given = library.array(boxes)
    for size in ((640, 480), (np.nan, 480), (np.nan, np.nan)):
        expected = clip_boxes(boxes, fmt, size)
        library.same(clip_boxes(given, fmt, size), expected)
    library.same(box_area(given, fmt), box_area(boxes, fmt))
    library.same(box_iou(given, given, fmt), box_iou(boxes, boxes, fmt))


@pytest.mark.parametrize(("source", "target"), list(product(SAME_BOX, SAME_BOX)))
def test_same_box_in_every_format(library: Library, source: str, target: str) -> None:
    """The box worked out by hand in twelve formats converts from each to each, to the last digit of its float."""
    found = library.numpy(convert_boxes(library.array([SAME_BOX[source]], "float64"), source, target, (200, 100)))
    np.testing.assert_allclose(found, [SAME_BOX[target]], rtol=1e-15)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4), (2, 0, 4)])
def test_any_leading_axes(library: Library, shape: tuple[int, ...]) -> None:
    """A single box, leading axes and empty arrays come out in their shape; an empty list has no boxes."""
    boxes = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    found = library.numpy(corner_to_center(library.array(boxes)))
    assert_array_equal(found, corner_to_center(boxes))
    assert library.numpy(box_area(library.array(boxes))).shape == shape[:-1]
    assert library.numpy(convert_boxes(library.array([], "float64"), "xywh", "xyxy")).shape == (0, 4)


def test_integers_become_the_default_float(library: Library) -> None:
    """Integers become floats, also where no halves arise, so that none overflows; bools are refused."""
    default = library.array([0.0]).dtype
    for kind in ("int64", "int32", "uint8"):
        boxes = library.array([[200, 100, 101, 51]], kind)
        assert corner_to_center(boxes).dtype == convert_boxes(boxes, "xywh", "xyxy").dtype == default
        assert_array_equal(library.numpy(convert_boxes(boxes, "xywh", "xyxy")), [[200, 100, 301, 151]])
        assert_array_equal(library.numpy(corner_to_center(boxes)), [[150.5, 75.5, -99, -49]])
    with pytest.raises(ValueError, match=r"boxes must be numbers, not .*bool"):
        corner_to_center(library.array([[True] * 4]))


@pytest.mark.parametrize(
    ("boxes", "size", "message"),
    [
        ([[1.0, 2, 3]], None, "boxes must have 4 numbers on the last axis, not the shape (1, 3)"),
        (5.0, None, "boxes must have 4 numbers on the last axis, not the shape ()"),
        ([[1.0, 2, 3, 4]], None, "converting xywh to cxcywhn needs the image sizes: give image_size"),
        ([[1.0, 2, 3, 4]], (0, 10), "image sizes must be positive, finite numbers"),
        ([[1.0, 2, 3, 4]], [[1, 2], [3, 4]], "image_size of shape (2, 2) cannot be broadcast to (1, 2)"),
    ],
)
def test_wrong_input_is_named(library: Library, boxes: Any, size: Any, message: str) -> None:
    """Wrong input is the ValueError that it is with numpy."""
    with pytest.raises(ValueError) as caught:
        convert_boxes(library.array(boxes), "xywh", "cxcywhn", size)
    assert str(caught.value) == message
    with pytest.raises(ValueError, match="image_size must be"):
        convert_boxes(library.array([[1.0, 2, 3, 4]]), "xywh", "cxcywhn", 10)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_numpy_keeps_its_floats(kind: str) -> None:
    """Floats of each length keep it; areas and IoU of float16 are float32, in which 300 times 300 is finite."""
    boxes = np.array([[0, 0, 300, 300], [10, 10, 20, 30]], dtype=kind)
    assert corner_to_center(boxes).dtype == clip_boxes(boxes, "xyxy", (50, 50)).dtype == kind
    scaled = convert_boxes(boxes, "xyxy", "cxcywhn", (2049, 300))
    assert scaled.dtype == kind
    assert_array_equal(scaled[0], np.array([150 / 2049, 0.5, 300 / 2049, 1], dtype=kind))
    wide = "float32" if kind == "float16" else kind
    assert box_area(boxes).dtype == box_iou(boxes, boxes).dtype == wide
    assert box_area(boxes).tolist() == [90_000, 200]


def test_torch_keeps_its_floats(torch: Any) -> None:
    """float16, bfloat16, float32 and float64 stay, and scaled numbers are rounded once."""
    for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        boxes = torch.tensor([[0, 0, 300, 300]], dtype=kind)
        assert corner_to_center(boxes).dtype == clip_boxes(boxes, "xywh", (50, 50)).dtype == kind
        exact = torch.tensor([[150 / 2049, 0.5, 300 / 2049, 1]], dtype=torch.float64)
        wide = kind if kind == torch.float64 else torch.float32
        assert torch.equal(convert_boxes(boxes, "xyxy", "cxcywhn", (2049, 300)), exact.to(wide).to(kind))
        assert box_area(boxes).tolist() == [90_000] and box_area(boxes).dtype == wide


def test_torch_default_dtype_is_that_of_integers(torch: Any) -> None:
    """Integers become torch.get_default_dtype(), as a division by two makes them in torchvision."""
    torch.set_default_dtype(torch.float64)
    try:
        assert corner_to_center(torch.tensor([[1, 2, 4, 6]])).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_conversions_are_those_of_torchvision(torch: Any, kind: str) -> None:
    """box_convert's formulas, written out, give the same bits in every length of float."""
    boxes = torch.from_numpy(corners(100)).to(getattr(torch, kind))
    x1, y1, x2, y2 = boxes.unbind(-1)
    center = torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)
    assert torch.equal(corner_to_center(boxes), center)
    assert torch.equal(convert_boxes(boxes, "xyxy", "xywh"), torch.stack((x1, y1, x2 - x1, y2 - y1), dim=-1))
    cx, cy, w, h = center.unbind(-1)
    corner = torch.stack((cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h), dim=-1)
    assert torch.equal(center_to_corner(center), corner)
    x, y = x1, y1
    assert torch.equal(
        convert_boxes(torch.stack((x, y, w, h), -1), "xywh", "xyxy"), torch.stack((x, y, x + w, y + h), -1)
    )


def test_gradients_pass(torch: Any) -> None:
    """The gradient of each function is that of its formula; what is cut has none."""
    boxes = torch.tensor([[10.0, 20, 30, 60]], dtype=torch.float64, requires_grad=True)
    for function in (
        corner_to_center,
        center_to_corner,
        box_area,
        lambda b: convert_boxes(b, "xyxy", "cxcywhn", (640, 480)),
        lambda b: convert_boxes(b, "xyxy+1", "xywh%", torch.tensor([[640.0, 480]])),
        lambda b: clip_boxes(b, "xyxy", (25, 100)),
        lambda b: clip_boxes(b, "xywh", (25, 100)),
        lambda b: box_iou(b, [[15, 20, 30, 50]]),
    ):
        assert torch.autograd.gradcheck(function, (boxes,))
    clip_boxes(boxes, "xyxy", (25, 100)).sum().backward()
    assert boxes.grad.tolist() == [[1, 1, 0, 1]]


def test_the_device_is_kept(torch: Any) -> None:
    """The results lie where the boxes do, also with sizes and boxes that lie elsewhere."""
    boxes = torch.ones((3, 4), device="meta")
    for found in (
        corner_to_center(boxes),
        convert_boxes(boxes, "xyxy", "xywhn", (640, 480)),
        convert_boxes(boxes, "xyxy", "xywhn", torch.ones((3, 2))),
        clip_boxes(boxes, "xywh", np.ones((3, 2))),
        box_iou(boxes, [[1, 2, 3, 4]]),
    ):
        assert found.device.type == "meta"


TRACED: dict[str, Callable[[Any], Any]] = {
    "corner_to_center": corner_to_center,
    "center_to_corner": center_to_corner,
    "convert_boxes": lambda boxes: convert_boxes(boxes, "xyxy+1", "cxcywhn", (640, 480)),
    "convert_boxes with sizes": lambda boxes: convert_boxes(boxes, "xyxy", "cxcywhn", boxes[:, :2]),
    "clip_boxes": lambda boxes: clip_boxes(boxes, "xyxy", (25, 25)),
    "clip_boxes with sizes": lambda boxes: clip_boxes(boxes, "xywh", boxes[:, :2]),
    "box_area": box_area,
    "box_iou": lambda boxes: box_iou(boxes, boxes, "xywh"),
}


@pytest.mark.parametrize("name", TRACED)
def test_torch_compile_and_vmap(torch: Any, name: str) -> None:
    """torch.compile reads each function as one graph and without a warning, and vmap maps it."""
    boxes = torch.from_numpy(corners(10))
    expected = TRACED[name](boxes)
    torch.compiler.reset()
    assert torch.equal(torch.compile(TRACED[name], fullgraph=True, backend="eager")(boxes), expected)
    assert torch.equal(torch.vmap(TRACED[name])(boxes[None])[0], expected)


@pytest.mark.parametrize("name", TRACED)
def test_jax_jit_vmap_and_grad(jax: Any, name: str) -> None:
    """jax.jit, vmap and grad take each function."""
    boxes = jax.numpy.asarray(corners(10).astype(np.float32))
    expected = np.asarray(TRACED[name](boxes))
    np.testing.assert_allclose(np.asarray(jax.jit(TRACED[name])(boxes)), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(np.asarray(jax.vmap(TRACED[name])(boxes[None])[0]), expected, rtol=1e-5, atol=1e-4)
    assert np.isfinite(np.asarray(jax.grad(lambda boxes: TRACED[name](boxes).sum())(boxes))).all()


@settings(max_examples=50)
@given(ANY_BOXES, ANY_BOXES)
def test_iou_is_that_of_torchvision(first: list, second: list) -> None:
    """The formula, written out, gives the same bits; NaN where it has it, for two boxes without area too."""
    a, b = np.array(first).reshape(-1, 4), np.array(second).reshape(-1, 4)
    assert_array_equal(box_iou(a, b), torchvision_iou(a, b))
    assert_array_equal(box_iou(first, second), torchvision_iou(a, b))


def test_iou_by_hand() -> None:
    """Two squares of side 2 that share a quarter have 1 / 7; the same in every format, inclusive pixels too."""
    a, b = [[0, 0, 2, 2]], [[1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 2, 2]]
    assert box_iou(a, b).tolist() == [[1 / 7, 0, 1]]
    for name in ("xywh", "cxcywh", "xyxy+0", "xyxy+1", "cxcywh/8"):
        pair = [convert_boxes(boxes, "xyxy", name, (8, 8)) for boxes in (a, b)]
        np.testing.assert_allclose(box_iou(pair[0], pair[1], name), [[1 / 7, 0, 1]], rtol=1e-15)
    assert np.isnan(box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]])).all()


def test_iou_with_leading_axes(library: Library) -> None:
    """Batches are compared batch by batch, and one set of boxes with each batch."""
    a, b = corners(24).reshape(2, 3, 4, 4), corners(15, 1).reshape(3, 5, 4)
    expected = np.stack([[torchvision_iou(a[i, j], b[j]) for j in range(3)] for i in range(2)])
    assert_array_equal(box_iou(a, b), expected)
    assert_array_equal(library.numpy(box_iou(library.array(a), library.array(b))), expected)
    assert_array_equal(library.numpy(box_iou(library.array(a), b)), expected)
    assert_array_equal(library.numpy(box_iou(a.tolist(), library.array(b))), expected)
    assert box_iou(a, np.empty((0, 4))).shape == (2, 3, 4, 0)
    for first, second, message in (
        (a[0, 0, 0], b, r"boxes must have the shape \(..., N, 4\), not \(4,\); one box is \[box\]"),
        (a, corners(10).reshape(2, 5, 4), r"the leading axes of \(2, 3, 4, 4\) and \(2, 5, 4\) cannot be broadcast"),
    ):
        for array in (np.asarray, library.array):
            with pytest.raises(ValueError, match=message):
                box_iou(array(first), array(second))


@pytest.mark.parametrize("pairs", [1, 7, 20, 41, 1000])
def test_iou_joins_its_blocks_without_a_seam(library: Library, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pairs are compared at a time, none is missing or twice."""
    monkeypatch.setattr(boxarrays, "_PAIRS", pairs)
    monkeypatch.setattr(boxnumpy, "_PAIRS", pairs)
    a, b = corners(24).reshape(2, 3, 4, 4), corners(15, 1).reshape(3, 5, 4)
    expected = np.stack([[torchvision_iou(a[i, j], b[j]) for j in range(3)] for i in range(2)])
    assert_array_equal(box_iou(a, b), expected)
    assert_array_equal(library.numpy(box_iou(library.array(a), library.array(b))), expected)


def test_iou_takes_little_beside_its_result() -> None:
    """2,000 by 3,000 boxes take 48 MB for the result, and no more than 8 MB beside it; the formula takes 300."""
    a, b = corners(2000), corners(3000, 1)
    tracemalloc.start()
    result = box_iou(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.nbytes == 48_000_000
    assert peak - result.nbytes < 8_000_000


def test_clip_is_exact_at_the_edge() -> None:
    """Corners never end beyond the edge, by the last bit neither, and keep the numbers that do not."""
    beyond = np.nextafter(np.float64(640), np.inf)
    found = clip_boxes([[-0.25, 0.1, beyond, 480.5], [700, 3, 800, np.nan]], image_size=(640, 480))
    assert_array_equal(found, [[0, 0.1, 640, 480], [640, 3, 640, np.nan]])
    voc = clip_boxes([[0, 1.1, 201, 100.5]], "xyxy+1", (200, 100))  # from the pixel 1 to the pixel 200, both included
    assert voc.tolist() == [[1, 1.1, 200, 100]]
    assert clip_boxes([[-0.5, 0.2, 0.4, 1.5]], "xyxyn").tolist() == [[0, 0.2, 0.4, 1]]


def test_a_size_in_the_place_of_a_format_is_named() -> None:
    """Who gives the size where the format stands is told so."""
    with pytest.raises(TypeError, match=r"a box format is a name such as 'xyxy' or a BoxFormat, not \(640, 480\)"):
        clip_boxes([[1, 2, 3, 4]], (640, 480))  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="the edges of xyxy boxes need the image sizes: give image_size"):
        clip_boxes([[1, 2, 3, 4]])


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda boxes: boxes,
    "fortran": np.asfortranarray,
    "every other": lambda boxes: np.repeat(boxes, 2, axis=0)[::2],
    "reversed": lambda boxes: boxes[::-1].copy()[::-1],
    "columns reversed": lambda boxes: boxes[:, ::-1].copy()[:, ::-1],
    "columns of more": lambda boxes: np.pad(boxes, ((0, 0), (1, 2)))[:, 1:5],
    "transposed": lambda boxes: boxes.T.copy().T,
    "big-endian": lambda boxes: boxes.astype(">f8"),
}


@pytest.mark.parametrize("view", VIEWS)
def test_any_strides(view: str) -> None:
    """However an array lies in memory, and though it is read-only, the results are those of its copy."""
    boxes = corners(10)
    given = VIEWS[view](boxes)
    given.flags.writeable = False
    assert_array_equal(corner_to_center(given), corner_to_center(boxes))
    assert_array_equal(center_to_corner(given), center_to_corner(boxes))
    assert_array_equal(clip_boxes(given, "xywh", (200, 200)), clip_boxes(boxes, "xywh", (200, 200)))
    assert_array_equal(box_area(given), box_area(boxes))
    assert_array_equal(box_iou(given, given), box_iou(boxes, boxes))
    assert_array_equal(given, boxes)


def test_any_strides_of_torch(torch: Any) -> None:
    """Transposed and stepped tensors are read as they are."""
    boxes = torch.from_numpy(corners(10))
    for view in (boxes.T.contiguous().T, boxes.repeat_interleave(2, 0)[::2], boxes.repeat(1, 2)[:, :4]):
        assert not view.is_contiguous()
        assert torch.equal(corner_to_center(view), corner_to_center(boxes))
        assert torch.equal(box_iou(view, view), box_iou(boxes, boxes))


def test_lists_become_numpy_arrays() -> None:
    """Lists and tuples, of one box or of many, give numpy arrays of float64."""
    for boxes in ([1, 2, 4, 6], (1, 2, 4, 6), [[1, 2, 4, 6]], [(1.0, 2, 4, 6)]):
        found = corner_to_center(boxes)
        assert type(found) is np.ndarray and found.dtype == np.float64
        assert found.reshape(-1).tolist() == [2.5, 4, 3, 4]
    assert corner_to_center([]).shape == (0, 4)


def test_frames_keep_their_index() -> None:
    """A DataFrame gives a DataFrame with its index, and columns called as the new numbers are."""
    frame = pd.DataFrame([[0, 10, 5, 30], [1, 2, 3, 4]], index=["b", "a"], columns=["x1", "y1", "x2", "y2"])
    center = corner_to_center(frame)
    expected = pd.DataFrame([[2.5, 20, 5, 20], [2, 3, 2, 2]], index=["b", "a"], columns=["cx", "cy", "w", "h"])
    pd.testing.assert_frame_equal(center, expected.astype(float))
    pd.testing.assert_frame_equal(center_to_corner(center), frame.astype(float))
    scaled = convert_boxes(frame, "xyxy", "xywhn", pd.DataFrame({"width": [10, 100], "height": [40, 100]}))
    assert list(scaled.columns) == ["x", "y", "w", "h"] and scaled.loc["b"].tolist() == [0, 0.25, 0.5, 0.5]
    assert clip_boxes(frame, "xyxy", (4, 20)).loc["b"].tolist() == [0, 10, 4, 20]
    pd.testing.assert_series_equal(box_area(frame), pd.Series([100.0, 4.0], index=["b", "a"], name="area"))
    pairs = box_iou(frame, frame.iloc[:1])
    assert list(pairs.index) == ["b", "a"] and list(pairs.columns) == ["b"] and pairs.to_numpy().tolist() == [[1], [0]]
    assert type(box_iou(frame, [[1, 2, 3, 4]])) is np.ndarray
    assert corner_to_center(frame.iloc[:0]).shape == (0, 4)
    assert corner_to_center(frame.astype("float32")).dtypes.unique().tolist() == [np.dtype("float32")]


def test_columns_are_taken_by_name() -> None:
    """Columns in a usual spelling stand in any order, others are taken in theirs; the same kind keeps the names."""
    frame = pd.DataFrame([[0, 5, 10, 30]], columns=["XMin", "XMax", "YMin", "YMax"])  # the order of Open Images
    assert corner_to_center(frame).to_numpy().tolist() == [[2.5, 20, 5, 20]]
    kept = convert_boxes(frame, "xyxy", "xyxyn", (10, 100))
    assert list(kept.columns) == ["XMin", "YMin", "XMax", "YMax"] and kept.to_numpy().tolist() == [[0, 0.1, 0.5, 0.3]]
    plain = pd.DataFrame([[0, 10, 5, 30]])
    assert corner_to_center(plain).to_numpy().tolist() == [[2.5, 20, 5, 20]]
    named = pd.DataFrame([[10, 0, 30, 5]], columns=["y_center", "x_center", "height", "width"])
    assert center_to_corner(named).to_numpy().tolist() == [[-2.5, -5, 2.5, 25]]


def test_frames_with_nulls_and_without_numbers() -> None:
    """A null is a NaN; text, bools and another number of columns are refused with the column or the choice."""
    frame = pd.DataFrame({"x": [1, None], "y": [2, 3], "w": [3, 4], "h": [4, 5]}, dtype="Int64")
    assert_array_equal(convert_boxes(frame, "xywh", "xyxy").to_numpy(), [[1, 2, 4, 6], [np.nan, 3, np.nan, 8]])
    for values in ("1.5", True):
        with pytest.raises(ValueError, match=r"boxes must be numbers, not \w+ as in the column 'y'"):
            convert_boxes(pd.DataFrame({"x": [1], "y": [values], "w": [3], "h": [4]}), "xywh", "xyxy")
    wide = frame.assign(label="dog")
    with pytest.raises(
        ValueError, match=r"four columns, not 5 \(x, y, w, h, label\): choose them, as in frame\[\['x', "
    ):
        convert_boxes(wide, "xywh", "xyxy")


def test_frames_without_rows() -> None:
    """A frame of no boxes, whose columns pandas takes for objects, gives one of no boxes."""
    empty = pd.DataFrame(columns=["x1", "y1", "x2", "y2"])
    found = convert_boxes(empty, "xyxy", "cxcywhn", (640, 480))
    assert (list(found.columns), len(found), set(found.dtypes)) == (["cx", "cy", "w", "h"], 0, {np.dtype(np.float64)})
    assert len(box_area(empty)) == 0
    assert box_iou(empty, [[0, 0, 1, 1]]).shape == (0, 1)  # type: ignore[call-overload]


@pytest.mark.parametrize("size", ["640x480", ((1, 2), (3,)), {"w": 1, "h": 2}])
def test_sizes_that_are_none(library: Library, size: Any) -> None:
    """What is no size is a ValueError in every library."""
    for change in (
        lambda boxes: convert_boxes(boxes, "xywh", "xywhn", size),
        lambda boxes: clip_boxes(boxes, "xywh", size),
    ):
        with pytest.raises(ValueError, match="image_size must be"):
            change(library.array([[1.0, 2, 3, 4]]))


def test_sizes_of_a_wrong_type(library: Library) -> None:
    """Bools are no sizes."""
    with pytest.raises(ValueError, match=r"image_size must be numbers, not .*bool"):
        convert_boxes(library.array([[1.0, 2, 3, 4]]), "xywh", "xywhn", library.array([True, True]))


def test_arrays_of_two_libraries(torch: Any, jax: Any) -> None:
    """Sizes may be of another library than boxes, and become such; boxes of two libraries are refused by name."""
    tensor, array = torch.tensor([[10.0, 20, 30, 40]]), jax.numpy.asarray([[10.0, 20, 30, 40]])
    size = [100.0, 50.0]
    expected = [[0.1, 0.4, 0.3, 0.8]]
    for boxes, sizes in ((tensor, jax.numpy.asarray(size)), (array, torch.tensor(size))):
        found = convert_boxes(boxes, "xywh", "xywhn", sizes)
        assert type(found) is type(boxes)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    for one, other in ((tensor, array), (array, tensor)):
        with pytest.raises(ValueError, match=r"arrays of one library, not of (torch and jax|jax\w* and torch)"):
            box_iou(one, other)


@pytest.mark.parametrize("names", list(product(["xyxy", "xywh", "cxcywhn", "xyxy+1"], repeat=2)), ids="-".join)
def test_gradients_are_those_of_the_function(torch: Any, names: tuple[str, str]) -> None:
    """The gradients of conversion, clipping, area and IoU are those that small steps show."""
    boxes = torch.tensor(corners(3) / 400 + 1, dtype=torch.float64, requires_grad=True)
    other = (boxes.detach()[:2] + 0.01).requires_grad_(True)
    sizes = torch.tensor([[640.0, 480], [30, 20], [2, 1]], dtype=torch.float64)
    check = torch.autograd.gradcheck
    assert check(lambda given: convert_boxes(given, *names, sizes), (boxes,))
    assert check(lambda given: clip_boxes(given, names[0], sizes), (boxes,))
    assert check(lambda given: box_area(given, names[0]), (boxes,))
    assert check(lambda one, two: box_iou(one, two, names[0]), (boxes, other))


def test_clipped_boxes_are_inside(library: Library) -> None:
    """No box that was cut is outside, in any format and float."""
    boxes = corners(50) * 3 - 200
    for fmt, kind in product(FORMATS, ("float32", "float64")):
        given = convert_boxes(boxes, "xyxy", fmt, (640, 480)).astype(kind)
        found = library.numpy(clip_boxes(library.array(given), fmt, (640, 480)))
        assert found.dtype == kind and not outside(found, fmt, (640, 480)).any()


def test_numpy_loads_nothing_more() -> None:
    """Arrays of numpy and lists are converted without array_api_compat, pandas and pyarrow in memory."""
    code = (
        "import sys, numpy, bboxconv\nbboxconv.corner_to_center(numpy.ones((2, 4)))\n"
        "bboxconv.box_iou([[1, 2, 3, 4]], [[1, 2, 3, 4]])\n"
        "assert not {'array_api_compat', 'pandas', 'pyarrow', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert {"box_area", "box_iou", "clip_boxes"} <= set(bboxconv.__all__)
