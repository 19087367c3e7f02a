"""Parquet: columns for pandas, Polars, DuckDB and Spark; carries the whole model to the last bit.

Spec: https://parquet.apache.org/docs/file-format/. The footer's key `bboxconv` holds the header as JSON (see `headerjson`) and the layout; it is authoritative. The box format stands in the
metadata of the box columns too. Box convention: any.

- `layout=images`: one row for each image, the columns are schema.IMAGE.
- `layout=boxes`: one row for each box, image columns repeated, the numbers under the names of their format (x y w h, x1 y1 x2 y2, cx cy w h). An image without objects keeps one row in which
  `object` is false. `image` numbers the images from 0; their rows stand together. `category` is the class name, `category_index` its place in the header, `category_id` the source's id.
- JSON text is a plain string column with the metadata `content` = `json`: as Arrow's JSON extension type it is no text in Polars, whose versions before 1.36 refuse to read it.
- Compressed with zstd, a row group for each `batch_size` images, no time stamps: the same data give the same bytes.
- Reading takes files and folders of files that bboxconv wrote; columns may have been reordered. Other Parquet files are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bboxconv import headerjson, jsontext, schema
from bboxconv.codec import EVERYTHING, FormatInfo, Match, Option, Options, ReadContext, Source, Target, WriteContext, option
from bboxconv.errors import DataError
from bboxconv.schema import Dataset, Header

LAYOUT = Option("layout", "images", "one row for each image, or one for each box", ("images", "boxes"))
INFO = FormatInfo(
    name="parquet",
    title="Parquet, one row an image or one row a box",
    spec="https://parquet.apache.org/docs/file-format/",
    layout="file",
    extensions=(".parquet", ".pq"),
    box="any",
    carries=EVERYTHING,
    write_options=(LAYOUT,),
)

KEY = "bboxconv"
MAGIC = b"PAR1"
_ITEM = "objects.list.element."
_DICTIONARIES = ("split", "video", "width", "height", "category", "shape", "truncated", "occluded")
"""Columns of few values. A dictionary of the others would be built and thrown away."""
_TEXTS = schema.JSON_FIELDS | {"image_extra"}


def detect(path: Path, head: bytes) -> Match | None:
    """A Parquet file, or a folder of them, with bboxconv's key in the footer."""
    if not head.startswith(MAGIC) and not path.is_dir():
        return None
    files = _files(path)
    try:
        metadata = pq.read_metadata(files[0]).metadata if files else None
    except (OSError, pa.ArrowInvalid):
        return Match(0.5, "starts with PAR1")
    if metadata is None and not files:
        return None
    if KEY.encode() in (metadata or {}):
        return Match(1.0, f"Parquet with the footer key {KEY}")
    return Match(0.3, "Parquet")
