"""Data sets drawn at random, as plain Python, and written as JSON Lines by code of their own."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .model import IMAGE, OBJECT, Box, Data, Numbers, Row, stem_of, yolo_name

SHAPES = ("box", "rbox", "quad", "polygon", "mask", "ellipse", "circle", "line", "points", "cuboid", "tag")
FORMS = [
    *(Numbers(kind, scale) for kind in ("xywh", "xyxy", "cxcywh") for scale in (None, 1)),
    Numbers("xyxy", None, 1, True), Numbers("xyxy", None, 0, True), Numbers("xywh", 1000), Numbers("xywh", None, 1),
]  # fmt: skip
LETTERS = "abzAZ019 ._-é\u0301ß犬🐈#%&'\"<>;,=[]*?~@+!()$`:|\u00a0\u0085\u2028\u200f\ufeff"
_RESERVED = ("con", "prn", "aux", "nul", *(f"{word}{digit}" for word in ("com", "lpt") for digit in "123456789"))
LITTER = ("._", "__macosx", ".ipynb_checkpoints")
"""What systems leave behind, which is passed over when it is read."""
SPECIAL = (
    "images", "labels", "Annotations", "ImageSets", "JPEGImages", "train", "val", "test", "classes", "README",
    "data.yaml", "instances_train.json", ".hidden", "a.txt", "a.xml", "null", "1", "-1 0.5", "_darknet.labels", "x.tar",
)  # fmt: skip
SPLITS = ("train", "val", "test", "fold 1", "ü", "minival", "holdout")


def texts(least: int = 0, most: int = 8) -> st.SearchStrategy[str]:
    """Text for values: of any characters but halves of surrogate pairs."""
    return st.one_of(
        st.text(LETTERS, min_size=least, max_size=most),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most),
    )


PARTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=8), st.sampled_from(SPECIAL), st.text("ab", min_size=1, max_size=2)
)
EXTENSIONS = st.sampled_from((".jpg", ".png", ".JPG", ".jpeg", ""))


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    if (name[1:2] == ":" and name[0].isalpha()) or any(part.endswith((".txt", ".xml")) for part in parts[:-1]):
        return False  # a drive; or the folder may be the file of another image
    return not any(
        part in ("", ".", "..") or part.split(".")[0].lower() in _RESERVED or part.lower().startswith(LITTER)
        for part in parts
    )


NAMES = st.builds(
    lambda folders, stem, extension: "/".join([*folders, stem + extension]),
    st.lists(PARTS, max_size=2),
    PARTS,
    EXTENSIONS,
).filter(_is_safe)
"""Names of images that may be files everywhere."""


def files_of(name: str) -> set[str]:
    """What images of the same name without extension have in common, in any format, on any file system."""
    stems = {stem_of(name), stem_of(yolo_name(name))}
    return {unicodedata.normalize("NFKC", stem).casefold() for stem in stems}


def _json_values() -> st.SearchStrategy[Any]:
    numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
    leaves = st.one_of(st.none(), st.booleans(), numbers, texts())
    keys = st.one_of(st.sampled_from(KEYS), texts())
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
    )


KEYS = (
    "license", "coco_url", "pose", "parts", "size", "splits", "depth", "segmented", "folder", "source", "@verified",
    "#text", "extra", "bndbox", "part", "name", "object", "filename", "type", "box", "label", "class", "file",
    "annotations", "objects", "image_id", "category_id", "truncated", "difficult", "a b", "", "1",
)  # fmt: skip
JSON = _json_values()
IMAGE_COLUMNS = {*IMAGE, "image_id"} - {"split", "extra"}
OBJECT_COLUMNS = {*OBJECT} - {"extra", "rotation", "shape", "category"}
"""Keys with a column of their own: beside a column without a value, they can be an explicit null alone."""


def extras(columns: set[str], others: tuple[str, ...] = ()) -> st.SearchStrategy[Row]:
    """Keys that have no column, and explicit nulls of those that have."""
    keys = st.one_of(st.sampled_from(KEYS), texts()).filter(lambda key: key not in columns and key not in others)
    plain = st.dictionaries(keys, JSON, min_size=1, max_size=3)
    nulls = st.dictionaries(st.sampled_from(sorted(columns - {"id", "image_id"})), st.none(), max_size=2)
    return st.builds(lambda one, other: {**one, **other}, plain, nulls)


NUMBERS = st.one_of(
    st.integers(-50, 20_000),
    st.floats(-50, 20_000),
    st.floats(0, 1),
    st.sampled_from(
        [0, 0.0, -0.0, 5e-324, 1e-7, 1 / 3, 0.1, 2**53 + 1.0, 1e17, 1e300, -1e300, 1e5, 1e16, 123456.5, 0.0000005]
    ),
)
MODEST = st.one_of(st.integers(-50, 20_000), st.floats(-50, 20_000), st.floats(0, 1))
IDS = st.one_of(st.integers(0, 9), st.integers(-(2**62), 2**62), st.sampled_from([0, -1, 2**53, 2**53 + 1]))
POLYGONS = st.lists(
    st.lists(st.tuples(MODEST, MODEST), min_size=3, max_size=5).map(lambda points: [n for p in points for n in p]),
    min_size=1,
    max_size=3,
)
MASKS = st.fixed_dictionaries(
    {"counts": st.one_of(st.lists(st.integers(0, 99), max_size=4), texts(1)), "size": st.just([480, 640])}
)
KEYPOINTS = st.lists(st.tuples(MODEST, MODEST, st.integers(0, 2)), min_size=1, max_size=4).map(
    lambda points: [n for p in points for n in p]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEVELS = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 2.0]), st.floats(0, 1))


@st.composite
def _objects(draw: st.DrawFn, classes: int, turned: bool) -> Row:
    most: dict[str, st.SearchStrategy[Any]] = {
        "id": IDS, "shape": st.sampled_from(SHAPES), "score": st.one_of(st.floats(0, 1), FLOATS), "area": FLOATS,
        "iscrowd": st.booleans(), "difficult": st.booleans(), "ignore": st.booleans(), "truncated": LEVELS,
        "occluded": LEVELS, "track_id": st.integers(-(2**63), 2**63 - 1), "segmentation": st.one_of(POLYGONS, MASKS),
        "keypoints": KEYPOINTS, "extra": extras(OBJECT_COLUMNS),
    }  # fmt: skip
    if turned:
        most["rotation"] = st.one_of(st.sampled_from([0.0, 90.0, 180.0]), st.floats(-360, 360))
    row: Row = dict.fromkeys(OBJECT)
    row.update(draw(st.fixed_dictionaries({}, optional=most)))
    if draw(st.integers(0, 19)) or not (row["segmentation"] or row["keypoints"]):
        row["bbox"] = draw(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
    if classes and draw(st.integers(0, 29)):
        row["category"] = draw(st.integers(0, classes - 1))
    _spare(row)
    return row


def _spare(row: Row) -> None:
    """Let the columns win over extra keys of their names: both cannot be."""
    if row["extra"]:
        row["extra"] = {key: value for key, value in row["extra"].items() if row.get(key) is None} or None


@st.composite
def datasets(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES, unique: bool = True) -> Data:
    """A data set of up to six images; `unique`: no two of them want the same file in any format, or have one id."""
    form = draw(st.sampled_from(FORMS))
    turned = form.unit == (None, 0, False) and draw(st.integers(0, 3)) == 0
    categories = draw(
        st.lists(
            st.fixed_dictionaries(
                {"name": texts(0, 6), "id": st.none() | IDS, "supercategory": st.none() | texts()},
                optional={"extra": extras({"id", "supercategory"}, ("name",))},
            ),
            max_size=4,
            unique_by=lambda row: row["name"],
        )
    )
    with_splits, sized = draw(st.booleans()), draw(st.integers(0, 4)) > 0
    images: list[Row] = []
    taken: set[str] = set()
    for _ in range(draw(st.integers(0, 6))):
        image: Row = dict.fromkeys((*IMAGE, "objects"))
        name = draw(names)
        if unique and taken & files_of(name):
            continue
        taken |= files_of(name)
        rest = {"id": IDS, "video": texts(), "frame": st.integers(0, 2**31 - 1), "extra": extras(IMAGE_COLUMNS)}
        image.update(draw(st.fixed_dictionaries({}, optional=rest)))
        image["file_name"] = name
        if sized or draw(st.integers(0, 3)):
            image["width"], image["height"] = draw(st.integers(1, 20_000)), draw(st.integers(1, 20_000))
        image["split"] = draw(st.sampled_from(SPLITS)) if with_splits else None
        if draw(st.integers(0, 9)):
            image["objects"] = draw(st.lists(_objects(len(categories), turned), max_size=5))
        _spare(image)
        images.append(image)
    if images and draw(st.integers(0, 19)) == 0:
        images[0]["file_name"], images[0]["id"] = None, 77
    for number, row in enumerate([*images, *(row for image in images for row in image["objects"] or ())]):
        if row["id"] is None and draw(st.integers(0, 9)) == 0:
            row["extra"] = {
                **(row["extra"] or {}),
                "id": draw(st.sampled_from([2**64 + number, f"a{number}", number + 0.5])),
            }
    if unique:
        _distinct(images)
    _distinct([row for image in images for row in image["objects"] or ()]), _distinct(categories)
    said = draw(st.fixed_dictionaries({}, optional={"info": JSON, "licenses": JSON, "extra": extras(TOP)}))
    said = {name: value for name, value in said.items() if value is not None}
    for image in images:
        for row in image["objects"] or ():
            row["category"] = None if row["category"] is None else categories[row["category"]]["name"]
            row["bbox"] = row["bbox"] and Box.of(row["bbox"], form)
    rows = tuple({"extra": None, **row} for row in categories)
    for row in rows:
        _spare(row)
    return Data(form, rows, images=tuple(images), turned=turned, **said)


TOP = {"images", "annotations", "categories", "info", "licenses"}


def _distinct(rows: list[Row]) -> None:
    """Take the id away from all but the first row that has it."""
    seen: set[int] = set()
    for row in rows:
        if row["id"] in seen:
            row["id"] = None
        elif row["id"] is not None:
            seen.add(row["id"])


def write_lines(data: Data, path: Path, ascii_only: bool = False) -> None:
    """Write a data set as JSON Lines."""

    def line(row: Row) -> str:
        return json.dumps(row, ensure_ascii=ascii_only) + "\n"

    box: Row = asdict(data.form)
    if data.turned:
        box["rotation"] = {"unit": "degree", "sense": "cw", "pivot": "center"}
    index = {row["name"]: number for number, row in enumerate(data.categories)}
    first = {
        "type": "dataset", "bboxconv": 1, "box": box, "categories": [_given(row) for row in data.categories],
        "info": data.info, "licenses": data.licenses, "extra": data.extra,
    }  # fmt: skip
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(line(_given(first)))
        for image in data.images:
            row = _given({"type": "image", **image, "file": image["file_name"]})
            row.pop("file_name", None)
            if image["objects"] is not None:
                row["objects"] = [
                    _given({**one, "category": index.get(one["category"]), "bbox": one["bbox"] and one["bbox"].numbers})
                    for one in image["objects"]
                ]
            file.write(line(row))


def _given(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
