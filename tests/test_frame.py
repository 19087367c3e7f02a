"""A data set as a pandas frame, against a frame written by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.schema import Category, Dataset, Header

HEADER = Header(BoxFormat("xyxy"), (Category("dog", 3), Category("cat"), Category("dog", 5), Category("owl", 9)))


def images() -> pa.RecordBatch:
    """Four images with two boxes, nobody looked, background, and one object without bbox or class."""
    columns = {
        "id": pa.array([10, None, 12], pa.int64()),
        "category": pa.array([2, 1, None], pa.int32()),
        "bbox": schema.bbox_array(
            np.array([[1, 2, 3, 4.5], [5, 6, 7, 8], [0, 0, 0, 0]]), np.array([True, True, False])
        ),
        "iscrowd": pa.array([True, None, False]),
        "segmentation": pa.array(["[[1]]", None, None]),
    }
    rows = schema.object_rows(columns, 3)
    names = {
        "file_name": pa.array(["a", "b", "c", "d"]),
        "id": pa.array([1, 2, 3, None], pa.int64()),
        "split": pa.array(["train", None, None, None]),
    }
    sizes = {"width": pa.array([640, 1, 1, None], pa.int32()), "height": pa.array([480, 1, 1, None], pa.int32())}
    return schema.image_batch(names | sizes, np.array([0, 2, 2, 2, 3]), rows, np.array([True, False, True, True]))


def test_frame() -> None:
    """One row for each box, ids as nullable integers, classes as categories of the header's names."""
    frame = Dataset(HEADER, lambda: iter([images()])).to_pandas()
    wanted = pd.DataFrame(
        {
            "image_id": pd.array([1, 1, None], "Int64"),
            "file_name": ["a", "a", "d"],
            "width": pd.array([640, 640, None], "Int32"),
            "height": pd.array([480, 480, None], "Int32"),
            "split": pd.Categorical(["train", "train", None]),
            "id": pd.array([10, None, 12], "Int64"),
            "category": pd.Categorical(["dog", "cat", None], ["dog", "cat", "owl"]),
            "category_id": pd.array([5, None, None], "Int64"),
            "x1": [1, 5, np.nan],
            "y1": [2, 6, np.nan],
            "x2": [3, 7, np.nan],
            "y2": [4.5, 8, np.nan],
            "shape": pd.Categorical([None] * 3, schema.SHAPES),
            **{name: np.full(3, np.nan) for name in ("score", "area")},
            "iscrowd": pd.array([True, None, False], "boolean"),
            **{name: pd.array([None] * 3, "boolean") for name in ("difficult", "ignore")},
            **{name: np.full(3, np.nan) for name in ("truncated", "occluded", "rotation")},
            "track_id": pd.array([None] * 3, "Int64"),
            "segmentation": ["[[1]]", None, None],
            "keypoints": [None] * 3,
            "extra": [None] * 3,
        }
    )
    for name in ("file_name", "segmentation", "keypoints", "extra"):
        wanted[name] = wanted[name].astype(frame[name].dtype)  # object or str, by the version of pandas
    pd.testing.assert_frame_equal(frame, wanted)


def test_batches_and_slices() -> None:
    """The frame does not depend on how the images come in batches."""
    whole = Dataset(HEADER, lambda: iter([images()])).to_pandas()
    parts = Dataset(HEADER, lambda: iter([images().slice(0, 3), images().slice(3)])).to_pandas()
    pd.testing.assert_frame_equal(parts, whole)


def test_no_boxes() -> None:
    """A data set without images has all columns and no row."""
    frame = Dataset(Header(BoxFormat("cxcywh")), lambda: iter([])).to_pandas()
    assert len(frame) == 0
    assert list(frame.columns[8:12]) == ["cx", "cy", "w", "h"]
