"""Shared by the formats of one XML file per image: loading and safely parsing; elements as JSON and back.

XML as JSON: an element with text alone is that string; any other is an object of `@attribute`, `#text` and its
children, where a repeated child is a list. What XML text cannot say (a number, null, an empty list from another
format) is written as JSON into an element marked `type="json"`, so that it reads back as it was. White space around
text is layout where it holds a line break, and is removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from bboxconv import jsontext
from bboxconv.errors import Findings, OutputError, Record, cut
from bboxconv.io import read_small

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

DEPTH = 100
"""How deep elements may stand in each other: beyond it a document is refused before recursion fails."""
_ENCODING = (etree.ErrorTypes.ERR_INVALID_ENCODING, etree.ErrorTypes.I18N_CONV_FAILED)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_UNUSUAL = re.compile('[\x00-\x1f\ud800-\udfff\ufffe\uffff&<>"]')
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ASCII = json.JSONEncoder(separators=(",", ":"))
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile('[&<>"\t\n\r]')


def load(path: str) -> bytes:
    """The bytes of a small file.

    Raises OutputError where it cannot be read.
    """
    try:
        return read_small(path)
    except OSError as error:
        raise OutputError.of("read-failed", f"cannot read: {error.strerror or error}", where=path) from error


def parse(data: bytes, shown: str, findings: Findings) -> etree._Element | None:
    """The root of a document; None, and an error `bad-xml` or `bad-encoding`, where it is broken or declares
    entities.

    Nothing outside the document is ever loaded.
    """
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.position[0] if error.position else 1
        record = Record(shown, max(line or 1, 1), raw=cut(data))
        if error.code in _ENCODING:  # type: ignore[attr-defined]
            message = "the text is not in the encoding that the document declares"
            findings.add("bad-encoding", message, record=record, images=1)
            return None
        findings.add("bad-xml", "not well-formed XML", record=record, detail=str(error.msg), images=1)
        return None
    dtd = root.getroottree().docinfo.internalDTD
    if isinstance(dtd, etree.DTD) and dtd.entities():  # type: ignore[attr-defined]
        message = "the document declares entities, which are not expanded"
        findings.add("bad-xml", message, record=Record(shown, 1, raw=cut(data)), images=1)
        return None
    return root


@dataclass(slots=True)
class SourceTexts:
    """The text of the children of a document's root that have one tag, as it stands in the document; where that cannot
    be told without parsing (comments, CDATA, nested elements of the tag), as lxml writes the element."""

    data: bytes
    root: etree._Element
    tag: str
    _found: list[bytes] | None = None

    def of(self, element: etree._Element, number: int) -> bytes:
        """The text of the child of that number, cut."""
        if self._found is None:
            tag = re.escape(self.tag.encode())
            pattern = rb"<%b(?:\s[^<>]*)?(?:/>|>.*?</%b\s*>)" % (tag, tag)
            told = b"<![" not in self.data and b"<!--" not in self.data
            found = re.findall(pattern, self.data, re.DOTALL) if told else []
            whole = (
                len(found)
                == sum(child.tag == self.tag for child in self.root)
                == len(re.findall(rb"<%b[\s/>]" % tag, self.data))
            )
            self._found = [cut(text) for text in found] if whole else []
        return self._found[number] if self._found else cut(etree.tostring(element, encoding="utf-8", with_tail=False))


def line_of(element: etree._Element) -> int:
    """The line on which an element begins."""
    line: object = element.sourceline
    return line if isinstance(line, int) else 1


def text_of(element: etree._Element) -> str:
    """The text of a leaf: white space around it is removed where it holds a line break."""
    return trimmed(element.text or "")


def trimmed(text: str) -> str:
    """Text without the layout around it."""
    if "\n" not in text and "\r" not in text:
        return text
    bare = text.strip(" \t\r\n")
    around = text[: len(text) - len(text.lstrip(" \t\r\n"))] + text[len(text.rstrip(" \t\r\n")) :]
    return bare if "\n" in around or "\r" in around else text


def to_json(element: etree._Element, depth: int = 0) -> Json:
    """An element as JSON (module docstring).

    Raises ValueError where elements stand too deep in each other.
    """
    if depth > DEPTH:
        raise ValueError(f"elements are nested more than {DEPTH} deep")
    attributes = element.attrib
    if not len(element) and not attributes:
        return text_of(element)
    if not len(element) and len(attributes) == 1 and attributes.get("type") == "json":
        try:
            value: Json = jsontext.value(element.text or "")
            return value
        except (ValueError, RecursionError):
            pass
    result: dict[str, Json] = {f"@{key!s}": str(value) for key, value in attributes.items()}
    pieces = [(element.text or "").strip(), *((child.tail or "").strip() for child in element)]
    if any(pieces):
        result["#text"] = " ".join(piece for piece in pieces if piece) if len(element) else text_of(element)
    for child in element:
        if isinstance(child.tag, str):
            add(result, child.tag, to_json(child, depth + 1))
    return result


def add(members: dict[str, Json], key: str, value: Json) -> None:
    """Put a child among the members of its parent; a repeated one makes a list."""
    if key not in members:
        members[key] = value
        return
    old = members[key]
    members[key] = [*old, value] if isinstance(old, list) else [old, value]


def compact(value: Json) -> str:
    """JSON text as bboxconv holds it; half a surrogate pair, which UTF-8 cannot hold, makes it ASCII."""
    text = _COMPACT.encode(value)
    return text if text.isascii() or not _SURROGATE.search(text) else _ASCII.encode(value)


def illegal(text: str) -> bool:
    """Whether text holds a character that XML 1.0 cannot, not even as a reference."""
    return _ILLEGAL.search(text) is not None


def escape(text: str) -> str:
    """Text as the content of an element or the value of an attribute, on one line."""
    return _SPECIAL.sub(lambda match: _REFERENCES[match[0]], text) if _SPECIAL.search(text) else text


def is_name(key: str) -> bool:
    """Whether a key may be the name of an element."""
    if _NAME.fullmatch(key):
        return True
    try:
        return not key.startswith("{") and etree.QName(key).localname == key
    except ValueError:
        return False


def written(tag: str, value: Json, indent: str = "") -> str:
    """An element, or several for a list, each on lines of its own: the inverse of `to_json`."""
    if type(value) is str and not _UNUSUAL.search(value):
        return f"{indent}<{tag}>{value}</{tag}>\n"
    if type(value) is int:
        return f'{indent}<{tag} type="json">{value}</{tag}>\n'
    if isinstance(value, list) and len(value) > 1 and not any(isinstance(item, list) for item in value):
        return "".join(written(tag, item, indent) for item in value)
    if isinstance(value, str) and not _CONTROL.search(value):
        return f"{indent}<{tag}>{escape(value)}</{tag}>\n"
    if isinstance(value, dict) and plain(value):
        attributes = attributes_of(value)
        text = value.get("#text")
        children = "".join(written(key, child, indent + "\t") for key, child in value.items() if key[0] not in "@#")
        if not children:
            return f"{indent}<{tag}{attributes}>{escape(str(text or ''))}</{tag}>\n"
        line = f"{indent}\t{escape(str(text))}\n" if text else ""
        return f"{indent}<{tag}{attributes}>\n{line}{children}{indent}</{tag}>\n"
    return f'{indent}<{tag} type="json">{escape(json.dumps(value))}</{tag}>\n'


def attributes_of(members: Mapping[str, Json]) -> str:
    """The `@` members as the attributes of a start tag, each with a space before it."""
    return "".join(f' {key[1:]}="{escape(str(value))}"' for key, value in members.items() if key.startswith("@"))


def is_attribute(key: str, value: Json) -> bool:
    """Whether a member can stand as an attribute."""
    return key.startswith("@") and is_name(key[1:]) and isinstance(value, str) and not _CONTROL.search(value)


def plain(members: Mapping[str, Json]) -> bool:
    """Whether an object is one that `to_json` makes of an element."""
    if (
        not members
        or set(members) == {"#text"}
        or (members.get("@type") == "json" and set(members) <= {"@type", "#text"})
    ):
        return False
    for key, value in members.items():
        if key == "#text":
            if not isinstance(value, str) or not value or value != value.strip() or _CONTROL.search(value):
                return False
        elif not is_attribute(key, value) and not is_name(key):
            return False
    return True
