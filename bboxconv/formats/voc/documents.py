"""A slice of Pascal VOC documents to one record batch, in two ways that agree.

The fast way (`usual`) takes the documents of the usual shape as columns, all at once. It refuses those that hold
anything unusual (comment, CDATA, attribute, part, nested element, another encoding or a fault): they go through lxml.
Where documents are like the first of their slice (`alike`), their shape need not be looked for.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import Diagnostic, Findings, Record
from bboxconv.formats.voc.alike import Pattern, alike, pattern_of
from bboxconv.formats.voc.document import SIDES, Place, Rows, document, image_name
from bboxconv.formats.voc.shape import Shape, UnusualError, shape_of
from bboxconv.formats.voc.usual import Usual, usual
from bboxconv.io import read_small
from bboxconv.readers.xmlfiles import compact, parse
from bboxconv.schema import bbox_array, image_batch, object_rows

IMAGES = pa.schema(
    [
        ("row", pa.int32()),
        ("file_name", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("extra", pa.string()),
    ]
)
OBJECTS = pa.schema(
    [
        ("row", pa.int32()),
        ("name", pa.string()),
        *((side, pa.float64()) for side in SIDES),
        ("truncated", pa.float64()),
        ("occluded", pa.float64()),
        ("difficult", pa.bool_()),
        ("extra", pa.string()),
    ]
)
_PLAIN_NAME = r"^(?:[^\\]*/)?[^/\\]+\.[^/\\]*$"
"""An image's name that is taken as it is: with an extension, without a backslash."""


FIRST = 64
"""Documents at the start of a slice, which show what the others may be like."""
MANY_ALIKE = 0.9
"""The share of documents that must be like the first ones, for that to be tried on."""
PART = 1024
"""Documents that are taken at once: their columns stay in the cache of a core."""


@dataclass(frozen=True, slots=True)
class Task:
    """Some documents of one folder: their paths relative to it, and what the lists of the tree say of each."""

    root: str
    shown: str
    """The folder as the user wrote it; for one file alone the two hold its name and `paths` an empty one."""
    paths: tuple[str, ...]
    splits: tuple[str | None, ...]
    others: tuple[tuple[str, ...], ...]
    """Further splits of each image."""
    stems: bool = False
    """Images are called by the name of the XML file."""
    listing: bool = False
    """Whether every fault is named with its text."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a slice of documents holds.

    `category` of the batch is an index into `names`; `rows` (B,) says which path each image is from.
    """

    batch: pa.RecordBatch
    names: tuple[str, ...]
    rows: NDArray[np.int64]
    files: int
    findings: tuple[Diagnostic, ...]
    voc: bool
    """A document says that it is of a PASCAL VOC data set."""
    low: float
    """The smallest coordinate."""
    edge: bool
    """A box reaches its image's full width or height."""


def parse_slice(task: Task, *, fast: bool = True) -> Parsed:
    """Read and parse documents; broken ones are left out and reported. `fast=False` takes all of them through
    lxml.
    """
    with _no_collection():
        return _parse_slice(task, fast)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A slice makes a million strings and no cycle: the collector would walk over them for a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse_slice(task: Task, fast: bool) -> Parsed:
    findings = Findings(task.listing)
    slow = Rows()
    tables: list[tuple[pa.Table, pa.Table]] = []
    pattern: Pattern | None = None
    for rows in _parts(len(task.paths)):
        documents = _loaded(task, rows, findings)
        left: Iterable[int] = documents
        if fast:
            left, pattern = _fast(documents, task, slow, tables, pattern)
        for row in left:
            shown = _shown(task, row)
            root = parse(documents[row], shown, findings)
            if root is not None:
                place = Place(row, shown, task.paths[row] or task.root, task.others[row], task.stems)
                document(documents[row], root, place, slow, findings)
    if slow.images or not tables:
        tables.append((_table(slow.images, IMAGES), _table(slow.objects, OBJECTS)))
    images, objects = (_merged(parts) for parts in zip(*tables, strict=True))
    return _assembled(images, objects, task, findings, slow.voc)


def _parts(count: int) -> Iterator[range]:
    """The rows of a slice in parts; the first ones show what the others may be like."""
    yield range(min(count, FIRST))
    for first in range(FIRST, count, PART):
        yield range(first, min(first + PART, count))


def _loaded(task: Task, rows: Iterable[int], findings: Findings) -> dict[int, bytes]:
    """The bytes of each document by its row; those that cannot be read are reported."""
    documents: dict[int, bytes] = {}
    for row in rows:
        path = task.paths[row]
        try:
            documents[row] = read_small(f"{task.root}/{path}" if path else task.root)
        except OSError as error:
            message = "a file cannot be read: its image is left out"
            record = Record(_shown(task, row))
            findings.add("unreadable-file", message, record=record, detail=error.strerror or str(error), images=1)
    return documents


def _shown(task: Task, row: int) -> str:
    return f"{task.shown}/{task.paths[row]}" if task.paths[row] else task.shown


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(list(column), kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema
    )


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    table = pa.concat_tables(tables)
    rows = table["row"].to_numpy()
    return table if (rows[1:] >= rows[:-1]).all() else table.take(pa.array(np.argsort(rows, kind="stable")))


def _assembled(images: pa.Table, objects: pa.Table, task: Task, findings: Findings, voc: bool) -> Parsed:
    rows = images["row"].to_numpy().astype(np.int64)
    counts = np.bincount(objects["row"].to_numpy(), minlength=len(task.paths))[rows]
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    column = {name: objects[name].combine_chunks() for name in OBJECTS.names}
    boxes = np.column_stack([column[side].to_numpy(zero_copy_only=False) for side in SIDES])
    names = column["name"].dictionary_encode()
    fields = {name: column[name] for name in ("truncated", "occluded", "difficult", "extra")}
    found = object_rows({**fields, "category": names.indices, "bbox": bbox_array(boxes)}, len(boxes))
    pictures = {name: images[name].combine_chunks() for name in IMAGES.names[1:]}
    splits = pa.array([task.splits[row] for row in rows], pa.string())
    batch = image_batch({**pictures, "split": splits}, offsets, found)
    size = [
        np.repeat(pictures[name].cast(pa.float64()).to_numpy(zero_copy_only=False), counts)
        for name in ("width", "height")
    ]
    edge = bool(((boxes[:, 2] == size[0]) | (boxes[:, 3] == size[1])).any())
    low = float(boxes[:, :2].min()) if len(boxes) else np.inf
    return Parsed(
        batch,
        tuple(names.dictionary.to_pylist()),
        rows,
        len(task.paths),
        tuple(findings),
        voc,
        low,
        edge,
    )


# The fast way


def _fast(
    documents: Mapping[int, bytes],
    task: Task,
    found: Rows,
    tables: list[tuple[pa.Table, pa.Table]],
    pattern: Pattern | None,
) -> tuple[list[int], Pattern | None]:
    """Add tables of the documents that are of the usual shape; the other rows, and the pattern of those to come."""
    rows = np.fromiter(documents, np.int64, len(documents))[_readable(documents.values())]
    taken: set[int] = set()
    if pattern is not None:
        fitting, _ = _usual(documents, rows, task, found, tables, partial(alike, pattern=pattern))
        taken.update(fitting.tolist())
        rows = np.setdiff1d(rows, fitting)
        pattern = pattern if MANY_ALIKE * len(documents) <= len(fitting) else None
    usual_rows, shape = _usual(documents, rows, task, found, tables, shape_of)
    taken.update(usual_rows.tolist())
    if 0 in documents and shape is not None:
        pattern = pattern_of(shape)
    return [row for row in documents if row not in taken], pattern


def _usual(
    documents: Mapping[int, bytes],
    rows: NDArray[np.int64],
    task: Task,
    found: Rows,
    tables: list[tuple[pa.Table, pa.Table]],
    told: Callable[[bytes, NDArray[np.int64]], Shape],
) -> tuple[NDArray[np.int64], Shape | None]:
    """Add tables of those among the documents of `rows` whose shape `told` knows: their rows, and the shape."""
    while len(rows):
        chosen = [documents[row] for row in rows.tolist()]
        starts = np.concatenate(([0], np.cumsum([len(document) for document in chosen]))).astype(np.int64)
        try:
            shape = told(b"".join(chosen), starts)
            columns = usual(shape, _splits(task, rows))
        except UnusualError as error:
            rows = rows[error.good]
            continue
        images, objects = _images(columns, rows, task), _objects(columns, rows)
        if not columns.good.all():
            images = images.filter(pa.array(columns.good))
            objects = objects.filter(pa.array(np.repeat(columns.good, columns.counts)))
            rows = rows[columns.good]
        tables.append((images, objects))
        found.voc = found.voc or columns.voc
        return rows, shape
    return rows, None


def _readable(documents: Collection[bytes]) -> NDArray[np.bool_]:
    """Which documents are UTF-8 of characters that XML may hold; control characters are left to others."""
    if _is_text(b"\n".join(documents)):  # not as one text: a character may begin in one and end in the next
        return np.ones(len(documents), dtype=np.bool_)
    return np.array([_is_text(document) for document in documents], dtype=np.bool_)


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\xef\xbf\xbe" not in data and b"\xef\xbf\xbf" not in data


def _splits(task: Task, rows: NDArray[np.int64]) -> pa.StringArray:
    """The member of `extra` that holds the further splits of each image."""
    if not any(task.others):
        return pa.nulls(len(rows), pa.string())
    others = [task.others[row] for row in rows]
    texts = {names: f'"splits":{compact(list(names))}' if names else None for names in set(others)}
    return pa.array([texts[names] for names in others], pa.string())


def _images(columns: Usual, rows: NDArray[np.int64], task: Task) -> pa.Table:
    names = columns.filename
    plain = pc.match_substring_regex(names, _PLAIN_NAME).fill_null(False).to_numpy(zero_copy_only=False)
    if task.stems or not plain.all():
        names = pa.array(
            [
                image_name(name, task.paths[row] or task.root, task.stems)
                for row, name in zip(rows, names.to_pylist(), strict=True)
            ],
            pa.string(),
        )
    return pa.table([pa.array(rows, pa.int32()), names, columns.width, columns.height, columns.extra], schema=IMAGES)


def _objects(columns: Usual, rows: NDArray[np.int64]) -> pa.Table:
    difficult = columns.levels["difficult"].cast(pa.bool_())
    return pa.table(
        [
            pa.array(np.repeat(rows, columns.counts), pa.int32()),
            columns.name,
            *(pa.array(columns.boxes[:, at]) for at in range(len(SIDES))),
            columns.levels["truncated"],
            columns.levels["occluded"],
            difficult,
            columns.object_extra,
        ],
        schema=OBJECTS,
    )
