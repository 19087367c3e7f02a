"""RetinaNet's csv: a row `path,x1,y1,x2,y2,class` for each box, `path,,,,,` for an image without boxes; no header.

Specification: https://github.com/fizyr/keras-retinanet#csv-datasets. Boxes are corners in pixels (xyxy), taken as
written.

- Rows of one image need not stand together; images come in the order in which they are first named.
- Classes are the names found, in code-point order; `--classes FILE` pins another.
- A row that cannot be read is left out and reported with its line.

Cannot carry anything but the file name, the class and the box.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from bboxconv.boxes import BoxFormat
from bboxconv.codec import (
    CROWD_KEEP,
    ROTATED,
    FormatInfo,
    Match,
    Options,
    ReadContext,
    Source,
    Target,
    WriteContext,
    Written,
    crowd_of,
    rotated_of,
)
from bboxconv.errors import DataError
from bboxconv.io import head, open_input, open_output
from bboxconv.jsontext import joined, numbers
from bboxconv.schema import Category, Dataset, Header, bbox_array, boxes_of, flat, image_batch, object_rows

XYXY = BoxFormat("xyxy")
SIDES = ("x1", "y1", "x2", "y2")
COLUMNS = ("path", *SIDES, "class")
INFO = FormatInfo(
    name="retinacsv",
    title="RetinaNet csv",
    spec="https://github.com/fizyr/keras-retinanet#csv-datasets",
    layout="file",
    extensions=(".csv",),
    box="xyxy",
    carries=frozenset({"image.file_name", "object.category", "object.bbox"}),
    write_options=(CROWD_KEEP, ROTATED),
)
ROW = re.compile(rb'("[^"\n]+"|[^,"\n]+),(,,,,|(-?[0-9.]+(e[-+]?[0-9]+)?,){4}[^,\n]+)\r?\n')
PLAIN = r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*"


def detect(path: Path, head: bytes) -> Match | None:
    """A first line of six columns, four of them numbers or empty."""
    return Match(0.8, "a first line path,x1,y1,x2,y2,class") if ROW.match(head) else None


def read(source: Source, context: ReadContext) -> Dataset:
    """Read the whole table: the classes are known at its end."""
    table, lines = _table(source, context)
    corners, name = [table[side] for side in SIDES], table["class"]
    # Of a row with a box, all four are numbers; of one without, all are empty.
    boxed = pc.match_substring_regex(
        pc.binary_join_element_wise(*corners, "|"), rf"^({PLAIN}\|){{3}}{PLAIN}$"
    ).fill_null(False)
    boxed = pc.and_(boxed, name.is_valid()).to_numpy()
    empty = np.logical_and.reduce([column.is_null().to_numpy() for column in (*corners, name)])
    sound = (boxed | empty) & table["path"].is_valid().to_numpy()
    for row in np.flatnonzero(~sound).tolist():
        text = ",".join(table[column][row].as_py() or "" for column in COLUMNS)
        if text.strip(","):
            context.findings.add(
                "bad-row",
                "a row is not a path, four numbers and a class",
                where=f"{source.shown}:{lines[row]}",
                detail=text,
            )
    path = table["path"].filter(pa.array(sound)).combine_chunks().dictionary_encode()
    image = path.indices.to_numpy()[boxed[sound]]
    boxes = table.filter(pa.array(sound & boxed))
    classes = context.classes or tuple(sorted(pc.unique(boxes["class"]).to_pylist()))
    category = pc.index_in(boxes["class"], pa.array(classes, pa.string())).combine_chunks()
    values = np.stack([boxes[side].cast(pa.float64()).to_numpy() for side in SIDES], axis=-1)
    header = Header(XYXY, tuple(Category(name) for name in classes), source=INFO.name)
    order = np.argsort(image, kind="stable")

    def stream() -> Iterator[pa.RecordBatch]:
        names = path.dictionary
        bounds = np.searchsorted(image[order], np.arange(len(names) + 1))
        for start in range(0, len(names), context.batch_size):
            stop = min(len(names), start + context.batch_size)
            rows = order[bounds[start] : bounds[stop]]
            objects = object_rows(
                {"category": category.take(pa.array(rows)), "bbox": bbox_array(values[rows])}, len(rows)
            )
            columns = {"file_name": names.slice(start, stop - start)}
            if source.split is not None:
                columns["split"] = pa.array([source.split] * (stop - start))
            yield image_batch(columns, bounds[start : stop + 1] - bounds[start], objects)

    return Dataset(header, stream, len(path.dictionary))


def _table(source: Source, context: ReadContext) -> tuple[pa.Table, NDArray[np.int64]]:
    """All rows of six columns as text, an empty one as null, and the line of each; the others are faults or blank."""
    skipped: list[int] = []

    def skip(row: csv.InvalidRow) -> str:
        skipped.append(row.number)
        context.findings.add(
            "bad-row", "a row has not six columns", where=f"{source.shown}:{row.number}", detail=row.text
        )
        return "skip"

    text = dict.fromkeys(COLUMNS, pa.string())
    try:
        with open_input(source.path) as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(column_names=COLUMNS, use_threads=False),  # with threads a faulty row has no number
                csv.ParseOptions(invalid_row_handler=skip, newlines_in_values=True, ignore_empty_lines=False),
                csv.ConvertOptions(column_types=text, strings_can_be_null=True, null_values=[""]),
            )
    except pa.ArrowInvalid as error:
        if head(source.path):
            raise DataError.of(
                "bad-row", "the file is no csv in UTF-8", where=source.shown, detail=str(error)
            ) from error
        table = pa.schema(list(text.items())).empty_table()
    return table, np.setdiff1d(np.arange(1, len(table) + len(skipped) + 1), skipped)


def target(header: Header, options: Options) -> Target:
    """Corners in pixels; every row needs a path, and every box a class."""
    requires = frozenset({"image.file_name", "object.category", "object.bbox"})
    return Target(XYXY, INFO.carries, requires, crowd_of(options, CROWD_KEEP), rotated_of(options))


def write(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write the rows of the images as they come."""
    classes = _quoted(pa.array([category.name for category in header.categories], pa.string()))
    with open_output(out) as file:
        for batch in batches:
            file.write(joined(pc.binary_join_element_wise(_rows(batch, classes, context), "\n", "")))
    return Written()


def _rows(batch: pa.RecordBatch, classes: pa.StringArray, context: WriteContext) -> pa.StringArray:
    """One row for each box, and one for each image without any."""
    objects = flat(batch)
    counts = np.diff(objects.offsets)
    image = np.repeat(np.arange(len(batch)), np.maximum(counts, 1))
    boxed = np.repeat(counts > 0, np.maximum(counts, 1))
    box = pa.array(np.cumsum(boxed) - 1, mask=~boxed)
    values, _ = boxes_of(objects.rows)
    if odd := int((~np.isfinite(values)).any(axis=1).sum()):
        context.findings.add("bad-number", "a coordinate is not a finite number", where=context.shown, count=odd)
    sides = [numbers(pa.array(np.ascontiguousarray(values[:, side]))).take(box) for side in range(4)]
    names = _quoted(batch.column("file_name")).take(pa.array(image))
    columns = [names, *sides, classes.take(objects.column("category")).take(box)]
    return pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, r'[,"\r\n]|^$'), quoted, texts)
