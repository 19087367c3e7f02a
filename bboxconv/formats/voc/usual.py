"""Thousands of Pascal VOC documents of the usual shape as columns: the values in the texts of `shape`.

What lxml would read otherwise is refused: a number that is none, a reference to a character by its number, a line
break in a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.formats.voc.document import COUNT, SIDES, level
from bboxconv.formats.voc.shape import FLAGS, ROLES, WITHIN, Literal, Shape
from bboxconv.readers.xmlfiles import compact

_REFERENCES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
"""In the order in which they can be replaced one after the other."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What D documents hold: columns of D rows, and of one row for each object, in their order."""

    filename: pa.StringArray
    width: pa.StringArray
    height: pa.StringArray
    extra: pa.StringArray
    counts: NDArray[np.int64]
    """(D,) objects of each document."""
    name: pa.StringArray
    boxes: NDArray[np.float64]
    """(N, 4) coordinates in the order of SIDES."""
    levels: dict[str, pa.Array]
    """`truncated`, `difficult` and `occluded` as numbers."""
    object_extra: pa.StringArray
    voc: bool
    """A document says that it is of a PASCAL VOC data set."""
    good: NDArray[np.bool_]
    """(D,) Documents whose values are usual too: what is said of the others does not count."""


def usual(shape: Shape, last: pa.StringArray) -> Usual:
    """D documents of a shape as columns.

    Their texts are UTF-8. `last` (D,) are members, as JSON text, that end the `extra` of an image; null for none.
    Raises UnusualError where documents have another shape after all.
    """
    boxes, name = _boxes(shape), _names(shape)
    levels = {tag: _levels(shape, tag) for tag in FLAGS}
    width, height = (_pixels(shape, side) for side in ("width", "height"))
    filename = _filename(shape)
    of_image, of_object = shape.of("image"), shape.of("object")
    members = _members(shape, of_image, shape.document[of_image], len(shape.heads))
    own = _members(shape, of_object, shape.object[of_object], len(name))
    extra = _extra([_verified(shape), members, last])
    voc = _voc(shape, of_image[shape.good[shape.document[of_image]]])
    return Usual(filename, width, height, extra, shape.counts, name, boxes, levels, _extra([own]), voc, shape.good)


# Values


def _filename(shape: Shape) -> pa.StringArray:
    """(D,) Null where a document has none."""
    at = shape.of("filename")
    return _placed(_clean(shape, at), shape.document[at], len(shape.heads))


def _placed(values: pa.Array, rows: NDArray[np.int64], count: int) -> pa.Array:
    """Values in `count` rows, at most one in each; null where there is none."""
    if len(values) == count:
        return values
    places = np.full(count, -1)
    places[rows] = np.arange(len(values))
    return values.take(pa.array(places, mask=places < 0))


def _clean(shape: Shape, at: NDArray[np.int64]) -> pa.StringArray:
    """Texts with the references that every document knows resolved; others, and control characters, are refused."""
    texts = shape.texts(at)
    characters = np.frombuffer(jsontext.joined(texts), np.uint8)
    if (characters < ord(" ")).any():
        shape.refuse(at[pc.match_substring_regex(texts, r"[\x00-\x1f]").to_numpy(zero_copy_only=False)])
    if (characters == ord("&")).any():
        known = pc.count_substring_regex(texts, "|".join(_REFERENCES))
        shape.refuse(at[pc.not_equal(known, pc.count_substring(texts, "&")).to_numpy(zero_copy_only=False)])
        for reference, character in _REFERENCES.items():
            texts = pc.replace_substring(texts, reference, character)
    return texts


def _boxes(shape: Shape) -> NDArray[np.float64]:
    """(N, 4) The sides of each object, which may stand in any order."""
    sides = shape.role - ROLES.index(SIDES[0])
    at = np.flatnonzero(sides >= 0)
    keys = shape.object[at] * 4 + sides[at]
    count = int(shape.counts.sum())
    if len(keys) != 4 * count or not (keys[1:] > keys[:-1]).all():
        shape.refuse_objects((np.bincount(keys, minlength=4 * count).reshape(-1, 4) != 1).any(axis=1))
        shape.check()
        at = at[np.argsort(keys)]
    texts = shape.texts(at)
    try:
        values = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        good = pc.match_substring_regex(texts, r"^-?[0-9]{1,300}(\.[0-9]{1,20})?$")
        shape.refuse(at[~good.to_numpy(zero_copy_only=False)])
        values = pc.if_else(good, texts, "0").cast(pa.float64())
    boxes: NDArray[np.float64] = values.to_numpy(zero_copy_only=False).reshape(-1, 4)
    shape.refuse(at[~np.isfinite(boxes).reshape(-1)])
    return boxes


def _names(shape: Shape) -> pa.StringArray:
    """(N,) None is blank."""
    at = shape.of("name")
    count = int(shape.counts.sum())
    if len(at) != count:
        shape.refuse_objects(np.bincount(shape.object[at], minlength=count) == 0)
        shape.check()
    names = _clean(shape, at).dictionary_encode()
    blank = np.array([not name.strip() for name in names.dictionary.to_pylist()], dtype=np.bool_)
    if blank.any():
        shape.refuse(at[blank[names.indices.to_numpy()]])
    return names.dictionary_decode()


def _levels(shape: Shape, tag: str) -> pa.Array:
    """(N,) A flag as a number."""
    at, count = shape.of(tag), int(shape.counts.sum())
    if not len(at):
        return pa.nulls(count, pa.float64())
    texts = shape.texts(at).dictionary_encode()
    known = [level(tag, text) for text in texts.dictionary.to_pylist()]
    values = pa.DictionaryArray.from_arrays(texts.indices, pa.array(known, pa.float64())).dictionary_decode()
    if values.null_count:
        shape.refuse(at[values.is_null().to_numpy(zero_copy_only=False)])
    return _placed(values, shape.object[at], count)


def _pixels(shape: Shape, tag: str) -> pa.Array:
    """(D,) Pixels; null where they are 0 or not there."""
    at = shape.of(tag)
    texts = shape.texts(at).dictionary_encode()
    known = [int(text) if re.fullmatch("[0-9]{1,9}", text) else -1 for text in texts.dictionary.to_pylist()]
    values = np.array(known, dtype=np.int32)[texts.indices.to_numpy()]
    shape.refuse(at[values < 0])
    pixels = np.zeros(len(shape.heads), dtype=np.int32)
    pixels[shape.document[at]] = values
    return pa.array(pixels, mask=pixels <= 0)


# Members of `extra`


def _members(shape: Shape, at: NDArray[np.int64], parents: NDArray[np.int64], count: int) -> pa.StringArray:
    """The leaves of each of `count` parents as members, `"name":value` with commas between; null where it has none."""
    if not len(at):
        return pa.nulls(count, pa.string())
    offsets = np.searchsorted(parents, np.arange(count + 1))
    later = parents[1:] == parents[:-1]
    keys = [_key(literal) for literal in shape.literals]
    codes = shape.codes[at - 1]
    codes[1:] += later * np.int32(len(keys))
    parts = [pa.array([*keys, *(f",{key}" for key in keys)], pa.string()).take(pa.array(codes)), _values(shape, at)]
    nested = shape.within[at] > 0
    if nested.any():
        leaves = np.array([len(literal.groups) > 0 for literal in shape.literals], dtype=np.bool_)
        parts.append(pc.if_else(pa.array(nested & leaves[shape.codes[at]]), "}", ""))
    _, ends, data = pc.binary_join_element_wise(*parts, "").buffers()
    # the members of a parent lie one behind the other already
    joined = pa.StringArray.from_buffers(count, pa.py_buffer(np.frombuffer(ends, np.int32)[offsets]), data)
    held = offsets[:-1] < offsets[1:]
    return joined if held.all() else pc.if_else(pa.array(held), joined, pa.scalar(None, pa.string()))


def _key(literal: Literal) -> str:
    """What stands before the value of the leaf that a literal opens; the member that it begins first."""
    group = literal.groups[-1] if literal.groups else ""
    return f'"{group}":{{"{literal.opens}":' if group in ("source", "owner") else f'"{literal.opens}":'


def _values(shape: Shape, at: NDArray[np.int64]) -> pa.StringArray:
    """The JSON text of leaves."""
    texts = _clean(shape, at)
    values = jsontext.strings(texts)
    typed = np.array([literal.json for literal in shape.literals], dtype=np.bool_)[shape.codes[at - 1]]
    counted = np.array([name in ("depth", "segmented") for name in shape.names], dtype=np.bool_)[shape.name[at]]
    for chosen, convert in ((typed, _json), (counted & (shape.within[at] == 0), _count)):
        if chosen.any():
            mask = pa.array(chosen)
            found = texts.filter(mask).dictionary_encode()
            known = pa.array([convert(text) for text in found.dictionary.to_pylist()], pa.string()).take(found.indices)
            if known.null_count:
                shape.refuse(at[chosen][known.is_null().to_numpy(zero_copy_only=False)])
            values = pc.replace_with_mask(values, mask, known)
    return values


def _json(text: str) -> str | None:
    """JSON text as it is held; None where it is none."""
    try:
        return compact(jsontext.value(text))
    except (ValueError, RecursionError):
        return None


def _count(text: str) -> str:
    return text if re.fullmatch(COUNT, text) else compact(text)


def _verified(shape: Shape) -> pa.StringArray:
    """(D,) What the attribute says, as a member."""
    known = [f'"@verified":"{literal.verified}"' if literal.verified else None for literal in shape.literals]
    return pa.array(known, pa.string()).take(pa.array(shape.codes[shape.heads]))


def _extra(parts: Sequence[pa.StringArray]) -> pa.StringArray:
    """JSON objects of members; null where there are none."""
    held = [part for part in parts if part.null_count < len(part)]
    if not held:
        return pa.nulls(len(parts[0]), pa.string())
    members = held[0]
    for part in held[1:]:
        members = pc.coalesce(pc.binary_join_element_wise(members, part, ","), members, part)
    return pc.binary_join_element_wise("{", members, "}", "")


def _voc(shape: Shape, of_image: NDArray[np.int64]) -> bool:
    """Whether a document's `source` has a `database` that speaks of VOC."""
    if "database" not in shape.names:
        return False
    named = (shape.name[of_image] == shape.names.index("database")) & (shape.within[of_image] == WITHIN.index("source"))
    return bool(pc.any(pc.match_substring(_clean(shape, of_image[named]), "VOC")).as_py())
