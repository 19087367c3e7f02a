"""One data set in several formats, as its owner exported it: each of our readings must agree with the twin."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from bboxconv.errors import ExitCode
from bboxconv.report import Report

Convert = Callable[..., Report]
Boxes = dict[str, list[tuple[str, float, float, float, float]]]

LABELFORMAT_YOLO = "labelformat/YOLOv8/example.yaml"
SHARKS_SPLITS = {"train": 7, "val": 2, "test": 1}
SHARKS_SIZE = 640
"""Width and height of the images beside the YOLO labels; the COCO copy was resized to 256 by 256."""


def keyed(boxes: Boxes) -> Boxes:
    """The boxes by the part of the file name that the exports have in common, before `.rf.`."""
    return {stem.partition("_jpg.rf.")[0]: rows for stem, rows in boxes.items()}


def folder_boxes(folder: Path, pattern: str, boxes_of: Callable[..., Boxes]) -> Boxes:
    """The boxes of all COCO files in a folder."""
    return {stem: rows for path in sorted(folder.glob(pattern)) for stem, rows in boxes_of("coco", path).items()}


def sharks_yolo(real: Path, boxes_of: Callable[..., Boxes]) -> Boxes:
    """The boxes of the sharks as their YOLO files have them, polygons as extents."""
    stems = [path.stem for path in (real / "sharks/yolov9").glob("*/labels/*.txt")]
    return boxes_of("yolo", real / "sharks/yolov9/data.yaml", dict.fromkeys(stems, (SHARKS_SIZE, SHARKS_SIZE)))


@pytest.mark.parametrize("source", ["COCO/train.json", "PascalVOC"])
def test_labelformat_coco_and_voc_hold_the_same_boxes(
    real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes], source: str
) -> None:
    """The COCO and the VOC of one data set give the same 2 images and 16 boxes in both formats."""
    coco = convert(real / "labelformat" / source, tmp_path / "out.json", to="coco")
    voc = convert(real / "labelformat" / source, tmp_path / "voc", to="voc")
    wanted = boxes_of("coco", real / "labelformat/COCO/train.json")
    assert wanted == boxes_of("voc", real / "labelformat/PascalVOC")
    assert (coco.images, coco.boxes, voc.images, voc.boxes) == (2, 16, 2, 16)
    assert boxes_of("coco", tmp_path / "out.json") == wanted
    assert boxes_of("voc", tmp_path / "voc/Annotations") == wanted


def test_labelformat_yolo_agrees_within_rounding(
    real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes]
) -> None:
    """The YOLO of the same data set, sized by its images, is within the half pixel that the COCO was rounded by."""
    report = convert(real / LABELFORMAT_YOLO, tmp_path / "out.json", to="coco")
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    twin = json.loads((real / "labelformat/COCO/train.json").read_text(encoding="utf-8"))
    assert (report.images, report.boxes) == (2, 16)
    sizes = {Path(image["file_name"]).name: (image["width"], image["height"]) for image in data["images"]}
    assert sizes == {image["file_name"]: (image["width"], image["height"]) for image in twin["images"]}
    assert [c["name"] for c in data["categories"]] == [c["name"] for c in twin["categories"]]
    found, wanted = boxes_of("coco", tmp_path / "out.json"), boxes_of("coco", real / "labelformat/COCO/train.json")
    assert found.keys() == wanted.keys()
    for stem in wanted:
        for (name, x1, y1, x2, y2), (twin_name, *edges) in zip(found[stem], wanted[stem], strict=True):
            assert name == twin_name
            assert [x1, y1] == pytest.approx(edges[:2], rel=0, abs=0.5)
            assert [x2 - x1, y2 - y1] == pytest.approx([edges[2] - edges[0], edges[3] - edges[1]], rel=0, abs=0.5)


def test_sharks_yolo_is_found_beside_its_yaml(
    real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]]
) -> None:
    """A data.yaml that names folders of somebody else's machine gives the 10 images and 60 boxes beside it."""
    run = cli("convert", real / "sharks/yolov9/data.yaml", "coco/", "--to", "coco")
    assert (run.returncode, run.stdout) == (ExitCode.DONE, "")
    assert ["10 images" in run.stderr, "60 boxes" in run.stderr] == [True, True]
    counts = {
        path.name: len(json.loads(path.read_text(encoding="utf-8"))["images"])
        for path in (tmp_path / "coco").glob("[!.]*")
    }
    assert counts == {f"instances_{split}.json": images for split, images in SHARKS_SPLITS.items()}


@pytest.mark.parametrize("source", ["sharks/yolov9/data.yaml", "sharks/yolov9"])
def test_sharks_yolo_boxes(
    real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes], source: str
) -> None:
    """Box rows are the boxes, and polygon rows of 11 to 695 columns give extents, in pixels of the images beside."""
    report = convert(real / source, tmp_path / "coco", to="coco")
    found, wanted = folder_boxes(tmp_path / "coco", "instances_*.json", boxes_of), sharks_yolo(real, boxes_of)
    assert (report.images, report.boxes, report.categories) == (10, 60, 3)
    assert found.keys() == wanted.keys()
    for stem in wanted:
        assert [row[0] for row in found[stem]] == [row[0] for row in wanted[stem]]
        assert [row[1:] for row in found[stem]] == [pytest.approx(row[1:], rel=0, abs=1e-9) for row in wanted[stem]]


def test_sharks_polygons_survive(real: Path, tmp_path: Path, convert: Convert) -> None:
    """The 17 polygon rows are polygons in COCO, scaled to pixels; the 43 box rows have none."""
    convert(real / "sharks/yolov9/data.yaml", tmp_path / "coco", to="coco")
    lengths: Counter[int] = Counter()
    for path in (tmp_path / "coco").glob("[!.]*"):
        for annotation in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            lengths[sum(map(len, annotation.get("segmentation") or []))] += 1
    rows = [
        line.split()
        for path in (real / "sharks/yolov9").glob("*/labels/*.txt")
        for line in path.read_text().splitlines()
    ]
    assert lengths == Counter(0 if len(row) == 5 else len(row) - 1 for row in rows)
    assert (lengths[0], lengths.total()) == (43, 60)


def test_sharks_coco_twin_has_the_same_boxes(
    real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes]
) -> None:
    """The COCO twin has the YOLO's counts and classes per image, and its boxes within half of its 256th of an
    image.
    """
    coco = convert(real / "sharks/coco", tmp_path / "coco", to="coco")
    yolo = convert(real / "sharks/yolov9/data.yaml", tmp_path / "yolo", to="coco")
    assert (coco.images, coco.boxes, yolo.images, yolo.boxes) == (10, 60, 10, 60)
    found = keyed(folder_boxes(tmp_path / "coco", "instances_*.json", boxes_of))
    twin = keyed(folder_boxes(tmp_path / "yolo", "instances_*.json", boxes_of))
    assert found == keyed(folder_boxes(real / "sharks/coco", "*/_annotations.coco.json", boxes_of))
    assert {key: Counter(row[0] for row in rows) for key, rows in found.items()} == {
        key: Counter(row[0] for row in rows) for key, rows in twin.items()
    }
    for key, rows in found.items():
        scaled = [(name, *(edge / 256 * SHARKS_SIZE for edge in edges)) for name, *edges in rows]
        for name, *edges in twin[key]:
            assert any(
                name == other and edges == pytest.approx(box, rel=0, abs=0.5 / 256 * SHARKS_SIZE)
                for other, *box in scaled
            )


def test_sharks_coco_box_beyond_the_edge_is_counted(
    real: Path, tmp_path: Path, convert: Convert, seen: Callable[[Report, str], int]
) -> None:
    """The one box of the COCO copy that passes the right edge (79 + 177.292 > 256) is counted and kept."""
    report = convert(real / "sharks/coco", tmp_path / "boxes.jsonl")
    assert seen(report, "box-outside-image") == 1
    assert "177.292" in (tmp_path / "boxes.jsonl").read_text(encoding="utf-8")


def test_sharks_placeholder_category_is_noted_and_can_be_left_out(
    real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]]
) -> None:
    """Category 0, which no box uses, shifts YOLO's numbers: a note names --exclude-class, which gives the owner's."""
    plain = cli("convert", real / "sharks/coco", "plain/", "--to", "yolo")
    assert (plain.returncode, plain.stdout) == (ExitCode.DONE, "")
    assert "--exclude-class" in plain.stderr
    assert "sharks" in plain.stderr
    excluded = cli("convert", real / "sharks/coco", "excluded/", "--to", "yolo", "--exclude-class", "sharks")
    assert (excluded.returncode, excluded.stdout) == (ExitCode.DONE, "")
    for folder, names in (
        ("plain", ["sharks", "fish", "primary", "shark"]),
        ("excluded", ["fish", "primary", "shark"]),
    ):
        found = yaml.safe_load((tmp_path / folder / "data.yaml").read_text(encoding="utf-8"))["names"]
        assert list(found.values() if isinstance(found, dict) else found) == names
        rows = [
            line for path in (tmp_path / folder / "labels").rglob("*.txt") for line in path.read_text().splitlines()
        ]
        counts = Counter(names[int(row.split()[0])] for row in rows)
        assert counts == {"fish": 10, "primary": 10, "shark": 40}


def test_sharks_yolo_to_yolo_keeps_the_numbers(real: Path, tmp_path: Path, convert: Convert) -> None:
    """YOLO to YOLO does no arithmetic: with `--out task=mixed` every box and polygon comes back number for number."""
    report = convert(real / "sharks/yolov9/data.yaml", tmp_path / "yolo", to="yolo", out={"task": "mixed"})
    assert (report.images, report.boxes, report.lost) == (10, 60, {})
    assert list(yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]) in (
        ["fish", "primary", "shark"],
        [0, 1, 2],
    )
    folders = {"train": "train", "val": "valid", "test": "test"}
    for split, folder in folders.items():
        sources = sorted((real / "sharks/yolov9" / folder / "labels").iterdir())
        assert [path.name for path in sources] == sorted(
            path.name for path in (tmp_path / "yolo/labels" / split).iterdir()
        )
        for source in sources:
            found = (tmp_path / "yolo/labels" / split / source.name).read_text(encoding="utf-8")
            assert numbers(found) == numbers(source.read_text(encoding="utf-8"))


def numbers(text: str) -> list[list[float]]:
    """The rows of a YOLO label file as numbers."""
    return [[float(value) for value in line.split()] for line in text.splitlines()]


@pytest.mark.parametrize(
    "source",
    [
        "labelformat/KITTI",
        "labelformat/KITTI/labels",
        "labelformat/Labelbox/export-result.ndjson",
        "sharks/createml",
        "sharks/createml/train/_annotations.createml.json",
    ],
)
def test_other_formats_are_not_mistaken_for_ours(
    real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]], source: str
) -> None:
    """Files of formats that are not read yet are refused, not read as an empty data set of another format."""
    run = cli("convert", real / source, "out.parquet")
    assert (run.returncode, run.stdout) == (ExitCode.REFUSED, "")
    assert list(tmp_path.iterdir()) == []


def test_raccoon_csv_is_its_voc(real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes]) -> None:
    """The owner's csv of all boxes gives the 217 boxes and 200 sizes of the XML files, and those become the csv again,
    to the letter; the parts for training and test have the rows of it."""
    voc = real / "raccoon/annotations"
    report = convert(real / "raccoon/raccoon_labels.csv", tmp_path / "csv", to="voc")
    other = convert(voc, tmp_path / "voc", to="voc")
    assert (report.images, report.boxes, other.boxes) == (200, 217, 217)
    wanted = boxes_of("voc", voc)
    assert boxes_of("voc", tmp_path / "csv/Annotations") == wanted
    sizes = {
        path.stem: (path.read_text().partition("<width>")[2][:4], path.read_text().partition("<height>")[2][:4])
        for path in sorted((tmp_path / "csv/Annotations").glob("*.xml"))
    }
    assert sizes == {
        path.stem: (path.read_text().partition("<width>")[2][:4], path.read_text().partition("<height>")[2][:4])
        for path in sorted((tmp_path / "voc/Annotations").glob("*.xml"))
    }
    convert(voc, tmp_path / "a.csv", out={"layout": "tfod"})
    owner = (real / "raccoon/raccoon_labels.csv").read_text().replace("\r\n", "\n")
    written = (tmp_path / "a.csv").read_text()
    assert written.splitlines()[0] == owner.splitlines()[0]
    assert sorted(written.splitlines()) == sorted(owner.splitlines())
    parts = {name: real / f"raccoon/{name}_labels.csv" for name in ("train", "test")}
    both = convert([f"{name}={path}" for name, path in parts.items()], tmp_path / "both.csv")
    assert both.boxes == sum(len(path.read_text().splitlines()) - 1 for path in parts.values())


def test_bccd_csv(real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes]) -> None:
    """The owner's csv of BCCD, whose columns stand as xmin, xmax, ymin, ymax and call the class cell_type, has boxes of
    its XML files."""
    csv = real / "bccd/test.csv"
    report = convert(csv, tmp_path / "csv", to="voc", in_={"columns": "category:cell_type"}, image_size=(640, 480))
    wanted = boxes_of("voc", real / "bccd/Annotations")
    found = boxes_of("voc", tmp_path / "csv/Annotations")
    assert report.boxes == len(csv.read_text().splitlines()) - 1
    assert {stem: Counter(rows) for stem, rows in found.items()} == {stem: Counter(wanted[stem]) for stem in found}
