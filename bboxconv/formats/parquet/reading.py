"""Parquet files as parts: a row group each, or a file of rows of boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.boxrows import first_rows, image_rows, row_schema, shapes
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Findings
from bboxconv.formats.parquet import KEY
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
        for path, (_, layout, images) in zip(files, headers, strict=True):
            where = _shown(path, source)
            if layout != "images":
                yield _Rows(str(path), where, header, source.split, context.batch_size, 0 if images < 0 else images)
                continue
            with readable(where):
                footer = pq.read_metadata(path)
            for group in range(footer.num_row_groups):
                rows = footer.row_group(group).num_rows
                yield _Group(str(path), where, header, source.split, context.batch_size, rows, group)

    if sum(path.stat().st_size for path in files) > SMALL:
        context.workers.begin()
    counts = [images for _, _, images in headers]
    return of_parts(header, parts, context.findings, sum(counts) if min(counts) >= 0 else None)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A file of `layout=boxes`, as a part: an image may go on in the next row group."""

    path: str
    where: str
    header: Header
    split: str | None
    size: int
    images: int

    def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
        """Its images. Raises DataError where they cannot be read."""
        with readable(self.where), pq.ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER) as file:
            for batch in self.read(file):
                _check(batch, self.header)
                yield from schema.pieces(schema.with_split(batch, self.split), self.size)

    def read(self, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """The images of an open file."""
        return _read_boxes(file, self.header)


@dataclass(frozen=True, slots=True)
class _Group(_Rows):
    """One row group of a file of `layout=images`, as a part."""

    number: int = 0

    def read(self, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """The images of an open file."""
        return _read_images(file, self.number, self.size)


def _shown(path: Path, source: Source) -> str:
    return source.shown if path == source.path else f"{source.shown.rstrip('/')}/{path.name}"


def _header(path: Path, where: str) -> tuple[Header, str, int]:
    """The header, the layout and the number of images (-1: not known) that a file's footer states."""
    with readable(where):
        footer = pq.read_metadata(path)
    document = (footer.metadata or {}).get(KEY.encode())
    if document is None:
        hint = "only Parquet files that bboxconv wrote are read"
        raise DataError.of("not-bboxconv-parquet", f"the Parquet footer has no key {KEY!r}", where=where, hint=hint)
    try:
        members = jsontext.members(document)
        layout = msgspec.json.decode(members.get("layout", '"images"'), type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError.of("bad-header", "header cannot be read", where=where, detail=str(error)) from error
    return headerjson.header_of(members, where), layout, footer.num_rows if layout == "images" else -1


def _read_images(file: pq.ParquetFile, group: int, size: int) -> Iterator[pa.RecordBatch]:
    names = schema.IMAGE.names
    if file.metadata.row_group(group).num_rows <= size:  # nothing of it is held by its reader once it is read
        batches = iter(file.read_row_group(group, columns=names, use_threads=False).to_batches())
    else:
        batches = file.iter_batches(size, row_groups=[group], columns=names)
    for batch in batches:
        typed = _typed(pa.Table.from_batches([batch]), schema.IMAGE).combine_chunks().to_batches()[0]
        objects = schema.flat(typed)
        columns = {"shape": shapes(objects.column("shape")), "bbox": _null_boxes(objects.rows)}
        yield schema.with_objects(typed, objects.with_columns(columns))


def _null_boxes(rows: pa.StructArray) -> pa.FixedSizeListArray:
    """The bbox column with null for four nulls; the inverse of `_four_nulls`."""
    boxes, valid = schema.boxes_of(rows)
    column = rows.field("bbox")
    given = column.values.slice(column.offset * 4, len(column) * 4).is_valid().to_numpy(zero_copy_only=False)
    return schema.bbox_array(boxes, valid & given.reshape(-1, 4).any(axis=1))


def _read_boxes(file: pq.ParquetFile, header: Header) -> Iterator[pa.RecordBatch]:
    """Row group by row group; the last image of a group may go on in the next one."""
    kind = row_schema(header)
    held = kind.empty_table()
    for group in range(file.num_row_groups):
        held = pa.concat_tables(
            [held, _typed(file.read_row_group(group, columns=kind.names), kind)]
        ).unify_dictionaries()
        starts = first_rows(held)
        if len(starts) > 1:
            yield image_rows(held.slice(0, int(starts[-1])), header)
            held = held.slice(int(starts[-1]))
    if len(held):
        yield image_rows(held, header)


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
    batch.validate(full=True)
    check_json(batch.column("extra"), "extra")
    for name in schema.JSON_FIELDS:
        check_json(schema.flat(batch).column(name), name)
    for name in ("width", "height"):
        least = pc.min(batch.column(name)).as_py()
        if least is not None and least < 1:
            raise ValueError(f"the {name} of an image is {least}")
    bounds = pc.min_max(schema.flat(batch).column("category")).as_py()
    if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(header.categories):
        where = f"{bounds['min']} to {bounds['max']}"
        raise ValueError(f"a category index is not one of the {len(header.categories)} of the header: {where}")
