"""Parquet files that unpack to far more than data does, refused before anything of them is read.

What a footer says of sizes need not be so: the headers of the pages are what readers go by. They are Thrift structs in
the compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) of the type
PageHeader in https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bboxconv.unpacking import SPARE, bomb, most_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq  # takes long to load, and whoever calls has done so

_WINDOWS = (512, 64 << 10)
"""Bytes that are read for a header: nearly all are shorter than the first, all than the last."""
_VALUE = 4
"""Bytes that a value takes at least, once it is read: a run of equal ones takes none in the file."""
_BOOL_TRUE, _BOOL_FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_UNPACKED, _PACKED, _DATA, _DATA_2 = 2, 3, 5, 8
"""Fields of PageHeader; the first field of a data page's own header is the number of its values."""


def refuse_bomb(
    path: Path, footer: pq.FileMetaData, columns: Collection[str], max_expansion: float | None, where: str
) -> None:
    """Raise DataError where row groups, more than SPARE bytes on end, unpack to more than `max_expansion` times their
    size (None: as for zstd, 0: no limit), pyarrow.ArrowInvalid where the pages are not where the footer says.
    `columns`: those that will be read.
    """
    most = most_of("zstd", max_expansion)
    file = os.open(path, os.O_RDONLY)
    try:
        groups = map(footer.row_group, range(footer.num_row_groups))
        if sum(group.column(n).total_compressed_size for group in groups for n in range(group.num_columns)) > (
            os.fstat(file).st_size
        ):
            raise pa.ArrowInvalid("columns are longer than the file, or lie one over the other")
        unpacked = packed = 0
        for group in range(footer.num_row_groups):
            for before, after in _pages(file, footer.row_group(group), columns):
                packed += before
                unpacked += after
            if unpacked <= most * packed:
                unpacked = packed = 0
            elif unpacked > SPARE:
                raise bomb(unpacked, packed, most, where)
    finally:
        os.close(file)


def _pages(file: int, group: pq.RowGroupMetaData, columns: Collection[str]) -> Iterator[tuple[int, int]]:
    """The bytes of each page, header included, and what they unpack to."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema.partition(".")[0] not in columns:
            continue
        dictionary = column.dictionary_page_offset if column.has_dictionary_page else 0
        at: int = min((offset for offset in (column.data_page_offset, dictionary) if offset > 0), default=0)
        end = at + column.total_compressed_size
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
