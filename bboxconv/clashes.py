"""One small file for each image, written by several processes: whose file it is where two images want the same.

Of images with one file the first has it, and where a file would be a folder of others the folder stands, whichever
process came first: what is written does not depend on that.
"""

# Strings, not Path: an object for each of 100,000 files costs as much as writing the file.
# ruff: noqa: PTH103, PTH116

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv.io import CLASH, LONGEST, RESERVED, USUAL_NAME, write_new

Key = tuple[int, int]
"""The number of a batch and a row in it."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a batch of B images."""

    names: pa.StringArray
    """What the images are called."""
    places: pa.StringArray
    """Their files, below the folder and without extension; null where an image has none."""
    lost: dict[int, bytes]
    """What could not be written, as another file stood there, by row."""
    size: int
    """The bytes of those that were written."""


@dataclass(frozen=True, slots=True)
class Clash:
    """An image that is left out, as another has its file or stands below it."""

    key: Key
    name: str
    place: str
    other: str
    """What the other is called."""
    taken_back: Key | None = None
    """The other, where this one had the file and lost it."""


def write_files(
    folder: str, suffix: str, names: pa.StringArray, places: Sequence[str | None], texts: Sequence[bytes | memoryview]
) -> Files:
    """Write the file of each image of a batch that has a place."""
    for inside in {place.rpartition("/")[0] for place in places if place is not None}:
        with suppress(*CLASH):  # a file stands in the way
            os.makedirs(f"{folder}/{inside}", exist_ok=True)
    lost: dict[int, bytes] = {}
    size = 0
    for row, (place, text) in enumerate(zip(places, texts, strict=True)):
        if place is None:
            continue
        try:
            write_new(f"{folder}/{place}{suffix}", text)
            size += len(text)
        except CLASH:
            lost[row] = bytes(text)
    return Files(names, pa.array(places, pa.string()), lost, size)


def all_usual(names: pa.StringArray) -> bool:
    """Whether all names are such that `io.unsafe_name` and `io.plain_path` have nothing to say of them, as nearly
    always: asked of a whole column."""
    usual = pc.match_substring_regex(names, f"^(?:{USUAL_NAME.pattern})$")
    odd = pc.or_(pc.match_substring_regex(names, RESERVED.pattern, ignore_case=True), pc.invert(usual))
    odd = pc.or_(odd, pc.greater(pc.binary_length(names), LONGEST))
    return not pc.any(odd.fill_null(True)).as_py()


def size_of(batches: Sequence[Files], *others: tuple[int, int]) -> tuple[int, int] | None:
    """How many files there are and their bytes, together with others; None where images wanted the same one, which
    leaves only the folder to tell."""
    if any(files.lost for files in batches):
        return None
    own = [(len(files.places) - files.places.null_count, files.size) for files in batches]
    return sum(count for count, _ in (*own, *others)), sum(size for _, size in (*own, *others))


def settle(batches: Sequence[Files], folder: str, suffix: str) -> list[Clash]:
    """The images that are left out, once all files of all batches are written; files are as the rule says on
    return."""
    lost = {(number, row): data for number, files in enumerate(batches) for row, data in files.lost.items()}
    if not lost:
        return []
    places = {key: batches[key[0]].places[key[1]].as_py() for key in lost}
    inside = {key: _file_above(place, suffix, folder) for key, place in places.items()}
    for key, above in inside.items():
        if above:  # it stands below a file: the file gives way
            Path(folder, above + suffix).unlink(missing_ok=True)
            Path(folder, places[key] + suffix).parent.mkdir(parents=True, exist_ok=True)
    wanted = pa.array(sorted({*places.values(), *filter(None, inside.values())}), pa.string())
    groups: dict[Hashable, list[Key]] = {}
    for number, files in enumerate(batches):
        rows = pc.is_in(pc.utf8_lower(files.places), pc.utf8_lower(wanted))  # by Arrow alone: Python folds others
        for row in np.flatnonzero(rows.to_numpy(zero_copy_only=False)).tolist():
            groups.setdefault(_identity(f"{folder}/{files.places[row].as_py()}{suffix}"), []).append((number, row))
    found: list[Clash] = []
    for first, *others in groups.values():
        place = batches[first[0]].places[first[1]].as_py()
        if Path(folder, place + suffix).is_dir():
            other = _below(batches, f"{place}{suffix}/")
            found += [Clash(key, _name(batches, key), place, other) for key in (first, *others)]
            continue
        had = next((key for key in others if key not in lost), None) if first in lost else None
        if first in lost:
            Path(folder, place + suffix).write_bytes(lost[first])
        for key in others:
            own = batches[key[0]].places[key[1]].as_py()
            back = first if key == had else None
            found.append(Clash(key, _name(batches, key), own, _name(batches, first), back))
    return found


def _identity(path: str) -> Hashable:
    """What is equal for two paths of one file: whether case makes them differ is the file system's to say."""
    try:
        found = os.stat(path)
    except OSError:  # not there, as its folder was a file
        return path
    return found.st_dev, found.st_ino


def _name(batches: Sequence[Files], key: Key) -> str:
    name: str = batches[key[0]].names[key[1]].as_py()
    return name


def _below(batches: Sequence[Files], folder: str) -> str:
    """What an image is called whose file stands in a folder."""
    for files in batches:
        names = files.names.filter(pc.starts_with(files.places, folder, ignore_case=True))
        if len(names):
            return str(names[0])
    return "another image"


def _file_above(place: str, suffix: str, folder: str) -> str | None:
    """The place of the image whose file stands where a folder of this one would be."""
    parts = place.split("/")[:-1]
    for end in range(1, len(parts) + 1):
        above = "/".join(parts[:end])
        if above.endswith(suffix) and Path(folder, above).is_file():
            return above.removesuffix(suffix)
    return None
