"""What must become of a data set on its way through a format: a model in plain Python, without a line of the product.

It knows what formats declare (`FormatInfo`, `Target`) and what their docstrings state. Geometry is exact rational
arithmetic: a box is centre and size, with how far from them the format may be; where no conversion was needed, it is
the numbers themselves.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

Row = dict[str, Any]
IMAGE = ("id", "file_name", "width", "height", "split", "video", "frame", "extra")
OBJECT = (
    "id", "category", "bbox", "shape", "score", "area", "iscrowd", "difficult", "ignore", "truncated", "occluded",
    "rotation", "track_id", "segmentation", "keypoints", "extra",
)  # fmt: skip
NOISE = Fraction(1, 1 << 49)
"""What a few operations in float64 may add up to, as a part of the largest number in them."""
TINY = Fraction(1, 1 << 1040)


class _Some:
    """Stands for a value that a format fills in where the source has none."""

    def __repr__(self) -> str:
        return "SOME"


SOME = _Some()
ANY = _Some()
"""Stands for what nobody can tell: a box that lost most of its digits may have an area of float64, or none."""


@dataclass(frozen=True)
class Numbers:
    """What four numbers mean: as `BoxFormat`, of which it takes the fields."""

    kind: str
    scale: float | None = None
    origin: int = 0
    inclusive: bool = False

    @property
    def unit(self) -> tuple[float | None, int, bool]:
        return self.scale, self.origin, self.inclusive

    def centre(self, numbers: Iterable[float]) -> tuple[Fraction, ...]:
        """The centre and the size in continuous edges with origin 0, in pixels or in parts of the image (of 1)."""
        a, b, c, d = map(Fraction, numbers)
        if self.kind == "xyxy":
            a, b = a - self.origin, b - self.origin
            c, d = c - self.origin + self.inclusive, d - self.origin + self.inclusive
            a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
        else:
            a, b = a - self.origin, b - self.origin
            if self.kind == "xywh":
                a, b = a + c / 2, b + d / 2
        part = Fraction(self.scale) if self.scale is not None else Fraction(1)
        return a / part, b / part, c / part, d / part


@dataclass(frozen=True)
class Box:
    """A box: the numbers themselves as long as they are carried as they stand; what they mean; and how far from that
    they may be, for x and y."""

    numbers: tuple[float, ...] | None
    centre: tuple[Fraction, ...]
    slack: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))

    @classmethod
    def of(cls, numbers: Iterable[float], form: Numbers) -> Box:
        own = tuple(numbers)
        return cls(own, form.centre(own))

    def moved(self, old: Numbers, new: Numbers, size: tuple[int, int] | None, decimals: int | None) -> Box:
        """The box in another format, written with so many decimals."""
        if old == new and decimals is None:
            return self
        factors = _factors(old, new, size)
        centre = tuple(value * factors[axis % 2] for axis, value in enumerate(self.centre))
        slack = []
        for axis in (0, 1):
            one = max(old.origin or old.inclusive, new.origin or new.inclusive)
            noise = NOISE * (abs(centre[axis]) + abs(centre[axis + 2]) + one) + TINY
            rounding = Fraction(0) if decimals is None else Fraction(1, 2 * 10**decimals)
            slack.append(self.slack[axis] * factors[axis] + noise + rounding)
        return Box(None, centre, (slack[0], slack[1]))

    def is_like(self, numbers: Iterable[float], form: Numbers) -> bool:
        own = tuple(numbers)
        if self.numbers is not None:
            return [float(one).hex() for one in own] == [float(one).hex() for one in self.numbers]
        return all(
            abs(one - other) <= self.slack[axis % 2]
            for axis, (one, other) in enumerate(zip(form.centre(own), self.centre, strict=True))
        )


def _factors(old: Numbers, new: Numbers, size: tuple[int, int] | None) -> tuple[Fraction, Fraction]:
    if (old.scale is None) == (new.scale is None):
        return Fraction(1), Fraction(1)
    assert size is not None
    width, height = map(Fraction, size)
    return (width, height) if new.scale is None else (1 / width, 1 / height)


@dataclass(frozen=True)
class Points:
    """Polygons or keypoints in other units than they were drawn in: nested lists of fractions."""

    values: Any
    slack: tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Data:
    """A data set. Categories and images are as in JSON Lines, with `category` as the name of the class, `bbox` a Box,
    and JSON values in place of JSON text."""

    form: Numbers
    categories: tuple[Row, ...] = ()
    info: Any = None
    licenses: Any = None
    extra: Row | None = None
    images: tuple[Row, ...] = ()
    turned: bool = False
    """Whether boxes may be rotated, clockwise in degrees about their centre."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As hypothesis shows it: without what is not there."""
        rows = [{**image, "objects": image["objects"] and list(map(_given, image["objects"]))} for image in self.images]
        said = {name: getattr(self, name) for name in ("info", "licenses", "extra")}
        shown = [self.form, self.turned, list(map(_given, self.categories)), _given(said), list(map(_given, rows))]
        printer.text("\n".join(map(repr, shown)))

    @property
    def boxes(self) -> int:
        return sum(len(image["objects"] or ()) for image in self.images)


def _given(row: Row) -> Row:
    own = {name: value for name, value in row.items() if value is not None}
    return {**own, "bbox": own["bbox"].numbers} if "bbox" in own else own


@dataclass(frozen=True)
class Format:
    """What a format declares, and how its reader sees what its writer wrote."""

    name: str
    form: Numbers | None
    carries: frozenset[str]
    requires: frozenset[str]
    crowd: str
    decimals: int | None
    fills: frozenset[str]
    reserved: frozenset[str]
    indexed: bool = False
    """Whether its numbers of classes are places, so that ids in the same order still say the same classes."""
    apart: bool = False
    """Whether extra keys have a place of their own, so that one called `id` is no id."""
    nameless: Callable[[str], bool] = lambda name: False
    """Whether it cannot name a class so."""
    renamed: Callable[[str], str] = lambda name: name
    """What it calls an image."""
    clashing: Callable[[list[Row]], Mapping[int, str]] = lambda images: {}
    """Of images that could be written, by place, those that others or their names keep from it, with the code."""
    read: Callable[[Data], Data] = lambda data: data


@dataclass
class Account:
    """What a report must say of a conversion."""

    images: int = 0
    boxes: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    """But for sizes."""
    unsure: int = 0
    """How many areas may be filled in, or not."""
    faults: set[str] = field(default_factory=set)
    """The codes of errors."""
    late: list[int] = field(default_factory=list)
    """The places of images that are left out for what `Format.clashing` says."""


def passed(data: Data, target: Format) -> tuple[Data, Account]:
    """What is written of a data set, and the account of it."""
    account = Account()
    form = target.form or data.form
    given = []
    for place, image in enumerate(data.images):
        own = Account()
        kept = _image(image, data, target, own)
        account.faults |= own.faults
        if kept is not None:
            given.append((place, kept, own))
    late = target.clashing([kept for _, kept, _ in given])
    account.faults |= {*late.values()}
    account.late = [given[number][0] for number in sorted(late)]
    images = []
    for number, (_, kept, own) in enumerate(given):
        if number in late:
            continue
        account.images += 1
        account.boxes += len(kept["objects"] or ())
        account.seen += own.seen
        _count(kept, data, target, account)
        images.append(_written(kept, data.form, form, target, account))
    _count_header(data, target, account)
    said = {name: getattr(data, name) if name in target.carries else None for name in ("info", "licenses", "extra")}
    kept_keys = {
        key: value for key, value in (said.pop("extra") or {}).items() if f"extra.{key}" not in target.reserved
    }
    turned = data.turned and "object.rotation" in target.carries
    categories = _numbered(data.categories, target)
    account.filled["category.id"] = sum(
        row["id"] is None and own["id"] is not None for row, own in zip(data.categories, categories, strict=True)
    )
    return replace(
        data, form=form, categories=categories, **said, extra=kept_keys or None, images=tuple(images), turned=turned
    ), account


def _image(image: Row, data: Data, target: Format, account: Account) -> Row | None:
    """What of an image is written; None where it is left out."""
    carries, objects = target.carries, image["objects"]
    if objects is not None:
        objects = [row for row in objects if _stays(row, target)]
        if "object.category" in target.requires and any(row["category"] is None for row in objects):
            account.faults.add("missing-class")
            objects = [row for row in objects if row["category"] is not None]
        unfit = [row for row in objects if row["category"] is not None and target.nameless(row["category"])]
        if unfit:
            account.faults.add("bad-value")
            objects = [row for row in objects if row not in unfit]
    if objects is None and "unannotated" not in carries:
        return None
    if "image.file_name" in target.requires and image["file_name"] is None:
        account.faults.add("missing-file-name")
        return None
    sized = image["width"] is not None and image["height"] is not None
    form = target.form or data.form
    needed = "image.width" in target.requires or (objects and (form.scale is None) != (data.form.scale is None))
    if needed and not sized:
        account.faults.add("missing-image-size")
        return None
    if "object.rotation" not in carries:
        objects = objects and [_unturned(row, image, data, account) for row in objects]
    return {**image, "objects": objects}


def _stays(row: Row, target: Format) -> bool:
    crowd = row["iscrowd"] is True and "object.iscrowd" not in target.carries and target.crowd == "drop"
    ignored = row["ignore"] is True and "object.ignore" not in target.carries
    return not (crowd or ignored or ("object.bbox" in target.requires and row["bbox"] is None))


def _unturned(row: Row, image: Row, data: Data, account: Account) -> Row:
    """An object with the envelope of its box in place of its rotation."""
    if row["rotation"] is None or not data.turned:
        return row
    account.seen["object.rotation"] += 1
    box = row["bbox"]
    if box is not None and row["rotation"] != 0:
        angle = math.radians(row["rotation"])
        cos, sin = Fraction(abs(math.cos(angle))), Fraction(abs(math.sin(angle)))
        x, y, w, h = box.centre
        factors = _factors(data.form, Numbers("xywh"), (image["width"], image["height"]))
        w, h = w * factors[0], h * factors[1]
        size = (abs(w) * cos + abs(h) * sin, abs(w) * sin + abs(h) * cos)
        noise = 16 * NOISE * (abs(w) + abs(h) + abs(x * factors[0]) + abs(y * factors[1])) + TINY
        centre = (x, y, size[0] / factors[0], size[1] / factors[1])
        box = Box(None, centre, (noise / factors[0] + box.slack[0], noise / factors[1] + box.slack[1]))
    return {**row, "rotation": None, "bbox": box}


def _written(image: Row, old: Numbers, new: Numbers, target: Format, account: Account) -> Row:
    """An image as the format holds it: what it carries, and what it fills in."""
    size = (image["width"], image["height"])
    found = {name: image[name] if f"image.{name}" in target.carries else None for name in IMAGE}
    found["extra"] = _carried_extra("image", image, target)
    keys = {} if target.apart else found["extra"] or {}
    if found["id"] is None and "image.id" in target.fills and "id" not in keys:
        found["id"] = SOME
        account.filled["image.id"] += 1
    if found["split"] is None and "image.split" in target.fills:
        found["split"] = "train"
        account.filled["image.split"] += 1
    found["objects"] = None if image["objects"] is None else []
    for row in image["objects"] or ():
        own = {name: row[name] if f"object.{name}" in target.carries else None for name in OBJECT}
        own["extra"] = _carried_extra("object", row, target)
        own["bbox"] = row["bbox"] and row["bbox"].moved(old, new, size, target.decimals)
        for name in ("segmentation", "keypoints"):
            own[name] = _drawn(name, own[name], old, new, size)
        said = {} if target.apart else own["extra"] or {}
        for name in ("id", "area", "iscrowd"):
            if own[name] is not None or name in said or f"object.{name}" not in target.fills:
                continue
            if name == "area" and own["bbox"] is not None:
                own[name] = _area(own["bbox"], new, size)
            elif name == "id":
                own[name] = SOME
            elif name == "iscrowd":
                own[name] = False
            account.filled[f"object.{name}"] += own[name] not in (None, ANY)
            account.unsure += own[name] is ANY
        found["objects"].append(own)
    return found


def _area(box: Box, form: Numbers, size: tuple[int, int]) -> Any:
    """Whether width times height is a number of float64."""
    factors = _factors(form, Numbers("xywh"), size) if form.scale is not None else (1, 1)
    sides = [abs(box.centre[2 + axis]) * factors[axis] for axis in (0, 1)]
    slack = [4 * box.slack[axis] * factors[axis] for axis in (0, 1)]
    most = (sides[0] + slack[0]) * (sides[1] + slack[1])
    least = max(sides[0] - slack[0], 0) * max(sides[1] - slack[1], 0)
    if most < Fraction(2) ** 1024:
        return SOME
    return None if least >= Fraction(2) ** 1024 else ANY


def _drawn(name: str, value: Any, old: Numbers, new: Numbers, size: tuple[int, int]) -> Any:
    """Polygons or keypoints in the unit of the new format; what is neither stays."""
    if value is None or old.unit == new.unit or isinstance(value, Points) or not isinstance(value, list):
        return value
    factors = _factors(old, new, size)
    largest = [Fraction(0), Fraction(0)]

    def moved(number: float, axis: int) -> Fraction:
        part = Fraction(old.scale) if old.scale is not None else Fraction(1)
        whole = Fraction(new.scale) if new.scale is not None else Fraction(1)
        result = ((Fraction(number) - old.origin) / part * factors[axis] + new.origin) * whole
        largest[axis] = max(largest[axis], abs(result) + new.origin + old.origin)
        return result

    if name == "segmentation":
        values: Any = [[moved(number, at % 2) for at, number in enumerate(part)] for part in value]
    else:
        values = []
        for x, y, seen in zip(value[::3], value[1::3], value[2::3], strict=True):
            values += [moved(x, 0), moved(y, 1), seen] if seen else [x, y, seen]
    return Points(values, (largest[0] * NOISE + TINY, largest[1] * NOISE + TINY))


def _gone(prefix: str, row: Row, target: Format) -> set[str]:
    """The extra keys that the format takes for its own, and has another value for."""
    columns = IMAGE if prefix == "image" else OBJECT
    return {
        key
        for key, value in (row["extra"] or {}).items()
        if f"{prefix}.extra.{key}" in target.reserved
        and (key not in columns or (value is not None and row[key] is not None))
    }


def _carried_extra(prefix: str, row: Row, target: Format) -> Row | None:
    if f"{prefix}.extra" not in target.carries or row["extra"] is None:
        return None
    columns = IMAGE if prefix == "image" else OBJECT
    nulls = {key for key, value in row["extra"].items() if value is None and key in columns and key != "bbox"}
    filled = {key for key in nulls if f"{prefix}.extra.{key}" in target.reserved and row[key] is not None}
    gone = _gone(prefix, row, target) | filled
    return {key: value for key, value in row["extra"].items() if key not in gone} or None


def _numbered(categories: tuple[Row, ...], target: Format) -> tuple[Row, ...]:
    """The categories as the format holds them, those without an id numbered from behind the largest where it numbers
    them."""
    after = max((row["id"] for row in categories if row["id"] is not None), default=0)
    found = []
    for row in categories:
        own = {"name": row["name"]}
        for name in ("id", "supercategory", "extra"):
            own[name] = row[name] if f"category.{name}" in target.carries else None
        if own["id"] is None and "category.id" in target.fills:
            after += 1
            own["id"] = after
        found.append(own)
    return tuple(found)


# -- the account


def _count(image: Row, data: Data, target: Format, account: Account) -> None:
    _count_row("image", IMAGE, image, target, account)
    for row in image["objects"] or ():
        _count_row("object", OBJECT, row, target, account)


def _count_row(prefix: str, columns: Iterable[str], row: Row, target: Format, account: Account) -> None:
    for name in columns:
        field, value = f"{prefix}.{name}", row[name]
        if value is None:
            continue
        if name == "extra":
            keys = [f"{field}.{key}" for key in value]
            account.seen.update(keys)
            account.lost.update(keys if field not in target.carries else [])
            if field in target.carries:
                account.lost.update(f"{field}.{key}" for key in _gone(prefix, row, target))
            continue
        account.seen[field] += 1
        unset = value is False or (name in ("truncated", "occluded") and value == 0)
        told = name == "shape" and "object.segmentation" in target.carries and row["segmentation"] is not None
        if field not in target.carries and not unset and not told:
            account.lost[field] += 1


def _count_header(data: Data, target: Format, account: Account) -> None:
    for name in ("info", "licenses"):
        if getattr(data, name) is not None:
            account.seen[name] += 1
            account.lost[name] += name not in target.carries
    for key in data.extra or ():
        account.seen[f"extra.{key}"] += 1
        account.lost[f"extra.{key}"] += "extra" not in target.carries or f"extra.{key}" in target.reserved
    account.seen["category.name"] += len(data.categories)
    ids = [row["id"] for row in data.categories]
    for name in ("id", "supercategory", "extra"):
        count = sum(row[name] is not None for row in data.categories)
        account.seen[f"category.{name}"] += count
        places = sorted({number for number in ids if number is not None}) == ids  # in order, each once
        told = name == "id" and (ids == list(range(len(ids))) or (target.indexed and places))  # the index says it
        if f"category.{name}" not in target.carries and not told:
            account.lost[f"category.{name}"] += count


# -- how readers see what was written


def read_coco(data: Data) -> Data:
    """Categories by id; a polygon gives the box that an annotation lacks."""
    images = []
    for image in data.images:
        objects = [_placed(row) for row in image["objects"]]
        images.append({**image, "objects": objects})
    return replace(data, categories=tuple(sorted(data.categories, key=lambda row: row["id"])), images=tuple(images))


def _placed(row: Row) -> Row:
    drawn = row["segmentation"]
    if drawn is None or isinstance(drawn, dict):
        return row
    if row["bbox"] is not None:  # beside a null that stands it is that of the polygon still
        return {**row, "shape": "polygon"} if (row["extra"] or {}).get("bbox", ...) is None else row
    parts = drawn.values if isinstance(drawn, Points) else drawn
    xs, ys = [Fraction(x) for part in parts for x in part[::2]], [Fraction(y) for part in parts for y in part[1::2]]
    if not xs:
        return row
    w, h = max(xs) - min(xs), max(ys) - min(ys)
    slack = drawn.slack if isinstance(drawn, Points) else (Fraction(0), Fraction(0))
    noise = [4 * NOISE * (max(map(abs, values)) + 1) + 4 * by for values, by in zip((xs, ys), slack, strict=True)]
    centre = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2, w, h)
    return {**row, "bbox": Box(None, centre, (noise[0], noise[1])), "shape": "polygon"}


def read_voc(data: Data) -> Data:
    """The classes that boxes have, in code-point order."""
    used = {row["category"] for image in data.images for row in image["objects"]}
    categories = [{"name": name, "id": None, "supercategory": None, "extra": None} for name in sorted(used)]
    return replace(data, categories=tuple(categories))


def read_csv(data: Data) -> Data:
    """The classes that boxes have; ids are not written, but for those that are names."""
    used = {row["category"] for image in data.images for row in image["objects"]} - {None}
    numbers = all(name.isascii() and name.isdigit() and str(int(name)) == name for name in used)
    order = sorted(used, key=int) if numbers else sorted(used)
    ids = {name: int(name) if numbers else None for name in used}
    categories = [{"name": name, "id": ids[name], "supercategory": None, "extra": None} for name in order]
    return replace(data, categories=tuple(categories))


def read_yolo(data: Data) -> Data:
    """Names end with the extension that is assumed, and begin behind a folder `images`."""
    images = tuple({**image, "file_name": yolo_name(image["file_name"])} for image in data.images)
    return replace(data, images=images)


def yolo_name(name: str) -> str:
    """What YOLO's reader calls an image whose file is not there."""
    return stem_of(re.sub(r"(?s)^(?:.*/)?images/", "", name)) + ".jpg"


def clashing_files(suffix: str, place: Callable[[Row], str], images: list[Row]) -> dict[int, str]:
    """Of images with a file each, those that are left out: the name of one is no path below a folder; another has its
    file before it; or its file would be the folder of others."""
    found: dict[int, str] = {}
    files: dict[str, list[int]] = {}
    folders: set[str] = set()
    for number, image in enumerate(images):
        if image["file_name"] in UNSAFE:
            found[number] = "unsafe-name"
            continue
        *parents, last = place(image).split("/")
        files.setdefault("/".join([*parents, last + suffix]), []).append(number)
        folders |= {"/".join(parents[: end + 1]) for end in range(len(parents))}
    for file, numbers in files.items():
        found |= dict.fromkeys(numbers if file in folders else numbers[1:], "file-clash")
    return found


UNSAFE = ("../a.jpg", "sub/../b.jpg", "a\\b.jpg", "a\x00.jpg")
"""Names that are no path below a folder, or not everywhere."""


def voc_place(image: Row) -> str:
    return stem_of(image["file_name"].removeprefix("./"))


def yolo_place(image: Row) -> str:
    name = stem_of(yolo_name(image["file_name"].removeprefix("./")))
    return name if image["split"] is None else f"{image['split']}/{name}"


def odd_splits(images: list[Row]) -> dict[int, str]:
    """Images of a split that is no word, or words with dots between them."""
    return {
        number: "bad-split-name"
        for number, image in enumerate(images)
        if image["split"] is not None and not re.fullmatch(r"\w+(\.\w+)*", image["split"])
    }


def clashing_ids(images: list[Row]) -> dict[int, str]:
    """Images of one document whose id one before them has."""
    found: dict[int, str] = {}
    seen: set[int] = set()
    for number, image in enumerate(images):
        if isinstance(image["id"], int):
            found |= {number: "image-id-clash"} if image["id"] in seen else {}
            seen.add(image["id"])
    return found


def stem_of(name: str) -> str:
    """A name without its extension; a dot at the start of the last part begins none."""
    folder, slash, last = name.rpartition("/")
    stem, dot, _ = last.rpartition(".")
    return folder + slash + (stem if dot and stem else last)


def read_hf(data: Data) -> Data:
    """Classes of one name are one class, and images stand by split."""
    names = dict.fromkeys(row["name"] for row in data.categories)
    categories = [{"name": name, "id": None, "supercategory": None, "extra": None} for name in names]
    order = {"train": 0, "val": 1, "test": 2}
    images = sorted(data.images, key=lambda image: (order.get(image["split"], 3), image["split"]))
    return replace(data, categories=tuple(categories), images=tuple(images))


READERS: Mapping[str, Callable[[Data], Data]] = {
    "coco": read_coco,
    "csv": read_csv,
    "hf": read_hf,
    "voc": read_voc,
    "yolo": read_yolo,
}


# -- comparing


def differences(wanted: Data, rows: Iterable[Row], form: Numbers, names: list[str]) -> list[str]:
    """Where images that were read (as `to_pylist` gives them, `category` an index into names) are others than those
    wanted."""
    found = []
    expected = {_key(image): image for image in wanted.images}
    read = {_key(row): row for row in rows}
    if len(expected) != len(wanted.images) or expected.keys() != read.keys():
        return [f"images {sorted(map(str, read))} in place of {sorted(map(str, expected))}"]
    for key, image in expected.items():
        row = read[key]
        found += [
            f"{key} {name}: {row[name]!r} in place of {image[name]!r}" for name in IMAGE if not _same(name, image, row)
        ]
        one, other = image["objects"], row["objects"]
        if (one is None, len(one or ())) != (other is None, len(other or ())):
            found.append(f"{key}: objects {other!r} in place of {one!r}")
            continue
        for number, (want, got) in enumerate(zip(one or (), other or (), strict=True)):
            got = {**got, "category": None if got["category"] is None else names[got["category"]]}
            for name in OBJECT:
                same = _same_box(want[name], got[name], form) if name == "bbox" else _same(name, want, got)
                if not same:
                    found.append(f"{key} object {number} {name}: {got[name]!r} in place of {want[name]!r}")
    return found


def _key(image: Row) -> object:
    return image["file_name"] if image["file_name"] is not None else ("id", image["id"])


def _same_box(want: Box | None, got: Any, form: Numbers) -> bool:
    return got is None if want is None else got is not None and want.is_like(got, form)


def _same(name: str, want: Row, got: Row) -> bool:
    value, read = want[name], got[name]
    if value is SOME or value is ANY:
        return read is not None or value is ANY
    if name in ("segmentation", "keypoints", "extra") and read is not None:
        read = json.loads(read)
    if isinstance(value, Points):
        return _near(value.values, read, value.slack, 3 if name == "keypoints" else 2)
    return identical(value, read)


def _near(values: Any, read: Any, slack: tuple[Fraction, Fraction], step: int) -> bool:
    if not isinstance(read, list) or len(values) != len(read):
        return False
    if any(isinstance(one, list) for one in values):
        return all(_near(one, other, slack, step) for one, other in zip(values, read, strict=True))
    return all(
        abs(one - Fraction(other)) <= (slack[at % step] if at % step < 2 else 0)
        for at, (one, other) in enumerate(zip(values, read, strict=True))
    )


def identical(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, to the type and the last bit of a number."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return one.hex() == other.hex() if isinstance(one, float) else bool(one == other)
