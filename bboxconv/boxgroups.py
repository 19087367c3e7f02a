"""The rows of tables of boxes, put together by image: images in order of first sight, however their rows lie.

A first pass makes the rows of each block and leaves them on a shelf; then images, classes and the box format are
known. What is too large to be put in order at once is divided by image first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.boxtables import IMAGE, Range, Reading, RowFault, rows_of
from bboxconv.codec import ReadContext
from bboxconv.errors import DataError, Findings
from bboxconv.headerjson import box_of
from bboxconv.parts import of_parts
from bboxconv.schema import Category, Dataset, Header
from bboxconv.shelf import Shared, Shelf, share
from bboxconv.spool import Slip, Slips, Spool, divided, in_order, leave, width_of

ClassKey = tuple[str | None, int | None]
"""The name and the id of a class, as far as rows say them."""
ASSUMED = "box-format-assumed"


@dataclass(frozen=True, slots=True)
class Left:
    """What is known of a block of rows, and where they lie."""

    slip: Slip
    keys: tuple[tuple[str | None, ...], ...]
    classes: tuple[ClassKey, ...]
    faults: tuple[RowFault, ...]
    numbers: Range
    formats: tuple[str, ...]
    numbered: bool


def leave_rows(batch: pa.RecordBatch, reading: Reading, shelf: Shelf) -> Left:
    """Make the rows of a batch and leave them on a shelf."""
    rows = rows_of(batch, reading)
    slip = leave([rows.batch], shelf)[0]
    return Left(slip, rows.keys, rows.classes, rows.faults, rows.numbers, rows.formats, rows.numbered)


@dataclass(slots=True)
class Groups:
    """What the pass over the blocks has found so far."""

    reading: Reading
    shown: str
    context: ReadContext
    spool: Spool
    images: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    classes: dict[ClassKey, int] = field(default_factory=dict)
    blocks: list[tuple[Slip, NDArray[np.int32], NDArray[np.int32]]] = field(default_factory=list)
    """The rows of each block, the number of each image in them, and of each class."""
    numbers: Range = field(default_factory=Range)
    formats: dict[str, None] = field(default_factory=dict)
    numbered: bool = True

    def take(self, left: Left) -> None:
        """A block was read; its faults are told by the caller, who knows the places of rows."""
        images = [self.images.setdefault(key, len(self.images)) for key in left.keys]
        classes = [self.classes.setdefault(key, len(self.classes)) for key in left.classes]
        slip = self.spool.take(left.slip)
        self.blocks.append((slip, np.array(images, np.int32), np.array(classes, np.int32)))
        self.numbers |= left.numbers
        self.formats.update(dict.fromkeys(left.formats))
        self.numbered = self.numbered and left.numbered

    def dataset(
        self, source: str, box: BoxFormat | None = None, declared: Sequence[str] = (), split: str | None = None
    ) -> Dataset:
        """All of it. `box` is the format of the boxes, where the caller knows it; `declared` the names of the classes
        in their order, where the table has them beside its rows.

        Raises DataError: `box-format-differs` where rows name several box formats; `unknown-class` for a class number
        for which the caller's list of classes has no name.
        """
        categories, index = self._categories(declared)
        header = Header(box or self._box(), categories, source=source)
        spool, context, count = self.spool, self.context, len(self.images)
        width = width_of(count, spool.size, context.batch_size)
        shelf = spool.shelf(apart=context.workers.apart)
        as_names = "file_name" not in self.reading.columns.places and not self.numbered
        shared = share(Ranges(width, index, as_names, split, self.shown, context.batch_size), shelf)
        if width < count:
            blocks = self._divided(shared)
        else:
            blocks = [((0,), Slips.of([slip]), images, classes) for slip, images, classes in self.blocks]
        self.blocks = []

        def parts() -> Iterator[ImageRange]:
            for number, first in enumerate(range(0, count, width)):
                pieces = tuple(
                    Piece(slips[numbers.index(number)], images, classes)
                    for numbers, slips, images, classes in blocks
                    if number in numbers
                )
                yield ImageRange(shared, min(width, count - first), pieces)

        return of_parts(header, parts, context.findings, count)

    def _divided(
        self, shared: Shared[Ranges]
    ) -> list[tuple[tuple[int, ...], Slips, NDArray[np.int32] | None, NDArray[np.int32] | None]]:
        """The blocks divided by image."""
        spool = Spool(self.context.memory // 2)
        shelf = spool.shelf(apart=self.context.workers.apart)
        tasks = ((Piece(*block), shared, shelf) for block in self.blocks)
        done = self.context.workers.run(divide, tasks)
        return [(numbers, spool.take_all(slips), None, None) for numbers, slips in done]

    def _box(self) -> BoxFormat:
        """The box format that the rows say, or show."""
        if len(self.formats) > 1:
            detail = ", ".join(self.formats)
            raise DataError.of("box-format-differs", "rows name several box formats", where=self.shown, detail=detail)
        kind = self.reading.columns.kind
        if self.formats:
            name = next(iter(self.formats))
            try:
                return box_of(name if name.startswith("{") else json.dumps(name))
            except ValueError as error:
                raise DataError.of("bad-value", str(error), where=self.shown) from error
        box = BoxFormat(kind or "xywh", 1 if self.numbers.fractions else None)
        if kind is None or box.scale is not None:
            why = "all numbers lie between 0 and 1" if kind else "a column has all four numbers"
            message = f"{why}, and nothing names their box format: {box.name} assumed"
            hint = "another is named by --in box=NAME, in Python by box="
            self.context.findings.add(ASSUMED, message, severity="note", where=self.shown, hint=hint)
        return box

    def _categories(self, declared: Sequence[str]) -> tuple[tuple[Category, ...], NDArray[np.int32]]:
        """The categories, and the index of each class that was seen."""
        seen = [key for key in self.classes if key != (None, None)]
        names = self.context.classes
        numbers = [number for key in seen if (number := _number(key)) is not None]
        if seen and len(numbers) == len(seen) and not {key[0] for key in seen} <= {*declared}:
            categories = self._numbered(sorted({*numbers}), names)
            place = {category.id if not names else n: n for n, category in enumerate(categories)}
            found = {key: place[number] for key, number in zip(seen, numbers, strict=True)}
        else:
            ids: dict[str, int | None] = dict.fromkeys(declared)
            for name, number in seen:
                text = str(number) if name is None else name
                if ids.get(text) is None:
                    ids[text] = number
            rest = [name for name in ids if name not in {*declared}]
            given = [ids[name] for name in ids]
            if not declared and None not in given and len({*given}) == len(given):
                order = sorted(ids, key=lambda name: ids[name] or 0)
            else:
                order = [*declared, *sorted(rest)]
            categories = tuple(Category(name, ids[name]) for name in order)
            place_of = {name: n for n, name in enumerate(order)}
            found = {(name, number): place_of[str(number) if name is None else name] for name, number in seen}
        index = np.full(max(1, len(self.classes)), -1, np.int32)
        for key, number in self.classes.items():
            index[number] = found.get(key, -1)
        return categories, index

    def _numbered(self, numbers: list[int], names: Sequence[str]) -> tuple[Category, ...]:
        """The classes of which nothing but numbers is known: the caller's, or one for each."""
        if not names:
            return tuple(Category(str(number), number) for number in numbers)
        wild = [number for number in numbers if not 0 <= number < len(names)]
        if wild:
            message = f"a class number has no name: there are {len(names)}"
            raise DataError.of("unknown-class", message, where=self.shown, detail=str(wild[0]))
        return tuple(map(Category, names))


def _number(key: ClassKey) -> int | None:
    """The number of a class of which no other name is known."""
    name, number = key
    if name is None:
        return number
    plain = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 19
    return int(name) if plain and number in (None, int(name)) else None


@dataclass(frozen=True, slots=True)
class Ranges:
    """What all ranges of images share."""

    width: int
    """How many images each has."""
    index: NDArray[np.int32]
    """The category of each class, -1 for none."""
    as_names: bool
    """Ids of images are file names."""
    split: str | None
    shown: str
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows, and the number of each image and class in them; None: they have it themselves."""

    slip: Slip
    images: NDArray[np.int32] | None = None
    classes: NDArray[np.int32] | None = None

    def load(self, ranges: Ranges) -> pa.RecordBatch:
        """The rows, with the numbers of all images in `image` and the categories in `category`."""
        batch = self.slip.load()
        if self.images is None or self.classes is None:
            return batch
        image = self.images[batch.column("image").to_numpy()] if len(batch) else np.zeros(0, np.int32)
        found = batch.column("class")
        local = found.fill_null(0).to_numpy(zero_copy_only=False)
        index = ranges.index[self.classes[local]] if len(self.classes) else np.full(len(batch), -1, np.int32)
        absent = found.is_null().to_numpy(zero_copy_only=False) | (index < 0)
        batch = batch.drop_columns(["image", "class"])
        batch = batch.append_column("image", pa.array(image))
        return batch.append_column("category", pa.array(index, mask=absent))


def divide(task: tuple[Piece, Shared[Ranges], Shelf]) -> tuple[tuple[int, ...], Slips]:
    """Divide the rows of a block by image; a task. The numbers of the ranges that have rows, and these."""
    piece, shared, shelf = task
    ranges = shared.get()
    batch = piece.load(ranges)
    parts = list(divided(batch, batch.column("image").to_numpy(), ranges.width))
    return tuple(number for number, _ in parts), Slips.of(leave([part for _, part in parts], shelf))


@dataclass(frozen=True, slots=True)
class ImageRange:
    """Some images that follow each other, as a part: their rows lie in the pieces."""

    shared: Shared[Ranges]
    images: int
    pieces: tuple[Piece, ...]

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """The images in batches of the size that the caller wants."""
        ranges = self.shared.get()
        batch, image = in_order(self._ordered(ranges))
        starts = np.flatnonzero(np.diff(image, prepend=-1))
        _tell_sizes(batch, image, starts, ranges.shown, findings)
        columns = _image_columns(batch, starts, as_names=ranges.as_names)
        there = batch.column("object").to_numpy(zero_copy_only=False)
        edges = np.concatenate(([0], np.cumsum(there)))
        offsets = edges[np.append(starts, len(image))].astype(np.int64)
        own = batch if there.all() else batch.filter(pa.array(there))
        fields = {name: own.column(name) for name in schema.OBJECT_FIELDS if name in own.schema.names}
        whole = schema.image_batch(columns, offsets, schema.object_rows(fields, len(own)))
        return schema.pieces(schema.with_split(whole, ranges.split), ranges.size)

    def _ordered(self, ranges: Ranges) -> Iterator[pa.RecordBatch]:
        for piece in self.pieces:
            batch = piece.load(ranges)
            if piece.images is None:
                yield batch
                continue
            yield from (part for _, part in divided(batch, batch.column("image").to_numpy(), ranges.width))


def _image_columns(batch: pa.RecordBatch, starts: NDArray[np.int64], *, as_names: bool) -> dict[str, pa.Array]:
    """The columns of the images whose rows begin there."""
    rows = pa.array(starts)
    names = [name for name in batch.schema.names if name.startswith(IMAGE)]
    columns = {name.removeprefix(IMAGE): batch.column(name).take(rows) for name in names}
    key = columns.pop("key", None)
    if key is not None and as_names:
        columns["file_name"] = key
        columns.pop("id", None)
    return columns


def _tell_sizes(
    batch: pa.RecordBatch, image: NDArray[np.int64], starts: NDArray[np.int64], shown: str, findings: Findings
) -> None:
    """Report the images of which rows give different sizes."""
    first = np.repeat(starts, np.diff(starts, append=len(image)))
    for name in ("width", "height"):
        if IMAGE + name not in batch.schema.names:
            continue
        sizes = batch.column(IMAGE + name)
        differ = pc.not_equal(sizes, sizes.take(pa.array(first))).fill_null(False)
        for row in np.flatnonzero(differ.to_numpy(zero_copy_only=False)).tolist():
            key = next((IMAGE + n for n in ("file_name", "key", "id") if IMAGE + n in batch.schema.names), "")
            findings.add(
                "size-differs",
                f"rows of one image give it another {name}: the first is taken",
                severity="warning",
                where=f"{shown}: image {batch.column(key)[row].as_py()}" if key else shown,
                detail=str(sizes[row].as_py()),
            )
