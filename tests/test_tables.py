"""Data frames and Arrow tables as data sets: what comes back, what columns become, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import bboxconv
from bboxconv import schema
from bboxconv.boxes import BoxFormat
from bboxconv.errors import DataError, UsageError
from bboxconv.testing import reference_dataset
from bboxconv.testing.referencedata import rows_of

SAMPLE = Path(__file__).parent.parent / "examples" / "sample"
SOURCES = ["coco/instances_train.json", "voc", "yolo"]
FRAME = pd.DataFrame(
    {
        "Image Path": ["a.jpg", "b.jpg", "a.jpg", "c.jpg"],
        "label": ["dog", "cat", "dog", None],
        "left": [1.5, 2, 3, np.nan],
        "top": [1, 2, 3, np.nan],
        "right": [4, 5, 6.25, np.nan],
        "bottom": [4, 5, 6, np.nan],
        "note": ["x", None, "007", "y"],
        "count": [1, 2, 3, 4],
    }
)


def boxes_of(dataset: bboxconv.Dataset) -> dict[str, list[tuple[str | None, list[float]]]]:
    """The class and the box of each object by the name of its image."""
    names = [category.name for category in dataset.header.categories]
    return {
        image["file_name"]: [
            (None if row["category"] is None else names[row["category"]], row["bbox"]) for row in image["objects"]
        ]
        for image in dataset.to_table().to_pylist()
    }


class TestFrames:
    """`from_pandas`."""

    @pytest.mark.parametrize("source", SOURCES)
    def test_a_frame_comes_back(self, source: str) -> None:
        """What `to_pandas` gives is the same frame again, types and categories included."""
        dataset = bboxconv.read(SAMPLE / source)
        frame = dataset.to_pandas()
        again = bboxconv.from_pandas(frame)
        pd.testing.assert_frame_equal(again.to_pandas(), frame)
        assert again.header.box == dataset.header.box

    @pytest.mark.parametrize("name", ["full", "odd names", "odd keys"])
    def test_every_field_comes_back(self, name: str) -> None:
        """Every field that a frame has is there again."""
        frame = reference_dataset(name).to_pandas()
        pd.testing.assert_frame_equal(bboxconv.from_pandas(frame).to_pandas(), frame)

    @pytest.mark.parametrize("box", ["xyxyn", "xywh", "cxcywhn", "xyxy+1", "xywh%", "cxcywh/1000"])
    def test_the_box_format_goes_along(self, box: str) -> None:
        """The attributes of the frame name the box format; numbers that are no such fractions any more are pixels."""
        dataset = reference_dataset("many boxes", BoxFormat.parse(box))
        frame = dataset.to_pandas()
        assert bboxconv.from_pandas(frame).header.box == dataset.header.box
        names = list(schema.coordinate_names(dataset.header.box))
        larger = frame.assign(**{name: frame[name] * 5000 for name in names})
        again = bboxconv.from_pandas(larger).header.box
        assert again == (dataset.header.box if dataset.header.box.scale is None else BoxFormat(dataset.header.box.kind))

    def test_columns_are_recognised(self) -> None:
        """Usual names are known, images stand in order of first sight, a row of nulls is an image without boxes, and
        other columns are carried."""
        dataset = bboxconv.from_pandas(FRAME)
        assert dataset.header.box == BoxFormat("xyxy")
        assert [category.name for category in dataset.header.categories] == ["cat", "dog"]
        assert boxes_of(dataset) == {
            "a.jpg": [("dog", [1.5, 1, 4, 4]), ("dog", [3, 3, 6.25, 6])],
            "b.jpg": [("cat", [2, 2, 5, 5])],
            "c.jpg": [],
        }
        images = rows_of(dataset)
        objects: Any = images[0]["objects"]
        assert [row["extra"] for row in objects] == ['{"note":"x","count":1}', '{"note":"007","count":3}']
        assert images[2]["extra"] == '{"note":"y","count":4}'

    def test_an_object_without_a_box_is_no_empty_image(self) -> None:
        """A row with a class and no box is an object without a bbox."""
        frame = FRAME.assign(label=["dog", "cat", "dog", "owl"])
        assert boxes_of(bboxconv.from_pandas(frame))["c.jpg"] == [("owl", None)]

    def test_columns_can_be_named(self) -> None:
        """A mapping says what a column is, whatever it is called."""
        frame = FRAME.rename(columns={"label": "kind", "left": "a"})
        dataset = bboxconv.from_pandas(frame, columns={"category": "kind", "x1": "a"})
        assert boxes_of(dataset) == boxes_of(bboxconv.from_pandas(FRAME))

    def test_the_caller_names_the_box_format(self) -> None:
        """`box` says what the numbers are; else they are fractions where they look so, and pixels where not."""
        frame = pd.DataFrame({"file": ["a"], "cx": [0.5], "cy": [0.25], "w": [0.125], "h": [1.0]})
        assert bboxconv.from_pandas(frame).header.box.name == "cxcywhn"
        assert bboxconv.from_pandas(frame, box="cxcywh").header.box.name == "cxcywh"
        assert bboxconv.from_pandas(frame.assign(w=3)).header.box.name == "cxcywh"
        with pytest.raises(UsageError, match="unknown-box-format"):
            bboxconv.from_pandas(frame, box="xyzw")

    def test_classes(self) -> None:
        """`classes` pins the order, or names numbers; a class that is none of them is refused, and a categorical has
        its own order."""
        dataset = bboxconv.from_pandas(FRAME, classes=["owl", "dog", "cat"])
        assert [category.name for category in dataset.header.categories] == ["owl", "dog", "cat"]
        assert boxes_of(dataset) == boxes_of(bboxconv.from_pandas(FRAME))
        with pytest.raises(DataError, match="unknown-class"):
            bboxconv.from_pandas(FRAME, classes=["dog"])
        numbered = FRAME.assign(label=[1, 0, 1, None]).rename(columns={"label": "class_id"})
        assert boxes_of(bboxconv.from_pandas(numbered, classes=["cat", "dog"])) == boxes_of(dataset)
        ordered = FRAME.assign(label=pd.Categorical(FRAME["label"], ["dog", "ant", "cat"]))
        assert [c.name for c in bboxconv.from_pandas(ordered).header.categories] == ["dog", "ant", "cat"]

    @pytest.mark.parametrize("cell", [list, tuple, np.array, lambda box: str(list(box))])
    def test_one_column_of_boxes(self, cell: Callable[[list[float]], object]) -> None:
        """A column of lists, tuples, arrays or their text is a box each, xywh if nobody says otherwise."""
        boxes = [[1, 2.5, 3, 4], [5, 6, 7, 8]]
        frame = pd.DataFrame({"image_id": [7, 8], "bbox": [cell(box) for box in boxes], "category_id": [3, 3]})
        dataset = bboxconv.from_pandas(frame)
        assert dataset.header.box.name == "xywh"
        assert [(image["id"], image["objects"][0]["bbox"]) for image in dataset.to_table().to_pylist()] == [
            (7, boxes[0]),
            (8, boxes[1]),
        ]

    def test_ids_stay_what_they_are(self) -> None:
        """Ids are integers where they are such; others go to `extra`, so that different ones never become equal."""
        frame = FRAME.assign(image_id=["1", "01", "1", "2"], id=[2**53 + 1, 5, 6, 7], track_id=[1.0, 2.0, np.nan, 1.5])
        images = rows_of(bboxconv.from_pandas(frame.drop(columns=["note", "count"])))
        assert [(image["id"], image["extra"]) for image in images] == [(1, None), (None, '{"id":"01"}'), (2, None)]
        objects: Any = images[0]["objects"]
        assert [(row["id"], row["track_id"]) for row in objects] == [(2**53 + 1, 1), (6, None)]

    def test_it_can_be_read_twice(self, tmp_path: Path) -> None:
        """The data set is iterated as often as wanted, and written."""
        dataset = bboxconv.from_pandas(FRAME)
        assert rows_of(dataset) == rows_of(dataset)
        assert bboxconv.write(dataset, tmp_path / "a.jsonl").boxes == 3
        assert bboxconv.write(FRAME, tmp_path / "b.jsonl").images == 3

    @pytest.mark.parametrize(
        ("changed", "code", "where"),
        [
            ({"left": ["1", "2", "x", None]}, "bad-number", "data frame: row 2: x"),
            ({"left": [1, np.nan, 3, np.nan]}, "missing-field", "data frame: row 1"),
            ({"Image Path": ["a", None, "b", "c"]}, "missing-field", "data frame: row 1"),
            ({"width": [0, 1, 1, 1]}, "bad-value", "data frame: row 0: 0"),
            ({"iscrowd": ["maybe", "1", "no", ""]}, "bad-value", "data frame: row 0: maybe"),
        ],
    )
    def test_faults_name_their_row(self, changed: dict[str, list[object]], code: str, where: str) -> None:
        """A row that cannot be read is refused by its number from 0."""
        with pytest.raises(DataError) as refused:
            bboxconv.from_pandas(FRAME.assign(**changed))  # type: ignore[arg-type]
        assert [(found.code, found.where) for found in refused.value.diagnostics if found.severity == "error"] == [
            (code, (where,))
        ]

    def test_what_is_no_table(self, tmp_path: Path) -> None:
        """Something else than a table, a column of several types, and doubt about a column are refused."""
        with pytest.raises(UsageError, match="no-table"):
            bboxconv.from_pandas([1, 2])  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no-table"):
            bboxconv.write("a.json", tmp_path / "a.jsonl")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no-table"):
            bboxconv.from_pandas(FRAME.assign(note=["x", 1, [2], None]))
        with pytest.raises(UsageError, match="'left'; 'xmin'"):
            bboxconv.from_pandas(FRAME.assign(xmin=1))

    @pytest.mark.parametrize(
        "cells",
        [
            [Path("x"), Path("y"), Path("x"), None],
            [2**70, 1, 2, 3],
            [1j, 2j, 3j, 4j],
            pd.arrays.SparseArray([1.0, 2.0, 3.0, 4.0]),
        ],
        ids=["paths", "beyond 64 bits", "complex", "sparse"],
    )
    def test_columns_that_arrow_does_not_have(self, cells: object) -> None:
        """A column of values that Arrow cannot hold is refused with the way to change it."""
        with pytest.raises(UsageError, match=r"no-table(.|\n)*hint: make each column of one type"):
            bboxconv.from_pandas(FRAME.assign(note=cells))

    def test_a_box_that_is_a_struct_is_a_fault(self) -> None:
        """A dict is no list of four numbers, and its row is named."""
        frame = pd.DataFrame({"image": ["a", "b"], "bbox": [None, {"x": 1, "y": 2, "w": 3, "h": 4}]})
        with pytest.raises(DataError, match=r"bad-number(.|\n)*data frame: row 1: \{'x': 1"):
            bboxconv.from_pandas(frame)

    def test_other_columns_may_have_one_name(self) -> None:
        """Columns of one name that are no field are all carried; such as are one are refused as in doubt."""
        frame = FRAME.rename(columns={"count": "note"})
        objects: Any = rows_of(bboxconv.from_pandas(frame))[0]["objects"]
        assert [row["extra"] for row in objects] == ['{"note":"x","note.1":1}', '{"note":"007","note.1":3}']
        with pytest.raises(UsageError, match="'label'; 'label'"):
            bboxconv.from_pandas(FRAME.rename(columns={"note": "label"}))

    def test_a_named_index_is_columns(self) -> None:
        """What `set_index` has moved to the index is read as the columns that it was."""
        wanted = boxes_of(bboxconv.from_pandas(FRAME))
        assert boxes_of(bboxconv.from_pandas(FRAME.set_index("Image Path"))) == wanted
        assert boxes_of(bboxconv.from_pandas(FRAME.set_index(["label", "Image Path"]))) == wanted
        assert boxes_of(bboxconv.from_pandas(FRAME.set_index("label", drop=False))) == wanted

    def test_an_empty_frame(self) -> None:
        """A frame without rows is a data set without images."""
        assert rows_of(bboxconv.from_pandas(FRAME.iloc[:0])) == []


class TestStreams:
    """`write` of what has `__arrow_c_stream__`."""

    @pytest.mark.parametrize("name", ["full", "odd names", "unannotated", "no boxes"])
    @pytest.mark.parametrize(
        "make", [bboxconv.Dataset.to_table, pa.RecordBatchReader.from_stream], ids=["table", "reader"]
    )
    def test_images_are_written_as_they_are(self, name: str, make: Callable[[Any], Any], tmp_path: Path) -> None:
        """A table of images has its header along, and becomes the bytes that its data set becomes."""
        dataset = reference_dataset(name)
        bboxconv.write(dataset, tmp_path / "a.jsonl")
        bboxconv.write(make(dataset), tmp_path / "b.jsonl")
        assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()

    def test_images_of_other_types(self, tmp_path: Path) -> None:
        """Large lists, lists of four, plain texts and a column more are taken; a box of nulls is none."""
        rows = [{"bbox": [1, 2, 3, 4], "category": 1, "shape": "polygon"}, {"bbox": [None] * 4, "category": 0}]
        table = pa.table(
            {
                "file_name": pa.array(["a", "b"], pa.large_string()),
                "objects": pa.array(
                    [rows, None],
                    pa.large_list(
                        pa.struct({"bbox": pa.list_(pa.int64()), "category": pa.int64(), "shape": pa.string()})
                    ),
                ),
                "weather": ["rain", None],
            }
        )
        bboxconv.write(table, tmp_path / "a.jsonl", box="xywh", classes=["cat", "dog"])
        images = rows_of(bboxconv.read(tmp_path / "a.jsonl"))
        objects: Any = images[0]["objects"]
        assert [(row["bbox"], row["category"], row["shape"]) for row in objects] == [
            ([1, 2, 3, 4], 1, "polygon"),
            (None, 0, None),
        ]
        assert (images[0]["extra"], images[1]["objects"]) == ('{"weather":"rain"}', None)

    @pytest.mark.parametrize(
        ("row", "detail"),
        [
            ({"bbox": [1, 2, 3]}, "a bbox is not four numbers"),
            ({"bbox": [1, 2, 3, 4], "category": 2}, "a category is none of the 1 classes"),
            ({"bbox": [1, 2, 3, 4], "extra": "],["}, "extra is no JSON object"),
            ({"bbox": [1, 2, 3, 4], "shape": "blob"}, "a shape is none of"),
            (None, "an object is null"),
        ],
    )
    def test_rows_that_are_no_images(self, row: dict[str, object] | None, detail: str, tmp_path: Path) -> None:
        """Values that the model cannot hold are refused with the rows that have them, and nothing is written."""
        kind = pa.struct(
            {"bbox": pa.list_(pa.float64()), "category": pa.int32(), "extra": pa.string(), "shape": pa.string()}
        )
        table = pa.table({"file_name": ["a"], "objects": pa.array([[row]], pa.list_(kind))})
        with pytest.raises(DataError) as refused:
            bboxconv.write(table, tmp_path / "a.jsonl", box="xywh", classes=["cat"])
        (found,) = refused.value.diagnostics
        assert (found.code, found.where[0].startswith("Arrow stream: rows 0 to 0: ")) == ("bad-table", True)
        assert detail in found.where[0]
        assert list(tmp_path.iterdir()) == []

    def test_images_need_their_header(self, tmp_path: Path) -> None:
        """A table of images that does not say its box format and classes is refused; so is what it says otherwise."""
        dataset = reference_dataset("full")
        with pytest.raises(UsageError, match="box and classes must be given"):
            bboxconv.write(dataset.to_table().replace_schema_metadata(None), tmp_path / "a.jsonl")
        with pytest.raises(UsageError, match="option-conflict"):
            bboxconv.write(dataset.to_table(), tmp_path / "a.jsonl", box="xyxy")
        with pytest.raises(UsageError, match="option-conflict"):
            bboxconv.write(dataset, tmp_path / "a.jsonl", box="xyxy")

    def test_boxes_in_many_batches(self, tmp_path: Path) -> None:
        """A table of boxes is written as its frame is, whatever batches it comes in."""
        table = pa.Table.from_pandas(FRAME)
        bboxconv.write(FRAME, tmp_path / "a.jsonl")
        bboxconv.write(pa.Table.from_batches(table.to_batches(1)), tmp_path / "b.jsonl")
        assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()
