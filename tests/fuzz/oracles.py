"""Plain readings of label files and COCO documents, row by row and whole in memory, to compare the readers with."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NamedTuple

NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Row(NamedTuple):
    """One row of a label file. `drawn` are the numbers of a polygon, `points` those of keypoints; empty: none."""

    category: int
    box: tuple[float, ...]
    score: float | None
    drawn: tuple[float, ...]
    points: tuple[float, ...]


def label_rows(data: bytes, task: str, keypoints: tuple[int, int] | None, classes: int) -> tuple[list[Row], int]:
    """The rows of a label file, and how many others it has, which cannot be read."""
    rows: list[Row] = []
    faults = 0
    for line in re.split(rb"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf")):
        tokens = line.split()
        if not tokens:
            continue
        values = [float(token) if NUMBER.fullmatch(token) else math.nan for token in tokens]
        kind = _kind(len(values), task, keypoints)
        if not kind or not all(map(math.isfinite, values)) or values[0] not in range(classes):
            faults += 1
            continue
        rows.append(_row(kind, values, keypoints))
    return rows, faults


def _kind(columns: int, task: str, keypoints: tuple[int, int] | None) -> str:
    if keypoints is not None and task in ("auto", "pose") and columns == 5 + keypoints[0] * keypoints[1]:
        return "points"
    if task == "pose":
        return "points" if keypoints is None and columns > 5 and ((columns - 5) % 3 == 0 or columns % 2) else ""
    if task == "obb" and columns == 9:
        return "drawn"
    if columns in (5, 6):
        return "box"
    return "drawn" if task in ("auto", "segment") and columns >= 7 and columns % 2 else ""


def _row(kind: str, values: list[float], keypoints: tuple[int, int] | None) -> Row:
    category, numbers = int(values[0]), values[1:]
    if kind == "drawn":
        x, y = numbers[::2], numbers[1::2]
        sides = [(min(c) / 2 + max(c) / 2, max(c) - min(c)) for c in (x, y)]
        box = (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
        return Row(category, box, None, tuple(numbers), ())
    box = tuple(numbers[:4])
    if kind == "box":
        return Row(category, box, numbers[4] if len(numbers) > 4 else None, (), ())
    rest = numbers[4:]
    size = keypoints[1] if keypoints else 3 if len(rest) % 3 == 0 else 2
    if size == 3:
        return Row(category, box, None, (), tuple(rest))
    points: list[float] = []
    for x, y in zip(rest[::2], rest[1::2], strict=True):
        points += [x, y, 0 if (x == y == 0) or x < 0 or y < 0 else 2]
    return Row(category, box, None, (), tuple(points))


class Contents(NamedTuple):
    """What a COCO document holds: its images, annotations and the boxes of four finite numbers among them."""

    images: int | None
    """How many different ids they have: an entry that stands twice is one image. None: it is a list of results, which
    names images and has none."""
    annotations: int
    boxes: Counter[tuple[float, ...]]


def coco_contents(data: bytes) -> Contents:
    """A COCO document, decoded whole. Raises ValueError where it is no JSON, AssertionError where it is no COCO."""
    document = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    results = isinstance(document, list)
    annotations: list[dict[str, Any]] = document if results else document.get("annotations", [])
    images = None if results else len({_key(image["id"]) for image in document.get("images", [])})
    assert all(isinstance(annotation, dict) for annotation in annotations)
    given = [annotation.get("bbox") for annotation in annotations]
    numbers = [box for box in given if isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))]
    return Contents(images, len(annotations), Counter(tuple(map(float, box)) for box in numbers))


def _key(value: object) -> object:
    return value if _is_number(value) else json.dumps(value)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
