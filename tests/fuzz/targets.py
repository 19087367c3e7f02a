"""What is fuzzed: each target takes any bytes and raises AssertionError, or whatever a reader lets through, where a
promise is broken. The errors that bboxconv raises on purpose are no finding.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import bboxconv
from bboxconv import registry
from bboxconv.codec import Source
from bboxconv.errors import BboxconvError, Diagnostic, Findings
from bboxconv.formats.coco.annotations import ANNOTATION_FIELDS
from bboxconv.formats.voc.documents import Task, parse_slice
from bboxconv.formats.yolo.config import load_config
from bboxconv.formats.yolo.rows import Task as Labels
from bboxconv.formats.yolo.rows import batch_of
from bboxconv.readers import imagelines, lines
from bboxconv.readers.imagelines import Reading
from bboxconv.readers.jsonelements import Part, reader
from bboxconv.readers.jsonstream import Elements, read_document

from .columns import MAGIC, as_parquet
from .oracles import coco_contents, label_rows

BLOCKS = (48, 1 << 20)
"""Bytes of a block: elements longer than one, and many in one."""
BETWEEN = b"\0\0"
"""What stands between two documents of a slice: XML holds no NUL."""
GOOD = b"""<annotation><filename>good.jpg</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"""
POSES = (("pose", (2, 3)), ("pose", (1, 2)), ("pose", None), ("auto", (2, 3)))
GOALS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("coco", {}),
    ("voc", {}),
    ("yolo", {}),
    ("jsonl", {}),
    ("parquet", {}),
    ("yolo", {"out": {"task": "segment"}}),
    ("yolo", {"out": {"task": "obb"}}),
    ("yolo", {"out": {"task": "pose"}}),
    ("yolo", {"out": {"task": "mixed", "decimals": "full"}}),
    ("voc", {"out": {"origin": "1"}}),
    ("jsonl", {"box": "cxcywhn"}),
    ("parquet", {"out": {"layout": "boxes"}, "box": "xyxy+1"}),
    ("coco", {"on_invalid": "clip"}),
)
"""Formats and options; the first byte of an input chooses, from `0` on."""


EXPLAINED = frozenset({"box-without-area", "verify-missing-image", "images-without-split", "split-not-used"})
"""What a run says beforehand of a difference that verifying it finds: corners have no negative width, and a data.yaml
does not name every split."""


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bboxconv-fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
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
    """A COCO file is read or refused; what is read is what the document says, and the same when it is read again."""
    path = _file("coco.json", data)
    try:
        dataset = bboxconv.read(path, from_="coco")
        first = dataset.to_table()
    except BboxconvError:
        return
    first.validate(full=True)
    assert repr(dataset.to_table().to_pylist()) == repr(first.to_pylist()), "read again, it is another"
    contents = coco_contents(data)
    found = [one for image in first.column("objects").to_pylist() for one in image or ()]
    assert contents.images in (None, len(first)), "images"
    assert contents.annotations == len(found), "annotations"
    assert not contents.boxes - Counter(tuple(one["bbox"]) for one in found if one["bbox"]), "boxes"


def jsonl(data: bytes) -> None:
    """A JSON Lines file is read or refused, and lines are the same decoded together and one by one."""
    parts = [
        imagelines.parse((lines.Block("", 1, 1, text), Reading({0: 0, 1: 1}, rows=True)))
        for text in (data, b"\n" + data)
    ]
    assert repr(parts[0].batch.to_pylist()) == repr(parts[1].batch.to_pylist()), "both ways differ"
    one, other = (
        [(fault.line - at, fault.code, fault.pointer) for fault in part.faults] for at, part in enumerate(parts)
    )
    assert one == other, "both ways have other faults"
    try:
        bboxconv.read(_file("lines.jsonl", data), from_="jsonl").to_table().validate(full=True)
    except BboxconvError:
        return


def voc(data: bytes) -> None:
    """Documents are read the same the fast way and through lxml, and each as if it were alone."""
    documents = [*data.split(BETWEEN)[:4], GOOD]
    names = tuple(_file(f"{number}.xml", document).name for number, document in enumerate(documents))
    fast, slow = (_documents(names, fast=fast) for fast in (True, False))
    assert fast == slow, "both ways differ"
    alone = [_documents((name,), fast=True) for name in names]
    assert fast[0] == [row for rows, *_ in alone for row in rows], "a neighbour shows"
    assert _counts(fast[1]) == _counts(*(findings for _, findings, *_ in alone)), "a neighbour is told"
    assert alone[-1][0], "the good one is not read"


def _counts(*findings: tuple[Diagnostic, ...]) -> Counter[str]:
    """How often each thing is said."""
    return Counter(chain.from_iterable(chain.from_iterable([d.message] * d.count for d in found) for found in findings))


def _documents(
    names: tuple[str, ...], *, fast: bool
) -> tuple[list[str], tuple[Diagnostic, ...], object, object, object]:
    """The images of some documents with their classes by name, and what else is said of them."""
    nothing = (None,) * len(names)
    parsed = parse_slice(Task(str(_folder()), "src", names, nothing, ((),) * len(names)), fast=fast)
    parsed.batch.validate(full=True)
    images = parsed.batch.to_pylist()
    for image in images:
        for one in (image, *image["objects"]):
            assert one["extra"] is None or msgspec.json.decode(one["extra"], type=dict[str, msgspec.Raw])
        for one in image["objects"]:
            one["category"] = parsed.names[one["category"]]
    return [repr(image) for image in images], parsed.findings, parsed.voc, parsed.low, parsed.edge


def yolo(data: bytes) -> None:
    """Each row of a label file is the object or the fault that it is by itself, whatever its columns are taken for."""
    path = str(_file("a.txt", data))
    for kind, keypoints in (("auto", None), ("detect", None), ("segment", None), ("obb", None), *POSES):
        findings = Findings()
        batch = batch_of(Labels(("a.jpg",), (path,), None, kind, keypoints, 80, "", ""), findings)
        batch.validate(full=True)
        wanted, faults = label_rows(data, kind, keypoints, 80)
        assert findings.errors == faults, f"{kind}: faults"
        found = batch.to_pylist()[0]["objects"]
        assert len(found) == len(wanted), f"{kind}: rows"
        for one, row in zip(found, wanted, strict=True):
            assert (one["category"], one["score"]) == (row.category, row.score), kind
            assert json.loads(one["segmentation"] or "[[]]") == [list(row.drawn)], kind
            assert json.loads(one["keypoints"] or "[]") == list(row.points), kind
            assert row.drawn or tuple(one["bbox"]) == row.box, kind
            assert np.allclose(one["bbox"], row.box, rtol=1e-9, atol=1e-300, equal_nan=False), kind


def config(data: bytes) -> None:
    """A data.yaml is read or refused, and so is the data set that it describes."""
    path = _file("tree/data.yaml", data)
    try:
        found = load_config(path, "data.yaml", Findings())
    except BboxconvError:
        return
    assert found.extra is None or isinstance(json.loads(found.extra), dict)
    "".join(found.names or ()).encode()
    entries = [found.path, *chain.from_iterable(found.splits.values())]
    if any(entry.startswith("/") or ".." in entry for entry in entries):  # all of this machine would be read
        return
    _file("tree/labels/train/a.txt", b"0 .5 .5 .1 .1\n")
    try:
        bboxconv.read(path.parent, from_="yolo").to_table().validate(full=True)
    except BboxconvError:
        return


def detect(data: bytes) -> None:
    """Every file is of a format, of none, or in doubt."""
    for suffix in ("json", "xml", "txt", "yaml", "jsonl", "parquet", "gz"):
        try:
            registry.detect(Source(_file(f"a.{suffix}", data)))
        except BboxconvError:
            continue


def parquet(data: bytes) -> None:
    """A Parquet file is read or refused. Data that is none is the header and the texts of one: see `as_parquet`."""
    path = _file("a.parquet", data if data.startswith(MAGIC) else as_parquet(data))
    out = _folder() / "back.jsonl"
    try:
        table = bboxconv.read(path, from_="parquet").to_table()
        bboxconv.convert(path, out, from_="parquet", overwrite=True)
    except BboxconvError:
        return
    table.validate(full=True)
    lines = out.read_text(encoding="utf-8").split("\n")[1:-1]
    assert [len(json.loads(line).get("objects", ())) for line in lines] == [
        len(objects) for objects in table.column("objects").to_pylist() if objects is not None
    ], "a text became more than a text"


def convert(data: bytes) -> None:
    """What can be read of a document is written in any format, comes back as it was, and nothing else is written.

    The first byte says what to write (see GOALS), the rest is JSON Lines where it begins as such, else COCO.
    """
    text = data[1:]
    from_ = "jsonl" if text.lstrip().startswith(b'{"type"') else "coco"
    to, options = GOALS[(data[0] - ord("0")) % len(GOALS)] if data else GOALS[0]
    source = _file("convert/source", text)
    out = source.parent / "out"
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)
    try:
        report = bboxconv.convert(
            source, f"{out}/" if to in ("voc", "yolo") else out, from_=from_, to=to, on_error="skip", verify=True,
            image_size=(100, 80), unannotated="keep" if len(data) % 2 else "skip", overwrite=True, **options,
        )  # fmt: skip
    except BboxconvError as error:
        codes = {diagnostic.code for diagnostic in error.diagnostics}
        others = {d.code for d in error.diagnostics if d.severity == "error" and not d.code.startswith("verify-")}
        differs = any(code.startswith("verify-") for code in codes)
        assert not differs or others or codes & EXPLAINED, f"to {to}: {error}"
        assert not out.exists(), "a refused run leaves something"
    else:
        for read, written, left in (
            (report.read.images, report.written.images, report.left_out_images),
            (report.read.boxes, report.written.boxes, report.left_out_boxes),
        ):
            assert read == written + sum(left.values()), f"to {to}: the account does not sum"
    left = {path.name for path in source.parent.iterdir()} - {source.name, out.name}
    assert not left, f"something else is written: {left}"


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "json": json_blocks,
    "coco": coco,
    "jsonl": jsonl,
    "voc": voc,
    "yolo": yolo,
    "config": config,
    "detect": detect,
    "parquet": parquet,
    "convert": convert,
}
