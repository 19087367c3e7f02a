"""The header as a JSON object, for the formats that carry all of it: the first line of JSON Lines and the footer of
Parquet.

`{"bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat","supercategory":"pet","extra":{}}],"info":{},"licenses":[],"extra":{},"source":"coco","switches":{}}`,
in this order. What is not known is left out; JSON text stands in it as it was written. `box` is a name that
`BoxFormat.parse` knows, or an object with the fields of `BoxFormat`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from bboxconv.boxes import BoxFormat
from bboxconv.errors import DataError
from bboxconv.jsontext import compose, members
from bboxconv.schema import Category, Header

VERSION = 1
"""The version of this document and of the columns beside it. A reader takes its own version and older ones."""
_MAX_GAPS = 10_000  # so that one wild number does not make millions of classes


def header_members(header: Header) -> dict[str, str]:
    """The members of the document, each as JSON text."""
    parts = {
        "bboxconv": str(VERSION),
        "box": box_text(header.box),
        "categories": "[" + ",".join(_category_text(category) for category in header.categories) + "]",
        "info": header.info,
        "licenses": header.licenses,
        "extra": header.extra,
        "source": _quoted(header.source) if header.source else None,
        "switches": _quoted(dict(header.switches)) if header.switches else None,
    }
    return {key: text for key, text in parts.items() if text is not None}


def header_of(parts: Mapping[str, str], where: str) -> Header:
    """The header that `header_members` wrote; keys that are not of the document are ignored.

    Raises DataError where the document is of a later version, or no such document.
    """
    try:
        version = json.loads(parts["bboxconv"])
        if not isinstance(version, int) or version > VERSION:
            raise DataError.of(
                "newer-version",
                f"was written by a later bboxconv (version {version} of its header, known is {VERSION})",
                where=where,
                hint="upgrade bboxconv",
            )
        return Header(
            box=box_of(parts["box"]),
            categories=tuple(
                _category(text) for text in msgspec.json.decode(parts.get("categories", "[]"), type=list[msgspec.Raw])
            ),
            info=parts.get("info"),
            licenses=parts.get("licenses"),
            extra=_object(parts.get("extra")),
            source=msgspec.json.decode(parts.get("source", '""'), type=str),
            switches=msgspec.json.decode(parts.get("switches", "{}"), type=dict[str, str]),
        )
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        detail = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise DataError.of("bad-header", "header cannot be read", where=where, detail=detail) from error


def class_names(text: str, where: str) -> tuple[str, ...]:
    """Class names from JSON text, a list or an object by number; a gap between the numbers is named by its number.

    Raises DataError for anything else.
    """
    try:
        given = msgspec.json.decode(text, type=dict[int, str] | list[str])
    except msgspec.MsgspecError as error:
        raise DataError.of("bad-header", "class names cannot be read", where=where, detail=str(error)) from error
    if isinstance(given, list):
        return tuple(given)
    if given and not 0 <= min(given) <= max(given) < len(given) + _MAX_GAPS:
        detail = f"classes {min(given)} to {max(given)}"
        raise DataError.of("bad-header", "class names cannot be read", where=where, detail=detail)
    return tuple(given.get(index, str(index)) for index in range(max(given, default=-1) + 1))


def box_text(box: BoxFormat) -> str:
    """A box format as JSON text: its name where that says everything, else an object."""
    return _quoted(box.name) if BoxFormat.parse(box.name) == box else _quoted(box.as_dict())


def box_of(text: str) -> BoxFormat:
    """The inverse of `box_text`. Raises ValueError for anything else."""
    value = json.loads(text)
    if isinstance(value, str):
        return BoxFormat.parse(value)
    if isinstance(value, dict):
        return BoxFormat.from_dict(value)
    raise ValueError(f"not a box format: {text}")


def _category_text(category: Category) -> str:
    parts = {
        "id": None if category.id is None else str(category.id),
        "name": _quoted(category.name),
        "supercategory": None if category.supercategory is None else _quoted(category.supercategory),
        "extra": category.extra,
    }
    return compose({key: text for key, text in parts.items() if text is not None}) or ""


def _category(text: msgspec.Raw) -> Category:
    parts = members(bytes(text))
    number = msgspec.json.decode(parts.get("id", "null"), type=int | None)
    if number is not None and not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"the id of a category is no int64: {number}")
    return Category(
        name=msgspec.json.decode(parts["name"], type=str),
        id=number,
        supercategory=msgspec.json.decode(parts.get("supercategory", "null"), type=str | None),
        extra=_object(parts.get("extra")),
    )


def _object(text: str | None) -> str | None:
    """The text of an object, None where it has no members. Raises MsgspecError where it is something else."""
    return text if text not in (None, "null") and members(text) else None


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
