"""The text of images and annotations for COCO JSON, a batch at a time, in whatever process."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.boxes import BoxFormat, box_area
from bboxconv.codec import Encoding
from bboxconv.schema import Category, Header, Objects
from bboxconv.shelf import Left, Shelf
from bboxconv.spool import Slip, leave

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
AT_ONCE = 1024
"""Images that become text at a time: the text of a column stands in memory several times on the way."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The text of the images or annotations of a batch.

    Where all have an id it is ready to be written: `text`, each row with a comma and a line break before it. Else
    `rest` has a row for each: `id`, as text, null where it is still to be found; `image`, the row of the image of an
    annotation, where the id of that is; and `rest`, what follows the ids.
    """

    count: int
    numbers: NDArray[np.int64]
    """The ids of images that are int64; of annotations the largest."""
    others: tuple[str, ...]
    """Those of images that are not, as text."""
    text: Left | None = None
    rest: Slip | None = None
    lacking: int = 0
    """How many have no id."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What becomes of the images of one split in a batch."""

    split: str | None
    images: Rows
    annotations: Rows
    boxes: NDArray[np.int32]
    """How many annotations each image has."""
    image_ids: pa.StringArray | None
    """The id of each image, where some are still to be found."""
    numbers: Sequence[int]
    """What each image is known by."""
    filled: Mapping[str, NDArray[np.int32]]
    """How many values of each image were filled in, by field."""


Texts = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How batches become text: the same for all of a run."""

    box: BoxFormat
    category_ids: pa.StringArray
    by_split: bool
    shelf: Shelf
    """Where text stays until all of it is there."""

    @classmethod
    def of(cls, header: Header, shelf: Shelf, *, by_split: bool) -> Kind:
        """For a header; `by_split`: every split has a document of its own."""
        return cls(header.box, category_ids(header.categories, Counter()), by_split, shelf)

    def encode(self, batch: pa.RecordBatch, encoding: Encoding) -> Texts:
        """The text of a batch, on a shelf."""
        found: list[Piece] = []
        first = encoding.first
        for part in schema.pieces(batch, AT_ONCE):
            numbers = range(first, first + len(part))
            first += len(part)
            if not self.by_split:
                found.append(self._piece(part, None, numbers))
                continue
            for split, mask in schema.by_split(part):
                own = numbers if mask.all() else array("q", np.flatnonzero(mask) + numbers.start)
                found.append(self._piece(schema.keep_images(part, mask), split or None, own))
        return tuple(found)

    def _piece(self, batch: pa.RecordBatch, split: str | None, numbers: Sequence[int]) -> Piece:
        columns = {name: batch.column(name) for name in IMAGE_KEYS}
        extra, own = batch.column("extra"), _own_keys(batch.column("extra"), columns)
        ids, extra, others = _id_texts(columns["id"], extra, own.pop("id", None))
        texts = {
            "file_name": jsontext.strings(columns["file_name"]),
            "width": jsontext.numbers(columns["width"]),
            "height": jsontext.numbers(columns["height"]),
            "video": jsontext.strings(columns["video"]),
            "frame": jsontext.numbers(columns["frame"]),
        }
        images = _rows(columns["id"], others, ids, None, _hide(texts, own), extra, self.shelf)
        filled = {"image.id": _mask(ids.is_null()).astype(np.int32)} if ids.null_count else {}
        objects = schema.flat(batch)
        annotations, lacking = self._annotations(objects, ids)
        for name, rows in lacking.items():
            if rows.any():
                counts = np.concatenate(([0], np.cumsum(rows)))
                filled[name] = np.diff(counts[objects.offsets]).astype(np.int32)
        boxes = np.diff(objects.offsets).astype(np.int32)
        return Piece(split, images, annotations, boxes, ids if ids.null_count else None, numbers, filled)

    def _annotations(self, objects: Objects, image_ids: pa.StringArray) -> tuple[Rows, dict[str, NDArray[np.bool_]]]:
        """The annotations, and by field which of them (N,) got a value that they lacked."""
        values, valid = schema.boxes_of(objects.rows)
        extra = objects.column("extra")
        own = _own_keys(extra, {key: objects.column(key) for key in ANNOTATION_KEYS})
        ids, extra, others = _id_texts(objects.column("id"), extra, own.pop("id", None))
        filled = {"object.id": _mask(ids.is_null())}
        area = objects.column("area")
        if area.null_count:
            found = box_area(values, self.box)
            given = np.isfinite(found) & ~own.get(
                "area", np.zeros(len(valid), np.bool_)
            )  # beyond float64 there is none
            lacking = pc.and_(area.is_null(), pa.array(given))
            filled["object.area"] = _mask(lacking)
            area = pc.if_else(lacking, pa.array(found), area)
        crowd = objects.column("iscrowd")
        if crowd.null_count:
            lacking = pc.and_(crowd.is_null(), pa.array(~own.get("iscrowd", np.zeros(len(valid), np.bool_))))
            filled["object.iscrowd"] = _mask(lacking)
            crowd = pc.if_else(lacking, False, crowd)
        corners = [jsontext.numbers(pa.array(np.ascontiguousarray(values[:, axis]))) for axis in range(4)]
        texts: dict[str, jsontext.Texts] = {
            "category_id": self.category_ids.take(objects.column("category")),
            "bbox": _box(corners, valid),
            "area": jsontext.numbers(area),
            "iscrowd": "0" if not crowd.null_count and not crowd.true_count else _flag(crowd),
            "segmentation": objects.column("segmentation"),
            "keypoints": objects.column("keypoints"),
            "score": jsontext.numbers(objects.column("score")),
            "ignore": _flag(objects.column("ignore")),
            "difficult": _flag(objects.column("difficult")),
            "truncated": jsontext.numbers(objects.column("truncated")),
            "occluded": jsontext.numbers(objects.column("occluded")),
            "track_id": jsontext.numbers(objects.column("track_id")),
        }
        image = pa.array(objects.image_of(), pa.int32())
        image = image if image_ids.null_count else image_ids.take(image)
        rows = _rows(objects.column("id"), others, ids, image, _hide(texts, own), extra, self.shelf)
        largest = np.sort(rows.numbers)[-1:]  # all that is asked of them, and some millions are not to be sent
        return replace(rows, numbers=largest, others=()), filled


def _mask(values: pa.BooleanArray) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _rows(
    numbers: pa.Int64Array,
    others: tuple[str, ...],
    ids: pa.StringArray,
    image: pa.Array | None,
    texts: dict[str, jsontext.Texts],
    extra: pa.StringArray,
    shelf: Shelf,
) -> Rows:
    """Rows of JSON objects: the ids that are int64, those that are not, all as text; the row or, as text, the id of
    the image of each annotation; and the other members."""
    count, known = len(ids), numbers.drop_null().to_numpy()
    found = image is None or pa.types.is_string(image.type)
    if image is not None and found:
        texts = {"image_id": image, **texts}
    rest = jsontext.tails(texts, extra)
    if not ids.null_count and found:
        lines = pc.binary_join_element_wise(',\n{"id":', ids, *rest, "")
        return Rows(count, known, others, shelf.leave([jsontext.joined(lines)])[0])
    columns: dict[str, pa.Array] = {"id": ids}
    if not found:
        columns["image"] = image
    columns["rest"] = pc.binary_join_element_wise(pa.repeat("", count), *rest, "")
    return Rows(count, known, others, None, leave([pa.record_batch(columns)], shelf)[0], ids.null_count)


def _box(corners: list[pa.StringArray], valid: NDArray[np.bool_]) -> jsontext.Texts:
    if not valid.all():
        return jsontext.boxes(corners, pa.array(valid))
    return ("[", corners[0], ",", corners[1], ",", corners[2], ",", corners[3], "]")


def _id_texts(
    ids: pa.Int64Array, extra: pa.StringArray, own: NDArray[np.bool_] | None
) -> tuple[pa.StringArray, pa.StringArray, tuple[str, ...]]:
    """The text of ids, null where there is none; `extra` without those that it had itself in the rows of `own`; and
    the latter alone."""
    texts = jsontext.numbers(ids)
    if own is None:
        return texts, extra, ()
    written, rest, others = texts.to_pylist(), extra.to_pylist(), []
    for row in np.flatnonzero(own).tolist():
        members = jsontext.members(rest[row])
        own_id = members.pop("id")
        rest[row] = jsontext.compose(members)
        written[row] = own_id
        others.append(own_id)
    return pa.array(written, pa.string()), pa.array(rest, pa.string()), tuple(others)


def category_ids(categories: tuple[Category, ...], filled: Counter[str]) -> pa.StringArray:
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


def _flag(values: pa.Array) -> pa.StringArray:
    return jsontext.booleans(values, true="1", false="0")


def _own_keys(extra: pa.StringArray, columns: Mapping[str, pa.Array]) -> dict[str, NDArray[np.bool_]]:
    """Where `extra` holds a key that is also a column's, such as an explicit null, which stands."""
    found: dict[str, NDArray[np.bool_]] = {}
    if extra.null_count < len(extra):
        for row in jsontext.rows_with(extra, [*columns]):
            for key in columns.keys() & jsontext.members(extra[row].as_py()).keys():
                found.setdefault(key, np.zeros(len(extra), np.bool_))[row] = True
    return found


def _hide(texts: Mapping[str, jsontext.Texts], own: dict[str, NDArray[np.bool_]]) -> dict[str, jsontext.Texts]:
    """The texts without those of rows that have a member of that name of their own."""
    shown: dict[str, jsontext.Texts] = {**texts}
    for key in own.keys() & texts.keys():
        text = texts[key]
        whole = text if isinstance(text, str | pa.StringArray) else pc.binary_join_element_wise(*text, "")
        shown[key] = pc.if_else(pa.array(own[key]), pa.scalar(None, pa.string()), whole)
    return shown
