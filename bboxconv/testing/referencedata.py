"""Small data sets that hold all that the model allows, and what must become of them under a target.

They are those of the conformance suite; tests of tools that read batches can use them too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from bboxconv import schema
from bboxconv.boxformat import BoxFormat, Rotation
from bboxconv.codec import Target
from bboxconv.schema import Category, Dataset, Header

Row = dict[str, object]
"""One image or object as plain types, as `to_pylist` gives it."""

REFERENCES = ("full", "empty", "no boxes", "no class list", "unannotated", "odd names", "odd keys", "many boxes")
"""The data sets that every format takes. Those that some may refuse: `no class`, `no size`, `no file name`,
`not finite`, `unsafe names`, `same stem`.
"""

_TURNED = BoxFormat("xywh", rotation=Rotation("degree", "cw", "center"))
_CATEGORIES = (
    Category("traffic light", 2, "outdoor", '{"keypoints":["top","bottom"],"skeleton":[[1,2]],"color":null}'),
    Category("person", 7, "human"),
    Category("bicycle", 90),
)
_ODD_CLASSES = (
    "two words",
    "köy 犬",
    "a: b # c",
    "yes",
    "12",
    "<a&b>",
    'say "hi"',
    "comma, name",
    "null",
    "it's",
    "a\\b",
    "~",
)
_ODD_FILES = (
    "two words.jpg", "a.b..c.jpg", "sub/deep/x.jpg", "sub/x.jpg", "x.jpg", "ü/犬 🐈.jpg", "e\u0301.jpg", "no_extension",
    "UPPER.JPG", "a,b;c.jpg", "it's \"q\".jpg", " leading.jpg", "-dash.jpg", "#hash%20&amp;.jpg",
    ".hidden.jpg", "labels/x.jpg",
    "Annotations/x.jpg", "[1]*?.jpg", "train/x.jpg",
)  # fmt: skip
_ODD_KEYS = (
    '{"name":"n","filename":"f","file_name":"g","object":1,"objects":[],"size":5,"bndbox":{"xmin":1},"part":2,"parts":"p","type":"image",'
    '"file":"h","box":[1],"class":"c","label":"l","category":"d","image_id":-5,"category_id":"e","annotations":[],'
    '"with space":"\\u00fc","":0,"1":[],"@a":"","#t":"t",'
    '"extra":{"extra":null},"f":1e-300,"big":123456789012345678901234567890,"deep":[[[{"a":"<&>\\"\\n\\t"}]]],"true":true,"no":null,"\\"":"\\\\"}'
)


def reference_dataset(name: str, box: BoxFormat | None = None) -> Dataset:
    """The reference data set of that name. `box` is the box format of `many boxes`, whose numbers are drawn in its
    unit; the others are xywh in pixels.

    Raises KeyError for a name that is none.
    """
    if name == "many boxes":
        return _many(box or BoxFormat("xywh"))
    categories = tuple(Category(word) for word in _ODD_CLASSES) if name == "odd names" else _CATEGORIES
    header = Header(BoxFormat("xywh"), categories)
    if name == "full":
        texts = (
            '{"year":2024,"description":"\\u00e9 <&>"}',
            '[{"id":3,"name":"CC0"}]',
            '{"scene":{"weather":"rain","hours":[1,2.5]}}',
        )
        header = Header(_TURNED, categories, *texts)
    if name == "no class list":
        header = Header(BoxFormat("xywh"))
    return dataset_of(header, _IMAGES[name])


def rows_of(dataset: Dataset) -> list[Row]:
    """All images as plain types."""
    return cast("list[Row]", dataset.to_table().to_pylist())


def dataset_of(header: Header, images: Iterable[Mapping[str, object]]) -> Dataset:
    """A data set of one batch from images as plain types; what a row does not name is null, and so are `objects`."""
    rows = list(images)
    objects = [cast("list[Row] | None", row.get("objects")) for row in rows]
    flat = [row for part in objects for row in part or ()]
    offsets = np.cumsum([0, *(len(part or ()) for part in objects)], dtype=np.int64)
    values = np.array([row.get("bbox") or [np.nan] * 4 for row in flat], np.float64).reshape(-1, 4)
    shapes = [cast("str | None", row.get("shape")) for row in flat]
    columns: dict[str, pa.Array] = {
        field.name: pa.array([row.get(field.name) for row in flat], field.type)
        for field in schema.OBJECT
        if field.name not in ("bbox", "shape")
    }
    columns["bbox"] = schema.bbox_array(values, np.array([row.get("bbox") is not None for row in flat], np.bool_))
    codes = np.array([schema.SHAPES.index(shape) if shape else 0 for shape in shapes], np.int8)
    columns["shape"] = schema.shape_array(codes, np.array([shape is not None for shape in shapes], np.bool_))
    named = {
        name: pa.array([row.get(name) for row in rows], schema.IMAGE.field(name).type) for name in schema.IMAGE_FIELDS
    }
    annotated = np.array([part is not None for part in objects], np.bool_)
    batch = schema.image_batch(named, offsets, schema.object_rows(columns, len(flat)), annotated)
    return Dataset(header, lambda: iter([batch] if len(batch) else []), len(batch))


def _image(name: str | None, *objects: Row, **more: object) -> Row:
    return {"file_name": name, "width": 640, "height": 480, "objects": list(objects), **more}


def _object(category: int | None = 0, bbox: tuple[float, ...] | None = (10.0, 20.0, 30.0, 40.0), **more: object) -> Row:
    return {"category": category, "bbox": bbox, **more}


def _full() -> list[Row]:
    """Every field with a value, in one object or another, next to objects and images that have none."""
    extra = '{"license":3,"coco_url":"http://images.example/1.jpg","nested":{"a":[1,2.5,null,true,"x<y&z"]},"empty":"","none":null}'
    whole = _object(
        1, (0.1, 1 / 3, 123.45678901234567, 2**0.5), id=41, shape="polygon", score=0.98765432109876543,
        area=174.5925925925926, iscrowd=False, difficult=True, ignore=False, truncated=0.25, occluded=2.0,
        track_id=2**53 + 1, segmentation="[[0.1,0.3333333333333333,123.5,1.5,60,1.7]]", keypoints="[11,21.5,2,0,0,0]",
        extra=extra,
    )  # fmt: skip
    crowd = _object(
        0,
        (0.0, 0.0, 640.0, 480.0),
        id=42,
        iscrowd=True,
        shape="mask",
        segmentation='{"counts":[3,5,2],"size":[480,640]}',
        area=5.0,
    )
    others = (
        _object(2, (10.0, 20.0, 40.0, 20.0), id=43, rotation=90.0, shape="rbox"),
        _object(2, (-12.5, -3.0, 40.0, 20.0), id=44, difficult=False, truncated=1.0, occluded=0.0),
        _object(0, (600.0, 400.0, 100.0, 0.0), id=45, ignore=True, score=0.0),
        _object(1, (1.0, 2.0, 3.0, 4.0)),
    )
    return [
        _image("full/a b.c.jpg", whole, crowd, *others, id=7, split="train", video="clip", frame=12, extra=extra),
        _image("plain.jpg", _object(0), _object(0), id=9, split="val"),
        _image("empty.jpg", id=2**40, split="train"),
        _image("last.jpg", _object(2, (5e-324, 1e-7, 1e17, 3.0)), id=3, split="test", width=1, height=2**31 - 1),
    ]


def _many(box: BoxFormat) -> Dataset:
    generator = np.random.default_rng(2718)
    side = 400.0 if box.scale is None else box.scale * 0.4
    values = generator.random((3000, 4)) * side
    if box.kind == "xyxy":
        values[:, 2:] += values[:, :2]
    objects = [_object(int(n) % 3, tuple(row)) for n, row in enumerate(values.tolist())]
    return dataset_of(
        Header(box, _CATEGORIES),
        [
            _image("many.jpg", *objects, width=1000, height=1000),
            _image("more.jpg", objects[0], width=1000, height=1000),
        ],
    )


_IMAGES: Mapping[str, list[Row]] = {
    "full": _full(),
    "empty": [],
    "no boxes": [_image("a.jpg"), _image("sub/b.jpg")],
    "no class list": [_image("a.jpg")],
    "unannotated": [{**_image("nobody.jpg"), "objects": None}, _image("looked.jpg"), _image("one.jpg", _object(1))],
    "odd names": [
        _image(name, _object(n % len(_ODD_CLASSES)), _object((n + 1) % len(_ODD_CLASSES)))
        for n, name in enumerate(_ODD_FILES)
    ],
    "odd keys": [
        _image("c.jpg", _object(0, extra='{"id":"o-1"}'), _object(1, extra='{"track_id":null}'), extra='{"id":"a7"}'),
        _image("a.jpg", _object(0, extra=_ODD_KEYS), _object(1), extra=_ODD_KEYS),
        _image("b.jpg", _object(2)),
    ],
    "no class": [_image("a.jpg", _object(1), _object(None))],
    "no size": [_image("a.jpg", _object(1)), _image("b.jpg", _object(0), width=None, height=None)],
    "no file name": [_image("a.jpg", _object(1), id=1), _image(None, _object(0), id=2)],
    "not finite": [
        _image("a.jpg", _object(0, (np.nan, 1.0, 2.0, 3.0)), _object(1, (1.0, np.inf, 2.0, 3.0)), _object(2))
    ],
    "unsafe names": [
        _image("../../out.jpg", _object(1)),
        _image("/tmp/absolute-bboxconv-name.jpg"),
        _image("a/../../../b.jpg"),
    ],
    "same stem": [_image("a/x.jpg", _object(1)), _image("a/x.png", _object(2))],
}


# -- what must become of them


@dataclass(slots=True)
class Expected:
    """What must come of reference data under a target: the images in order, and the account."""

    images: list[Row] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    left_out_images: Counter[str] = field(default_factory=Counter)
    left_out_boxes: Counter[str] = field(default_factory=Counter)


def expected(dataset: Dataset, target: Target) -> Expected:
    """The images that must be written, and what must be counted as left out and as lost."""
    found = Expected()
    for image in rows_of(dataset):
        objects = cast("list[Row] | None", image["objects"])
        if objects is None and "unannotated" not in target.carries:
            found.left_out_images["not annotated"] += 1
            continue
        own = [row for row in objects or () if not _left_out(row, target, found.left_out_boxes)]
        if not own and "image.objects" in target.requires:
            found.left_out_images["without boxes, which the format cannot show"] += 1
            continue
        kept = None if objects is None else [_turned(row, target) for row in own]
        found.images.append({**image, "objects": kept})
        _see("image", schema.IMAGE_FIELDS, image, found.seen)
        for row in own:
            _see("object", schema.OBJECT_FIELDS, row, found.seen)
        _lose("image", schema.IMAGE_FIELDS, image, target, found.lost)
        for row in kept or ():
            _lose("object", schema.OBJECT_FIELDS, row, target, found.lost)
    _lose_header(dataset.header, target, found.lost)
    _see_header(dataset.header, found.seen)
    return found


def _left_out(row: Row, target: Target, counts: Counter[str]) -> bool:
    carries = target.carries
    for reason, is_so in (
        ("crowd", row["iscrowd"] and "object.iscrowd" not in carries and target.crowd == "drop"),
        ("ignore region", row["ignore"] and "object.ignore" not in carries),
        ("rotated", row["rotation"] is not None and "object.rotation" not in carries and target.rotated == "drop"),
        ("without a bbox", row["bbox"] is None and "object.bbox" in target.requires),
    ):
        if is_so:
            counts[reason] += 1
            return True
    return False


def _turned(row: Row, target: Target) -> Row:
    """The row without its rotation where that is not carried. Reference boxes are xywh turned by a right angle: the
    envelope has their sides swapped.
    """
    if row["rotation"] is None or "object.rotation" in target.carries:
        return row
    x, y, w, h = cast("list[float]", row["bbox"])
    envelope = [x + w / 2 - h / 2, y + h / 2 - w / 2, h, w]
    return {**row, "rotation": None, "bbox": envelope if target.rotated == "envelope" else row["bbox"]}


def _lose(prefix: str, fields: Sequence[str], row: Row, target: Target, lost: Counter[str]) -> None:
    for name in fields:
        key, value = f"{prefix}.{name}", row[name]
        if key == "object.shape" and "object.segmentation" in target.carries and row["segmentation"] is not None:
            continue  # what was drawn is written
        if name == "extra" and value is not None:
            lost.update(reserved_of(key, row, target))
        if (
            key in target.carries
            or value is None
            or value is False
            or (name in ("truncated", "occluded") and not value)
        ):
            continue
        if name != "extra":
            lost[key] += 1
            continue
        lost.update(
            member for member in (f"{key}.{part}" for part in json.loads(str(value))) if member not in target.carries
        )


def _see(prefix: str, fields: Sequence[str], row: Row, seen: Counter[str]) -> None:
    for name in fields:
        if name == "extra" and row[name] is not None:
            seen.update(f"{prefix}.extra.{key}" for key in json.loads(str(row[name])))
        elif row[name] is not None:
            seen[f"{prefix}.{name}"] += 1


def _see_header(header: Header, seen: Counter[str]) -> None:
    seen.update(name for name in ("info", "licenses") if getattr(header, name) is not None)
    seen.update(f"extra.{key}" for key in json.loads(header.extra or "{}"))
    for category in header.categories:
        seen.update(f"category.{f.name}" for f in fields(category) if getattr(category, f.name) is not None)


def reserved_of(key: str, row: Row, target: Target) -> list[str]:
    """The extra keys of a row that the target takes for its own, and so cannot carry."""
    if key not in target.carries:
        return []
    found = []
    for part, value in json.loads(str(row["extra"])).items():
        own = part not in row or (value is not None and row[part] is not None)
        if f"{key}.{part}" in target.reserved and own:
            found.append(f"{key}.{part}")
    return found


def _lose_header(header: Header, target: Target, lost: Counter[str]) -> None:
    for name in ("info", "licenses"):
        lost[name] += name not in target.carries and getattr(header, name) is not None
    if header.extra is not None and "extra" not in target.carries:
        lost.update(f"extra.{key}" for key in json.loads(header.extra))
    for name in ("id", "supercategory", "extra"):
        values = [getattr(category, name) for category in header.categories]
        # ids that are the index come back by themselves; those in its order are said by it, though as other numbers
        told = (
            name == "id"
            and None not in values
            and (values == list(range(len(values))) or (target.indexed and values == sorted(set(values))))
        )
        lost[f"category.{name}"] += (
            0 if told or f"category.{name}" in target.carries else sum(value is not None for value in values)
        )


def carried_extra(prefix: str, row: Row, target: Target) -> object:
    """The members of an `extra` that must come back, or None."""
    if row["extra"] is None:
        return None
    gone = reserved_of(prefix, row, target)
    members = {f"{prefix}.{key}": value for key, value in json.loads(str(row["extra"])).items()}
    kept = {key: value for key, value in members.items() if {prefix, key} & target.carries and key not in gone}
    return {key.removeprefix(f"{prefix}."): value for key, value in kept.items()} or None


@dataclass(frozen=True, slots=True)
class Broken:
    """A source with a fault, and what has to be said of it.

    One file whose path has no folder is the source itself, else the folder that holds the files is.
    """

    files: Mapping[str, bytes]
    """Content by path."""
    code: str
    where: str
    """What the place of the fault contains, such as `a.xml:14` or `$.annotations[3].bbox`."""

    def put(self, folder: Path) -> Path:
        """Write the files below a folder; the source."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        only = next(iter(self.files))
        return folder / only if len(self.files) == 1 and "/" not in only else folder


def count_boxes(images: Sequence[Row]) -> int:
    """How many objects images have together."""
    return sum(len(cast("list[Row]", image["objects"] or ())) for image in images)


def contents(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files of a folder, by their path."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path.parent).as_posix(): file.read_bytes() for file in files}


def in_batches(dataset: Dataset, size: int) -> Dataset:
    """The same images in batches of that size."""

    def stream() -> Iterator[pa.RecordBatch]:
        for batch in dataset:
            yield from schema.pieces(batch, size)

    return replace(dataset, stream=stream)
