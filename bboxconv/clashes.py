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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bboxconv.io import CLASH, LONGEST, RESERVED, USUAL_NAME, write_new
from bboxconv.spool import Slip, Spool

Key = tuple[int, int]
"""The number of a batch and a row in it."""


HELD = 4 << 20
"""Bytes of names and places that stay in memory: beyond it they wait on disk for a clash, which hardly ever comes."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a batch of B images."""

    images: Slip
    """Their `name`, their `place` (the file, below the folder and without extension; null where an image has none)
    and their `boxes`, how many they have."""
    count: int
    """How many have a place."""
    lost: dict[int, bytes]
    """What could not be written, as another file stood there, by row."""
    size: int
    """The bytes of those that were written."""
    first: int
    """The number of the first image."""

    def held(self, spool: Spool) -> Files:
        """The same, held in this process."""
        return replace(self, images=spool.take(self.images))


@dataclass(frozen=True, slots=True)
class Clash:
    """An image that is left out, as another has its file or stands below it."""

    key: Key
    name: str
    place: str
    boxes: int
    number: int
    other: str
    """What the other is called."""
    taken_back: str | None = None
    """The place of the other, where this one had the file and lost it."""


def write_files(
    folder: str,
    suffix: str,
    names: pa.StringArray,
    boxes: Sequence[int],
    places: Sequence[str | None],
    texts: Sequence[bytes | memoryview],
    first: int,
) -> Files:
    """Write the file of each image of a batch, the first of which has that number, that has a place."""
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
    columns = [names, pa.array(places, pa.string()), pa.array(boxes, pa.int32())]
    images = pa.RecordBatch.from_arrays(columns, ["name", "place", "boxes"])
    count = len(images) - images.column("place").null_count
    return Files(Slip(len(images), images.nbytes, images), count, lost, size, first)


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
    own = [(files.count, files.size) for files in batches]
    return sum(count for count, _ in (*own, *others)), sum(size for _, size in (*own, *others))


def settle(batches: Sequence[Files], folder: str, suffix: str) -> list[Clash]:
    """The images that are left out, once all files of all batches are written; files are as the rule says on
    return."""
    lost = {(number, row): data for number, files in enumerate(batches) for row, data in files.lost.items()}
    if not lost:
        return []
    images = [files.images.load() for files in batches]

    def text(column: str, key: Key) -> str:
        return str(images[key[0]].column(column)[key[1]])

    places: dict[Key, str] = {key: text("place", key) for key in lost}
    inside = {key: _file_above(place, suffix, folder) for key, place in places.items()}
    for key, above in inside.items():
        if above:  # it stands below a file: the file gives way
            Path(folder, above + suffix).unlink(missing_ok=True)
            Path(folder, places[key] + suffix).parent.mkdir(parents=True, exist_ok=True)
    wanted = pa.array(sorted({*places.values(), *filter(None, inside.values())}), pa.string())
    groups: dict[Hashable, list[Key]] = {}
    for number, batch in enumerate(images):
        rows = pc.is_in(pc.utf8_lower(batch.column("place")), pc.utf8_lower(wanted))  # by Arrow: Python folds others
        for row in np.flatnonzero(rows.to_numpy(zero_copy_only=False)).tolist():
            groups.setdefault(_identity(f"{folder}/{text('place', (number, row))}{suffix}"), []).append((number, row))
    found: list[Clash] = []

    def add(key: Key, other: str, taken_back: str | None = None) -> None:
        name, place, boxes = text("name", key), text("place", key), int(text("boxes", key))
        found.append(Clash(key, name, place, boxes, batches[key[0]].first + key[1], other, taken_back))

    for first, *others in groups.values():
        place = text("place", first)
        if Path(folder, place + suffix).is_dir():
            other = _below(images, f"{place}{suffix}/")
            for key in (first, *others):
                add(key, other)
            continue
        had = next((key for key in others if key not in lost), None) if first in lost else None
        if first in lost:
            Path(folder, place + suffix).write_bytes(lost[first])
        for key in others:
            add(key, text("name", first), place if key == had else None)
    return found


def _identity(path: str) -> Hashable:
    """What is equal for two paths of one file: whether case makes them differ is the file system's to say."""
    try:
        found = os.stat(path)
    except OSError:  # not there, as its folder was a file
        return path
    return found.st_dev, found.st_ino


def _below(images: Sequence[pa.RecordBatch], folder: str) -> str:
    """What an image is called whose file stands in a folder."""
    for batch in images:
        names = batch.column("name").filter(pc.starts_with(batch.column("place"), folder, ignore_case=True))
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
