"""Boxes and images for which an expression is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bboxconv import schema
from bboxconv.account import Account
from bboxconv.boxes import BoxFormat
from bboxconv.codec import Target
from bboxconv.errors import Findings
from bboxconv.flow import Flow
from bboxconv.selection import Chosen
from bboxconv.sets.columns import BOX, COLUMNS, MEASURED, box_columns, image_columns, needs_sizes
from bboxconv.sets.expression import parsed
from bboxconv.sets.tree import Node, columns_of, truth

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
            columns = image_columns(batch, objects, self.names)
            return Chosen(batch, self._mask(columns, len(batch), "images", findings), REASON)
        columns, unsized = box_columns(batch, objects, box, self.names, self.classes)
        if unsized:
            message = "the size of an image is not known, so where its boxes lie in pixels is not either"
            hint = "--images DIR, --image-sizes FILE or --image-size WxH gives it; a comparison with it is not true"
            findings.add("filter-without-size", message, severity="warning", count=unsized, hint=hint)
        keep = self._mask(columns, len(objects.rows), "boxes", findings)
        left = schema.keep_objects(objects, keep)
        stays = np.ones(len(batch), np.bool_)
        if not self.keep_empty:
            stays = (np.diff(left.offsets) > 0) | (np.diff(objects.offsets) == 0)
        return Chosen(batch if left is objects else schema.with_objects(batch, left), stays, REASON)

    def _mask(self, columns: Mapping[str, pa.Array], length: int, what: str, findings: Findings) -> NDArray[np.bool_]:
        """Which rows (N,) it is true of. Of those that nobody can tell, as a column has no value, it is told."""
        found = truth(self.node, columns, length)
        undecided = found.is_null() if found.null_count else None
        for name in sorted(columns.keys() - MEASURED) if undecided is not None else ():
            count = pc.and_(undecided, columns[name].is_null()).true_count
            if count:
                message = f"{what} have no {name}, so that the expression is neither true nor false: they are left out"
                hint = f"({name} is null or ...) keeps them"
                findings.add("filter-without-value", message, severity="warning", count=count, hint=hint)
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def count(self, batch: pa.RecordBatch, carries: frozenset[str], account: Account) -> None:
        """It changes nothing."""


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
