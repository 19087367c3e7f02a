"""Masks of COCO: run lengths as a list of counts, or as the compressed string of its API (`rleFrString` in maskApi.c),
column by column from the top left, beginning with a run of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

LARGEST = 1 << 27
"""Pixels of a mask at most: what a size says without proof must not take all memory."""
_BITS, _MORE, _SIGN, _ZERO = 0x1F, 0x20, 0x10, 48


class _Encoded(msgspec.Struct):
    size: tuple[int, int]
    counts: list[int] | str


_DECODER = msgspec.json.Decoder(_Encoded)


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask as it is written: its pixels, which may be very many, are made one mask at a time."""

    height: int
    width: int
    counts: NDArray[np.int64]

    def pixels(self) -> NDArray[np.bool_]:
        """The pixels (H, W)."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.width, self.height).T


def mask_of(text: str) -> Mask | None:
    """The mask of a JSON text; None where it is none, or its runs do not fill its size."""
    try:
        mask = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    height, width = mask.size
    if height < 0 or width < 0 or height * width > LARGEST:
        return None
    counts = _from_string(mask.counts) if isinstance(mask.counts, str) else _from_list(mask.counts)
    if counts is None or (counts < 0).any() or (counts > LARGEST).any() or int(counts.sum()) != height * width:
        return None
    return Mask(height, width, counts)


def _from_list(counts: list[int]) -> NDArray[np.int64] | None:
    try:
        return np.array(counts, np.int64)
    except OverflowError:
        return None


def _from_string(text: str) -> NDArray[np.int64] | None:
    """Counts from groups of five bits, the lowest first, from the fourth on as the difference to the last but one."""
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - _ZERO
    if not len(codes):
        return codes
    if (codes < 0).any() or (codes > _BITS + _MORE).any() or codes[-1] & _MORE:
        return None
    ends = np.flatnonzero(codes & _MORE == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 12:  # beyond the bits of an integer
        return None
    shift = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & _BITS) << shift, starts)
    numbers -= np.where(codes[ends] & _SIGN, np.int64(1) << (5 * lengths), 0)
    for start in (1, 2):
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers
