"""Documents of one tool are alike: the shape of thousands of them, foretold from that of the first ones.

A `Pattern` is the literals of a document: those of its head, and those that each object repeats. How often `<` occurs
says how many objects a document has, and so which literals it should hold, and where. That they stand there is checked
byte by byte: what is told of documents here is what `shape` tells of them, in half the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.formats.voc.shape import LONGEST, ROLES, Literal, Shape, UnusualError, literal_of, objects_of


@dataclass(frozen=True, slots=True)
class Pattern:
    """The items of a document in four runs: its head, an object that another one follows, the last object, and the
    head where no object follows."""

    head: int
    """Items of the head, with or without objects."""
    each: int
    """Items of an object."""
    literals: tuple[Literal, ...]
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    """(P,) The literal behind each item."""
    role: NDArray[np.int8]
    within: NDArray[np.int8]
    name: NDArray[np.int32]

    @property
    def runs(self) -> tuple[slice, slice, slice, slice]:
        """The four runs."""
        head, last = self.head, self.head + self.each
        return slice(0, head), slice(head, last), slice(last, last + self.each), slice(last + self.each, None)


def pattern_of(shape: Shape) -> Pattern | None:
    """The pattern of the document with the most objects; None where these differ, or other leaves follow them."""
    row = int(np.argmax(shape.counts)) if len(shape.counts) else 0
    count = int(shape.counts[row]) if len(shape.counts) else 0
    if count < 2:
        return None
    items = slice(int(shape.heads[row]), int(np.append(shape.heads, len(shape.codes))[row + 1]))
    inside = shape.role[items] >= ROLES.index("object")
    head = int(np.argmax(inside))
    codes = shape.codes[items]
    objects = codes[head:]
    if not inside[head:].all() or len(objects) % count:
        return None
    objects = objects.reshape(count, -1)
    if (objects[:-1] != objects[0]).any() or (objects[-1, :-1] != objects[0, :-1]).any():
        return None
    first, last = shape.literals[codes[head - 1]].text, shape.literals[codes[-1]].text
    without = literal_of(first.partition("<object>")[0].rstrip() + last.partition("</object>")[2])
    if not without.good:
        return None
    each = objects.shape[1]
    taken = np.concatenate((np.arange(head + each), np.arange(len(codes) - each, len(codes)), np.arange(head)))
    of_each = codes[taken]
    of_each[-1] = len(shape.literals)
    taken += items.start
    role, within, name = shape.role[taken], shape.within[taken], shape.name[taken]
    return Pattern(head, each, (*shape.literals, without), shape.names, of_each, role, within, name)


def alike(data: bytes, starts: NDArray[np.int64], pattern: Pattern) -> Shape:
    """The shape of the documents of `data` that begin at `starts` (D + 1,), its end included, where all are of the
    pattern. Raises UnusualError where some are not.
    """
    characters = np.frombuffer(data, np.uint8)
    opens = np.flatnonzero(characters == ord("<"))
    tags = np.diff(np.searchsorted(opens, starts))
    texts = [literal.text.encode() for literal in pattern.literals]
    own_tags = np.array([text.count(b"<") for text in texts], dtype=np.int64)[pattern.codes]
    of_head, of_each, of_last, without = (int(own_tags[run].sum()) for run in pattern.runs)
    counts = np.where(tags == without, 0, (tags - of_head - of_last) // of_each + 1)
    foretold = np.where(counts > 0, of_head + (counts - 1) * of_each + of_last, without)
    _check((counts >= 0) & (tags == foretold) & (np.diff(starts) <= LONGEST) & (len(data) < 2**31))

    sizes = pattern.head + counts * pattern.each
    heads = np.cumsum(sizes) - sizes
    document = np.repeat(np.arange(len(sizes)), sizes)
    items = _items(pattern, heads, counts, document)
    lengths = np.array([len(text) for text in texts], dtype=np.int32)[pattern.codes].take(items)
    before = own_tags.take(items)
    begin = opens.take(np.cumsum(before) - before)
    begin[heads] = starts[:-1]
    end = begin + lengths
    cuts = np.empty(2 * len(items) + 1, dtype=np.int32)
    cuts[0], cuts[1::2], cuts[2::2] = 0, begin, end
    # nothing is read beyond the documents: each literal begins behind the one before, the last ends where they do
    good = end[np.append(heads[1:], len(items)) - 1] == starts[1:]
    good[document[begin < cuts[:-1:2]]] = False
    _check(good)
    spans = pa.StringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(data))
    _check_bytes(spans, texts, pattern, counts)
    if np.count_nonzero(characters == ord(">")) != len(opens):
        _check(np.diff(np.searchsorted(np.flatnonzero(characters == ord(">")), starts)) == tags)

    enters = np.array(["object" in literal.groups for literal in pattern.literals], dtype=np.bool_)[pattern.codes]
    return Shape(
        spans,
        heads,
        document,
        pattern.literals,
        pattern.codes.take(items),
        pattern.role.take(items),
        pattern.within.take(items),
        pattern.name.take(items),
        pattern.names,
        objects_of(np.flatnonzero(enters.take(items)), len(items)),
        counts,
        np.ones(len(counts), dtype=np.bool_),
    )


def _items(
    pattern: Pattern, heads: NDArray[np.int64], counts: NDArray[np.int64], document: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(M,) The item of the pattern that each item of the documents is."""
    head, each = pattern.head, pattern.each
    longest = np.concatenate((np.arange(head), np.tile(np.arange(head, head + each), int(counts.max(initial=0)))))
    items = longest.take(np.arange(len(document)) - heads.take(document))
    ends = heads + head + counts * each
    last = ends[counts > 0, None] - np.arange(1, each + 1)
    items[last.reshape(-1)] += each
    without = heads[counts == 0, None] + np.arange(head)
    items[without.reshape(-1)] += head + 2 * each
    return items


def _check_bytes(spans: pa.StringArray, texts: list[bytes], pattern: Pattern, counts: NDArray[np.int64]) -> None:
    """Raise UnusualError where the literals of documents are others than those of the pattern."""
    head, each, last, without = (b"".join(texts[code] for code in pattern.codes[run]) for run in pattern.runs)
    of_count = {0: without} | {count: head + each * (count - 1) + last for count in set(counts.tolist()) if count}
    expected = [of_count[count] for count in counts.tolist()]
    found = jsontext.joined(spans.take(pa.array(np.arange(1, len(spans), 2))))
    whole = b"".join(expected)
    if bytes(found) == whole:  # a view compares byte for byte, a hundred times as slowly
        return
    other = np.flatnonzero(np.frombuffer(found, np.uint8) != np.frombuffer(whole, np.uint8))
    good = np.ones(len(counts), dtype=np.bool_)
    good[np.searchsorted(np.cumsum([len(text) for text in expected]), other, side="right")] = False
    raise UnusualError(good)


def _check(good: NDArray[np.bool_]) -> None:
    if not good.all():
        raise UnusualError(good)
