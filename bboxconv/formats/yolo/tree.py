"""Where a YOLO data set has its images and labels: the splits of a data.yaml, or what the folders say."""

# Strings, not Path: an object for each of 100,000 files costs as much as reading the file.
# ruff: noqa: PTH112, PTH113, PTH118, PTH120, PTH122

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Diagnostic, Findings, printable
from bboxconv.formats.yolo.config import Config, find_yaml, is_folder, labels_for, load_config, locate, read_names
from bboxconv.formats.yolo.pairs import Part, pair, part_of
from bboxconv.formats.yolo.rows import Stems
from bboxconv.io import listing
from bboxconv.names import Names
from bboxconv.splits import SPLIT_NAMES, split_rank

_SPLIT_FOLDER = re.compile(r"(train|val|valid|validation|test)(?:\d{4})?")


@dataclass(frozen=True, slots=True)
class Tree:
    """All splits, and what is said of classes and keypoints. `base` and `shown` are the folder as it is and as the
    user wrote it.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...] | None
    config: Config
    base: str
    shown: str


def find_tree(source: Source, context: ReadContext) -> Tree:
    """Find the images and labels of a data.yaml or a folder.

    Raises DataError where data.yaml cannot be read, where none of its splits exists, or where a folder holds no label
    file.
    """
    path = source.path.absolute()
    base = path if path.is_dir() else path.parent
    shown = source.shown if path.is_dir() else os.path.dirname(source.shown)
    seen = Findings(context.findings.recording)
    try:
        return _find(path, base, shown, replace(context, findings=seen))
    finally:
        context.findings.merge(_as_shown(finding, str(base), shown) for finding in seen)


def _as_shown(finding: Diagnostic, base: str, shown: str) -> Diagnostic:
    """The finding with places below the source as the user wrote it."""
    start = f"{shown.rstrip('/')}/" if shown else ""
    places = [
        replace(place, where=start + place.where.removeprefix(f"{base}/"))
        if place.where.startswith(f"{base}/")
        else place
        for place in finding.places
    ]
    return replace(finding, places=tuple(places))


def _find(path: Path, base: Path, shown: str, context: ReadContext) -> Tree:
    findings = context.findings
    file = find_yaml(path) if path.is_dir() else path
    config, parts = Config(), []
    if file is not None:
        shown_file = os.path.join(shown, file.name)
        config = load_config(file, shown_file, findings)
        parts = _configured(config, base, context, shown_file)
    if not parts and not config.splits:
        parts = [pair(split, images, labels, context, skip) for split, images, labels, skip in _folders(base)]
        parts = [part for part in parts if part.names or len(parts) == 1]
        if not any(isinstance(part.labels, Stems) or any(part.labels) for part in parts):
            raise DataError.of("no-annotations", "no YOLO label files below the folder", where=shown or ".")
    names = config.names
    if names is None:
        near = [parts[0].folder, base, *list(base.parents)[:3]] if parts else [base]
        names = read_names(near, findings, shown or ".")
    return Tree(tuple(parts), names, config, str(base), shown)


def _configured(config: Config, base: Path, context: ReadContext, shown: str) -> list[Part]:
    root = base / config.path
    if config.path and not is_folder(root):
        root = base
    missing: list[str] = []
    splits: dict[tuple[Path, ...], list[str]] = {}
    for split, entries in sorted(config.splits.items(), key=lambda item: split_rank(item[0])):
        places = [locate(entry, root, base, context.findings, shown) for entry in entries]
        missing += [
            f"{split}: {printable(entry)}" for entry, place in zip(entries, places, strict=True) if place is None
        ]
        there = tuple(dict.fromkeys(place for place in places if place is not None))
        if there:
            splits.setdefault(there, []).append(split)
    found: list[Part] = []
    for there, names in splits.items():
        if len(names) > 1:  # val stands for train where a set has one of them alone, as YOLO's owner requires both
            message = "several splits of data.yaml are the same images; they are read once"
            context.findings.add("splits-share-images", message, severity="note", where=shown, detail=", ".join(names))
        match = _SPLIT_FOLDER.fullmatch(there[0].name)
        own = SPLIT_NAMES[match[1]] if match else there[0].name
        named = names[0] if len(names) == 1 else own if match or own in names else None
        parts = [_split(named, place, root, base, context) for place in there]
        found.append(parts[0] if len(parts) == 1 else _joined(parts, context.findings, shown))
    if missing and not found:
        raise DataError.of(
            "missing-split-folder", "no split of data.yaml exists", where=shown, hint="; ".join(missing[:5])
        )
    for entry in missing:
        context.findings.add(
            "missing-split-folder", "a split of data.yaml does not exist", severity="warning", where=shown, detail=entry
        )
    return found


def _split(split: str | None, place: Path, root: Path, base: Path, context: ReadContext) -> Part:
    if place.is_file():
        return _listed(split, place, root, base, context)
    labels = labels_for(str(place))
    if not (os.path.isdir(labels) and labels != str(place)) and (
        (place / "images").is_dir() or (place / "labels").is_dir()
    ):
        place = place / "images"
        labels = labels_for(str(place))
    return pair(split, place, Path(labels) if os.path.isdir(labels) else place, context)


def _listed(split: str | None, file: Path, root: Path, base: Path, context: ReadContext) -> Part:
    """The images that a text file lists: paths from the list's folder, from the root, or, with leading parts left
    out, beside data.yaml.
    """
    lines = [line.strip() for line in file.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines()]
    lines = [line.replace("\\", "/") for line in lines if line]
    start, drop = _prefix(lines, [file.parent, root], base)
    paths = [os.path.normpath(os.path.join(start, *line.split("/")[drop:] if drop else [line])) for line in lines]
    unique = list(dict.fromkeys(paths))
    if len(unique) < len(paths):
        context.findings.add(
            "duplicate-image",
            "an image is listed twice; it is read once",
            severity="warning",
            where=str(file.name),
            count=len(paths) - len(unique),
            images=len(paths) - len(unique),
        )
    folder = os.path.commonpath([os.path.dirname(p) for p in unique]) if unique else str(root)
    names = [os.path.relpath(p, folder).replace(os.sep, "/") for p in unique]
    labels = (_label_of(p) for p in unique)
    paths_of = Names.of(label if os.path.isfile(label) else "" for label in labels)
    return part_of(split, Path(folder), Names.of(names), paths_of, context)


def _prefix(lines: list[str], folders: list[Path], beside: Path) -> tuple[Path, int]:
    """The folder to join listed paths to, and how many of their leading parts to leave out."""
    for line in lines[:20]:
        depth = line.count("/")
        for folder, drop in [*((f, 0) for f in folders), *((beside, n) for n in range(1, depth + 1))]:
            path = os.path.join(folder, *line.split("/")[drop:] if drop else [line])
            if os.path.isfile(path) or os.path.isfile(_label_of(path)):
                return folder, drop
    return folders[0], 0


def _label_of(image: str) -> str:
    head, name = os.path.split(image)
    return f"{labels_for(head)}/{os.path.splitext(name)[0]}.txt"


def _folders(base: Path) -> list[tuple[str | None, Path, Path, frozenset[str]]]:
    """The (split, images, labels, sub-folders that are splits of their own) of a folder without data.yaml."""
    found: list[tuple[str | None, Path, Path, frozenset[str]]] = []
    images, labels = base / "images", base / "labels"
    if labels.is_dir() or images.is_dir():
        labels = labels if labels.is_dir() else images
        inside = sorted({name for folder in (images, labels) if folder.is_dir() for name in listing(folder).folders})
        own = [name for name in inside if _SPLIT_FOLDER.fullmatch(name)]
        found += [(_split_name(name), images / name, labels / name, frozenset()) for name in own]
        found.append((None, images, labels, frozenset(own)))
    for entry in sorted(name for name in listing(base).folders if _SPLIT_FOLDER.fullmatch(name)):
        folder = base / entry
        nested = (folder / "labels").is_dir()
        pair = (folder / "images", folder / "labels") if nested else _beside(folder)
        found.append((_split_name(entry), *pair, frozenset()))
    if found:
        return sorted(found, key=lambda part: split_rank(part[0]))
    return [(None, *_beside(base), frozenset())]


def _beside(folder: Path) -> tuple[Path, Path]:
    """The folders of images and labels where one folder is given: itself, and the other where its path says so."""
    head, found, tail = f"{folder}/".rpartition("/labels/")
    images, labels = Path(f"{head}/images/{tail}") if found else folder, Path(labels_for(str(folder)))
    return images if images.is_dir() else folder, labels if labels.is_dir() else folder


def _split_name(folder: str) -> str:
    match = _SPLIT_FOLDER.fullmatch(folder)
    return SPLIT_NAMES[match[1]] if match else folder


def _joined(parts: list[Part], findings: Findings, shown: str) -> Part:
    """The folders of one split as one: names begin at the folder that they have in common."""
    folder = os.path.commonpath([str(part.folder) for part in parts])
    rows: dict[str, str] = {}
    twice = 0
    for part in parts:
        inside = os.path.relpath(part.folder, folder).replace(os.sep, "/")
        for name, label in zip(part.names, part.labels, strict=True):
            full = name if inside == "." else f"{inside}/{name}"
            twice += full in rows
            rows.setdefault(full, label)
    if twice:
        message = "an image is listed twice; it is read once"
        findings.add("duplicate-image", message, severity="warning", where=shown, count=twice, images=twice)
    return Part(parts[0].split, Path(folder), Names.of(rows), Names.of(rows.values()))
