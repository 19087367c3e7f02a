"""The text of elements that turn out to be faults once all of a COCO file was read: annotations whose image or category
does not exist, images that repeat an id. For a list of rejects the file is read a second time, where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bboxconv.codec import ReadContext
from bboxconv.formats.coco.annotations import ANNOTATION_FIELDS, NO_CATEGORY, NO_IMAGE, complete, key_of
from bboxconv.formats.coco.images import IMAGE_FIELDS, Numbers
from bboxconv.readers.jsonblocks import ArrayReader
from bboxconv.readers.jsonelements import SKIPPED, Fault, Part, reader, then
from bboxconv.readers.jsonstream import Elements, Member, read_document
from bboxconv.shelf import Shared, Unnamed, share

SAME_ID = "two images have the same id"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What tells the elements that are wanted: the images and categories that exist, the ids that images repeat."""

    images: Numbers
    categories: Numbers
    repeated: frozenset[int | str]


@dataclass(frozen=True, slots=True)
class Strays:
    """The wanted elements of a block of so many, as faults."""

    count: int
    faults: tuple[Fault, ...] = ()


def tell_texts(
    path: Path,
    shown: str,
    context: ReadContext,
    wanted: Wanted,
    annotations: str | None,
    repeats: Mapping[int, tuple[int | str, str]],
) -> None:
    """Report annotations without image or category, in the array of that name (None: not looked for), and the images
    of `repeats`, with the text of each."""
    held = Unnamed.open() if context.workers.apart else None
    shared = share(wanted, held.shelf) if held else Shared(wanted)

    def chosen(key: str) -> ArrayReader[Strays] | ArrayReader[Part] | None:
        if key == annotations:
            return then(reader(ANNOTATION_FIELDS), partial(_orphans, shared))
        if key == "images" and repeats:
            return then(reader(IMAGE_FIELDS), partial(_repeated, shared))
        return SKIPPED if key in ("images", "annotations") else None

    firsts = {"images": 0, "annotations": 0, "": 0}
    items: Iterator[Member | Elements[Strays | Part]] = read_document(
        path, chosen, shown=shown, workers=context.workers, max_expansion=context.max_expansion
    )
    for item in items:
        if isinstance(item, Member):
            continue
        if isinstance(item.value, Strays):
            _tell(item.key, item.value, firsts[item.key], shown, context, repeats)
        firsts[item.key] += item.value.count


def _tell(
    key: str,
    found: Strays,
    first: int,
    shown: str,
    context: ReadContext,
    repeats: Mapping[int, tuple[int | str, str]],
) -> None:
    for fault in found.faults:
        if key != "images":
            fault.report(context.findings, shown, f"$.{key}" if key else "$", first, boxes=1)
        elif first + fault.element in repeats:
            _, detail = repeats[first + fault.element]
            replace(fault, detail=detail).report(context.findings, shown, "$.images", first, images=1)


def _repeated(shared: Shared[Wanted], part: Part) -> Strays:
    """The images of a block whose id is one of those that are repeated."""
    columns = [part.batch.column(name).to_pylist() for name in ("id", "id#", "element")]
    ids = shared.get().repeated
    found = [at for number, text, at in zip(*columns, strict=True) if (text if number is None else number) in ids]
    raws = part.raws(found) if found else []
    faults = (Fault(at, "", "duplicate-image-id", SAME_ID, raw=raw) for at, raw in zip(found, raws, strict=True))
    return Strays(part.count, tuple(faults))


def _orphans(shared: Shared[Wanted], part: Part) -> Strays:
    """The annotations of a block whose image or category does not exist."""
    wanted = shared.get()
    batch, _ = complete(part)
    lost = wanted.images.find(batch, "image_id") < 0
    given = [batch.column(name).is_valid().to_numpy(zero_copy_only=False) for name in ("category_id", "category_id#")]
    unknown = (wanted.categories.find(batch, "category_id") < 0) & (given[0] | given[1])
    rows = np.flatnonzero(lost | unknown).tolist()
    elements = batch.column("element").to_numpy()
    raws = part.raws([int(elements[row]) for row in rows]) if rows else []
    faults = []
    for row, raw in zip(rows, raws, strict=True):
        name, message = ("image_id", NO_IMAGE) if lost[row] else ("category_id", NO_CATEGORY)
        detail = f"{name} {key_of(batch, name, row)}"
        faults.append(Fault(int(elements[row]), f".{name}", "orphan-annotation", message, detail, raw))
    return Strays(part.count, tuple(faults))
