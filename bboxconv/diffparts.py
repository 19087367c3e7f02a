"""The difference of two data sets, a part of each at a time: what is counted, and the first examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.difference import Example
from bboxconv.diffsides import FLAGS, KIND
from bboxconv.difftally import Found, Tally
from bboxconv.dividing import loaded
from bboxconv.matching import KINDS, SAME, Boxes, Matches, match, pairs_iou
from bboxconv.pairing import pairs_of_forms
from bboxconv.schema import Objects
from bboxconv.spool import Slip

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
_ROOM = 1 + 1e-9
"""What is as far off as it may be is not off for the last bits of a float."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How two sides are compared."""

    boxes: tuple[BoxFormat, BoxFormat]
    """Those of both sides."""
    common: BoxFormat
    """The corners to which both are brought."""
    units: tuple[float, float]
    """What the last place of a number is worth on either side: in pixels, or as a part of the side of the image."""
    tolerance: float | None
    """How far, in pixels, an edge may be off; None: as far as these units explain."""
    iou: float
    names: tuple[str, ...]
    """The classes of both sides, by their number."""
    unannotated: bool
    """Whether both formats tell images at which nobody looked from those without boxes."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The images of one side, and the number (B,) of each in its stream."""

    batch: pa.RecordBatch
    numbers: Rows
    objects: Objects
    sizes: Floats
    """(B, 2), NaN where unknown."""

    @classmethod
    def of(cls, batch: pa.RecordBatch, numbers: Rows) -> _Side:
        sides = [batch.column(name).cast(pa.float64()).fill_null(np.nan).to_numpy() for name in ("width", "height")]
        sizes = np.column_stack(sides)
        return cls(batch, numbers, schema.flat(batch), np.where(sizes > 0, sizes, np.nan))

    def take(self, rows: Rows) -> _Side:
        if len(rows) == len(self.batch) and (rows == np.arange(len(rows))).all():
            return self
        return _Side.of(self.batch.take(pa.array(rows)), self.numbers[rows])

    def example(self, image: int) -> Example:
        """The image, as an example."""
        name, split = (self.batch.column(column)[image].as_py() for column in ("name", "split"))
        return Example(name.replace("\n", " ").strip(), split)


@dataclass(frozen=True, slots=True)
class Pair:
    """One part of both sides: a task."""

    a: tuple[Slip, ...]
    b: tuple[Slip, ...]
    rules: Rules


def compare(task: Pair) -> Found:
    """The difference of one part."""
    found, rules = Found(), task.rules
    a, b = (_Side.of(*loaded(slips, KIND)) for slips in (task.a, task.b))
    names, splits = ((a.batch.column(n), b.batch.column(n)) for n in ("name", "split"))
    left, right, forms = pairs_of_forms(names, splits)
    for key, side, paired in (("images.only_in_a", a, left), ("images.only_in_b", b, right)):
        alone = np.setdiff1d(np.arange(len(side.numbers)), paired)
        found.tallies[key].see(side.numbers[alone], alone * 0, lambda n, s=side, r=alone: s.example(r[n]))  # type: ignore[misc]
        found.tallies[key].boxes = int(np.diff(side.objects.offsets)[alone].sum())
    a, b = a.take(left), b.take(right)
    found.images = len(left)
    _compare_images(found, a, b, forms, rules)
    _compare_boxes(found, a, b, rules)
    return found


def _compare_images(found: Found, a: _Side, b: _Side, forms: Rows, rules: Rules) -> None:
    def see(key: str, differ: NDArray[np.bool_], said: Callable[[_Side, int], str | None]) -> None:
        rows = np.flatnonzero(differ)
        if len(rows):
            found.tallies[key].see(
                a.numbers[rows],
                rows * 0,
                lambda n: replace(a.example(rows[n]), value_a=said(a, rows[n]), value_b=said(b, rows[n])),
            )

    known = ~(np.isnan(a.sizes) | np.isnan(b.sizes)).any(axis=1)
    differ = known & (a.sizes != b.sizes).any(axis=1)
    see("images.size", differ, lambda side, row: "{:.0f}x{:.0f}".format(*side.sizes[row].tolist()))
    other = pc.not_equal(a.batch.column("split"), b.batch.column("split")).fill_null(False)
    see("images.split", other.to_numpy(zero_copy_only=False), lambda side, row: side.example(row).split)
    if rules.unannotated:
        looked = a.objects.annotated != b.objects.annotated
        see("images.unannotated", looked, lambda side, row: "annotated" if side.objects.annotated[row] else "not")
    for tier in np.unique(forms[forms > 0]).tolist():
        see(f"forms.{tier}", forms == tier, lambda side, row: side.example(row).image)


def _compare_boxes(found: Found, a: _Side, b: _Side, rules: Rules) -> None:
    sizes = np.where(np.isnan(a.sizes), b.sizes, a.sizes)
    _require_sizes(found, a, b, sizes, rules)
    first, second = _boxes(a, sizes, rules.boxes[0], rules), _boxes(b, sizes, rules.boxes[1], rules)
    matches = match(first, second, _tolerance(sizes, rules), rules.iou)
    same = matches.kind == SAME
    found.same = int(same.sum())
    with np.errstate(invalid="ignore"):
        apart = np.abs(first.edges[matches.left[same]] - second.edges[matches.right[same]])
    found.largest = float(np.nan_to_num(apart, posinf=0.0).max(initial=0.0))
    seen = _Seen(found, a, b, first, second, rules)
    for kind, name in enumerate(KINDS):
        if kind != SAME:
            seen.see(f"boxes.{name}", matches.left[matches.kind == kind], matches.right[matches.kind == kind])
    for name, side, paired in (("removed", first, matches.left), ("added", second, matches.right)):
        rows = np.setdiff1d(np.arange(len(side.classes)), paired)
        nothing = np.full(len(rows), -1)
        seen.see(f"boxes.{name}", *((rows, nothing) if name == "removed" else (nothing, rows)))
    _compare_fields(seen, matches)


def _require_sizes(found: Found, a: _Side, b: _Side, sizes: Floats, rules: Rules) -> None:
    """Count the images whose size is needed and unknown."""
    unknown = np.isnan(sizes).any(axis=1)
    if not unknown.any():
        return
    needed = np.zeros(len(sizes), np.bool_)
    for side, box in ((a, rules.boxes[0]), (b, rules.boxes[1])):
        if box.needs_size(rules.common) or (rules.tolerance and rules.common.scale is not None):
            needed |= np.diff(side.objects.offsets) > 0
    rows = np.flatnonzero(unknown & needed)
    if len(rows):
        found.tallies["unsized"].see(a.numbers[rows], rows * 0, lambda n: a.example(rows[n]))


def _boxes(side: _Side, sizes: Floats, box: BoxFormat, rules: Rules) -> Boxes:
    """The boxes of the paired images of one side, as common corners; by its own sizes, else by those of the other."""
    values, _ = schema.boxes_of(side.objects.rows)
    own = np.where(np.isnan(side.sizes), sizes, side.sizes)
    own = np.where(np.isnan(own), 1.0, own)[side.objects.image_of()]
    needed = own if box.needs_size(rules.common) else None
    edges = np.asarray(convert_boxes(values, box, rules.common, needed), np.float64)
    return Boxes(side.objects.offsets, edges, side.objects.column("category").to_numpy().astype(np.int64))


def _tolerance(sizes: Floats, rules: Rules) -> Floats:
    """How far each edge (B, 4) of the boxes of an image may be off."""
    sides = np.where(np.isnan(sizes), 1.0, sizes)
    fractions = rules.common.scale is not None
    if rules.tolerance is not None:
        corner = rules.tolerance / sides if fractions else np.full(sizes.shape, rules.tolerance)
        return np.concatenate([corner, corner], axis=1)
    one, other = rules.boxes
    alike, (unit, unit_b) = one.scale == other.scale, rules.units
    if alike and unit == unit_b:  # both were rounded alike: only what was rounded as another number can differ
        center = "cxcywh" in (one.kind, other.kind)
        apart = one.kind != other.kind
        corners = (1.5 * unit * (apart and center), (1.5 if center else 1.0) * unit * apart)
        return np.tile(np.repeat(corners, 2), (len(sizes), 1)) * _ROOM
    corner = np.zeros(sizes.shape)
    for box, last in zip(rules.boxes, rules.units, strict=True):
        corner = corner + last * (sides if box.scale is not None and not fractions else 1.0)
    return np.concatenate([corner, corner], axis=1) * _ROOM


@dataclass(frozen=True, slots=True)
class _Seen:
    """Makes examples of boxes of both sides."""

    found: Found
    a: _Side
    b: _Side
    first: Boxes
    second: Boxes
    rules: Rules

    def see(self, key: str, left: Rows, right: Rows, values: Sequence[pa.Array] = ()) -> None:
        """Count boxes (N,) that differ, by their rows, -1 where a side has none; `values` are those of both."""
        if not len(left):
            return
        images = np.where(left >= 0, self.first.images[left], 0) if len(self.first.classes) else left * 0
        at = left - self.first.offsets[images]
        if (left < 0).any():
            images = self.second.images[right]
            at = right - self.second.offsets[images]

        def example(n: int) -> Example:
            row, column = int(left[n]), int(right[n])
            given = [str(value[n].as_py()) for value in values]
            boxes = [self._box(self.first, row), self._box(self.second, column)]
            iou = None
            if row >= 0 and column >= 0 and not values:
                iou = float(pairs_iou(self.first.edges[[row]], self.second.edges[[column]])[0])
            return replace(
                self.a.example(int(images[n])),
                class_a=self._class(self.first, row),
                class_b=self._class(self.second, column),
                box_a=boxes[0],
                box_b=boxes[1],
                iou=iou if iou is not None and iou == iou else None,
                value_a=given[0] if given else None,
                value_b=given[1] if given else None,
            )

        self.found.tallies[key].see(self.a.numbers[images], at, example)

    def _class(self, side: Boxes, row: int) -> str | None:
        number = int(side.classes[row]) if row >= 0 else -1
        return self.rules.names[number] if number >= 0 else None

    def _box(self, side: Boxes, row: int) -> tuple[float, float, float, float] | None:
        if row < 0 or np.isnan(side.edges[row]).any():
            return None
        x1, y1, x2, y2 = side.edges[row].tolist()
        return x1, y1, x2, y2


def _compare_fields(seen: _Seen, matches: Matches) -> None:
    """Compare the fields that both boxes of a pair have."""
    for name in FLAGS:
        one, other = (side.objects.column(name) for side in (seen.a, seen.b))
        if one.null_count == len(one) or other.null_count == len(other):
            continue
        one, other = one.take(pa.array(matches.left)), other.take(pa.array(matches.right))
        both = schema.given(one) & schema.given(other)
        differ = both & pc.not_equal(one, other).fill_null(False).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(differ)
        values = [column.take(pa.array(rows)) for column in (one, other)]
        seen.found.tallies[f"fields.{name}"].add(Tally(compared=int(both.sum())))
        seen.see(f"fields.{name}", matches.left[rows], matches.right[rows], values)
