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
- Compressed with zstd, or as `compression` says; one row group for about `batch_size` images, no time stamps: the same
  data give the same bytes.
- Files that bboxconv wrote are read, and folders of them, with their columns in any order. Other Parquet files are
  refused.
"""

# What reads and what writes is imported where that is done: every format is loaded to know what a source is.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

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
from bboxconv.errors import DataError
from bboxconv.io import listing
from bboxconv.parts import regrouped
from bboxconv.readers.parquetfiles import MAGIC
from bboxconv.schema import Dataset, Header

if TYPE_CHECKING:
    from bboxconv.formats.parquet.writing import GroupEncoder, RowGroup, Rows

LAYOUT = Option("layout", "images", "one row for each image, or one for each box", ("images", "boxes"))
COMPRESSION = Option(
    "compression", "zstd", "zstd makes the smallest files, snappy is as old as Parquet", ("zstd", "snappy", "none")
)
INFO = FormatInfo(
    name="parquet",
    title="Parquet, one row an image or one row a box",
    spec="https://parquet.apache.org/docs/file-format/",
    layout="file",
    extensions=(".parquet", ".pq"),
    compressible=False,
    box="any",
    carries=EVERYTHING,
    write_options=(LAYOUT, COMPRESSION),
)

KEY = "bboxconv"
"""The key of the footer that has the header."""


def detect(path: Path, head: bytes) -> Match | None:
    """A Parquet file, or a folder with one, that has bboxconv's key in its footer."""
    files = _files(path)
    if not files or not (head.startswith(MAGIC) or path.is_dir()):
        return None
    import pyarrow.parquet as pq

    try:
        ours = KEY.encode() in (pq.read_metadata(files[0]).metadata or {})
    except (OSError, pa.ArrowException):
        return Match(0.5, f"{files[0].name} starts as Parquet")
    return Match(1.0, f"Parquet with the footer key {KEY}") if ours else Match(0.3, "Parquet of another tool")


def read(source: Source, context: ReadContext) -> Dataset:
    """Read a file, or the files of a folder in the order of their names.

    Raises DataError where one is no whole Parquet file, was not written by bboxconv, has another header than the first,
    or unpacks to more than `max_expansion` says.
    """
    from bboxconv.formats.parquet.reading import read_files

    files = _files(source.path)
    if not files:
        raise DataError.of("not-bboxconv-parquet", "the folder has no Parquet file", where=source.shown)
    return read_files(files, source, context)


def _files(path: Path) -> list[Path]:
    """The Parquet files of a source, a folder's in the order of their names."""
    if not path.is_dir():
        return [path]
    there = listing(path)
    return [path / name for name in sorted(name for suffix in INFO.extensions for name in there.ending(suffix))]


def target(header: Header, options: Options) -> Target:
    """All fields, in the box format that the data has."""
    return Target(box=None, carries=EVERYTHING, finite=False)


def encoder(header: Header, out: Path, context: WriteContext) -> GroupEncoder:
    """A row group for each batch."""
    from bboxconv.formats.parquet.writing import group_encoder

    layout, compression = (option(context.options, one) for one in (LAYOUT, COMPRESSION))
    return group_encoder(header, layout, context.batch_size, compression)


def assemble(header: Header, pieces: Iterable[RowGroup | Rows], out: Path, context: WriteContext) -> Written:
    """One file of all row groups."""
    from bboxconv.formats.parquet.writing import write_file

    write_file(header, option(context.options, LAYOUT), pieces, out, encoder(header, out, context))
    return Written()


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Encode and assemble in this process."""
    groups = regrouped(batches, context.batch_size)
    return assemble(header, encoded(encoder(header, out, context), groups, context.findings), out, context)
