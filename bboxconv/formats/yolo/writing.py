"""The tree of a YOLO data set: label files, data.yaml, and the images where they are asked for."""

# Strings, not Path: an object for each of 100,000 files costs as much as reading the file.
# ruff: noqa: PTH103

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv import clashes, jsontext
from bboxconv.clashes import Files, settle, write_files
from bboxconv.codec import Encoding, WriteContext
from bboxconv.errors import Findings, UsageError, printable
from bboxconv.formats.yolo.text import Style, keypoint_count, label_texts
from bboxconv.imagefiles import ImageFiles
from bboxconv.io import plain_path, size_of, unsafe_name
from bboxconv.schema import Header, flat
from bboxconv.spool import Slip, Spool, leave

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/]{0,99}(?: [A-Za-z0-9_/]{1,99}){0,9}")
_NO_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})
"""What YAML takes for a truth value, or for nothing."""
_BREAKS = "\x85\u2028\u2029"
"""What ends a line in YAML, so that it would be read as a space: it is written as an escape."""
_OWN_KEYS = ("path", "names", "nc", "train", "val", "test", "kpt_shape", "flip_idx")


@dataclass(frozen=True, slots=True)
class Piece:
    """What was written of a batch; the batch itself, `held`, where nothing could be written yet."""

    splits: Counter[str | None] = field(default_factory=Counter)
    """How many images of each split were written."""
    used: frozenset[int] = frozenset()
    """The classes that have a row."""
    files: Files | None = None
    """The label files, below `labels`."""
    held: Slip | None = None
    first: int = 0
    """The number of the first image."""


@dataclass(frozen=True, slots=True)
class LabelWriter:
    """Writes the label files of batches below `out`, and the images where they are asked for."""

    out: str
    style: Style
    images: ImageFiles

    def __call__(self, batch: pa.RecordBatch, encoding: Encoding) -> Piece:
        """Write the label files of a batch."""
        if self.style.task == "pose" and not self.style.keypoints:
            return Piece(held=leave([batch], encoding.shelf)[0], first=encoding.first)
        objects, findings = flat(batch), encoding.findings
        data, bounds = label_texts(objects, self.style, findings)
        names, splits = batch.column("file_name").to_pylist(), batch.column("split").to_pylist()
        counts = np.diff(objects.offsets).tolist()
        rows = zip(names, splits, counts, strict=True)
        places = [_place(*given, findings, encoding.number(row)) for row, given in enumerate(rows)]
        ends = bounds.tolist()
        texts = [data[start:stop] for start, stop in pairwise(ends)]
        files = write_files(
            f"{self.out}/labels", ".txt", batch.column("file_name"), counts, places, texts, encoding.first
        )
        written: Counter[str | None] = Counter()
        for row, place in enumerate(places):
            if place is not None and row not in files.lost:
                written[splits[row]] += 1
                if self.images.how != "none":
                    self.place_image(names[row], splits[row], place, findings)
        return Piece(written, frozenset(pc.unique(objects.column("category")).to_pylist()), files, None, encoding.first)

    def image_target(self, name: str, place: str) -> str:
        """Where the image of a label file belongs."""
        return f"{self.out}/images/{place}{name[len(_stem(name)) :]}"

    def place_image(self, name: str, split: str | None, place: str, findings: Findings) -> None:
        """Put an image where its label file says."""
        self.images.place(name, split, self.image_target(name, place), findings)


def label_writer(
    header: Header, out: Path, context: WriteContext, *, task: str, digits: int | None, score: bool, images: str
) -> LabelWriter:
    """What writes every batch.

    Raises UsageError where images are asked for and their folder is not given.
    """
    style = Style(task, digits, score, _declared_keypoints(header) if task == "pose" else 0)
    return LabelWriter(str(out), style, ImageFiles.of(images, context))


@dataclass(slots=True)
class _State:
    """What is known of the images so far."""

    findings: Findings
    splits: Counter[str | None] = field(default_factory=Counter)
    used: set[int] = field(default_factory=set)
    """The classes that have a row."""
    files: list[Files] = field(default_factory=list)
    """Those of each batch that was written."""
    spool: Spool = field(default_factory=lambda: Spool(clashes.HELD))

    def take(self, piece: Piece) -> None:
        self.splits += piece.splits
        self.used |= piece.used
        if piece.files is not None:
            self.files.append(piece.files.held(self.spool))


def write_tree(
    header: Header, pieces: Iterable[Piece], out: Path, writer: LabelWriter, findings: Findings
) -> tuple[int, int] | None:
    """Write data.yaml, once all label files are written; how many files there are then and their bytes, where that is
    known.

    Raises UsageError where keypoints are asked for and no object has any.
    """
    os.makedirs(f"{out}/labels", exist_ok=True)
    state = _State(findings)
    spool, held = Spool(0), list[tuple[Slip, int]]()
    for piece in pieces:
        if piece.held is None:
            state.take(piece)
            continue
        batch = piece.held.load()
        count = keypoint_count(flat(batch).column("keypoints"))
        if count and not writer.style.keypoints:  # rows without keypoints must be as long as those with
            writer = replace(writer, style=replace(writer.style, keypoints=count))
            for slip, first in held:
                state.take(writer(slip.load(), Encoding(findings, first=first)))
        if writer.style.keypoints:
            state.take(writer(batch, Encoding(findings, first=piece.first)))
        else:
            held.append((spool.keep(batch), piece.first))
    if held and not writer.style.keypoints:
        raise UsageError.of("no-keypoints", "task=pose, and no object has keypoints", hint="--out task=detect")
    _settle_clashes(state, writer)
    _note_parents(header, state)
    _write_config(header, writer.style, state, out)
    return clashes.size_of(state.files, size_of(out / "data.yaml")) if writer.images.how == "none" else None


def _settle_clashes(state: _State, writer: LabelWriter) -> None:
    """Report images whose label file is another's; images follow their labels."""
    for clash in settle(state.files, f"{writer.out}/labels", ".txt"):
        where = f"{printable(clash.other)} and {printable(clash.name)}"
        message = "two images would write the same label file"
        state.findings.add(
            "file-clash",
            message,
            where=where,
            detail=f"labels/{clash.place}.txt",
            images=1,
            boxes=clash.boxes,
            late=True,
            numbers=(clash.number,),
        )
        place = clash.taken_back
        if place is not None and writer.images.how != "none":
            Path(writer.image_target(clash.name, clash.place)).unlink(missing_ok=True)
            split = place.partition("/")[0] if place.partition("/")[0] in state.splits else None
            writer.place_image(clash.other, split, place, state.findings)


def _stem(name: str) -> str:
    """A name without its extension."""
    dot = name.rfind(".")
    return name[:dot] if dot > name.rfind("/") + 1 else name


def _place(name: str, split: str | None, boxes: int, findings: Findings, number: int) -> str | None:
    """Where the label file of an image stands below `labels`, without extension; None, and a fault, where its name is
    not safe. `number` is what the image is known by."""
    where = f"{split}/{name}" if split is not None else name
    why = unsafe_name(where) or (None if split != "" else "has an empty split")
    if why is not None:
        message = f"a file name {why}: its image is left out"
        shown = printable(where) or '""'
        findings.add("unsafe-name", message, where=shown, images=1, boxes=boxes, late=True, numbers=(number,))
        return None
    stem = _stem(plain_path(name))
    _, found, rest = f"/{stem}".rpartition("/images/")
    if found:
        message = "a folder `images` in a file name is left out: YOLO looks for labels beside the last one of a path"
        findings.add("images-folder-in-name", message, severity="warning", where=printable(name))
        stem = rest
    return f"{split}/{stem}" if split else stem


def _note_parents(header: Header, state: _State) -> None:
    """Say which classes are the parent of others and have no box: exporters write such placeholders, and they shift
    all numbers.
    """
    parents = {category.supercategory for category in header.categories if category.supercategory != category.name}
    for number, category in enumerate(header.categories):
        if state.used and number not in state.used and category.name in parents:
            message = "a class that is the parent of others has a number, and no box uses it"
            hint = f"--exclude-class {shlex.quote(printable(category.name))} leaves it out"
            state.findings.add(
                "unused-parent-class",
                message,
                severity="note",
                where="data.yaml",
                detail=printable(category.name),
                hint=hint,
            )


def _declared_keypoints(header: Header) -> int:
    """How many keypoints each object has by data.yaml's kpt_shape or COCO's categories; 0 where neither says so."""
    extra = jsontext.value(header.extra) if header.extra else {}
    shape = extra.get("kpt_shape")
    if isinstance(shape, list) and shape and isinstance(shape[0], int):
        return shape[0]
    lists = [jsontext.value(c.extra).get("keypoints") for c in header.categories if c.extra]
    return max((len(names) for names in lists if isinstance(names, list)), default=0)


def _write_config(header: Header, style: Style, state: _State, out: Path) -> None:
    """data.yaml. Its owner requires `train` and `val`; without `path`, its own folder is the root."""
    names = [category.name for category in header.categories]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        state.findings.add(
            "duplicate-class",
            "two classes have the same name",
            severity="warning",
            where="data.yaml",
            detail=printable(twice),
        )
    document: dict[str, object] = dict(_splits(state))
    if style.task == "pose" and style.keypoints:  # without boxes nobody knows
        document["kpt_shape"] = [style.keypoints, 3]
    if header.source == "yolo" and header.extra:
        document |= {
            key: value
            for key, value in jsontext.value(header.extra).items()
            if key not in document and key not in _OWN_KEYS[:6]
        }
        if style.task != "pose":
            document.pop("kpt_shape", None)
    Path(out, "data.yaml").write_text(yaml_text(document, names), encoding="utf-8", newline="\n")


def yaml_text(settings: Mapping[str, object], names: Sequence[str]) -> str:
    """data.yaml. The usual one, all plain words, is written here, to the byte as PyYAML writes it: to load that takes
    15 ms, a tenth of a small run."""
    words = (*settings, *settings.values(), *names)
    if names and all(isinstance(word, str) and _is_plain(word) for word in words):
        lines = [f"{key}: {text}\n" for key, text in settings.items()]
        return "".join((*lines, "names:\n", *(f"  {number}: {name}\n" for number, name in enumerate(names))))
    import yaml  # noqa: PLC0415 - as in config

    document = {**settings, "names": dict(enumerate(names))}
    plain = not any(mark in name for name in names for mark in _BREAKS)
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=plain, width=1 << 30)
    return text


def _is_plain(word: str) -> bool:
    """Whether a word stands in YAML as it is, and is surely no number, truth value or null there."""
    return _PLAIN.fullmatch(word) is not None and word.lower() not in _NO_WORDS


def _splits(state: _State) -> Iterator[tuple[str, str]]:
    findings, there = state.findings, state.splits
    known = [split for split in ("train", "val", "test") if split in there]
    others = sorted(split for split in there if split is not None and split not in known)
    if None in there and len(there) > 1:
        message = "an image has no split, and others have: data.yaml does not name it"
        findings.add("images-without-split", message, severity="warning", where="data.yaml", count=there[None])
    if not known and not others:
        message = (
            "the images have no split: data.yaml names all of them as train and as val, as YOLO's owner requires both"
        )
        findings.add("no-val-split", message, severity="note", where="data.yaml")
        yield from (("train", "images"), ("val", "images"))
        return
    for split, other in (("train", "val"), ("val", "train")):
        path = f"images/{split if split in there else other if other in there else (known + others)[0]}"
        if split not in there:
            message = f"no image is in {split}, which YOLO's owner requires: data.yaml names {path} for it"
            findings.add(f"no-{split}-split", message, severity="note", where="data.yaml")
        yield split, path
    if "test" in there:
        yield "test", "images/test"
    for split in others:
        findings.add(
            "split-not-used",
            "a split of another name than train, val and test is written, and trainers do not use it",
            severity="note",
            where=split,
        )
        if split not in _OWN_KEYS:
            yield split, f"images/{split}"
