"""The shape of thousands of Pascal VOC documents at once, without a parser.

All documents lie in one buffer, which is cut at the texts of the leaves. What stands between two of them, a literal
(`</xmin>`, a line break, `<ymin>`), is one of a few strings in a whole slice: it is looked into once, and says
which leaf ends, which starts, and what is entered and left in between. All else are columns: literals as numbers,
texts as Arrow strings, documents and objects as counts.

A document that is not of the usual shape is refused: comment, CDATA, declaration, attribute, part, an element within
an unknown one, a repeated or missing one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.formats.voc.document import SIDES

LONGEST = 10_000_000
"""Bytes of a document beyond which libxml2's own limits begin."""
FLAGS = ("truncated", "difficult", "occluded")
_T = TypeVar("_T", bound=np.generic)
_NAME = r"[a-zA-Z_][a-zA-Z0-9_.-]{0,99}"
_GROUPS = ("annotation", "source", "owner", "size", "object", "bndbox")
_S = r"[ \t\r\n]*"
_GROUP = rf"""</?(?:{"|".join(_GROUPS)})>|<annotation verified="(?:yes|no)">"""
_LEAF = rf"(?!(?:{'|'.join(_GROUPS)})[ >]){_NAME}"
_DECLARATION = r"""<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"(?i:utf-8)"|'(?i:utf-8)'))? ?\?>"""
_LITERAL = re.compile(
    rf"(?:</(?P<closes>{_LEAF})>{_S}|\ufeff?(?:{_DECLARATION})?{_S})(?P<groups>(?:(?:{_GROUP}){_S})*)"
    rf"""(?:<(?P<opens>{_LEAF})(?P<json> type="json")?>)?"""
)
_INSIDE = ("source", "owner", "size", "object", "/annotation")
_AFTER = {
    "": ("annotation",),
    "annotation": _INSIDE,
    "source": ("/source",),
    "/source": _INSIDE,
    "owner": ("/owner",),
    "/owner": _INSIDE,
    "size": ("/size",),
    "/size": _INSIDE,
    "object": ("bndbox",),
    "bndbox": ("/bndbox",),
    "/bndbox": ("/object",),
    "/object": _INSIDE,
    "/annotation": (),
}
"""Which tag of a group may follow which, leaves left out. Each group holds a leaf, so this and the names of leaves
say the whole shape.
"""
_STATES = {tag: number for number, tag in enumerate(_AFTER)}
_FOLLOWS = np.array([[tag in after for tag in _AFTER] for after in _AFTER.values()], dtype=np.bool_)
_IMAGE_STATES = frozenset(_STATES[tag] for tag in ("annotation", "/source", "/owner", "/size", "/object"))
_OBJECT_STATES = frozenset(_STATES[tag] for tag in ("object", "/bndbox"))
WITHIN = ("", "source", "owner")
_WITHIN = np.array([WITHIN.index(tag) if tag in WITHIN else 0 for tag in _AFTER], dtype=np.int8)
ROLES = ("", "image", "filename", "width", "height", "object", "name", *FLAGS, *SIDES)
"""What a leaf is: nothing usual, a member of the image's or the object's `extra`, or a value. The image's stand before
the object's.
"""
_TYPED = frozenset(
    ("name", "filename", "width", "height", "depth", "segmented", "extra", "splits", "database", *FLAGS, *SIDES)
)
"""Leaves that mean something of their own, so that `type="json"` does not make them a member of `extra`."""


class UnusualError(Exception):
    """Some documents are not of the usual shape; `good` (D,) says which are."""

    def __init__(self, good: NDArray[np.bool_]) -> None:
        super().__init__()
        self.good = good


class Literal(NamedTuple):
    """What stands between two texts. States are the last tag of a group, as a number of _STATES."""

    closes: str = ""
    opens: str = ""
    json: bool = False
    first: int = 0
    """The first tag of a group in it; 0 where it has none."""
    last: int = 0
    groups: tuple[str, ...] = ()
    verified: str | None = None
    good: bool = False
    text: str = ""


@lru_cache(4096)
def literal_of(text: str) -> Literal:
    """What a literal says; not good where it is none of a usual document."""
    match = _LITERAL.fullmatch(text)
    if match is None:
        return Literal()
    tags = re.findall(r"<(/?[a-z]+)[^>]*>", match["groups"])
    if any(after not in _AFTER[tag] for tag, after in pairwise(tags)):
        return Literal()
    verified = re.search('verified="([a-z]+)"', match["groups"])
    return Literal(
        match["closes"] or "",
        match["opens"] or "",
        match["json"] is not None,
        _STATES[tags[0]] if tags else 0,
        _STATES[tags[-1]] if tags else 0,
        tuple(tags),
        verified[1] if verified else None,
        True,
        text,
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """M items of D documents: each document's leaves in their order, and a head, without text, before them."""

    spans: pa.StringArray
    """(2 M,) Each text and the literal behind it."""
    heads: NDArray[np.int64]
    """(D,) The first item of each document."""
    document: NDArray[np.int64]
    """(M,)"""
    literals: tuple[Literal, ...]
    codes: NDArray[np.int64]
    """(M,) The literal behind each text."""
    role: NDArray[np.int8]
    """(M,) An index into ROLES, -1 for heads."""
    within: NDArray[np.int8]
    """(M,) The group that makes a member of its own, an index into WITHIN."""
    name: NDArray[np.int32]
    """(M,) An index into `names`."""
    names: tuple[str, ...]
    object: NDArray[np.int64]
    """(M,) The object that it is in, or the last one before it."""
    counts: NDArray[np.int64]
    """(D,) objects of each document."""
    good: NDArray[np.bool_]
    """(D,) Documents in which nothing unusual was found yet."""

    def of(self, role: str) -> NDArray[np.int64]:
        """The items of a role."""
        return np.flatnonzero(self.role == ROLES.index(role))

    def texts(self, items: NDArray[np.int64]) -> pa.StringArray:
        """The texts of items."""
        return self.spans.take(pa.array(items * 2))

    def refuse(self, items: NDArray[np.int64]) -> None:
        """These items are unusual."""
        self.good[self.document[items]] = False

    def refuse_objects(self, odd: NDArray[np.bool_]) -> None:
        """These objects (N,) are unusual."""
        self.good[np.repeat(np.arange(len(self.counts)), self.counts)[odd]] = False

    def check(self) -> None:
        """Raises UnusualError where something was unusual."""
        _check(self.good)


def shape_of(data: bytes, starts: NDArray[np.int64]) -> Shape:
    """The shape of the documents of `data` that begin at `starts` (D + 1,), its end included.

    Raises UnusualError.
    """
    spans, heads = _cut(data, starts)
    encoded = spans.take(pa.array(np.arange(1, len(spans), 2))).dictionary_encode()
    literals = tuple(literal_of(text) for text in encoded.dictionary.to_pylist())
    codes = encoded.indices.to_numpy().astype(np.int64)
    last = np.append(heads[1:], len(codes)) - 1
    document = np.repeat(np.arange(len(heads)), np.diff(heads, append=len(codes)))
    names = tuple(dict.fromkeys(["", *(name for literal in literals for name in (literal.closes, literal.opens))]))
    numbers = {name: number for number, name in enumerate(names)}
    opens = np.array([numbers[literal.opens] for literal in literals], dtype=np.int32)[codes]
    closes = np.array([numbers[literal.closes] for literal in literals], dtype=np.int32)[codes]
    first = np.array([literal.first for literal in literals], dtype=np.int8)[codes]
    name = _before(opens, heads)
    good = (first[heads] > 0) & (opens[last] == 0)
    good[document[name != closes]] = False
    if not all(literal.good for literal in literals):
        good[document[np.array([not literal.good for literal in literals], dtype=np.bool_)[codes]]] = False
    _check(good)
    state = _states(literals, codes, first, heads)
    good[document[state < 0]] = False
    good &= state[last] == _STATES["/annotation"]
    _check(good)
    state = _before(state, heads)
    typed = _before(np.array([literal.json for literal in literals], dtype=np.int8)[codes], heads)
    roles = [[[_role(at, tag, json) for json in (False, True)] for tag in names] for at in range(len(_STATES))]
    role = np.array(roles, dtype=np.int8).reshape(-1)[(state.astype(np.int64) * len(names) + name) * 2 + typed]
    role[heads] = -1
    good[document[role == 0]] = False
    starts_object = np.array(["object" in literal.groups for literal in literals], dtype=np.bool_)
    started = np.flatnonzero(starts_object[codes])
    shape = Shape(
        spans,
        heads,
        document,
        literals,
        codes,
        role,
        _WITHIN[state],
        name,
        names,
        objects_of(started, len(codes)),
        np.diff(np.searchsorted(started, heads), append=len(started)),
        good,
    )
    _once(shape)
    shape.check()
    return shape


def objects_of(started: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,) The object that each item is in, or the last one before it; after the items `started` one begins."""
    return np.repeat(np.arange(-1, len(started)), np.diff(started + 1, prepend=0, append=count))


def _check(good: NDArray[np.bool_]) -> None:
    if not good.all():
        raise UnusualError(good)


def _before(values: NDArray[_T], heads: NDArray[np.int64]) -> NDArray[_T]:
    """The value of the item before; 0 for heads."""
    shifted = np.empty_like(values)
    shifted[1:] = values[:-1]
    shifted[heads] = 0
    return shifted


def _cut(data: bytes, starts: NDArray[np.int64]) -> tuple[pa.StringArray, NDArray[np.int64]]:
    """Cut documents at the texts of their leaves (a start tag, text, an end tag) into texts and literals; the heads
    among these.
    """
    characters = np.frombuffer(data, np.uint8)
    opens, ends = np.flatnonzero(characters == ord("<")), np.flatnonzero(characters == ord(">"))
    first = np.searchsorted(opens, starts)
    sizes = np.diff(first)
    _check((sizes > 1) & (np.diff(starts) <= LONGEST) & (len(data) < 2**31))
    if len(opens) != len(ends) or not (ordered := _ordered(opens, ends)).all():
        _check(np.diff(np.searchsorted(ends, starts)) == sizes)
        _check(np.logical_and.reduceat(ordered, first[:-1]))
    closing = characters[opens + 1] == ord("/")
    _check(~closing[first[:-1]] & closing[first[1:] - 1])
    leaves = np.flatnonzero(~closing[:-1] & closing[1:])
    before = np.searchsorted(leaves, first[:-1])
    cuts = np.empty(2 * (len(leaves) + len(before)) + 1, dtype=np.int32)
    cuts[:-1:2] = np.insert(ends[leaves] + 1, before, starts[:-1])
    cuts[1::2] = np.insert(opens[leaves + 1], before, starts[:-1])
    cuts[-1] = len(data)
    spans = pa.StringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(data))
    return spans, before + np.arange(len(before))


def _ordered(opens: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each `<` has its `>` before the next one."""
    ordered = opens < ends
    ordered[:-1] &= ends[:-1] < opens[1:]
    return ordered


def _states(
    literals: Sequence[Literal], codes: NDArray[np.int64], first: NDArray[np.int8], heads: NDArray[np.int64]
) -> NDArray[np.int8]:
    """(M,) The last tag of a group up to the literal of each item, -1 from where none may follow the one before."""
    entered = np.flatnonzero(first)
    reached = np.array([literal.last for literal in literals], dtype=np.int8)[codes[entered]]
    previous = _before(reached, np.searchsorted(entered, heads))
    reached[~_FOLLOWS[previous, first[entered]]] = -1
    return np.repeat(reached, np.diff(entered, append=len(codes)))


def _role(state: int, tag: str, typed: bool) -> int:
    role = ""
    if not tag or (typed and tag in _TYPED):
        pass
    elif state in _IMAGE_STATES:
        role = tag if tag == "filename" else "image" if tag != "splits" else ""
    elif _WITHIN[state]:
        role = "image"
    elif state in _OBJECT_STATES:
        role = tag if tag in ("name", *FLAGS) else "object" if tag != "part" else ""
    elif state == _STATES["size"]:
        role = {"width": "width", "height": "height", "depth": "image"}.get(tag, "")
    elif state == _STATES["bndbox"]:
        role = tag if tag in SIDES else ""
    return ROLES.index(role)


def _once(shape: Shape) -> None:
    """Refuse documents where a leaf or a group stands twice in the same parent; sides of boxes are left out."""
    for tag in ("source", "owner", "size"):
        enters = np.array([tag in literal.groups for literal in shape.literals], dtype=np.bool_)
        if enters.any():
            documents = shape.document[enters[shape.codes]]
            shape.good[documents[1:][documents[1:] == documents[:-1]]] = False
    of_image = np.flatnonzero((shape.role > 0) & (shape.role < ROLES.index("object")))
    of_object = np.flatnonzero((shape.role >= ROLES.index("object")) & (shape.role < ROLES.index(SIDES[0])))
    of_size = shape.role[of_image] >= ROLES.index("width")
    for held, parents in (
        (of_image, shape.document[of_image] * 4 + np.where(of_size, 3, shape.within[of_image])),
        (of_object, shape.object[of_object]),
    ):
        keys = parents * len(shape.names) + shape.name[held]
        if (keys[1:] > keys[:-1]).all():
            continue
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        shape.refuse(held[order[1:][keys[1:] == keys[:-1]]])
