"""PASCAL VOC files as people published them: raccoons (with the same boxes as csv), blood cells (with ImageSets)."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest
from lxml import etree

import bboxconv
from bboxconv.errors import ExitCode
from bboxconv.report import Report

Convert = Callable[..., Report]
Boxes = dict[str, list[tuple[str, float, float, float, float]]]
Seen = Callable[[Report, str], int]
Element = tuple[str, str, tuple[tuple[str, str], ...], tuple["Element", ...]]

BCCD_CLASSES = {"RBC": 4155, "WBC": 372, "Platelets": 361}
BCCD_ZERO_AREA = {"BloodImage_00338": (504, 337, 504, 337), "BloodImage_00343": (181, 329, 181, 329)}
SPLITS = {"train": 205, "val": 87, "test": 72}


def tree_of(path: Path) -> Element:
    """An XML file as nested tuples; order of elements, white space between them and the `.0` of a box do not
    count.
    """

    def plain(element: etree._Element) -> Element:
        children = sorted(plain(child) for child in element if isinstance(child.tag, str))
        attributes = sorted((str(key), str(value)) for key, value in element.attrib.items())
        text = (element.text or "").strip()
        if element.tag in ("xmin", "ymin", "xmax", "ymax"):
            text = str(float(text))
        return str(element.tag), text, tuple(attributes), tuple(children)

    return plain(etree.parse(str(path)).getroot())


def splits_of(voc: Path) -> dict[str, list[str]]:
    """The file stems listed in each of ImageSets/Main/*.txt, sorted."""
    return {
        path.stem: sorted(path.read_text(encoding="utf-8").split()) for path in (voc / "ImageSets/Main").glob("*.txt")
    }


def counted(boxes: Boxes) -> tuple[int, Counter[str]]:
    """The number of images, and of the boxes of each class."""
    return len(boxes), Counter(name for rows in boxes.values() for name, *_ in rows)


def test_raccoon_equals_its_csv(real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]]) -> None:
    """Raccoon's VOC becomes COCO that holds just the rows of raccoon_labels.csv: 200 images, 217 boxes, one class."""
    run = cli("convert", real / "raccoon/annotations", "raccoon.json", "--to", "coco")
    assert (run.returncode, run.stdout) == (ExitCode.DONE, "")
    data = json.loads((tmp_path / "raccoon.json").read_text(encoding="utf-8"))
    images = {image["id"]: image for image in data["images"]}
    names = {category["id"]: category["name"] for category in data["categories"]}
    with (real / "raccoon/raccoon_labels.csv").open(encoding="utf-8", newline="") as file:
        wanted = [
            (r["filename"], r["class"], *(float(r[key]) for key in ("width", "height", "xmin", "ymin", "xmax", "ymax")))
            for r in csv.DictReader(file)
        ]
    found = []
    for annotation in data["annotations"]:
        image, (x, y, w, h) = images[annotation["image_id"]], annotation["bbox"]
        found.append(
            (image["file_name"], names[annotation["category_id"]], image["width"], image["height"], x, y, x + w, y + h)
        )
    assert sorted(found) == sorted(wanted)
    assert (len(images), len(found), len(names)) == (200, 217, 1)
    assert [word in run.stderr for word in ("200 images", "217 boxes", "voc", "coco")] == [True] * 4


def test_voc_to_coco_fills_what_pycocotools_needs(real: Path, tmp_path: Path, convert: Convert) -> None:
    """COCO from VOC has unique ids from 1 (0 is unmatched to pycocotools), area = width times height and iscrowd
    0.
    """
    report = convert(real / "raccoon/annotations", tmp_path / "raccoon.json", to="coco")
    annotations = json.loads((tmp_path / "raccoon.json").read_text(encoding="utf-8"))["annotations"]
    assert sorted(a["id"] for a in annotations) == [*range(1, 218)]
    assert [a["area"] for a in annotations] == [a["bbox"][2] * a["bbox"][3] for a in annotations]
    assert {json.dumps(a["iscrowd"]) for a in annotations} == {"0"}
    assert [report.filled.get(f"object.{name}") for name in ("id", "area", "iscrowd")] == [217, 217, 217]


@pytest.mark.parametrize("target", ["coco", "yolo", "voc", "jsonl", "parquet", "parquet boxes"])
def test_bccd_goes_everywhere_and_back(
    real: Path, tmp_path: Path, convert: Convert, seen: Seen, boxes_of: Callable[..., Boxes], target: str
) -> None:
    """To each format and back: 364 images and 4,888 boxes at each step, two of them without area, reported and
    kept.
    """
    source = real / "bccd/Annotations"
    name, _, layout = target.partition(" ")
    between = tmp_path / {"coco": "boxes.json", "jsonl": "boxes.jsonl", "parquet": "boxes.parquet"}.get(name, name)
    there = convert(source, between, to=name, out={"layout": layout} if layout else {})
    back = convert(between, tmp_path / "back", to="voc", **({"image_sizes": source} if name == "yolo" else {}))

    for report in (there, back):
        assert (report.images, report.boxes, report.categories) == (364, 4888, 3)
        assert seen(report, "box-without-area") == 2
    wanted, found = boxes_of("voc", source), boxes_of("voc", tmp_path / "back/Annotations")
    assert counted(wanted) == (364, Counter(BCCD_CLASSES))
    if name == "yolo":
        # 640 pixels wide: a centre and half a width of 6 decimals are off by 0.75e-6 * 640 at worst
        assert found.keys() == wanted.keys()
        for stem in wanted:
            assert [row[0] for row in found[stem]] == [row[0] for row in wanted[stem]]
            assert [row[1:] for row in found[stem]] == [pytest.approx(row[1:], rel=0, abs=5e-4) for row in wanted[stem]]
    else:
        assert found == wanted
    for stem, box in BCCD_ZERO_AREA.items():
        assert [row[1:] for row in found[stem] if row[1:] == pytest.approx(box, rel=0, abs=5e-4)] != []


def test_bccd_zero_area_boxes_are_named(real: Path, tmp_path: Path, convert: Convert) -> None:
    """The report says which files hold the two boxes without area."""
    report = convert(real / "bccd/Annotations", tmp_path / "boxes.json", to="coco")
    places = " ".join(
        str(place) for finding in report.findings if finding.code == "box-without-area" for place in finding.where
    )
    assert [stem in places for stem in BCCD_ZERO_AREA] == [True, True]


def test_bccd_counts_stand_in_every_format(
    real: Path, tmp_path: Path, convert: Convert, boxes_of: Callable[..., Boxes]
) -> None:
    """What is written between holds the 364 images and 4,888 boxes, as the standard library and pyarrow read it."""
    source = real / "bccd/Annotations"
    wanted = boxes_of("voc", source)
    convert(source, tmp_path / "boxes.json", to="coco")
    assert boxes_of("coco", tmp_path / "boxes.json") == wanted

    convert(source, tmp_path / "yolo", to="yolo")
    yolo = boxes_of("yolo", tmp_path / "yolo/data.yaml", dict.fromkeys(wanted, (640, 480)))
    assert counted(yolo) == counted(wanted)
    assert len({path.name for path in (tmp_path / "yolo/labels").glob("*.txt")}) == 364

    convert(source, tmp_path / "boxes.jsonl")
    header, *lines = [json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (header["type"], header["box"], {line["type"] for line in lines}) == ("dataset", "xyxy", {"image"})
    names = [category["name"] for category in header["categories"]]
    assert {
        Path(line["file"]).stem: [(names[o["category"]], *o["bbox"]) for o in line["objects"]] for line in lines
    } == wanted

    convert(source, tmp_path / "images.parquet")
    rows = pq.read_table(tmp_path / "images.parquet").to_pylist()
    assert {Path(row["file_name"]).stem: [tuple(o["bbox"]) for o in row["objects"]] for row in rows} == {
        stem: [tuple(box) for _, *box in boxes] for stem, boxes in wanted.items()
    }

    convert(source, tmp_path / "rows.parquet", out={"layout": "boxes"})
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 4888


@pytest.mark.parametrize("name", ["voc", "jsonl", "parquet"])
@pytest.mark.parametrize("source", ["raccoon/annotations", "bccd/Annotations", "labelformat/PascalVOC"])
def test_voc_comes_back_whole(real: Path, tmp_path: Path, convert: Convert, source: str, name: str) -> None:
    """VOC through VOC, JSON Lines and Parquet keeps every element, text and attribute: pose, path, verified."""
    between = tmp_path / {"jsonl": "boxes.jsonl", "parquet": "boxes.parquet", "voc": "voc"}[name]
    there = convert(real / source, between, to=name)
    back = convert(between, tmp_path / "back", to="voc")
    assert (there.lost, back.lost) == ({}, {})
    paths = sorted((real / source).glob("*.xml"))
    assert sorted(path.name for path in (tmp_path / "back/Annotations").iterdir()) == [path.name for path in paths]
    different = [path.name for path in paths if tree_of(path) != tree_of(tmp_path / "back/Annotations" / path.name)]
    assert different == []


def test_bccd_image_sets_are_splits(real: Path, tmp_path: Path, convert: Convert) -> None:
    """The VOCdevkit tree gives COCO files for train, val and test, each with the images that ImageSets lists."""
    convert(real / "bccd", tmp_path / "coco", to="coco")
    wanted = splits_of(real / "bccd")
    assert {split: len(wanted[split]) for split in SPLITS} == SPLITS
    for split in SPLITS:
        data = json.loads((tmp_path / "coco" / f"instances_{split}.json").read_text(encoding="utf-8"))
        assert sorted(Path(image["file_name"]).stem for image in data["images"]) == wanted[split]
    assert {path.name for path in (tmp_path / "coco").glob("[!.]*")} == {f"instances_{split}.json" for split in SPLITS}


@pytest.mark.parametrize("name", ["voc", "yolo", "jsonl", "parquet", "coco"])
def test_bccd_splits_come_back(real: Path, tmp_path: Path, convert: Convert, name: str) -> None:
    """Train, val and test survive each format and stand in ImageSets/Main again."""
    between = tmp_path / {"jsonl": "boxes.jsonl", "parquet": "boxes.parquet"}.get(name, name)
    there = convert(real / "bccd", between, to=name)
    back = convert(between, tmp_path / "back", to="voc", **({"image_sizes": real / "bccd"} if name == "yolo" else {}))
    assert (there.images, there.boxes, back.images, back.boxes) == (364, 4888, 364, 4888)
    found, wanted = splits_of(tmp_path / "back"), splits_of(real / "bccd")
    assert {split: found.get(split) for split in SPLITS} == {split: wanted[split] for split in SPLITS}


@pytest.mark.parametrize("name", ["voc", "jsonl", "parquet"])
def test_bccd_trainval_comes_back(real: Path, tmp_path: Path, convert: Convert, name: str) -> None:
    """An image of two sets keeps both where the format is lossless: trainval.txt comes back beside train and val."""
    between = tmp_path / {"jsonl": "boxes.jsonl", "parquet": "boxes.parquet"}.get(name, name)
    convert(real / "bccd", between, to=name)
    convert(between, tmp_path / "back", to="voc")
    assert splits_of(tmp_path / "back") == splits_of(real / "bccd")


def test_one_split_of_bccd(real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]]) -> None:
    """`--split test` takes the 72 images of ImageSets/Main/test.txt alone."""
    run = cli("convert", real / "bccd", "test.json", "--to", "coco", "--split", "test")
    assert (run.returncode, run.stdout) == (ExitCode.DONE, "")
    data = json.loads((tmp_path / "test.json").read_text(encoding="utf-8"))
    assert sorted(Path(image["file_name"]).stem for image in data["images"]) == splits_of(real / "bccd")["test"]


@pytest.mark.parametrize("name", ["coco", "voc", "yolo", "jsonl", "parquet"])
def test_same_bytes_for_any_number_of_jobs(real: Path, tmp_path: Path, convert: Convert, name: str) -> None:
    """One process and two, batches of 7 images and all at once give the same files, byte for byte."""
    written = []
    # Parquet's row groups are batches, so there the batch size stays
    for number, options in enumerate(({"jobs": 1}, {"jobs": 2}, {} if name == "parquet" else {"batch_size": 7})):
        target = tmp_path / str(number) / ("boxes" if name in ("coco", "voc", "yolo") else f"boxes.{name}")
        target.parent.mkdir()
        convert(real / "bccd", target, to=name, **options)
        files = sorted(path for path in target.parent.rglob("*") if path.is_file())
        written.append({str(path.relative_to(target.parent)): path.read_bytes() for path in files})
    assert written[0] == written[1] == written[2]


def test_bccd_as_a_data_frame(real: Path) -> None:
    """`bboxconv.read(...).to_pandas()` has a row for each row of the blood cells' csv."""
    frame = bboxconv.read(real / "bccd/Annotations").to_pandas()
    found = frame[["file_name", "category", "x1", "x2", "y1", "y2"]].astype({"category": str})
    with (real / "bccd/test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(name, kind, *map(float, numbers)) for name, kind, *numbers in [*csv.reader(file)][1:]]
    assert sorted(found.itertuples(index=False, name=None)) == sorted(rows)
