"""Pieces: some images each, which can be loaded in any order, again and again, in any process.

Of a source that can be read so, such as Parquet, a piece is a part of it. The images of the others are read once, and
held in a file without a name from which pieces are loaded.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
from bboxconv.sources import Opened, at_hand, open_sources
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
        """Read and prepare them."""
        return joined(_prepared(self.part, self.prepare))


@dataclass(frozen=True, slots=True)
class _Held:
    """Images that were read and prepared once."""

    left: Left
    images: int

    def load(self) -> Columns:
        """Take them from where they were left."""
        found: Columns = pickle.loads(self.left.read())
        return found


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
        shelf = Unnamed.open(shared=True).shelf
        found: list[Piece] = []
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
                found += _fresh(parts, None if narrow is None else iter(narrow()), prepare)
            else:
                tasks = (_Task(part, prepare, shelf) for part in parts)
                for pieces, seen in workers.run(_hold, tasks):
                    findings.merge(seen)
                    found += pieces
        _refuse(findings)
        return Pieces(opened.header, tuple(found))
    finally:
        workers.close()


def _few(request: Request, opened: Opened, stack: ExitStack, workers: Workers) -> Opened | None:
    """The same sources, of which no more is read than how many images there are; None where that is not wanted."""
    if not any(dataset.at_will for dataset in opened.datasets):
        return None
    return open_sources(request, Findings(), stack, workers, carried=lambda source: FEW, wanted=FEW)


def _fresh(parts: Iterator[Part], narrow: Iterator[Part] | None, prepare: Preparation) -> Iterator[_Fresh]:
    """The parts with the number of their images. `narrow`: the same parts, with what `chosen` looks at alone."""
    for part in parts:
        if narrow is None:
            count = sum(map(len, _prepared(part, prepare)))
        else:
            count = sum(len(prepare.chosen(batch)) for batch in next(narrow)(Findings()))
        yield _Fresh(part, prepare, count)


def _prepared(part: Part, prepare: Preparation) -> list[Columns]:
    findings = Findings()
    found = [prepare(batch, findings) for batch in part(findings)]
    _refuse(findings)
    return found


@dataclass(frozen=True, slots=True)
class _Task:
    """A part whose images are to be held."""

    part: Part
    prepare: Preparation
    shelf: Shelf


def _hold(task: _Task) -> tuple[Sequence[_Held], Sequence[Diagnostic]]:
    """Read and prepare a part, in whatever process, and leave it."""
    findings = Findings()
    held = []
    for batch in task.part(findings):
        columns = task.prepare(batch, findings)
        text = pickle.dumps(columns, pickle.HIGHEST_PROTOCOL)
        held.append(_Held(task.shelf.leave([text])[0], len(columns)))
    return held, tuple(findings)


def _refuse(findings: Findings) -> None:
    if findings.errors:
        raise DataError(findings)
