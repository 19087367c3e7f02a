"""The images of a flow that are shown: all sources are read, and the rows of those alone are held that `picking`
chooses.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pyarrow as pa

from bboxconv.account import Account
from bboxconv.codec import Encoding
from bboxconv.errors import FIRST_PLACES, Findings
from bboxconv.flow import Flow, encoded
from bboxconv.picking import Chooser, Chosen, Marked, Pick, best_of, category_of

_PLACES = 100_000
"""Places of each finding that are kept, where they say which images are shown."""


def places_for(pick: Pick) -> int:
    """How many places of each finding must be kept for choosing so: what `Request.places` is."""
    return _PLACES if pick.how in ("finding", "worst") else FIRST_PLACES


def choose(flow: Flow, pick: Pick, count: int, seed: int) -> Chosen:
    """At most `count` images, with their objects in the box format of the header.

    `finding` reads twice: which images are named is known at the end. Raises UsageError for a class that the data does
    not have, and whatever reading raises.
    """
    header = flow.opened.header
    flow = replace(_without_sizes(flow, pick), repeats=pick.how == "finding")
    chooser = Chooser(pick.how, count, seed, header.box)
    if pick.how == "class":
        names = [category.name for category in header.categories]
        chooser = replace(chooser, category=category_of(pick.value, names))
    if pick.how != "finding":
        with closing(encoded(flow, None, Account(), chooser)) as choices:
            return best_of(choices, pick.how, count)
    for _ in encoded(flow, None, Account(), _nothing):
        pass
    chooser = replace(chooser, marked=Marked.of(found for found in flow.findings if found.code == pick.value))
    with flow.findings.deaf():  # all was told
        again = replace(flow, findings=Findings(), repeats=False)
        return best_of(encoded(again, None, Account(), chooser), pick.how, count)


def _nothing(batch: pa.RecordBatch, encoding: Encoding) -> None:
    """The encoder of a run that is about what is found on the way."""


def _without_sizes(flow: Flow, pick: Pick) -> Flow:
    """The sizes of all images are looked up only where boxes cannot be read, or judged, without."""
    header = flow.opened.header
    if pick.how in ("worst", "finding") or any(one.header.box.needs_size(header.box) for one in flow.opened.datasets):
        return flow
    return replace(flow, request=replace(flow.request, images=None, image_sizes=None, image_size=None))
