"""Parquet files that unpack to far more than data does, refused before anything of them is read.

What a footer says of sizes need not be so: the headers of the pages are what readers go by. Both are Thrift structs in
the compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) of the types
FileMetaData and PageHeader in https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
The footer is read here too: pyarrow ends the process where it is asked for a column that has a fault.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bboxconv.unpacking import SPARE, bomb, most_of

_WINDOWS = (512, 64 << 10)
"""Bytes that are read for a header: nearly all are shorter than the first, all than the last."""
_VALUE = 4
"""Bytes that a value takes at least, once it is read: a run of equal ones takes none in the file."""
_BOOL_TRUE, _BOOL_FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 11, 12
_UNPACKED, _PACKED, _DATA, _DATA_2 = 2, 3, 5, 8
"""Fields of PageHeader; the first field of a data page's own header is the number of its values."""


_ROW_GROUPS, _COLUMNS, _META_DATA, _PATH, _SIZE, _DATA_PAGE, _DICTIONARY = 4, 1, 3, 3, 7, 9, 11
"""Fields of FileMetaData, RowGroup, ColumnChunk and, from the path on, of ColumnMetaData."""
_TAIL = 8
"""Bytes at the end of a file: the length of the footer and the magic."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A column of a row group: the name of its field, where its pages begin, and how many bytes they have."""

    name: str
    at: int
    size: int


def refuse_bomb(path: Path, columns: Collection[str], max_expansion: float | None, where: str) -> None:
    """Raise DataError where row groups, more than SPARE bytes on end, unpack to more than `max_expansion` times their
    size (None: as for zstd, 0: no limit), pyarrow.ArrowInvalid where the pages are not where the footer says.
    `columns`: those that will be read.
    """
    most = most_of("zstd", max_expansion)
    file = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        groups = _row_groups(file, size)
        if sum(chunk.size for group in groups for chunk in group) > size:
            raise pa.ArrowInvalid("columns are longer than the file, or lie one over the other")
        unpacked = packed = 0
        for group in groups:
            for chunk in group:
                for before, after in _pages(file, chunk) if chunk.name in columns else ():
                    packed += before
                    unpacked += after
            if unpacked <= most * packed:
                unpacked = packed = 0
            elif unpacked > SPARE:
                raise bomb(unpacked, packed, most, where)
    finally:
        os.close(file)


def _row_groups(file: int, size: int) -> list[list[_Chunk]]:
    """The columns of each row group, as the footer says. Raises pyarrow.ArrowInvalid where it is none."""
    length = int.from_bytes(os.pread(file, 4, max(0, size - _TAIL)), "little")
    groups: list[list[_Chunk]] = []
    try:
        data = _Struct(os.pread(file, length, size - _TAIL - length) if length + _TAIL <= size else b"")
        for number, kind in data.fields():
            if (number, kind) == (_ROW_GROUPS, _LIST):
                groups = [_chunks(data) for _ in data.items()]
            else:
                data.skip(kind)
    except (IndexError, RecursionError) as error:
        raise pa.ArrowInvalid("the footer cannot be read") from error
    return groups


def _chunks(data: _Struct) -> list[_Chunk]:
    """The columns of a row group."""
    chunks: list[_Chunk] = []
    for number, kind in data.fields():
        if (number, kind) == (_COLUMNS, _LIST):
            chunks = [_chunk(data) for _ in data.items()]
        else:
            data.skip(kind)
    return chunks


def _chunk(data: _Struct) -> _Chunk:
    name, places = "", {_SIZE: 0, _DATA_PAGE: 0, _DICTIONARY: 0}
    for number, kind in data.fields():
        if (number, kind) != (_META_DATA, _STRUCT):
            data.skip(kind)
            continue
        for inner, inner_kind in data.fields():
            if (inner, inner_kind) == (_PATH, _LIST):
                parts = [data.binary() for _ in data.items()]
                name = parts[0].decode("utf-8", "replace") if parts else ""
            elif inner in places and inner_kind == _I64:
                places[inner] = data.integer()
            else:
                data.skip(inner_kind)
    at = min((places[offset] for offset in (_DATA_PAGE, _DICTIONARY) if places[offset] > 0), default=0)
    return _Chunk(name, at, places[_SIZE])


def _pages(file: int, chunk: _Chunk) -> Iterator[tuple[int, int]]:
    """The bytes of each page, header included, and what they unpack to."""
    at, end = chunk.at, chunk.at + chunk.size
    while at < end:
        page = _header(file, at)
        size = page.length + page.packed
        yield size, max(page.unpacked, page.values * _VALUE)
        at += size


@dataclass(frozen=True, slots=True)
class _Page:
    """What a header says, and its length."""

    length: int
    packed: int
    unpacked: int
    values: int


def _header(file: int, at: int) -> _Page:
    """The header of the page at that place. Raises pyarrow.ArrowInvalid where there is none."""
    for size in _WINDOWS:
        with suppress(IndexError, RecursionError):
            return _page(_Struct(os.pread(file, size, at)))
    raise pa.ArrowInvalid(f"there is no page at byte {at:,}")


def _page(data: _Struct) -> _Page:
    found = {_UNPACKED: -1, _PACKED: -1, _DATA: 0, _DATA_2: 0}
    for number, kind in data.fields():
        if number in (_UNPACKED, _PACKED):
            found[number] = data.integer()
        elif number in (_DATA, _DATA_2) and kind == _STRUCT:
            for inner, inner_kind in data.fields():
                if inner == 1:
                    found[number] = data.integer()
                else:
                    data.skip(inner_kind)
        else:
            data.skip(kind)
    if min(found.values()) < 0:
        raise pa.ArrowInvalid("a page has no size")
    return _Page(data.at, found[_PACKED], found[_UNPACKED], found[_DATA] + found[_DATA_2])


@dataclass(slots=True)
class _Struct:
    """Bytes that are read from `at` on. Raises IndexError where they end early."""

    data: bytes
    at: int = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """The number and the kind of each field of a struct, of which the value is then to be taken."""
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.integer()
            yield number, head & 15

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.byte()) > 127:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def integer(self) -> int:
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def items(self) -> Iterator[int]:
        """As many numbers as a list has elements, each of which is then to be taken."""
        head = self.byte()
        for number in range(head >> 4 if head >> 4 != 15 else self.varint()):
            yield number
            self.ended()

    def binary(self) -> bytes:
        length = self.varint()
        self.at += length
        return self.data[self.at - length : self.at]

    def skip(self, kind: int, *, inside: bool = False) -> None:
        """Pass over a value; `inside` a list or a map, where each bool has a byte of its own."""
        if kind in (_BOOL_TRUE, _BOOL_FALSE) and not inside:  # the value is in the kind
            return
        if kind in (_BOOL_TRUE, _BOOL_FALSE, _BYTE):
            self.byte()
        elif kind < _DOUBLE:
            self.varint()
        elif kind in (_DOUBLE, _BINARY):
            length = 8 if kind == _DOUBLE else self.varint()
            self.at += length
        elif kind in (_LIST, _SET):
            head = self.byte()
            for _ in range(head >> 4 if head >> 4 != 15 else self.varint()):
                self.skip(head & 15, inside=True)
                self.ended()
        elif kind == _MAP:
            count = self.varint()
            kinds = self.byte() if count else 0
            for _ in range(count):
                self.skip(kinds >> 4, inside=True)
                self.skip(kinds & 15, inside=True)
                self.ended()
        else:
            for _, inner in self.fields():
                self.skip(inner)

    def ended(self) -> None:
        if self.at > len(self.data):
            raise IndexError
