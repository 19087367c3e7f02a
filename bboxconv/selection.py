"""What becomes of the images of a source before anything else is made of them: some are chosen, boxes are left out,
columns get other values. `step` asks for it, and whoever makes one data set of others gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.errors import Findings


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is left of a batch of B images."""

    batch: pa.RecordBatch
    """All B images, with the boxes that are left."""
    keep: NDArray[np.bool_]
    """Which images (B,) stay."""
    reason: str = ""
    """Why the other images and boxes are left out."""


class Selection(Protocol):
    """A picklable step for the images of one source, the same in every process and whenever images are read again."""

    @property
    def sized(self) -> bool:
        """Whether it looks at the sizes of images: those that have none then get one, where that is to be had."""
        ...

    def __call__(
        self, batch: pa.RecordBatch, numbers: NDArray[np.int64], box: BoxFormat, findings: Findings, /
    ) -> Chosen:
        """What is left of a batch, in the common classes, with boxes as `box`. `numbers` (B,) are those of the images
        over all sources, as they are read: they rise, and there may be gaps."""
        ...

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account, /) -> None:
        """Count what it changed of the values of a batch that is written, of the fields that the target carries."""
        ...
