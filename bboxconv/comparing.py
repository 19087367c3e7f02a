"""The library's way to compare two data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

from bboxconv import diffing
from bboxconv.difference import Difference
from bboxconv.request import Request


def diff(
    a: str | PathLike[str],
    b: str | PathLike[str],
    *,
    from_: str | tuple[str | None, str | None] | None = None,
    in_: Mapping[str, str] | None = None,
    split: Sequence[str] = (),
    classes: str | PathLike[str] | None = None,
    images: str | PathLike[str] | None = None,
    image_sizes: str | PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    iou: float = 0.5,
    tolerance: float | None = None,
    batch_size: int = 4096,
    jobs: int = 1,
    memory: int = 256 << 20,
    max_expansion: float | None = None,
) -> Difference:
    """Compare two data sets in any formats, as `bboxconv diff` does; the options are its flags.

    `from_` is the format of both, or a tuple of that of either. A key of `in_` that begins with `a.` or `b.` is for one
    side. `iou` is the least IoU, above 0, of two boxes that are taken for one. `tolerance` is how far, in pixels, an
    edge may be off in boxes that are the same; None: as far as the decimals of both sides explain. The other options
    are as for `convert`.

    Returns what differs, with counts and first examples; its `same` says whether nothing does. Raises UsageError for a
    call that is wrong, and DataError where a side cannot be read, has faults, or lacks image sizes that are needed.
    """
    first, second = (from_, from_) if from_ is None or isinstance(from_, str) else from_
    request = Request(
        (fspath(a),),
        from_=first,
        in_=dict(in_ or {}),
        split=tuple(split),
        classes=None if classes is None else Path(classes),
        images=None if images is None else Path(images),
        image_sizes=None if image_sizes is None else fspath(image_sizes),
        image_size=image_size,
        batch_size=batch_size,
        jobs=jobs,
        memory=memory,
        max_expansion=max_expansion,
    )
    other = replace(request, sources=(fspath(b),), from_=second)
    return diffing.diff(request, other, iou=iou, tolerance=tolerance)
