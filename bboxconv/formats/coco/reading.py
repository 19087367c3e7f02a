"""One pass over a COCO file, and the data set that comes of it.

Where images stand before annotations, as in every file that tools write, annotations are divided by image as their
blocks are read. Else they are held as they come and divided once the images are known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from bboxconv import jsontext
from bboxconv.boxes import BoxFormat
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Record, UsageError
from bboxconv.formats.coco.annotations import (
    NO_IMAGE,
    Block,
    Divide,
    ImageRange,
    Ranges,
    RepeatedIds,
    annotations_reader,
    divide_again,
)
from bboxconv.formats.coco.categories import name_categories, read_categories
from bboxconv.formats.coco.images import (
    ImageBlock,
    Images,
    Numbers,
    Repeats,
    images_named,
    images_of,
    images_reader,
)
from bboxconv.formats.coco.strays import SAME_ID, Wanted, tell_texts
from bboxconv.io import compression_of
from bboxconv.parts import of_parts
from bboxconv.readers.jsonblocks import ArrayReader
from bboxconv.readers.jsonelements import SKIPPED, Part
from bboxconv.readers.jsonstream import Elements, Member, read_document
from bboxconv.schema import Dataset, Header
from bboxconv.schema import Part as ImagePart
from bboxconv.shelf import Shared, share
from bboxconv.spool import Slip, Spool, width_of

SMALL = 48 << 20
"""Bytes below which a file is read in this process: others would take longer to start."""
PACKED = 6
"""About how many times as large compressed JSON is."""

Found = ImageBlock | Block | Part
Reader = ArrayReader[ImageBlock] | ArrayReader[Block] | ArrayReader[Part]


@dataclass(slots=True)
class _Pass:
    """What the pass over a file has found so far."""

    source: Source
    context: ReadContext
    spool: Spool
    expected: int
    """About how many bytes the document has."""
    members: dict[str, str] = field(default_factory=dict)
    image_blocks: list[ImageBlock] = field(default_factory=list)
    images: Images | None = None
    image_elements: int = 0
    blocks: list[Block] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    """The number of the first element of each block."""
    untold: list[int] = field(default_factory=list)
    """Blocks whose faults were not told yet: captions before the first box are passed over, unless boxes follow."""
    boxes: int = 0
    divide: Shared[Divide] | None = None
    width: int = 0
    """How many images a partition has."""
    results: bool = False
    """The document is a list of annotations."""
    repeats: Repeats = field(default_factory=dict)

    def reader(self, key: str) -> Reader | None:
        """How the array of that name is read, which begins now."""
        shelf = self.spool.shelf(apart=self.context.workers.apart)
        if key == "images":
            return images_reader(shelf)
        if key not in ("annotations", ""):
            return None
        self.results = key == ""
        if self.image_blocks:
            self.finish_images()
        needless = [name for name in ("segmentation", "keypoints") if f"object.{name}" not in self.context.carried]
        return annotations_reader(shelf, self.divide, listing=self.context.findings.recording, needless=needless)

    def finish_images(self) -> None:
        """All images are known."""
        shown, findings = self.source.shown, self.context.findings
        self.images, numbers = images_of(self.image_blocks, shown, findings, self.spool, self.repeats)
        self.image_blocks.clear()
        self.width = width_of(self.images.count, self.expected, self.context.batch_size)
        shelf = self.spool.shelf(apart=self.context.workers.apart)
        self.divide = share(Divide(numbers, self.width), shelf)

    def take(self, key: str, value: Found) -> None:
        """A block was read."""
        if isinstance(value, ImageBlock):
            for fault in value.faults:
                fault.report(self.context.findings, self.source.shown, "$.images", self.image_elements, images=1)
            self.image_elements += value.count
            self.image_blocks.append(value.held(self.spool))
        elif isinstance(value, Block):
            self.untold.append(len(self.blocks))
            self.firsts.append(self.firsts[-1] + self.blocks[-1].count if self.blocks else 0)
            self.blocks.append(value.held(self.spool))
            self.boxes += value.boxes
            if self.boxes or not value.captions:
                self.tell()

    def tell(self) -> None:
        """Report the faults of the blocks that were read."""
        for number in self.untold:
            for fault in self.blocks[number].faults:
                fault.report(self.context.findings, self.source.shown, self.pointer, self.firsts[number], boxes=1)
            self.blocks[number] = replace(self.blocks[number], faults=())
        self.untold.clear()

    def divide_all(self) -> None:
        """Divide what was held as it came."""
        context = self.context
        if self.divide is None:
            self.finish_images()
        assert self.divide is not None
        if any(block.parts == (-1,) for block in self.blocks):
            spool = Spool(context.memory // 2)
            shelf = spool.shelf(apart=context.workers.apart)
            tasks = ((block, shelf, self.divide) for block in self.blocks)
            self.blocks = [block.held(spool) for block in context.workers.run(divide_again, tasks)]

    def tell_strays(self, categories: Numbers) -> bool:
        """Report the entries and annotations that cannot be kept as others do not exist, or do; whether annotations
        were looked up whose category does not exist."""
        assert self.divide is not None
        findings, shown = self.context.findings, self.source.shown
        orphans = any(block.orphans for block in self.blocks)
        if findings.recording:
            orphans = orphans or any(not categories.knows(block.categories) for block in self.blocks)
            if orphans or self.repeats:
                wanted = Wanted(
                    self.divide.get().images, categories, frozenset(key for key, _ in self.repeats.values())
                )
                array = ("" if self.results else "annotations") if orphans else None
                tell_texts(self.source.path, shown, self.context, wanted, array, {} if self.results else self.repeats)
            if not self.results:
                return orphans
        for element, (_, detail) in self.repeats.items():
            record = Record(shown, pointer=f"$.images[{element}]")
            findings.add("duplicate-image-id", SAME_ID, record=record, detail=detail, images=1)
        for block, first in zip(self.blocks, self.firsts, strict=True):
            for orphan in () if findings.recording else block.orphans:
                record = Record(shown, pointer=f"{self.pointer}[{first + orphan.element}].image_id")
                detail = f"image_id {orphan.image_id}"
                findings.add("orphan-annotation", NO_IMAGE, record=record, detail=detail, boxes=1)
        return orphans and findings.recording

    @property
    def pointer(self) -> str:
        """The array of annotations in the document."""
        return "$" if self.results else "$.annotations"

    @property
    def array(self) -> str:
        """The array of annotations in messages."""
        return f"{self.source.shown}: {self.pointer}"

    def annotations(self) -> Iterator[pa.RecordBatch]:
        """All annotations as they came, before they are divided."""
        return (slip.load() for block in self.blocks for slip in block.pieces)


def read_coco(source: Source, context: ReadContext, box: BoxFormat, header_file: str) -> Dataset:
    """The data set of a file; boxes stand in `box`. `header_file` has the images and categories of a list of results.

    Raises DataError and UsageError, see `coco.read`.
    """
    found = _first_pass(source, context)
    if found.untold:
        raise DataError.of(
            "no-boxes",
            "a captions file: its annotations have a caption and no bbox",
            where=source.shown,
            hint="the instances_* file of the same images has the boxes",
        )
    if found.results and header_file:
        known = _header_pass(Path(header_file), context)
        found.image_blocks, found.members = known.image_blocks, known.members
    text = found.members.pop("categories", "[]")
    categories, category_of = read_categories(text, source.shown, context)
    if found.results and not found.image_blocks:
        found.image_blocks = [images_named(found.annotations())]
    if found.results and not categories:
        categories, category_of = name_categories(found.annotations(), context.classes)
    found.divide_all()
    plain = {key: index for key, index in category_of.items() if isinstance(key, int)}
    others = {key: index for key, index in category_of.items() if isinstance(key, str)}
    numbers = Numbers.of(np.array([*plain], np.int64), np.array([*plain.values()], np.int64), others)
    info, licenses = found.members.pop("info", None), found.members.pop("licenses", None)
    header = Header(box, categories, info, licenses, jsontext.compose(found.members), "coco")
    assert found.images is not None
    told = found.tell_strays(numbers)
    dataset = of_parts(header, _parts(found, numbers, told), context.findings, found.images.count)
    return replace(dataset, compared=True)


def _first_pass(source: Source, context: ReadContext, *, images_alone: bool = False) -> _Pass:
    size = source.path.stat().st_size
    expected = size if compression_of(source.path) is None else PACKED * size
    if expected > SMALL:
        context.workers.begin()
    found = _Pass(source, context, Spool(context.memory // 2), expected)

    def reader(key: str) -> Reader | None:
        if images_alone and key != "images":
            return SKIPPED if key == "annotations" else None
        return found.reader(key)

    items: Iterator[Member | Elements[Found]] = read_document(
        source.path,
        reader,
        shown=source.shown,
        workers=context.workers,
        progress=context.progress,
        max_expansion=context.max_expansion,
    )
    for item in items:
        if isinstance(item, Member):
            found.members[item.key] = item.text
        else:
            found.take(item.key, item.value)
    for key in ("images", "annotations"):
        if key in found.members:
            raise DataError.of("bad-value", f"{key} is not an array", where=f"{source.shown}: $.{key}")
    if found.images is None and not found.image_blocks and not found.blocks:
        raise DataError.of("not-coco", "neither images nor annotations: this is no COCO file", where=source.shown)
    return found


def _header_pass(path: Path, context: ReadContext) -> _Pass:
    """The document that `--in header` names: all of it but its annotations."""
    if not path.is_file():
        raise UsageError.of(
            "path-not-found", f"there is no file {path}", hint="--in header names a COCO file of the images"
        )
    return _first_pass(Source(path), context, images_alone=True)


def _parts(found: _Pass, categories: Numbers, told: bool) -> Callable[[], Iterable[ImagePart]]:
    """Makes the parts: one that looks for repeated ids, and one for each range of images."""
    assert found.images is not None
    source, context, images, width = found.source, found.context, found.images, found.width
    annotated = bool(found.blocks)
    ranges = Ranges(categories, found.array, source.split, annotated, context.batch_size, told)
    shared = share(ranges, found.spool.shelf(apart=context.workers.apart))
    ids = tuple(block.ids for block in found.blocks if block.ids is not None)

    def pieces(number: int) -> Iterator[tuple[Slip, int]]:
        for block, first in zip(found.blocks, found.firsts, strict=True):
            at = bisect_left(block.parts, number)
            if block.parts[at : at + 1] == (number,):
                yield block.pieces[at], first

    def parts() -> Iterator[ImagePart]:
        yield RepeatedIds(ids, found.array)
        for number, first in enumerate(range(0, images.count, width)):
            last = min(images.count, first + width)
            yield ImageRange(shared, first, last, images.rows(first, last), tuple(pieces(number)))

    return parts
