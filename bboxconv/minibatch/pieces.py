"""Pieces: some images each, which can be loaded in any order, again and again, in any process.

Of a source that can be read so, such as Parquet, a piece is a part of it. The images of the others are read once, and
held in a file without a name from which pieces are loaded.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import DataError, Diagnostic, Findings
from bboxconv.flow import Flow, planned
from bboxconv.minibatch.columns import Columns, joined
from bboxconv.minibatch.prepare import FEW, FIELDS, Preparation
from bboxconv.request import Request
from bboxconv.schema import Dataset, Header, Part
from bboxconv.shelf import Left, Shelf, Unnamed
from bboxconv.sources import Opened, at_hand, named, open_sources, unknown_split
from bboxconv.workers import Workers, available


class Piece(Protocol):
    """Some images: a picklable thing."""

    @property
    def images(self) -> int:
        """How many there are."""
        ...

    def load(self) -> Columns:
        """Read them. Raises DataError where that cannot be done."""
        ...

    def check(self) -> None:
        """Raises DataError where they would be others by now."""
        ...


@dataclass(frozen=True, slots=True)
class Keeping:
    """What stays, as `minibatches` has it, and the numbers in which boxes come."""

    iscrowd: bool
    difficult: bool
    empty: bool
    dtype: str


@dataclass(frozen=True, slots=True)
class _Fresh:
    """Images that are read from their source each time."""

    part: Part
    prepare: Preparation
    images: int

    def load(self) -> Columns:
        """Read and prepare them. Raises DataError where they are not those that were counted."""
        findings = Findings()
        found = [self.prepare(batch, findings) for batch in self.part(findings)]
        _refuse(findings)
        if sum(map(len, found)) != self.images:
            message = f"there are {sum(map(len, found))} images where {self.images} were counted"
            raise DataError.of("source-changed", message, where=self.prepare.step.shown)
        return joined(found)

    def check(self) -> None:
        """Raises DataError where the source is another one by now."""
        unchanged = getattr(self.part, "unchanged", None)
        if unchanged is not None:
            unchanged()


@dataclass(frozen=True, slots=True)
class _Held:
    """Images that were read and prepared once."""

    left: Left
    images: int
    mark: bytes
    """What the bytes begin with: the place of a file that is gone may be that of another one."""

    def load(self) -> Columns:
        """Take them from where they were left."""
        try:
            data: bytes | memoryview = self.left.read()
        except OSError:
            data = b""
        if data[: len(self.mark)] != self.mark:
            message = "the images are held by a process, or by mini-batches of it, that are gone"
            hint = "keep them while copies of them are used, or convert the data to Parquet, of which nothing is held"
            raise DataError.of("held-images-gone", message, hint=hint)
        found: Columns = pickle.loads(memoryview(data)[len(self.mark) :])
        return found

    def check(self) -> None:
        """They are what they were."""


@dataclass(slots=True)
class Kept:
    """Pieces that were loaded, for the next epochs: the first ones, up to `most` bytes together. What is sent to
    another process takes none along."""

    most: int
    held: dict[int, Columns] = field(default_factory=dict)
    size: int = 0

    def load(self, number: int, piece: Piece) -> Columns:
        """A piece, by its number. Raises DataError as the piece does."""
        found = self.held.get(number)
        if found is not None:
            piece.check()
            return found
        found = piece.load()
        if self.size + found.nbytes <= self.most:
            self.held[number] = found
            self.size += found.nbytes
        return found

    def __reduce__(self) -> tuple[type[Kept], tuple[int]]:
        return Kept, (self.most,)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Pieces:
    """All images of the sources."""

    header: Header
    pieces: tuple[Piece, ...]


def pieces_of(request: Request, dataset: Dataset | None, goal: BoxFormat, keeping: Keeping, stack: ExitStack) -> Pieces:
    """Open the sources of a request, or a data set at hand, count their images, and hold those that cannot be read at
    will. `stack` removes what standard input was copied to.

    Raises UsageError for what the request has wrong, and DataError where the data has a fault.
    """
    findings, workers = Findings(), Workers(request.jobs or available())
    fields = FIELDS - {f"object.{name}" for name in ("iscrowd", "difficult") if getattr(keeping, name)}
    try:
        opened = (
            at_hand(dataset)
            if dataset is not None
            else open_sources(request, findings, stack, workers, carried=lambda source: fields, wanted=fields)
        )
        _refuse(findings)
        few = _few(request, opened, stack, workers) if keeping.empty and dataset is None else None
        shelf, mark = Unnamed.open(shared=True).shelf, os.urandom(16)
        found: list[Piece] = []
        splits: set[str | None] = set()
        target = Target(goal, fields)
        for number, (step, numbered) in enumerate(planned(Flow(request, opened, findings, workers), target)):
            prepare = Preparation(
                step,
                len(opened.header.categories),
                keeping.iscrowd,
                keeping.difficult,
                keeping.empty,
                keeping.dtype,
            )
            parts = (part for part, _ in numbered)
            if opened.datasets[number].at_will:
                narrow = None if few is None else few.datasets[number].parts
                found += _fresh(parts, None if narrow is None else iter(narrow()), prepare, splits)
            else:
                tasks = (_Task(part, prepare, shelf, mark) for part in parts)
                for pieces, met, seen in workers.run(_hold, tasks):
                    findings.merge(seen)
                    splits |= met
                    found += pieces
        _refuse(findings)
        unknown = [split for split in request.split if splits and split not in splits]
        if unknown:
            raise unknown_split(unknown[0], sorted(split for split in splits if split is not None))
        return Pieces(opened.header, tuple(found))
    finally:
        workers.close()


def _few(request: Request, opened: Opened, stack: ExitStack, workers: Workers) -> Opened | None:
    """The same sources, of which no more is read than how many images there are; None where that is not wanted, or
    cannot be, as standard input is there once."""
    if any(named(text)[1] == "-" for text in request.sources) or not any(d.at_will for d in opened.datasets):
        return None
    return open_sources(request, Findings(), stack, workers, carried=lambda source: FEW, wanted=FEW)


def _fresh(
    parts: Iterator[Part], narrow: Iterator[Part] | None, prepare: Preparation, splits: set[str | None]
) -> Iterator[_Fresh]:
    """The parts with the number of their images. `narrow`: the same parts, with what `chosen` looks at alone. `splits`
    takes those that are met."""
    for part in parts:
        findings, count = Findings(), 0
        for batch in (part if narrow is None else next(narrow))(findings):
            splits |= prepare.splits(batch)
            count += len(prepare(batch, findings) if narrow is None else prepare.chosen(batch))
        _refuse(findings)
        yield _Fresh(part, prepare, count)


@dataclass(frozen=True, slots=True)
class _Task:
    """A part whose images are to be held."""

    part: Part
    prepare: Preparation
    shelf: Shelf
    mark: bytes


def _hold(task: _Task) -> tuple[Sequence[_Held], set[str | None], Sequence[Diagnostic]]:
    """Read and prepare a part, in whatever process, and leave it; the splits that were met."""
    findings = Findings()
    held = []
    splits: set[str | None] = set()
    for batch in task.part(findings):
        splits |= task.prepare.splits(batch)
        columns = task.prepare(batch, findings)
        text = task.mark + pickle.dumps(columns, pickle.HIGHEST_PROTOCOL)
        held.append(_Held(task.shelf.leave([text])[0], len(columns), task.mark))
    return held, splits, tuple(findings)


def _refuse(findings: Findings) -> None:
    if findings.errors:
        raise DataError(findings)
