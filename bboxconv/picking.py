"""Which images of a data set are shown: chosen while they pass, so that no others are held.

`random` takes the images with the least hashes of the seed and their names, so that the same ones are chosen whatever
the number of processes and the size of batches. `worst` takes those with the most boxes that pass an edge or have no
area, each other finding at the image counted as one more; among equals those with the most pairs of boxes of one class
of which one overlaps the other by more than half (intersection over union); among these the first ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import BoxFormat, convert_boxes, degenerate, outside
from bboxconv.codec import Encoding
from bboxconv.errors import Diagnostic, UsageError
from bboxconv.stages import ROUNDING, flagged, sizes_of
from bboxconv.suggest import did_you_mean

How = Literal["random", "first", "worst", "class", "finding"]
SPELLED = ("random", "first", "worst", "class=NAME", "finding=CODE")
_CHECKED = ("box-outside-image", "box-without-area")
"""Findings that the boxes themselves tell of."""
_PAIRS = 1 << 20
"""Pairs of boxes that are compared at a time."""
_NEIGHBORS = 1000
"""Boxes to the right of each that it is compared with at most."""
_ID = re.compile(r", (?:id|object) [^,]*$")
_LINE = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True)
class Pick:
    """How images are chosen. `value` is the class of `class`, the code of `finding`."""

    how: How = "random"
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Pick:
        """`random`, `first`, `worst`, `class=NAME` or `finding=CODE`; UsageError for anything else."""
        word, sign, value = text.partition("=")
        for how in get_args(How):
            if how == word and bool(sign) == (how in ("class", "finding")) == bool(value):
                return cls(how, value)
        known = [word for word in SPELLED if ("=" in word) == bool(sign)]
        message = f"--pick takes {', '.join(SPELLED[:-1])} or {SPELLED[-1]}, not {text!r}"
        near = did_you_mean(word, [one.partition("=")[0] for one in known])
        raise UsageError.of("bad-option-value", message, hint=near)

    @property
    def spelled(self) -> str:
        """As `parse` reads it."""
        return f"{self.how}={self.value}" if self.value else self.how


@dataclass(frozen=True, slots=True)
class Marked:
    """Images that findings name, and how often: by name (by id, where an image has none), and by the stem of a file of
    labels."""

    names: Mapping[str, int] = field(default_factory=dict)
    stems: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Iterable[Diagnostic]) -> Marked:
        """What the places of some findings name."""
        names: Counter[str] = Counter()
        stems: Counter[str] = Counter()
        for place in (place for found in findings for place in found.places):
            _, image, name = place.where.partition(": image ")
            if image:
                for spelled in dict.fromkeys((name, _ID.sub("", name))):  # a name may end as an object does
                    names[spelled] += 1
            elif ": " not in place.where:
                stems[PurePosixPath(_LINE.sub("", place.where)).stem] += 1
        return cls(names, stems)

    def counts(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """How often each image (B,) is named."""
        found = np.zeros(len(batch), np.int64)
        if self.names or self.stems:
            keys = pc.coalesce(batch.column("file_name"), batch.column("id").cast(pa.string()))
            for row, key in enumerate(keys.to_pylist()):
                if key is not None:
                    found[row] = self.names.get(key, 0) + self.stems.get(PurePosixPath(key).stem, 0)
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """The images of a batch that may be among those chosen, in their order."""

    ranks: NDArray[np.int64]
    """(K, 2): the less, the earlier an image is chosen."""
    rows: pa.RecordBatch
    eligible: int
    """How many images of the batch could have been chosen."""
    images: int


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses from one batch, in any process: an encoder."""

    how: How
    count: int
    seed: int
    box: BoxFormat
    category: int = -1
    """The index of the class that images must have."""
    marked: Marked = Marked()
    """The images that the finding names."""

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Choice:
        """At most `count` images of the batch."""
        rows = np.arange(len(batch))
        if self.how == "class":
            objects = schema.flat(batch)
            own = pc.equal(objects.column("category"), self.category).fill_null(False)
            rows = np.unique(objects.image_of()[own.to_numpy(zero_copy_only=False)])
        elif self.how == "finding":
            rows = np.flatnonzero(self.marked.counts(batch))
        ranks = self._ranks(batch, encoding)[rows]
        best = np.sort(np.lexsort((rows, ranks[:, 1], ranks[:, 0]))[: self.count])
        return Choice(ranks[best], batch.take(pa.array(rows[best])), len(rows), len(batch))

    def _ranks(self, batch: pa.RecordBatch, encoding: Encoding) -> NDArray[np.int64]:
        ranks = np.zeros((len(batch), 2), np.int64)
        if self.how == "worst":
            told = [found for found in encoding.findings if found.code not in _CHECKED]
            ranks[:, 0] = -(faulty_boxes(batch, self.box) + Marked.of(told).counts(batch))
            ranks[:, 1] = -overlapping_pairs(batch, self.box)
        elif self.how != "first":
            ranks[:, 0] = _hashes(batch, self.seed)
        return ranks


def _hashes(batch: pa.RecordBatch, seed: int) -> NDArray[np.int64]:
    """A number (B,) for each image that follows from the seed, its split, name and id alone."""
    key = str(seed).encode()[:64]
    columns = [batch.column(name).cast(pa.string()).fill_null("") for name in ("split", "file_name", "id")]
    texts = pc.binary_join_element_wise(*columns, "\0").cast(pa.binary()).to_pylist()
    digests = b"".join(blake2b(text, digest_size=8, key=key).digest() for text in texts)
    return np.frombuffer(digests, "<i8").astype(np.int64)


def faulty_boxes(batch: pa.RecordBatch, box: BoxFormat) -> NDArray[np.int64]:
    """How many boxes of each image (B,) pass an edge of it, or have no area. Boxes are in `box`."""
    objects = schema.flat(batch)
    values, valid = schema.boxes_of(objects.rows)
    image_of = objects.image_of()
    sizes = None if box.scale is not None else sizes_of(batch, image_of)
    passing = outside(values, box, sizes, tolerance=ROUNDING * box.scale if box.scale else 0.0)
    return np.bincount(image_of[(passing | degenerate(values, box)) & valid], minlength=len(batch)).astype(np.int64)


def overlapping_pairs(batch: pa.RecordBatch, box: BoxFormat) -> NDArray[np.int64]:
    """How many pairs of boxes of one class there are in each image (B,) whose intersection over union is more than a
    half; crowds, and regions to be ignored, are not looked at."""
    objects = schema.flat(batch)
    values, valid = schema.boxes_of(objects.rows)
    looked = valid & ~flagged("iscrowd")(objects) & ~flagged("ignore")(objects) & np.isfinite(values).all(axis=1)
    image_of = objects.image_of()[looked]
    category = objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)[looked]
    edges = np.asarray(convert_boxes(values[looked], box, box.edges), np.float64)
    order = np.lexsort((edges[:, 0], category, image_of))
    edges, image_of, category = edges[order], image_of[order], category[order]
    count = np.zeros(len(batch), np.int64)
    for first, second in _pairs(image_of, category):
        a, b = edges[first], edges[second]
        with np.errstate(all="ignore"):
            sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
            shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
            together = _areas(a) + _areas(b) - shared
            count += np.bincount(image_of[first[shared > together / 2]], minlength=len(batch))
    return count


def _areas(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = edges[:, 2:] - edges[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


def _pairs(
    image_of: NDArray[np.int64], category: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The numbers of both boxes of each pair of one image and class, of boxes sorted by both."""
    if not len(image_of):
        return
    new = np.concatenate(([True], (np.diff(image_of) != 0) | (np.diff(category) != 0)))
    starts = np.flatnonzero(new)
    ends = np.repeat(np.append(starts[1:], len(image_of)), np.diff(np.append(starts, len(image_of))))
    later = np.minimum(ends - np.arange(len(image_of)) - 1, _NEIGHBORS)
    before = np.concatenate(([0], np.cumsum(later)))
    start = 0
    while start < len(later):
        stop = min(max(int(np.searchsorted(before, before[start] + _PAIRS)), start + 1), len(later))
        lengths = later[start:stop]
        first = np.repeat(np.arange(start, stop), lengths)
        step = np.arange(len(first)) - np.repeat(before[start:stop] - before[start], lengths)
        yield first, first + 1 + step
        start = stop


@dataclass(frozen=True, slots=True)
class Chosen:
    """The images that were chosen, and of how many."""

    rows: pa.RecordBatch
    """In the order of the data set; of `worst`, the worst first."""
    eligible: int
    images: int
    """How many were looked at."""


def best_of(choices: Iterable[Choice], how: How, count: int) -> Chosen:
    """The best of the choices from all batches. `first` looks at no more than it needs."""
    held, ranks = schema.IMAGE.empty_table().combine_chunks(), np.zeros((0, 3), np.int64)
    eligible = images = seen = 0
    for choice in choices:
        eligible, images = eligible + choice.eligible, images + choice.images
        numbers = np.arange(seen, seen + len(choice.rows))
        seen += len(choice.rows)
        held, ranks = _merged(held, ranks, choice.rows, np.column_stack((choice.ranks, numbers)), count)
        if how == "first" and len(ranks) == count:
            break
    order = _order(ranks) if how == "worst" else np.argsort(ranks[:, 2])
    rows = held.take(pa.array(order)).combine_chunks().to_batches()
    empty = pa.RecordBatch.from_pylist([], schema=schema.IMAGE)
    if how == "first":  # how many more there are depends on the size of batches
        eligible = images = len(order)
    return Chosen(rows[0] if rows else empty, eligible, images)


def _merged(
    held: pa.Table, ranks: NDArray[np.int64], rows: pa.RecordBatch, new: NDArray[np.int64], count: int
) -> tuple[pa.Table, NDArray[np.int64]]:
    """What is held with the rows that are better, at most `count`."""
    if len(ranks) == count and count:
        last = tuple(ranks[_order(ranks)[-1], :2].tolist())
        better = np.array([tuple(one) < last for one in new[:, :2].tolist()], np.bool_)
        if not better.any():
            return held, ranks
        rows, new = rows.filter(pa.array(better)), new[better]
    both, all_ranks = pa.concat_tables([held, pa.Table.from_batches([rows])]), np.concatenate((ranks, new))
    kept = np.sort(_order(all_ranks)[:count])
    return both.take(pa.array(kept)).combine_chunks(), all_ranks[kept]


def _order(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.lexsort((ranks[:, 2], ranks[:, 1], ranks[:, 0]))


def category_of(name: str, names: Sequence[str]) -> int:
    """The index of the class that `class=NAME` names; UsageError, with the nearest one, where there is none."""
    if name not in names:
        hint = did_you_mean(name, names) or f"the classes are: {', '.join(map(repr, names[:20]))}"
        raise UsageError.of("unknown-class", f"--pick names a class that the data does not have: {name!r}", hint=hint)
    return list(names).index(name)
