"""The names of very many files as one column: of a million, some 20 bytes each and no object.

They are held as UTF-8, in which the order of bytes is that of code points; what no UTF-8 has, the halves of surrogate
pairs that stand for the other bytes of a name, as `surrogatepass` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

import pyarrow as pa
import pyarrow.compute as pc

_AT_ONCE = 10_000
"""Names that are objects at a time."""


@dataclass(frozen=True, slots=True)
class Names(Sequence[str]):
    """Names, all of which begin with `start`: that is in no row of the column."""

    column: pa.LargeBinaryArray
    start: str = ""

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """These names in their order; they are taken some thousand at a time."""
        rest = iter(names)
        parts = [pa.array([], pa.large_binary())]
        while some := list(islice(rest, _AT_ONCE)):
            parts.append(_column(some))
        return cls(parts[-1] if len(parts) <= 2 else pa.concat_arrays(parts))

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[str]:
        for at in range(0, len(self), _AT_ONCE):
            yield from self._texts(self.column[at : at + _AT_ONCE])

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        if isinstance(number, slice):
            return tuple(self._texts(self.column[number]))
        name: bytes = self.column[number].as_py()
        return self.start + name.decode("utf-8", "surrogatepass")

    def _texts(self, column: pa.LargeBinaryArray) -> list[str]:
        try:
            names: list[str] = column.view(pa.large_string()).to_pylist()
        except UnicodeDecodeError:
            names = [name.decode("utf-8", "surrogatepass") for name in column.to_pylist()]
        return [self.start + name for name in names] if self.start else names

    def sorted(self) -> Names:
        """The same names in code-point order."""
        if pc.all(pc.less_equal(self.column[:-1], self.column[1:])).as_py():
            return self
        return replace(self, column=self.column.take(pc.sort_indices(self.column)))

    def ending(self, suffix: str, *, exactly: bool = False) -> Names:
        """Those that end so (`.xml`, in small letters of ASCII), in large letters or small unless `exactly` so."""
        ends = pc.binary_slice(self.column, -len(suffix), None)
        wanted = suffix.encode()
        same = [end for end in pc.unique(ends).to_pylist() if (end if exactly else end.lower()) == wanted]
        chosen = pc.is_in(ends, pa.array(same, pa.large_binary()))
        return self if pc.all(chosen).as_py() else replace(self, column=self.column.filter(chosen))

    def ended(self, less: int, end: str) -> Names:
        """The same names, without the last bytes of each, and with an end."""
        column = pc.binary_slice(self.column, 0, -less) if less else self.column
        ends = pa.scalar(end.encode(), pa.large_binary()), pa.scalar(b"", pa.large_binary())
        return replace(self, column=pc.binary_join_element_wise(column, *ends) if end else column)

    def all_text(self) -> bool:
        """Whether all are UTF-8 on the disk too."""
        try:
            self.column.cast(pa.large_string())
        except pa.ArrowInvalid:
            return False
        return self.start.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in self.start)


def _column(names: list[str]) -> pa.LargeBinaryArray:
    try:
        return pa.array(names, pa.large_string()).view(pa.large_binary())
    except UnicodeEncodeError:
        return pa.array([name.encode("utf-8", "surrogatepass") for name in names], pa.large_binary())
