"""A data set divided into splits: of the sizes asked for, with the same share of every class, groups kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings, UsageError
from bboxconv.flow import Flow
from bboxconv.selection import Chosen
from bboxconv.sets.census import Census, Grouping
from bboxconv.sets.identities import KINDS, Identities
from bboxconv.sets.merging import Renamed, new_ids
from bboxconv.sets.strata import dealt, shares

USUAL: Mapping[str, Fraction] = {"train": Fraction(8, 10), "val": Fraction(1, 10), "test": Fraction(1, 10)}
"""The splits where none are asked for."""


def checked(parts: Mapping[str, Fraction]) -> Mapping[str, Fraction]:
    """The splits with a part of the images. Raises UsageError where they do not make up all of them."""
    if not parts:
        return USUAL
    total = sum(parts.values())
    if total != 1 or min(parts.values()) < 0:
        said = " + ".join(f"{name} {float(part):g}" for name, part in parts.items())
        message = f"the splits must be fractions that add up to 1: {said} is {float(total):g}"
        raise UsageError.of("bad-fractions", message, hint="--train 0.8 --val 0.1 --test 0.1")
    return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, slots=True)
class Assignment:
    """Puts images into splits: a `Selection`."""

    numbers: NDArray[np.int64]
    """The number (N,) of each image of the source that can be written, rising."""
    part: NDArray[np.uint8]
    """The split (N,) of each."""
    names: tuple[str, ...]
    ids: Renamed | None = None
    """New ids; None: there are none."""
    sized: bool = False

    def __call__(self, batch: pa.RecordBatch, numbers: NDArray[np.int64], box: BoxFormat, findings: Findings) -> Chosen:
        """All images, each in its split."""
        if self.ids is not None:
            batch = self.ids(batch, numbers, box, findings).batch
        known = np.isin(numbers, self.numbers, assume_unique=True)
        part = np.zeros(len(batch), np.uint8)  # of those that are left out, any
        part[known] = self.part[np.searchsorted(self.numbers, numbers[known])]
        splits = pa.array(self.names, pa.string()).take(pa.array(part))
        return Chosen(schema.with_image_columns(batch, {"split": splits}), np.ones(len(batch), np.bool_))

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account) -> None:
        """A split is what was asked for: no value of the source is changed by it, but those that a note tells, and
        ids that clash."""
        if self.ids is not None:
            self.ids.count(batch, carries, account)


@dataclass(frozen=True, slots=True)
class Splitting:
    """Makes the assignment, once the images are known."""

    parts: Mapping[str, Fraction]
    seed: int
    grouping: Grouping | None
    stratified: bool

    def __call__(self, flow: Flow, target: Target) -> Flow:
        """The flow with the assignment for each source."""
        if "image.split" not in target.carries:
            message = "the destination is one file that does not say splits, so that they would be lost"
            hint = "name a folder, which has a file for each split"
            raise UsageError.of("splits-not-carried", message, where=flow.request.dst, hint=hint)
        census = Census.of(flow, target, self.grouping, stratified=self.stratified)
        self._prove_images(flow, census)
        sizes = shares(len(census.numbers), list(self.parts.values()))
        part = dealt(census, sizes, self.seed)
        self._tell(flow, census, sizes, part)
        of_image = part[census.groups].astype(np.uint8)
        ids = self._ids(flow, target)
        places = zip(census.sources[:-1].tolist(), census.sources[1:].tolist(), strict=True)
        return replace(
            flow,
            moved=True,
            selections=tuple(
                Assignment(census.numbers[start:stop], of_image[start:stop], tuple(self.parts), renamed)
                for (start, stop), renamed in zip(places, ids, strict=True)
            ),
        )

    def _ids(self, flow: Flow, target: Target) -> list[Renamed | None]:
        """New ids for each source: files of the old splits may all count from 1, and their images come together."""
        if len(flow.opened.datasets) < 2 or not {"image.id", "object.id"} & target.carries:
            return [None] * len(flow.opened.datasets)
        seen = Identities.of(flow, by_split=False)
        images, objects = (new_ids(flow, seen, kind) for kind in KINDS)
        return [Renamed(*both) for both in zip(images, objects, strict=True)]

    def _prove_images(self, flow: Flow, census: Census) -> None:
        """Raise UsageError where images are wanted whose names do not tell which they are, without their old split."""
        folders = {split for split, _ in flow.image_folders}
        if census.alike and len(folders) > 1 and flow.request.out.get("images", "none") != "none":
            message = "images of several splits have the same name, and a new split could get the wrong one"
            hint = "leave out --out images, or give the images names of their own"
            raise UsageError.of("option-conflict", message, where=flow.request.dst, hint=hint)

    def _tell(self, flow: Flow, census: Census, sizes: list[int], part: NDArray[np.int64]) -> None:
        """What the splits are not as they were asked for."""
        names, findings = tuple(self.parts), flow.findings
        if census.split:
            message = "images were in a split already, which the new one replaces"
            findings.add("split-replaced", message, severity="note", count=census.split)
        if census.loose:
            message = "images have nothing to group them by, and go to any split, each on its own"
            findings.add("image-without-group", message, severity="warning", count=census.loose)
        got = np.bincount(part, census.sizes, len(names)).astype(np.int64).tolist()
        for name, wanted, size in zip(names, sizes, got, strict=True):
            if wanted != size:
                message = "a split has another size than asked for, as groups stay together"
                detail = f"{name}: {size:,}, not {wanted:,}"
                findings.add("split-not-met", message, severity="note", where=flow.request.dst, detail=detail)
            elif not size:
                message = "a split has no image: there are too few"
                findings.add("split-not-met", message, severity="note", where=flow.request.dst, detail=name)
        counts = np.zeros((census.classes, len(names)), np.int64)
        np.add.at(counts, (census.pairs[:, 1], part[census.pairs[:, 0]]), census.weights)
        filled = np.array(got) > 0
        for index in np.flatnonzero((counts.sum(axis=1) > 0) & ((counts == 0) & filled).any(axis=1)).tolist():
            lacking = [
                name for name, count, there in zip(names, counts[index], filled, strict=True) if there and not count
            ]
            message = "a class is not in every split: too few images, or groups of them, have it"
            count = int(counts[index].sum())
            detail = f"{flow.opened.header.categories[index].name}: {count:,} image{'s' * (count != 1)}, none in "
            detail += " and ".join(lacking)
            findings.add("class-not-in-split", message, severity="note", where=flow.request.dst, detail=detail)
