"""Pascal VOC documents from record batches: objects as text in a few Arrow calls, one file per image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import clashes, jsontext
from bboxconv.clashes import Files, settle, write_files
from bboxconv.codec import Encoding
from bboxconv.errors import Findings
from bboxconv.formats.voc.document import SIDES
from bboxconv.formats.voc.said import FLAGS, Said, free_elements, said_of
from bboxconv.io import plain_path, size_of, unsafe_name
from bboxconv.readers.xmlfiles import escape, illegal, trimmed
from bboxconv.schema import Header, Objects, boxes_of, flat, pieces
from bboxconv.spool import Spool

PART = 2048
"""Images whose text is built at a time."""
_EXTENSION = r"([^/])\.[^./]*$"
"""What `_stem` takes away, and the character before it."""
_DEFAULTS = {"pose": "Unspecified", "truncated": "0", "difficult": "0"}


@dataclass(frozen=True, slots=True)
class Style:
    """How documents are written: digits after the point (None: all), and whether unknown flags get a default."""

    digits: int | None = None
    defaults: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What was written of a batch: the documents, below `Annotations`, and the rows of each split."""

    files: Files
    lists: Mapping[str, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class DocumentWriter:
    """Writes the documents of batches below `root`."""

    root: str
    shown: str
    style: Style
    names: pa.StringArray
    """The names of the classes as XML text."""

    @classmethod
    def of(cls, header: Header, out: Path, style: Style, shown: str) -> DocumentWriter:
        """For the classes of a header."""
        return cls(str(out), shown, style, pa.array([escape(one.name) for one in header.categories], pa.string()))

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Piece:
        """Write the documents of a batch. An image whose name is unsafe or taken is left out, an error."""
        texts = [text for part in pieces(batch, PART) for text in self._documents(part)]
        names, splits = batch.column("file_name"), batch.column("split").to_pylist()
        counts = np.diff(flat(batch).offsets).tolist()
        stems = _safe_stems(names, counts, self.shown, encoding)
        files = write_files(f"{self.root}/Annotations", ".xml", names, counts, stems, texts, encoding.first)
        lists: dict[str, list[int]] = {}
        for row, split in enumerate(splits):
            if split is not None and stems[row] is not None:
                for one in (split, *_further_splits(batch.column("extra")[row].as_py(), split)):
                    lists.setdefault(one, []).append(row)
        return Piece(files, {split: np.array(rows, np.int32) for split, rows in lists.items()})

    def _documents(self, batch: pa.RecordBatch) -> list[memoryview]:
        """The document of each image."""
        objects = flat(batch)
        _, ends, data = _object_texts(objects, self.names, self.style).buffers()
        # the objects of an image lie one behind the other already
        inside = pa.StringArray.from_buffers(
            len(batch), pa.py_buffer(np.frombuffer(ends, np.int32)[objects.offsets]), data
        )
        texts = pc.binary_join_element_wise(*_heads(batch), inside, "</annotation>\n", "")
        edges = np.frombuffer(texts.buffers()[1], np.int32)[: len(batch) + 1].tolist()
        whole = jsontext.joined(texts)
        return [whole[start:stop] for start, stop in pairwise(edges)]


def _stem(name: str) -> str:
    dot = name.rfind(".")
    return name[:dot] if dot > name.rfind("/") + 1 else name


def _heads(batch: pa.RecordBatch) -> list[str | pa.StringArray]:
    """What stands before the objects of each image, as columns to be joined."""
    extra = batch.column("extra").to_pylist()
    rest = [free_elements(text) for text in extra]
    said = None
    if None in rest:
        pairs = zip(extra, batch.column("split").to_pylist(), strict=True)
        said = [said_of(text, "image", "\t", split) for text, split in pairs]
    names = batch.column("file_name")
    if re.search(rb'[&<>"\t\n\r]', jsontext.joined(names)):
        names = pa.array([escape(name) for name in names.to_pylist()], pa.string())
    width, height = (
        pc.binary_join_element_wise(f"\t\t<{tag}>", jsontext.numbers(batch.column(tag)), f"</{tag}>\n", "").fill_null(
            ""
        )
        for tag in ("width", "height")
    )
    if said is None:
        start: tuple[str | pa.StringArray, ...] = ("<annotation>\n\t<filename>", names, "</filename>\n\t<size>\n")
        return [*start, width, height, "\t</size>\n", pa.array(rest, pa.string())]

    def from_extra(text: Callable[[Said], str]) -> pa.StringArray:
        return pa.array([text(one) for one in said], pa.string())

    def named(*tags: str) -> pa.StringArray:
        return from_extra(lambda one: "".join(one.named.get(tag, "") for tag in tags))

    return [
        *("<annotation", from_extra(lambda one: one.attributes), ">\n", named("folder")),
        *("\t<filename>", names, "</filename>\n", named("path", "source", "owner")),
        *("\t<size>\n", width, height, named("depth"), from_extra(lambda one: one.size), "\t</size>\n"),
        *(named("segmented"), from_extra(lambda one: one.rest)),
    ]


def _object_texts(objects: Objects, names: pa.StringArray, style: Style) -> pa.StringArray:
    """The element of each object."""
    boxes, _ = boxes_of(objects.rows)
    if not len(boxes):
        return pa.array([""], pa.string())[:0]
    extra = objects.column("extra").dictionary_encode()
    said = [said_of(text, "object", "\t\t") for text in extra.dictionary.to_pylist()]

    def from_extra(text: Callable[[Said], str | None], absent: str = "") -> list[pa.StringArray]:
        """The column, or nothing where it is empty."""
        values = [text(one) for one in said]
        return [pa.array(values, pa.string()).take(extra.indices).fill_null(absent)] if any(values) else []

    flags: list[str | pa.StringArray] = []
    for tag in FLAGS:
        default = f"\t\t<{tag}>{_DEFAULTS[tag]}</{tag}>\n" if style.defaults and tag in _DEFAULTS else ""
        elements = from_extra(partial(_named, tag), default) or [default]
        column = None if tag == "pose" else objects.column(tag)
        if column is not None and column.null_count < len(column):
            text = jsontext.booleans(column, true="1", false="0") if tag == "difficult" else jsontext.numbers(column)
            elements = [pc.coalesce(pc.binary_join_element_wise(f"\t\t<{tag}>", text, f"</{tag}>\n", ""), *elements)]
        flags += elements
    sides: list[str | pa.StringArray] = []
    for at, side in enumerate(SIDES):
        values = boxes[:, at]
        text = jsontext.numbers(pa.array(values)) if style.digits is None else jsontext.decimals(values, style.digits)
        before = "\t\t<bndbox>\n" if at == 0 else f"</{SIDES[at - 1]}>\n"
        sides += [f"{before}\t\t\t<{side}>", text]
    attributes, rest = from_extra(lambda one: one.attributes), from_extra(lambda one: one.rest)
    inner, parts = from_extra(lambda one: one.box), from_extra(lambda one: one.parts)
    name = names.take(objects.column("category"))
    start = ("\t<object", *attributes, ">\n\t\t<name>", name, "</name>\n", *flags)
    end = (f"</{SIDES[-1]}>\n", *inner, "\t\t</bndbox>\n", *parts, *rest, "\t</object>\n")
    return pc.binary_join_element_wise(*_merged([*start, *sides, *end]), "")


def _named(tag: str, said: Said) -> str | None:
    return said.named.get(tag)


def _merged(parts: Sequence[str | pa.StringArray]) -> list[str | pa.StringArray]:
    """The same texts side by side, constant ones that follow each other as one."""
    merged: list[str | pa.StringArray] = []
    for part in parts:
        if merged and isinstance(part, str) and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def nameless(name: str) -> bool:
    """Whether XML cannot name a class so: white space around it is layout where it holds a line break."""
    return illegal(name) or not name.strip() or trimmed(name) != name


def _safe_stems(names: pa.StringArray, boxes: Sequence[int], shown: str, encoding: Encoding) -> list[str | None]:
    """The document of each image, as `_safe_stem`."""
    if clashes.all_usual(names):
        stems: list[str | None] = pc.replace_substring_regex(names, _EXTENSION, r"\1").to_pylist()
        return stems
    rows = zip(names.to_pylist(), boxes, strict=True)
    return [_safe_stem(*given, shown, encoding, row) for row, given in enumerate(rows)]


def _safe_stem(name: str, boxes: int, shown: str, encoding: Encoding, row: int) -> str | None:
    """The document of an image, without extension; None, and a fault, where its name is not safe."""
    why = unsafe_name(name) or (
        "holds a control character" if not name.isprintable() and re.search(r"[\x00-\x1f]", name) else None
    )
    if why is None:
        return _stem(plain_path(name))
    message = f"the name of an image {why}"
    encoding.findings.add(
        "unsafe-name",
        message,
        where=shown,
        detail=repr(name),
        images=1,
        boxes=boxes,
        late=True,
        numbers=(encoding.number(row),),
    )
    return None


def _further_splits(extra: str | None, split: str) -> tuple[str, ...]:
    return said_of(extra, "image", "\t", split).splits if extra is not None and '"splits"' in extra else ()


def write_lists(pieces: Iterable[Piece], writer: DocumentWriter, findings: Findings) -> tuple[int, int] | None:
    """Write the lists of splits, once all documents are written; how many files there are then and their bytes, where
    that is known.
    """
    Path(writer.root, "Annotations").mkdir(parents=True, exist_ok=True)
    spool = Spool(clashes.HELD)
    written = [replace(piece, files=piece.files.held(spool)) for piece in pieces]
    lost = set()
    for clash in settle([piece.files for piece in written], f"{writer.root}/Annotations", ".xml"):
        lost.add(clash.key)
        where = f"{writer.shown}/Annotations/{clash.place}.xml"
        message = "two images would write the same file"
        findings.add(
            "file-clash",
            message,
            where=where,
            detail=f"{clash.other} and {clash.name}",
            images=1,
            boxes=clash.boxes,
            late=True,
            numbers=(clash.number,),
        )
    for number, piece in enumerate(written):
        places = piece.files.images.load().column("place").to_pylist() if piece.lists else []
        lists = {
            split: [places[row] for row in rows.tolist() if (number, row) not in lost]
            for split, rows in piece.lists.items()
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
