"""Which images a finding is about: all of them where the page can tell, else those that its places name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import Diagnostic
from bboxconv.page.data import ODD, Images

Numbers = NDArray[np.int64]
_IMAGE = ": image "


def images_of(findings: Sequence[Diagnostic], images: Images) -> list[Numbers]:
    """The numbers of the images of each finding, in order."""
    named = [[] if one.code in ODD else _candidates(one) for one in findings]
    known = _numbers(images.names(), sorted({name for names in named for name in names}))
    found = []
    for one, names in zip(findings, named, strict=True):
        if one.code in ODD:
            found.append(images.odd(one.code))
        else:
            found.append(np.array(sorted({number for name in names for number in known.get(name, ())}), np.int64))
    return found


def _candidates(one: Diagnostic) -> list[str]:
    """What could be the name of an image in a place such as `a.json: image b.jpg, id 7`: names hold commas too. The
    place may be the name itself, or that of a file of labels, whose stem the image has."""
    names = []
    for place in one.places:
        _, sign, rest = place.where.partition(_IMAGE)
        words = (rest if sign else place.where).split(", ")
        names += [", ".join(words[:stop]) for stop in range(1, len(words) + 1)]
    return names


def _numbers(names: pa.ChunkedArray, wanted: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the images that are called one of these."""
    found: dict[str, list[int]] = {}
    if wanted:
        at = pc.index_in(names, value_set=pa.array(wanted, pa.string())).combine_chunks()
        for number in np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False)).tolist():
            found.setdefault(wanted[at[number].as_py()], []).append(number)
    return found
