"""What a comparison of two data sets counts: parts are added up, in any order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bboxconv.difference import Change, Example
from bboxconv.errors import FIRST_PLACES

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Tally:
    """How often there is one kind of difference, and the first examples, each with the number of its image and of its
    box in that, which order them."""

    count: int = 0
    compared: int = 0
    boxes: int = 0
    first: list[tuple[int, int, Example]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another part."""
        self.count += other.count
        self.compared += other.compared
        self.boxes += other.boxes
        self.first = sorted([*self.first, *other.first], key=lambda one: one[:2])[:FIRST_PLACES]

    def see(self, images: Rows, rows: Rows, example: Callable[[int], Example]) -> None:
        """Count differences (N,), by the numbers of their images and their rows in these; `example` makes that of one
        of them."""
        order = np.lexsort((rows, images))[:FIRST_PLACES].tolist()
        self.add(Tally(len(images), first=[(int(images[n]), int(rows[n]), example(n)) for n in order]))

    def change(self, *, compared: bool = False, boxes: bool = False) -> Change:
        """What was counted."""
        first = tuple(example for _, _, example in self.first)
        return Change(self.count, self.compared if compared else None, self.boxes if boxes else None, first)


@dataclass(slots=True)
class Found:
    """What was found of some parts."""

    images: int = 0
    """Pairs of images."""
    same: int = 0
    """Pairs of boxes that are the same."""
    largest: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    """By `images.only_in_a`, `boxes.moved`, `fields.iscrowd` ...; `forms.1` ... are pairs of images whose names differ,
    `unsized` such whose size would be needed."""

    def add(self, other: Found) -> None:
        """Count another part."""
        self.images += other.images
        self.same += other.same
        self.largest = max(self.largest, other.largest)
        for name, tally in other.tallies.items():
            self.tallies[name].add(tally)


def changes(found: Found, group: str, names: Iterable[str]) -> dict[str, Change]:
    """The kinds of difference of a group, in the order of the names; of fields, those that both sides have."""
    tallies = {name: found.tallies.get(f"{group}.{name}", Tally()) for name in names}
    fields = group == "fields"
    return {
        name: tally.change(compared=fields, boxes=name.startswith("only_in"))
        for name, tally in tallies.items()
        if tally.compared or not fields
    }
