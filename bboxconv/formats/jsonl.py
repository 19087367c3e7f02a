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
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import io, jsontext, schema, workers
from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    EVERYTHING,
    FormatInfo,
    Match,
    Option,
    Options,
    ReadContext,
    Source,
    Target,
    WriteContext,
    Written,
    option,
)
from bboxconv.errors import DataError, UsageError
from bboxconv.headerjson import class_names, header_members, header_of
from bboxconv.readers import imagelines, lines
from bboxconv.readers.imagelines import Part, Reading
from bboxconv.schema import Category, Dataset, Header
from bboxconv.spool import Spool

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
_LARGE = 256 << 20  # bytes of a batch from which on it is written in halves: an Arrow column of text ends at 2 GiB
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
    line, number, start = lines.first_line(source.path)
    if not line:
        raise DataError.of("no-annotations", "the file has no line", where=source.shown)
    if _member(line, "type") != b'"dataset"':
        box = _box(context, source, ROWS if _member(line, "annotations")[:1] == b"{" else None)
        header = Header(box, tuple(map(Category, context.classes)), source=INFO.name)
        return _dataset(header, Reading(_known(header) or None, box == ROWS), _Lines(source, context))
    where = f"{source.shown}:{number}"
    members = jsontext.members(line)
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

    def parts(self, reading: Reading) -> Iterator[Part]:
        """The lines decoded block by block, on several cores where there is enough to do."""
        size = self.source.path.stat().st_size
        total = None if io.compression_of(self.source.path) else size
        self.context.progress("reading", self.start, total, "bytes")
        tasks = ((block, reading) for block in lines.blocks(self.source.path, self.start))
        for part in workers.run(imagelines.parse, tasks, self.context.jobs if size >= _MANY else 1):
            self.context.progress("reading", part.size, total, "bytes")
            yield part

    def tell(self, part: Part, before: int) -> None:
        """Report the faults of a part that `before` of the lines stand before."""
        for fault in part.faults:
            where = f"{self.source.shown}:{self.number + before + fault.line}"
            self.context.findings.add(fault.code, fault.message, where=where, detail=fault.detail)

    def cut(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Batches of the size that the caller wants, in the split that the caller says."""
        return schema.pieces(schema.with_split(batch, self.source.split), self.context.batch_size)


def _dataset(header: Header, reading: Reading, text: _Lines) -> Dataset:
    """The images in their order; read as they are asked for, where the classes are known."""
    if reading.classes is None:
        return _collected(header, reading, text)
    told = 0

    def stream() -> Iterator[pa.RecordBatch]:
        nonlocal told  # a fault is told once, however often the data is read
        before = 0
        for count, part in enumerate(text.parts(reading), 1):
            if count > told:
                text.tell(part, before)
                told = count
            before += part.lines
            yield from text.cut(part.batch)

    return Dataset(header, stream)


def _collected(header: Header, reading: Reading, text: _Lines) -> Dataset:
    """A data set whose classes are known once all of it has been read."""
    held = Spool(text.context.memory)
    local: list[tuple[int | str, ...]] = []
    before = 0
    for part in text.parts(reading):
        text.tell(part, before)
        before += part.lines
        held.append(part.batch)
        local.append(part.classes)
    seen = {name for classes in local for name in classes}
    numbers = sorted(name for name in seen if isinstance(name, int))
    if len(numbers) == len(seen):
        categories = tuple(Category(str(number), number) for number in numbers)
    else:
        categories = tuple(Category(name) for name in sorted(set(map(str, seen))))
    index = {category.name: place for place, category in enumerate(categories)}

    def stream() -> Iterator[pa.RecordBatch]:
        for batch, classes in zip(held, local, strict=True):
            objects = schema.flat(batch)
            category = pa.array([index[str(name)] for name in classes], pa.int32()).take(objects.column("category"))
            yield from text.cut(schema.with_objects(batch, objects.with_columns({"category": category})))

    return Dataset(replace(header, categories=categories), stream, held.rows)


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


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write the header line and the image lines as the batches come."""
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
        for batch in batches:
            _write_batch(batch, file, context)
    return Written()


def _write_batch(batch: pa.RecordBatch, file: BinaryIO, context: WriteContext) -> None:
    if batch.nbytes > _LARGE and len(batch) > 1:
        half = len(batch) // 2
        _write_batch(batch.slice(0, half), file, context)
        _write_batch(batch.slice(half), file, context)
    elif len(batch):
        text = imagelines.texts(batch)
        file.write(
            pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(text)], pa.int32()), text), "\n")[0].as_buffer()
        )
        file.write(b"\n")
        if odd := imagelines.non_finite(batch):
            message = "NaN and infinite numbers are written as null"
            context.findings.add(
                "non-finite", message, severity="warning", where=context.shown, count=odd, hint="Parquet carries them"
            )
