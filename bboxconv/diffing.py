"""The difference of any two data sets: both are read once, reduced to what is compared, divided by the names of their
images, and compared a part at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bboxconv import registry
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Progress, Source, silent
from bboxconv.difference import Content, Difference
from bboxconv.diffnotes import note_classes, note_names, only_here
from bboxconv.diffparts import Pair, Rules, compare
from bboxconv.diffsides import FLAGS, WANTED, Reduced, Reducer
from bboxconv.difftally import Found, changes
from bboxconv.dividing import Parts, Pieces, number_of_parts
from bboxconv.errors import DataError, Diagnostic, Findings, Place, UsageError
from bboxconv.flow import Flow, encoded
from bboxconv.precision import BEYOND, Precision
from bboxconv.report import Counts
from bboxconv.request import Request
from bboxconv.sources import OWN_OPTIONS, Opened, open_sources
from bboxconv.spool import Spool
from bboxconv.workers import Workers, at_work, available

_OF_STDIN = 64
"""Parts of what comes on standard input, whose size nobody knows beforehand."""
_OF_SOURCES = ("box-outside-image", "box-without-area")
"""Warnings of each side that say nothing of their difference."""


def diff(
    a: Request, b: Request, *, iou: float = 0.5, tolerance: float | None = None, progress: Progress = silent
) -> Difference:
    """Compare two data sets. Of the requests, which are alike but for the source and its format, `in_` may have keys
    as `a.origin` for one side alone.

    Raises UsageError for what a request has wrong, DataError where a side cannot be read, has faults, or lacks image
    sizes that are needed.
    """
    began = time.monotonic()
    findings = Findings()
    if not 0 < iou <= 1:
        raise UsageError.of("bad-option-value", f"the least IoU is a number above 0, at most 1, not {iou}")
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise UsageError.of("bad-option-value", f"the tolerance is a number of pixels, not {tolerance}")
    if a.sources == b.sources == ("-",):
        raise UsageError.of("option-conflict", "both sides are standard input, which can be read once")
    with ExitStack() as stack:
        crew = stack.enter_context(at_work(a.jobs or available()))
        requests = [replace(one, memory=one.memory // 2) for one in _own_options(a, b)]
        opened = [open_sources(one, findings, stack, crew, progress, lambda source: WANTED, WANTED) for one in requests]
        sides = _divided(requests, opened, findings, crew, progress, tolerance)
        _refuse(findings)
        rules = _rules(opened, sides, iou, tolerance)
        found = Found()
        pairs = ((sides[0].parts.of_part(n), sides[1].parts.of_part(n)) for n in range(len(sides[0].parts.edges) - 1))
        for part in crew.run(compare, (Pair(one, other, rules) for one, other in pairs if one or other)):
            found.add(part)
    _require_sizes(found)
    names = [[category.name for category in one.header.categories] for one in opened]
    known = _numbers(names)
    counts = [{name: int(side.boxes[number + 1]) for name, number in known.items()} for side in sides]
    note_names(found, findings)
    note_classes([one.header for one in opened], counts, findings)
    contents = [
        Content(
            one.sides,
            Counts(side.images, int(side.boxes.sum()), len(one.header.categories)),
            one.header.box.name,
            None if side.precision.decimals >= BEYOND else side.precision.decimals,
        )
        for one, side in zip(opened, sides, strict=True)
    ]
    return Difference(
        a=contents[0],
        b=contents[1],
        box=rules.common.name,
        iou=iou,
        tolerance=tolerance,
        paired_images=found.images,
        same_boxes=found.same,
        largest=found.largest,
        images=changes(found, "images", ("only_in_a", "only_in_b", "size", "split", "unannotated")),
        classes=only_here(names, counts),
        boxes=changes(found, "boxes", ("moved", "resized", "reclassified", "removed", "added")),
        fields=changes(found, "fields", FLAGS),
        findings=tuple(one for one in findings if one.code not in _OF_SOURCES),
        seconds=time.monotonic() - began,
    )


def _own_options(a: Request, b: Request) -> tuple[Request, Request]:
    """The requests, each with the options of reading that are for its side: those named so, and those that its format
    knows, or neither does."""
    if not a.in_:
        return a, b
    known = [_known(one) for one in (a, b)]
    anywhere = known[0] | known[1]

    def own(given: Mapping[str, str], side: str, mine: frozenset[str]) -> dict[str, str]:
        named = {key[2:]: value for key, value in given.items() if key.startswith(f"{side}.")}
        common = {key: value for key, value in given.items() if not key.startswith(("a.", "b."))}
        return {key: value for key, value in common.items() if key in mine or key not in anywhere} | named

    return replace(a, in_=own(a.in_, "a", known[0])), replace(b, in_=own(b.in_, "b", known[1]))


def _known(request: Request) -> frozenset[str]:
    """The options of reading that the format of a source knows; none of a source that is missing, which is told
    later."""
    (source,) = request.sources
    if request.from_ is None and not Path(source).exists():
        return frozenset(OWN_OPTIONS)
    module = registry.reader(request.from_) if request.from_ else registry.detect(Source(Path(source)))[0]
    return frozenset([*OWN_OPTIONS, *(spec.name for spec in module.INFO.read_options)])


@dataclass(slots=True)
class _Divided:
    """One side, read: all of it divided, and what was counted on the way."""

    parts: Parts
    boxes: NDArray[np.int64]
    """How many have each class; the first number is of those without."""
    precision: Precision = field(default_factory=Precision)
    images: int = 0
    unsized: int = 0

    def pieces(self, batches: Iterator[Reduced]) -> Iterator[Pieces]:
        """The pieces of each batch, as it is counted."""
        for batch in batches:
            self.boxes += batch.boxes
            self.precision = self.precision.joined(batch.precision)
            self.images += batch.images
            self.unsized += batch.unsized
            yield batch.pieces


def _numbers(names: list[list[str]]) -> dict[str, int]:
    """The number of each class of both sides, whichever is the first."""
    return {name: number for number, name in enumerate(sorted({*names[0], *names[1]}))}


def _divided(
    requests: list[Request],
    opened: list[Opened],
    findings: Findings,
    crew: Workers,
    progress: Progress,
    tolerance: float | None,
) -> list[_Divided]:
    """Both sides, read one after the other: pixels first, whose images may have the sizes that fractions need."""

    def comparing(stage: str, done: int, total: int | None, unit: str) -> None:
        progress("comparing", done, total, unit)

    headers = [one.header for one in opened]
    numbers = _numbers([[category.name for category in header.categories] for header in headers])
    count = max(_parts(request, one) for request, one in zip(requests, opened, strict=True))
    spool = Spool(requests[0].memory)
    turned = headers[0].box.rotation is not None and headers[0].box.rotation == headers[1].box.rotation
    empty = Parts.of((), count, spool)
    sides = [_Divided(empty, np.zeros(len(numbers) + 1, np.int64)) for _ in opened]
    order = sorted((0, 1), key=lambda side: headers[side].box.scale is not None)
    mixed = headers[0].box.needs_size(headers[1].box)
    sizes = tolerance is not None or mixed
    for turn, side in enumerate(order):
        header = headers[side]
        classes = np.array([*(numbers[category.name] for category in header.categories), -1], np.int64)
        reduce = Reducer(spool.shelf(apart=crew.apart), count, header.box, classes, len(numbers), turned)
        lacking = turn == 0 or bool(sides[order[0]].unsized)
        sized = sizes and header.box.scale is not None and lacking
        flow = Flow(requests[side], opened[side], findings, crew, comparing, repeats=False, sized=sized)
        batches = encoded(flow, None, Account(), reduce)
        sides[side].parts = Parts.of(sides[side].pieces(batches), count, spool)
    return sides


def _parts(request: Request, opened: Opened) -> int:
    """Into how many parts a side is to be divided."""
    (source,) = request.sources
    path = Path(source)
    info = registry.reader(opened.sides[0].format).INFO
    return number_of_parts(path, info) if source != "-" and path.exists() else _OF_STDIN


def _rules(opened: list[Opened], sides: list[_Divided], iou: float, tolerance: float | None) -> Rules:
    boxes = [replace(one.header.box, rotation=None) for one in opened]
    fractions = boxes[0].scale is not None and boxes[1].scale is not None
    units = [side.precision.unit(box.scale) for side, box in zip(sides, boxes, strict=True)]
    names = [[category.name for category in one.header.categories] for one in opened]
    carries = [registry.reader(one.sides[0].format).INFO.carries for one in opened]
    return Rules(
        (boxes[0], boxes[1]),
        BoxFormat("xyxy", 1 if fractions else None),
        (units[0], units[1]),
        tolerance,
        iou,
        tuple(_numbers(names)),
        "unannotated" in carries[0] & carries[1],
    )


def _refuse(findings: Findings) -> None:
    """Raise DataError where a side has faults: what could not be read would count as a difference."""
    if findings.errors:
        raise DataError(findings)


def _require_sizes(found: Found) -> None:
    """Raise DataError where sizes were needed that neither side has."""
    if not (tally := found.tallies["unsized"]).count:
        return
    hint = "--images DIR reads them from the images, --image-sizes FILE from a table; --image-size WxH for all"
    places = tuple(Place(f"image {example.image}") for _, _, example in tally.first)
    message = "pixels and fractions are compared by the size of the image, and neither side has it"
    raise DataError([Diagnostic("missing-image-size", message, count=tally.count, places=places, hint=hint)])
