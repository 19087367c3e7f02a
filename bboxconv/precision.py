"""How precisely the numbers of a data set are written: what the last decimal of any of them is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEYOND = 10
"""Decimals from which on numbers are taken to be floats in full."""
_COARSEST = 1e-3
"""The unit of fractions of the image at most: small sets may hold none but 0.5 and 0.25."""


@dataclass(frozen=True, slots=True)
class Precision:
    """That of the numbers seen so far."""

    decimals: int = 0
    """The most decimals of any of them; BEYOND where they are more."""
    single: bool = True
    """Whether all are floats of 32 bits."""
    largest: float = 0.0

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> Precision:
        """That of an array of any shape; what is not finite counts for nothing."""
        rest = numbers[np.isfinite(numbers)]
        if not len(rest):
            return cls()
        largest = float(np.abs(rest).max())
        single, decimals = True, 0
        while decimals < BEYOND:
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = rest * 10.0**decimals
                rest = rest[~(np.abs(scaled - np.rint(scaled)) <= 4 * np.spacing(np.abs(scaled)))]
            if not len(rest):
                break
            decimals += 1
        with np.errstate(over="ignore"):
            single = bool((rest.astype(np.float32) == rest).all())
        return cls(decimals, single, largest)

    def joined(self, other: Precision) -> Precision:
        """That of the numbers of both."""
        return Precision(
            max(self.decimals, other.decimals), self.single and other.single, max(self.largest, other.largest)
        )

    def unit(self, scale: float | None) -> float:
        """What the last place of a number is worth, 0 for floats in full: in pixels, or as a part of the side of the
        image, which is divided into `scale` parts."""
        last = 10.0**-self.decimals
        if self.decimals >= BEYOND:
            last = float(np.spacing(np.float32(min(self.largest, 3e38)))) if self.single else 0.0
        return last if scale is None else min(last / scale, _COARSEST)
