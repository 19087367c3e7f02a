"""The stream between the sources and a writer: every part read, brought to what the target wants (`step`), encoded and
counted, in whatever process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Generic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Encoder, Encoding, P, Progress, Target, silent
from bboxconv.errors import Diagnostic, Findings
from bboxconv.parts import parts_of
from bboxconv.repeats import Seen, leave_identities, tell_repeats
from bboxconv.request import Request
from bboxconv.schema import Part
from bboxconv.selection import Selection
from bboxconv.shelf import Shared, Shelf, Unnamed, share
from bboxconv.sizesource import size_table
from bboxconv.sources import Opened, unknown_split
from bboxconv.spool import Slip, Spool, leave
from bboxconv.step import Step
from bboxconv.workers import Workers


@dataclass(frozen=True, slots=True)
class _Task(Generic[P]):
    """A part of a source, what becomes of its batches, and how they are encoded (None: they stay batches)."""

    part: Part
    shared: Shared[tuple[Step, Encoder[P] | None]]
    shelf: Shelf
    first: int
    """The number of its first image, over all sources."""
    aside: Shelf | None
    """Where to leave what may occur more than once; None: nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[P]):
    """What came of a part."""

    pieces: tuple[P, ...]
    slips: tuple[Slip, ...]
    account: Account
    diagnostics: tuple[Diagnostic, ...]
    splits: frozenset[str | None]
    """The splits that were met, where the user asked for some."""
    identities: tuple[tuple[Slip, Slip], ...]


def _do(task: _Task[P]) -> _Done[P]:
    """Read, convert and encode one part, in whatever process."""
    (step, encode), account = task.shared.get(), Account()
    findings = Findings(recording=step.request.listing, kept=step.request.places)
    pieces: list[P] = []
    slips: list[Slip] = []
    splits: set[str | None] = set()
    seen: list[tuple[Slip, Slip]] = []
    for given in task.part(findings):
        encoding = Encoding(findings, task.shelf, task.first + account.read_images, step.goal)
        numbers = np.arange(encoding.first, encoding.first + len(given))
        if step.request.split:
            splits.update(pc.unique(given.column("split")).to_pylist())
        if task.aside is not None:
            seen.append(leave_identities(given, task.aside, ids=not step.compared))
        batch, _ = step.apply(given, account, findings, numbers)
        if encode is None:
            slips += leave([batch], task.shelf)
        else:
            pieces.append(encode(batch, encoding))
    return _Done(tuple(pieces), tuple(slips), account, tuple(findings), frozenset(splits), tuple(seen))


def stream(flow: Flow, target: Target | None, account: Account) -> Iterator[pa.RecordBatch]:
    """The batches of all sources, brought to one header and to what the target wants, counted. No target: as they
    come, in the header's box format.
    """
    each: Iterator[_Done[None]] = _each(flow, target, account, None)
    for done in each:
        for slip in done.slips:
            yield slip.load()


def encoded(flow: Flow, target: Target | None, account: Account, encode: Encoder[P]) -> Generator[P]:
    """What is encoded of each batch of all sources, in order; without a target, of batches as `stream` gives them."""
    for done in _each(flow, target, account, encode):
        yield from done.pieces


@dataclass(frozen=True, slots=True)
class Flow:
    """What all steps of a run share: the sources, and who does the work."""

    request: Request
    opened: Opened
    findings: Findings
    workers: Workers
    progress: Progress = silent
    repeats: bool = True
    """Whether ids and names that occur more than once are to be told."""
    as_read: bool = False
    """Whether boxes stay in the box format of their own source, where there is no target."""
    sized: bool = False
    """Whether images without a size get one, if there is one to be found, though nothing needs it."""
    selections: tuple[Selection, ...] = ()
    """What is made first of the images of each source; empty: nothing."""
    moved: bool = False
    """Whether images are in other splits than those in whose folders they lie."""

    @property
    def image_folders(self) -> tuple[tuple[str | None, Path], ...]:
        """Where the sources have the images of each split that they come to be in (None: of all)."""
        folders = [folder for dataset in self.opened.datasets for folder in dataset.image_folders]
        return tuple((None, path) for _, path in folders) if self.moved else tuple(folders)


def _each(flow: Flow, target: Target | None, account: Account, encode: Encoder[P] | None) -> Iterator[_Done[P]]:
    """What comes of each part of all sources, in order; it is counted as it is taken."""
    request = flow.request
    counts = [dataset.images for dataset in flow.opened.datasets]
    total = None if None in counts else sum(count for count in counts if count is not None)
    met: set[str | None] = set()
    shelves = _Shelves(flow.workers)
    seen: list[Seen] = []
    spool = Spool(request.memory // 8)
    for step, numbered in planned(flow, target):
        shared = share((step, encode), shelves.common())
        aside = spool.shelf(apart=flow.workers.apart) if flow.repeats else None
        tasks = (
            _Task(part, shared, shelf, first, aside) for (part, first), shelf in zip(numbered, shelves, strict=False)
        )
        seen.append(Seen(step.shown, spool))
        for done in flow.workers.run(_do, tasks):
            seen[-1].take(done.identities)
            account.add(done.account)
            flow.findings.merge(done.diagnostics)
            met |= done.splits
            yield done
            shelves.release()
            flow.progress("writing", done.account.read_images, total, "images")
    tell_repeats(seen, flow.findings)
    unknown = [split for split in request.split if met and split not in met]
    if unknown:
        raise unknown_split(unknown[0], sorted(split for split in met if split is not None))


def planned(flow: Flow, target: Target | None) -> Iterator[tuple[Step, Iterator[tuple[Part, int]]]]:
    """What becomes of each source, and its parts, each with the number of its first image over all sources. The parts
    are taken before the next source is asked for."""
    request, opened, counter = flow.request, flow.opened, _Counter()
    table = size_table(request, flow.workers)
    selections = flow.selections or repeat(None, len(opened.datasets))
    for dataset, shown, index, selection in zip(opened.datasets, opened.shown, opened.index, selections, strict=True):
        united = dataset.header.box if flow.as_read else opened.header.box
        goal = (target.box if target else None) or united
        sized = flow.sized or (selection is not None and selection.sized)
        step = Step(
            request,
            shown,
            dataset.header.box,
            goal,
            target,
            index,
            opened.default_class,
            dataset.image_folders,
            sized or _wants_sizes(request, dataset.header.box, goal, target),
            table,
            dataset.compared,
            selection,
        )
        yield step, _numbered(parts_of(dataset, request.batch_size), counter)


Look = Callable[[pa.RecordBatch, NDArray[np.int64]], P]
"""Sees something of a batch and the numbers (B,) of its images: a picklable function."""


@dataclass(frozen=True, slots=True)
class _Glance(Generic[P]):
    """A part of a source to look at, and the number of its first image."""

    part: Part
    shared: Shared[tuple[Step, Look[P]]]
    first: int


def _look(task: _Glance[P]) -> tuple[int, list[P]]:
    """Look at a part, in whatever process; and how many images it has."""
    (step, look), first = task.shared.get(), task.first
    seen: list[P] = []
    for given in task.part(Findings()):
        batch, rows = step.narrow(given)
        seen.append(look(batch, rows + first))
        first += len(given)
    return first - task.first, seen


def looked(flow: Flow, look: Look[P]) -> Iterator[tuple[int, P]]:
    """The number of its source, and what is seen of each batch of all sources before they are converted, in order: of
    the images and boxes that are asked for, in the common classes. Faults are not told: the sources are read again."""
    counts = [dataset.images for dataset in flow.opened.datasets]
    total = None if None in counts else sum(count for count in counts if count is not None)
    shelves = _Shelves(flow.workers)
    with flow.findings.deaf():
        for source, (step, numbered) in enumerate(planned(flow, None)):
            shared = share((step, look), shelves.common())
            tasks = (_Glance(part, shared, first) for part, first in numbered)
            for images, seen in flow.workers.run(_look, tasks):
                yield from zip(repeat(source), seen, strict=False)
                flow.progress("looking", images, total, "images")


@dataclass(slots=True)
class _Counter:
    images: int = 0


def _numbered(parts: Iterable[Part], counter: _Counter) -> Iterator[tuple[Part, int]]:
    """Each part and the number of its first image."""
    for part in parts:
        yield part, counter.images
        counter.images += part.images


class _Shelves:
    """A shelf for each task, for as long as what lies on it is needed: tasks under way never share one, and none
    holds more than one of them left."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.free: deque[Unnamed] = deque()
        self.used: deque[Unnamed] = deque()
        self.shared: list[Unnamed] = []

    def common(self) -> Shelf:
        """A shelf that stays."""
        if not self.workers.apart:
            return Shelf()
        self.shared.append(Unnamed.open())
        return self.shared[-1].shelf

    def __iter__(self) -> Iterator[Shelf]:
        """The shelf of the next task, and so on."""
        while True:
            if not self.workers.apart:
                yield Shelf()
                continue
            self.used.append(self.free.popleft() if self.free else Unnamed.open())
            yield self.used[-1].shelf

    def release(self) -> None:
        """What the oldest task left is not needed any more."""
        if self.used:
            self.free.append(self.used.popleft())
            self.free[-1].clear()


def _wants_sizes(request: Request, box: BoxFormat, goal: BoxFormat, target: Target | None) -> bool:
    """Whether images without a size get one: where the user gave sizes, or pixels are asked for; opening images costs
    time.
    """
    given = request.images is not None or request.image_sizes is not None or request.image_size is not None
    if target is None:
        return given or box.needs_size(goal)
    return (given and "image.width" in target.carries) or box.needs_size(goal) or "image.width" in target.requires
