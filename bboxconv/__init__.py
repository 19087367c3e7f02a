"""Convert object-detection annotations between COCO, VOC, YOLO, Hugging Face datasets, csv, JSON Lines, Parquet and
every format that a plug-in adds.

    >>> report = bboxconv.convert("instances.json", "boxes.parquet")
    >>> dataset = bboxconv.read("boxes.parquet")
    >>> bboxconv.convert_boxes([[10, 20, 30, 60]], "xyxy", "cxcywh")
    >>> for batch in bboxconv.minibatches("boxes.parquet", 64, shuffle=True): ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bboxconv import torchdata as torchdata
    from bboxconv.api import convert, read, verify, write
    from bboxconv.boxes import (
        BoxFormat,
        box_area,
        box_iou,
        center_to_corner,
        clip_boxes,
        convert_boxes,
        corner_to_center,
    )
    from bboxconv.comparing import diff
    from bboxconv.counting import stats
    from bboxconv.difference import Difference
    from bboxconv.errors import BboxconvError, DataError, Diagnostic, ExitCode, OutputError, UsageError
    from bboxconv.minibatch import minibatches
    from bboxconv.page.library import report_page
    from bboxconv.pictures import draw
    from bboxconv.report import Report
    from bboxconv.schema import Category, Dataset, Header
    from bboxconv.sets.api import filter, merge, sample, split
    from bboxconv.statistics import Statistics
    from bboxconv.tables import from_pandas

__all__ = [
    "BboxconvError",
    "BoxFormat",
    "Category",
    "DataError",
    "Dataset",
    "Diagnostic",
    "Difference",
    "ExitCode",
    "Header",
    "OutputError",
    "Report",
    "Statistics",
    "UsageError",
    "box_area",
    "box_iou",
    "center_to_corner",
    "clip_boxes",
    "convert",
    "convert_boxes",
    "corner_to_center",
    "diff",
    "draw",
    "filter",
    "from_pandas",
    "merge",
    "minibatches",
    "read",
    "report_page",
    "sample",
    "split",
    "stats",
    "verify",
    "write",
]

_WHERE = {
    "api": ("convert", "read", "verify", "write"),
    "boxes": (
        *("BoxFormat", "box_area", "box_iou", "center_to_corner", "clip_boxes", "convert_boxes", "corner_to_center"),
    ),
    "comparing": ("diff",),
    "counting": ("stats",),
    "difference": ("Difference",),
    "errors": ("BboxconvError", "DataError", "Diagnostic", "ExitCode", "OutputError", "UsageError"),
    "minibatch": ("minibatches",),
    "page.library": ("report_page",),
    "pictures": ("draw",),
    "report": ("Report",),
    "schema": ("Category", "Dataset", "Header"),
    "sets.api": ("filter", "merge", "sample", "split"),
    "statistics": ("Statistics",),
    "tables": ("from_pandas",),
}


def __getattr__(name: str) -> object:
    """Load what is asked for: the command line answers `--help` without numpy or pyarrow."""
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"bboxconv.{module}"), name)
    if name == "torchdata":
        return import_module("bboxconv.torchdata")
    raise AttributeError(f"module 'bboxconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
