"""Which numbers, and texts by a number made of each, occur more than once in many batches: no more of them than fit are
compared at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.spool import Slip

SEPARATOR = "\0"
"""What stands between the parts of a text that is compared."""
_ZERO = np.zeros(1, np.uint64)
_FACTORS = np.frombuffer(Random(1).randbytes(8 * 4096), np.uint64)
AT_ONCE = 500_000
"""Numbers that are compared at once: 4 MB of them."""


def hashes(texts: pa.StringArray) -> pa.Int64Array:
    """A number for each text, the same for equal ones: each byte times the number of its place, added up."""
    whole = pa.concat_arrays([texts])
    _, places, data = whole.buffers()
    offsets = np.frombuffer(places, np.int32)[: len(whole) + 1] if len(whole) else np.zeros(1, np.int32)
    raw = np.frombuffer(data, np.uint8)[: offsets[-1]] if data is not None else np.zeros(0, np.uint8)
    inside = np.arange(len(raw)) - np.repeat(offsets[:-1], np.diff(offsets))
    sums = np.concatenate((_ZERO, np.cumsum((raw + np.uint64(1)) * _FACTORS[inside % len(_FACTORS)], dtype=np.uint64)))
    numbers = (sums[offsets[1:]] - sums[offsets[:-1]]).view(np.int64)
    return pa.array(numbers, mask=~whole.is_valid().to_numpy(zero_copy_only=False))


def repeated(slips: Sequence[Slip], name: str) -> NDArray[np.int64]:
    """The numbers of a column that occur more than once, in order."""
    rounds = -(-sum(slip.rows for slip in slips) // AT_ONCE)
    found: list[NDArray[np.int64]] = []
    for turn in range(rounds):
        columns = (slip.load().column(name).drop_null().to_numpy() for slip in slips)
        # copies, so that names do not stay with them
        together = np.concatenate([ids[ids % rounds == turn] for ids in columns])
        together.sort()
        found.append(np.unique(together[1:][together[1:] == together[:-1]]))
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)
