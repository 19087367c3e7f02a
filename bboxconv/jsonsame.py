"""Whether columns of JSON text say the same: values are compared, not their spelling."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import jsontext

Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None


def same(one: Json, other: Json) -> bool:
    """Whether two values are equal: 1 is 1.0, true is not 1, an integer is exact whatever its size, a NaN is a NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other or (one != one and other != other)  # a NaN is not equal to itself


@lru_cache(maxsize=4096)
def same_text(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts say the same; texts that cannot be parsed are the same where they are equal."""
    if one is None or other is None:
        return one == other
    if one == other:
        return True
    try:
        return same(jsontext.value(one), jsontext.value(other))
    except (ValueError, RecursionError):
        return False


def differing(
    texts: pa.StringArray, others: pa.StringArray, differ: Callable[[str | None, str | None], bool]
) -> NDArray[np.bool_]:
    """In which rows (N,) two columns differ. Each pair of texts that are not spelled alike is looked at once."""
    found = np.zeros(len(texts), np.bool_)
    if texts.equals(others):
        return found
    alike = pc.or_(pc.equal(texts, others).fill_null(False), pc.and_(texts.is_null(), others.is_null()))
    rows = np.flatnonzero(~alike.to_numpy(zero_copy_only=False))
    if not len(rows):
        return found
    chosen = pa.array(rows)
    left, right = (column.take(chosen).dictionary_encode("encode") for column in (texts, others))
    width = len(right.dictionary)
    codes = left.indices.to_numpy().astype(np.int64) * width + right.indices.to_numpy()
    pairs, back = np.unique(codes, return_inverse=True)
    one, other = left.dictionary.to_pylist(), right.dictionary.to_pylist()
    found[rows] = np.array([differ(one[pair // width], other[pair % width]) for pair in pairs.tolist()])[back]
    return found
