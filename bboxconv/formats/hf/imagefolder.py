"""Folders of images: `{split}/metadata.jsonl`, a line for each image, and the images where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import jsontext
from bboxconv.errors import Findings, printable
from bboxconv.formats.hf.card import SplitSize
from bboxconv.formats.hf.rows import NUMBER
from bboxconv.formats.hf.shards import parquet_writer
from bboxconv.imagefiles import ImageFiles
from bboxconv.schema import bbox_array, boxes_of
from bboxconv.splits import SPLIT_NAMES


def write_folder(
    batches: Iterable[pa.RecordBatch],
    names: Sequence[pa.Array],
    kind: pa.Schema | None,
    out: Path,
    split: str,
    images: ImageFiles,
    findings: Findings,
) -> SplitSize:
    """Write the metadata and the images of a split, of which `names` are all; how much that is. `kind`: the columns of
    metadata.parquet; None: it is metadata.jsonl."""
    folder = out / split
    folder.mkdir()
    counts = pc.value_counts(pa.chunked_array(names, pa.string()))
    twice = set(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist())
    seen: set[str] = set()
    boxes = written = 0
    own = SPLIT_NAMES.get(split, split)
    path = folder / ("metadata.jsonl" if kind is None else "metadata.parquet")
    with path.open("wb") as file, _writer(file, kind) as write:
        for given in batches:
            batch = _once(given, twice, seen, findings) if twice else given
            write(batch)
            written += len(batch)
            boxes += pc.sum(pc.list_value_length(batch.column("objects").field("bbox"))).as_py() or 0
            if images.how != "none":
                for name in batch.column("image").field("path").to_pylist():
                    images.place(name, own, f"{folder}/{name}", findings)
    size = path.stat().st_size
    return SplitSize(split, written, size, size, boxes)


def file_columns(kind: pa.Schema) -> pa.Schema:
    """The columns where the image is a file of its own."""
    return kind.set(kind.get_field_index("image"), pa.field("file_name", pa.string()))


@contextmanager
def _writer(file: BinaryIO, kind: pa.Schema | None) -> Iterator[Callable[[pa.RecordBatch], object]]:
    """What writes the rows of a batch."""
    if kind is None:
        yield lambda batch: file.write(_lines(batch))
        return
    with parquet_writer(file, kind) as writer:

        def write(batch: pa.RecordBatch) -> None:
            columns = [batch.column("image").field("path"), *(batch.column(name) for name in kind.names[1:])]
            writer.write_table(pa.Table.from_arrays(columns, schema=kind))

        yield write


def _once(batch: pa.RecordBatch, twice: set[str], seen: set[str], findings: Findings) -> pa.RecordBatch:
    """The images whose name was not `seen` before, of those names that there are several of; a fault for each
    other."""
    names = batch.column("image").field("path").to_pylist()
    counts = pc.list_value_length(batch.column("objects").field("bbox")).to_pylist()
    numbers = batch.column(NUMBER).to_pylist()
    keep = np.ones(len(batch), np.bool_)
    for row, name in enumerate(names):
        if name in seen:
            keep[row] = False
            where = f"{printable(name)} and {printable(name)}"
            message = "two images would write the same image file"
            findings.add(
                "file-clash",
                message,
                where=where,
                images=1,
                boxes=counts[row] or 0,
                late=True,
                numbers=(numbers[row],),
            )
        elif name in twice:
            seen.add(name)
    return batch.filter(pa.array(keep))


def _lines(batch: pa.RecordBatch) -> bytes | memoryview:
    """The line of each image."""
    if not len(batch):
        return b""
    image, objects = batch.column("image"), batch.column("objects")
    columns = {
        name: _text(batch.column(name)) for name in batch.schema.names if name not in ("image", "objects", NUMBER)
    }
    lists = {one.name: _listed(objects.field(one.name)) for one in objects.type}
    text = pc.if_else(objects.is_valid(), jsontext.objects(lists), pa.scalar(None, pa.string()))
    whole = jsontext.objects({"file_name": jsontext.strings(image.field("path")), **columns, "objects": text})
    return jsontext.joined(pc.binary_join_element_wise(whole, "\n", ""))


def _listed(lists: pa.ListArray) -> pa.StringArray:
    """A JSON array for each list."""
    values = lists.flatten()
    offsets = np.concatenate(([0], np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))))
    if pa.types.is_fixed_size_list(values.type):
        column = bbox_array(values.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4))
        numbers, valid = boxes_of(pa.StructArray.from_arrays([column], ["bbox"]))
        texts = jsontext.boxes([_text(pa.array(part)) for part in numbers.T], pa.array(valid))
    else:
        texts = _text(values).fill_null("null")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), texts), ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _text(column: pa.Array) -> pa.StringArray:
    if pa.types.is_boolean(column.type):
        return jsontext.booleans(column)
    if pa.types.is_string(column.type):
        return jsontext.strings(column)
    texts = jsontext.numbers(column)
    if pa.types.is_floating(column.type):  # 12 and 12.5 would be of two types, and a column must have one
        texts = pc.replace_substring_regex(texts, r"^(-?[0-9]+)$", r"\1.0")
    return texts
