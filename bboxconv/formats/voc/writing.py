"""Pascal VOC documents from record batches: objects as text in a few Arrow calls, one file per image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import clashes, jsontext
from bboxconv.clashes import Files, settle, write_files
from bboxconv.codec import Encoding
from bboxconv.errors import Findings
from bboxconv.formats.voc.document import SIDES
from bboxconv.io import plain_path, size_of, unsafe_name
from bboxconv.readers.xmlfiles import Json, attributes_of, escape, illegal, is_attribute, is_name, plain, written
from bboxconv.schema import Header, Objects, boxes_of, flat, keep_objects, pieces

_DECODER: msgspec.json.Decoder[dict[str, Json]] = msgspec.json.Decoder()
NAMELESS = "a class name is empty or holds a character that XML cannot"
PART = 2048
"""Images whose text is built at a time."""
_FLAGS = ("pose", "truncated", "difficult", "occluded")
_TAKEN = frozenset(
    (*_FLAGS, *("folder", "path", "source", "owner", "depth", "segmented", "filename", "object", "name", "part"))
) | {"size", "bndbox", "parts", "splits", "extra"}
"""Elements that have a place of their own."""
_DEFAULTS = {"pose": "Unspecified", "truncated": "0", "difficult": "0"}
_IMAGE_ORDER = ("folder", "path", "source", "owner", "depth", "segmented")


@dataclass(frozen=True, slots=True)
class Style:
    """How documents are written: digits after the point (None: all), and whether unknown flags get a default."""

    digits: int | None = None
    defaults: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """What `extra` says as elements: those with a place of their own by name, the attributes, and the rest."""

    named: Mapping[str, str]
    attributes: str
    size: str
    box: str
    parts: str
    rest: str
    splits: tuple[str, ...]


_NOTHING = _Said({}, "", "", "", "", "", ())


@dataclass(frozen=True, slots=True)
class Piece:
    """What was written of a batch: the documents, below `Annotations`, and the rows of each split."""

    files: Files
    lists: Mapping[str, tuple[int, ...]]
    boxes: tuple[int, ...] = ()
    """How many boxes each image has."""


@dataclass(frozen=True, slots=True)
class DocumentWriter:
    """Writes the documents of batches below `root`. `bad` are classes that XML cannot name."""

    root: str
    shown: str
    style: Style
    names: pa.StringArray
    bad: NDArray[np.bool_]

    @classmethod
    def of(cls, header: Header, out: Path, style: Style, shown: str) -> DocumentWriter:
        """For the classes of a header."""
        odd = [_odd(category.name) for category in header.categories]
        names = pa.array([escape(category.name) for category in header.categories], pa.string())
        return cls(str(out), shown, style, names, np.array(odd, dtype=np.bool_))

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Piece:
        """Write the documents of a batch. An image whose name is unsafe or taken is left out, an error."""
        texts = [text for part in pieces(batch, PART) for text in self._documents(part, encoding.findings)]
        names, splits = batch.column("file_name").to_pylist(), batch.column("split").to_pylist()
        counts = self._counts(batch, encoding.findings)
        stems = [_safe_stem(*pair, self.shown, encoding.findings) for pair in zip(names, counts, strict=True)]
        files = write_files(f"{self.root}/Annotations", ".xml", batch.column("file_name"), stems, texts)
        lists: dict[str, list[int]] = {}
        for row, split in enumerate(splits):
            if split is not None and stems[row] is not None:
                for one in (split, *_further_splits(batch.column("extra")[row].as_py())):
                    lists.setdefault(one, []).append(row)
        return Piece(files, {split: tuple(rows) for split, rows in lists.items()}, tuple(counts))

    def _counts(self, batch: pa.RecordBatch, findings: Findings) -> list[int]:
        """How many boxes of each image are written: those of a class that XML cannot name are not."""
        objects = flat(batch)
        counts = np.diff(objects.offsets)
        if self.bad.any():
            category = objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(np.take(self.bad, category) & (category >= 0))
            image = objects.image_of()[rows]
            for one in image.tolist():
                where = f"{self.shown}: image {batch.column('file_name')[one].as_py()}"
                findings.add("bad-value", NAMELESS, where=where, boxes=1, late=True)
            counts = counts - np.bincount(image, minlength=len(counts))
        found: list[int] = counts.tolist()
        return found

    def _documents(self, batch: pa.RecordBatch, findings: Findings) -> list[bytes]:
        """The document of each image."""
        objects = flat(batch)
        boxes, valid = boxes_of(objects.rows)
        category = objects.column("category").fill_null(-1).to_numpy(zero_copy_only=False)
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(boxes).all(axis=1), dtype=np.bool_)
        if not finite[valid].all():
            findings.add(
                "bad-number",
                "a coordinate is not a finite number",
                where=self.shown,
                count=int((valid & ~finite).sum()),
            )
        keep: NDArray[np.bool_] = finite & (category >= 0)
        if self.bad.any():
            keep &= ~np.take(self.bad, category)
        objects = keep_objects(objects, keep)
        listed = pa.ListArray.from_arrays(
            pa.array(objects.offsets, pa.int32()), _object_texts(objects, self.names, self.style)
        )
        images = [batch.column(name).to_pylist() for name in ("file_name", "width", "height", "extra")]
        heads: list[str | None] = []
        for name, width, height, extra in zip(*images, strict=True):
            said = _said(extra, "image", "\t")
            heads.append(_image_text(name, width, height, said))
        texts: list[bytes] = (
            pc.binary_join_element_wise(pa.array(heads, pa.string()), pc.binary_join(listed, ""), "</annotation>\n", "")
            .cast(pa.binary())
            .to_pylist()
        )
        return texts


def _stem(name: str) -> str:
    dot = name.rfind(".")
    return name[:dot] if dot > name.rfind("/") + 1 else name


def _image_text(name: str, width: int | None, height: int | None, said: _Said) -> str:
    size = f"{_number('width', width)}{_number('height', height)}{said.named.get('depth', '')}{said.size}"
    named = said.named.get
    return (
        f"<annotation{said.attributes}>\n{named('folder', '')}\t<filename>{escape(name)}</filename>\n"
        f"{named('path', '')}{named('source', '')}{named('owner', '')}"
        f"\t<size>\n{size}\t</size>\n{named('segmented', '')}{said.rest}"
    )


def _number(tag: str, value: int | None) -> str:
    return "" if value is None else f"\t\t<{tag}>{value}</{tag}>\n"


def _object_texts(objects: Objects, names: pa.StringArray, style: Style) -> pa.StringArray:
    """The element of each object."""
    boxes, _ = boxes_of(objects.rows)
    extra = objects.column("extra").dictionary_encode()
    said = [_said(text, "object", "\t\t") for text in extra.dictionary.to_pylist()]

    def from_extra(values: Sequence[str | None]) -> pa.StringArray:
        return pa.array(values, pa.string()).take(extra.indices)

    flags = []
    for tag in _FLAGS:
        element = from_extra([part.named.get(tag) for part in said])
        if tag != "pose":
            column = objects.column(tag)
            text = jsontext.booleans(column, true="1", false="0") if tag == "difficult" else jsontext.numbers(column)
            element = pc.coalesce(pc.binary_join_element_wise(f"\t\t<{tag}>", text, f"</{tag}>\n", ""), element)
        default = f"\t\t<{tag}>{_DEFAULTS[tag]}</{tag}>\n" if style.defaults and tag in _DEFAULTS else ""
        flags.append(element.fill_null(default))
    sides = []
    for at, side in enumerate(SIDES):
        values = boxes[:, at]
        text = jsontext.numbers(pa.array(values)) if style.digits is None else jsontext.decimals(values, style.digits)
        sides += [f"\t\t\t<{side}>", text, f"</{side}>\n"]
    attributes, inner, parts, rest = (
        from_extra([getattr(part, key) for part in said]).fill_null("")
        for key in ("attributes", "box", "parts", "rest")
    )
    name = names.take(objects.column("category"))
    start = ("\t<object", attributes, ">\n\t\t<name>", name, "</name>\n", *flags, "\t\t<bndbox>\n")
    if not len(boxes):
        return pa.array([], pa.string())
    return pc.binary_join_element_wise(*start, *sides, inner, "\t\t</bndbox>\n", parts, rest, "\t</object>\n", "")


def _said(text: str | None, of: str, indent: str) -> _Said:
    """The members of an `extra` as elements. What cannot stand as one goes into one element of JSON."""
    if text is None:
        return _NOTHING
    try:
        members = _members(text)
    except RecursionError:
        return _Said({}, "", "", "", "", f'{indent}<extra type="json">{escape(text)}</extra>\n', ())
    first, reserved = (_IMAGE_ORDER, {"filename", "object"}) if of == "image" else (_FLAGS, {"name", "part"})
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
        elif (
            key == "splits"
            and of == "image"
            and isinstance(value, list)
            and all(isinstance(split, str) for split in value)
        ):
            splits = tuple(str(split) for split in value)
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
    return _Said(
        named, attributes_of(attributes), inside["size"], inside["bndbox"], inside["parts"], "".join(rest), splits
    )


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


def _odd(name: str) -> bool:
    """Whether XML cannot name a class so."""
    return illegal(name) or not name.strip()


def _safe_stem(name: str, boxes: int, shown: str, findings: Findings) -> str | None:
    """The document of an image, without extension; None, and a fault, where its name is not safe."""
    why = unsafe_name(name) or (
        "holds a control character" if not name.isprintable() and re.search(r"[\x00-\x1f]", name) else None
    )
    if why is None:
        return _stem(plain_path(name))
    message = f"the name of an image {why}"
    findings.add("unsafe-name", message, where=shown, detail=repr(name), images=1, boxes=boxes, late=True)
    return None


def _further_splits(extra: str | None) -> tuple[str, ...]:
    return _said(extra, "image", "\t").splits if extra is not None and '"splits"' in extra else ()


def write_lists(
    header: Header, pieces: Iterable[Piece], writer: DocumentWriter, findings: Findings
) -> tuple[int, int] | None:
    """Write the lists of splits, once all documents are written; how many files there are then and their bytes, where
    that is known.
    """
    for category in header.categories:
        if _odd(category.name):
            findings.add("bad-value", NAMELESS, where=writer.shown, detail=repr(category.name), late=True)
    Path(writer.root, "Annotations").mkdir(parents=True, exist_ok=True)
    written = list(pieces)
    lost = set()
    for clash in settle([piece.files for piece in written], f"{writer.root}/Annotations", ".xml"):
        lost.add(clash.key)
        where = f"{writer.shown}/Annotations/{clash.place}.xml"
        message = "two images would write the same file"
        number, row = clash.key
        boxes, detail = written[number].boxes[row], f"{clash.other} and {clash.name}"
        findings.add("file-clash", message, where=where, detail=detail, images=1, boxes=boxes, late=True)
    for number, piece in enumerate(written):
        places = piece.files.places.to_pylist() if piece.lists else []
        lists = {
            split: [places[row] for row in rows if (number, row) not in lost] for split, rows in piece.lists.items()
        }
        _write_lists(lists, writer, findings)
    sets = Path(writer.root, "ImageSets")
    return clashes.size_of([piece.files for piece in written], *((size_of(sets),) if sets.is_dir() else ()))


def _write_lists(lists: Mapping[str, Sequence[str]], writer: DocumentWriter, findings: Findings) -> None:
    """Append to `ImageSets/Main/<split>.txt`."""
    for split, stems in lists.items():
        why = unsafe_name(split) or ("holds a slash" if "/" in split else None)
        if why is not None:
            findings.add("unsafe-name", f"the name of a split {why}", where=writer.shown, detail=repr(split))
            continue
        folder = Path(writer.root, "ImageSets", "Main")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{split}.txt").open("a", encoding="utf-8", newline="\n") as file:
            file.write("".join(f"{stem}\n" for stem in stems))
