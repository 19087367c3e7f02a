"""Many small text files at once: read and joined by the thousand, split into rows and tokens, and made numbers in a
few vectorised calls.

For formats of one text file per image whose rows are tokens between white space. Only faulty rows are looked at one
by one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from bboxconv.errors import cut, printable
from bboxconv.io import BOM, READ, listing, read_small
from bboxconv.names import Names

_SPACES = b" \t\n\r\v\f"
_IS_SPACE = bytes(byte in _SPACES for byte in range(256))
_LINE = re.compile(rb"[^\r\n]*")
_LARGEST = 1 << 30
"""Bytes from which on rows are not read as a table, which is one block."""
_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Joined:
    """The bytes of F files one after the other, each ended by a newline; file i is data[bounds[i]:bounds[i + 1]]."""

    data: bytes
    bounds: NDArray[np.int64]
    failed: dict[int, str]
    """Why a file could not be read, by its number; it counts as empty."""

    def lines(self, files: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The line (N,), from 1, on which the byte at each of these places (N,) stands in its file."""
        raw = np.frombuffer(self.data, dtype=np.uint8)
        ends = raw == 10
        ends[:-1] |= (raw[:-1] == 13) & (raw[1:] != 10)
        breaks = np.flatnonzero(ends)
        return np.searchsorted(breaks, places) - np.searchsorted(breaks, self.bounds[files]) + 1

    def row(self, place: int) -> bytes:
        """The text of the row that begins at `place`, to the end of its line, cut."""
        found = _LINE.match(self.data, place)
        return cut(found[0].rstrip(_SPACES)) if found else b""


@dataclass(frozen=True, slots=True)
class Rows:
    """The R rows that are not blank, and their T tokens: row i has the tokens offsets[i] to offsets[i + 1]."""

    tokens: pa.LargeStringArray
    offsets: NDArray[np.int64]
    file: NDArray[np.int64]
    """The file of each row."""
    place: NDArray[np.int64]
    """Where each row begins in the joined bytes."""

    def token(self, number: int) -> str:
        """A token as it may be shown, shortened."""
        raw: bytes = self.tokens.slice(number, 1).cast(pa.large_binary())[0].as_py()
        return printable(raw[:40].decode("utf-8", "backslashreplace")) + ("..." if len(raw) > 40 else "")


def read_joined(paths: Iterable[str]) -> Joined:
    """Read files; an empty path is a file without content. A byte order mark is left out."""
    parts: list[bytes] = []
    failed: dict[int, str] = {}
    for number, path in enumerate(paths):
        text = b""
        if path:
            try:
                text = read_small(path)
            except OSError as error:
                failed[number] = error.strerror or str(error)
        parts.append(text[3:] if text[:3] == BOM else text)
    bounds = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)) + 1, out=bounds[1:])
    return Joined(b"\n".join([*parts, b""]), bounds, failed)


def table_of(joined: Joined, columns: int) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]] | None:
    """The columns (R,) of the rows, where each has that many numbers with one space between two, and the file (R,) of
    each row; None where any row is otherwise, which `rows_of` reads as well. An infinity or NaN comes as such.
    """
    data = joined.data
    if len(data) > _LARGEST or b"\r" in data or data[:3] == BOM:  # all three are something else to a table
        return None
    names = [str(number) for number in range(columns)]
    try:
        table = pa.csv.read_csv(
            pa.py_buffer(data),
            pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            pa.csv.ParseOptions(delimiter=" ", quote_char=False),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[], check_utf8=False),
        )
    except pa.ArrowInvalid:
        return None
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    place = breaks[np.diff(breaks, prepend=-1) > 1]  # the end of each row that is not blank
    file = np.searchsorted(joined.bounds, place, side="right") - 1
    return [column.to_numpy() for column in table.columns], file.astype(np.int64)


def rows_of(joined: Joined) -> Rows:
    """Split joined files into rows and tokens. Rows end with LF, CR or both; blank ones are left out."""
    raw = np.frombuffer(joined.data, dtype=np.uint8)
    space = np.frombuffer(joined.data.translate(_IS_SPACE), dtype=np.bool_)
    edge = np.empty(len(raw) + 1, dtype=np.bool_)
    edge[0], edge[-1] = not space[:1].all(), False
    np.not_equal(space[1:], space[:-1], out=edge[1:-1])
    edges = np.flatnonzero(edge)  # begins and ends of tokens in turn: the last byte is a newline
    begins, ends = edges[::2], edges[1::2]
    offsets = np.zeros(len(begins) + 1, dtype=np.int64)
    np.cumsum(ends - begins, out=offsets[1:])
    tokens = pa.LargeStringArray.from_buffers(
        len(begins), pa.py_buffer(offsets), pa.py_buffer(joined.data.translate(None, _SPACES))
    )
    first = np.flatnonzero(_begins_row(raw, begins, ends))
    place = begins[first]
    file = np.searchsorted(joined.bounds, place, side="right") - 1
    return Rows(tokens, np.append(first, len(begins)).astype(np.int64), file.astype(np.int64), place.astype(np.int64))


def _begins_row(raw: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each token is the first of its row: a line break stands in the gap before it."""
    result = np.ones(len(begins), dtype=np.bool_)
    after = raw[ends[:-1]]
    result[1:] = (after == 10) | (after == 13)
    wide = np.flatnonzero(begins[1:] - ends[:-1] > 1)
    if wide.size:
        breaks = np.flatnonzero((raw == 10) | (raw == 13))
        result[wide + 1] = np.searchsorted(breaks, begins[wide + 1]) > np.searchsorted(breaks, ends[wide])
    return result


def numbers_of(tokens: pa.LargeStringArray) -> NDArray[np.float64]:
    """Each token (T,) as the nearest float64; NaN where it is no finite decimal number."""
    try:
        values: NDArray[np.float64] = tokens.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raw = tokens.cast(pa.large_binary()).to_pylist()
        return np.array([_number(token) for token in raw], dtype=np.float64)
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.nan)


def _number(token: bytes) -> float:
    value = float(token) if _NUMBER.fullmatch(token) else np.nan
    return value if np.isfinite(value) else np.nan


def ranges(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers begins[i] to begins[i] + lengths[i] of every i, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begins - ends + lengths, lengths)


def files_below(folder: str) -> Iterator[str]:
    """The files below a folder, as relative names with `/`, folder by folder; nothing where it cannot be listed."""
    for inside, names in _by_folder(folder):
        yield from (inside + name for name in names) if inside else names


def names_below(folder: str) -> Names:
    """The same as a column; where no folder is in it, the one that is remembered."""
    found = list(_by_folder(folder))
    return found[0][1] if len(found) == 1 else Names.of(inside + name for inside, names in found for name in names)


def _by_folder(folder: str) -> Iterator[tuple[str, Names]]:
    """The files of a folder and of those below it, each with the path of its folder, which ends with `/`."""
    waiting = [("", False)]
    seen = {os.path.realpath(folder)}
    while waiting:
        inside, linked = waiting.pop()
        try:
            found = listing(f"{folder}/{inside}")
        except OSError:
            continue
        yield inside, found.files
        if found.others:
            yield inside, Names.of(found.others)
        for name in found.folders:
            path = f"{folder}/{inside}{name}"
            beyond = linked or os.path.islink(path)  # noqa: PTH114 - links lead back to folders that were seen
            if beyond:
                real = os.path.realpath(path)
                if real in seen:
                    continue
                seen.add(real)
            waiting.append((f"{inside}{name}/", beyond))


def sample(folder: str, files: int = 5) -> tuple[Joined, str]:
    """The beginnings of a few text files below a folder that are not empty, and the name of the first, to detect
    by.
    """
    parts: list[bytes] = []
    first = ""
    for name in islice(files_below(folder), 20_000):
        if not name.endswith(".txt") or name.rpartition("/")[2].startswith(("README", "classes")):
            continue
        text = beginning(f"{folder}/{name}", 4096)
        if text.strip():
            first = first or name
            parts.append(text.rpartition(b"\n")[0] if len(text) == 4096 and b"\n" in text else text)
        if len(parts) == files:
            break
    bounds = np.cumsum([0, *(len(part) + 1 for part in parts)])
    return Joined(b"\n".join([*parts, b""]), bounds.astype(np.int64), {}), first


def beginning(path: str, size: int) -> bytes:
    """How a file begins; nothing where it cannot be read, which reading reports."""
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, READ)) as file:
            return file.read(size)
    except OSError:
        return b""
