"""JSON Lines: one line for the data set, then one line for each image; the reference format, which carries the whole
model.

    {"type":"dataset","task":"detect","class_names":{"0":"cat"},"bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat"}]}
    {"type":"image","file":"a.jpg","id":7,"width":640,"height":480,"split":"train","objects":[{"category":0,"bbox":[1,2.5,30,40]}]}

The shape is that of Ultralytics' NDJSON: https://docs.ultralytics.com/datasets/detect/#ultralytics-ndjson-format. Box
convention: any; line 1 names it. Policies:

- Keys are those of schema.IMAGE and schema.OBJECT, in their order (`file` for file_name; the header's are in
  `headerjson`). Null is left out. No `objects`: nobody looked; `[]`: nothing there.
- Numbers are the shortest text that reads back to the same bits. JSON has no NaN and no Infinity: in a bbox they are
  null, which is read as NaN, elsewhere they are lost; a warning counts them.
- `segmentation`, `keypoints` and `extra` stand in the line as they came, but that line ends between their tokens become
  spaces.
- `category` is an index into the categories, as with Ultralytics, or a name. Without a header, names are put in
  code-point order; numbers are names, unless `--classes` gives names for them.
- Keys that are not of the schema go to `extra`, and so do ids that are no int64. `file_name`, a list of `annotations`,
  `label`, `class`, `class_name` and `box` are taken for what they say.
- Ultralytics' own rows, `"annotations": {"boxes": [[class, cx, cy, w, h], ...]}`, `segments` and `obb`, are read as
  cxcywhn; there an image without `annotations` is background.
- A line that cannot be read is left out and reported with its number, and so is an object of an unknown class.

It cannot carry infinite numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import imagelines, io, jsontext, lines, schema, workers
from bboxconv.boxes import BoxFormat
from bboxconv.codec import EVERYTHING, FormatInfo, Match, Option, Options, ReadContext, Source, Target, WriteContext, Written, option
from bboxconv.errors import DataError, UsageError
from bboxconv.headerjson import header_members, header_of
from bboxconv.imagelines import Part, Reading
from bboxconv.schema import Category, Dataset, Header
from bboxconv.spool import Spool

BOX = Option(
    "box", "auto", "box format of lines that do not name theirs; auto: xywh, or cxcywhn for Ultralytics' rows", pattern="[a-z0-9%/+@.]+"
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
    line, end, _ = head.removeprefix(lines.BOM).lstrip().partition(b"\n")
    start = _START.match(line)
    kind = _type(line) if end or start is None else start[1]
    if kind in (b'"dataset"', b'"image"'):
        return Match(1.0 if kind == b'"dataset"' else 0.8, f'first line has "type": {kind.decode()}')
    if io.base_suffix(path) in INFO.extensions and path.is_file():
        return Match(0.5, f"extension {io.base_suffix(path)}")
    return None


def _type(line: bytes) -> bytes:
    """The JSON text of `type` in a line that is a JSON object, else nothing."""
    try:
        return bytes(_MEMBERS.decode(line).get("type", b""))
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
    titled = _type(line) == b'"dataset"'
    if titled:
        members = jsontext.members(line)
        header = (
            header_of(members, f"{source.shown}:{number}")
            if "bboxconv" in members
            else _foreign(members, f"{source.shown}:{number}", context)
        )
    else:
        header, number, start = Header(_box(context, _rows_in(line), source), tuple(map(Category, context.classes)), source=INFO.name), 0, 0
    reading = Reading(_known(header), rows=header.box == ROWS, background=titled and "bboxconv" not in members)
    if header.categories or titled:
        told = 0

        def stream() -> Iterator[pa.RecordBatch]:
            nonlocal told  # a fault is told once, however often the data is read
            at = number
            for count, part in enumerate(_parts(source, start, reading, context), 1):
                if count > told:
                    _tell(part, at, source, context)
                    told = count
                at += part.lines
                yield from _cut(part.batch, source, context)

        return Dataset(header, stream)
    return _collected(header, replace(reading, classes=None), source, context)


def _foreign(members: Mapping[str, str], where: str, context: ReadContext) -> Header:
    """The header from a first line that bboxconv did not write: Ultralytics'."""
    extra = jsontext.compose({key: text for key, text in members.items() if key not in ("type", "class_names")})
    try:
        given = msgspec.json.decode(members.get("class_names", "[]"), type=dict[int, str] | list[str])
    except msgspec.MsgspecError as error:
        raise DataError.of("bad-header", "class_names are not names by number", where=where, detail=str(error)) from error
    numbered = dict(enumerate(given or context.classes)) if isinstance(given, list) else given
    if numbered and not 0 <= min(numbered) <= max(numbered) < len(numbered) + 10_000:
        raise DataError.of("bad-header", "class_names are not names by number", where=where, detail=f"class {max(numbered, key=abs)}")
    names = [numbered.get(index, str(index)) for index in range(max(numbered, default=-1) + 1)]
    return Header(_box(context, ROWS), tuple(Category(name) for name in names), extra=extra, source=INFO.name)


def _rows_in(line: bytes) -> BoxFormat | None:
    """The box format that an image line shows by holding Ultralytics' rows."""
    try:
        return ROWS if bytes(_MEMBERS.decode(line).get("annotations", b""))[:1] == b"{" else None
    except (ValueError, RecursionError):
        return None


def _box(context: ReadContext, shown: BoxFormat | None, source: Source | None = None) -> BoxFormat:
    """The box format of lines that do not name theirs."""
    name = option(context.options, BOX)
    if name == "auto" and source is not None and shown is None:
        hint = "--in box=xyxy (cxcywhn, ...) names another"
        context.findings.add(
            "box-format-assumed", "the lines do not name their box format: xywh assumed", severity="note", where=source.shown, hint=hint
        )
    try:
        return (shown or BoxFormat("xywh")) if name == "auto" else BoxFormat.parse(name)
    except ValueError as error:
        raise UsageError.of("bad-option", str(error), where="--in box") from error


def _known(header: Header) -> dict[int | str, int]:
    """The index of each class, by index and by name; of two classes with one name the first."""
    known: dict[int | str, int] = {}
    for index, category in enumerate(header.categories):
        known.setdefault(category.name, index)
        known[index] = index
    return known


def _parts(source: Source, start: int, reading: Reading, context: ReadContext) -> Iterator[Part]:
    """The lines from a position on, decoded block by block, on several cores where there is enough to do."""
    size = source.path.stat().st_size
    total = None if io.compression_of(source.path) else size
    context.progress("read", start, total, "bytes")
    tasks = ((block, reading) for block in lines.blocks(source.path, start))
    for part in workers.run(imagelines.parse, tasks, context.jobs if size >= _MANY else 1):
        context.progress("read", part.size, total, "bytes")
        yield part


def _tell(part: Part, before: int, source: Source, context: ReadContext) -> None:
    """Report the faults of a part that `before` lines stand before."""
    for fault in part.faults:
        context.findings.add(fault.code, fault.message, where=f"{source.shown}:{before + fault.line}", detail=fault.detail)


def _cut(batch: pa.RecordBatch, source: Source, context: ReadContext) -> Iterator[pa.RecordBatch]:
    """Batches of the size that the caller wants, in the split that the caller says."""
    if source.split is not None:
        split = pa.array([source.split] * len(batch), pa.string())
        batch = batch.set_column(schema.IMAGE.get_field_index("split"), schema.IMAGE.field("split"), split)
    for start in range(0, len(batch), context.batch_size):
        yield batch.slice(start, context.batch_size)


def _collected(header: Header, reading: Reading, source: Source, context: ReadContext) -> Dataset:
    """A data set whose classes are known once all of it has been read."""
    held = Spool(context.memory)
    local: list[tuple[int | str, ...]] = []
    at = 0
    for part in _parts(source, 0, reading, context):
        _tell(part, at, source, context)
        at += part.lines
        held.append(part.batch)
        local.append(part.classes)
    seen = {name for classes in local for name in classes}
    numbers = sorted(name for name in seen if isinstance(name, int))
    if len(numbers) == len(seen):
        categories = tuple(Category(str(number), number) for number in numbers)
    else:
        categories = tuple(Category(name) for name in sorted(map(str, seen)))
    index = {category.name: place for place, category in enumerate(categories)}

    def stream() -> Iterator[pa.RecordBatch]:
        for batch, classes in zip(held, local, strict=True):
            objects = schema.flat(batch)
            category = pa.array([index[str(name)] for name in classes], pa.int32()).take(objects.column("category"))
            yield from _cut(
                schema.with_objects(batch, replace(objects, rows=schema.with_columns(objects.rows, {"category": category}))),
                source,
                context,
            )

    return Dataset(replace(header, categories=categories), stream, held.rows)


def target(header: Header, options: Options) -> Target:
    """All fields, in the box format that the data has."""
    return Target(box=None, carries=EVERYTHING)


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write the header line and the image lines as the batches come."""
    names = {str(index): jsontext.strings(pa.array([category.name]))[0].as_py() for index, category in enumerate(header.categories)}
    first = {"type": '"dataset"', "task": '"detect"', "class_names": jsontext.compose(names) or "{}", **header_members(header)}
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
        file.write(pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(text)], pa.int32()), text), "\n")[0].as_buffer())
        file.write(b"\n")
        if odd := imagelines.non_finite(batch):
            message = "NaN and infinite numbers are written as null"
            context.findings.add("non-finite", message, severity="warning", where=context.shown, count=odd, hint="Parquet carries them")
