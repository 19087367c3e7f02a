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
- Compressed with zstd, one row group for each `batch_size` images, no time stamps: the same data give the same bytes.
- Files that bboxconv wrote are read, and folders of them, with their columns in any order. Other Parquet files are
  refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.boxrows import box_rows, first_rows, image_rows, row_schema, shapes
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
from bboxconv.errors import DataError
from bboxconv.schema import Dataset, Header, coordinate_names

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

KEY = "bboxconv"
MAGIC = b"PAR1"
_JSON = schema.JSON_FIELDS | {"image_extra"}
_FEW = frozenset(
    {"split", "video", "width", "height", "category", "category_index", "category_id", "shape", "truncated", "occluded"}
)
"""Columns of few values, which a dictionary makes small; the dictionary of another would be built and thrown away."""
_REPEATED = frozenset({"file_name", "image_id", "image_extra"})
"""Columns of images that `layout=boxes` repeats for each box."""
_LARGE = 1 << 30  # bytes of a row group from which on its batches stay apart: an Arrow column of text ends at 2 GiB


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

    def stream() -> Iterator[pa.RecordBatch]:
        for path, (_, layout, _) in zip(files, headers, strict=True):
            where = _shown(path, source)
            with _readable(where), pq.ParquetFile(path) as file:
                batches = _read_images(file, context) if layout == "images" else _read_boxes(file, header)
                for batch in batches:
                    _check(batch, header)
                    context.progress("reading", len(batch), None, "images")
                    yield from schema.pieces(schema.with_split(batch, source.split), context.batch_size)

    counts = [images for _, _, images in headers]
    return Dataset(header, stream, sum(counts) if min(counts) >= 0 else None)


def _files(path: Path) -> list[Path]:
    """The Parquet files of a source, a folder's in the order of their names."""
    return (
        sorted(p for p in path.iterdir() if p.suffix.lower() in INFO.extensions and p.is_file())
        if path.is_dir()
        else [path]
    )


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


def _read_images(file: pq.ParquetFile, context: ReadContext) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):  # Arrow reads no nested dictionary across the end of a row group
        for batch in file.iter_batches(context.batch_size, row_groups=[group], columns=schema.IMAGE.names):
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


def _four_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The images with four nulls for a null bbox: Arrow up to 21 reads no null lists of fixed size from Parquet."""
    objects = schema.flat(batch)
    if not objects.column("bbox").null_count:
        return batch
    boxes, valid = schema.boxes_of(objects.rows)
    column = pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel(), mask=~valid.repeat(4)), type=schema.BBOX)
    return schema.with_objects(batch, objects.with_columns({"bbox": column}))


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
    """Raises ValueError for what no good file holds: text that is not UTF-8, a class that the header does not
    have.
    """
    batch.validate(full=True)
    bounds = pc.min_max(schema.flat(batch).column("category")).as_py()
    if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(header.categories):
        where = f"{bounds['min']} to {bounds['max']}"
        raise ValueError(f"a category index is not one of the {len(header.categories)} of the header: {where}")


def target(header: Header, options: Options) -> Target:
    """All fields, in the box format that the data has."""
    return Target(box=None, carries=EVERYTHING, finite=False)


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write row group by row group."""
    layout = option(context.options, LAYOUT)
    document = jsontext.compose({**headerjson.header_members(header), "layout": f'"{layout}"'})
    kind = _labelled(schema.IMAGE if layout == "images" else row_schema(header), header).with_metadata({KEY: document})
    writer = pq.ParquetWriter(
        out,
        kind,
        compression="zstd",
        compression_level=1,
        use_dictionary=[
            path for path in _leaves(kind) if _name(path) in (_FEW if layout == "images" else _FEW | _REPEATED)
        ],
        write_statistics=[path for path in _leaves(kind) if _name(path) not in _JSON],
    )
    with writer:
        first = 0
        for group in _groups(batches, context.batch_size):
            parts = []
            for batch in group:
                parts.append(_four_nulls(batch) if layout == "images" else box_rows(batch, header, first))
                first += len(batch)
            table = pa.Table.from_batches(parts)
            writer.write_table(table, row_group_size=len(table))
    return Written()


def _groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[list[pa.RecordBatch]]:
    """The images in groups of `size`, whatever batches they come in; one batch each, so that the bytes that are
    written do not depend on those."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        start = 0
        while start < len(batch):
            held.append(batch.slice(start, size - sum(map(len, held))))
            start += len(held[-1])
            if sum(map(len, held)) == size:
                yield _joined(held)
                held = []
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if sum(batch.nbytes for batch in batches) > _LARGE:
        return batches
    whole: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole


def _labelled(kind: pa.Schema, header: Header) -> pa.Schema:
    """A schema whose box columns say their format and whose JSON columns say that they are."""
    box = {"box": header.box.name}
    marks: Mapping[str, Mapping[str, str]] = {
        "bbox": box,
        **dict.fromkeys(coordinate_names(header.box), box),
        **{name: {"content": "json"} for name in _JSON},
    }

    def mark(field: pa.Field) -> pa.Field:
        if field.name == "objects":
            item = field.type.value_field
            field = field.with_type(pa.list_(item.with_type(pa.struct([mark(inner) for inner in item.type]))))
        return field.with_metadata(marks[field.name]) if field.name in marks else field

    return pa.schema([mark(field) for field in kind])


def _leaves(kind: pa.Schema) -> list[str]:
    """The Parquet paths of the columns."""
    sink = pa.BufferOutputStream()
    pq.write_metadata(kind, sink)
    leaves = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [leaves.column(index).path for index in range(len(leaves))]


def _name(path: str) -> str:
    """The name of the field of a Parquet path: `bbox` of `objects.list.element.bbox.list.element`."""
    return path.removeprefix("objects.list.element.").partition(".")[0]
