"""Merge, split, sample and filter for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import Unpack

from bboxconv.api import Options, Sources, request_of
from bboxconv.arguments import whole
from bboxconv.errors import UsageError
from bboxconv.report import Report
from bboxconv.sets import running
from bboxconv.sets.merging import OnClash


def merge(
    src: Sources,
    dst: str | PathLike[str],
    *,
    on_clash: OnClash = "error",
    prefix: Sequence[str] = (),
    id_map: str | PathLike[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Make one data set of several, as `bboxconv merge` does; `options` are those of `convert`.

    The same name is the same class. Of ids that several sources have, those of the later ones become new ones that no
    source has; `id_map` is a csv or Parquet file for which became which. Images of the same name (and split, where the
    destination carries splits) are an error, or with `on_clash="prefix"` the names of all images have `prefix` before
    them, one for each source, else the name of their source and a slash.

    Returns and raises as `convert`; DataError `source-name-clash` too.
    """
    path = None if id_map is None else Path(fspath(id_map))
    return running.merge(request_of(src, dst, options), on_clash, tuple(prefix), path)


def split(
    src: Sources,
    dst: str | PathLike[str],
    *,
    parts: Mapping[str, float] | None = None,
    seed: int = 0,
    group_by: str | None = None,
    group_regex: str | None = None,
    stratify: bool = True,
    **options: Unpack[Options],
) -> Report:
    """Put every image into a split, as `bboxconv split` does; `options` are those of `convert`.

    `parts` are fractions that add up to 1, by the name of the split; None: train 0.8, val 0.1, test 0.1. Sizes are
    exact to the image, by largest remainders, but where images are grouped: those of the same `group_by` (`video`,
    `folder`, `extra.KEY`), or in whose names `group_regex` (RE2) finds the same, are in one split. With `stratify`
    each split has its share of the images of every class, as far as that goes; where it does not, a note says so. Ids
    that several sources have become new ones in the later of them, as in `merge`.

    Returns and raises as `convert`.
    """
    fractions = {name: _fraction(name, part) for name, part in (parts or {}).items()}
    number = whole("seed", seed, 0)
    return running.split(request_of(src, dst, options), fractions, number, group_by, group_regex, stratify=stratify)


def sample(
    src: Sources,
    dst: str | PathLike[str],
    *,
    count: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    stratify: bool = False,
    **options: Unpack[Options],
) -> Report:
    """Choose `count` images at random, or a `fraction` of them, as `bboxconv sample` does; `options` are those of
    `convert`. With `stratify` every class has its share.

    Returns and raises as `convert`.
    """
    number = None if count is None else whole("count", count, 1)
    part = None if fraction is None else _fraction("fraction", fraction)
    return running.sample(request_of(src, dst, options), number, part, whole("seed", seed, 0), stratify=stratify)


def filter(
    src: Sources,
    dst: str | PathLike[str],
    expression: str,
    *,
    keep_empty: bool = False,
    **options: Unpack[Options],
) -> Report:
    """Keep the boxes, or the images, of which an expression is true, as `bboxconv filter` does, whose help has its
    columns and operators; `options` are those of `convert`.

    An image that loses all its boxes is left out, unless `keep_empty`. Returns and raises as `convert`.
    """
    return running.filter(request_of(src, dst, options), expression, keep_empty=keep_empty)


def _fraction(name: str, value: float) -> Fraction:
    """The number as it is written: 0.1 is a tenth."""
    try:
        return Fraction(repr(float(value)))
    except (TypeError, ValueError) as error:
        raise UsageError.of("bad-argument", f"{name} must be a number from 0 to 1, not {value!r}") from error
