"""Boxes and images for which an expression is true."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings
from bboxconv.flow import Flow
from bboxconv.selection import Chosen
from bboxconv.sets.columns import BOX, COLUMNS, box_columns, image_columns, needs_sizes
from bboxconv.sets.expression import parsed
from bboxconv.sets.tree import Node, columns_of, is_true

REASON = "filtered out"


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps what an expression is true of: a `Selection`.

    An expression that speaks of boxes keeps boxes; an image that loses all of its own goes with them, unless
    `keep_empty`: without them it would pass for background. Images that had none stay. An expression that speaks of
    images alone keeps images, with all their boxes.
    """

    node: Node
    names: frozenset[str]
    classes: pa.StringArray
    keep_empty: bool

    @property
    def sized(self) -> bool:
        """Whether it looks at the sizes of images."""
        return needs_sizes(self.names)

    def __call__(self, batch: pa.RecordBatch, numbers: NDArray[np.int64], box: BoxFormat, findings: Findings) -> Chosen:
        """What the expression is true of."""
        objects = schema.flat(batch)
        if not self.names & BOX.keys():
            found = is_true(self.node, image_columns(batch, objects, self.names), len(batch))
            return Chosen(batch, _mask(found), REASON)
        columns, unsized = box_columns(batch, objects, box, self.names, self.classes)
        if unsized:
            message = "the size of an image is not known, so where its boxes lie in pixels is not either"
            hint = "--images DIR, --image-sizes FILE or --image-size WxH gives it; a comparison with it is not true"
            findings.add("filter-without-size", message, severity="warning", count=unsized, hint=hint)
        keep = _mask(is_true(self.node, columns, len(objects.rows)))
        left = schema.keep_objects(objects, keep)
        stays = np.ones(len(batch), np.bool_)
        if not self.keep_empty:
            stays = (np.diff(left.offsets) > 0) | (np.diff(objects.offsets) == 0)
        return Chosen(batch if left is objects else schema.with_objects(batch, left), stays, REASON)

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account) -> None:
        """It changes nothing."""


def _mask(found: pa.BooleanArray) -> NDArray[np.bool_]:
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


@dataclass(frozen=True, slots=True)
class Filtering:
    """Makes a filter of an expression, once the classes of the sources are known."""

    expression: str
    keep_empty: bool

    def __call__(self, flow: Flow, target: Target) -> Flow:
        """The flow with the filter for each source."""
        names = [category.name for category in flow.opened.header.categories]
        node = parsed(self.expression, COLUMNS, names)
        chosen = Filter(node, columns_of(node), pa.array(names, pa.string()), self.keep_empty)
        return replace(flow, selections=(chosen,) * len(flow.opened.datasets))
