"""labelformat reads our YOLO, VOC and COCO and sees the boxes that it sees in the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bboxconv.report import Report

formats = pytest.importorskip("labelformat.formats", reason="labelformat is not installed (extra: peers)")

Convert = Callable[..., Report]
Picture = Callable[[Path, int, int], None]
Boxes = dict[str, tuple[int, int, list[tuple[str, list[float]]]]]
"""Width, height, and class name and corners of each box, by file name."""


def seen(reader: Any) -> Boxes:
    """What one of labelformat's readers sees."""
    return {
        label.image.filename: (
            label.image.width,
            label.image.height,
            [(o.category.name, [o.box.xmin, o.box.ymin, o.box.xmax, o.box.ymax]) for o in label.objects],
        )
        for label in reader.get_labels()
    }


def assert_close(found: Boxes, wanted: Boxes, pixels: float) -> None:
    """The same files, sizes and classes in the same order, the corners equal to so many pixels."""
    assert found.keys() == wanted.keys()
    for file, (width, height, rows) in wanted.items():
        assert (found[file][0], found[file][1]) == (width, height)
        assert [name for name, _ in found[file][2]] == [name for name, _ in rows]
        assert [box for _, box in found[file][2]] == [pytest.approx(box, rel=0, abs=pixels) for _, box in rows]


def with_pictures(data_yaml: Path, split: str, images: list[dict[str, Any]], picture: Picture) -> None:
    """Put pictures where data.yaml says that they are: labelformat goes from the pictures to the labels."""
    folder = data_yaml.parent / yaml.safe_load(data_yaml.read_text(encoding="utf-8"))[split]
    for image in images:
        picture(folder / image["file_name"], image["width"], image["height"])


@pytest.mark.parametrize(
    "source", ["labelformat/COCO/train.json", "coco_mini/person_keypoints_val2017.json", "taco/annotations.json"]
)
def test_coco(real: Path, tmp_path: Path, convert: Convert, source: str) -> None:
    """COCO that went through Parquet is to labelformat what the source is."""
    convert(real / source, tmp_path / "between.parquet")
    convert(tmp_path / "between.parquet", tmp_path / "back.json", to="coco")
    ours, theirs = (
        seen(formats.COCOObjectDetectionInput(input_file=path)) for path in (tmp_path / "back.json", real / source)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "source", ["labelformat/COCO/train.json", "labelformat/PascalVOC", "labelformat/YOLOv8/example.yaml"]
)
def test_its_own_example_as_voc(
    real: Path, tmp_path: Path, convert: Convert, load: Callable[[Path], Any], source: str
) -> None:
    """Its example in three formats becomes VOC that it reads with the same boxes; the names hold spaces and dots."""
    convert(real / source, tmp_path / "voc", to="voc")
    categories = ",".join(c["name"] for c in load(real / "labelformat/COCO/train.json")["categories"])
    ours = seen(
        formats.PascalVOCObjectDetectionInput(input_folder=tmp_path / "voc/Annotations", category_names=categories)
    )
    coco = seen(formats.COCOObjectDetectionInput(input_file=real / "labelformat/COCO/train.json"))
    if "YOLO" not in source:
        assert ours == coco
        return
    theirs = seen(formats.YOLOv8ObjectDetectionInput(input_file=real / source, input_split="train"))
    assert_close({Path(name).name: rows for name, rows in ours.items()}, theirs, 1e-9)
    # its COCO holds x, y, width and height rounded to integers, so a right or lower edge is up to one pixel off
    assert_close({Path(name).name: rows for name, rows in ours.items()}, coco, 1.0)


def test_its_own_example_as_yolo(
    real: Path, tmp_path: Path, convert: Convert, load: Callable[[Path], Any], picture: Picture
) -> None:
    """Its COCO example becomes YOLO that it reads with the same boxes to 6 decimals."""
    source = real / "labelformat/COCO/train.json"
    convert([f"train={source}"], tmp_path / "yolo", to="yolo")
    with_pictures(tmp_path / "yolo/data.yaml", "train", load(source)["images"], picture)
    ours = seen(formats.YOLOv8ObjectDetectionInput(input_file=tmp_path / "yolo/data.yaml", input_split="train"))
    assert_close(ours, seen(formats.COCOObjectDetectionInput(input_file=source)), 5e-4)


def test_coco_train_and_val_as_yolo(
    real: Path, tmp_path: Path, convert: Convert, load: Callable[[Path], Any], picture: Picture
) -> None:
    """Both splits of a YOLO tree are read through its data.yaml with the boxes of their COCO files, without
    crowds.
    """
    sources = {split: real / f"coco_mini/instances_{split}2017.json" for split in ("train", "val")}
    convert([f"{split}={path}" for split, path in sources.items()], tmp_path / "yolo", to="yolo")
    for split, path in sources.items():
        data = load(path)
        with_pictures(tmp_path / "yolo/data.yaml", split, data["images"], picture)
        ours = seen(formats.YOLOv8ObjectDetectionInput(input_file=tmp_path / "yolo/data.yaml", input_split=split))
        data["annotations"] = [
            a for a in data["annotations"] if not a["iscrowd"]
        ]  # labelformat does not look at iscrowd
        (tmp_path / "uncrowded.json").write_text(json.dumps(data), encoding="utf-8")
        wanted = seen(formats.COCOObjectDetectionInput(input_file=tmp_path / "uncrowded.json"))
        assert sum(len(rows) for _, _, rows in wanted.values()) == {"train": 731, "val": 619}[split]
        assert_close(ours, wanted, 5e-4)


def test_voc_as_coco(real: Path, tmp_path: Path, convert: Convert) -> None:
    """labelformat sees the same boxes in the raccoons' VOC and in the COCO made from it."""
    convert(real / "raccoon/annotations", tmp_path / "raccoon.json", to="coco")
    ours = seen(formats.COCOObjectDetectionInput(input_file=tmp_path / "raccoon.json"))
    theirs = seen(
        formats.PascalVOCObjectDetectionInput(input_folder=real / "raccoon/annotations", category_names="raccoon")
    )
    assert ours == theirs
    assert len(ours) == 200
