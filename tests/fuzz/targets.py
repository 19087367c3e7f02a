"""What is fuzzed: each target takes any bytes and raises AssertionError, or whatever a reader lets through, where a
promise is broken. The errors that bboxconv raises on purpose are no finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pyarrow as pa

import bboxconv
from bboxconv import registry
from bboxconv.codec import Source
from bboxconv.errors import BboxconvError, Findings
from bboxconv.formats.coco.annotations import ANNOTATION_FIELDS
from bboxconv.formats.voc.documents import Task, parse_slice
from bboxconv.formats.yolo.config import load_config
from bboxconv.formats.yolo.rows import Task as Labels
from bboxconv.formats.yolo.rows import batch_of
from bboxconv.readers.jsonelements import Part, reader
from bboxconv.readers.jsonstream import Elements, read_document
from bboxconv.schema import flat

BLOCKS = (48, 1 << 20)
"""Bytes of a block: elements longer than one, and many in one."""


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bboxconv-fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def json_blocks(data: bytes) -> None:
    """A document gives the same elements, faults and errors whatever the size of a block."""
    path = _file("blocks.json", data)
    seen = [_elements(path, size) for size in BLOCKS]
    assert seen[0] == seen[1], "the size of a block shows"


def _elements(path: Path, block: int) -> tuple[object, ...]:
    arrays = {key: reader(ANNOTATION_FIELDS) for key in ("annotations", "")}
    members: list[tuple[str, str]] = []
    faults: list[tuple[object, ...]] = []
    rows: list[str] = []
    before: dict[str, int] = {}
    try:
        for item in read_document(path, arrays.get, block=block):
            if not isinstance(item, Elements):
                members.append((item.key, item.text))
                continue
            part: Part = item.value
            start = before.get(item.key, 0)
            before[item.key] = start + part.count
            faults += [(start + fault.element, fault.path, fault.code) for fault in part.faults]
            rows += [repr({**row, "element": start + row["element"]}) for row in part.batch.to_pylist()]
    except BboxconvError as error:
        return (error.diagnostics[0].code,)
    return (members, faults, rows)


def coco(data: bytes) -> None:
    """A COCO file is read or refused, and what is read is the same when it is read again."""
    path = _file("coco.json", data)
    try:
        dataset = bboxconv.read(path, from_="coco")
        first = dataset.to_table()
    except BboxconvError:
        return
    first.validate(full=True)
    assert dataset.to_table().equals(first) or _has_nan(first), "read again, it is another"


def _has_nan(table: pa.Table) -> bool:
    return "nan" in repr(table.to_pylist())


def jsonl(data: bytes) -> None:
    """A JSON Lines file is read or refused."""
    try:
        bboxconv.read(_file("lines.jsonl", data), from_="jsonl").to_table().validate(full=True)
    except BboxconvError:
        return


def voc(data: bytes) -> None:
    """A document is read the same the fast way and through lxml."""
    _file("a.xml", data)
    task = Task(str(_folder()), "src", ("a.xml",), (None,), ((),))
    fast, slow = parse_slice(task), parse_slice(task, fast=False)
    for one in (fast, slow):
        one.batch.validate(full=True)
    assert (fast.names, fast.findings, fast.voc) == (slow.names, slow.findings, slow.voc)
    assert repr(fast.batch.to_pylist()) == repr(slow.batch.to_pylist()), "both ways differ"


def yolo(data: bytes) -> None:
    """Each row of a label file is an object or a fault, whatever its columns are taken for."""
    path = str(_file("a.txt", data))
    for kind, keypoints in (("auto", None), ("segment", None), ("obb", None), ("pose", (2, 3))):
        findings = Findings()
        task = Labels(("a.jpg",), (path,), None, kind, keypoints, 80, "", "")
        batch = batch_of(task, findings)
        batch.validate(full=True)
        rows = len(flat(batch).rows) if len(batch) else 0
        lines = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line.strip()]
        assert rows + findings.errors <= max(1, len(lines)) + 1, "more rows than lines"


def config(data: bytes) -> None:
    """A data.yaml is read or refused."""
    path = _file("data.yaml", data)
    try:
        load_config(path, "data.yaml", Findings())
    except BboxconvError:
        return


def detect(data: bytes) -> None:
    """Every file is of a format, of none, or in doubt."""
    for suffix in ("json", "xml", "txt", "yaml", "jsonl", "parquet", "gz"):
        try:
            registry.detect(Source(_file(f"a.{suffix}", data)))
        except BboxconvError:
            continue


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "json": json_blocks,
    "coco": coco,
    "jsonl": jsonl,
    "voc": voc,
    "yolo": yolo,
    "config": config,
    "detect": detect,
}
