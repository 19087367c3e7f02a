"""The text of images and annotations for COCO JSON, a batch at a time, in whatever process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

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
ALWAYS = ("image_id", "category_id")
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
    """The ids that are int64."""
    others: tuple[str, ...]
    """Those that are not, as text."""
    text: Left | None = None
    rest: Slip | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What becomes of the images of one split in a batch."""

    split: str | None
    images: Rows
    annotations: Rows
    image_ids: pa.StringArray | None
    """The id of each image, where some are still to be found."""
    filled: Counter[str]


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
        for part in schema.pieces(batch, AT_ONCE):
            if not self.by_split:
                found.append(self._piece(part, None, self.shelf))
                continue
            parts = ((split or None, schema.keep_images(part, mask)) for split, mask in schema.by_split(part))
            found += [self._piece(images, split, self.shelf) for split, images in parts]
        return tuple(found)

    def _piece(self, batch: pa.RecordBatch, split: str | None, shelf: Shelf) -> Piece:
        columns = {name: batch.column(name) for name in IMAGE_KEYS}
        extra, own = _own_keys(batch.column("extra"), columns)
        ids, extra, others = _id_texts(columns["id"], extra, own.pop("id", None))
        texts = {
            "file_name": jsontext.strings(columns["file_name"]),
            "width": jsontext.numbers(columns["width"]),
            "height": jsontext.numbers(columns["height"]),
            "video": jsontext.strings(columns["video"]),
            "frame": jsontext.numbers(columns["frame"]),
        }
        images = _rows(columns["id"], others, {"id": ids}, _hide(texts, own), extra, shelf)
        filled: Counter[str] = Counter({"image.id": ids.null_count})
        annotations = self._annotations(schema.flat(batch), ids, filled, shelf)
        return Piece(split, images, annotations, ids if ids.null_count else None, filled)

    def _annotations(self, objects: Objects, image_ids: pa.StringArray, filled: Counter[str], shelf: Shelf) -> Rows:
        values, valid = schema.boxes_of(objects.rows)
        extra, own = _own_keys(objects.column("extra"), {key: objects.column(key) for key in ANNOTATION_KEYS}, ALWAYS)
        ids, extra, others = _id_texts(objects.column("id"), extra, own.pop("id", None))
        filled["object.id"] += ids.null_count
        area = objects.column("area")
        if area.null_count:
            own_area = box_area(values, self.box)  # infinite where the sides are large: JSON has no such number
            known = valid & np.isfinite(own_area) & ~own.get("area", np.zeros(len(valid), np.bool_))
            lacking = pc.and_(area.is_null(), pa.array(known))
            filled["object.area"] += pc.sum(lacking).as_py() or 0
            area = pc.if_else(lacking, pa.array(own_area), area)
        crowd = objects.column("iscrowd")
        if crowd.null_count:
            lacking = pc.and_(crowd.is_null(), pa.array(~own.get("iscrowd", np.zeros(len(valid), np.bool_))))
            filled["object.iscrowd"] += pc.sum(lacking).as_py() or 0
            crowd = pc.if_else(lacking, False, crowd)
        corners = [jsontext.numbers(pa.array(np.ascontiguousarray(values[:, axis]))) for axis in range(4)]
        texts = {
            "category_id": self.category_ids.take(objects.column("category")),
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
        image = pa.array(objects.image_of(), pa.int32())
        keys = {"id": ids, "image_id": image if image_ids.null_count else image_ids.take(image)}
        return _rows(objects.column("id"), others, keys, _hide(texts, own), extra, shelf)


def _rows(
    ids: pa.Int64Array,
    others: tuple[str, ...],
    keys: dict[str, pa.Array],
    texts: dict[str, pa.StringArray],
    extra: pa.StringArray,
    shelf: Shelf,
) -> Rows:
    """Rows of JSON objects: `keys` are those that may still lack a value, `texts` the others."""
    numbers = ids.drop_null().to_numpy()
    image = keys.get("image_id")
    given = {key: text for key, text in texts.items() if text.null_count < len(text)}
    if not keys["id"].null_count and (image is None or pa.types.is_string(image.type)):
        lines = pc.binary_join_element_wise(",\n", jsontext.objects({**keys, **given}, extra), "")
        return Rows(len(ids), numbers, others, shelf.leave([jsontext.joined(lines)])[0])
    columns: dict[str, pa.Array] = {"id": keys["id"]}
    if image is not None and pa.types.is_string(image.type):
        given = {"image_id": image, **given}
    elif image is not None:
        columns["image"] = image
    # an object with a first member, so that a comma stands before all others; the ids come in its place
    whole = jsontext.objects({"": pa.repeat("", len(ids)), **given}, extra)
    columns["rest"] = pc.utf8_slice_codeunits(whole, len('{"":'))
    return Rows(len(ids), numbers, others, None, leave([pa.record_batch(columns)], shelf)[0])


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
        if own_id[0] not in "[{tf":  # else it is no id, and the object gets one
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
