"""A slice of Pascal VOC documents to one record batch, in two ways that agree.

The fast way cuts every object of the usual shape out of many documents with one regular expression; what is left of a
document must then be exactly the usual frame. Whatever is unusual in a document (comment, CDATA, reference,
attribute, part, unknown element, another encoding or a fault) leaves something else behind. Such documents are tried
once more with the children of an object in any order, which takes longer, and what is still unusual goes through
lxml.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.errors import Diagnostic, Findings
from bboxconv.formats.voc.document import COUNT, SIDES, Place, Rows, document, image_name
from bboxconv.readers.xmlfiles import compact, load, parse, trimmed
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

_TEXT = r"[^<>&\x00-\x1f]*+"
_NUMBER = r"[-0-9.]{1,40}+"
_LEVEL = r"[0-9]{1,3}+(?:\.[0-9]{1,17}+)?+"
_S = r"[ \t\r\n]*+"
_FIELDS = ("name", "pose", "truncated", "difficult", "occluded", *SIDES)
_PATTERNS = {
    "name": rf"(?! *<){_TEXT}",
    "pose": _TEXT,
    "truncated": _LEVEL,
    "difficult": "[01]",
    "occluded": _LEVEL,
    **dict.fromkeys(SIDES, _NUMBER),
}
_GROUPS = ("folder", "filename", "path", "source", "owner", "width", "height", "depth", "segmented", "verified")


def _leaf(tag: str, pattern: str) -> str:
    return f"{tag}>(?P<{tag}>{pattern})</{tag}"


def _maybe(tag: str, pattern: str) -> str:
    return f"(?:<{_leaf(tag, pattern)}>{_S})?"


def _tree(tag: str, group: int) -> str:
    return rf"(?:<{tag}>{_S}(?P<{tag}>(?:<([a-zA-Z_][a-zA-Z0-9_.-]*+)>{_TEXT}</\{group}>{_S})*)</{tag}>{_S})?"


def _choice(tags: Sequence[str]) -> str:
    return "|".join(_leaf(tag, _PATTERNS[tag]) for tag in tags)


_IN_ORDER = re.compile(
    f"<object>{_S}<{_choice(_FIELDS[:1])}>{_S}{''.join(_maybe(tag, _PATTERNS[tag]) for tag in _FIELDS[1:5])}"
    f"<bndbox>{_S}{''.join(f'<{_choice([side])}>{_S}' for side in SIDES)}</bndbox>{_S}</object>{_S}"
)
_ANY_ORDER = re.compile(
    f"<object>{_S}(?:<(?:{_choice(_FIELDS[:5])}|bndbox>{_S}(?:<(?:{_choice(SIDES)})>{_S})*</bndbox)>{_S})*</object>{_S}"
    r"(?(name)(?(xmin)(?(ymin)(?(xmax)(?(ymax)|(?!))|(?!))|(?!))|(?!))|(?!))"
)
_FRAME = re.compile(
    rf"""\ufeff?(?:<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"(?i:utf-8)"|'(?i:utf-8)'))? ?\?>)?{_S}"""
    rf"""<annotation(?: verified="(?P<verified>yes|no)")?>{_S}"""
    rf"""{_maybe("folder", _TEXT)}{_maybe("filename", _TEXT)}{_maybe("path", _TEXT)}"""
    rf"""{_tree("source", 6)}{_tree("owner", 8)}"""
    rf"""(?:<size>{_S}{_maybe("width", "[0-9]{1,9}")}{_maybe("height", "[0-9]{1,9}")}"""
    rf"""{_maybe("depth", COUNT)}</size>{_S})?"""
    rf"""{_maybe("segmented", COUNT)}(?P<objects>\x01*+)</annotation>{_S}"""
)
_LEAVES = re.compile(r"<([^<>/]+)>([^<>]*)</")


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
    documents = [load(f"{task.root}/{path}" if path else task.root) for path in task.paths]
    findings = Findings()
    slow = Rows()
    tables: list[tuple[pa.Table, pa.Table]] = []
    left = list(range(len(documents)))
    for pattern in (_IN_ORDER, _ANY_ORDER) if fast else ():
        if left:
            left = _usual(documents, left, pattern, task, slow, tables)
    for row in left:
        shown = f"{task.shown}/{task.paths[row]}" if task.paths[row] else task.shown
        root = parse(documents[row], shown, findings)
        if root is not None:
            place = Place(row, shown, task.paths[row] or task.root, task.others[row], task.stems)
            document(root, place, slow, findings)
    if slow.images or not tables:
        tables.append((_table(slow.images, IMAGES), _table(slow.objects, OBJECTS)))
    images, objects = (_merged(parts) for parts in zip(*tables, strict=True))
    return _assembled(images, objects, task, findings, slow.voc)


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table(
        [pa.array(list(column), kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema
    )


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    table = pa.concat_tables(tables)
    return table.take(pa.array(np.argsort(table["row"].to_numpy(), kind="stable")))


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


def _usual(
    documents: Sequence[bytes],
    rows: list[int],
    pattern: re.Pattern[str],
    task: Task,
    found: Rows,
    tables: list[tuple[pa.Table, pa.Table]],
) -> list[int]:
    """Add tables of images and objects for those documents of `rows` that are of the usual shape; the other rows."""
    data = b"\0".join([documents[row] for row in rows])
    if b"\1" in data or data.count(b"\0") != len(rows) - 1 or b"\xef\xbf\xbe" in data or b"\xef\xbf\xbf" in data:
        return rows
    try:
        pieces = pattern.split(text := data.decode())
    except UnicodeDecodeError:
        return rows
    width = len(_FIELDS) + 1
    gaps = pieces[::width]
    columns = {name: pa.array(pieces[at::width], pa.string()) for at, name in enumerate(_FIELDS, 1)}
    if pattern is _ANY_ORDER:
        # A leaf that stands twice hides its first value: then there are more end tags than the columns account for.
        leaves = sum(len(column) - column.null_count for column in columns.values())
        if text.count("</") != sum(gap.count("</") for gap in gaps) + leaves + 2 * (len(gaps) - 1):
            return rows
    frames = "\1".join(gaps).split("\0")
    counts = np.array([frame.count("\1") for frame in frames], dtype=np.int64)
    usual, boxes = _numbers(columns, counts)
    trees: dict[str | None, str | None] = {None: None}
    groups: list[tuple[str | None, ...]] = []
    for at, frame in enumerate(frames):
        match = _FRAME.fullmatch(frame) if usual[at] else None
        group = match.group(*_GROUPS) if match else None
        usual[at] = False
        if group is not None and _known(group[3], trees) and _known(group[4], trees):
            usual[at] = True
            groups.append(group)
    if groups:
        taken = np.array(rows)
        images = _images(taken[usual].tolist(), groups, trees, task)
        tables.append((images, _objects({**columns, **boxes}, np.repeat(taken, counts), np.repeat(usual, counts))))
        found.voc = found.voc or any(
            text is not None and "VOC" in json.loads(text).get("database", "") for text in trees.values()
        )
    return [row for row, good in zip(rows, usual, strict=True) if not good]


def _numbers(columns: dict[str, pa.Array], counts: NDArray[np.int64]) -> tuple[NDArray[np.bool_], dict[str, pa.Array]]:
    """Which documents have numbers alone as coordinates, and these."""
    usual = np.ones(len(counts), dtype=np.bool_)
    try:
        return usual, {side: columns[side].cast(pa.float64()) for side in SIDES}
    except pa.ArrowInvalid:
        good = np.ones(len(columns["xmin"]), dtype=np.bool_)
        for side in SIDES:
            good &= pc.match_substring_regex(columns[side], r"^-?[0-9]{1,300}(\.[0-9]{1,20})?$").to_numpy(
                zero_copy_only=False
            )
        mask = pa.array(good)
        usual[np.repeat(np.arange(len(counts)), counts)[~good]] = False
        return usual, {side: pc.if_else(mask, columns[side], "0").cast(pa.float64()) for side in SIDES}


def _known(tree: str | None, trees: dict[str | None, str | None]) -> bool:
    """Whether the children of `source` or `owner` are leaves of different names; their JSON text is kept in
    `trees`.
    """
    if tree not in trees:
        pairs = _LEAVES.findall(tree or "")
        if not pairs or len(dict(pairs)) < len(pairs):
            return False
        trees[tree] = compact({tag: trimmed(text) for tag, text in pairs})
    return True


def _images(
    rows: list[int], groups: list[tuple[str | None, ...]], trees: dict[str | None, str | None], task: Task
) -> pa.Table:
    folder, filename, path, source, owner, width, height, depth, segmented, verified = zip(*groups, strict=True)
    sizes = [pc.cast(pa.array(side, pa.string()), pa.int32()) for side in (width, height)]
    names = [
        image_name(name, task.paths[row] or task.root, task.stems) for row, name in zip(rows, filename, strict=True)
    ]
    extra = jsontext.extras(
        {
            "@verified": jsontext.strings(pa.array(verified, pa.string())),
            "folder": jsontext.strings(pa.array(folder, pa.string())),
            "path": jsontext.strings(pa.array(path, pa.string())),
            "source": pa.array([trees[tree] for tree in source], pa.string()),
            "owner": pa.array([trees[tree] for tree in owner], pa.string()),
            "depth": pa.array(depth, pa.string()),
            "segmented": pa.array(segmented, pa.string()),
            "splits": pa.array([_others(task, row) for row in rows], pa.string()),
        },
        len(rows),
    )
    sizes = [pc.if_else(pc.equal(side, 0), pa.scalar(None, pa.int32()), side) for side in sizes]
    return pa.table([pa.array(rows, pa.int32()), pa.array(names, pa.string()), *sizes, extra], schema=IMAGES)


def _objects(columns: dict[str, pa.Array], rows: NDArray[np.int64], usual: NDArray[np.bool_]) -> pa.Table:
    if not usual.all():
        mask = pa.array(usual)
        columns = {name: column.filter(mask) for name, column in columns.items()}
        rows = rows[usual]
    pose = columns["pose"].dictionary_encode()
    extra = jsontext.extras({"pose": jsontext.strings(pose.dictionary)}, len(pose.dictionary)).take(pose.indices)
    levels = {name: columns[name].cast(pa.float64()) for name in ("truncated", "occluded")}
    columns = {
        **columns,
        **levels,
        "row": pa.array(rows, pa.int32()),
        "difficult": pc.equal(columns["difficult"], "1"),
        "extra": extra,
    }
    return pa.table([columns[name] for name in OBJECTS.names], schema=OBJECTS)


def _others(task: Task, row: int) -> str | None:
    return compact(list(task.others[row])) if task.others[row] else None
