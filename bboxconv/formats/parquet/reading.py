"""Parquet files as parts, a row group each. Of rows of boxes a part has the images that begin in its row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.boxrows import OUT_OF_ORDER, first_rows, image_rows, row_schema, shapes, wanted_rows
from bboxconv.codec import EVERYTHING, ReadContext, Source
from bboxconv.errors import DataError, Findings
from bboxconv.formats.parquet import KEY
from bboxconv.formats.parquet.footer import TAIL
from bboxconv.jsonproof import check_json
from bboxconv.parts import of_parts
from bboxconv.readers.parquetfiles import BUFFER, SMALL, readable
from bboxconv.readers.parquetpages import refuse_bomb
from bboxconv.schema import Dataset, Header, Part


def read_files(files: Sequence[Path], source: Source, context: ReadContext) -> Dataset:
    """Read the files of a source, which are one data set.

    Raises DataError where one is no whole Parquet file, was not written by bboxconv, has another header than the first,
    or unpacks to more than `max_expansion` says.
    """
    headers = [_header(path, _shown(path, source)) for path in files]
    header, _, _ = headers[0]
    for path, (other, _, _) in zip(files, headers, strict=True):
        if (other.box, other.categories) != (header.box, header.categories):
            raise DataError.of(
                "header-differs",
                "files of one folder have different classes or box formats",
                where=_shown(path, source),
            )
    for path, (other, layout, _) in zip(files, headers, strict=True):
        names, where = (schema.IMAGE if layout == "images" else row_schema(other)).names, _shown(path, source)
        with readable(where):
            refuse_bomb(path, names, context.max_expansion, where)

    def parts() -> Iterator[Part]:
        for path, (_, layout, _) in zip(files, headers, strict=True):
            where = _shown(path, source)
            # What is read whole is read at once.
            mark = "" if context.wanted == EVERYTHING else _footer(str(path), *_stamp(path, where))[1]
            same = (str(path.absolute()), where, header, source.split, context.batch_size, context.wanted, mark)
            if layout != "images":
                yield from (_Rows(*same, *own) for own in _runs(path, where))
                continue
            with readable(where):
                footer = pq.read_metadata(path)
            for group in range(footer.num_row_groups):
                yield _Group(*same, footer.row_group(group).num_rows, (group, group))

    if sum(path.stat().st_size for path in files) > SMALL:
        context.workers.begin()
    counts = [images for _, _, images in headers]
    return of_parts(header, parts, context.findings, sum(counts) if min(counts) >= 0 else None, at_will=True)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The images that begin in a row group of a file of `layout=boxes`, as a part: the last may go on in the next
    ones."""

    path: str
    where: str
    header: Header
    split: str | None
    size: int
    wanted: frozenset[str]
    mark: str
    """That of the footer, by which a file that was replaced in the meantime is known; empty where that is not asked."""
    images: int
    groups: tuple[int, int]
    """The first and the last row group that has rows of them."""
    numbers: tuple[int, int] = (0, 0)
    """The numbers of the first and the last of them."""

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Its images. Raises DataError where they cannot be read."""
        with readable(self.where), self._opened() as file:
            for batch in self.read(file):
                _check(batch, self.header)
                yield from schema.pieces(schema.with_split(batch, self.split), self.size)

    def _opened(self) -> pq.ParquetFile:
        """The file, to read some of it. Of few columns that is done again and again: what is mapped is not copied, and
        the footer, which of a large file takes longer than a part, is not read anew.

        Raises DataError where the file is another one by now.
        """
        if self.wanted == EVERYTHING:
            return pq.ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER)
        return pq.ParquetFile(self.path, metadata=self.unchanged(), pre_buffer=False, memory_map=True)

    def unchanged(self) -> pq.FileMetaData:
        """The footer of the file. Raises DataError where the file is another one by now."""
        footer, mark = _footer(self.path, *_stamp(Path(self.path), self.where))
        if mark != self.mark:
            hint = "open the file anew after it was written"
            raise DataError.of(
                "source-changed", "the file has changed since it was opened", where=self.where, hint=hint
            )
        return footer

    def read(self, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """The images of an open file."""
        kind = wanted_rows(self.header, self.wanted)
        pieces = []
        for group in range(self.groups[0], self.groups[1] + 1):
            rows = _typed(file.read_row_group(group, columns=kind.names, use_threads=False), kind)
            number = rows.column("image").to_numpy()
            start = np.searchsorted(number, self.numbers[0])
            pieces.append(rows.slice(start, np.searchsorted(number, self.numbers[1], side="right") - start))
        yield image_rows(pa.concat_tables(pieces).unify_dictionaries(), self.header)


@dataclass(frozen=True, slots=True)
class _Group(_Rows):
    """One row group of a file of `layout=images`, as a part."""

    def read(self, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """The images of an open file."""
        return _read_images(file, self.groups[0], self.size, self.wanted)


def _stamp(path: Path, where: str) -> tuple[int, int]:
    """When a file was changed last, and its size."""
    with readable(where):
        status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _footer(path: str, changed: int, size: int) -> tuple[pq.FileMetaData, str]:
    """The footer of a file as it was when it was changed last, and a text by which it is told from others."""
    with Path(path).open("rb") as file:
        file.seek(max(size - TAIL, 0))
        file.seek(max(size - TAIL - int.from_bytes(file.read(4), "little"), 0))
        mark = sha256(file.read()).hexdigest()[:16]
    return pq.read_metadata(path), mark


def _runs(path: Path, where: str) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Of each row group of a file of `layout=boxes` in which images begin: how many, the row groups, and the numbers,
    as `_Rows` has them."""
    kind = pa.schema([pa.field("image", pa.int64())])
    firsts: list[int] = []
    lasts: list[int] = []
    counts: list[int] = []
    groups: list[tuple[int, int]] = []
    with readable(where), pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
        for group in range(file.num_row_groups):
            rows = _typed(file.read_row_group(group, columns=kind.names, use_threads=False), kind)
            starts = first_rows(rows)
            if len(starts):
                numbers = rows.column("image").to_numpy()[starts].tolist()
                if lasts and numbers[0] < lasts[-1]:
                    raise ValueError(OUT_OF_ORDER)
                if lasts and numbers[0] == lasts[-1]:  # it began before
                    groups[-1] = (groups[-1][0], group)
                    del numbers[0]
                if numbers:
                    groups.append((group, group))
                    firsts.append(numbers[0])
                    counts.append(len(numbers))
                    lasts.append(numbers[-1])
    return list(zip(counts, groups, zip(firsts, lasts, strict=True), strict=True))


def _shown(path: Path, source: Source) -> str:
    return source.shown if path == source.path else f"{source.shown.rstrip('/')}/{path.name}"


def _header(path: Path, where: str) -> tuple[Header, str, int]:
    """The header, the layout and the number of images (-1: not known) that a file's footer states."""
    with readable(where):
        footer = pq.read_metadata(path)
    document = (footer.metadata or {}).get(KEY.encode())
    if document is None:
        hint = (
            "of other programs' Parquet, data sets of Hugging Face are read (--from hf), and tables with a row for "
            "each box in Python: bboxconv.from_pandas(pandas.read_parquet(FILE)), which bboxconv.write takes"
        )
        raise DataError.of("not-bboxconv-parquet", f"the Parquet footer has no key {KEY!r}", where=where, hint=hint)
    try:
        members = jsontext.members(document)
        layout = msgspec.json.decode(members.get("layout", '"images"'), type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError.of("bad-header", "header cannot be read", where=where, detail=str(error)) from error
    return headerjson.header_of(members, where), layout, footer.num_rows if layout == "images" else -1


def _read_images(file: pq.ParquetFile, group: int, size: int, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
    if wanted == EVERYTHING:
        kind, names = schema.IMAGE, schema.IMAGE.names
    else:
        kind = _wanted_images(wanted - _without_values(file, group))
        names = _leaves(file, group, kind)
    if file.metadata.row_group(group).num_rows <= size:  # nothing of it is held by its reader once it is read
        batches = iter(file.read_row_group(group, columns=names, use_threads=False).to_batches())
    else:
        batches = file.iter_batches(size, row_groups=[group], columns=names)
    for batch in batches:
        typed = _typed(pa.Table.from_batches([batch]), kind).combine_chunks().to_batches()[0]
        objects = schema.flat(typed)
        columns = {field.name: objects.column(field.name) for field in objects.rows.type}
        if "shape" in columns:
            columns["shape"] = shapes(columns["shape"])
        if "bbox" in columns:
            columns["bbox"] = _null_boxes(objects.rows)
        images = {name: typed.column(name) for name in kind.names if name != "objects"}
        rows = schema.object_rows(columns, len(objects.rows))
        yield schema.image_batch(images, objects.offsets, rows, objects.annotated)


def _without_values(file: pq.ParquetFile, group: int) -> frozenset[str]:
    """The fields of which a row group has no value, as its statistics say: unpacking their nulls takes as long as
    numbers do."""
    columns = file.metadata.row_group(group)
    found = set()
    for column in map(columns.column, range(columns.num_columns)):
        statistics = column.statistics
        if statistics is not None and statistics.has_null_count and statistics.null_count == column.num_values:
            path = column.path_in_schema.split(".")
            found.add(f"image.{path[0]}" if len(path) == 1 else f"object.{path[min(3, len(path) - 1)]}")
    return frozenset(found)


def _wanted_images(wanted: frozenset[str]) -> pa.Schema:
    """The columns of `schema.IMAGE` that hold these fields, and of the objects at least one: lists are there with
    what is in them alone."""
    inner = [field for field in schema.OBJECT if f"object.{field.name}" in wanted] or [schema.OBJECT.field("ignore")]
    objects = schema.IMAGE.field("objects")
    item = objects.type.value_field.with_type(pa.struct(inner))
    images = [field for field in schema.IMAGE if f"image.{field.name}" in wanted]
    return pa.schema([*images, objects.with_type(pa.list_(item))])


def _leaves(file: pq.ParquetFile, group: int, kind: pa.Schema) -> list[str]:
    """The columns of a file that hold these, as pyarrow asks for them: `objects.list.element.bbox` for a field of the
    objects, or all of `objects` where the file nests them otherwise."""
    inner = {field.name for field in kind.field("objects").type.value_type}
    columns = file.metadata.row_group(group)  # `file.schema` has the paths too, and its memory is never freed
    paths = [columns.column(index).path_in_schema.split(".") for index in range(columns.num_columns)]
    within = {path[3]: ".".join(path[:4]) for path in paths if path[0] == "objects" and len(path) > 3}
    chosen = [path for name, path in within.items() if name in inner] if inner <= within.keys() else ["objects"]
    return [*(name for name in kind.names if name != "objects"), *chosen]


def _null_boxes(rows: pa.StructArray) -> pa.FixedSizeListArray:
    """The bbox column with null for four nulls; the inverse of `_four_nulls`."""
    column = rows.field("bbox")
    numbers = column.values.slice(column.offset * 4, len(column) * 4)
    if not numbers.null_count:
        return column
    boxes, valid = schema.boxes_of(rows)
    given = numbers.is_valid().to_numpy(zero_copy_only=False)
    return schema.bbox_array(boxes, valid & given.reshape(-1, 4).any(axis=1))


def _typed(table: pa.Table, kind: pa.Schema) -> pa.Table:
    """The columns of a table as the schema has them, whatever order and widths another tool gave them. Raises
    ValueError where one is missing or of another type."""
    missing = [name for name in kind.names if name not in table.column_names]
    if missing:
        raise ValueError(f"column {missing[0]!r} is missing")
    try:
        chosen = table.select(kind.names)
        return chosen if chosen.schema.equals(kind) else chosen.cast(kind)  # equal but for metadata
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"columns are not those that bboxconv writes: {error}") from error


def _check(batch: pa.RecordBatch, header: Header) -> None:
    """Raises ValueError for what no good file holds: text that is not UTF-8, JSON text that is none, a class that the
    header does not have, an image without pixels.
    """
    batch.validate()
    objects, known = schema.flat(batch), len(header.categories)
    for texts in (*batch.columns, *objects.rows.flatten()):
        if pa.types.is_string(texts.type) and texts.null_count < len(texts):
            texts.validate(full=True)
    check_json(batch.column("extra"), "extra")
    for name in schema.JSON_FIELDS:
        check_json(objects.column(name), name)
    for name in ("width", "height"):
        least = pc.min(batch.column(name)).as_py()
        if least is not None and least < 1:
            raise ValueError(f"the {name} of an image is {least}")
    column = objects.column("category")
    least, most = pc.min_max(column).as_py().values()
    if least is None or (least >= 0 and most < known):
        return
    bad = pc.or_(pc.less(column, 0), pc.greater_equal(column, known)).fill_null(False)
    row = pc.index(bad, True).as_py()
    image = batch.column("file_name")[int(np.searchsorted(objects.offsets, row, side="right")) - 1].as_py()
    which = f"a category index is not one of the {known} of the header: {column[row].as_py()}"
    raise ValueError(f"{which}, of a box of image {image}")
