"""Which box of an image is which of another version of it: the same, moved, resized, of another class, or none.

First the same boxes are paired, whatever their order. What is left is paired greedily: within the tolerance and of one
class, the nearest first; then of one class, the largest IoU first; then of different classes, likewise. Equal claims
are settled by what the boxes are, so that the two sides may be exchanged and boxes may stand in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bboxconv.boxes import box_iou
from bboxconv.pairing import matched

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
_Pairs = tuple[Rows, Rows, NDArray[np.int8]]
"""Rows of both sides, and the kind of each pair."""
KINDS = ("same", "moved", "resized", "reclassified")
SAME, MOVED, RESIZED, RECLASSIFIED = range(len(KINDS))
_AT_ONCE = 1 << 20
"""Pairs of boxes that are compared at once."""
_NOTHING = -1.5e308
"""Stands for no number: NaN is not equal to itself."""
_SLACK = 1e-6
"""How far apart boxes may be beyond the tolerance, and still be looked at."""
_NOISE = 4e-15
"""What arithmetic on floats may add to a number, as a part of the largest number of its box."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of B images, N in all."""

    offsets: Rows
    """(B + 1,), from 0."""
    edges: Floats
    """(N, 4) corners, NaN where there is no box."""
    classes: Rows
    """(N,)."""

    @property
    def images(self) -> Rows:
        """The image (N,) of each box."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def take(self, images: Rows) -> tuple[Boxes, Rows]:
        """The boxes of some images, and the row of each here."""
        lengths = np.diff(self.offsets)[images]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][images] - offsets[:-1], lengths)
        return Boxes(offsets, self.edges[rows], self.classes[rows]), rows

    def without(self, rows: Rows) -> tuple[Boxes, Rows]:
        """All boxes but these, and the row of each here."""
        mask = np.ones(len(self.classes), np.bool_)
        mask[rows] = False
        before = np.concatenate([[0], np.cumsum(mask)])
        rows = np.flatnonzero(mask)
        return Boxes(before[self.offsets].astype(np.int64), self.edges[rows], self.classes[rows]), rows

    def ordered(self) -> tuple[Boxes, Rows]:
        """The boxes of each image in an order that is theirs, and the row of each here."""
        order = np.lexsort((*self.edges.T[::-1], self.classes, self.images))
        return Boxes(self.offsets, self.edges[order], self.classes[order]), order


@dataclass(frozen=True, slots=True)
class Matches:
    """The M pairs of boxes, in order of the left rows."""

    left: Rows
    right: Rows
    kind: NDArray[np.int8]
    """Which of KINDS each is."""


def match(one: Boxes, other: Boxes, tolerance: Floats, threshold: float) -> Matches:
    """Pair the boxes of the same B images of two sides.

    `tolerance` (B, 4): how far each edge of a box may be off. `threshold`: the least IoU of boxes that are paired.
    """
    rows, columns = np.arange(len(one.classes)), np.arange(len(other.classes))
    found: list[_Pairs] = [_same(rows[:0], columns[:0])]
    for find in (_in_place, _in_order, _equal, _greedy):
        if not len(rows) or not len(columns):
            break
        left, right, kind = find(one, other, tolerance, threshold)
        found.append((rows[left], columns[right], kind))
        (one, rest), (other, others) = one.without(left), other.without(right)
        rows, columns = rows[rest], columns[others]
    left, right, kind = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(left, kind="stable")
    return Matches(left[order], right[order], kind[order])


def _same(left: Rows, right: Rows) -> _Pairs:
    return left, right, np.full(len(left), SAME, np.int8)


def _in_place(one: Boxes, other: Boxes, tolerance: Floats, threshold: float) -> _Pairs:
    """The boxes of the images that have as many on both sides, each the same as that in its place."""
    images = np.flatnonzero(np.diff(one.offsets) == np.diff(other.offsets))
    (a, rows), (b, columns) = one.take(images), other.take(images)
    of = a.images
    alike = (a.classes == b.classes) & near(a.edges, b.edges, tolerance[images][of])
    stays = np.ones(len(images), np.bool_)
    stays[of[~alike]] = False
    return _same(rows[stays[of]], columns[stays[of]])


def _in_order(one: Boxes, other: Boxes, tolerance: Floats, threshold: float) -> _Pairs:
    """The same, both sides put in order."""
    (one, rows), (other, columns) = one.ordered(), other.ordered()
    left, right, _ = _in_place(one, other, tolerance, threshold)
    return _same(rows[left], columns[right])


def _equal(one: Boxes, other: Boxes, tolerance: Floats, threshold: float) -> _Pairs:
    """The boxes of equal numbers, the first with the first and so on."""
    rows = np.concatenate([np.column_stack([side.images, side.classes, side.edges]) for side in (one, other)])
    rows = np.nan_to_num(rows, nan=_NOTHING)
    order = np.lexsort(rows.T)
    rows = rows[order]
    codes = np.empty(len(rows), np.int64)
    codes[order] = np.cumsum(np.concatenate([[False], (rows[1:] != rows[:-1]).any(axis=1)]))
    return _same(*matched(codes[: len(one.classes)], codes[len(one.classes) :]))


def near(one: Floats, other: Floats, tolerance: Floats) -> Mask:
    """Whether each box (N, 4) is the other, edge by edge, but for the tolerance (N, 4) and the last bits."""
    with np.errstate(invalid="ignore"):
        largest = np.maximum(np.abs(one).max(axis=1), np.abs(other).max(axis=1))
        noise = _NOISE * np.where(np.isfinite(largest), largest, 0.0)
        alike = (one == other) | (np.abs(one - other) <= tolerance + noise[:, None])
    return np.asarray((alike | (np.isnan(one) & np.isnan(other))).all(axis=1))


def _greedy(one: Boxes, other: Boxes, tolerance: Floats, threshold: float) -> _Pairs:
    """The pairs among those that may be one, the best first."""
    (one, rows), (other, columns) = one.ordered(), other.ordered()
    found = [*_candidates(one, other, tolerance, threshold)]
    left, right, stage, rank = (np.concatenate(column) for column in zip(*found, strict=True))
    images = one.images[left]
    at, there = left - one.offsets[images], right - other.offsets[images]
    order = np.lexsort((np.abs(at - there), at + there, rank, stage))
    chosen = order[_best(left[order], right[order])]
    left, right, stage, images = left[chosen], right[chosen], stage[chosen], images[chosen]
    sized = _sized(one.edges[left], other.edges[right], tolerance[images])
    kind = np.where(stage == 0, SAME, np.where(stage == 2, RECLASSIFIED, np.where(sized, MOVED, RESIZED)))
    return rows[left], columns[right], kind.astype(np.int8)


def _sized(one: Floats, other: Floats, tolerance: Floats) -> Mask:
    """Whether each box (N, 4) has the size of the other, both edges of which may be off."""
    widths = one[:, 2:] - one[:, :2], other[:, 2:] - other[:, :2]
    with np.errstate(invalid="ignore"):
        noise = 2 * _NOISE * np.maximum(np.abs(one), np.abs(other)).max(axis=1)[:, None]
        return np.asarray((np.abs(widths[0] - widths[1]) <= tolerance[:, :2] + tolerance[:, 2:] + noise).all(axis=1))


def _candidates(
    one: Boxes, other: Boxes, tolerance: Floats, threshold: float
) -> Iterator[tuple[Rows, Rows, NDArray[np.int8], Floats]]:
    """The pairs of boxes that may be one: rows of both sides, the stage in which they are paired, and their rank in it.
    Some boxes of one side at a time, with all those of their images."""
    images, lengths = one.images, np.diff(other.offsets)
    spans = [_span(side.edges) for side in (one, other)]
    slack = tolerance.max(axis=1, initial=0.0)[images] + _SLACK
    ends = np.cumsum(lengths[images])
    edges = [0]
    while edges[-1] < len(images):
        done = int(ends[edges[-1] - 1]) if edges[-1] else 0
        edges.append(max(edges[-1] + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right"))))
    for start, stop in pairwise(edges):
        counts = lengths[images[start:stop]]
        left = np.repeat(np.arange(start, stop), counts)
        first = np.cumsum(counts) - counts
        right = np.arange(len(left)) - np.repeat(first - other.offsets[:-1][images[start:stop]], counts)
        for (low, high), (least, most) in zip(*spans, strict=True):  # most boxes of a crowd are far from each other
            near_by = ~((low[left] > most[right] + slack[left]) | (least[right] > high[left] + slack[left]))
            left, right = left[near_by], right[near_by]
        a, b = one.edges[left], other.edges[right]
        close = near(a, b, tolerance[images[left]])
        overlap = pairs_iou(a, b)
        alike = one.classes[left] == other.classes[right]
        with np.errstate(invalid="ignore"):
            kept = np.flatnonzero(close | (overlap >= threshold))
            distance = np.nan_to_num(np.abs(a[kept] - b[kept]).max(axis=1))
        stage = np.where(~alike, 2, np.where(close, 0, 1))[kept].astype(np.int8)
        rank = np.where(stage == 0, distance, -np.where(close[kept], 1.0, overlap[kept]))
        yield left[kept], right[kept], stage, rank


def _span(edges: Floats) -> list[tuple[Floats, Floats]]:
    """Where boxes (N, 4) begin and end (N,), along x and along y."""
    return [
        (np.minimum(edges[:, axis], edges[:, axis + 2]), np.maximum(edges[:, axis], edges[:, axis + 2]))
        for axis in (0, 1)
    ]


def pairs_iou(one: Floats, other: Floats) -> Floats:
    """The IoU (N,) of each box (N, 4) of corners with the other in its place; NaN where neither has an area."""
    return np.asarray(box_iou(one[:, None], other[:, None], "xyxy")[:, 0, 0])


def _best(left: Rows, right: Rows) -> Rows:
    """Which pairs stay if each in turn takes both of its rows, unless one of them is taken: all those at a time before
    which none wants a row of theirs."""
    alive = np.arange(len(left))
    chosen: list[Rows] = []
    taken = [np.zeros(int(side.max(initial=-1)) + 1, np.bool_) for side in (left, right)]
    while len(alive):
        leads = np.ones(len(alive), np.bool_)
        for side in (left, right):
            first = np.zeros(len(alive), np.bool_)
            first[np.unique(side[alive], return_index=True)[1]] = True
            leads &= first
        now = alive[leads]
        chosen.append(now)
        taken[0][left[now]] = True
        taken[1][right[now]] = True
        alive = alive[~(taken[0][left[alive]] | taken[1][right[alive]])]
    return np.concatenate(chosen) if chosen else alive
