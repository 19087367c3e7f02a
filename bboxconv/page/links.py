"""Which images a finding is about: all of them where the page can tell, else those that its places name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.errors import Diagnostic, Place
from bboxconv.page.data import ODD, Images

Numbers = NDArray[np.int64]
_IMAGE = ": image "
_ENDING = r"\.[^./]*$"


def images_of(findings: Sequence[Diagnostic], images: Images) -> list[Numbers]:
    """The numbers of the images of each finding, in order."""
    told = [() if one.code in ODD else one.places for one in findings]
    names = images.names()
    known = _numbers(names, [name for places in told for place in places for name in _named(place)])
    paths = [path for places in told for place in places for path in _paths(place)]
    files = _numbers(names, paths)
    stems = _numbers(pc.replace_substring_regex(names, _ENDING, ""), [_stem(path) for path in paths]) if paths else {}
    found = []
    for one, places in zip(findings, told, strict=True):
        if one.code in ODD:
            found.append(images.odd(one.code))
            continue
        numbers = {number for place in places for name in _named(place) for number in known.get(name, ())}
        for place in places:
            sights = (files.get(path) or stems.get(_stem(path), []) for path in _paths(place))
            first = next((sight for sight in sights if sight), [])
            numbers |= set(first if len(first) == 1 else [])  # of several, nobody knows which
        found.append(np.array(sorted(numbers), np.int64))
    return found


def _named(place: Place) -> list[str]:
    """What could be the name of an image in a place such as `a.json: image b.jpg, id 7`: a name may hold commas."""
    words = place.where.partition(_IMAGE)[2].split(", ")
    return [", ".join(words[:stop]) for stop in range(1, len(words) + 1)] if words != [""] else []


def _paths(place: Place) -> list[str]:
    """A place that is the path of an image, or of a file of labels with a line, and what of it the data set may call
    the image, the longest first."""
    if _IMAGE in place.where:
        return []
    parts = re.sub(r":\d+$", "", place.where).split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _stem(path: str) -> str:
    return re.sub(_ENDING, "", path)


def _numbers(names: pa.ChunkedArray, wanted: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the images that are called one of these."""
    found: dict[str, list[int]] = {}
    distinct = sorted({one for one in wanted if one.encode(errors="ignore").decode() == one})  # paths may be no text
    if distinct and len(names):
        at = pc.index_in(names, value_set=pa.array(distinct, pa.string())).combine_chunks()
        for number in np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False)).tolist():
            found.setdefault(distinct[at[number].as_py()], []).append(number)
    return found
