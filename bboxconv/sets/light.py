"""Sources opened once more for a first look, which wants few of their fields."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from bboxconv.errors import Findings
from bboxconv.flow import Flow
from bboxconv.parts import parts_of
from bboxconv.schema import Dataset
from bboxconv.sources import named, open_sources


def light(flow: Flow, wanted: frozenset[str]) -> Flow:
    """The flow with sources that give null for what is not wanted; the same flow where that saves nothing, as what is
    not read at will is held since it was opened, or would be wrong: standard input cannot be opened again, and the
    numbers of images must stay what they are."""
    opened, request = flow.opened, flow.request
    if any(named(text)[1] == "-" for text in request.sources) or not all(one.at_will for one in opened.datasets):
        return flow
    with ExitStack() as stack:
        again = open_sources(request, Findings(), stack, flow.workers, wanted=wanted)
    size = request.batch_size
    same = [_images(one, size) for one in opened.datasets] == [_images(one, size) for one in again.datasets]
    return replace(flow, opened=again) if same else flow


def _images(dataset: Dataset, size: int) -> list[int]:
    return [part.images for part in parts_of(dataset, size)]
