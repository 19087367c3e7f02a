"""Some of the images of a data set, chosen at random."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings, UsageError
from bboxconv.flow import Flow
from bboxconv.minibatch.order import shuffled
from bboxconv.selection import Chosen
from bboxconv.sets.census import Census
from bboxconv.sets.strata import dealt, shares


@dataclass(frozen=True, slots=True)
class Sample:
    """Keeps the images with some numbers: a `Selection`."""

    numbers: NDArray[np.int64]
    """Theirs, rising."""
    sized: bool = False

    def __call__(self, batch: pa.RecordBatch, numbers: NDArray[np.int64], box: BoxFormat, findings: Findings) -> Chosen:
        """The images that were chosen."""
        first, after = np.searchsorted(self.numbers, numbers), np.searchsorted(self.numbers, numbers, side="right")
        return Chosen(batch, after > first, "not sampled")

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account) -> None:
        """It changes nothing."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Chooses images, once they are known: `count` of them, or a `fraction`."""

    count: int | None
    fraction: Fraction | None
    seed: int
    stratified: bool

    def __post_init__(self) -> None:
        """Raises UsageError where it is not said how many, or twice."""
        if (self.count is None) == (self.fraction is None):
            message = "sample takes either a count or a fraction of the images"
            raise UsageError.of(
                "missing-option" if self.count is None else "option-conflict",
                message,
                hint="-n 1000, or --fraction 0.1",
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UsageError.of(
                "bad-fractions",
                f"the fraction must be more than 0 and at most 1, not {float(self.fraction):g}",
                hint="--fraction 0.1",
            )

    def __call__(self, flow: Flow, target: Target) -> Flow:
        """The flow with the choice of each source."""
        census = Census.of(flow, target, None, stratified=self.stratified)
        total = len(census.numbers)
        size = shares(total, [self.fraction, 1 - self.fraction])[0] if self.fraction is not None else self.count or 0
        if size > total:
            message = "there are no more images than these: all are kept"
            flow.findings.add(
                "sample-too-large", message, severity="note", where=flow.request.dst, detail=f"{total:,}, not {size:,}"
            )
            size = total
        if self.stratified:
            chosen = np.flatnonzero(dealt(census, [size, total - size], self.seed) == 0)
        else:
            chosen = np.sort(shuffled(total, self.seed)[:size])
        edges = np.searchsorted(chosen, census.sources)
        kept = [census.numbers[chosen[start:stop]] for start, stop in itertools.pairwise(edges)]
        return replace(flow, selections=tuple(map(Sample, kept)))
