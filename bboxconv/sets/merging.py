"""Several data sets made one: the same name is the same class, as in every conversion of several sources; ids that an
earlier source has become new ones, and of images of one name the sources are told apart, or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import DataError, Findings, UsageError
from bboxconv.flow import Flow
from bboxconv.selection import Chosen
from bboxconv.sets.identities import KINDS, Identities
from bboxconv.sources import named

OnClash = Literal["error", "prefix"]


@dataclass(frozen=True, slots=True)
class NewIds:
    """Ids of a source that an earlier one has, and what becomes of them."""

    old: NDArray[np.int64]
    """Those (N,), rising."""
    first: int
    """What the first of them becomes; the others follow. No source has any of these."""

    def of(self, ids: pa.Int64Array) -> pa.Int64Array:
        """The column with the new ids in place of those."""
        if not len(self.old):
            return ids
        numbers = ids.fill_null(0).to_numpy(zero_copy_only=False)
        at = np.minimum(np.searchsorted(self.old, numbers), len(self.old) - 1)
        return pa.array(np.where(self.old[at] == numbers, self.first + at, numbers), mask=~schema.given(ids))

    def count(self, ids: pa.Int64Array) -> int:
        """How many of a column are new."""
        if not len(self.old):
            return 0
        found = pc.and_(pc.greater_equal(ids, self.first), pc.less(ids, self.first + len(self.old)))
        return int(found.true_count)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A source with new ids, and with something before its file names: a `Selection`."""

    images: NewIds
    objects: NewIds
    prefix: str = ""
    sized: bool = False

    def __call__(self, batch: pa.RecordBatch, numbers: NDArray[np.int64], box: BoxFormat, findings: Findings) -> Chosen:
        """All images and boxes."""
        columns = {}
        if len(self.images.old):
            columns["id"] = self.images.of(batch.column("id"))
        if self.prefix:
            columns["file_name"] = pc.binary_join_element_wise(self.prefix, batch.column("file_name"), "")
        if len(self.objects.old):
            objects = schema.flat(batch)
            ids = self.objects.of(objects.column("id"))
            batch = schema.with_objects(batch, objects.with_columns({"id": ids}))
        return Chosen(schema.with_image_columns(batch, columns), np.ones(len(batch), np.bool_))

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account) -> None:
        """Count the new ids and names that are written."""
        if "image.id" in carries:
            account.changed["image.id", "remapped"] += self.images.count(batch.column("id"))
        if "object.id" in carries and len(self.objects.old):
            account.changed["object.id", "remapped"] += self.objects.count(schema.flat(batch).column("id"))
        if self.prefix and "image.file_name" in carries:
            account.changed["image.file_name", "renamed"] += len(batch) - batch.column("file_name").null_count


@dataclass(slots=True)
class Merging:
    """Makes of each source what it becomes, once all are known, and keeps the map of the ids."""

    on_clash: OnClash = "error"
    prefixes: tuple[str, ...] = ()
    mapped: list[tuple[str, str, NewIds]] = field(default_factory=list)
    """The source, one of KINDS, and what became of its ids."""

    def __call__(self, flow: Flow, target: Target) -> Flow:
        """The flow with new ids and names for each source. Raises DataError where names clash."""
        opened = flow.opened
        if self.prefixes and len(self.prefixes) != len(flow.request.sources):
            count = len(flow.request.sources)
            message = f"--prefix is given {len(self.prefixes)} times, and there are {count} sources"
            raise UsageError.of("bad-option-value", message, hint="give it once for each source, in their order")
        twice = next((one for at, one in enumerate(self.prefixes) if one in self.prefixes[:at]), None)
        if twice is not None:
            message = f"--prefix is {twice!r} for two sources, whose names would still clash"
            raise UsageError.of("bad-option-value", message, hint="give each source one of its own")
        seen = Identities.of(flow, by_split="image.split" in target.carries)
        prefixes = self._prefixes(flow, seen)
        new = {kind: new_ids(flow, seen, kind, "--id-map FILE keeps the map") for kind in KINDS}
        for kind, sources in new.items():
            self.mapped += [
                (shown, kind, one) for shown, one in zip(opened.shown, sources, strict=True) if len(one.old)
            ]
        selections = tuple(
            Renamed(images, objects, prefixes[given] if prefixes else "")
            for images, objects, given in zip(new["image"], new["annotation"], opened.given, strict=True)
        )
        return replace(flow, selections=selections, repeats=flow.repeats and not prefixes)

    def _prefixes(self, flow: Flow, seen: Identities) -> tuple[str, ...]:
        """What comes before the file names of each source that was named; empty where no names clash."""
        clashes = seen.same_names(flow.opened.given)
        if not clashes:
            return ()
        sources = flow.request.sources
        if self.on_clash == "prefix":
            if flow.request.out.get("images", "none") != "none":
                message = "images cannot be copied, linked or embedded under names with a prefix"
                raise UsageError.of("option-conflict", message, hint="put them into the folders of the prefixes")
            message = "sources have images of the same names: the names of all have the prefix of their source"
            prefixes = self.prefixes or usual_prefixes(sources)
            flow.findings.add("names-prefixed", message, severity="note", where=", ".join(prefixes))
            return prefixes
        findings = Findings()
        for name, one, other in clashes:
            message = "two sources have an image of the same name"
            hint = "--on-clash prefix puts the name of its source before the name of each image"
            findings.add(
                "source-name-clash", message, where=f"{sources[one]} and {sources[other]}", detail=name, hint=hint
            )
        raise DataError([*flow.findings, *findings])

    def table(self) -> pa.Table:
        """What became of the ids: source, kind, old_id, new_id."""
        parts = [
            pa.table(
                {
                    "source": pa.repeat(shown, len(new.old)),
                    "kind": pa.repeat(kind, len(new.old)),
                    "old_id": pa.array(new.old, pa.int64()),
                    "new_id": pa.array(new.first + np.arange(len(new.old)), pa.int64()),
                }
            )
            for shown, kind, new in self.mapped
        ]
        kind = pa.schema(
            [("source", pa.string()), ("kind", pa.string()), ("old_id", pa.int64()), ("new_id", pa.int64())]
        )
        return pa.concat_tables([kind.empty_table(), *parts])


def new_ids(flow: Flow, seen: Identities, kind: str, hint: str = "") -> list[NewIds]:
    """What becomes of ids, of one of KINDS, for each source; it is told. Raises DataError where no number is left."""
    taken = seen.taken(kind)
    first = seen.free(kind, sum(map(len, taken)))
    if first is None:
        message = f"there are no numbers left for the {kind} ids that clash"
        raise DataError.of("ids-exhausted", message, where=", ".join(flow.request.sources))
    found = []
    for shown, old in zip(flow.opened.shown, taken, strict=True):
        found.append(NewIds(old, first))
        first += len(old)
        if len(old):
            message = f"{kind} ids that an earlier source has were replaced by new ones"
            detail = f"{len(old):,}, from {found[-1].first} on"
            flow.findings.add("ids-renumbered", message, severity="note", where=shown, detail=detail, hint=hint)
    return found


def usual_prefixes(sources: Sequence[str]) -> tuple[str, ...]:
    """A folder for each source, by its name: as many parts of its path as tell all of them apart, else a number."""
    paths = [Path(named(source)[1]) for source in sources]
    parts = [[*path.parts[:-1], path.name.removesuffix("".join(path.suffixes)) or path.name] for path in paths]
    parts = [[part for part in one if part not in ("/", "..", ".")] for one in parts]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["_".join(one[-length:]) or "stdin" for one in parts]
        if len(set(names)) == len(names):
            return tuple(f"{name}/" for name in names)
    return tuple(f"{number}/" for number in range(1, len(sources) + 1))
