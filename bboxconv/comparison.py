"""The comparison of two streams of images, a part of each at a time: what a source gives, and what was read back of the
output.

Images are paired by their name and split, boxes of an image in their order. Only what the target carries is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.agreement import Agreement, Error, Sight, Tally, shown
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.codec import Target
from bboxconv.drawn import drawn_differ, redrawn, upright
from bboxconv.errors import FIRST_PLACES, printable
from bboxconv.extrakeys import extra_differ
from bboxconv.jsonsame import differing, same_text
from bboxconv.pairing import align, keys, pairs, usual_splits
from bboxconv.schema import Objects

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same."""

    target: Target
    box: BoxFormat
    """The box format of the source, after conversion."""
    read: BoxFormat
    """That of the output."""
    classes: tuple[str, ...]
    read_classes: tuple[str, ...]
    where: str
    """The output, for messages."""

    @property
    def half(self) -> float:
        """Half a unit of the last decimal."""
        return 0.0 if self.target.decimals is None else 0.5 * 10.0**-self.target.decimals

    def carries(self, name: str) -> bool:
        """Whether the target carries a field, or a key of it."""
        return name in self.target.carries or any(key.startswith(f"{name}.") for key in self.target.carries)


@dataclass(frozen=True, slots=True)
class Side:
    """Some images, the number (B,) of each in its stream, and their objects."""

    batch: pa.RecordBatch
    numbers: Rows
    objects: Objects

    @classmethod
    def of(cls, batch: pa.RecordBatch, numbers: Rows) -> Side:
        """Of a batch of `schema.IMAGE`."""
        return cls(batch, numbers, schema.flat(batch))

    def take(self, rows: Rows) -> Side:
        """Some of the images."""
        if len(rows) == len(self.batch) and (rows == np.arange(len(rows))).all():
            return self
        return Side.of(self.batch.take(pa.array(rows)), self.numbers[rows])


@dataclass(frozen=True, slots=True)
class Places:
    """Where the N values of a column stand: the numbers of their images and of their objects within these, which order
    them, and the name of each."""

    images: Rows
    objects: Rows
    name: Callable[[int], str]

    def first(self, chosen: Mask, said: Callable[[int], str]) -> Iterator[Sight]:
        """The first places of those chosen, with what is said of them."""
        rows = np.flatnonzero(chosen)
        order = np.lexsort((self.objects[rows], self.images[rows]))[:FIRST_PLACES]
        for row in rows[order].tolist():
            yield Sight(int(self.images[row]), int(self.objects[row]), self.name(row), said(row))


def compare(source: Side, output: Side, rules: Rules) -> Agreement:
    """How far the images of an output agree with those of its source."""
    found = Agreement()
    ours, theirs = (keys(side.batch, rules.target.unwritten_name) for side in (source, output))
    splits = [usual_splits(side.batch) if rules.carries("image.split") else None for side in (source, output)]
    left, right = pairs((ours, theirs), (splits[0], splits[1]))
    found.lost_boxes = _unpaired(found.unpaired["missing-image"], source, left, rules)
    found.added_boxes = _unpaired(found.unpaired["extra-image"], output, right, rules)
    source, output = source.take(left), output.take(right)
    found.images = len(left)
    _compare_images(found, source, output, rules)
    _compare_objects(found, source, output, rules)
    return found


def _unpaired(tally: Tally, side: Side, paired: Rows, rules: Rules) -> int:
    """Count the images that have no partner; how many boxes they have."""
    alone = np.ones(len(side.batch), np.bool_)
    alone[paired] = False
    tally.differ = int(alone.sum())
    tally.see(_places_of_images(side, rules).first(alone, lambda row: ""))
    return int(np.diff(side.objects.offsets)[alone].sum())


def _places_of_images(side: Side, rules: Rules) -> Places:
    return Places(side.numbers, np.zeros_like(side.numbers), lambda row: _image(side, row, rules))


def _image(side: Side, row: int, rules: Rules) -> str:
    name = side.batch.column("file_name")[row].as_py()
    return f"{rules.where}: image {printable(str(name if name is not None else side.batch.column('id')[row].as_py()))}"


def _compare_images(found: Agreement, source: Side, output: Side, rules: Rules) -> None:
    places = _places_of_images(source, rules)
    for name in schema.IMAGE_FIELDS:
        if not rules.carries(f"image.{name}"):
            continue
        one, other = source.batch.column(name), output.batch.column(name)
        if name == "file_name" and rules.target.unwritten_name:
            one, other = (
                keys(source.batch, rules.target.unwritten_name),
                keys(output.batch, rules.target.unwritten_name),
            )
        elif name == "split":
            one, other = usual_splits(source.batch), usual_splits(output.batch)
        _field(found, f"image.{name}", one, other, places, rules)
    if "unannotated" in rules.target.carries:
        looked = [pa.array(side.objects.annotated) for side in (source, output)]
        _field(found, "unannotated", looked[0], looked[1], places, rules)


def _compare_objects(found: Agreement, source: Side, output: Side, rules: Rules) -> None:
    wanted, valid = schema.boxes_of(source.objects.rows)
    read, read_valid = schema.boxes_of(output.objects.rows)
    if replace(rules.read, rotation=None) != replace(rules.box, rotation=None):
        read = np.asarray(convert_boxes(read, rules.read, rules.box), np.float64)
    tolerance = _tolerance(wanted, rules)
    written = np.zeros(len(wanted), np.bool_)
    if rules.target.redraws:
        texts = source.objects.column("segmentation")
        around, written = redrawn(texts, rules.box, corners=rules.target.redraws == "corners")
        wanted = upright(np.where(written[:, None], around, wanted), rules.box)  # corners know of no negative width
        read = upright(read, rules.box)
        sides = np.abs(wanted).reshape(-1, 2, 2).max(axis=1, keepdims=True).repeat(2, axis=1).reshape(-1, 4)
        tolerance = 2 * tolerance + 8 * np.spacing(np.maximum(sides, 1.0))  # the extent of rounded points
    names = {name: number for number, name in reversed([*enumerate((*rules.classes, *rules.read_classes))])}
    classes = _named(source.objects, rules.classes, names)
    read_classes = _named(output.objects, rules.read_classes, names)

    def near(one: Rows, other: Rows) -> Mask:
        return _close(wanted[one], read[other], tolerance[one])

    def alike(one: Rows, other: Rows) -> Mask:
        return np.asarray(near(one, other) & (classes[one] == read_classes[other]))

    left, right = align(source.objects.offsets, output.objects.offsets, alike)
    found.boxes = len(left)
    found.used = set(pc.unique(source.objects.column("category").drop_null()).to_pylist())
    _alone(found.unpaired["missing-box"], source, left, rules)
    _alone(found.unpaired["extra-box"], output, right, rules)
    sizes = _sizes(source, rules)[left]
    places = _places_of_objects(source, left, rules)
    if "object.bbox" in rules.target.carries:
        differ = ~near(left, right) | (valid[left] & ~read_valid[right])
        made = ~valid[left] & read_valid[right]
        differ |= made & ("object.bbox" not in rules.target.fills)
        known = made & ("object.bbox" in rules.target.fills)
        one, other = wanted[left], read[right]
        _count(
            found.of("object.bbox"),
            differ & ~known,
            known,
            places,
            lambda row: (_numbers(one, row, valid[left]), _numbers(other, row, read_valid[right])),
        )
        found.error = _error(one, other, sizes, rules)
    if "object.category" in rules.target.carries:
        first, second = classes[left], read_classes[right]
        words = (*rules.classes, *rules.read_classes, None)  # -1: none
        none = np.zeros(len(left), np.bool_)
        _count(
            found.of("object.category"),
            first != second,
            none,
            places,
            lambda row: (words[first[row]], words[second[row]]),
        )
    ours, theirs = (_taken(side.objects.rows, rows) for side, rows in ((source, left), (output, right)))
    for name in schema.OBJECT_FIELDS:
        if name in ("bbox", "category") or not rules.carries(f"object.{name}"):
            continue
        values, read_values = ours.field(name), theirs.field(name)
        if name == "shape":
            if rules.target.redraws:  # what rows say of shapes is what they draw
                continue
            values, read_values = (column.cast(pa.string()) for column in (values, read_values))
        elif name == "segmentation" and rules.target.redraws:  # a mask, or a polygon of too few points, is a box
            drawn = pc.or_(pa.array(written[left]), values.is_null())
            values = pc.if_else(drawn, values, read_values)
        _field(found, f"object.{name}", values, read_values, places, rules)


def _numbers(boxes: NDArray[np.float64], row: int, valid: Mask) -> object:
    return boxes[row].tolist() if valid[row] else None


def _taken(rows: pa.StructArray, chosen: Rows) -> pa.StructArray:
    return rows if len(chosen) == len(rows) and (chosen == np.arange(len(rows))).all() else rows.take(pa.array(chosen))


def _named(objects: Objects, classes: Sequence[str], names: dict[str, int]) -> NDArray[np.int64]:
    """The number (N,) of the name of each class, -1 for none."""
    numbers = np.array([*(names[name] for name in classes), -1], np.int64)
    column = objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(numbers[column])


def _tolerance(boxes: NDArray[np.float64], rules: Rules) -> NDArray[np.float64]:
    """What rounding explains of a difference of each number (N, 4)."""
    converted = replace(rules.read, rotation=None) != replace(rules.box, rotation=None)
    if not rules.half and not converted:
        return np.zeros(boxes.shape)
    ulp = np.spacing(np.abs(np.where(np.isfinite(boxes), boxes, 0.0)))
    return np.asarray(rules.half * (1 + 1e-9) + (8 if converted else 2) * ulp)


def _close(one: NDArray[np.float64], other: NDArray[np.float64], tolerance: NDArray[np.float64]) -> Mask:
    with np.errstate(invalid="ignore"):
        near = (one == other) | (np.abs(one - other) <= tolerance) | (np.isnan(one) & np.isnan(other))
    return np.asarray(near.all(axis=-1))


def _sizes(side: Side, rules: Rules) -> NDArray[np.float64]:
    """How many pixels one unit of each number (N, 4) is, NaN where nobody knows."""
    rows = side.objects.image_of()
    if rules.box.scale is None:
        return np.ones((len(rows), 4))
    columns = [side.batch.column(name).cast(pa.float64()).fill_null(np.nan) for name in ("width", "height")]
    with np.errstate(over="ignore"):
        sides = np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=-1)[rows] / rules.box.scale
    return np.concatenate([sides, sides], axis=-1)


def _error(one: NDArray[np.float64], other: NDArray[np.float64], sizes: NDArray[np.float64], rules: Rules) -> Error:
    with np.errstate(invalid="ignore"):
        distance = np.abs(one - other)
    distance[~np.isfinite(distance)] = 0.0
    if not distance.any():
        return Error()
    pixels = distance * sizes
    last = 2 * rules.half or np.spacing(np.maximum(np.abs(one), np.abs(other)))
    units = np.where(distance > 0, distance / last, 0.0)
    unsized = bool(np.isnan(pixels[distance > 0]).any())
    return Error(float(units.max()), float(np.nan_to_num(pixels).max()), unsized)


def _alone(tally: Tally, side: Side, paired: Rows, rules: Rules) -> None:
    """Count the objects that have no partner."""
    alone = np.ones(len(side.objects.rows), np.bool_)
    alone[paired] = False
    tally.differ = int(alone.sum())
    if tally.differ:
        rows = np.arange(len(alone))
        tally.see(_places_of_objects(side, rows, rules).first(alone, lambda row: ""))


def _places_of_objects(side: Side, rows: Rows, rules: Rules) -> Places:
    images = side.objects.image_of()[rows]
    at = rows - side.objects.offsets[images]
    ids = side.objects.column("id") if rules.carries("object.id") else None

    def name(row: int) -> str:
        identity = None if ids is None else ids[int(rows[row])].as_py()
        object_ = f"object {at[row]}" if identity is None else f"id {identity}"
        return f"{_image(side, int(images[row]), rules)}, {object_}"

    return Places(side.numbers[images], at, name)


def _count(
    tally: Tally, differ: Mask, filled: Mask, places: Places, values: Callable[[int], tuple[object, object]]
) -> None:
    """Count what agrees and what does not, with the first places and the values there."""

    def said(row: int) -> str:
        one, other = values(row)
        return f"{shown(one)} became {shown(other)}"

    count, made = int(differ.sum()), int(filled.sum())
    tally.add(Tally(len(differ) - count - made, count, made))
    if count:
        tally.see(places.first(differ, said))


def _field(
    found: Agreement,
    name: str,
    one: pa.Array,
    other: pa.Array,
    places: Places,
    rules: Rules,
) -> None:
    """Compare a column; null is no value, and may be filled."""
    fills = name in rules.target.fills
    filled = (
        pc.and_(one.is_null(), other.is_valid()).to_numpy(zero_copy_only=False)
        if fills and one.null_count
        else np.zeros(len(one), np.bool_)
    )
    if name.rpartition(".")[2] == "extra":
        differ = extra_differ(one, other, name, rules.target)
    elif name in ("object.segmentation", "object.keypoints"):
        differ = differing(one, other, partial(_drawn_texts, rules=rules))
    else:
        differ = _scalars_differ(one, other)
    _count(found.of(name), differ & ~filled, filled, places, lambda row: (one[row].as_py(), other[row].as_py()))


def _scalars_differ(one: pa.Array, other: pa.Array) -> Mask:
    if one.equals(other):
        return np.zeros(len(one), np.bool_)
    same = pc.or_(pc.equal(one, other).fill_null(False), pc.and_(one.is_null(), other.is_null()))
    if pa.types.is_floating(one.type):
        same = pc.or_(same, pc.and_(pc.is_nan(one), pc.is_nan(other)).fill_null(False))
    return ~np.asarray(same.to_numpy(zero_copy_only=False))


def _drawn_texts(one: str | None, other: str | None, rules: Rules) -> bool:
    if rules.target.decimals is None and not rules.target.redraws:
        return not same_text(one, other)
    if one is None or other is None:
        return one != other
    return drawn_differ(one, other, rules.half * (1 + 1e-9) + 1e-15)
