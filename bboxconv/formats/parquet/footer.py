"""Row groups that were written apart, as files of their own, put together to one file.

The bytes of a row group may stand anywhere in a file: its footer says where its columns begin. So the parts are copied
one behind the other, and the offsets in their footers moved along. Footers are Thrift structs in the compact protocol
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) of the types in
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow.parquet as pq

from bboxconv.readers.parquetfiles import MAGIC

TAIL = 8
"""Bytes at the end of a file: the length of the footer and the magic."""

Rule: TypeAlias = "bool | Mapping[int, Rule]"
"""What becomes of a field: True, an offset that moves; a mapping, a struct or a list of structs with such fields."""

_OFFSETS: Rule = {  # FileMetaData
    4: {  # row_groups: RowGroup
        1: {  # columns: ColumnChunk
            2: True,  # file_offset
            3: {9: True, 10: True, 11: True, 14: True},  # meta_data: pages, index, dictionary, bloom filter
            4: True,  # offset_index_offset
            6: True,  # column_index_offset
        },
        5: True,  # file_offset
    }
}
_NO_RULES: Mapping[int, Rule] = {}
_BOOL_TRUE, _BOOL_FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 11, 12


def cut(file: memoryview) -> tuple[memoryview, bytes]:
    """The bytes of the columns and the footer of a whole Parquet file."""
    length = int.from_bytes(file[-TAIL : -TAIL + 4], "little")
    end = len(file) - TAIL - length
    return file[len(MAGIC) : end], bytes(file[end:-TAIL])


def moved(footer: bytes, by: int) -> pq.FileMetaData:
    """The footer of a file whose columns stand `by` bytes further on."""
    copy = _Copy(footer, by)
    copy.struct(_OFFSETS)
    out = bytes(copy.out) + footer[copy.done :]
    return pq.read_metadata(io.BytesIO(MAGIC + out + len(out).to_bytes(4, "little") + MAGIC))


@dataclass(slots=True)
class _Copy:
    """A copy of a struct in the making: what is read stands from `at` on, and is copied up to `done`."""

    data: bytes
    by: int
    at: int = 0
    done: int = 0
    out: bytearray = field(default_factory=bytearray)

    def struct(self, rule: Rule) -> None:
        number, rules = 0, rule if isinstance(rule, Mapping) else _NO_RULES
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else _signed(self.varint())
            self.value(head & 15, rules.get(number, False))

    def value(self, kind: int, rule: Rule) -> None:
        if kind == _I64 and rule is True:
            start = self.at
            value = _signed(self.varint())
            self.out += self.data[self.done : start]
            self.out += _varint(_unsigned(value + self.by if value else 0))
            self.done = self.at
        elif kind in (_BOOL_TRUE, _BOOL_FALSE):  # the value is in the kind
            return
        elif kind == _BYTE:
            self.at += 1
        elif kind < _DOUBLE:
            self.varint()
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self.varint()
            self.at += length
        elif kind in (_LIST, _SET):
            head = self.byte()
            for _ in range(head >> 4 if head >> 4 != 15 else self.varint()):
                self.item(head & 15, rule)
        elif kind == _STRUCT:
            self.struct(rule)
        else:
            self.pairs()

    def item(self, kind: int, rule: Rule) -> None:
        if kind in (_BOOL_TRUE, _BOOL_FALSE):  # in a list each has a byte
            self.at += 1
        else:
            self.value(kind, rule)

    def pairs(self) -> None:
        count = self.varint()
        kinds = self.byte() if count else 0
        for _ in range(count):
            self.item(kinds >> 4, False)
            self.item(kinds & 15, False)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.data[self.at]) > 127:
            value |= (byte & 127) << shift
            shift += 7
            self.at += 1
        self.at += 1
        return value | byte << shift


def _signed(number: int) -> int:
    """Zigzag: 0, 1, 2, 3 are 0, -1, 1, -2."""
    return (number >> 1) ^ -(number & 1)


def _unsigned(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
