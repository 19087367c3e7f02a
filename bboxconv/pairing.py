"""Which image and which object of an output is which of the source."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.imagenames import FORMS, form
from bboxconv.splits import SPLIT_NAMES

Rows = NDArray[np.int64]
_SPLIT = re.compile(r"(train|val|valid|validation|test)[-_]?(\d{4})?")
_MOST = 1_000_000
"""Pairs of objects of one image beyond which a lost one is not looked for: objects are paired in order."""


def keys(batch: pa.RecordBatch, unwritten: str) -> pa.StringArray:
    """What an image is known by: its name, without what a format does not write; its id where it has no name."""
    names = batch.column("file_name")
    if unwritten:
        names = pc.replace_substring_regex(names, unwritten, r"\1")
    if not names.null_count:
        return names
    return pc.coalesce(names, pc.binary_join_element_wise("id", batch.column("id").cast(pa.string()), "\n"), "\n")


def usual_splits(batch: pa.RecordBatch) -> pa.StringArray:
    """The split of each image by its usual name, as readers give it: train2017 is train."""
    splits = batch.column("split").dictionary_encode()
    found = [_SPLIT.fullmatch(name) for name in splits.dictionary.to_pylist()]
    names = [
        SPLIT_NAMES[match[1]] if match else name
        for name, match in zip(splits.dictionary.to_pylist(), found, strict=True)
    ]
    return pa.array(names, pa.string()).take(splits.indices)


def pairs(
    names: tuple[pa.StringArray, pa.StringArray], splits: tuple[pa.StringArray | None, pa.StringArray | None]
) -> tuple[Rows, Rows]:
    """The rows of both sides that are the same image: of the same name and split, then of the same name; of several
    such in their order. The left rows rise."""
    left, right = _codes(*names)
    if splits[0] is None or splits[1] is None:
        return _sorted(*matched(left, right))
    one, other = _codes(splits[0].fill_null("\n"), splits[1].fill_null("\n"))
    width = int(max(one.max(initial=0), other.max(initial=0))) + 1
    first, second = matched(left * width + one, right * width + other)
    rest = [np.setdiff1d(np.arange(len(side)), used) for side, used in ((left, first), (right, second))]
    third, fourth = matched(left[rest[0]], right[rest[1]])
    return _sorted(np.concatenate([first, rest[0][third]]), np.concatenate([second, rest[1][fourth]]))


def pairs_of_forms(
    names: tuple[pa.StringArray, pa.StringArray], splits: tuple[pa.StringArray, pa.StringArray]
) -> tuple[Rows, Rows, Rows]:
    """As `pairs`; of what is left, those of the same name without the extension of an image; then those of the same
    last part, and of that without extension, if it is the only such image left on either side, and in no other split.
    Beside the rows, the form of the name (see `imagenames.form`) by which each pair was found."""
    left, right = pairs(names, splits)
    forms = np.zeros(len(left), np.int64)
    for tier in range(1, FORMS):
        rest = [np.setdiff1d(np.arange(len(side)), used) for side, used in zip(names, (left, right), strict=True)]
        if not all(map(len, rest)):
            break
        taken = [form(side.take(pa.array(rows)), tier) for side, rows in zip(names, rest, strict=True)]
        in_splits = [side.take(pa.array(rows)) for side, rows in zip(splits, rest, strict=True)]
        find = pairs if tier == 1 else _alone
        one, other = find((taken[0], taken[1]), (in_splits[0], in_splits[1]))
        left, right = np.concatenate([left, rest[0][one]]), np.concatenate([right, rest[1][other]])
        forms = np.append(forms, np.full(len(one), tier))
    order = np.argsort(left, kind="stable")
    return left[order], right[order], forms[order]


def _alone(
    names: tuple[pa.StringArray, pa.StringArray], splits: tuple[pa.StringArray, pa.StringArray]
) -> tuple[Rows, Rows]:
    """The rows of both sides that have a name which each side has once, unless their splits differ."""
    sides = _codes(*names)
    once = [codes[counts == 1] for codes, counts in (np.unique(side, return_counts=True) for side in sides)]
    common = np.intersect1d(once[0], once[1], assume_unique=True)
    left, right = (np.flatnonzero(np.isin(side, common)) for side in sides)
    left, right = left[np.argsort(sides[0][left])], right[np.argsort(sides[1][right])]
    other = pc.not_equal(splits[0].take(pa.array(left)), splits[1].take(pa.array(right))).fill_null(False)
    stays = ~other.to_numpy(zero_copy_only=False)
    return _sorted(left[stays], right[stays])


def _sorted(left: Rows, right: Rows) -> tuple[Rows, Rows]:
    order = np.argsort(left, kind="stable")
    return left[order], right[order]


def _codes(one: pa.StringArray, other: pa.StringArray) -> tuple[Rows, Rows]:
    """Texts of two columns as numbers."""
    codes = pa.concat_arrays([one, other]).dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes[: len(one)], codes[len(one) :]


def matched(one: Rows, other: Rows) -> tuple[Rows, Rows]:
    """The rows of equal numbers, the first with the first and so on."""
    sides = [_occurrence(side) for side in (one, other)]
    width = max((int(side.max(initial=0)) for side in sides), default=0) + 1
    _, left, right = np.intersect1d(
        one * width + sides[0], other * width + sides[1], assume_unique=True, return_indices=True
    )
    return left, right


def _occurrence(codes: Rows) -> Rows:
    """How often each number stood before."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(codes) else codes
    counts = np.diff(np.append(starts, len(codes)))
    found = np.empty(len(codes), np.int64)
    found[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    return found


def align(offsets: Rows, others: Rows, alike: Callable[[Rows, Rows], NDArray[np.bool_]]) -> tuple[Rows, Rows]:
    """The objects of paired images that are the same: in their order, and where an image has fewer on one side, those
    that are `alike` as far as possible."""
    counts, found = np.diff(offsets), np.diff(others)
    if (counts == found).all():
        rows = np.arange(int(offsets[-1]))
        return rows, rows
    left: list[Rows] = []
    right: list[Rows] = []
    done = 0
    for image in [*np.flatnonzero(counts != found).tolist(), len(counts)]:
        size = int(offsets[image] - offsets[done])
        left.append(np.arange(offsets[done], offsets[done] + size))
        right.append(np.arange(others[done], others[done] + size))
        if image == len(counts):
            break
        here, there = (np.arange(o[image], o[image + 1]) for o in (offsets, others))
        if len(here) <= len(there):
            one, other = _fitted(here, there, alike)
        else:
            other, one = _fitted(there, here, lambda a, b: alike(b, a))
        left.append(one)
        right.append(other)
        done = image + 1
    return np.concatenate(left).astype(np.int64), np.concatenate(right).astype(np.int64)


def _fitted(few: Rows, many: Rows, alike: Callable[[Rows, Rows], NDArray[np.bool_]]) -> tuple[Rows, Rows]:
    """Each of the few with one of the many, in order: with the next that is alike, else with the next."""
    if not len(few) or len(few) * len(many) > _MOST:
        return few, many[: len(few)]
    chosen, at = [], 0
    for number, row in enumerate(few):
        last = len(many) - (len(few) - number) + 1
        window = many[at:last]
        fits = np.flatnonzero(alike(np.full(len(window), row), window))
        at += int(fits[0]) if len(fits) else 0
        chosen.append(many[at])
        at += 1
    return few, np.array(chosen, np.int64)
