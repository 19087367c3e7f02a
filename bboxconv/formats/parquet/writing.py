"""Row groups, encoded where their batch was read, and the file of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.boxrows import box_rows, row_schema
from bboxconv.codec import Encoding
from bboxconv.formats.parquet import KEY
from bboxconv.formats.parquet.footer import cut, moved
from bboxconv.readers.parquetfiles import MAGIC
from bboxconv.schema import Header, coordinate_names
from bboxconv.shelf import Left, Shelf
from bboxconv.spool import Slip, leave

_JSON = schema.JSON_FIELDS | {"image_extra"}
_FEW = frozenset(
    {"split", "video", "width", "height", "category", "category_index", "category_id", "shape", "truncated", "occluded"}
)
"""Columns of few values, which a dictionary makes small; the dictionary of another would be built and thrown away."""
_REPEATED = frozenset({"file_name", "image_id", "image_extra"})
"""Columns of images that `layout=boxes` repeats for each box."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group, encoded: the bytes of its columns, and its footer as if they began behind the magic."""

    columns: Left
    footer: bytes
    images: int
    first: int
    """The number of the first image, as far as the encoder knew."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of too few images for a row group of their own."""

    images: int
    slip: Slip
    first: int
    """As in `RowGroup`."""


@dataclass(frozen=True, slots=True)
class GroupEncoder:
    """Makes a row group of each batch of about `size` images. `few` and `plain` are the paths of columns that get a
    dictionary and statistics."""

    header: Header
    images: bool
    size: int
    few: tuple[str, ...]
    plain: tuple[str, ...]
    compression: str

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> RowGroup | Rows:
        """A row group, or where it would be less than half as large as others, its rows."""
        rows = _four_nulls(batch) if self.images else box_rows(batch, self.header, encoding.first, texts_once=True)
        if 2 * len(batch) < self.size:
            return Rows(len(batch), leave([rows], encoding.shelf)[0], encoding.first)
        return self.encoded(pa.Table.from_batches([rows]), len(batch), encoding.first, encoding.shelf)

    def encoded(self, rows: pa.Table, images: int, first: int, shelf: Shelf) -> RowGroup:
        """Rows as a row group."""
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink,
            rows.schema,
            compression=self.compression,
            compression_level=1 if self.compression == "zstd" else None,
            use_dictionary=list(self.few),
            write_statistics=list(self.plain),
            store_schema=False,
        ) as writer:
            writer.write_table(rows, row_group_size=len(rows))
        columns, footer = cut(memoryview(sink.getvalue()))
        return RowGroup(shelf.leave([columns])[0], footer, images, first)

    def renumbered(self, rows: pa.Table, by: int) -> pa.Table:
        """Rows of images whose number is another: some before them were left out."""
        at = rows.schema.get_field_index("image")
        return rows.set_column(at, "image", pc.add(rows.column(at), by)) if by and not self.images else rows

    def at(self, piece: RowGroup, first: int) -> RowGroup:
        """A row group whose first image has that number."""
        if self.images or piece.first == first:
            return piece
        rows = self.renumbered(pq.read_table(pa.BufferReader(as_file(piece))), first - piece.first)
        return self.encoded(rows, piece.images, first, Shelf())


def as_file(group: RowGroup) -> bytes:
    """A row group as a file."""
    return b"".join([MAGIC, group.columns.read(), group.footer, len(group.footer).to_bytes(4, "little"), MAGIC])


def group_encoder(header: Header, layout: str, size: int, compression: str) -> GroupEncoder:
    """A row group for each batch."""
    leaves = _metadata(_kind(header, layout)).schema
    paths = [leaves.column(index).path for index in range(len(leaves))]
    few = _FEW if layout == "images" else _FEW | _REPEATED
    return GroupEncoder(
        header,
        layout == "images",
        size,
        tuple(path for path in paths if _name(path) in few),
        tuple(path for path in paths if _name(path) not in _JSON),
        compression,
    )


def write_file(header: Header, layout: str, pieces: Iterable[RowGroup | Rows], out: Path, encode: GroupEncoder) -> None:
    """One file of all row groups."""
    document = jsontext.compose({**headerjson.header_members(header), "layout": f'"{layout}"'})
    whole = _metadata(_kind(header, layout).with_metadata({KEY: document}))
    with out.open("wb") as file:
        file.write(MAGIC)
        for group in _groups(pieces, encode):
            whole.append_row_groups(moved(group.footer, file.tell() - len(MAGIC)))
            group.columns.copy_to(file)
        footer = pa.BufferOutputStream()
        whole.write_metadata_file(footer)
        file.write(memoryview(footer.getvalue())[len(MAGIC) :])


def _groups(pieces: Iterable[RowGroup | Rows], encode: GroupEncoder) -> Iterator[RowGroup]:
    """The row groups in order; rows of few images are joined to groups. Images are numbered on."""
    held: list[pa.Table] = []
    number = images = 0

    def joined() -> RowGroup:
        rows = pa.concat_tables(held).combine_chunks()
        held.clear()
        return encode.encoded(rows, images, number - images, Shelf())

    for piece in pieces:
        if held and (isinstance(piece, RowGroup) or images + piece.images > encode.size):
            yield joined()
            images = 0
        if isinstance(piece, RowGroup):
            yield encode.at(piece, number)
        elif piece.images:
            rows = pa.Table.from_batches([piece.slip.load()])
            held.append(encode.renumbered(rows, number - piece.first))
            images += piece.images
        number += piece.images
    if held:
        yield joined()


def _four_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The images with four nulls for a null bbox: Arrow up to 21 reads no null lists of fixed size from Parquet."""
    objects = schema.flat(batch)
    if not objects.column("bbox").null_count:
        return batch
    boxes, valid = schema.boxes_of(objects.rows)
    column = pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel(), mask=~valid.repeat(4)), type=schema.BBOX)
    return schema.with_objects(batch, objects.with_columns({"bbox": column}))


def _kind(header: Header, layout: str) -> pa.Schema:
    """The columns of a file."""
    return _labelled(schema.IMAGE if layout == "images" else row_schema(header), header)


def _metadata(kind: pa.Schema) -> pq.FileMetaData:
    """The footer of a file without rows."""
    sink = pa.BufferOutputStream()
    pq.write_metadata(kind, sink)
    return pq.read_metadata(pa.BufferReader(sink.getvalue()))


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


def _name(path: str) -> str:
    """The name of the field of a Parquet path: `bbox` of `objects.list.element.bbox.list.element`."""
    return path.removeprefix("objects.list.element.").partition(".")[0]
