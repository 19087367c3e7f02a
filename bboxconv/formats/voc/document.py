"""One Pascal VOC document through lxml: everything that the fast way of `documents` does not take."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lxml import etree

from bboxconv.errors import Findings, Record, cut
from bboxconv.readers.xmlfiles import Json, SourceTexts, add, compact, line_of, text_of, to_json

SIDES = ("xmin", "ymin", "xmax", "ymax")
COUNT = r"0|[1-9][0-9]{0,8}"
"""Text that becomes a JSON number and back without a change."""
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Rows:
    """Images and objects in the making: tuples of values in the order of `documents.IMAGES` and
    `documents.OBJECTS`.
    """

    images: list[tuple[object, ...]] = field(default_factory=list)
    objects: list[tuple[object, ...]] = field(default_factory=list)
    voc: bool = False
    """A document says that it is of a PASCAL VOC data set."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which document it is: its row, the name to show, its path, the further splits of its image.

    With `stems` images are called by the name of the XML file.
    """

    row: int
    shown: str
    path: str
    others: tuple[str, ...]
    stems: bool


def image_name(filename: str | None, path: str, stems: bool = False) -> str:
    """The name of the image: `<filename>`, or the XML's stem where that is missing or has no extension.

    With `stems` always the stem, with the extension of `<filename>`.
    """
    name = (filename or "").replace("\\", "/")
    dot = name.rfind(".")
    suffix = name[dot:] if dot > name.rfind("/") + 1 else ""
    stem = PurePosixPath(path).stem if stems or not suffix else ""
    if stems:
        return stem + suffix
    return name if suffix or name.rpartition("/")[2] == stem else stem


@dataclass(slots=True)
class _Given:
    """The object that is being read, for what is said of it."""

    shown: str
    findings: Findings
    texts: SourceTexts
    element: etree._Element
    number: int

    def fault(self, code: str, message: str, line: int, detail: str = "") -> None:
        """It cannot be read."""
        record = Record(self.shown, line, raw=self.texts.of(self.element, self.number))
        self.findings.add(code, message, record=record, detail=detail, boxes=1)


def document(data: bytes, root: etree._Element, place: Place, rows: Rows, findings: Findings) -> None:
    """Add what one document holds to `rows`. Objects that cannot be read are left out and reported."""
    shown = place.shown
    if root.tag != "annotation":
        findings.add(
            "bad-xml",
            "the root element is not <annotation>",
            record=Record(shown, line_of(root), raw=cut(data)),
            detail=f"it is <{root.tag}>",
            images=1,
        )
        return
    filename: str | None = None
    size: dict[str, int] = {}
    extra: dict[str, Json] = {f"@{key!s}": str(value) for key, value in root.attrib.items()}
    objects: list[tuple[object, ...]] = []
    texts = SourceTexts(data, root, "object")
    number = -1
    try:
        for child in root:
            tag = child.tag
            if tag == "object":
                number += 1
                found = _object(place.row, _Given(shown, findings, texts, child, number))
                if found is not None:
                    objects.append(found)
            elif tag == "filename" and filename is None:
                filename = text_of(child)
            elif tag == "size":
                _size(child, size, extra, shown, findings)
            elif isinstance(tag, str):
                _member(extra, child)
    except ValueError as error:
        record = Record(shown, line_of(root), raw=cut(data))
        findings.add("bad-xml", str(error), record=record, images=1)
        return
    source = extra.get("source")
    rows.voc = rows.voc or (isinstance(source, dict) and "VOC" in str(source.get("database", "")))
    if place.others:
        extra["splits"] = list(place.others)
    name = image_name(filename, place.path, place.stems)
    rows.images.append((place.row, name, size.get("width"), size.get("height"), compact(extra) if extra else None))
    rows.objects.extend(objects)


def _member(extra: dict[str, Json], element: etree._Element) -> None:
    """Keep an element that has no column."""
    value = to_json(element)
    tag = str(element.tag)
    if tag == "extra" and element.get("type") == "json" and isinstance(value, dict):
        extra.update(value)  # what the writer could not say as elements
    elif tag in ("depth", "segmented") and isinstance(value, str) and re.fullmatch(COUNT, value):
        add(extra, tag, int(value))
    else:
        add(extra, tag, value)


def _size(
    element: etree._Element, size: dict[str, int], extra: dict[str, Json], shown: str, findings: Findings
) -> None:
    rest: dict[str, Json] = {f"@{key!s}": str(value) for key, value in element.attrib.items()}
    for child in element:
        text = text_of(child).strip()
        if child.tag == "depth":
            _member(extra, child)
        elif child.tag in ("width", "height"):
            number = float(text) if _DECIMAL.fullmatch(text) else -1.0
            if number.is_integer() and 0 < number < 2**31:
                size.setdefault(str(child.tag), int(number))
            elif text and number != 0:
                add(rest, str(child.tag), text_of(child))
                where = f"{shown}:{child.sourceline}"
                message = "image size is not a whole number of pixels"
                findings.add("bad-value", message, severity="warning", where=where, detail=f"{child.tag} is {text!r}")
        elif isinstance(child.tag, str):
            add(rest, child.tag, to_json(child))
    if rest:
        extra["size"] = rest


def _object(row: int, given: _Given) -> tuple[object, ...] | None:
    """The values of OBJECTS of one object; None, with an error among the findings, where it has no name or no box."""
    element = given.element
    name: str | None = None
    flags: dict[str, float] = {}
    extra: dict[str, Json] = {f"@{key!s}": str(value) for key, value in element.attrib.items()}
    box: etree._Element | None = None
    for child in element:
        tag = child.tag
        if tag == "name" and name is None:
            name = text_of(child)
        elif tag == "bndbox" and box is None:
            box = child
        elif (
            tag in ("truncated", "difficult", "occluded") and tag not in flags and (level := _level(child)) is not None
        ):
            flags[str(tag)] = level
        elif tag == "part":
            parts = extra.setdefault("parts", [])
            if isinstance(parts, list):
                parts.append(to_json(child, 1))
        elif isinstance(tag, str):
            _member(extra, child)
    if name is None or not name.strip():
        given.fault("missing-field", "object has no <name>", line_of(element))
        return None
    if box is None:
        given.fault("missing-field", "object has no <bndbox>", line_of(element), f"{name!r}")
        return None
    numbers = _sides(box, extra, given)
    if numbers is None:
        return None
    difficult = bool(flags["difficult"]) if "difficult" in flags else None
    return (
        row,
        name,
        *numbers,
        flags.get("truncated"),
        flags.get("occluded"),
        difficult,
        compact(extra) if extra else None,
    )


def level(tag: str, text: str) -> float | None:
    """The number that a flag says; None where it is none, or none for that flag."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if number in (0, 1) or (math.isfinite(number) and tag != "difficult") else None


def _level(element: etree._Element) -> float | None:
    return None if len(element) or element.attrib else level(str(element.tag), text_of(element))


def _sides(box: etree._Element, extra: dict[str, Json], given: _Given) -> list[float] | None:
    values: dict[str, float] = {}
    rest: dict[str, Json] = {f"@{key!s}": str(value) for key, value in box.attrib.items()}
    for child in box:
        tag = str(child.tag)
        if tag not in SIDES or tag in values:
            add(rest, tag, to_json(child))
            continue
        text = text_of(child).strip()
        number = float(text) if _DECIMAL.fullmatch(text) else float("nan")
        if not math.isfinite(number):
            given.fault("bad-number", "coordinate is not a finite number", line_of(child), f"{tag} is {text!r}")
            return None
        values[tag] = number
    missing = [side for side in SIDES if side not in values]
    if missing:
        given.fault("missing-field", "box lacks a coordinate", line_of(box), f"no <{missing[0]}>")
        return None
    if rest:
        extra["bndbox"] = rest
    return [values[side] for side in SIDES]
