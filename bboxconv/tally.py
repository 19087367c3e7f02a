"""How many images and boxes a batch has, by split and class: what `inspect` and `stats` both count, in whatever
process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.schema import Objects
from bboxconv.splits import split_rank

Integers = NDArray[np.int64]
IMAGES, BOXES, EMPTY, UNANNOTATED = range(4)
"""The first columns of an outline: images, boxes, images without boxes, images at which nobody looked."""
FIRST_CLASS = 4
"""The column of the boxes of the first class; that of boxes without a class is the last."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What there is of each split of a batch."""

    splits: tuple[str | None, ...]
    """S splits, in order of first sight."""
    counts: Integers
    """(S, 5 + K), where there are K classes."""


@dataclass(slots=True)
class Sums:
    """Counts of splits, added up: one row for each."""

    width: int
    rows: dict[str | None, Integers] = field(default_factory=dict)

    def add(self, splits: Sequence[str | None], counts: Integers) -> None:
        """Add the rows (S, width) of these splits."""
        for split, row in zip(splits, counts, strict=True):
            self.rows[split] = self.rows[split] + row if split in self.rows else row

    def all(self) -> Integers:
        """The sum (width,) of all splits."""
        total = np.zeros(self.width, np.int64)
        for row in self.rows.values():
            total += row
        return total

    def named(self) -> list[str | None]:
        """The splits in their usual order; none where nothing is in a split."""
        found = sorted(self.rows, key=lambda split: (split_rank(split), split or ""))
        return [] if found == [None] else found


def outline(batch: pa.RecordBatch, objects: Objects, categories: int) -> Outline:
    """What there is of each split, in so many categories."""
    splits, split = splits_of(batch)
    lengths = np.diff(objects.offsets)
    counts = np.zeros((len(splits), FIRST_CLASS + categories + 1), np.int64)
    counts[:, IMAGES] = np.bincount(split, minlength=len(splits))
    counts[:, EMPTY] = np.bincount(split[(lengths == 0) & objects.annotated], minlength=len(splits))
    counts[:, UNANNOTATED] = np.bincount(split[~objects.annotated], minlength=len(splits))
    boxes = counted(np.repeat(split, lengths), classes_of(objects, categories), len(splits), categories + 1)
    counts[:, BOXES] = boxes.sum(axis=1)
    counts[:, FIRST_CLASS:] = boxes
    return Outline(splits, counts)


def splits_of(batch: pa.RecordBatch) -> tuple[tuple[str | None, ...], Integers]:
    """The splits of a batch, in order of first sight, and the number (B,) of that of each image."""
    column = batch.column("split")
    if column.null_count == len(column):
        return ((None,) if len(column) else ()), np.zeros(len(column), np.int64)
    found = column.dictionary_encode(null_encoding="encode")
    return tuple(found.dictionary.to_pylist()), found.indices.to_numpy().astype(np.int64)


def classes_of(objects: Objects, categories: int) -> Integers:
    """The class (N,) of each object; the number of categories where it has none of them."""
    column = objects.column("category")
    found: Integers = column.fill_null(categories).to_numpy(zero_copy_only=False).astype(np.int64)
    found[(found < 0) | (found > categories)] = categories
    return found


def counted(group: Integers, code: Integers, groups: int, codes: int) -> Integers:
    """How often (groups, codes) each code (N,) occurs in each group (N,); one below zero is not counted."""
    numbers = group * (codes + 1) + code + 1
    return np.bincount(numbers, minlength=groups * (codes + 1)).reshape(groups, codes + 1)[:, 1:].astype(np.int64)
