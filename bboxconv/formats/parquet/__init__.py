"""Parquet: columns for pandas, Polars, DuckDB and Spark; carries the whole model to the last bit.

Spec: https://parquet.apache.org/docs/file-format/. Box convention: any. The footer's key `bboxconv` holds the header
as JSON (see `headerjson`) and the layout; it is authoritative. The box format stands in the metadata of the box
columns too. Policies:

- `layout=images`: one row for each image, the columns are those of schema.IMAGE. An object without a bbox has four
  nulls in it.
- `layout=boxes`: one row for each box, with the columns of its image beside it; the numbers stand under the names of
  their format (x y w h, x1 y1 x2 y2, cx cy w h). An image without objects keeps one row, in which `object` is false.
  `image` numbers the images from 0, and the rows of one stand together. `category` is the class name,
  `category_index` its place in the header (which is what is read back), `category_id` the source's id.
- JSON text is a plain string column with the metadata `content` = `json`. As Arrow's JSON extension type it would be
  no text to Polars, whose older versions refuse the file.
- Compressed with zstd, one row group for about `batch_size` images, no time stamps: the same data give the same bytes.
- Files that bboxconv wrote are read, and folders of them, with their columns in any order. Other Parquet files are
  refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.boxrows import first_rows, image_rows, row_schema, shapes
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
    encoded,
    option,
)
from bboxconv.errors import DataError, Findings
from bboxconv.formats.parquet.footer import MAGIC
from bboxconv.formats.parquet.write import KEY, GroupEncoder, RowGroup, Rows, group_encoder, write_file
from bboxconv.io import listing
from bboxconv.jsonproof import check_json
from bboxconv.parts import of_parts, regrouped
from bboxconv.schema import Dataset, Header, Part

LAYOUT = Option("layout", "images", "one row for each image, or one for each box", ("images", "boxes"))
INFO = FormatInfo(
    name="parquet",
    title="Parquet, one row an image or one row a box",
    spec="https://parquet.apache.org/docs/file-format/",
    layout="file",
    extensions=(".parquet", ".pq"),
    compressible=False,
    box="any",
    carries=EVERYTHING,
    write_options=(LAYOUT,),
)

SMALL = 16 << 20
"""Bytes below which files are read in this process: others would take longer to start."""


def detect(path: Path, head: bytes) -> Match | None:
    """A Parquet file, or a folder with one, that has bboxconv's key in its footer."""
    files = _files(path)
    if not files or not (head.startswith(MAGIC) or path.is_dir()):
        return None
    try:
        ours = KEY.encode() in (pq.read_metadata(files[0]).metadata or {})
    except (OSError, pa.ArrowException):
        return Match(0.5, f"{files[0].name} starts as Parquet")
    return Match(1.0, f"Parquet with the footer key {KEY}") if ours else Match(0.3, "Parquet of another tool")


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a file, or the files of a folder in the order of their names.

    Raises DataError where one is no whole Parquet file, was not written by bboxconv, or has another header than the
    first.
    """
    files = _files(source.path)
    if not files:
        raise DataError.of("not-bboxconv-parquet", "the folder has no Parquet file", where=source.shown)
    headers = [_header(path, _shown(path, source)) for path in files]
    header, _, _ = headers[0]
    for path, (other, _, _) in zip(files, headers, strict=True):
        if (other.box, other.categories) != (header.box, header.categories):
            raise DataError.of(
                "header-differs",
                "files of one folder have different classes or box formats",
                where=_shown(path, source),
            )

    def parts() -> Iterator[Part]:
        for path, (_, layout, images) in zip(files, headers, strict=True):
            where = _shown(path, source)
            if layout != "images":
                yield _Rows(str(path), where, header, source.split, context.batch_size, 0 if images < 0 else images)
                continue
            with _readable(where):
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
        with _readable(self.where), pq.ParquetFile(self.path) as file:
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


def _files(path: Path) -> list[Path]:
    """The Parquet files of a source, a folder's in the order of their names."""
    if not path.is_dir():
        return [path]
    there = listing(path)
    return [path / name for name in sorted(chain(*map(there.ending, INFO.extensions)))]


def _shown(path: Path, source: Source) -> str:
    return source.shown if path == source.path else f"{source.shown.rstrip('/')}/{path.name}"


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """What goes wrong inside a file becomes a DataError."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:  # those of Arrow that are not its own are ValueErrors
        raise DataError.of(
            "bad-parquet", "the Parquet file cannot be read", where=where, detail=str(error).partition("\n")[0]
        ) from error


def _header(path: Path, where: str) -> tuple[Header, str, int]:
    """The header, the layout and the number of images (-1: not known) that a file's footer states."""
    with _readable(where):
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
    for batch in file.iter_batches(size, row_groups=[group], columns=schema.IMAGE.names):
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
    for side in ("width", "height"):
        least = pc.min(batch.column(side)).as_py()
        if least is not None and least < 1:
            raise ValueError(f"the {side} of an image is {least}")


def target(header: Header, options: Options) -> Target:
    """All fields, in the box format that the data has."""
    return Target(box=None, carries=EVERYTHING, finite=False)


def encoder(header: Header, out: Path, context: WriteContext) -> GroupEncoder:
    """A row group for each batch."""
    return group_encoder(header, option(context.options, LAYOUT), context.batch_size)


def assemble(header: Header, pieces: Iterable[RowGroup | Rows], out: Path, context: WriteContext) -> Written:
    """One file of all row groups."""
    write_file(header, option(context.options, LAYOUT), pieces, out, encoder(header, out, context))
    return Written()


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    groups = regrouped(batches, context.batch_size)
    return assemble(header, encoded(encoder(header, out, context), groups, context.findings), out, context)
