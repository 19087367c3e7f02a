"""Box geometry: expected values are worked by hand from the formats' own definitions."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from bboxconv.boxes import (
    center_to_corner,
    clip_boxes,
    convert_boxes,
    convert_points,
    corner_to_center,
    degenerate,
    extent,
    outside,
    rotated_envelope,
)
from bboxconv.boxformat import ALIASES, BoxFormat, Kind, Rotation

FORMATS = [
    BoxFormat(kind, scale, origin, inclusive)
    for kind in get_args(Kind)
    for scale, origin, inclusive in [
        (None, 0, False), (None, 1, False), (None, 0, True), (None, 1, True),
        (1, 0, False), (100, 0, False), (1000, 0, False), (1024, 0, False), (2.5, 0, False),
    ]
]  # fmt: skip
VOC = BoxFormat("xyxy", origin=1, inclusive=True)
# One box in a 200 x 100 image: edges x 10..50, y 20..60, origin 0.
SAME_BOX = {
    "xyxy": [10, 20, 50, 60],
    "xywh": [10, 20, 40, 40],
    "cxcywh": [30, 40, 40, 40],
    "xyxyn": [0.05, 0.2, 0.25, 0.6],
    "xywhn": [0.05, 0.2, 0.2, 0.4],
    "cxcywhn": [0.15, 0.4, 0.2, 0.4],
    "xywh%": [5, 20, 20, 40],
    "xyxy/1000": [50, 200, 250, 600],
    "xyxy@1": [11, 21, 51, 61],
    "xywh@1": [11, 21, 40, 40],
    "xyxy+1": [11, 21, 50, 60],
    "xyxy+0": [10, 20, 49, 59],
}


@pytest.mark.parametrize(("source", "target"), list(product(SAME_BOX, SAME_BOX)))
def test_same_box_in_every_format(source: str, target: str) -> None:
    """A box worked out by hand in twelve formats converts from each to each."""
    converted = convert_boxes(SAME_BOX[source], source, target, (200, 100))
    assert_allclose(converted, SAME_BOX[target], rtol=1e-15)


def test_voc_whole_image_is_full_fraction() -> None:
    """VOC's box from pixel 1 to the last pixel covers the whole image exactly."""
    assert_array_equal(convert_boxes([1, 1, 353, 500], "xyxy+1", "cxcywhn", (353, 500)), [0.5, 0.5, 1, 1])


def test_fractions_are_divided_not_multiplied_by_a_reciprocal() -> None:
    """A pixel number becomes the float nearest to the true quotient."""
    assert convert_boxes([0, 0, 49, 49], "xywh", "xywhn", (49, 49)).tolist() == [0, 0, 1, 1]
    assert convert_boxes([7, 0, 0, 0], "xywh", "xywh%", (25, 1)).tolist() == [28, 0, 0, 0]


def test_corner_and_center_helpers() -> None:
    """The two helpers are the arithmetic of corners and centres."""
    assert corner_to_center([[0, 10, 5, 30]]).tolist() == [[2.5, 20, 5, 20]]
    assert center_to_corner([[2.5, 20, 5, 20]]).tolist() == [[0, 10, 5, 30]]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(FORMATS),
    st.lists(st.tuples(*[st.floats(0, 4000)] * 2, *[st.floats(0.01, 4000)] * 2), max_size=5),
    st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
)
def test_round_trip_through_every_pair(source: BoxFormat, target: BoxFormat, rows: list, size: tuple) -> None:
    """Any box returns through any other format within 1e-9 of its own and its image's magnitude."""
    boxes = convert_boxes(np.array(rows).reshape(-1, 4), "xywh", source, size)
    there = convert_boxes(boxes, source, target, size)
    back = convert_boxes(there, target, source, size)
    unit = 1 if source.scale is None else source.scale / min(size)
    assert_allclose(back, boxes, rtol=1e-9, atol=1e-9 * 10_000 * unit)


@given(st.lists(st.tuples(*[st.integers(-(2**40), 2**40)] * 4), min_size=1, max_size=5))
def test_integer_pixels_round_trip_exactly(rows: list) -> None:
    """Whole pixels come back from xywh and from the VOC devkit's numbers to the last bit."""
    boxes = np.array(rows, dtype=np.float64)
    for name in ("xywh", "cxcywh", "xyxy+1", "xywh@1"):
        assert_array_equal(convert_boxes(convert_boxes(boxes, "xyxy", name), name, "xyxy"), boxes)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_same_format_returns_the_same_array(fmt: BoxFormat) -> None:
    """No arithmetic runs between equal formats: the very array comes back, no size asked for."""
    boxes = np.array([[0.1, -0.0, np.nan, 1e-320]])
    assert convert_boxes(boxes, fmt, BoxFormat.parse(fmt.name)) is boxes


def test_inclusive_end_leaves_written_widths_alone() -> None:
    """A width that is written out already counts its last pixel, so inclusive xywh is plain xywh."""
    boxes = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert convert_boxes(boxes, "xywh+0", "xywh") is boxes


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4), (2, 0, 4)])
def test_leading_axes_are_kept(shape: tuple[int, ...]) -> None:
    """Any number of leading axes, empty ones too, comes out as it went in."""
    boxes = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    converted = convert_boxes(boxes, "xywh", "xyxy")
    assert converted.shape == shape
    assert_array_equal(converted[..., 2:], boxes[..., :2] + boxes[..., 2:])
    assert_array_equal(converted[..., :2], boxes[..., :2])


def test_blocks_join_without_a_seam() -> None:
    """Arrays longer than one block convert as their rows do alone, with one size or one for each box."""
    boxes = np.arange(4 * 40_000, dtype=np.float64).reshape(-1, 4)
    sizes = np.arange(1, 80_001).reshape(-1, 2)
    x, y, w, h = boxes.T
    expected = np.stack([(x + w / 2) / sizes[:, 0], (y + h / 2) / sizes[:, 1], w / sizes[:, 0], h / sizes[:, 1]], -1)
    assert_array_equal(convert_boxes(boxes, "xywh", "cxcywhn", sizes), expected)
    assert_array_equal(convert_boxes(boxes, "xywh", "xywhn", (640, 480)), boxes / [640, 480, 640, 480])


def test_sizes_broadcast_over_leading_axes() -> None:
    """A size for each image fits a batch of boxes by image."""
    boxes = np.full((2, 3, 4), 50.0)
    converted = convert_boxes(boxes, "xyxy", "xyxyn", np.array([[[100, 200]], [[50, 25]]]))
    assert_array_equal(converted[0], np.tile([0.5, 0.25, 0.5, 0.25], (3, 1)))
    assert_array_equal(converted[1], np.tile([1.0, 2.0, 1.0, 2.0], (3, 1)))


def test_number_types() -> None:
    """Integers and lists become float64, float32 stays, and the input is never written to."""
    for given_type, result_type in ((np.int32, np.float64), (np.float32, np.float32), (">f8", np.float64)):
        boxes = np.array([[1, 2, 3, 4]], dtype=given_type)
        for size in ((10, 10), np.array([[10, 10]]), np.array([[10.0, 10.0]] * 1)):
            assert convert_boxes(boxes, "xywh", "cxcywhn", size).dtype == result_type
        assert boxes.tolist() == [[1, 2, 3, 4]]
    many = np.ones((2, 4), dtype=np.float32)
    assert convert_boxes(many, "xywh", "xyxyn", np.full((2, 2), 10)).dtype == np.float32
    assert convert_boxes([], "xywh", "xyxy").shape == (0, 4)


def test_nan_passes_silently() -> None:
    """A NaN reaches the numbers that depend on it, and no others, without a warning."""
    converted = convert_boxes([[np.nan, 1, 2, 3], [np.inf, 0, np.inf, 0]], "xyxy", "xywh")
    assert_array_equal(converted, [[np.nan, 1, np.nan, 2], [np.inf, 0, np.nan, 0]])


@pytest.mark.parametrize(
    ("boxes", "size", "message"),
    [
        (5, None, "boxes must have 4 numbers on the last axis, not the shape ()"),
        ([[1, 2, 3]], None, "boxes must have 4 numbers on the last axis, not the shape (1, 3)"),
        ([[1, 2, 3, 4], [1, 2, 3]], None, "boxes must have 4 numbers on the last axis, in every row"),
        ([["a", "b", "c", "d"]], None, "boxes must be numbers, not <U1"),
        ([[1, 2, 3, 4]], None, "converting xywh to cxcywhn needs the image sizes: give image_size"),
        ([[1, 2, 3, 4]], (0, 10), "image sizes must be positive"),
        ([[1, 2, 3, 4]], (math.nan, 10), "image sizes must be positive, finite numbers"),
        ([[1, 2, 3, 4]], 10, "image_size must be (w, h) on the last axis, not int64 of shape ()"),
        ([[1, 2, 3, 4]], [[1, 2], [3, 4]], "image_size of shape (2, 2) cannot be broadcast to (1, 2)"),
    ],
)
def test_wrong_input_is_named(boxes: object, size: object, message: str) -> None:
    """Each wrong input is a ValueError that says what is wrong."""
    with pytest.raises(ValueError) as caught:
        convert_boxes(boxes, "xywh", "cxcywhn", size)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_names_and_metadata_read_back(fmt: BoxFormat) -> None:
    """A format's name and its JSON form give the same format again."""
    assert BoxFormat.parse(fmt.name) == fmt
    assert BoxFormat.from_dict(json.loads(json.dumps(fmt.as_dict()))) == fmt


def test_names_are_all_different() -> None:
    """No two formats share a name, and the common ones are called what everybody calls them."""
    assert len({fmt.name for fmt in FORMATS}) == len(FORMATS)
    assert [BoxFormat("cxcywh", 1).name, BoxFormat("xywh", 100).name, BoxFormat("xyxy", 1024).name, VOC.name] == [
        "cxcywhn", "xywh%", "xyxy/1024", "xyxy+1",
    ]  # fmt: skip


def test_aliases() -> None:
    """Every alias is the format of the tool or word that it names."""
    expected = {"corner": "xyxy", "center": "cxcywh", "coco": "xywh", "voc": "xyxy", "yolo": "cxcywhn"}
    assert dict(ALIASES) == expected | {"albumentations": "xyxyn"}
    for alias, name in ALIASES.items():
        assert BoxFormat.parse(alias.upper()).name == name


@pytest.mark.parametrize("name", ["yollo", "xyxy/", "xyxy/-5", "xyxy/nan", "xyxyn+1", "xyxy@0x", "xyxy@0", ""])
def test_unknown_name_lists_the_known(name: str) -> None:
    """A name that is none is refused with the known names, and with the nearest where one is near."""
    with pytest.raises(ValueError, match=r"Known: xyxy, xywh, cxcywh, xyxyn, .*, albumentations") as caught:
        BoxFormat.parse(name)
    assert str(caught.value).startswith(f"unknown box format {name!r}.")
    assert ("Did you mean 'yolo'?" in str(caught.value)) == (name == "yollo")


def test_impossible_formats_are_refused() -> None:
    """A format that means nothing cannot be made, from a name or from metadata."""
    for name in ("xyxy/0", "xyxy/1e999"):
        with pytest.raises(ValueError, match="scale of a box format must be a positive number or None"):
            BoxFormat.parse(name)
    xyxy = {"kind": "xyxy"}
    turn = {"unit": "turn", "sense": "cw", "pivot": "center"}
    for fields in (
        {}, {"kind": "yxyx"}, {**xyxy, "colour": 1}, {**xyxy, "scale": 0}, {**xyxy, "scale": "1"},
        {**xyxy, "origin": 2},
        {**xyxy, "scale": 1, "origin": 1}, {**xyxy, "scale": 1, "inclusive": True}, {**xyxy, "rotation": 3},
        {**xyxy, "rotation": turn},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            BoxFormat.from_dict(fields)


def test_rotation_survives_metadata() -> None:
    """The rotation, which the name leaves out, stands in the JSON form."""
    fmt = BoxFormat("xywh", 100, rotation=Rotation("degree", "cw", "corner"))
    assert BoxFormat.from_dict(json.loads(json.dumps(fmt.as_dict()))) == fmt


def test_sizes_are_needed_between_pixels_and_parts_alone() -> None:
    """Fractions and percent need no image; pixels and fractions do, both ways."""
    assert VOC.needs_size(BoxFormat("xyxy", 1)) and BoxFormat("xyxy", 1).needs_size(VOC)
    assert not VOC.needs_size(BoxFormat("xywh")) and not BoxFormat("xyxy", 1).needs_size(BoxFormat("xywh", 100))
    assert convert_boxes([0.25, 0.5, 0.5, 1], "xyxyn", "xywh%").tolist() == [25, 50, 25, 50]


def test_points_change_unit_and_origin_only() -> None:
    """Polygon and keypoint numbers follow the unit and the origin, not the kind or the inclusive end."""
    points = convert_points([[11, 21], [200, 100]], "xyxy+1", "xywhn", (200, 100))
    assert points.tolist() == [[0.05, 0.2], [0.995, 0.99]]
    assert convert_points([[0.05, 0.2]], "cxcywhn", "xyxy@1", (200, 100)).tolist() == [[11, 21]]
    points = np.array([[1.5, 2.5]])
    assert convert_points(points, "xyxy+0", "cxcywh") is points
    assert convert_points([], "xyxy", "xyxyn", (2, 2)).shape == (0, 2)


def test_extent_of_ragged_groups() -> None:
    """Each group of points gives its own smallest box, wherever the empty groups stand."""
    points = [[9, 9], [3, 4], [1, 8], [2, 2], [5, np.nan], [0, 0]]
    boxes = extent(points, [1, 1, 3, 3, 3, 4, 5, 5])
    nan = np.nan
    expected = [[nan] * 4, [1, 4, 3, 8], [nan] * 4, [nan] * 4, [2, 2, 2, 2], [5, nan, 5, nan], [nan] * 4]
    assert_array_equal(boxes, expected)
    assert extent(np.empty((0, 2)), [0]).shape == (0, 4)
    assert_array_equal(extent(np.empty((0, 2)), [0, 0]), [[nan] * 4])


@pytest.mark.parametrize("offsets", [[0, 3], [-1, 2], [0, 2, 1], [], [0.0, 1.0]])
def test_extent_refuses_offsets_outside_the_points(offsets: list) -> None:
    """Offsets that fall, leave the array or are no integers are refused."""
    with pytest.raises(ValueError, match="offsets must"):
        extent([[1, 2], [3, 4]], offsets)


def test_envelope_of_a_square_turned_by_an_eighth() -> None:
    """A square of side 2 turned by 45 degrees about its centre fills a square of side 2 sqrt 2."""
    fmt = BoxFormat("cxcywh", rotation=Rotation("degree", "cw", "center"))
    assert_allclose(rotated_envelope([10, 20, 2, 2], 45, fmt), [10, 20, 2 * math.sqrt(2), 2 * math.sqrt(2)], rtol=1e-15)


def test_quarter_turns_are_exact() -> None:
    """Quarter turns in degrees leave whole pixels whole, about the corner in either sense."""
    # Turned clockwise about its top-left corner, the side that pointed right points down and the one down points left.
    cw = BoxFormat("xyxy", rotation=Rotation("degree", "cw", "corner"))
    ccw = BoxFormat("xyxy", rotation=Rotation("degree", "ccw", "corner"))
    box = [[100, 100, 140, 120]]
    assert rotated_envelope(box, 90, cw).tolist() == [[80, 100, 100, 140]]
    assert rotated_envelope(box, 180, cw).tolist() == [[60, 80, 100, 100]]
    assert rotated_envelope(box, [270], cw).tolist() == [[100, 60, 120, 100]]
    assert rotated_envelope(box, 90, ccw).tolist() == [[100, 60, 120, 100]]
    assert rotated_envelope(box, -450, ccw).tolist() == [[80, 100, 100, 140]]


def test_cvat_box_equals_label_studio_box() -> None:
    """CVAT's turn about the centre and Label Studio's about the top-left corner bound the same rectangle."""
    # 200 x 100 image. CVAT: corners 60,40 100,60 (w 40, h 20, centre 80,50), 30 degrees clockwise. Its top-left corner
    # stands at (-20,-10) from the centre and is turned to (-20c+10s, -20s-10c), c = sqrt(3)/2, s = 1/2.
    c, s = math.sqrt(3) / 2, 0.5
    left, top = 80 - 20 * c + 10 * s, 50 - 20 * s - 10 * c
    cvat = BoxFormat("xyxy", rotation=Rotation("degree", "cw", "center"))
    studio = BoxFormat("xywh", 100, rotation=Rotation("degree", "cw", "corner"))
    half_w, half_h = 20 * c + 10 * s, 20 * s + 10 * c
    edges = [80 - half_w, 50 - half_h, 80 + half_w, 50 + half_h]
    assert_allclose(rotated_envelope([60, 40, 100, 60], 30, cvat), edges, rtol=1e-14)
    envelope = rotated_envelope([left / 2, top, 20, 20], 30, studio, (200, 100))
    assert_allclose(convert_boxes(envelope, "xywh%", "xyxy", (200, 100)), edges, rtol=1e-14)


def test_radians_counter_clockwise_in_pixels() -> None:
    """A turn of a box in fractions happens in pixels, where a quarter turn swaps the sides."""
    fmt = BoxFormat("cxcywh", 1, rotation=Rotation("radian", "ccw", "center"))
    turned = rotated_envelope([[0.5, 0.5, 0.2, 0.1]] * 2, [math.pi / 2, 0.0], fmt, (200, 100))
    # 40 x 10 pixels become 10 x 40.
    assert_allclose(turned, [[0.5, 0.5, 0.05, 0.4], [0.5, 0.5, 0.2, 0.1]], rtol=1e-14)
    corner = BoxFormat("xyxy", rotation=Rotation("radian", "ccw", "corner"))
    assert_allclose(rotated_envelope([100, 100, 140, 120], math.pi / 2, corner), [100, 60, 120, 100], rtol=1e-14)


def test_unturned_boxes_keep_their_bits() -> None:
    """No angle and the angle zero leave the very numbers, and the caller's array is not written to."""
    fmt = BoxFormat("cxcywh", rotation=Rotation("degree", "cw", "corner"))
    boxes = np.array([[0.1, 0.7, 0.3, 0.9], [0.3, 0.1, 1.1, 1.3], [1, 1, 2, 4]])
    before = boxes.copy()
    turned = rotated_envelope(boxes, [0, np.nan, 90], fmt)
    assert_array_equal(turned[:2], before[:2])
    assert_array_equal(boxes, before)
    with pytest.raises(ValueError, match="box format xyxy has no rotation"):
        rotated_envelope(boxes, 0, BoxFormat("xyxy"))
    with pytest.raises(ValueError, match=r"angles of shape \(2,\) cannot be broadcast to \(3,\)"):
        rotated_envelope(boxes, [1, 2], fmt)


@pytest.mark.parametrize(
    ("fmt", "inside", "beyond"),
    [
        (BoxFormat("xyxy"), [0, 0, 200, 100], [0, 0, 200, 100.5]),
        (BoxFormat("xywh"), [10, 0, 190, 100], [-1, 0, 50, 50]),
        (BoxFormat("cxcywh", 1), [0.5, 0.5, 1, 1], [0.5, 0.5, 1.01, 1]),
        (BoxFormat("xywh", 100), [50, 50, 50, 50], [50, 51, 50, 50]),
        (VOC, [1, 1, 200, 100], [0, 1, 200, 100]),
        (BoxFormat("xyxy", inclusive=True), [0, 0, 199, 99], [0, 0, 200, 99]),
        (BoxFormat("xywh"), [0, 0, 0, 0], [150, 50, -151, 10]),
    ],
)
def test_outside_is_past_an_edge(fmt: BoxFormat, inside: list[float], beyond: list[float]) -> None:
    """A box that ends at the edge is inside, in each format's own numbers; one step further is outside."""
    assert outside([inside, beyond], fmt, (200, 100)).tolist() == [False, True]
    assert not outside(clip_boxes([beyond], fmt, (200, 100)), fmt, (200, 100)).any()


def test_outside_forgives_the_last_bits_and_unknown_sizes() -> None:
    """The rounding of a sum is no passing; an image of unknown size has no far edge; NaN passes nothing."""
    assert 0.9 + 0.1000000000000003 > 1
    assert outside([[0.9, 0, 0.1000000000000003, 1]], BoxFormat("xywh", 1), None).tolist() == [False]
    assert outside([[0, 0, 9e9, 1], [-5, 0, 1, 1]], BoxFormat("xywh"), [[np.nan, np.nan]] * 2).tolist() == [False, True]
    assert outside([np.nan] * 4, BoxFormat("xywh"), (5, 5)).item() is False
    with pytest.raises(ValueError, match="the edges of xywh boxes need the image sizes: give image_size"):
        outside([0, 0, 1, 1], BoxFormat("xywh"), None)


def test_clip_cuts_at_the_edges_and_leaves_the_rest() -> None:
    """Only a box that passes an edge changes; one wholly outside keeps no area; sizes may differ by image."""
    boxes = [[-5, 10, 20, 30], [0.1, 0.2, 0.3, 0.4], [90, 190, 20, 20], [300, 10, 5, 5]]
    clipped = clip_boxes(boxes, BoxFormat("xywh"), [[100, 200], [100, 200], [100, 195], [100, 200]])
    assert clipped.tolist() == [[0, 10, 15, 30], [0.1, 0.2, 0.3, 0.4], [90, 190, 10, 5], [100, 10, 0, 5]]
    assert clip_boxes([0, 1, 201, 100], VOC, (200, 100)).tolist() == [1, 1, 200, 100]
    assert_allclose(clip_boxes([0.9, 0.5, 0.4, 1], BoxFormat("cxcywh", 1), None), [0.85, 0.5, 0.3, 1], rtol=1e-15)
    within = np.array([[1.0, 2, 3, 4]])
    assert clip_boxes(within, BoxFormat("xywh"), (10, 10)) is within


def test_degenerate_boxes() -> None:
    """Zero, negative and NaN sizes are degenerate; the inclusive box of one pixel is not."""
    boxes = [[5, 5, 5, 5], [5, 5, 4, 9], [5, 5, 6, 6], [np.nan, 5, 6, 6]]
    assert degenerate(boxes, BoxFormat("xyxy")).tolist() == [True, True, False, True]
    assert degenerate(boxes, VOC).tolist() == [False, True, False, True]
    assert degenerate([[9, 9, 1, 0], [9, 9, -1, 2], [9, 9, 1, 2], [np.nan, 9, 1, 2]], BoxFormat("xywh")).tolist() == [
        True, True, False, True,
    ]  # fmt: skip
