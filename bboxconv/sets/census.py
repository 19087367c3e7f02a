"""What is seen of the images before some are chosen: their numbers, the classes of each, and what groups them. All of
it is held as arrays of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext, schema
from bboxconv.codec import Target
from bboxconv.duplicates import hashes
from bboxconv.errors import UsageError
from bboxconv.flow import Flow, looked
from bboxconv.request import Request
from bboxconv.sets.light import light
from bboxconv.suggest import did_you_mean

FOLDER = r"^(.*)/"
_LOOKED_AT = frozenset({"image.file_name", "image.split", "object.category"})
KEYS = ("video", "folder", "extra.KEY")


@dataclass(frozen=True, slots=True)
class Grouping:
    """What images have in common that stay together: a key of theirs, or what a regular expression finds in their
    names."""

    key: str = ""
    """`video`, or `extra.KEY`."""
    regex: str = ""
    """RE2 with one group, called `key`."""

    @classmethod
    def of(cls, key: str | None, regex: str | None) -> Grouping | None:
        """As `--group-by` and `--group-regex` say. Raises UsageError for what these do not take."""
        if key is not None and regex is not None:
            message = "--group-by and --group-regex both say what images have in common"
            raise UsageError.of("option-conflict", message, hint="leave one of them out")
        if regex is not None:
            return cls(regex=_named_group(regex))
        if key == "folder":
            return cls(regex=_named_group(FOLDER))
        if key is not None and key != "video" and not (key.startswith("extra.") and len(key) > len("extra.")):
            hint = did_you_mean(key, KEYS) or f"keys: {', '.join(KEYS)}; or --group-regex"
            raise UsageError.of("unknown-column", f"--group-by: images have no key {key!r}", hint=hint)
        return None if key is None else cls(key)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it looks at."""
        return frozenset({"image.file_name" if self.regex else f"image.{self.key.partition('.')[0]}"})

    def keys(self, batch: pa.RecordBatch) -> pa.StringArray:
        """The key (B,) of each image of a batch, null where it has none."""
        if self.regex:
            return pc.struct_field(pc.extract_regex(batch.column("file_name"), self.regex), "key")
        if self.key == "video":
            return batch.column("video")
        texts, key = batch.column("extra"), self.key.removeprefix("extra.")
        found: list[str | None] = [None] * len(texts)
        for row in jsontext.rows_with(texts, [re.escape(key)]):
            found[row] = jsontext.members(texts[row].as_py()).get(key)
        return pa.array([None if text == "null" else text for text in found], pa.string())


def _named_group(regex: str) -> str:
    """The expression with its first group named, and the others without: where it has none, all of it is one."""
    quoted, signs = r"\\Q.*?(?:\\E|\Z)|\\.", r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"
    group = r"\((?:\?P?<[A-Za-z_]\w*>)?(?!\?)"
    parts = re.split(f"({quoted}|{signs}|{group})", regex, flags=re.DOTALL)
    first = True
    for at in range(1, len(parts), 2):
        if parts[at].startswith("("):
            parts[at] = "(?P<key>" if first else "(?:"
            first = False
    whole = "".join(parts)
    pattern = f"(?P<key>{whole})" if first else whole
    try:
        pc.match_substring_regex(pa.array(["x"]), regex)  # the error is of what was written
        found = pc.extract_regex(pa.array(["x"]), pattern).type
    except pa.ArrowInvalid as error:
        message = f"--group-regex is no regular expression: {str(error).split(': ', 1)[-1]}"
        raise UsageError.of("bad-option-value", message, where=regex) from error
    if found.get_field_index("key") < 0:
        raise UsageError.of("bad-option-value", "--group-regex has a group that is not understood", where=regex)
    return pattern


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is seen of a batch."""

    numbers: NDArray[np.int64]
    counts: NDArray[np.int32]
    """How many classes each image (B,) has."""
    classes: NDArray[np.int32]
    """The classes of each, one image after the other."""
    keys: pa.StringArray | None
    split: int
    """How many images are in a split."""
    names: pa.Int64Array
    """A number for each name."""


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """Which images are left out later, whatever is chosen: they are not seen."""

    empty: bool
    """Those without boxes."""
    unannotated: bool
    """Those at which nobody looked."""

    @classmethod
    def by(cls, target: Target, request: Request) -> _Unwritten:
        """As the target and the user have it."""
        empty = request.drop_empty or "image.objects" in target.requires
        return cls(empty, request.unannotated == "skip" and "unannotated" not in target.carries)

    def without(self, batch: pa.RecordBatch, numbers: NDArray[np.int64]) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
        """The images that are written, and their numbers."""
        if not self.empty and not self.unannotated:
            return batch, numbers
        objects = schema.flat(batch)
        keep = np.diff(objects.offsets) > 0 if self.empty else objects.annotated
        return (batch, numbers) if keep.all() else (schema.keep_images(batch, keep), numbers[keep])


def _see(
    grouping: Grouping | None,
    classes: int,
    unwritten: _Unwritten,
    batch: pa.RecordBatch,
    numbers: NDArray[np.int64],
) -> _Seen:
    batch, numbers = unwritten.without(batch, numbers)
    counts, of_images = np.zeros(len(batch), np.int32), np.zeros(0, np.int32)
    if classes:
        objects = schema.flat(batch)
        column = objects.column("category")
        known = schema.given(column)
        pairs = np.unique(objects.image_of()[known] * classes + column.drop_null().to_numpy())
        counts = np.bincount(pairs // classes, minlength=len(batch)).astype(np.int32)
        of_images = (pairs % classes).astype(np.int32)
    keys = None if grouping is None else grouping.keys(batch)
    names = hashes(batch.column("file_name"))
    return _Seen(numbers, counts, of_images, keys, len(batch) - batch.column("split").null_count, names)


@dataclass(frozen=True, slots=True)
class Census:
    """All N images that can be written, in G groups that stay together; without grouping, each is one."""

    numbers: NDArray[np.int64]
    """The number (N,) of each, rising."""
    sources: NDArray[np.int64]
    """How many images come before those of each source, and how many there are (S + 1,)."""
    groups: NDArray[np.int64]
    """The group (N,) of each."""
    sizes: NDArray[np.int64]
    """How many images each group (G,) has."""
    pairs: NDArray[np.int64]
    """Each group and each class that it has (P, 2), ordered by group."""
    weights: NDArray[np.int64]
    """How many images of the group have the class (P,)."""
    classes: int
    loose: int
    """How many images have no key, where there is grouping."""
    split: int
    """How many images were in a split."""
    alike: int = 0
    """How many images have the name of another, as far as is known."""

    @classmethod
    def of(cls, flow: Flow, target: Target, grouping: Grouping | None, *, stratified: bool) -> Census:
        """Of the images of a run that the target takes; all are looked at once. Classes are not looked at where that
        is not wanted."""
        classes = len(flow.opened.header.categories) if stratified else 0
        per_source = np.zeros(len(flow.opened.datasets), np.int64)
        held: list[_Seen] = []
        look = partial(_see, grouping, classes, _Unwritten.by(target, flow.request))
        seeing = light(flow, grouping.fields | _LOOKED_AT if grouping else _LOOKED_AT)
        for source, seen in looked(seeing, look):
            per_source[source] += len(seen.numbers)
            held.append(seen)
        numbers = _joined(seen.numbers for seen in held)
        groups = np.arange(len(numbers))
        loose = 0
        if grouping is not None:
            keys = pa.chunked_array([seen.keys for seen in held], pa.string()).combine_chunks()
            groups, loose = _groups(keys), keys.null_count
        sizes = np.bincount(groups).astype(np.int64)
        counts = _joined(seen.counts for seen in held)
        of_groups = np.repeat(groups, counts) * max(classes, 1) + _joined(seen.classes for seen in held)
        pairs, weights = np.unique(of_groups, return_counts=True)
        both = np.column_stack([pairs // max(classes, 1), pairs % max(classes, 1)])
        sources = np.concatenate([[0], np.cumsum(per_source)])
        split = sum(seen.split for seen in held)
        names = pa.chunked_array([seen.names for seen in held], pa.int64())
        alike = len(names) - names.null_count - pc.count_distinct(names, mode="only_valid").as_py()
        return cls(numbers, sources, groups, sizes, both, weights.astype(np.int64), classes, loose, split, alike)


def _joined(parts: Iterable[NDArray[np.signedinteger]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)


def _groups(keys: pa.StringArray) -> NDArray[np.int64]:
    """The group (N,) of each image, numbered as they are met: who has no key is alone."""
    codes = keys.dictionary_encode()
    numbers = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = numbers < 0
    numbers[alone] = len(codes.dictionary) + np.arange(int(alone.sum()))
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
