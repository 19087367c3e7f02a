"""Writing COCO JSON: the text of images and annotations for a batch at a time, images first, annotations held in an
unnamed file until the images are through.

Ids that the source lacks are numbered from behind the largest that it has, which is known at the end alone: from the
first batch that lacks one, the batches of that document are held.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.boxes import BoxFormat, box_area
from bboxconv.codec import WriteContext, Written
from bboxconv.errors import DataError, Findings
from bboxconv.formats.coco.images import repeated
from bboxconv.io import open_output, unsafe_name
from bboxconv.schema import Category, Header, Objects
from bboxconv.spool import Spool

IMAGE_KEYS = ("id", "file_name", "width", "height", "video", "frame")
ANNOTATION_KEYS = (
    "id",
    "bbox",
    "area",
    "iscrowd",
    "segmentation",
    "keypoints",
    "score",
    "ignore",
    "difficult",
    "truncated",
    "occluded",
    "track_id",
)
ALWAYS = ("image_id", "category_id")


def write_coco(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write one document to the file `out`, or one for each split into the folder `out`."""
    filled: Counter[str] = Counter()
    documents: dict[str | None, _Document] = {}
    category_ids = _category_ids(header.categories, filled)
    head = _head(header, category_ids)
    written = _Kind(header.box, category_ids, filled, context.findings)
    folder = out.is_dir()
    try:
        if not folder:
            documents[None] = _Document.begin(out, head, written)
        for batch in batches:
            parts = ((split, schema.keep_images(batch, mask)) for split, mask in schema.by_split(batch))
            for split, piece in parts if folder else [(None, batch)]:
                split = split or None
                if split not in documents and not _refused(split, context.findings):
                    name = f"instances_{split}.json" if split else "instances.json"
                    documents[split] = _Document.begin(out / name, head, written)
                if split in documents:
                    documents[split].take(piece, context.memory // 4)
        if not documents:
            documents[None] = _Document.begin(out / "instances.json", head, written)
        for document in documents.values():
            document.end(context.findings)
    finally:
        for document in documents.values():
            document.close()
    return Written({name: count for name, count in filled.items() if count})


def _head(header: Header, category_ids: pa.StringArray) -> bytes:
    members = {
        "info": header.info,
        "licenses": header.licenses,
        **(jsontext.members(header.extra) if header.extra else {}),
    }
    rows = []
    for category, number in zip(header.categories, category_ids.to_pylist(), strict=True):
        extra = jsontext.members(category.extra) if category.extra else {}
        parts = {"id": number, "name": json.dumps(category.name, ensure_ascii=False)}
        if category.supercategory is not None:
            parts["supercategory"] = json.dumps(category.supercategory, ensure_ascii=False)
        rows.append(
            jsontext.compose({**parts, **{key: text for key, text in extra.items() if key not in parts}}) or "{}"
        )
    members["categories"] = "[" + "".join(f"\n{row}," for row in rows).removesuffix(",") + "\n]"
    texts = [f"{json.dumps(key, ensure_ascii=False)}: {text},\n" for key, text in members.items() if text is not None]
    return ("{" + "".join(texts) + '"images": [').encode()


def _category_ids(categories: tuple[Category, ...], filled: Counter[str]) -> pa.StringArray:
    """The id of each category as JSON text; those without one are numbered from 1, or from behind the largest."""
    after = max((category.id for category in categories if category.id is not None), default=0)
    ids: list[str] = []
    for category in categories:
        own = jsontext.members(category.extra).get("id") if category.extra else None
        if category.id is None and own is None:
            after += 1
            filled["category.id"] += 1
        ids.append(own or str(after if category.id is None else category.id))
    return pa.array(ids, pa.string())


def _refused(split: str | None, findings: Findings) -> bool:
    """Whether a split cannot be part of a file name."""
    why = None if split is None else "holds a slash" if "/" in split else unsafe_name(split)
    if why is not None:
        findings.add("unsafe-name", f"a split cannot be part of a file name: it {why}", where=repr(split))
    return why is not None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all documents of a run share."""

    box: BoxFormat
    category_ids: pa.StringArray
    filled: Counter[str]
    findings: Findings


@dataclass(slots=True)
class _Ids:
    """The ids of one kind that a document has: the next free one, and all int64 ones."""

    name: str
    next: int = 1
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def meet(self, ids: pa.Array) -> None:
        """Ids that the source has: what is numbered stands behind them."""
        self.next = max(self.next, (pc.max(ids).as_py() or 0) + 1)

    def texts(self, ids: pa.Array, own: NDArray[np.bool_] | None, filled: Counter[str]) -> pa.StringArray:
        """Each id as text; rows that have none, nor one of their `own`, are numbered on.

        Raises DataError where no int64 is left.
        """
        if not ids.null_count:
            self.numbers.append(ids.to_numpy())
            return jsontext.numbers(ids)
        lacking = ids.is_null().to_numpy(zero_copy_only=False)
        if own is not None:
            lacking &= ~own
        count = int(lacking.sum())
        if self.next + count > 1 << 63:
            raise DataError.of("bad-value", "no number is left for an id behind the largest", where=self.name)
        filled[self.name] += count
        values = ids.fill_null(0).to_numpy(zero_copy_only=False).copy()
        values[lacking] = np.arange(self.next, self.next + count)
        self.next += count
        self.numbers.append(values if own is None else values[~own])
        return jsontext.numbers(pa.array(values))


@dataclass(slots=True)
class _Document:
    """One file being written."""

    path: Path
    file: BinaryIO
    held: IO[bytes]
    kind: _Kind
    waiting: Spool | None = None
    image_ids: _Ids = field(default_factory=lambda: _Ids("image.id"))
    annotation_ids: _Ids = field(default_factory=lambda: _Ids("object.id"))
    images: int = 0
    annotations: int = 0

    @classmethod
    def begin(cls, path: Path, head: bytes, kind: _Kind) -> _Document:
        file = open_output(path)
        file.write(head)
        return cls(path, file, tempfile.TemporaryFile(dir=path.parent), kind)

    def take(self, batch: pa.RecordBatch, memory: int) -> None:
        """Write the images of a batch, hold its annotations; hold all of it where an id is still to be found."""
        ids = schema.flat(batch).column("id")
        self.image_ids.meet(batch.column("id"))
        self.annotation_ids.meet(ids)
        if self.waiting is None and (ids.null_count or batch.column("id").null_count):
            self.waiting = Spool(memory)
        if self.waiting is None:
            self.add(batch)
        else:
            self.waiting.append(batch)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write the images of a batch, hold its annotations."""
        columns = {name: batch.column(name) for name in IMAGE_KEYS}
        extra, own = _own_keys(batch.column("extra"), columns)
        image_ids = self.image_ids.texts(columns["id"], own.get("id"), self.kind.filled)
        texts = {
            "id": image_ids,
            "file_name": jsontext.strings(columns["file_name"]),
            "width": jsontext.numbers(columns["width"]),
            "height": jsontext.numbers(columns["height"]),
            "video": jsontext.strings(columns["video"]),
            "frame": jsontext.numbers(columns["frame"]),
        }
        self.images += _put(self.file, _hide(texts, own), extra, self.images)
        if "id" in own:
            image_ids, others = _own_ids(image_ids, extra, own["id"])
            self.image_ids.others.extend(others)
        objects = schema.flat(batch)
        if len(objects.rows):
            self._annotate(objects, image_ids.take(pa.array(objects.image_of())))

    def _annotate(self, objects: Objects, image_ids: pa.StringArray) -> None:
        filled = self.kind.filled
        values, valid = schema.boxes_of(objects.rows)
        bad = valid & ~np.isfinite(values).all(axis=1)
        if bad.any():
            for row in np.flatnonzero(bad).tolist():
                where = f"{self.path.name}: an annotation of image_id {image_ids[row]}"
                message = "a box holds a number that is not finite, which JSON does not have"
                self.kind.findings.add("bad-number", message, where=where, detail=str(values[row].tolist()))
            rest = schema.keep_objects(Objects(np.array([0, len(bad)]), np.ones(1, np.bool_), objects.rows), ~bad)
            self._annotate(rest, image_ids.filter(pa.array(~bad)))
            return
        extra, own = _own_keys(objects.column("extra"), {key: objects.column(key) for key in ANNOTATION_KEYS}, ALWAYS)
        area = objects.column("area")
        if area.null_count:
            lacking = pc.and_(area.is_null(), pa.array(valid & ~own.get("area", np.zeros(len(valid), np.bool_))))
            filled["object.area"] += pc.sum(lacking).as_py() or 0
            area = pc.if_else(lacking, pa.array(box_area(values, self.kind.box)), area)
        crowd = objects.column("iscrowd")
        if crowd.null_count:
            lacking = pc.and_(crowd.is_null(), pa.array(~own.get("iscrowd", np.zeros(len(valid), np.bool_))))
            filled["object.iscrowd"] += pc.sum(lacking).as_py() or 0
            crowd = pc.if_else(lacking, False, crowd)
        corners = [jsontext.numbers(pa.array(np.ascontiguousarray(values[:, axis]))) for axis in range(4)]
        texts = {
            "id": self.annotation_ids.texts(objects.column("id"), own.get("id"), filled),
            "image_id": image_ids,
            "category_id": self.kind.category_ids.take(objects.column("category")),
            "bbox": jsontext.boxes(corners, pa.array(valid)),
            "area": jsontext.numbers(area),
            "iscrowd": _flag(crowd),
            "segmentation": objects.column("segmentation"),
            "keypoints": objects.column("keypoints"),
            "score": jsontext.numbers(objects.column("score")),
            "ignore": _flag(objects.column("ignore")),
            "difficult": _flag(objects.column("difficult")),
            "truncated": jsontext.numbers(objects.column("truncated")),
            "occluded": jsontext.numbers(objects.column("occluded")),
            "track_id": jsontext.numbers(objects.column("track_id")),
        }
        self.annotations += _put(self.held, _hide(texts, own), extra, self.annotations)

    def end(self, findings: Findings) -> None:
        """Write what was held, append the annotations and close the document."""
        for batch in self.waiting or ():
            self.add(batch)
        self.file.write(b'\n],\n"annotations": [')
        self.held.seek(0)
        shutil.copyfileobj(self.held, self.file, 1 << 20)
        self.file.write(b"\n]}\n")
        self.file.close()
        _refuse_duplicates(self.image_ids, self.path.name, findings)

    def close(self) -> None:
        """Let go of the files, however the run ends."""
        self.held.close()
        self.file.close()


def _refuse_duplicates(image_ids: _Ids, name: str, findings: Findings) -> None:
    others = [text for text, count in Counter(image_ids.others).items() if count > 1]
    clashes = [*repeated(image_ids.numbers), *others]
    findings.add_each(
        "image-id-clash",
        "two images would have the same id in one file",
        range(len(clashes)),
        lambda row: (name, f"id {clashes[row]}"),
        hint="name a folder as destination: every split gets a file of its own",
    )


def _flag(values: pa.Array) -> pa.StringArray:
    return jsontext.booleans(values, true="1", false="0")


def _put(file: IO[bytes] | BinaryIO, texts: dict[str, pa.StringArray], extra: pa.StringArray, before: int) -> int:
    """Write one JSON object a line; how many they were."""
    rows = jsontext.objects({key: text for key, text in texts.items() if text.null_count < len(text)}, extra)
    lines = pc.binary_join_element_wise(",\n", rows, "")
    data = jsontext.joined(lines)
    file.write(data if before else data[1:])
    return len(rows)


def _own_keys(
    extra: pa.StringArray, columns: Mapping[str, pa.Array], always: tuple[str, ...] = ()
) -> tuple[pa.StringArray, dict[str, NDArray[np.bool_]]]:
    """Where `extra` holds a key that is also a column's, such as an explicit null, which stands; and `extra` without
    the keys of which a column has the value, such as the null of a category that was given since."""
    found: dict[str, NDArray[np.bool_]] = {}
    if extra.null_count == len(extra):
        return extra, found
    changed: dict[int, str | None] = {}
    for row in jsontext.rows_with(extra, [*columns, *always]):
        parts = jsontext.members(extra[row].as_py())
        taken = [key for key in parts if key in always or (key in columns and _given(parts[key], columns[key][row]))]
        for key in parts:
            if key in columns and key not in taken:
                found.setdefault(key, np.zeros(len(extra), np.bool_))[row] = True
        if taken:
            changed[row] = jsontext.compose({key: text for key, text in parts.items() if key not in taken})
    if changed:
        extra = pa.array([changed.get(row, text) for row, text in enumerate(extra.to_pylist())], pa.string())
    return extra, found


def _given(own: str, value: pa.Scalar) -> bool:
    return own != "null" and bool(value.is_valid)


def _hide(texts: dict[str, pa.StringArray], own: dict[str, NDArray[np.bool_]]) -> dict[str, pa.StringArray]:
    return {
        key: pc.if_else(pa.array(own[key]), pa.scalar(None, pa.string()), text) if key in own else text
        for key, text in texts.items()
    }


def _own_ids(texts: pa.StringArray, extra: pa.StringArray, own: NDArray[np.bool_]) -> tuple[pa.StringArray, list[str]]:
    """The text of ids, those of the rows in `own` as `extra` has them, and the latter alone."""
    written, others = texts.to_pylist(), []
    for row in np.flatnonzero(own).tolist():
        written[row] = jsontext.members(extra[row].as_py())["id"]
        others.append(written[row])
    return pa.array(written, pa.string()), others
