"""A data set as parts: a row group of a Parquet file each, or a block of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Findings, Record, cut
from bboxconv.formats.hf.columns import Columns, find_columns, images_alone, lists_of
from bboxconv.formats.hf.features import class_names, features_of
from bboxconv.formats.hf.images import Headers, Meaning, batch_of, headers_of, is_class, plain
from bboxconv.formats.hf.tree import DataFile, Tree, find_files, require_files
from bboxconv.parts import of_parts
from bboxconv.readers import lines
from bboxconv.readers.parquetfiles import BUFFER, SMALL, readable
from bboxconv.readers.parquetpages import refuse_bomb
from bboxconv.schema import Category, Dataset, Header, Part

Classes: TypeAlias = tuple[int | str, ...]

_IMAGES = 32
"""Embedded images that are in memory at a time."""
_LINE = msgspec.json.Decoder(dict[str, object])


def read_tree(source: Source, context: ReadContext, box: BoxFormat | None) -> Dataset:
    """The data set of a folder or a file. Raises DataError where there is none."""
    tree = find_files(source.path, source.shown)
    require_files(tree, source.shown)
    groups = [part for file in tree.files for part in _parts(file, source, context)]
    if sum(file.path.stat().st_size for file in tree.files) > SMALL:
        context.workers.begin()
    names = _class_names(tree, groups, source)
    if names is None:
        names = context.classes or None
    categories = tuple(map(Category, names)) if names is not None else _collected(groups, context)
    known: dict[int | str, int] = {}
    for index, category in enumerate(categories):
        known.setdefault(category.name, index)
        known[index if category.id is None else category.id] = index
    pixels, box = box is None, box or BoxFormat("xywh")
    header = Header(box, categories, source="hf", switches={"box": box.name})

    def parts() -> Iterator[Part]:
        return (_Images(group, Meaning(known, group.split, pixels), context.batch_size) for group in groups)

    folders = dict.fromkeys((source.split or file.split, file.path.parent) for file in tree.files)
    counts = [group.images for group in groups]
    exact = all(isinstance(group, _Group) for group in groups)
    return of_parts(header, parts, context.findings, sum(counts) if exact else None, tuple(folders))


def _class_names(tree: Tree, groups: Iterable[_Group | _Lines], source: Source) -> tuple[str, ...] | None:
    """The names of classes that the features of the files state, or the card. Raises DataError where files differ."""
    found: dict[tuple[str, ...], str] = {}
    for group in groups:
        if isinstance(group, _Group) and group.names is not None:
            found.setdefault(group.names, group.where)
    if len(found) > 1:
        message = "files of one folder have different classes or box formats"
        raise DataError.of("header-differs", message, where=list(found.values())[1])
    if found:
        return next(iter(found))
    for path in (("objects", "category"), ("objects", "categories"), ("objects", "label"), ("objects", "labels")):
        names = class_names(tree.features, path)
        if names is not None:
            return names
    return None


def _collected(groups: list[_Group | _Lines], context: ReadContext) -> tuple[Category, ...]:
    """The classes of files that do not list them: numbers in their order, or names in code-point order."""
    seen = {name for some in context.workers.run(_seen, groups) for name in some}
    numbers = sorted(name for name in seen if isinstance(name, int))
    if len(numbers) == len(seen):
        return tuple(Category(str(number), number) for number in numbers)
    return tuple(Category(name) for name in sorted(set(map(str, seen))))


def _seen(group: _Group | _Lines) -> Classes:
    return group.classes()


def _parts(file: DataFile, source: Source, context: ReadContext) -> Iterator[_Group | _Lines]:
    """The parts of a file. Raises DataError where it is broken, or has no boxes."""
    shown = source.shown
    if file.path != source.path:
        shown = f"{shown.rstrip('/')}/{file.path.relative_to(source.path).as_posix()}"
    split = source.split or file.split
    if file.kind == "lines":
        before, most = 0, context.max_expansion
        for block in lines.blocks(file.path, max_expansion=most, shown=shown):
            data = block.read()
            count = data.count(b"\n") + (not data.endswith(b"\n"))
            yield _Lines(block, before, count, shown, split)
            before += count
        return
    with readable(shown):
        kind = pq.read_schema(file.path)
        footer = pq.read_metadata(file.path)
    found = find_columns(kind)
    if found is None:
        message = "the Parquet file has no column of boxes"
        hint = "looked for: `objects`, or another struct of lists or list of structs, with `bbox` and `category`"
        detail = f"columns {', '.join(kind.names[:12])}"
        raise DataError.of("no-boxes-column", message, where=shown, detail=detail, hint=hint)
    with readable(shown):
        refuse_bomb(file.path, kind.names, context.max_expansion, shown)
    names = class_names(features_of(kind), found.category_path)
    start = 0
    for number in range(footer.num_row_groups):
        rows = footer.row_group(number).num_rows
        yield _Group(str(file.path), shown, split, number, start, rows, found, names)
        start += rows


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group, in front of which `start` rows stand."""

    path: str
    where: str
    split: str | None
    number: int
    start: int
    images: int
    found: Columns
    names: tuple[str, ...] | None

    def classes(self) -> Classes:
        """The classes that occur."""
        if not self.found.category:
            return ()
        with readable(self.where), self._open() as file:
            leaves = [path for path in _leaves(file) if set(self.found.category_path) <= set(path.split("."))]
            boxes = [path for path in _leaves(file) if self.found.bbox in path.split(".")]
            seen: dict[int | str, None] = {}
            for rows in file.iter_batches(1 << 14, row_groups=[self.number], columns=leaves + boxes):
                seen |= dict.fromkeys(_classes(rows, self.found))
        return tuple(seen)

    def read(self, meaning: Meaning, size: int, findings: Findings) -> Iterator[pa.RecordBatch]:
        """The images, at most `size` at a time. Raises DataError where they cannot be read."""
        found = self.found
        with readable(self.where), self._open() as file:
            bytes_ = f"{found.bytes}.bytes"
            columns = [path for path in _leaves(file) if not found.bytes or path != bytes_]
            columns = [path for path in columns if self._wanted(file.schema_arrow, path.partition(".")[0])]
            first = self.start
            for rows in file.iter_batches(size, row_groups=[self.number], columns=columns):
                place = _Place(self.where, first)
                headers = None
                if found.bytes and _needs_images(rows, found):
                    headers = self._headers(first - self.start, len(rows), place, findings)
                batch = batch_of(rows, found, meaning, place, findings, headers)
                batch.validate(full=True)
                first += len(rows)
                yield batch

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER)

    def _wanted(self, kind: pa.Schema, name: str) -> bool:
        """Whether a column is read: other images, and lists beside the objects, are not."""
        found = self.found
        own = {found.objects, found.bytes} if found.objects else {found.bytes, found.bbox, found.category}
        of_objects = () if found.objects else found.object.values()
        return name in own or name in of_objects or not pa.types.is_nested(kind.field(name).type)

    def _headers(self, start: int, count: int, place: _Place, findings: Findings) -> Headers:
        """What the images of some rows of the group say of themselves."""
        held: list[bytes | None] = []
        kept: list[Headers] = []
        stem = Path(self.path).name.partition(".")[0]
        at = 0
        with self._open() as file:
            column = [f"{self.found.bytes}.bytes"]
            for rows in file.iter_batches(_IMAGES, row_groups=[self.number], columns=column):
                chosen = rows.column(0).slice(max(0, start - at), max(0, start + count - max(at, start)))
                before = max(at, start) - start
                at += len(rows)
                held = [value.as_py() for value in chosen.field("bytes")] if len(chosen) else []
                names = [f"{stem}-{self.start + start + before + n}" for n in range(len(held))]
                moved = _Place(place.file, place.first + before)
                if held:
                    kept.append(headers_of(held, names, moved, findings))
                if at >= start + count:
                    break
        return Headers(
            np.concatenate([one.widths for one in kept]),
            np.concatenate([one.heights for one in kept]),
            [ending for one in kept for ending in one.endings],
        )


def _needs_images(rows: pa.RecordBatch, found: Columns) -> bool:
    """Whether a size or a name has to be found in the images themselves."""
    sizes = [found.image.get(name) for name in ("width", "height")]
    if any(name is None or rows.column(name).null_count for name in sizes):
        return True
    return "file_name" not in found.image and bool(rows.column(found.bytes).field("path").null_count)


def _leaves(file: pq.ParquetFile) -> list[str]:
    return [file.schema.column(number).path for number in range(len(file.schema))]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row of a batch stands; `first` is the number of its first one."""

    file: str
    first: int

    def __call__(self, row: int) -> Record:
        return Record(self.file, pointer=f"row {self.first + row}")


@dataclass(frozen=True, slots=True)
class _Lines:
    """A block of lines, in front of which `before` lines stand."""

    block: lines.Block
    before: int
    images: int
    where: str
    split: str | None

    def classes(self) -> Classes:
        """The classes that occur."""
        seen: dict[int | str, None] = {}
        for rows, _ in self._rows(Findings()):
            found = find_columns(rows.schema)
            if found is not None and found.category:
                seen |= dict.fromkeys(_classes(rows, found))
        return tuple(seen)

    def read(self, meaning: Meaning, size: int, findings: Findings) -> Iterator[pa.RecordBatch]:
        """The images, at most `size` at a time."""
        for rows, numbers in self._rows(findings):
            found = find_columns(rows.schema) or images_alone(rows.schema)

            def place(row: int, numbers: list[int] = numbers) -> Record:
                return Record(self.where, numbers[row])

            yield from schema.pieces(batch_of(rows, found, meaning, place, findings, None), size)

    def _rows(self, findings: Findings) -> Iterator[tuple[pa.RecordBatch, list[int]]]:
        """The lines as columns, all at once or, where they are not of one type, each alone; with their numbers."""
        data = self.block.read().split(b"\n")
        found: list[dict[str, object]] = []
        numbers: list[int] = []
        for number, line in enumerate(data, self.before + 1):
            if not line or line.isspace():
                continue
            try:
                found.append(_LINE.decode(line))
                numbers.append(number)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                record = Record(self.where, number, "", cut(line))
                findings.add("bad-json", "line is not JSON", record=record, detail=str(error), images=1)
        if not found:
            return
        whole = _table(found)
        if whole is not None:
            yield whole, numbers
            return
        for row, number in zip(found, numbers, strict=True):
            alone = _table([row])
            if alone is not None:
                yield alone, [number]
                continue
            message = "a list of the line holds values of different kinds"
            findings.add("bad-value", message, record=Record(self.where, number), images=1)


def _table(rows: list[dict[str, object]]) -> pa.RecordBatch | None:
    """Rows as columns; None where the values of one are of different kinds."""
    try:
        return pa.RecordBatch.from_struct_array(pa.array(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError):
        return None


def _classes(rows: pa.RecordBatch, found: Columns) -> list[int | str]:
    """The classes of some rows, each once."""
    column = lists_of(rows, found).columns.get(found.category)
    if column is None or not is_class(column := plain(column)):  # who reads the images says so
        return []
    values = column.unique().drop_null().to_pylist()
    whole = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return [value for value in whole if type(value) in (int, str) and value != -1]


@dataclass(frozen=True, slots=True)
class _Images:
    """The images of a row group or a block, as a part."""

    group: _Group | _Lines
    meaning: Meaning
    size: int

    @property
    def images(self) -> int:
        """How many there are at most."""
        return self.group.images

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Batches of the size that the caller wants, in the split that the caller says."""
        return (batch for batch in self.group.read(self.meaning, self.size, findings) if len(batch))
