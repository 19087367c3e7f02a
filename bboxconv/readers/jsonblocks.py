"""One block of a JSON array: proved by decoding, and cut anew by an exact scan where the proof fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from bboxconv.io import read_range

T = TypeVar("T")
V = TypeVar("V", covariant=True)
Keys = tuple[str, ...]

SPACE = b" \t\r\n"
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class ArrayReader(Generic[V]):
    """How the elements of one top-level array are read, by top-level functions, which another process can run.

    `fast(text, keys)` takes the JSON text of a list and the element keys that were met before beyond those it knows;
    it returns the value and the keys met by now, and raises msgspec's DecodeError or ValidationError where anything
    is unusual. `slow(elements, keys)` takes the text of each element, which may be anything, and never raises.
    """

    fast: Callable[[bytes, Keys], tuple[V, Keys]]
    slow: Callable[[Sequence[bytes], Keys], tuple[V, Keys]]


@dataclass(frozen=True, slots=True)
class Block(Generic[T]):
    """One block to read: a range of a file, or its bytes."""

    path: str
    start: int
    stop: int
    data: bytes | None
    first: bool
    """It begins behind the bracket of the array, not behind a comma."""
    last: bool
    keys: Keys
    reader: ArrayReader[T]

    def block(self) -> bytes:
        """The text of the block."""
        return read_range(self.path, self.start, self.stop) if self.data is None else self.data


@dataclass(frozen=True, slots=True)
class BlockResult(Generic[T]):
    """What a block turned out to be: `consumed` bytes of whole elements. No value: none, it must be longer."""

    value: T | None
    keys: Keys
    consumed: int
    ended: bool = False
    truncated: bool = False


def structure(block: bytes) -> tuple[NDArray[np.int64], int]:
    """The exact structure of text that begins between two elements of a list: the positions of the commas between its
    elements, and the position of the bracket that ends the list, or -1."""
    codes = np.frombuffer(block, dtype=np.uint8)
    quotes = codes == ord('"')
    slashes = np.flatnonzero(codes == ord("\\"))
    if len(slashes):
        first = np.flatnonzero(np.diff(slashes, prepend=np.int64(-2)) != 1)
        lengths = np.diff(first, append=np.int64(len(slashes)))
        escaped = (slashes[first] + lengths)[lengths % 2 == 1]
        quotes[escaped[escaped < len(codes)]] = False
    outside = ~(np.logical_xor.accumulate(quotes) | quotes)
    opening = outside & ((codes == ord("{")) | (codes == ord("[")))
    closing = outside & ((codes == ord("}")) | (codes == ord("]")))
    depth = np.cumsum(opening.astype(np.int8) - closing.astype(np.int8), dtype=np.int32)
    ends = np.flatnonzero(depth < 0)
    end = int(ends[0]) if len(ends) else -1
    commas = np.flatnonzero(outside & (codes == ord(",")) & (depth == 0))
    return (commas[commas < end] if end >= 0 else commas), end


def _split(block: bytes, commas: NDArray[np.int64], stop: int) -> list[bytes]:
    edges = [-1, *commas[commas < stop].tolist(), stop]
    elements = [block[a + 1 : b].strip(SPACE) for a, b in pairwise(edges)]
    return [] if elements == [b""] else elements


def elements_of(text: bytes) -> list[bytes]:
    """The text of each element of a JSON list that the decoder has taken, brackets included."""
    inside = text[1:-1]
    return _split(inside, structure(inside)[0], len(inside))


def read_block(task: Block[T]) -> BlockResult[T]:
    """Read one block; whatever is wrong with the cut is put right here."""
    block, reader = task.block(), task.reader
    end = -1
    try:
        value, keys = reader.fast(_listed(block), task.keys)
        return BlockResult(value, keys, len(block), ended=False, truncated=task.last)
    except (msgspec.DecodeError, RecursionError) as error:
        trailing = _TRAILING.search(str(error))
        if trailing:
            end = (b"[" + block).rfind(b"]", 0, int(trailing[1]) - 1) - 1
    if end >= 0:
        commas = None
        stop, ended, truncated = end, True, False
    else:
        commas, end = structure(block)
        ended = end >= 0
        truncated = task.last and not ended
        stop = end if ended else len(block) if task.last or _proves(block) else int(commas[-1]) if len(commas) else -1
        if stop < 0:
            return BlockResult(None, task.keys, 0)
    whole = block[:stop]
    if not whole.strip(SPACE) and not truncated and not (ended and task.first):  # a comma with nothing beside it
        value, keys = reader.slow([b""], task.keys)
        return BlockResult(value, keys, stop, ended, truncated)
    try:
        value, keys = reader.fast(_listed(whole), task.keys)
    except (msgspec.DecodeError, RecursionError):
        elements = _split(block, structure(whole)[0] if commas is None else commas, stop)
        value, keys = reader.slow(elements[:-1] if truncated else elements, task.keys)
    return BlockResult(value, keys, stop, ended, truncated)


def _listed(elements: bytes) -> bytes:
    """The elements as a list: in one copy."""
    return b"".join((b"[", elements, b"]"))


def _proves(block: bytes) -> bool:
    try:
        _RAWS.decode(_listed(block))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
