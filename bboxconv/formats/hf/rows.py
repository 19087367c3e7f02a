"""Batches as rows of the columns that `datasets` reads, by split: what every process makes of the batches it has."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.boxes import BoxFormat, box_area
from bboxconv.codec import Encoding
from bboxconv.errors import Findings, printable
from bboxconv.formats.hf.features import IMAGE_COLUMNS, IMAGE_TYPE, OBJECT_COLUMNS, object_type
from bboxconv.io import plain_path, unsafe_name
from bboxconv.schema import Header
from bboxconv.spool import Slip, leave

HUB_SPLITS = {"val": "validation", None: "train"}
"""What the hub calls splits that are called otherwise here."""
_SPLIT = re.compile(r"\w+(\.\w+)*")
NUMBER = "number of the image"
"""The column of what an image is known by, beside the others."""


@dataclass(frozen=True, slots=True)
class SplitRows:
    """The rows of a batch that are of one split, and what is to be known of them all before any can be written."""

    split: str
    slip: Slip
    present: frozenset[str]
    """The columns that hold a value: `video`, `objects.score`."""
    largest: tuple[int, int]
    """The largest id of an image and of an object, 0 where there is none above."""
    filled: tuple[int, int]
    """How many areas were filled in, and how many images have no split."""


Piece = tuple[SplitRows, ...]


def classes_of(header: Header) -> tuple[tuple[str, ...], list[int]]:
    """The names of the classes, each once, and the place of each category among them."""
    names = tuple(dict.fromkeys(category.name for category in header.categories))
    place = {name: number for number, name in enumerate(names)}
    return names, [place[category.name] for category in header.categories]


@dataclass(frozen=True, slots=True)
class RowEncoder:
    """Makes rows of each batch. `classes` is the place of each category among the names; `files`: names must be safe
    as those of files."""

    classes: tuple[int, ...]
    files: bool

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Piece:
        """The rows of each split; the images of one that the hub cannot name are faults, and left out."""
        numbers = np.array([encoding.number(row) for row in range(len(batch))], np.int64)
        if self.files:
            batch, numbers = _safe(batch, numbers, encoding.findings)
        batch, numbers = _nameable(batch, numbers, encoding.findings)
        found = []
        for split, chosen in schema.by_split(batch):
            name = HUB_SPLITS.get(split, split) or ""
            part = schema.keep_images(batch, chosen)
            rows, areas = rows_of(part, self.classes)
            rows = rows.append_column(NUMBER, pa.array(numbers[chosen]))
            largest = _largest(part.column("id")), _largest(schema.flat(part).column("id"))
            count = len(part) if split is None else 0
            slip = leave([rows], encoding.shelf)[0]
            found.append(SplitRows(name, slip, _present(rows), largest, (areas, count)))
        return tuple(found)


def _nameable(
    batch: pa.RecordBatch, numbers: NDArray[np.int64], findings: Findings
) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """The images of splits that the hub can name; a fault for each other."""
    splits = batch.column("split")
    odd = [split for split in pc.unique(splits).to_pylist() if not _SPLIT.fullmatch(HUB_SPLITS.get(split, split) or "")]
    if not odd:
        return batch, numbers
    bad = pc.is_in(splits, pa.array(odd, pa.string())).to_numpy(zero_copy_only=False)
    names, ids = batch.column("file_name"), batch.column("id")
    counts = np.diff(schema.flat(batch).offsets)
    for row in np.flatnonzero(bad).tolist():
        findings.add(
            "bad-split-name",
            "the split of an image has another name than letters, digits, _ and dots between them: it is left out",
            where=printable(names[row].as_py() or f"image {ids[row].as_py()}"),
            detail=f"split {printable(splits[row].as_py())!r}",
            hint="rename it in the source, or name the split of a whole source: train_1=PATH",
            images=1,
            boxes=int(counts[row]),
            late=True,
            numbers=(int(numbers[row]),),
        )
    return schema.keep_images(batch, ~bad), numbers[~bad]


def _safe(
    batch: pa.RecordBatch, numbers: NDArray[np.int64], findings: Findings
) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
    """The images whose names may be joined to a folder; a fault for each other."""
    names = [str(name) for name in batch.column("file_name").to_pylist()]
    keep = np.ones(len(batch), np.bool_)
    counts = np.diff(schema.flat(batch).offsets)
    for row, name in enumerate(names):
        why = unsafe_name(name)
        if why is not None:
            keep[row] = False
            message = f"a file name {why}: its image is left out"
            findings.add(
                "unsafe-name",
                message,
                where=printable(name) or '""',
                images=1,
                boxes=int(counts[row]),
                late=True,
                numbers=(int(numbers[row]),),
            )
    plain = pa.array([plain_path(name) for name in names], pa.string())
    batch = schema.keep_images(schema.with_image_columns(batch, {"file_name": plain}), keep)
    return batch, numbers[keep]


def rows_of(batch: pa.RecordBatch, classes: tuple[int, ...]) -> tuple[pa.RecordBatch, int]:
    """All columns of a batch, with areas filled in, and how many of them were."""
    objects = schema.flat(batch)
    values, _ = schema.boxes_of(objects.rows)
    area = objects.column("area")
    found = box_area(values, BoxFormat("xywh"))
    lacking = pc.and_(area.is_null(), pa.array(np.isfinite(found)))
    area = pc.if_else(lacking, pa.array(found, pa.float64()), area)
    category = pa.array(classes, pa.int64()).take(objects.column("category"))
    offsets = pa.array(objects.offsets, pa.int32())
    columns = {"area": area, "category": category}
    lists = []
    for name in OBJECT_COLUMNS:
        column = columns[name] if name in columns else objects.column(name)
        kind = object_type(name)
        lists.append(pa.ListArray.from_arrays(offsets, column if column.type == kind else column.cast(kind)))
    fields = [pa.field(name, one.type) for name, one in zip(OBJECT_COLUMNS, lists, strict=True)]
    mask = None if objects.annotated.all() else pa.array(~objects.annotated)
    names = batch.column("file_name")
    image = pa.StructArray.from_arrays(
        [pa.nulls(len(batch), pa.binary()), names],
        fields=list(IMAGE_TYPE),
        mask=names.is_null() if names.null_count else None,
    )
    arrays = {
        "image": image,
        **{name: batch.column(own) for name, own in IMAGE_COLUMNS.items()},
        "objects": pa.StructArray.from_arrays(lists, fields=fields, mask=mask),
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays)), pc.sum(lacking).as_py() or 0


def _present(rows: pa.RecordBatch) -> frozenset[str]:
    """The columns that hold a value."""
    found = {name for name in IMAGE_COLUMNS if rows.column(name).null_count < len(rows)}
    objects = rows.column("objects")
    for name in OBJECT_COLUMNS:
        column = objects.field(name).values
        if column.null_count < len(column):
            found.add(f"objects.{name}")
    return frozenset(found)


def _largest(ids: pa.Array) -> int:
    return max(pc.max(ids).as_py() or 0, 0)
