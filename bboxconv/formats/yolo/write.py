"""The tree of a YOLO data set: label files, data.yaml, and the images where they are asked for."""

# Strings, not Path: an object for each of 100,000 files costs as much as reading the file.
# ruff: noqa: PTH103, PTH211

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from bboxconv.codec import WriteContext
from bboxconv.errors import Findings, UsageError, printable
from bboxconv.formats.yolo.text import Style, keypoint_count, label_texts
from bboxconv.io import CLASH, unsafe_name, write_new
from bboxconv.schema import Header, flat, pieces

_AT_ONCE = 4_096
"""Images whose rows are made text at a time: keeps the text of polygons far below Arrow's 2 GiB."""
_OWN_KEYS = ("path", "names", "nc", "train", "val", "test", "kpt_shape", "flip_idx")


@dataclass(slots=True)
class _State:
    """What is known of the images so far."""

    out: str
    findings: Findings
    splits: dict[str | None, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    names: list[pa.StringArray] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    """The classes that have a row."""

    def make(self, folder: str) -> None:
        if folder not in self.folders:
            os.makedirs(folder, exist_ok=True)
            self.folders.add(folder)


def write_tree(
    header: Header,
    batches: Iterable[pa.RecordBatch],
    out: Path,
    context: WriteContext,
    *,
    task: str,
    digits: int | None,
    score: bool,
    images: str,
) -> None:
    """Write every label file and data.yaml below `out`. `images` is none, copy or link."""
    if images != "none" and context.images is None and not context.image_folders:
        raise UsageError.of(
            "images-missing", f"--out images={images} needs the folder of the images", hint="--images DIR"
        )
    state = _State(str(out), context.findings)
    state.make(f"{out}/labels")
    style = Style(task, digits, score, _declared_keypoints(header) if task == "pose" else 0)
    stream = (piece for batch in batches for piece in pieces(batch, _AT_ONCE))
    held: list[pa.RecordBatch] = []
    for batch in stream:
        if task == "pose" and not style.keypoints:  # rows without keypoints must be as long as those with
            held.append(batch)
            count = keypoint_count(flat(batch).column("keypoints"))
            if not count:
                continue
            style = Style(task, digits, score, count)
        for ready in [*held, batch] if held and held[-1] is not batch else held or [batch]:
            _write_batch(ready, style, state, context, images)
        held.clear()
    if held:
        raise UsageError.of("no-keypoints", "task=pose, and no object has keypoints", hint="--out task=detect")
    _note_parents(header, state)
    _write_config(header, style, state)


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
    extra = json.loads(header.extra) if header.extra else {}
    shape = extra.get("kpt_shape")
    if isinstance(shape, list) and shape and isinstance(shape[0], int):
        return shape[0]
    lists = [json.loads(c.extra).get("keypoints") for c in header.categories if c.extra]
    return max((len(names) for names in lists if isinstance(names, list)), default=0)


def _write_batch(batch: pa.RecordBatch, style: Style, state: _State, context: WriteContext, images: str) -> None:
    objects = flat(batch)
    data, bounds = label_texts(objects, style, state.findings)
    state.used.update(pc.unique(objects.column("category")).to_pylist())
    names = batch.column("file_name")
    stems = pc.replace_substring_regex(names, r"([^/])\.[^./]*$", r"\1")
    state.names.append(names)
    rows = zip(
        names.to_pylist(),
        stems.to_pylist(),
        batch.column("split").to_pylist(),
        bounds[:-1].tolist(),
        bounds[1:].tolist(),
        strict=True,
    )
    for name, stem, split, begin, end in rows:
        where = f"{split}/{name}" if split is not None else name
        why = unsafe_name(where) or (None if split != "" else "has an empty split")
        if why is not None:
            state.findings.add("unsafe-name", f"a file name {why}: its image is left out", where=printable(where))
            continue
        place = f"{split}/{stem}" if split else stem
        if "images/" in place:
            place, name = _without_images(split, stem, name, state.findings)
        path = f"{state.out}/labels/{place}.txt"
        try:
            state.make(path.rpartition("/")[0])
            write_new(path, data[begin:end])
        except CLASH:
            state.findings.add(
                "file-clash",
                "two images would write the same label file",
                where=_both(name, stem, state),
                detail=f"labels/{place}.txt",
            )
            continue
        state.splits[split] = state.splits.get(split, 0) + 1
        if images != "none":
            target = f"{state.out}/images/{split + '/' if split else ''}{name}"
            _place_image(_image_folders(context, split), split, name, target, images, state)


def _without_images(split: str | None, stem: str, name: str, findings: Findings) -> tuple[str, str]:
    """The place of a label and the name of an image without the folder `images` in the name."""
    _, found, rest = f"/{stem}".rpartition("/images/")
    if not found:
        return (f"{split}/{stem}" if split else stem), name
    message = "a folder `images` in a file name is left out: YOLO looks for labels beside the last one of a path"
    findings.add("images-folder-in-name", message, severity="warning", where=printable(name))
    return (f"{split}/{rest}" if split else rest), f"/{name}".rpartition("/images/")[2]


def _both(name: str, stem: str, state: _State) -> str:
    """The names of both images of a clash, as far as the other can be found."""
    for names in state.names:
        like = pc.starts_with(names, f"{stem}.", ignore_case=True)
        other = next(
            (n for n in names.filter(like).to_pylist() if n != name and n.rpartition(".")[0].lower() == stem.lower()),
            None,
        )
        if other is not None:
            return f"{printable(other)} and {printable(name)}"
    return printable(name)


def _image_folders(context: WriteContext, split: str | None) -> list[Path]:
    """Where an image of this split may lie: the user's folder first, then those of its own split in the source."""
    given = [context.images] if context.images is not None else []
    return given + [folder for one, folder in context.image_folders if one is None or one == split]


def _place_image(folders: list[Path], split: str | None, name: str, target: str, how: str, state: _State) -> None:
    places = (
        place for folder in folders for place in ((folder / split / name) if split else folder / name, folder / name)
    )
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        state.findings.add(
            "image-missing", "an image is not in the folder of the images", severity="warning", where=printable(name)
        )
        return
    state.make(target.rpartition("/")[0])
    if os.path.lexists(target):
        state.findings.add("file-clash", "two images would write the same image file", where=printable(name))
    elif how == "copy":
        shutil.copyfile(source, target)
    else:
        os.symlink(source.resolve(), target)


def _write_config(header: Header, style: Style, state: _State) -> None:
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
    if style.task == "pose":
        document["kpt_shape"] = [style.keypoints, 3]
    if header.source == "yolo" and header.extra:
        document |= {
            key: value
            for key, value in json.loads(header.extra).items()
            if key not in document and key not in _OWN_KEYS[:6]
        }
        if style.task != "pose":
            document.pop("kpt_shape", None)
    document["names"] = dict(enumerate(names))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 30)
    Path(state.out, "data.yaml").write_text(text, encoding="utf-8", newline="\n")


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
