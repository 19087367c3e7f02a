"""Writing COCO JSON: the text of images and annotations for a batch at a time, images first, annotations held in an unnamed file until the images are through."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
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
from bboxconv.errors import Findings
from bboxconv.io import open_output
from bboxconv.schema import Category, Header, Objects

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


def write_coco(header: Header, batches: Iterable[pa.RecordBatch], out: Path, context: WriteContext) -> Written:
    """Write one document to the file `out`, or one for each split into the folder `out`."""
    filled: Counter[str] = Counter()
    documents: dict[str | None, _Document] = {}
    category_ids = _category_ids(header.categories, filled)
    head = _head(header, category_ids)
    folder = out.is_dir()
    try:
        if not folder:
            documents[None] = _Document.begin(out, head)
        for batch in batches:
            for split, piece in _by_split(batch) if folder else [(None, batch)]:
                if split not in documents:
                    documents[split] = _Document.begin(out / (f"instances_{split}.json" if split else "instances.json"), head)
                documents[split].add(piece, header.box, category_ids, filled)
        for document in documents.values():
            document.end(context)
    finally:
        for document in documents.values():
            document.close()
    return Written({name: count for name, count in filled.items() if count})


def _head(header: Header, category_ids: pa.StringArray) -> bytes:
    members = {"info": header.info, "licenses": header.licenses, **(jsontext.members(header.extra) if header.extra else {})}
    rows = []
    for category, number in zip(header.categories, category_ids.to_pylist(), strict=True):
        extra = jsontext.members(category.extra) if category.extra else {}
        parts = {"id": number, "name": json.dumps(category.name, ensure_ascii=False)}
        if category.supercategory is not None:
            parts["supercategory"] = json.dumps(category.supercategory, ensure_ascii=False)
        rows.append(jsontext.compose({**parts, **{key: text for key, text in extra.items() if key not in parts}}) or "{}")
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


def _by_split(batch: pa.RecordBatch) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    splits = pc.unique(batch.column("split")).to_pylist()
    for split in splits:
        mask = pc.is_null(batch.column("split")) if split is None else pc.equal(batch.column("split"), split).fill_null(False)
        yield split, batch if len(splits) == 1 else batch.filter(mask)


@dataclass(slots=True)
class _Document:
    """One file being written."""

    path: Path
    file: BinaryIO
    held: IO[bytes]
    next_image: int = 1
    next_annotation: int = 1
    images: int = 0
    annotations: int = 0
    image_ids: list[NDArray[np.int64]] = field(default_factory=list)

    @classmethod
    def begin(cls, path: Path, head: bytes) -> _Document:
        file = open_output(path)
        file.write(head)
        return cls(path, file, tempfile.TemporaryFile(dir=path.parent))

    def add(self, batch: pa.RecordBatch, box: BoxFormat, category_ids: pa.StringArray, filled: Counter[str]) -> None:
        """Write the images of a batch, hold its annotations."""
        columns = {name: batch.column(name) for name in IMAGE_KEYS}
        own = _own_keys(batch.column("extra"), IMAGE_KEYS)
        ids, image_ids, self.next_image = _ids(columns["id"], own.get("id"), self.next_image, filled, "image.id")
        self.image_ids.append(ids)
        texts = {
            "id": image_ids,
            "file_name": jsontext.strings(columns["file_name"]),
            "width": jsontext.numbers(columns["width"]),
            "height": jsontext.numbers(columns["height"]),
            "video": jsontext.strings(columns["video"]),
            "frame": jsontext.numbers(columns["frame"]),
        }
        self.images += _put(self.file, _hide(texts, own), batch.column("extra"), self.images)
        objects = schema.flat(batch)
        if len(objects.rows):
            written = pa.array(image_ids) if own.get("id") is None else _own_ids(image_ids, batch.column("extra"), own["id"])
            self._annotate(objects, written.take(pa.array(objects.image_of())), box, category_ids, filled)

    def _annotate(self, objects: Objects, image_ids: pa.StringArray, box: BoxFormat, category_ids: pa.StringArray, filled: Counter[str]) -> None:
        extra = objects.column("extra")
        own = _own_keys(extra, ANNOTATION_KEYS)
        ids, texts_of_ids, self.next_annotation = _ids(objects.column("id"), own.get("id"), self.next_annotation, filled, "object.id")
        values, valid = schema.boxes_of(objects.rows)
        area = objects.column("area")
        if area.null_count:
            lacking = pc.and_(area.is_null(), pa.array(valid & ~own.get("area", np.zeros(len(valid), np.bool_))))
            filled["object.area"] += pc.sum(lacking).as_py() or 0
            area = pc.if_else(lacking, pa.array(box_area(values, box)), area)
        crowd = objects.column("iscrowd")
        if crowd.null_count:
            lacking = pc.and_(crowd.is_null(), pa.array(~own.get("iscrowd", np.zeros(len(valid), np.bool_))))
            filled["object.iscrowd"] += pc.sum(lacking).as_py() or 0
            crowd = pc.if_else(lacking, False, crowd)
        corners = [jsontext.numbers(pa.array(np.ascontiguousarray(values[:, axis]))) for axis in range(4)]
        texts = {
            "id": texts_of_ids,
            "image_id": image_ids,
            "category_id": category_ids.take(objects.column("category")),
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

    def end(self, context: WriteContext) -> None:
        """Append the annotations and close the document."""
        self.file.write(b'\n],\n"annotations": [')
        self.held.seek(0)
        shutil.copyfileobj(self.held, self.file, 1 << 20)
        self.file.write(b"\n]}\n")
        self.file.close()
        _refuse_duplicates(self.image_ids, self.path.name, context.findings)

    def close(self) -> None:
        """Let go of the files, however the run ends."""
        self.held.close()
        self.file.close()


def _refuse_duplicates(image_ids: list[NDArray[np.int64]], name: str, findings: Findings) -> None:
    ids = np.sort(np.concatenate(image_ids)) if image_ids else np.zeros(0, np.int64)
    repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
    for number in repeated[:5].tolist():
        findings.add(
            "image-id-clash",
            "two images would have the same id in one file",
            where=name,
            detail=f"id {number}",
            hint="name a folder as destination: every split gets a file of its own",
            count=len(repeated) if number == repeated[0] else 0,
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


def _own_keys(extra: pa.StringArray, keys: tuple[str, ...]) -> dict[str, NDArray[np.bool_]]:
    """Where `extra` holds a key that is also a column's, such as an explicit null: what the source wrote stands."""
    if extra.null_count == len(extra):
        return {}
    likely = pc.match_substring_regex(extra, '"(?:' + "|".join(keys) + r')"\s*:').fill_null(False)
    rows = np.flatnonzero(likely.to_numpy(zero_copy_only=False))
    found: dict[str, NDArray[np.bool_]] = {}
    for row in rows.tolist():
        for key in jsontext.members(extra[row].as_py()):
            if key in keys:
                found.setdefault(key, np.zeros(len(extra), np.bool_))[row] = True
    return found


def _hide(texts: dict[str, pa.StringArray], own: dict[str, NDArray[np.bool_]]) -> dict[str, pa.StringArray]:
    return {key: pc.if_else(pa.array(own[key]), pa.scalar(None, pa.string()), text) if key in own else text for key, text in texts.items()}


def _ids(
    ids: pa.Array, own: NDArray[np.bool_] | None, after: int, filled: Counter[str], name: str
) -> tuple[NDArray[np.int64], pa.StringArray, int]:
    """Ids as numbers (those given alone) and as text, and the next free one: what has none is numbered on."""
    given = ids.drop_null().to_numpy()
    if len(given):
        after = max(after, int(given.max()) + 1)
    if not ids.null_count:
        return given, jsontext.numbers(ids), after
    lacking = ids.is_null().to_numpy(zero_copy_only=False)
    if own is not None:
        lacking &= ~own
    count = int(lacking.sum())
    filled[name] += count
    values = ids.fill_null(0).to_numpy(zero_copy_only=False).copy()
    values[lacking] = np.arange(after, after + count)
    return np.concatenate([given, values[lacking]]), jsontext.numbers(pa.array(values)), after + count


def _own_ids(texts: pa.StringArray, extra: pa.StringArray, own: NDArray[np.bool_]) -> pa.StringArray:
    """The text of ids, those of the rows in `own` as `extra` has them."""
    written = texts.to_pylist()
    for row in np.flatnonzero(own).tolist():
        written[row] = jsontext.members(extra[row].as_py())["id"]
    return pa.array(written, pa.string())
