"""Big JSON documents in blocks: the top level is walked, its long arrays are cut into blocks of whole elements, and
each block is decoded on its own.

A block is cut at a likely element boundary (`}` `,` `{`) and the decoder proves it: `[` + block + `]` parses as a
list only if the cut was true, because the block began at a true boundary. Where the proof fails, one exact structural
scan of that block finds its last boundary or the end of the array; nothing is retried, so a faulty document takes
time that grows with its size alone. Blocks are decoded ahead of their turn on an executor and taken in order.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import msgspec

from bboxconv.codec import Progress, silent
from bboxconv.errors import DataError, shortened
from bboxconv.io import BOM, compression_of
from bboxconv.readers.jsonblocks import SPACE, ArrayReader, Block, BlockResult, Keys, read_block, structure
from bboxconv.readers.jsonbytes import PackedText, PlainText
from bboxconv.workers import Workers

T = TypeVar("T")
Readers: TypeAlias = Callable[[str], ArrayReader[T] | None]

BLOCK = 4 << 20
_BOUNDARY = re.compile(rb"\}([ \t\r\n]*),[ \t\r\n]*(?=\{)")
_RAW = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the top-level object that no reader was given for, as JSON text."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Elements(Generic[T]):
    """A block of elements of a top-level array, read. `key` is `""` where the array is the whole document."""

    key: str
    value: T


@dataclass(slots=True)
class _Walk:
    """The walk over one document."""

    text: PlainText | PackedText
    shown: str
    block: int
    workers: Workers
    progress: Progress

    def fail(self, code: str, message: str, position: int, hint: str = "") -> DataError:
        countable = isinstance(self.text, PlainText) and position < 64 << 20
        line = self.text.read(0, position).count(b"\n") + 1 if countable else 0
        where = f"{self.shown}:{line}" if line > 1 else self.shown
        return DataError.of(code, message, where=where, detail=f"byte {position:,}", hint=hint)

    def space(self, position: int) -> int:
        """The position of the next byte that is no white space."""
        while chunk := self.text.read(position, position + 4096):
            rest = chunk.lstrip(SPACE)
            if rest:
                return position + len(chunk) - len(rest)
            position += len(chunk)
        return position

    def byte(self, position: int) -> bytes:
        return self.text.read(position, position + 1)

    def value(self, position: int) -> int:
        """The end of the value that begins at `position`, exclusive."""
        size = 1 << 16
        while True:
            chunk = self.text.read(position, position + size)
            commas, end = structure(chunk)
            stops = [int(commas[0])] if len(commas) else []
            stops += [end] if end >= 0 else []
            if stops:
                return position + len(chunk[: min(stops)].rstrip(SPACE))
            if len(chunk) < size:
                raise self.fail(
                    "truncated-json",
                    "the file ends inside a value",
                    position + len(chunk),
                    "it was cut off: fetch or export it again",
                )
            size *= 4

    def cut(self, start: int, size: int) -> tuple[int, int | None]:
        """A likely end of whole elements near `start + size`, and where the next begins; None where the text ends."""
        while True:
            stop = start + size
            near = max(start, stop - (1 << 16))
            for low in dict.fromkeys((near, start)):
                chunk = self.text.read(low, stop)
                if low + len(chunk) < stop:
                    return low + len(chunk), None
                last = deque(_BOUNDARY.finditer(chunk), maxlen=1)
                if last:
                    return low + last[0].start() + 1, low + last[0].end()
            size *= 2

    def array(self, key: str, start: int, reader: ArrayReader[T]) -> Generator[Elements[T], None, int]:
        """The blocks of the array whose elements begin at `start`; returns the position behind its closing
        bracket.
        """
        waiting: deque[tuple[int, int, int | None, Future[BlockResult[T]]]] = deque()
        following: int | None = start
        size = self.block
        keys: Keys = ()
        while True:
            while following is not None and len(waiting) < self.workers.ahead:
                stop, then = self.cut(following, size)
                data, first = self.text.data(following, stop), following == start
                task = Block(str(self.text.path), following, stop, data, first, then is None, keys, reader)
                waiting.append((following, stop, then, self.workers.submit(read_block, task)))
                following = then
            begin, stop, _, future = waiting.popleft()
            result = self.workers.result_of(future)
            keys = tuple(dict.fromkeys(keys + result.keys))
            if result.value is None:
                _drop(waiting)
                following, size = begin, max(size, stop - begin) * 2
                continue
            yield Elements(key, result.value)
            done = begin + result.consumed
            self.progress("reading", result.consumed, self.text.size, "bytes")
            if result.truncated:
                name = f"$.{key}" if key else "$"
                raise self.fail(
                    "truncated-json",
                    f"the file ends inside the array {name}",
                    done,
                    "it was cut off: fetch or export it again",
                )
            if result.ended:
                if self.byte(done) != b"]":
                    raise self.fail("bad-json", "expected a comma or a closing bracket", done)
                _drop(waiting)
                return done + 1
            if done != stop:
                _drop(waiting)
                following, size = done + 1, self.block
            self.text.release(done)

    def document(self, readers: Readers[T]) -> Iterator[Member | Elements[T]]:
        start = self.text.read(0, 4)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
            raise self.fail(
                "bad-encoding",
                "the file is not UTF-8: JSON is",
                0,
                "convert it, for example with iconv -f UTF-16 -t UTF-8",
            )
        position = self.space(3 if start.startswith(BOM) else 0)
        first = self.byte(position)
        whole = readers("") if first == b"[" else None
        if whole is not None:
            position = yield from self.array("", position + 1, whole)
        elif first == b"{":
            position = yield from self._members(position + 1, readers)
        else:
            wanted = "an object or an array" if readers("") is not None else "an object"
            raise self.fail("bad-json", f"the file does not begin with {wanted}", position)
        position = self.space(position)
        if self.byte(position):
            raise self.fail("bad-json", "there is something after the end of the document", position)

    def _members(self, position: int, readers: Readers[T]) -> Generator[Member | Elements[T], None, int]:
        seen: set[str] = set()
        position = self.space(position)
        if self.byte(position) == b"}":
            return position + 1
        while True:
            key, position = self._key(position)
            if key in seen:
                raise self.fail("duplicate-key", f'the key "{shortened(key)}" stands twice at the top level', position)
            seen.add(key)
            reader = readers(key) if key and self.byte(position) == b"[" else None
            if reader is not None:
                position = yield from self.array(key, position + 1, reader)
            else:
                end = self.value(position)
                yield Member(key, self._text(position, end, key))
                position = end
            self.text.release(position)
            position = self.space(position)
            mark = self.byte(position)
            if mark == b"}":
                return position + 1
            if mark != b",":
                message = "the file ends before its last brace" if not mark else "expected a comma or a closing brace"
                raise self.fail("bad-json" if mark else "truncated-json", message, position)
            position = self.space(position + 1)

    def _key(self, position: int) -> tuple[str, int]:
        chunk = self.text.read(position, position + (1 << 16))
        found = re.match(rb'"(?:[^"\\]|\\.)*"', chunk, re.DOTALL)
        if not found:
            raise self.fail(
                "bad-json" if chunk else "truncated-json",
                "expected a key in quotes" if chunk else "the file ends early",
                position,
            )
        try:
            key: str = json.loads(found[0])
            key.encode()
        except UnicodeDecodeError as error:
            raise self.fail("bad-encoding", "a key is not UTF-8", position) from error
        except ValueError as error:
            raise self.fail("bad-json", f"a key cannot be read: {error}", position) from error
        position = self.space(position + len(found[0]))
        if self.byte(position) != b":":
            raise self.fail("bad-json", "expected a colon after a key", position)
        return key, self.space(position + 1)

    def _text(self, start: int, end: int, key: str) -> str:
        raw = self.text.read(start, end)
        try:
            _RAW.decode(raw)
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("bad-encoding", f"the value of {shortened(key)} is not UTF-8", start) from error
        except RecursionError as error:
            raise self.fail("too-deep", f"the value of {shortened(key)} is nested too deeply", start) from error
        except msgspec.DecodeError as error:
            raise self.fail("bad-json", f"the value of {shortened(key)} cannot be read: {error}", start) from error


def _drop(waiting: deque[tuple[int, int, int | None, Future[BlockResult[T]]]]) -> None:
    for item in waiting:
        item[-1].cancel()
    waiting.clear()


def read_document(
    path: Path,
    readers: Readers[T],
    *,
    shown: str = "",
    workers: Workers | None = None,
    progress: Progress = silent,
    block: int = BLOCK,
    max_expansion: float | None = None,
) -> Iterator[Member | Elements[T]]:
    """Walk a JSON document, plain or compressed: the elements of the arrays that `readers` gives a reader for (`""`:
    the document itself) block by block, every other member as text. `readers` is asked when an array begins.

    Raises DataError where the text is broken outside of an element (with line or byte), where it ends early, is not
    UTF-8, has a top-level key twice, or is compressed and unpacks to more than `max_expansion` says (`io.open_input`).
    """
    packed = compression_of(path) is not None
    text = PackedText(path, BLOCK, max_expansion, shown or str(path)) if packed else PlainText(path)
    walk = _Walk(text, shown or str(path), block, workers or Workers(), progress)
    try:
        yield from walk.document(readers)
    except OSError as error:
        if text.size is None:
            raise DataError.of(
                "bad-compression", f"the compressed file cannot be read: {error}", where=walk.shown
            ) from error
        raise
    finally:
        text.close()
