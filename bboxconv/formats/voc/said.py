"""What `extra` says as elements of a Pascal VOC document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from bboxconv import jsontext
from bboxconv.io import unsafe_name
from bboxconv.readers.xmlfiles import Json, attributes_of, escape, is_attribute, is_name, plain, written
from bboxconv.splits import split_rank

_DECODER: msgspec.json.Decoder[dict[str, Json]] = msgspec.json.Decoder()
FLAGS = ("pose", "truncated", "difficult", "occluded")
_IMAGE_ORDER = ("folder", "path", "source", "owner", "depth", "segmented")
_TAKEN = frozenset(
    (*FLAGS, *("folder", "path", "source", "owner", "depth", "segmented", "filename", "object", "name", "part"))
) | {"size", "bndbox", "parts", "splits", "extra"}
"""Elements that have a place of their own."""
_NOT_PLAIN = re.compile("[\\\\&<>\ufffe\uffff]")
"""What a JSON text holds where one of its strings does not stand in XML as it is."""


@dataclass(frozen=True, slots=True)
class Said:
    """What `extra` says as elements: those with a place of their own by name, the attributes, and the rest."""

    named: Mapping[str, str]
    attributes: str
    size: str
    box: str
    parts: str
    rest: str
    splits: tuple[str, ...]


_NOTHING = Said({}, "", "", "", "", "", ())


def said_of(text: str | None, of: str, indent: str, split: str | None = None) -> Said:
    """The members of an `extra` as elements. What cannot stand as one goes into one element of JSON. `split` is that of
    an image."""
    if text is None:
        return _NOTHING
    try:
        members = _members(text)
    except RecursionError:
        return Said({}, "", "", "", "", f'{indent}<extra type="json">{escape(text)}</extra>\n', ())
    first, reserved = (_IMAGE_ORDER, {"filename", "object"}) if of == "image" else (FLAGS, {"name", "part"})
    named: dict[str, str] = {}
    attributes: dict[str, Json] = {}
    inside = {"size": "", "bndbox": "", "parts": ""}
    splits: tuple[str, ...] = ()
    rest: list[str] = []
    bag: dict[str, Json] = {}
    for key, value in members.items():
        if _is_free(key) and type(value) in (str, int):  # as nearly all are
            rest.append(written(key, value, indent))
            continue
        if key in ("depth", "segmented") and type(value) is int and value >= 0:
            value = str(value)
        if key == ("size" if of == "image" else "bndbox") and isinstance(value, dict) and _children(value):
            inside[key] = "".join(written(name, child, f"{indent}\t") for name, child in value.items())
        elif key == "parts" and of == "object" and isinstance(value, list) and value:
            inside[key] = "".join(written("part", part, indent) for part in value)
        elif key == "splits" and of == "image" and _are_further(value, split):
            splits = tuple(map(str, value)) if isinstance(value, list) else ()
        elif is_attribute(key, value):
            attributes[key] = value
        elif key in first:
            named[key] = written(key, value, indent + "\t" if key == "depth" else indent)
        elif not is_name(key) or key in reserved or key in inside or key == "extra":
            bag[key] = value
        else:
            rest.append(written(key, value, indent))
    if bag:
        rest.append(f'{indent}<extra type="json">{escape(json.dumps(bag))}</extra>\n')
    return Said(
        named, attributes_of(attributes), inside["size"], inside["bndbox"], inside["parts"], "".join(rest), splits
    )


def _are_further(value: Json, split: str | None) -> bool:
    """Whether lists of splits can say of an image that it is in these too, and be read as they were."""
    if split is None or not isinstance(value, list) or not value:
        return False
    names = [one for one in value if isinstance(one, str) and unsafe_name(one) is None and one[0] != "."]
    one_part = len(names) == len(value) and not any("/" in name for name in names)
    return one_part and sorted(sorted({split, *names}), key=split_rank) == [split, *names]


def _members(text: str) -> dict[str, Json]:
    """The members of a JSON object. Raises RecursionError where it is too deep."""
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError:  # half a surrogate pair, a number beyond those of a float or of many digits
        members: dict[str, Json] = jsontext.value(text)
        return members


@lru_cache(maxsize=1024)
def _is_free(key: str) -> bool:
    """Whether a key is an element of its name wherever it stands, if its value is a text or a number."""
    return is_name(key) and key not in _TAKEN


def _children(members: dict[str, Json]) -> bool:
    """Whether an object is children alone: the element that they are in is written already."""
    return plain(members) and not any(name[0] in "@#" for name in members)


def free_elements(text: str | None) -> str | None:
    """The members of an image's `extra` as elements, where all are texts or numbers without a place of their own and
    no text needs a reference, as nearly always; None where that is not so."""
    if text is None:
        return ""
    if _NOT_PLAIN.search(text):
        return None
    try:
        members = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    elements = _free_format(*members, *map(type, members.values()))
    return None if elements is None else elements % tuple(members.values())


@lru_cache(maxsize=1024)
def _free_format(*keys_and_types: str | type) -> str | None:
    """The elements of members of these keys, and values of these types, as a format."""
    count = len(keys_and_types) // 2
    keys, types = keys_and_types[:count], keys_and_types[count:]
    if not all(isinstance(key, str) and _is_free(key) for key in keys) or not {*types} <= {str, int}:
        return None
    texts = [written(str(key), "%s" if kind is str else 0, "\t") for key, kind in zip(keys, types, strict=True)]
    return "".join(text.replace(">0<", ">%s<") for text in texts)
