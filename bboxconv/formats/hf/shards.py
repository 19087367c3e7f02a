"""Parquet shards: `data/{split}-00000-of-0000N.parquet`, with the images in them where they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv.codec import WriteContext
from bboxconv.errors import Findings
from bboxconv.formats.hf.card import SplitSize
from bboxconv.formats.hf.features import IMAGE_TYPE
from bboxconv.imagefiles import ImageFiles
from bboxconv.parts import regrouped
from bboxconv.splits import SPLIT_NAMES

SHARD = 500 << 20
"""Bytes from which on a shard is followed by another one, as the hub has them."""
_IMAGES = 100
"""Images of a row group, where they are embedded: the hub shows so many at once."""
_BYTES = 16 << 20
"""Bytes of images that are in memory at a time; a larger one stands alone."""
_FEW = frozenset({"width", "height", "video", "category", "shape", "truncated", "occluded", "iscrowd", "difficult"})
"""Columns of few values, which a dictionary makes small."""
_TEXTS = frozenset({"bytes", "extra", "segmentation", "keypoints"})
"""Columns of which nobody asks the least and the greatest value."""


@dataclass(slots=True)
class _Shards:
    """The shards of a split, one of which is open."""

    folder: Path
    split: str
    kind: pa.Schema
    paths: list[Path] = field(default_factory=list)
    rows: int = 0
    file: BinaryIO | None = None
    writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Write a row group."""
        if self.writer is None or (self.file is not None and self.file.tell() >= SHARD):
            self._next()
        assert self.writer is not None
        self.writer.write_table(rows, row_group_size=max(1, len(rows)))
        self.rows += len(rows)

    def _next(self) -> None:
        self._end()
        self.paths.append(self.folder / f"{self.split}-{len(self.paths):05}")
        self.file = self.paths[-1].open("wb")
        self.writer = parquet_writer(self.file, self.kind)

    def _end(self) -> None:
        if self.writer is not None and self.file is not None:
            self.writer.close()
            self.file.close()

    def close(self) -> SplitSize:
        """Give the shards their names, now that it is known how many there are."""
        if self.writer is None:
            self._next()
        self._end()
        unpacked = packed = 0
        for number, path in enumerate(self.paths):
            footer = pq.read_metadata(path)
            unpacked += sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
            packed += path.stat().st_size
            path.rename(self.folder / f"{self.split}-{number:05}-of-{len(self.paths):05}.parquet")
        return SplitSize(self.split, self.rows, unpacked, packed)


def parquet_writer(file: BinaryIO, kind: pa.Schema) -> pq.ParquetWriter:
    """What writes such columns into a file: images are packed already."""
    leaves = _leaves(kind)
    return pq.ParquetWriter(
        file,
        kind,
        compression={path: "NONE" if path == "image.bytes" else "ZSTD" for path in leaves},
        use_dictionary=[path for path in leaves if _FEW & set(path.split("."))],
        write_statistics=[path for path in leaves if not _TEXTS & set(path.split("."))],
    )


def _leaves(kind: pa.Schema) -> list[str]:
    """The paths of the columns of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_metadata(kind, sink)
    leaves = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [leaves.column(number).path for number in range(len(leaves))]


def write_shards(
    batches: Iterable[pa.RecordBatch], kind: pa.Schema, out: Path, split: str, images: ImageFiles, context: WriteContext
) -> SplitSize:
    """Write the rows of a split; how much that is."""
    folder = out / "data"
    folder.mkdir(exist_ok=True)
    shards = _Shards(folder, split, kind)
    boxes = 0
    for batch in regrouped(batches, context.batch_size):
        rows = batch.select(kind.names)
        boxes += pc.sum(pc.list_value_length(rows.column("objects").field("bbox"))).as_py() or 0
        pieces = _embedded(rows, split, images, context.findings) if images.how == "embed" else [rows]
        for piece in pieces:
            shards.add(pa.Table.from_batches([piece]).replace_schema_metadata(kind.metadata))
    size = shards.close()
    return SplitSize(split, size.images, size.bytes, size.packed, boxes)


def _embedded(rows: pa.RecordBatch, split: str, images: ImageFiles, findings: Findings) -> Iterator[pa.RecordBatch]:
    """The rows with the bytes of their images, in pieces that memory can hold."""
    own = SPLIT_NAMES.get(split, split)
    names = rows.column("image").field("path")
    paths = [None if name is None else images.find(name, own, findings) for name in names.to_pylist()]
    edges, held = [0], 0
    for row, path in enumerate(paths):
        size = 0 if path is None else path.stat().st_size
        if row > edges[-1] and (held + size > _BYTES or row - edges[-1] >= _IMAGES):
            edges.append(row)
            held = 0
        held += size
    edges.append(len(paths))
    at = rows.schema.get_field_index("image")
    for start, stop in pairwise(edges):
        data = [None if path is None else _read(path) for path in paths[start:stop]]
        piece = rows.slice(start, stop - start)
        given = piece.column("image")
        image = pa.StructArray.from_arrays(
            [pa.array(data, pa.binary()), names.slice(start, stop - start)],
            fields=list(IMAGE_TYPE),
            mask=given.is_null() if given.null_count else None,
        )
        del data
        yield piece.set_column(at, rows.schema.field(at), image)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(os.fstat(file.fileno()).st_size)
