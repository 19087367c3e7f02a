"""supervision reads our YOLO, VOC and COCO and sees the boxes of the source.

Its boxes are float32 corners in pixels, so they are compared to 1e-3 pixel.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bboxconv.report import Report

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns on import that OpenCV is not installed, which it does not need here
    supervision = pytest.importorskip("supervision", reason="supervision is not installed (extra: peers)")

Convert = Callable[..., Report]
Picture = Callable[[Path, int, int], None]
Boxes = dict[str, list[tuple[str, list[float]]]]


def seen(dataset: Any) -> Boxes:
    """Class name and corners of each box, by file name."""
    return {
        Path(path).name: [
            (dataset.classes[number], box.tolist()) for number, box in zip(found.class_id, found.xyxy, strict=True)
        ]
        if len(found)
        else []
        for path, found in dataset.annotations.items()
    }


def corners_of(data: dict[str, Any], *, crowd: bool) -> Boxes:
    """The same from a COCO file."""
    names = {category["id"]: category["name"] for category in data["categories"]}
    files = {image["id"]: image["file_name"] for image in data["images"]}
    boxes: Boxes = {file: [] for file in files.values()}
    for a in data["annotations"]:
        x, y, w, h = a["bbox"]
        if crowd or not a["iscrowd"]:
            boxes[files[a["image_id"]]].append((names[a["category_id"]], [x, y, x + w, y + h]))
    return boxes


def assert_close(found: Boxes, wanted: Boxes) -> None:
    """The same files, the same classes in the same order, the same corners to 1e-3 pixel."""
    assert found.keys() == wanted.keys()
    for file in wanted:
        assert [name for name, _ in found[file]] == [name for name, _ in wanted[file]]
        have = np.array([box for _, box in found[file]]).reshape(-1, 4)
        np.testing.assert_allclose(have, np.array([box for _, box in wanted[file]]).reshape(-1, 4), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "source",
    ["coco_mini/instances_val2017.json", "coco_mini/person_keypoints_val2017.json", "labelformat/COCO/train.json"],
)
def test_yolo(
    real: Path, tmp_path: Path, convert: Convert, load: Callable[[Path], Any], picture: Picture, source: str
) -> None:
    """supervision's YOLO reader sees the boxes that the COCO file has, without its crowds, and the class names."""
    data = load(real / source)
    convert(real / source, tmp_path / "yolo", to="yolo")
    for image in data["images"]:
        picture(tmp_path / "images" / image["file_name"], image["width"], image["height"])
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(tmp_path / "images"),
        annotations_directory_path=str(tmp_path / "yolo/labels"),
        data_yaml_path=str(tmp_path / "yolo/data.yaml"),
    )
    assert dataset.classes == [c["name"] for c in sorted(data["categories"], key=lambda c: c["id"])]
    assert_close(seen(dataset), corners_of(data, crowd=False))


def test_yolo_with_polygons(real: Path, tmp_path: Path, convert: Convert) -> None:
    """supervision sees in our copy of a YOLO set of mixed box and polygon rows what it sees in the original."""
    source = real / "sharks/yolov9"
    convert(source / "data.yaml", tmp_path / "yolo", to="yolo", out={"task": "mixed"})
    splits = {"train": "train", "valid": "val", "test": "test"}
    for folder, split in splits.items():
        theirs, ours = (
            supervision.DetectionDataset.from_yolo(
                images_directory_path=str(source / folder / "images"),
                annotations_directory_path=str(labels),
                data_yaml_path=str(data_yaml),
            )
            for labels, data_yaml in (
                (source / folder / "labels", source / "data.yaml"),
                (tmp_path / "yolo/labels" / split, tmp_path / "yolo/data.yaml"),
            )
        )
        assert seen(ours) == seen(theirs)
        assert sum(map(len, seen(ours).values())) == {"train": 44, "valid": 10, "test": 6}[folder]


@pytest.mark.parametrize("origin", ["0", "1"])
def test_voc(
    real: Path, tmp_path: Path, convert: Convert, load: Callable[[Path], Any], picture: Picture, origin: str
) -> None:
    """supervision sees the COCO boxes in VOC of `--out origin=1`, and by default boxes that begin one pixel
    earlier.
    """
    data = load(real / "coco_mini/instances_val2017.json")
    convert(real / "coco_mini/instances_val2017.json", tmp_path / "voc", to="voc", out={"origin": origin})
    for image in data["images"]:
        picture(tmp_path / "images" / image["file_name"], image["width"], image["height"])
    dataset = supervision.DetectionDataset.from_pascal_voc(
        images_directory_path=str(tmp_path / "images"), annotations_directory_path=str(tmp_path / "voc/Annotations")
    )
    wanted = corners_of(data, crowd=True)  # VOC has no crowd flag: crowds are plain boxes there
    if origin == "0":
        # it takes every VOC file for 1-based inclusive pixels and subtracts 1 from xmin and ymin
        wanted = {
            file: [(name, [x1 - 1, y1 - 1, x2, y2]) for name, (x1, y1, x2, y2) in rows] for file, rows in wanted.items()
        }
    assert_close(seen(dataset), wanted)


def test_coco(real: Path, tmp_path: Path, convert: Convert) -> None:
    """supervision's COCO reader sees the boxes of the blood cells' csv in COCO that was made from their VOC."""
    convert(real / "bccd/Annotations", tmp_path / "bccd.json", to="coco")
    dataset = supervision.DetectionDataset.from_coco(
        images_directory_path=str(tmp_path / "images"), annotations_path=str(tmp_path / "bccd.json")
    )
    wanted: Boxes = {}
    with (real / "bccd/test.csv").open(encoding="utf-8", newline="") as file:
        for r in csv.DictReader(file):
            box = [float(r[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
            wanted.setdefault(r["filename"], []).append((r["cell_type"], box))
    assert sum(map(len, wanted.values())) == 4888
    assert_close(
        {file: sorted(rows) for file, rows in seen(dataset).items()},
        {file: sorted(rows) for file, rows in wanted.items()},
    )


def test_data_yaml_names_are_in_order(real: Path, tmp_path: Path, convert: Convert) -> None:
    """With ten classes and more, supervision's sorting of data.yaml's names is the order of the class numbers."""
    convert(real / "coco_mini/instances_val2017.json", tmp_path / "yolo", to="yolo")
    names = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]
    by_number = names if isinstance(names, list) else [names[i] for i in range(len(names))]
    read = supervision.dataset.formats.yolo._extract_class_names(str(tmp_path / "yolo/data.yaml"))
    assert read == by_number
    assert len(read) == 80
