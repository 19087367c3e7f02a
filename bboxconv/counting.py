"""The statistics of a data set: every batch is counted where it was read, and the counts are added up in order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

import numpy as np

from bboxconv import measuring
from bboxconv.account import Account
from bboxconv.codec import Progress, silent
from bboxconv.errors import Findings, UsageError
from bboxconv.flow import Flow, encoded
from bboxconv.measuring import FIELDS, FLAGS, NO_SIZE, SIZES, WIDTH, WIDTHS, Measure, Measured
from bboxconv.request import Request
from bboxconv.schema import Header
from bboxconv.sources import open_sources
from bboxconv.statistics import ClassCount, Group, Histogram, Statistics
from bboxconv.suggest import did_you_mean
from bboxconv.tally import BOXES, EMPTY, FIRST_CLASS, IMAGES, UNANNOTATED, Integers, Sums
from bboxconv.workers import at_work, available

By = Literal["", "class", "split"]
GROUPED = ("", "class", "split")
MOST_SIZES = 20
"""Sizes of images that are told apart."""
_SAME_NAME = "duplicate-file-name"


def stats(
    src: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    by: By = "",
    from_: str | None = None,
    in_: Mapping[str, str] | None = None,
    split: Sequence[str] = (),
    classes: str | PathLike[str] | None = None,
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    memory: int = 256 << 20,
    max_expansion: float | None = None,
) -> Statistics:
    """Count what is in a data set, as `bboxconv stats` does; the options are its flags.

    `src` is a path, `split=path`, or several of them. `by` is `"class"` for the figures of each class as well; those
    of each split are always there. Sizes in pixels of boxes in fractions need those of the images: where the data set
    has none, `images` is a folder of the images, `image_sizes` a table, `image_size` (width, height) in pixels for
    all. `jobs` 0 is one process for each core; `memory` is in bytes.

    What is wrong with the data is in the `findings` of the result. Raises UsageError for a call that is wrong, and
    DataError where a source cannot be read at all.
    """
    sources = (src,) if isinstance(src, str | PathLike) else src
    request = Request(
        tuple(fspath(source) for source in sources),
        from_=from_,
        in_=dict(in_ or {}),
        split=tuple(split),
        classes=None if classes is None else Path(classes),
        images=None if images is None else Path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=image_size,
        batch_size=batch_size,
        jobs=jobs,
        memory=memory,
        max_expansion=max_expansion,
    )
    return collect(request, by=by)


def collect(request: Request, progress: Progress = silent, by: By = "") -> Statistics:
    """Read a data set once and count what is in it, by class too where `by` says so.

    Raises UsageError for what the request has wrong, DataError where a source cannot be read at all.
    """
    if by not in GROUPED:
        hint = did_you_mean(by, GROUPED[1:])
        raise UsageError.of("bad-argument", f"by is 'class', 'split' or '', not {by!r}", hint=hint)
    began = time.monotonic()
    findings = Findings()
    with ExitStack() as stack:
        workers = stack.enter_context(at_work(request.jobs or available()))
        opened = open_sources(request, findings, stack, workers, progress, lambda source: FIELDS, FIELDS)
        totals = _Totals.of(len(opened.header.categories), by_class=by == "class")
        flow = Flow(request, opened, findings, workers, progress, as_read=True)
        measure = Measure(totals.categories, by == "class")
        for found in encoded(flow, None, Account(), measure):
            totals.add(found)
    splits, total = totals.outline.named(), totals.outline.all()
    return Statistics(
        opened.sides,
        ", ".join(dict.fromkeys(dataset.header.box.name for dataset in opened.datasets)),
        totals.group(None, everything=True),
        tuple(totals.group(split) for split in splits),
        totals.class_counts(opened.header, splits),
        totals.class_groups(opened.header) if by == "class" else (),
        sum(found.count for found in findings if found.code == _SAME_NAME),
        totals.duplicates,
        tuple(findings),
        time.monotonic() - began,
        int(total[-1]),
        by,
    )


@dataclass(slots=True)
class _Totals:
    """The counts of all batches so far, of K categories."""

    categories: int
    outline: Sums
    measured: Sums
    images: Integers
    classes: Integers
    """((K + 1) * WIDTH,) or nothing."""
    image_sizes: dict[str | None, Counter[int]] = field(default_factory=dict)
    duplicates: int = 0

    @classmethod
    def of(cls, categories: int, *, by_class: bool) -> _Totals:
        """Nothing yet."""
        images = np.zeros(categories + 1, np.int64)
        classes = np.zeros((categories + 1) * WIDTH if by_class else 0, np.int64)
        return cls(categories, Sums(FIRST_CLASS + categories + 1), Sums(WIDTH), images, classes)

    def add(self, found: Measured) -> None:
        """Add what was counted in a batch."""
        splits = found.outline.splits
        self.outline.add(splits, found.outline.counts)
        self.measured.add(splits, found.splits)
        self.images += found.images
        places, counts = found.classes
        self.classes[places] += counts
        for split, (sizes, images) in zip(splits, found.image_sizes, strict=True):
            known = self.image_sizes.setdefault(split, Counter())
            known.update(dict(zip(sizes.tolist(), images.tolist(), strict=True)))
        self.duplicates += found.duplicates

    def group(self, split: str | None, *, everything: bool = False) -> Group:
        """The figures of a split, or of everything."""
        outline = self.outline.all() if everything else self.outline.rows[split]
        measured = self.measured.all() if everything else self.measured.rows[split]
        sizes: Counter[int] = Counter()
        for name, counts in self.image_sizes.items():
            if everything or name == split:
                sizes.update(counts)
        return _group(split or "", outline[:FIRST_CLASS], measured, _most(sizes))

    def class_counts(self, header: Header, splits: Sequence[str | None]) -> tuple[ClassCount, ...]:
        """How much there is of each class."""
        images, boxes = self.images.tolist(), self.outline.all()[FIRST_CLASS:].tolist()
        inside = {split or "": self.outline.rows[split][FIRST_CLASS:].tolist() for split in splits}
        return tuple(
            ClassCount(one.name, one.id, boxes[at], images[at], {name: row[at] for name, row in inside.items()})
            for at, one in enumerate(header.categories)
        )

    def class_groups(self, header: Header) -> tuple[Group, ...]:
        """The figures of each class, and of boxes without one where there are such."""
        rows, boxes = self.classes.reshape(-1, WIDTH), self.outline.all()[FIRST_CLASS:]
        names = [category.name for category in header.categories] + [""]
        return tuple(
            _group(name, np.array([self.images[index], boxes[index], 0, 0]), rows[index], {})
            for index, name in enumerate(names)
            if index < self.categories or boxes[index]
        )


def _group(name: str, outline: Integers, measured: Integers, image_sizes: Mapping[str, int]) -> Group:
    edges = [0, *np.cumsum([*WIDTHS.values()]).tolist()]
    counts = {key: measured[start:stop].tolist() for key, (start, stop) in zip(WIDTHS, pairwise(edges), strict=True)}
    cells, grid = counts["positions"], measuring.GRID
    return Group(
        name,
        int(outline[IMAGES]),
        int(outline[BOXES]),
        int(outline[EMPTY]),
        int(outline[UNANNOTATED]),
        dict(zip(FLAGS, counts["flags"], strict=True)),
        dict(zip(SIZES, counts["sizes"], strict=True)),
        Histogram(measuring.PER_IMAGE_EDGES, tuple(counts["boxes_per_image"])),
        Histogram(measuring.AREA_EDGES, tuple(counts["relative_areas"])),
        Histogram(measuring.RATIO_EDGES, tuple(counts["aspect_ratios"])),
        tuple(tuple(cells[start : start + grid]) for start in range(0, grid * grid, grid)),
        image_sizes,
    )


def _most(sizes: Mapping[int, int]) -> dict[str, int]:
    """The commonest sizes, of those as common the smaller first; then the others, and images without one."""
    known = sorted(((count, size) for size, count in sizes.items() if size != NO_SIZE), key=lambda p: (-p[0], p[1]))
    found = {f"{size >> 32}x{size & 0xFFFFFFFF}": count for count, size in known[:MOST_SIZES]}
    others = sum(count for count, _ in known[MOST_SIZES:])
    rest = {"others": others, "unknown": sizes.get(NO_SIZE, 0)}
    return found | {name: count for name, count in rest.items() if count}
