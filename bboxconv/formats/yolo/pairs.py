"""The images of one folder and the label files of another, put together by their stems."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bboxconv.codec import ReadContext
from bboxconv.errors import Findings, Record, printable
from bboxconv.formats.yolo.rows import Paths, Stems
from bboxconv.names import Names
from bboxconv.readers.textfiles import beginning, files_below, names_below

IMAGES = frozenset(
    (
        "avif",
        "bmp",
        "dng",
        "gif",
        "heic",
        "heif",
        "jp2",
        "jpeg",
        "jpeg2000",
        "jpg",
        "mpo",
        "pfm",
        "png",
        "tif",
        "tiff",
        "webp",
    )
)
"""Extensions of the images that YOLO's owner reads, and gif."""
_OTHER = re.compile(
    r"^(?:[^\n]*/)?(?:classes|labels|predefined_classes|_?darknet|README[^/\n]*|((?:train|val|valid|validation|test)\d*))$",
    re.M | re.I,
)
_WORDS = ("classes", "labels", "darknet", "readme", "train", "val", "test")
"""Of these one is in whatever `_OTHER` takes."""
_DIGITS = re.compile(rb"[-+0-9.eE]*[0-9][-+0-9.eE]*")
_ASSUMED = ".jpg"
_AT_ONCE = 10_000
"""Names that are looked at together."""
MANY = 16_000
"""Images below which starting processes takes longer than they save."""


@dataclass(frozen=True, slots=True)
class Part:
    """One split: its images in order. `names` are paths below `folder`; `labels` the paths of their label files, ""
    where there is none.
    """

    split: str | None
    folder: Path
    names: Names
    labels: Paths


def pair(
    split: str | None, images: Path, labels: Path, context: ReadContext, skip: frozenset[str] = frozenset()
) -> Part:
    """All images of a folder and all label files of another, put together by their relative stems."""
    inside = names_below(str(images))
    there = inside if images == labels else names_below(str(labels))
    if len(inside) + len(there) * (there is not inside) >= MANY:
        context.workers.begin()  # they start while pairs are looked for
    files = there.ending(".txt", exactly=True)
    names = Names.of(() if files is inside else filter(_is_image, inside))
    labelled = files.ended(len(".txt"), "")
    if skip:
        names, labelled = (Names.of(_without(skip, some)) for some in (names, labelled))
    where = str(labels)  # a Path is made text again for each of 100,000
    if not names and context.images is None:  # label files and nothing else: no need to look for pairs
        if others := _others(labels, labelled, apart=images != labels):
            labelled = Names.of(stem for stem in labelled if stem not in others)
        _tell_assumed(labels, labelled.sorted(), context.findings)
        names = labelled.ended(0, _ASSUMED).sorted()
        return part_of(split, images, names, Stems(where, names), context)
    if Names.of(name.rpartition(".")[0] for name in names).sorted() == labelled.sorted():  # as usual
        names = names.sorted()
        return part_of(split, images, names, Stems(where, names), context)
    return part_of(
        split, images, *_paired(split, labels, names, set(labelled), context, apart=images != labels), context
    )


def _paired(
    split: str | None, labels: Path, images: Iterable[str], texts: set[str], context: ReadContext, *, apart: bool
) -> tuple[Names, Paths]:
    """The names of all images and their label files, where some have none, share one, or are not there; `texts` are
    the stems of the text files."""
    names = list(images)
    stems = {name.rpartition(".")[0] for name in names}
    texts -= _others(labels, texts - stems, apart=apart)
    if len(stems) < len(names):
        _report_shared(names, texts, context.findings)
    if texts - stems:
        names += _unseen(split, labels, sorted(texts - stems), context)
    names.sort()
    column = Names.of(names)
    if stems <= texts:
        return column, Stems(str(labels), column)
    stem_of = (name.rpartition(".")[0] for name in names)
    return column, Names.of(f"{labels}/{stem}.txt" if stem in texts else "" for stem in stem_of)


def _without(folders: Collection[str], names: Iterable[str]) -> Iterator[str]:
    """The names that are not in these folders."""
    return (name for name in names if "/" not in name or name.partition("/")[0] not in folders)


def _is_image(name: str) -> bool:
    _, dot, extension = name.rpartition(".")
    return bool(dot) and extension.lower() in IMAGES


def _unseen(split: str | None, labels: Path, stems: list[str], context: ReadContext) -> list[str]:
    """The names of images that are known by their label files alone."""
    elsewhere = _elsewhere(split, context)
    _tell_assumed(labels, [stem for stem in stems if stem not in elsewhere], context.findings)
    return [elsewhere.get(stem, stem + _ASSUMED) for stem in stems]


def _tell_assumed(labels: Path, stems: Sequence[str], findings: Findings) -> None:
    """Report images, in order, of which nobody knows the extension."""
    if stems:
        findings.add(
            "image-extension-assumed",
            f"no image file for a label file: the extension {_ASSUMED} is assumed",
            severity="note",
            where=printable(f"{labels}/{stems[0]}.txt"),
            count=len(stems),
            hint="--images DIR names the folder of the images",
        )


def _report_shared(names: list[str], texts: set[str], findings: Findings) -> None:
    by_stem: dict[str, list[str]] = {}
    for name in sorted(names):
        by_stem.setdefault(name.rpartition(".")[0], []).append(printable(name))
    for stem, same in by_stem.items():
        if len(same) > 1 and stem in texts:
            message = "images with the same stem share a label file: each has its boxes"
            findings.add("shared-label-file", message, severity="warning", where=" and ".join(same))


def _others(folder: Path, stems: Iterable[str], *, apart: bool) -> set[str]:
    """Of text files without an image, those that are no label files: class names, read-me files, lists of images. In a
    folder of labels, `apart` from the images, one that is empty or begins with a row of numbers is that of an image
    which is called so."""
    rest, found = iter(stems), set[str]()
    while some := list(islice(rest, _AT_ONCE)):
        found |= _others_of(folder, some, apart=apart)
    return found


def _others_of(folder: Path, stems: list[str], *, apart: bool) -> set[str]:
    found: set[str] = set()
    lines = "\n".join(stems)
    folded = lines.casefold()  # as the pattern takes letters; it takes long to tell that nothing of 100,000 fits
    if not any(word in folded for word in _WORDS):
        return found
    for match in _OTHER.finditer(lines):
        if match[1] is not None or apart:  # train.txt may be a list, or the labels of train.jpg
            first = beginning(f"{folder}/{match[0]}.txt", 200).lstrip().partition(b"\n")[0].split()
            numbers = [_DIGITS.fullmatch(token) is not None for token in first]
            if not first or (numbers[0] if match[1] is not None else all(numbers) and len(numbers) > 4):
                continue
        found.add(match[0])
    return found.intersection(stems) if found else found


def _elsewhere(split: str | None, context: ReadContext) -> dict[str, str]:
    """The image files below --images, by relative stem; those below its folder of the split come first."""
    if context.images is None:
        return {}
    folder = context.images / split if split else context.images
    found: dict[str, str] = {}
    for place in dict.fromkeys((folder, context.images)):
        for name in sorted(files_below(str(place))) if place.is_dir() else ():
            if _is_image(name):
                found.setdefault(name.rpartition(".")[0], name)
    return found


def part_of(split: str | None, folder: Path, names: Names, labels: Paths, context: ReadContext) -> Part:
    """A split of these images, without those whose names are no text; reports them, and those without a label file."""
    if not names.all_text():
        for name in names:
            if not _is_text(name):
                message, record = "a file name is not UTF-8: its image is left out", Record(f"{folder}/{name}")
                context.findings.add("bad-encoding", message, where=printable(name), record=record, images=1)
        labels = Names.of(label for name, label in zip(names, labels, strict=True) if _is_text(name))
        names = Names.of(filter(_is_text, names))
    without = 0 if isinstance(labels, Stems) else labels.count("")
    if without:
        message = "an image has no label file: it is read as one without boxes"
        context.findings.add(
            "image-without-label-file",
            message,
            severity="note",
            where=printable(f"{folder}/{names[[*labels].index('')]}"),
            count=without,
        )
    return Part(split, folder, names, labels)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
