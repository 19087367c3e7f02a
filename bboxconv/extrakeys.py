"""Whether columns of extra keys say the same: those that a target carries, without those that it takes for its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import jsontext
from bboxconv.codec import Target
from bboxconv.jsonsame import differing, same_text


def extra_differ(
    one: pa.StringArray, other: pa.StringArray, name: str, target: Target, column: Callable[[str], pa.Array]
) -> NDArray[np.bool_]:
    """In which rows (N,) two columns `extra` differ in what the target carries of them. `column`: the other columns
    of the source; those of their names can be in the way of a key."""
    carries, fills = (
        None if name in target.carries else _keys(target.carries, name),
        _keys(target.fills, name),
    )
    differ = differing(one, other, lambda text, read: not _same_extra(text, read, carries, fills, frozenset()))
    reserved = _keys(target.reserved, name)
    again = np.flatnonzero(differ)
    if not len(again) or not reserved:
        return differ
    texts = one.take(pa.array(again))
    for at in jsontext.rows_with(texts, sorted(reserved)):
        row = int(again[at])
        text = one[row].as_py()
        gone = frozenset(_gone(text, reserved, partial(_has, column, row)))
        differ[row] = not _same_extra(text, other[row].as_py(), carries, fills, gone)
    return differ


def _keys(names: frozenset[str], field: str) -> frozenset[str]:
    return frozenset(name.removeprefix(f"{field}.") for name in names if name.startswith(f"{field}."))


def _has(column: Callable[[str], pa.Array], row: int, key: str) -> bool | None:
    """Whether the column of that name has a value; None where there is no such column."""
    try:
        return bool(column(key)[row].is_valid)
    except KeyError:
        return None


def _gone(text: str, reserved: frozenset[str], has: Callable[[str], bool | None]) -> Iterator[str]:
    """The reserved keys that cannot be carried."""
    for key, value in jsontext.members(text).items():
        if key in reserved and (has(key) is None or (value != "null" and has(key))):
            yield key


def _same_extra(
    text: str | None, read: str | None, carries: frozenset[str] | None, fills: frozenset[str], gone: frozenset[str]
) -> bool:
    if text == read:
        return True
    one, other = (jsontext.members(part) if part is not None else {} for part in (text, read))
    kept = {key: value for key, value in one.items() if key not in gone and (carries is None or key in carries)}
    came = {
        key: value
        for key, value in other.items()
        if (carries is None or key in carries) and (key in kept or key not in fills)
    }
    return kept.keys() == came.keys() and all(same_text(value, came[key]) for key, value in kept.items())
