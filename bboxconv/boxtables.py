"""Rows of a table of boxes, made the columns of images and objects: what csv files, data frames and Arrow streams
share. `boxgroups` puts the rows of an image together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import boxcells, jsontext, schema
from bboxconv.boxcells import Mask
from bboxconv.boxcolumns import Columns
from bboxconv.jsonproof import check_json

LARGEST = 2**31 - 1
IMAGE = "image."
"""What the columns of the image are called in the rows."""
_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())
_KEY = ("file_name", "image_id", "split", "video", "frame")
"""The columns by which rows are of the same image."""
_INDEX = re.compile(r"(Unnamed: \d+|__index_level_\d+__|)")
"""What pandas calls a column of row numbers, which says nothing of a box."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a table are read."""

    columns: Columns
    text: bool = False
    """All cells are text."""
    comma: bool = False
    """The decimal point is a comma."""
    trim: bool = False
    """White space around names is no part of them."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a row, by its number in the batch."""

    row: int
    code: str
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """What is known of the numbers of boxes: the least, the largest, and whether all of them are whole."""

    least: float = np.inf
    largest: float = -np.inf
    whole: bool = True

    def __or__(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.largest, other.largest), self.whole and other.whole)

    @property
    def fractions(self) -> bool:
        """Whether these can be no pixels: all lie about between 0 and 1, and some between two whole numbers."""
        return self.least >= -0.5 and self.largest <= 1.5 and not self.whole


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch that name an image; those with a fault have no object.

    `batch` has the columns of images (`image.width`), those of objects that there are, `image` (the number of the
    image in `keys`), `class` (that of the class in `classes`, or null) and `object` (whether there is one).
    """

    batch: pa.RecordBatch
    keys: tuple[tuple[str | None, ...], ...]
    classes: tuple[tuple[str | None, int | None], ...]
    faults: tuple[RowFault, ...]
    numbers: Range
    formats: tuple[str, ...]
    """The names of box formats that rows say."""
    numbered: bool
    """Whether all ids of images are integers."""


def rows_of(batch: pa.RecordBatch, reading: Reading) -> Rows:
    """The rows of a batch with the columns that `reading` knows."""
    return _Maker(batch, reading).rows()


class _Maker:
    """Makes the columns one after the other, and collects the faults."""

    def __init__(self, batch: pa.RecordBatch, reading: Reading) -> None:
        self.batch, self.reading, self.places = batch, reading, reading.columns.places
        self.length = len(batch)
        self.faults: list[RowFault] = []
        self.bad: Mask = np.zeros(self.length, np.bool_)

    def rows(self) -> Rows:
        """All of it."""
        boxes, boxed = self.boxes()
        own: dict[str, pa.Array] = {"bbox": schema.bbox_array(boxes, boxed), **self.fields()}
        names, ids = self.class_columns()
        image, numbered = self.image_columns()
        extra, odd_ids = own.pop("extra"), own.pop("id#", names)
        there = pc.or_(pa.array(boxed), pc.or_(names.is_valid(), ids.is_valid()))
        for column in (odd_ids, *(own[name] for name in ("id", "segmentation", "keypoints") if name in own)):
            there = pc.or_(there, column.is_valid())
        own["extra"] = extra
        bare = pc.if_else(there, _NO_TEXT, extra)  # what a row without an object says beside is of the image
        if bare.null_count < self.length:
            image["extra"] = bare if "extra" not in image else pc.coalesce(image["extra"], bare)
        said = [n for n in range(self.batch.num_columns) if n != self.places.get("box_format")]
        blank = np.logical_and.reduce([self.batch.column(n).is_null().to_numpy(zero_copy_only=False) for n in said])
        keys = self.key_columns()
        named = np.logical_or.reduce([column.is_valid().to_numpy(zero_copy_only=False) for column in keys[:2]])
        self.fault(~named & ~blank, "missing-field", "a row does not say its image", None)
        sound = pa.array(~self.bad)
        own["object"] = pc.and_(there, sound)
        keep = ~blank & named  # of a row with a fault, the image stays
        rows = pa.array(keep)
        names, ids = pc.if_else(sound, names, _NO_TEXT), pc.if_else(sound, ids, pa.scalar(None, pa.int64()))
        found, number = distinct([column.filter(rows) for column in keys])
        classes, index = distinct([names.filter(rows), ids.filter(rows)])
        absent = pc.or_(names.is_valid(), ids.is_valid()).filter(rows).to_numpy(zero_copy_only=False)
        columns = {f"{IMAGE}{name}": column for name, column in image.items()} | own
        made = {name: column if keep.all() else column.filter(rows) for name, column in columns.items()}
        made |= {"image": pa.array(number), "class": pa.array(index, mask=~absent)}
        whole = pa.RecordBatch.from_arrays(list(made.values()), names=list(made))
        numbers = _range(boxes[keep & boxed & ~self.bad])
        return Rows(whole, found, classes, tuple(self.faults), numbers, self.formats(), numbered)

    def column(self, field: str) -> pa.Array | None:
        """The column of a field."""
        return self.batch.column(self.places[field]) if field in self.places else None

    def fault(self, bad: Mask, code: str, message: str, column: pa.Array | None) -> None:
        """The rows (N,) are faults, unless they are so already."""
        for row in np.flatnonzero(bad & ~self.bad).tolist():
            detail = "" if column is None else str(column[row].as_py())
            self.faults.append(RowFault(row, code, message, detail))
        self.bad |= bad

    def boxes(self) -> tuple[NDArray[np.float64], Mask]:
        """The boxes (N, 4), and which rows (N,) have one."""
        columns, comma = self.reading.columns, self.reading.comma
        if len(columns.box) == 1:
            column = self.batch.column(columns.box[0])
            parts, bad = boxcells.four(column)
            self.fault(bad, "bad-number", "a box is not four numbers", column)
        else:
            parts = []
            for place in columns.box:
                column = self.batch.column(place)
                part, bad = boxcells.numbers(column, comma=comma)
                self.fault(bad, "bad-number", f"{columns.names[place]} is not a finite number", column)
                parts.append(part)
        given = np.stack([part.is_valid().to_numpy(zero_copy_only=False) for part in parts]).sum(axis=0)
        boxed: Mask = given == 4
        some: Mask = (given > 0) & ~boxed
        self.fault(some, "missing-field", "a box has not all of its four numbers", None)
        values = np.stack([part.fill_null(np.nan).to_numpy(zero_copy_only=False) for part in parts], axis=1)
        return values, boxed

    def fields(self) -> dict[str, pa.Array]:
        """The fields of objects that have a column, `extra`, and `id#`, ids that are no int64."""
        made: dict[str, pa.Array] = {}
        others: dict[str, pa.Array] = {}
        for field in ("score", "area", "truncated", "occluded", "rotation"):
            column = self.column(field)
            if column is not None:
                made[field], bad = boxcells.numbers(column, comma=self.reading.comma)
                self.fault(bad, "bad-number", f"{field} is not a finite number", column)
                if plain_flag(self.reading.columns.names[self.places[field]]):  # OpenImages: -1 is unknown
                    made[field] = pc.if_else(pc.equal(made[field], -1), _NO_NUMBER, made[field])
        for field in ("iscrowd", "difficult", "ignore"):
            column = self.column(field)
            if column is not None:
                made[field], bad = boxcells.flags(column)
                self.fault(bad, "bad-value", f"{field} is neither true nor false", column)
        for field in ("id", "track_id"):
            column = self.column(field)
            if column is not None:
                made[field], odd = boxcells.integers(column)
                if odd.any():
                    others[field] = pc.if_else(pa.array(odd), boxcells.json_texts(column, text=False), _NO_TEXT)
        column = self.column("shape")
        if column is not None:
            made["shape"], odd = boxcells.shapes(column)
            if odd.any():
                others["shape"] = pc.if_else(pa.array(odd), boxcells.json_texts(column, text=False), _NO_TEXT)
        for field in ("segmentation", "keypoints"):
            column = self.column(field)
            if column is not None:
                made[field], other = _proved(column, field)
                if other is not None:
                    others[field] = other
        made["extra"] = self.extra("extra", others)
        return made | ({"id#": others["id"]} if "id" in others else {})

    def extra(self, field: str, others: Mapping[str, pa.Array]) -> pa.Array:
        """The column of that name and, in that of objects, all columns that nobody knows."""
        held = dict(others)
        if field == "extra":
            columns = self.reading.columns
            for place in columns.others:
                name = columns.names[place]
                if not _INDEX.fullmatch(name):
                    held[_unused(name, held)] = boxcells.json_texts(self.batch.column(place), text=self.reading.text)
        column = self.column(field)
        if column is None:
            return jsontext.extras(held, self.length)
        given, other = _proved(column, field)
        if other is not None:
            held[_unused(field, held)] = other
        if not held:
            return given
        joined = jsontext.objects(held, given)
        return pc.if_else(pc.equal(joined, "{}"), _NO_TEXT, joined)

    def class_columns(self) -> tuple[pa.StringArray, pa.Int64Array]:
        """The name and the id of the class of each row."""
        name, number = self.column("category"), self.column("category_id")
        names = pa.nulls(self.length, pa.string())
        ids = pa.nulls(self.length, pa.int64())
        if name is not None:
            names = boxcells.texts(name, trim=self.reading.trim)
        if number is not None:
            ids, odd = boxcells.integers(number)
            if odd.any() and name is None:  # such as OpenImages' /m/01g317
                names = pc.if_else(pa.array(odd), boxcells.texts(number, trim=self.reading.trim), names)
            elif odd.any():
                self.fault(odd, "bad-value", "category_id is not an integer", number)
        return names, ids

    def image_columns(self) -> tuple[dict[str, pa.Array], bool]:
        """The columns of images, `key` (the written id, where it may be the name) and `extra` among them; and whether
        all ids are integers."""
        made: dict[str, pa.Array] = {}
        others: dict[str, pa.Array] = {}
        numbered = True
        for field, least in (("width", 1), ("height", 1), ("frame", -LARGEST)):
            column = self.column(field)
            if column is not None:
                made[field], bad = boxcells.whole(column, least=least, most=LARGEST, comma=self.reading.comma)
                self.fault(bad, "bad-value", f"{field} is no whole number of its range", column)
        for field in ("file_name", "split", "video"):
            column = self.column(field)
            if column is not None:
                made[field] = boxcells.texts(column, trim=self.reading.trim)
        column = self.column("image_id")
        if column is not None:
            made["id"], odd = boxcells.integers(column)
            numbered = not odd.any()
            if "file_name" not in self.places:
                made["key"] = boxcells.texts(column, trim=self.reading.trim)
            elif not numbered:
                others["id"] = pc.if_else(pa.array(odd), boxcells.json_texts(column, text=False), _NO_TEXT)
        if others or "image_extra" in self.places:
            made["extra"] = self.extra("image_extra", others)
        return made, numbered

    def key_columns(self) -> list[pa.StringArray]:
        """The columns by which rows are of one image."""
        found = [self.column(field) for field in _KEY]
        return [pa.nulls(self.length, pa.string()) if text is None else boxcells.texts(text) for text in found]

    def formats(self) -> tuple[str, ...]:
        """The box formats that the rows name."""
        column = self.column("box_format")
        if column is None:
            return ()
        found: list[str] = pc.unique(boxcells.texts(column, trim=True).drop_null()).to_pylist()
        return tuple(found)


def plain_flag(name: str) -> bool:
    """Whether a column is named as OpenImages names flags that may be unknown."""
    return name.startswith("Is")


def distinct(columns: list[pa.Array]) -> tuple[tuple[tuple, ...], NDArray[np.int32]]:  # type: ignore[type-arg]
    """The different rows of some columns (N,), in order of first sight, and the number (N,) of each row's."""
    if not len(columns[0]):
        return (), np.zeros(0, np.int32)
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        if column.null_count == len(column):
            continue
        coded = column.dictionary_encode()
        index = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
        if codes.any():
            _, codes = np.unique(codes, return_inverse=True)
        codes = codes * (len(coded.dictionary) + 1) + index
    steps = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))  # rows of one stand together, mostly
    _, first, inverse = np.unique(codes[steps], return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    number = np.repeat(rank[inverse], np.diff(steps, append=len(codes)))
    rows = pa.array(steps[first[order]])
    return tuple(zip(*(column.take(rows).to_pylist() for column in columns), strict=True)), number


def _range(values: NDArray[np.float64]) -> Range:
    if not values.size:
        return Range()
    return Range(float(values.min()), float(values.max()), bool((values == np.floor(values)).all()))


def _proved(column: pa.Array, field: str) -> tuple[pa.Array, pa.Array | None]:
    """A column of JSON text, and the cells that are none (arrays or objects; in an extra, objects) as JSON strings;
    None where there are none."""
    stored = boxcells.stored(column)
    text = boxcells.texts(stored) if pa.types.is_string(stored.type) else boxcells.json_texts(stored, text=False)
    name = "extra" if field.endswith("extra") else field
    likely = pc.match_substring_regex(text, r"^\s*\{" if name == "extra" else r"^\s*[\[{]").fill_null(False)
    held = pc.if_else(likely, text, _NO_TEXT)
    try:
        check_json(held, name)
        sound: list[bool] | None = None
    except ValueError:
        sound = [_is_json(cell, name) for cell in held.to_pylist()]
        held = pc.if_else(pa.array(sound), held, _NO_TEXT)
    if held.null_count == text.null_count:
        return held, None
    other = pc.and_(text.is_valid(), held.is_null())
    return held, pc.if_else(other, jsontext.strings(text.fill_null("")), _NO_TEXT)


def _is_json(cell: str | None, name: str) -> bool:
    try:
        check_json(pa.array([cell], pa.string()), name)
    except ValueError:
        return False
    return cell is not None


def _unused(name: str, held: Mapping[str, object]) -> str:
    """The name, or one with a number, where a column of it is there already."""
    number = 1
    tried = name
    while tried in held:
        tried, number = f"{name}.{number}", number + 1
    return tried
