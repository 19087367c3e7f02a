"""Which images make which batch: pure functions of numbers, the same on any machine and in any process.

The images of an epoch stand in one row: piece after piece (of Parquet, row group after row group), the pieces in
random order where they are shuffled. A rank has a stretch of that row. It is cut at the ends of batches into `LANES`
lanes, which take turns in giving a batch, so that a process that wants every second or third batch reads only the
pieces of its lanes. A lane is shuffled window by window. Without shuffling, and where all images of the rank fit into
one window, there is one lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

LANES = 6
"""How many lanes take turns: of two, three or six processes each has lanes of its own; of four or eight, half of
all."""


@dataclass(frozen=True, slots=True)
class Run:
    """Images `start` to `stop` of a piece."""

    piece: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Window:
    """Images that are in memory at the same time, and shuffled among each other: from `start` to `stop` in the row of
    the epoch."""

    start: int
    stop: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """The order of batches: `counts` are the images of each piece, the rest is as `minibatches` has it."""

    counts: tuple[int, ...]
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    window: int = 1
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1

    @property
    def images(self) -> int:
        """The images of all ranks."""
        return sum(self.counts)

    @property
    def stretch(self) -> tuple[int, int]:
        """Where the images of this rank begin and end in the row. Ranks differ by one image at most."""
        start, stop = (self.images * rank // self.world_size for rank in (self.rank, self.rank + 1))
        return (start, start + len(self) * self.batch_size) if self.drop_last else (start, stop)

    def __len__(self) -> int:
        """The batches of this rank. With `drop_last` all ranks have the same number; else one may have one less."""
        if self.drop_last:
            return self.images // self.world_size // self.batch_size
        start, stop = (self.images * rank // self.world_size for rank in (self.rank, self.rank + 1))
        return -(-(stop - start) // self.batch_size)

    @property
    def lanes(self) -> int:
        """How many lanes take turns."""
        start, stop = self.stretch
        return LANES if self.shuffle and stop - start > self.window else 1

    def images_of(self, number: int) -> tuple[int, int]:
        """Where the images of a batch begin and end in the row.

        Batch `number` is the one that comes at that place in the epoch: of lane `number % lanes`.
        """
        lane, before = number % self.lanes, number // self.lanes
        first = self.begin(lane) + before * self.batch_size
        return first, min(first + self.batch_size, self.stretch[1])

    def begin(self, lane: int) -> int:
        """Where a lane begins in the row. The lanes stand there so that the one that gives the last batch, which may be
        smaller, is the last."""
        count, lanes = len(self), self.lanes
        row = [*range(count % lanes, lanes), *range(count % lanes)]
        batches = sum(len(range(before, count, lanes)) for before in row[: row.index(lane)])
        return self.stretch[0] + batches * self.batch_size

    def windows(self, epoch: int, lane: int) -> Iterator[Window]:
        """The windows of a lane in an epoch, in order. Each has whole pieces, as many as fit and at least one; the
        first and the last piece of a lane may be cut."""
        mine = range(lane, len(self), self.lanes)
        if not mine:
            return
        start, stop = self.images_of(mine[0])[0], self.images_of(mine[-1])[1]
        most = self.window // self.lanes if self.shuffle else 1
        held: list[Run] = []
        first = size = 0
        for place, run in _between(self.counts, self.pieces(epoch), start, stop):
            count = run.stop - run.start
            if held and size + count > most:
                yield Window(first, first + size, tuple(held))
                held, size = [], 0
            if not held:
                first = place
            held.append(run)
            size += count
        if held:
            yield Window(first, first + size, tuple(held))

    def pieces(self, epoch: int) -> NDArray[np.int64]:
        """The pieces in the order of the row."""
        count = len(self.counts)
        return shuffled(count, self.seed, epoch) if self.shuffle else np.arange(count)

    def within(self, epoch: int, window: Window) -> NDArray[np.int64] | None:
        """The order of the images of a window; None: as they are."""
        if not self.shuffle:
            return None
        return shuffled(window.stop - window.start, self.seed, epoch, 1 + window.start)

    @property
    def mark(self) -> str:
        """The same for two orders whose batches are the same, whatever the rank."""
        parts = (self.counts, self.batch_size, self.shuffle, self.shuffle and (self.seed, self.window), self.drop_last)
        return sha256(repr((*parts, self.world_size)).encode()).hexdigest()[:16]


def _between(counts: Sequence[int], order: NDArray[np.int64], start: int, stop: int) -> Iterator[tuple[int, Run]]:
    """The images from `start` to `stop` of a row of pieces, and where in it each run of them begins."""
    ends = np.cumsum(np.asarray(counts, np.int64)[order])
    for at in range(int(np.searchsorted(ends, start, side="right")), len(order)):
        piece, end = int(order[at]), int(ends[at])
        begin = end - counts[piece]
        if begin >= stop:
            return
        if counts[piece]:
            run = Run(piece, max(start - begin, 0), min(stop, end) - begin)
            yield begin + run.start, run


def shuffled(count: int, *seed: int) -> NDArray[np.int64]:
    """The numbers 0 to `count` - 1 in a random order that depends on the seed alone.

    They are sorted by random 64-bit integers. numpy promises the integers of a bit generator for good, but not what
    `Generator.permutation` makes of them (NEP 19).
    """
    keys = np.random.Philox(np.random.SeedSequence(seed)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)
