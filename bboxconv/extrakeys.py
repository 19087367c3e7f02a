"""Whether columns of extra keys say the same: those that a target carries."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.codec import Target
from bboxconv.jsonsame import differing, same_text


def extra_differ(one: pa.StringArray, other: pa.StringArray, name: str, target: Target) -> NDArray[np.bool_]:
    """In which rows (N,) two columns `extra` differ in what the target carries of them."""
    carries = None if name in target.carries else _keys(target.carries, name)
    fills = _keys(target.fills, name)
    return differing(one, other, lambda text, read: not _same_extra(text, read, carries, fills))


def _keys(names: frozenset[str], field: str) -> frozenset[str]:
    return frozenset(name.removeprefix(f"{field}.") for name in names if name.startswith(f"{field}."))


def _same_extra(text: str | None, read: str | None, carries: frozenset[str] | None, fills: frozenset[str]) -> bool:
    if text == read:
        return True
    one, other = (jsontext.members(part) if part is not None else {} for part in (text, read))
    kept = {key: value for key, value in one.items() if carries is None or key in carries}
    came = {
        key: value
        for key, value in other.items()
        if (carries is None or key in carries) and (key in kept or key not in fills)
    }
    return kept.keys() == came.keys() and all(same_text(value, came[key]) for key, value in kept.items())
