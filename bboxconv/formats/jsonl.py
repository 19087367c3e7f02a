"""JSON Lines: one line for the data set, then one for each image; the reference format, which carries the whole
model.

    {"type":"dataset","task":"detect","class_names":{"0":"cat"},"bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat"}]}
    {"type":"image","file":"a.jpg","id":7,"width":640,"height":480,"split":"train","objects":[{"category":0,"bbox":[1,2.5,30,40]}]}

The shape is that of Ultralytics' NDJSON: https://docs.ultralytics.com/datasets/detect/#ultralytics-ndjson-format. Box
convention: any; line 1 names it. Policies:

- Keys are those of schema.IMAGE and schema.OBJECT, in their order (`file` for file_name; the header's are in
  `headerjson`). Null is left out. No `objects`: nobody looked; `[]`: nothing there.
- Numbers are the shortest text that reads back to the same bits. JSON has no NaN and no Infinity: in a bbox they are
  null, which is read as NaN, elsewhere they are lost; a warning counts them.
- `segmentation`, `keypoints` and `extra` stand in the line as they came, but that line ends between their tokens
  become spaces.
- `category` is an index into the categories, as with Ultralytics, or a name. Without a header, names are put in
  code-point order; numbers are names, unless `--classes` gives names for them.
- Keys that are not of the schema go to `extra`, and so do ids that are no int64. `file_name`, a list of
  `annotations`, `label`, `class`, `class_name` and `box` are taken for what they say.
- A flag may be 0 or 1, a size `640.0`; a text is never a number or a flag, whatever it spells: its line is a fault.
- Ultralytics' own rows, `"annotations": {"boxes": [[class, cx, cy, w, h], ...]}`, `segments` and `obb`, are read as
  cxcywhn; there an image without `annotations` is background.
- A line that cannot be read is left out and reported with its number, and so is an object of an unknown class.

It cannot carry infinite numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import imagetexts, io, jsontext, schema
from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    EVERYTHING,
    Encoder,
    Encoding,
    FormatInfo,
    Match,
    Option,
    Options,
    ReadContext,
    Source,
    Target,
    WriteContext,
    Written,
    encoded,
    option,
)
from bboxconv.errors import DataError, Findings, Record, UsageError
from bboxconv.headerjson import class_names, header_members, header_of
from bboxconv.parts import of_parts
from bboxconv.readers import imagelines, lines
from bboxconv.readers.imagelines import Reading
from bboxconv.schema import Category, Dataset, Header, Part
from bboxconv.shelf import Left, Shelf
from bboxconv.spool import Slip, Spool, leave

BOX = Option(
    "box",
    "auto",
    "box format of lines that do not name theirs; auto: xywh, or cxcywhn for Ultralytics' rows",
    pattern="[a-z0-9%/+@.]+",
)
INFO = FormatInfo(
    name="jsonl",
    title="JSON Lines, one image a line (Ultralytics NDJSON)",
    spec="https://docs.ultralytics.com/datasets/detect/#ultralytics-ndjson-format",
    layout="file",
    extensions=(".jsonl", ".ndjson"),
    box="any",
    carries=EVERYTHING,
    aliases=("ndjson",),
    read_options=(BOX,),
)

ROWS = BoxFormat("cxcywh", 1)
"""The box format of Ultralytics' rows."""
_MANY = 32 << 20  # bytes of a file from which on more than one process pays
_LARGE = 4 << 20  # bytes of a batch from which on it is written in halves: its text stands in memory several times
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_START = re.compile(rb'\{\s*"type"\s*:\s*("dataset"|"image")')


def detect(path: Path, head: bytes) -> Match | None:
    """A first line that is a JSON object with `"type": "dataset"` or `"image"`, or the extension of a file."""
    line, end, _ = head.removeprefix(io.BOM).lstrip().partition(b"\n")
    start = _START.match(line)
    kind = _member(line, "type") if end or start is None else start[1]
    if kind in (b'"dataset"', b'"image"'):
        return Match(1.0 if kind == b'"dataset"' else 0.8, f'first line has "type": {kind.decode()}')
    if io.base_suffix(path) not in INFO.extensions or not path.is_file():
        return None
    if not head:
        return Match(0.5, f"extension {io.base_suffix(path)}")
    key = next((key for key in ("file", "file_name", "objects") if _member(line, key)), None)
    return Match(0.6, f'first line is an object with "{key}"') if key else None


def _member(line: bytes, key: str) -> bytes:
    """The JSON text of a member of a line that is a JSON object, else nothing."""
    try:
        return bytes(_MEMBERS.decode(line).get(key, b""))
    except (ValueError, RecursionError):
        return b""


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a file of image lines, with or without a line for the data set.

    Raises DataError where the file has no line, or its first line is a header that cannot be read; UsageError for an
    option `box` that is no box format.
    """
    line, number, start = lines.first_line(source.path, context.max_expansion, shown=source.shown)
    if not line:
        raise DataError.of("no-annotations", "the file has no line", where=source.shown)
    if _member(line, "type") != b'"dataset"':
        box = _box(context, source, ROWS if _member(line, "annotations")[:1] == b"{" else None)
        header = Header(box, tuple(map(Category, context.classes)), source=INFO.name)
        return _dataset(header, Reading(_known(header) or None, box == ROWS), _Lines(source, context))
    where = f"{source.shown}:{number}"
    try:
        members = jsontext.members(line)
    except UnicodeDecodeError as error:
        raise DataError.of("bad-encoding", "the line is not UTF-8", where=where) from error
    if "bboxconv" in members:
        header = header_of(members, where)
        return _dataset(header, Reading(_known(header), header.box == ROWS), _Lines(source, context, start, number))
    extra = jsontext.compose({key: text for key, text in members.items() if key not in ("type", "class_names")})
    names = class_names(members["class_names"], where) if "class_names" in members else context.classes
    header = Header(_box(context, source, ROWS), tuple(map(Category, names)), extra=extra, source=INFO.name)
    reading = Reading(_known(header) or None, header.box == ROWS, background=True)
    return _dataset(header, reading, _Lines(source, context, start, number))


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a file from a position on, before which `number` lines stand."""

    source: Source
    context: ReadContext
    start: int = 0
    number: int = 0

    def begin(self) -> None:
        """Start processes where there is enough to do for them."""
        if self.source.path.stat().st_size >= _MANY:
            self.context.workers.begin()

    def blocks(self) -> Iterator[tuple[lines.Block, int, int]]:
        """The blocks, the number of lines before each, and how many it has."""
        size = self.source.path.stat().st_size
        total = None if io.compression_of(self.source.path) else size
        self.context.progress("reading", self.start, total, "bytes")
        before = self.number
        most, shown = self.context.max_expansion, self.source.shown
        for block in lines.blocks(self.source.path, self.start, max_expansion=most, shown=shown):
            data = block.read()
            count = data.count(b"\n") + (not data.endswith(b"\n"))
            yield block, before, count
            before += count
            self.context.progress("reading", len(data), total, "bytes")


@dataclass(frozen=True, slots=True)
class LinesPart:
    """The images of a block of lines, as a part; `before` lines stand before it."""

    block: lines.Block
    reading: Reading
    before: int
    images: int
    shown: str
    split: str | None
    size: int

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Batches of the size that the caller wants, in the split that the caller says."""
        found = imagelines.parse((self.block, self.reading))
        _tell(found.faults, self.before, self.shown, findings)
        return schema.pieces(schema.with_split(found.batch, self.split), self.size)


@dataclass(frozen=True, slots=True)
class LeftLines:
    """The images of a block of lines, left on a shelf until all classes are known."""

    slip: Slip
    classes: tuple[int | str, ...]
    faults: tuple[imagelines.Fault, ...]


def leave_lines(given: tuple[lines.Block, Reading, Shelf]) -> LeftLines:
    """Read a block of lines; a task."""
    block, reading, shelf = given
    found = imagelines.parse((block, reading))
    return LeftLines(leave([found.batch], shelf)[0], found.classes, found.faults)


@dataclass(frozen=True, slots=True)
class HeldPart:
    """The images of a block that was held, as a part; `classes` is the index of each of its classes."""

    slip: Slip
    classes: tuple[int, ...]
    split: str | None
    size: int

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.slip.rows

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Batches of the size that the caller wants, in the split that the caller says."""
        batch = self.slip.load()
        objects = schema.flat(batch)
        category = pa.array(self.classes, pa.int32()).take(objects.column("category"))
        batch = schema.with_objects(batch, objects.with_columns({"category": category}))
        return schema.pieces(schema.with_split(batch, self.split), self.size)


def _tell(faults: Iterable[imagelines.Fault], before: int, shown: str, findings: Findings) -> None:
    """Report the faults of a block that `before` lines stand before."""
    for fault in faults:
        alone = bool(fault.pointer)
        record = Record(shown, before + fault.line, fault.pointer, fault.raw)
        findings.add(
            fault.code, fault.message, record=record, detail=fault.detail, images=int(not alone), boxes=int(alone)
        )


def _dataset(header: Header, reading: Reading, text: _Lines) -> Dataset:
    """The images in their order; read as they are asked for, where the classes are known."""
    text.begin()
    if reading.classes is None:
        return _collected(header, reading, text)
    source, size = text.source, text.context.batch_size

    def parts() -> Iterator[Part]:
        for block, before, count in text.blocks():
            yield LinesPart(block, reading, before, count, source.shown, source.split, size)

    return of_parts(header, parts, text.context.findings)


def _collected(header: Header, reading: Reading, text: _Lines) -> Dataset:
    """A data set whose classes are known once all of it has been read."""
    source, context = text.source, text.context
    spool = Spool(context.memory)
    shelf = spool.shelf(apart=context.workers.apart)
    befores: list[int] = []

    def tasks() -> Iterator[tuple[lines.Block, Reading, Shelf]]:
        for block, before, _ in text.blocks():
            befores.append(before)
            yield block, reading, shelf

    held: list[LeftLines] = []
    for left in context.workers.run(leave_lines, tasks()):
        _tell(left.faults, befores[len(held)], source.shown, context.findings)
        held.append(replace(left, slip=spool.take(left.slip)))
    seen = {name for left in held for name in left.classes}
    numbers = sorted(name for name in seen if isinstance(name, int))
    if len(numbers) == len(seen):
        categories = tuple(Category(str(number), number) for number in numbers)
    else:
        categories = tuple(Category(name) for name in sorted(set(map(str, seen))))
    index = {category.name: place for place, category in enumerate(categories)}
    parts = [
        HeldPart(left.slip, tuple(index[str(name)] for name in left.classes), source.split, context.batch_size)
        for left in held
    ]
    return of_parts(replace(header, categories=categories), lambda: parts, context.findings, spool.rows)


def _box(context: ReadContext, source: Source, shown: BoxFormat | None) -> BoxFormat:
    """The box format of lines that do not name theirs; `shown` is the one that they show by their form."""
    name = option(context.options, BOX)
    if name != "auto":
        try:
            return BoxFormat.parse(name)
        except ValueError as error:
            raise UsageError.of("bad-option", str(error), where="--in box") from error
    if shown is None:
        message = "the lines do not name their box format: xywh assumed"
        hint = "--in box=NAME says another, such as xyxy or cxcywhn"
        context.findings.add("box-format-assumed", message, severity="note", where=source.shown, hint=hint)
    return shown or BoxFormat("xywh")


def _known(header: Header) -> dict[int | str, int]:
    """The index of each class, by index and by name; of two classes with one name the first."""
    known: dict[int | str, int] = {}
    for index, category in enumerate(header.categories):
        known.setdefault(category.name, index)
        known[index] = index
    return known


def target(header: Header, options: Options) -> Target:
    """All fields, in the box format that the data has."""
    return Target(box=None, carries=EVERYTHING, finite=False)


@dataclass(frozen=True, slots=True)
class _Encoder:
    """Makes lines of each batch; `shown` is the destination in messages."""

    shown: str

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> tuple[Left, ...]:
        """The lines, in one text or several."""
        if batch.nbytes > _LARGE and len(batch) > 1:
            half = len(batch) // 2
            return (*self(batch.slice(0, half), encoding), *self(batch.slice(half), encoding))
        if not len(batch):
            return ()
        if odd := imagetexts.non_finite(batch):
            message = "NaN and infinite numbers are written as null"
            encoding.findings.add(
                "non-finite", message, severity="warning", where=self.shown, count=odd, hint="Parquet carries them"
            )
        text = pc.binary_join_element_wise(imagetexts.texts(batch), "\n", "")
        return tuple(encoding.shelf.leave([jsontext.joined(text)]))


def encoder(header: Header, out: Path, context: WriteContext) -> Encoder[tuple[Left, ...]]:
    """The lines of a batch."""
    return _Encoder(context.shown)


def assemble(header: Header, pieces: Iterable[tuple[Left, ...]], out: Path, context: WriteContext) -> Written:
    """Write the header line and the image lines as they come."""
    names = {
        str(index): jsontext.strings(pa.array([category.name]))[0].as_py()
        for index, category in enumerate(header.categories)
    }
    first = {
        "type": '"dataset"',
        "task": '"detect"',
        "class_names": jsontext.compose(names) or "{}",
        **header_members(header),
    }
    with io.open_output(out) as file:
        file.write((re.sub(r"[\r\n]", " ", jsontext.compose(first) or "") + "\n").encode())
        for texts in pieces:
            for text in texts:
                text.copy_to(file)
    return Written()


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    return assemble(header, encoded(encoder(header, out, context), batches, context.findings), out, context)
