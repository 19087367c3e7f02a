"""The account of images that the writer left out when their values had been counted, such as one of two that want the
same file: what holds them is read again, and their values are taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.codec import Target
from bboxconv.errors import Findings
from bboxconv.flow import Flow, planned
from bboxconv.schema import Part
from bboxconv.shelf import Shared, Shelf, Unnamed, share
from bboxconv.step import Step


@dataclass(frozen=True, slots=True)
class _Task:
    """A part, the number of its first image, and those of the images to be counted."""

    part: Part
    shared: Shared[Step]
    first: int
    numbers: NDArray[np.int64]


def take_back(flow: Flow, target: Target, numbers: Sequence[int], account: Account) -> None:
    """Count the values of the images with these numbers (`Encoding.number`) no more. Costs nothing where there are
    none; else their parts are read again."""
    if not numbers:
        return
    wanted = np.unique(np.array(numbers, np.int64))
    with flow.findings.deaf():  # whatever there is to see was seen
        for step, numbered in planned(flow, target):
            shared = share(step, Unnamed.open().shelf if flow.workers.apart else Shelf())
            for found in flow.workers.run(_count, _tasks(numbered, shared, wanted)):
                account.take_back(found)


def _tasks(numbered: Iterator[tuple[Part, int]], shared: Shared[Step], wanted: NDArray[np.int64]) -> Iterator[_Task]:
    for part, first in numbered:
        numbers = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, first + part.images)]
        if len(numbers):
            yield _Task(part, shared, first, numbers)


def _count(task: _Task) -> Account:
    """The account of images of a part, in whatever process. A number is that of the first image of a batch, and the
    row that the image had when all that was to be left out before had been."""
    step, account, first = task.shared.get(), Account(), task.first
    for given in task.part(Findings()):
        late = task.numbers[(task.numbers >= first) & (task.numbers < first + len(given))] - first
        if len(late):
            numbers = np.arange(first, first + len(given))
            _, rows = step.apply(given, Account(), Findings(), numbers)
            chosen = np.zeros(len(given), np.bool_)
            chosen[rows[late]] = True
            step.apply(schema.keep_images(given, chosen), account, Findings(), numbers[chosen])
        first += len(given)
    return account
