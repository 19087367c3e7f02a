"""Which files a Pascal VOC source has, and what their image sets and folders say of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, Findings, Record, cut, printable
from bboxconv.names import Names
from bboxconv.readers.xmlfiles import compact, load
from bboxconv.readers.xmlfolders import by_folder
from bboxconv.splits import SPLIT_NAMES, split_rank

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLASS_ROW = re.compile(r".*\s[-+]?[01]")


@dataclass(frozen=True, slots=True)
class Files:
    """The XML files of a source, in order; there may be a million, of which each takes some bytes."""

    paths: Names
    lists: tuple[tuple[str, ...], ...]
    """The splits of a file, the winning one first, as often as they differ."""
    list_of: NDArray[np.int32]
    """Which of them (N,) are those of each file."""
    unseen: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """What lists name and has no XML file: tree, identifier, its splits."""

    @classmethod
    def of(cls, paths: Names, *lists: str) -> Files:
        """Files that all have the same splits."""
        return cls(paths, (lists,), np.broadcast_to(np.int32(0), len(paths)))

    def splits(self, part: slice) -> list[tuple[str, ...]]:
        """The splits of each of some files, the winning one first."""
        return [self.lists[number] for number in self.list_of[part].tolist()]

    def folder(self, row: int) -> str:
        """The folder of a file below the source, without `Annotations`."""
        tree, identifier = located(self.paths[row])
        return "/".join(part for part in (tree, identifier.rpartition("/")[0]) if part)


def located(path: str) -> tuple[str, str]:
    """The tree that a file is in, and its identifier there: the path below its outermost `Annotations`, as an image may
    be in a folder of that name too, without extension."""
    tree, found, inside = f"/{path}".partition("/Annotations/")
    return (tree[1:], inside[:-4]) if found else ("", path[:-4])


def is_tree(prefix: str) -> bool:
    """Whether a folder is in one called `Annotations`, or is it; its path ends with `/`."""
    return "/Annotations/" in f"/{prefix}"


def list_files(source: Source, findings: Findings) -> Files:
    """The files of a source and their splits.

    Raises DataError where there are none.
    """
    said = () if source.split is None else (source.split,)
    if not source.path.is_dir():
        return Files.of(Names.of([""]), *said)
    everywhere = list(by_folder(source.path))
    found = [(prefix, names) for prefix, names in everywhere if is_tree(prefix)] or everywhere
    paths = _paths(found)
    if not paths.all_text():
        paths = Names.of(path for path in paths if path.isascii() or _readable(path, source, findings))
    if not paths and (source.path / "Annotations").is_dir():  # a data set without images
        return Files.of(paths)
    if not paths:
        raise DataError.of("no-annotations", "there is no XML file", where=source.shown)
    if source.split is not None:
        return Files.of(paths, *said)
    trees = {located(prefix + names[0])[0] for prefix, names in found}
    lists = _lists_of(source, paths, findings) if any(_sets(source, tree).is_dir() for tree in trees) else {}
    if not any(lists.values()) and all(path.partition("/")[0] in SPLIT_NAMES and "/" in path for path in paths):
        return _files(paths, ((SPLIT_NAMES[path.partition("/")[0]],) for path in paths))
    if not lists:
        return Files.of(paths)
    files = _files(paths, (lists[tree].pop(identifier, ()) for tree, identifier in map(located, paths)))
    files.unseen.extend(
        (tree, identifier, of) for tree, rest in lists.items() for identifier, of in sorted(rest.items())
    )
    return files


def _paths(found: Sequence[tuple[str, Names]]) -> Names:
    """The paths of all files, in order."""
    if len(found) == 1:
        return replace(found[0][1], start=found[0][0])
    return Names.of(prefix + name for prefix, names in found for name in names).sorted()


def _files(paths: Names, splits: Iterable[tuple[str, ...]]) -> Files:
    """Files each of which has its own splits."""
    numbers: dict[tuple[str, ...], int] = {}
    list_of = np.fromiter((numbers.setdefault(of, len(numbers)) for of in splits), np.int32, len(paths))
    return Files(paths, tuple(numbers), list_of)


def _readable(path: str, source: Source, findings: Findings) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        record = Record(f"{source.shown}/{path}")
        where = f"{source.shown}/{shown}"
        findings.add("bad-encoding", "the name of a file is not UTF-8", where=where, record=record, images=1)
        return False
    return True


def _sets(source: Source, tree: str) -> Path:
    return source.path / tree / "ImageSets" / "Main"


def _lists_of(source: Source, paths: Iterable[str], findings: Findings) -> dict[str, dict[str, tuple[str, ...]]]:
    """What the lists of each tree say."""
    known: dict[str, set[str]] = {}
    for tree, identifier in map(located, paths):
        known.setdefault(tree, set()).add(identifier)
    return {
        tree: _lists(
            _sets(source, tree),
            identifiers,
            "/".join(part for part in (source.shown.rstrip("/"), tree) if part),
            findings,
        )
        for tree, identifiers in known.items()
    }


def _lists(folder: Path, known: set[str], shown: str, findings: Findings) -> dict[str, tuple[str, ...]]:
    """The splits of each identifier, the winning one first."""
    if not folder.is_dir():
        return {}
    found: dict[str, list[str]] = {}
    for name in sorted(path.name for path in folder.iterdir()):
        if not name.endswith(".txt") or name.startswith("."):
            continue
        text = load(str(folder / name)).decode("utf-8", "surrogateescape")
        lines = re.split("[\r\n]+", text)  # not splitlines: names may hold other characters that end a line
        rows = dict.fromkeys(row if row in known else row.removeprefix("\ufeff").strip() for row in lines)
        rows.pop("", None)
        for row in [row for row in rows if not row.isascii() and _SURROGATE.search(row)]:
            where = f"{shown}/ImageSets/Main/{printable(name)}"
            message = "a row of a list is not UTF-8"
            findings.add("bad-encoding", message, where=where, detail=printable(row))
            del rows[row]
        if rows and not any(row in known for row in rows) and all(_CLASS_ROW.fullmatch(row) for row in rows):
            continue
        for row in rows:
            bare = str(PurePosixPath(row).with_suffix("")) if PurePosixPath(row).suffix else row
            found.setdefault(bare if row not in known and bare in known else row, []).append(name[:-4])
    return {identifier: tuple(sorted(sorted(set(of)), key=split_rank)) for identifier, of in found.items()}


def unique_names(names: list[pa.Array], rows: Iterable[int], files: Files) -> list[str | None] | None:
    """The names of all images, with folders where that makes them unique; None where all are unique as they are.

    In the place of an image whose name is still taken there is None.
    """
    column = pa.chunked_array(names, pa.string())
    if _ascending(names) or pc.count_distinct(column).as_py() == len(column):
        return None
    pairs = zip(column.to_pylist(), map(files.folder, rows), strict=True)
    full = [f"{folder}/{name}" if folder and not name.startswith(f"{folder}/") else name for name, folder in pairs]
    result: list[str | None] = []
    seen: set[str] = set()
    for name in full:
        result.append(None if name in seen else name)
        seen.add(name)
    return result


def _ascending(names: Iterable[pa.Array]) -> bool:
    """Whether each name is greater than the one before, as usual where images are called like their files: that is
    seen without a table of all."""
    before: pa.Array | None = None
    for some in names:
        if before is not None and len(some):
            some = pa.concat_arrays([before[-1:], some])
        if not pc.all(pc.less(some[:-1], some[1:])).as_py():
            return False
        before = some if len(some) else before
    return True


def tell_repeated(row: int, name: str, boxes: int, files: Files, source: Source, findings: Findings) -> None:
    """Report a file that is left out, as the image that it names has another one."""
    path = files.paths[row]
    record = Record(f"{source.shown.rstrip('/')}/{path}", raw=cut(load(f"{source.path}/{path}")))
    findings.add(
        "duplicate-image",
        "several XML files name the same image; the first is kept",
        record=record,
        detail=f"{name!r}",
        hint="--in name=stem takes the names of the XML files",
        images=1,
        boxes=boxes,
    )


def unannotated(files: Files, source: Source, context: ReadContext) -> list[tuple[str, str, str | None]]:
    """Name, split and extra of the images that a list names and that have no XML file."""
    pictures: dict[str, dict[str, str]] = {}
    result: list[tuple[str, str, str | None]] = []
    for tree, identifier, splits in files.unseen:
        if tree not in pictures:
            pictures[tree] = _pictures(source.path / tree / "JPEGImages")
        where = "/".join(
            part for part in (source.shown.rstrip("/"), tree, "ImageSets/Main", f"{splits[0]}.txt") if part
        )
        message = "an image is listed and has no XML file"
        context.findings.add("missing-annotation", message, severity="note", where=where, detail=identifier)
        name = pictures[tree].get(identifier)
        if name is None:
            name = identifier if identifier.lower().endswith(PICTURES) else f"{identifier}.jpg"
            if name != identifier:
                message = "an image was not found: .jpg is assumed"
                context.findings.add("image-extension-assumed", message, severity="note", where=where, detail=name)
        result.append((name, splits[0], compact({"splits": list(splits[1:])}) if splits[1:] else None))
    return result


def _pictures(folder: Path) -> dict[str, str]:
    """File names by their stem."""
    if not folder.is_dir():
        return {}
    return {path.stem: path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
