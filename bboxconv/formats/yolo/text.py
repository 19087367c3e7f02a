"""Objects to the rows of YOLO label files, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.boxes import convert_boxes
from bboxconv.errors import Findings
from bboxconv.schema import Objects, boxes_of

_POLYGONS = r"^\[\[[-+0-9.eE,]*(\],\[[-+0-9.eE,]*)*\]\]$"
_KEYPOINTS = r"^\[\s*[-+0-9.eE][-+0-9.eE,\s]*\]$"
_PARTS = msgspec.json.Decoder(list[list[float]])
_NEAREST = 4_000_000
"""Pairs of points beyond which the nearest is not looked for: they would take more memory than a batch."""
_CORNERS = (0, 1, 2, 1, 2, 3, 0, 3)
"""The corners of an xyxy box, clockwise from the top left."""


@dataclass(frozen=True, slots=True)
class Style:
    """How rows are written. `digits` after the point, None: all; `keypoints`: how many each row has, for task
    pose.
    """

    task: str
    digits: int | None
    score: bool
    keypoints: int = 0


def label_texts(objects: Objects, style: Style, findings: Findings) -> tuple[memoryview, NDArray[np.int64]]:
    """The content of the label files of B images: bytes, and the bounds (B + 1,) of each file in them."""
    rows, owner = _rows(objects, style, findings)
    lines = pc.binary_join_element_wise(rows, "\n", "").cast(pa.large_string())
    _, offsets, data = lines.buffers()
    if len(lines) == 0 or data is None:
        return memoryview(b""), np.zeros(len(objects.offsets), dtype=np.int64)
    ends = np.frombuffer(offsets, dtype=np.int64, count=lines.offset + len(lines) + 1)[lines.offset :]
    first = objects.offsets if owner is None else np.searchsorted(owner, objects.offsets)
    return memoryview(data), ends[first]


def _rows(objects: Objects, style: Style, findings: Findings) -> tuple[pa.StringArray, NDArray[np.int64] | None]:
    """The rows as text, and the object of each where that is not one row for each object."""
    number = objects.column("category").cast(pa.string())
    boxes, _ = boxes_of(objects.rows)
    if style.task in ("segment", "obb", "mixed"):
        return _drawn(number, boxes, objects, style, findings)
    row = pc.binary_join_element_wise(number, *(_numbers(boxes[:, i], style) for i in range(4)), " ")
    if style.task == "pose":
        row = pc.binary_join_element_wise(row, _keypoints(objects.column("keypoints"), style, findings), "")
    elif style.score and objects.column("score").null_count < len(row):
        row = _scored(row, objects.column("score"))
    return row, None


def _scored(rows: pa.StringArray, scores: pa.Array) -> pa.StringArray:
    """Rows with their score behind them, where they have one."""
    text = pc.binary_join_element_wise(" ", jsontext.numbers(scores), "")
    return pc.binary_join_element_wise(rows, text.fill_null(""), "")


def _numbers(values: NDArray[np.floating], style: Style) -> pa.StringArray:
    if style.digits is None:
        return jsontext.numbers(pa.array(np.ascontiguousarray(values)))
    return jsontext.decimals(np.ascontiguousarray(values), style.digits)


def _drawn(
    number: pa.StringArray, boxes: NDArray[np.float64], objects: Objects, style: Style, findings: Findings
) -> tuple[pa.StringArray, NDArray[np.int64]]:
    """One row for each object: its polygon; where it has none the four corners of its box, or with task mixed the
    box.
    """
    segmentation = objects.column("segmentation")
    segmentation = segmentation if style.task == "obb" else _joined(segmentation, findings)
    texts, owner, has_polygon = _polygons(segmentation, style, findings)
    masks = pc.starts_with(segmentation, "{").fill_null(False).to_numpy(zero_copy_only=False)
    done = np.zeros(len(boxes), dtype=np.bool_)
    done[owner] = True
    short, mask = int((has_polygon & ~done).sum()), int(masks.sum())
    if short:
        what = "a polygon of other than four points" if style.task == "obb" else "a polygon of less than three points"
        findings.add("polygon-as-box", f"{what}: its box is written", severity="warning", count=short)
    if mask:
        findings.add("mask-as-box", "a mask is no polygon: its box is written", severity="warning", count=mask)
    if style.task == "segment" and (rest := len(boxes) - int(done.sum()) - short - mask):
        findings.add("box-as-polygon", "an object without a polygon: its box is written", severity="note", count=rest)
    left = np.flatnonzero(~done)
    shape = boxes[left] if style.task == "mixed" else convert_boxes(boxes[left], "cxcywhn", "xyxyn")
    column = [_numbers(shape[:, i], style) for i in range(4)]
    plain = pc.binary_join_element_wise(*(column[i] for i in (_CORNERS if style.task != "mixed" else range(4))), " ")
    if style.task == "mixed" and style.score:
        plain = _scored(plain, objects.column("score").take(pa.array(left)))
    owners = np.concatenate([owner, left])
    order = np.argsort(owners, kind="stable")
    points = pa.concat_arrays([texts, plain]).take(pa.array(order))
    return pc.binary_join_element_wise(number.take(pa.array(owners[order])), points, " "), owners[order]


def _joined(segmentation: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Several polygons of an object as one, joined by lines without width: a row of YOLO is one object with one
    polygon.
    """
    several = pc.match_substring_regex(segmentation, r"\]\s*,\s*\[").fill_null(False)
    rows = segmentation.filter(several).to_pylist()
    if not rows:
        return segmentation
    findings.add(
        "polygons-joined",
        "an object of several polygons: they are joined to one by lines without width",
        severity="note",
        count=len(rows),
    )
    return pc.replace_with_mask(segmentation, several, pa.array([_bridged(row) for row in rows], pa.string()))


def _bridged(text: str) -> str:
    """One polygon from several: each is entered and left at the two points that are nearest to each other."""
    try:
        parts = [np.array(part).reshape(-1, 2) for part in _PARTS.decode(text)]
    except (msgspec.DecodeError, ValueError):
        return text
    ring, *others = [part for part in parts if len(part) >= 3] or parts[:1]
    for other in others:
        if len(ring) * len(other) <= _NEAREST:
            distance = ((ring[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
            at, to = divmod(int(distance.argmin()), len(other))
        else:
            at, to = len(ring) - 1, 0
        ring = np.concatenate([ring[: at + 1], other[to:], other[: to + 1], ring[at:]])
    return msgspec.json.encode([ring.reshape(-1).tolist()]).decode()


def _polygons(
    segmentation: pa.StringArray, style: Style, findings: Findings
) -> tuple[pa.StringArray, NDArray[np.int64], NDArray[np.bool_]]:
    """The points of each polygon that can be written, the object of each, and which objects have any."""
    spaced = pc.any(pc.match_substring_regex(segmentation, r"\s")).as_py()
    clean = pc.replace_substring_regex(segmentation, r"\s+", "") if spaced else segmentation
    has = pc.match_substring_regex(clean, _POLYGONS).fill_null(False).to_numpy(zero_copy_only=False)
    inner = pc.utf8_slice_codeunits(clean.filter(pa.array(has)), 2, -2)
    parts = pc.split_pattern(inner, "],[")
    owner = np.flatnonzero(has)[pc.list_parent_indices(parts).to_numpy(zero_copy_only=False)]
    tokens = pc.split_pattern(parts.flatten(), ",")
    lengths = pc.list_value_length(tokens).to_numpy(zero_copy_only=False).astype(np.int64)
    fits = lengths == 8 if style.task == "obb" else (lengths >= 6) & (lengths % 2 == 0)
    if style.task == "obb":
        fits &= np.bincount(owner, minlength=len(has))[owner] == 1
    owner, tokens, lengths = owner[fits], tokens.filter(pa.array(fits)), lengths[fits]
    values = tokens.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not (finite := np.isfinite(values)).all():
        good = np.logical_and.reduceat(finite, np.cumsum(lengths) - lengths)
        owner, values, lengths = owner[good], values[np.repeat(good, lengths)], lengths[good]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _numbers(values, style))
    return pc.binary_join(lists, " "), owner, has


def keypoint_count(keypoints: pa.StringArray) -> int:
    """The greatest number of keypoints that one of these objects has."""
    known = keypoints.filter(pc.match_substring_regex(keypoints, _KEYPOINTS))
    commas = pc.max(pc.count_substring(known, ",")).as_py()
    return 0 if commas is None else (commas + 1) // 3


def _keypoints(keypoints: pa.StringArray, style: Style, findings: Findings) -> pa.StringArray:
    """The keypoints of each object as ` x y v` and so on; zeros where it has less than the others."""
    empty = pc.invert(pc.match_substring_regex(keypoints, _KEYPOINTS)).fill_null(True)
    lists = pc.split_pattern(pc.utf8_slice_codeunits(pc.if_else(empty, "[]", keypoints), 1, -1), ",")
    blank = empty.to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    texts = pc.utf8_trim_whitespace(lists.flatten().filter(pa.array(~np.repeat(blank, lengths))))
    lengths[blank] = 0
    wanted = style.keypoints * 3
    if (lengths > wanted).any():
        findings.add(
            "keypoints-differ",
            "an object has more keypoints than the first ones: the rest is left out",
            severity="warning",
            count=int((lengths > wanted).sum()),
        )
    less = int(((lengths < wanted) & ~blank).sum())
    if less:
        findings.add(
            "keypoints-differ",
            "an object has fewer keypoints than others: zeros are written",
            severity="warning",
            count=less,
        )
    numbers = np.zeros((len(keypoints), wanted), dtype=np.float64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    keep = inside < wanted
    numbers[np.repeat(np.arange(len(lengths)), lengths)[keep], inside[keep]] = texts.cast(pa.float64()).to_numpy(
        zero_copy_only=False
    )[keep]
    beyond = ~np.isfinite(numbers).all(axis=1)
    numbers[beyond] = 0
    given = pc.invert(pc.match_substring_regex(keypoints, r"^\[\s*\]$")).fill_null(False)
    if odd := int(beyond.sum() + (blank & given.to_numpy(zero_copy_only=False)).sum()):
        message = "keypoints are not made of numbers: zeros are written"
        findings.add("not-drawn", message, severity="warning", count=odd)
    columns = [_numbers(numbers[:, i], style) for i in range(wanted)]
    return pc.binary_join_element_wise("", *columns, " ") if columns else pa.array([""] * len(keypoints), pa.string())
