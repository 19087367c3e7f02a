"""Parquet files from a few texts: a fuzzer that changed the bytes of a whole file would seldom get behind its footer
and never behind the compression of its pages.
"""

from __future__ import annotations

import io
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bboxconv import schema

MAGIC = b"PAR1"
HEADER = b'{"bboxconv":1,"box":"xywh","categories":[{"name":"cat"}],"layout":"images"}'
TEXTS = ("segmentation", "keypoints", "extra", "file_name", "split", "video", "image extra", "numbers")


def as_parquet(data: bytes) -> bytes:
    """A file of one image and one box whose columns hold the lines of `data`, unchanged and unproved: the header in
    the footer, then those of TEXTS. An empty line is null; `numbers` is Arrow's JSON for the others.
    """
    header, *lines = data.split(b"\n")
    texts = {name: line or None for name, line in zip_longest(TEXTS, lines[: len(TEXTS)], fillvalue=None) if name}
    bytes_of = np.frombuffer((texts["numbers"] or b"").ljust(64, b"\0")[:64], np.float64)
    whole = bytes_of.view(np.int64)
    rows = schema.object_rows(
        {
            **{name: _text(texts[name]) for name in ("segmentation", "keypoints", "extra")},
            "bbox": schema.bbox_array(bytes_of[:4].reshape(1, 4)),
            "score": pa.array(bytes_of[4:5]),
            "area": pa.array(bytes_of[5:6]),
            "id": pa.array(whole[6:7]),
            "category": pa.array((whole[7:8] & 3).astype(np.int32) - 1),
        },
        1,
    )
    images = {name: _text(texts[name]) for name in ("file_name", "split", "video")}
    size = {"width": pa.array(whole[5:6].astype(np.int32)), "height": pa.array(whole[6:7].astype(np.int32))}
    batch = schema.image_batch({**images, **size, "extra": _text(texts["image extra"])}, np.array([0, 1]), rows)
    sink = io.BytesIO()
    table = pa.Table.from_batches([batch]).replace_schema_metadata({b"bboxconv": header or HEADER})
    pq.write_table(table, sink, compression="none", use_dictionary=False, store_schema=False)
    return sink.getvalue()


def _text(line: bytes | None) -> pa.StringArray:
    """A column of one text, whatever bytes it is of."""
    return pa.StringArray.from_buffers(
        1,
        pa.py_buffer(np.array([0, len(line or b"")], np.int32)),
        pa.py_buffer(line or b""),
        pa.py_buffer(b"\1" if line else b"\0"),
    )
