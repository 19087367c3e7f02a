"""Convert object-detection annotations between COCO, VOC, YOLO, Hugging Face datasets, JSON Lines, Parquet and every
format that a plug-in adds.

    >>> report = bboxconv.convert("instances.json", "boxes.parquet")
    >>> dataset = bboxconv.read("boxes.parquet")
    >>> bboxconv.convert_boxes([[10, 20, 30, 60]], "xyxy", "cxcywh")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bboxconv.api import convert, read, verify, write
    from bboxconv.boxes import BoxFormat, center_to_corner, convert_boxes, corner_to_center
    from bboxconv.errors import BboxconvError, DataError, Diagnostic, ExitCode, OutputError, UsageError
    from bboxconv.report import Report
    from bboxconv.schema import Category, Dataset, Header

__all__ = [
    "BboxconvError",
    "BoxFormat",
    "Category",
    "DataError",
    "Dataset",
    "Diagnostic",
    "ExitCode",
    "Header",
    "OutputError",
    "Report",
    "UsageError",
    "center_to_corner",
    "convert",
    "convert_boxes",
    "corner_to_center",
    "read",
    "verify",
    "write",
]

_WHERE = {
    "api": ("convert", "read", "verify", "write"),
    "boxes": ("BoxFormat", "center_to_corner", "convert_boxes", "corner_to_center"),
    "errors": ("BboxconvError", "DataError", "Diagnostic", "ExitCode", "OutputError", "UsageError"),
    "report": ("Report",),
    "schema": ("Category", "Dataset", "Header"),
}


def __getattr__(name: str) -> object:
    """Load what is asked for: the command line answers `--help` without numpy or pyarrow."""
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(f"bboxconv.{module}"), name)
    raise AttributeError(f"module 'bboxconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
