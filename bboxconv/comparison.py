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

from bboxconv import jsontext, schema
from bboxconv.agreement import Agreement, Error, Sight, Tally, shown
from bboxconv.boxes import BoxFormat, convert_boxes
from bboxconv.codec import Target
from bboxconv.drawn import drawn_differ, redrawn
from bboxconv.errors import FIRST_PLACES, printable
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
    rows = np.flatnonzero(alone)
    tally.differ = len(rows)
    first = rows[np.argsort(side.numbers[rows], kind="stable")][:FIRST_PLACES].tolist()
    tally.see(Sight(int(side.numbers[row]), 0, _image(side, row, rules)) for row in first)
    return int(np.diff(side.objects.offsets)[rows].sum())


def _image(side: Side, row: int, rules: Rules) -> str:
    name = side.batch.column("file_name")[row].as_py()
    return f"{rules.where}: image {printable(str(name if name is not None else side.batch.column('id')[row].as_py()))}"


def _compare_images(found: Agreement, source: Side, output: Side, rules: Rules) -> None:
    def place(row: int) -> tuple[int, int, str]:
        return int(source.numbers[row]), 0, _image(source, row, rules)

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
        _field(found, f"image.{name}", one, other, place, rules, source.batch.column)
    if "unannotated" in rules.target.carries:
        looked = [pa.array(side.objects.annotated) for side in (source, output)]
        _field(found, "unannotated", looked[0], looked[1], place, rules, source.batch.column)


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
        wanted = np.where(written[:, None], around, wanted)
        tolerance = 2 * tolerance + 8 * np.spacing(np.maximum(np.abs(wanted), 1.0))  # the extent of rounded points
    names = {name: number for number, name in reversed([*enumerate((*rules.classes, *rules.read_classes))])}
    classes = _named(source.objects, rules.classes, names)
    read_classes = _named(output.objects, rules.read_classes, names)

    def near(one: Rows, other: Rows) -> Mask:
        return _close(wanted[one], read[other], tolerance[one])

    def alike(one: Rows, other: Rows) -> Mask:
        return near(one, other) & (classes[one] == read_classes[other])

    left, right = align(source.objects.offsets, output.objects.offsets, alike)
    found.boxes = len(left)
    found.used = set(pc.unique(source.objects.column("category").drop_null()).to_pylist())
    _alone(found.unpaired["missing-box"], source, left, rules)
    _alone(found.unpaired["extra-box"], output, right, rules)
    sizes = _sizes(source, rules)[left]
    image_of = source.objects.image_of()[left]

    def place(row: int) -> tuple[int, int, str]:
        return _object(source, int(left[row]), int(image_of[row]), rules)

    if "object.bbox" in rules.target.carries:
        differ = ~near(left, right) | (valid[left] & ~read_valid[right])
        made = ~valid[left] & read_valid[right]
        differ |= made & ("object.bbox" not in rules.target.fills)
        known = made & ("object.bbox" in rules.target.fills)
        boxes = [wanted[left], read[right]]
        _count(
            found.of("object.bbox"),
            differ & ~known,
            known,
            place,
            [lambda row, of=of: of[row].tolist() for of in boxes],
        )
        found.error = _error(boxes[0], boxes[1], sizes, rules)
    if "object.category" in rules.target.carries:
        differ = classes[left] != read_classes[right]
        words = (*rules.classes, *rules.read_classes, None)  # -1: none
        values = [lambda row, of=of: words[of[row]] for of in (classes[left], read_classes[right])]
        _count(found.of("object.category"), differ, np.zeros_like(differ), place, values)
    ours, theirs = (_taken(side.objects.rows, rows) for side, rows in ((source, left), (output, right)))
    for name in schema.OBJECT_FIELDS:
        if name in ("bbox", "category") or not rules.carries(f"object.{name}"):
            continue
        one, other = ours.field(name), theirs.field(name)
        if name == "shape":
            if rules.target.redraws:  # what rows say of shapes is what they draw
                continue
            one, other = (column.cast(pa.string()) for column in (one, other))
        elif name == "segmentation" and rules.target.redraws:  # a mask, or a polygon of too few points, is a box
            one = pc.if_else(pc.or_(pa.array(written[left]), one.is_null()), one, other)
        _field(found, f"object.{name}", one, other, place, rules, ours.field)


def _taken(rows: pa.StructArray, chosen: Rows) -> pa.StructArray:
    return rows if len(chosen) == len(rows) and (chosen == np.arange(len(rows))).all() else rows.take(pa.array(chosen))


def _named(objects: Objects, classes: Sequence[str], names: dict[str, int]) -> NDArray[np.int64]:
    """The number (N,) of the name of each class, -1 for none."""
    numbers = np.array([*(names[name] for name in classes), -1], np.int64)
    column = objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)
    return numbers[column]


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
    rows = np.flatnonzero(alone)
    if not len(rows):
        return
    tally.differ = len(rows)
    image_of = side.objects.image_of()
    first = rows[np.argsort(side.numbers[image_of[rows]], kind="stable")][:FIRST_PLACES].tolist()
    tally.see(Sight(*_object(side, row, int(image_of[row]), rules)) for row in first)


def _object(side: Side, row: int, image: int, rules: Rules) -> tuple[int, int, str]:
    """The numbers of an object and its place."""
    at = row - int(side.objects.offsets[image])
    identity = side.objects.column("id")[row].as_py() if rules.carries("object.id") else None
    name = f"object {at}" if identity is None else f"id {identity}"
    return int(side.numbers[image]), at, f"{_image(side, image, rules)}, {name}"


Value = Callable[[int], object]


def _count(
    tally: Tally, differ: Mask, filled: Mask, place: Callable[[int], tuple[int, int, str]], values: Sequence[Value]
) -> None:
    count = int(differ.sum())
    tally.add(Tally(len(differ) - count - int(filled.sum()), count, int(filled.sum())))
    if not count:
        return
    sights = sorted((place(row), row) for row in np.flatnonzero(differ).tolist()) if count < 10_000 else None
    if sights is None:  # the first ones of so many are not worth a place for each
        rows = np.flatnonzero(differ).tolist()
        sights = sorted((place(row), row) for row in rows[:10_000])
    one, other = values
    tally.see(Sight(*at, f"{shown(one(row))} became {shown(other(row))}") for at, row in sights[:FIRST_PLACES])


def _field(
    found: Agreement,
    name: str,
    one: pa.Array,
    other: pa.Array,
    place: Callable[[int], tuple[int, int, str]],
    rules: Rules,
    column: Callable[[str], pa.Array],
) -> None:
    """Compare a column; null is no value, and may be filled."""
    fills = name in rules.target.fills
    filled = (
        pc.and_(one.is_null(), other.is_valid()).to_numpy(zero_copy_only=False)
        if fills and one.null_count
        else np.zeros(len(one), np.bool_)
    )
    if name.rpartition(".")[2] == "extra":
        differ = _extra_differ(one, other, name, rules, column)
    elif name in ("object.segmentation", "object.keypoints"):
        differ = differing(one, other, partial(_drawn_texts, rules=rules))
    else:
        differ = _scalars_differ(one, other)
    _count(found.of(name), differ & ~filled, filled, place, [lambda row, of=of: of[row].as_py() for of in (one, other)])


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


def _extra_differ(one: pa.Array, other: pa.Array, name: str, rules: Rules, column: Callable[[str], pa.Array]) -> Mask:
    """Extra keys: those that the target carries, without those that it takes for its own."""
    carries, fills = (
        None if name in rules.target.carries else _keys(rules.target.carries, name),
        _keys(rules.target.fills, name),
    )
    differ = differing(one, other, lambda text, read: not _same_extra(text, read, carries, fills, frozenset()))
    reserved = _keys(rules.target.reserved, name)
    again = np.flatnonzero(differ)
    if not len(again) or not reserved:
        return differ
    texts = one.take(pa.array(again))
    for at in jsontext.rows_with(texts, sorted(reserved)):
        row = int(again[at])
        text = one[row].as_py()
        gone = frozenset(_gone(text, reserved, lambda key, row=row: _has(column, key, row)))
        differ[row] = not _same_extra(text, other[row].as_py(), carries, fills, gone)
    return differ


def _keys(names: frozenset[str], field: str) -> frozenset[str]:
    return frozenset(name.removeprefix(f"{field}.") for name in names if name.startswith(f"{field}."))


def _has(column: Callable[[str], pa.Array], key: str, row: int) -> bool | None:
    """Whether the column of that name has a value; None where there is no such column."""
    try:
        return bool(column(key)[row].is_valid)
    except KeyError:
        return None


def _gone(text: str, reserved: frozenset[str], has: Callable[[str], bool | None]) -> Iterator[str]:
    """The reserved keys that cannot be carried."""
    for key, value in jsontext.members(text).items():
        if key in reserved and (has(key) is None or (value != "null" and has(key))):
            yield key


def _same_extra(
    text: str | None, read: str | None, carries: frozenset[str] | None, fills: frozenset[str], gone: frozenset[str]
) -> bool:
    if text == read:
        return True
    one, other = (jsontext.members(part) if part is not None else {} for part in (text, read))
    kept = {key: value for key, value in one.items() if key not in gone and (carries is None or key in carries)}
    came = {
        key: value
        for key, value in other.items()
        if (carries is None or key in carries) and (key in kept or key not in fills)
    }
    return kept.keys() == came.keys() and all(same_text(value, came[key]) for key, value in kept.items())
