"""COCO files of the official data set, TACO and a labelling service, through the lossless formats and into YOLO."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from bboxconv.errors import DataError, ExitCode
from bboxconv.report import Report

Convert = Callable[..., Report]
Coco = dict[str, Any]
Boxes = dict[str, list[tuple[str, float, float, float, float]]]
Seen = Callable[[Report, str], int]
AssertSame = Callable[[Iterable[object], Iterable[object]], None]

SOURCES = [
    "coco_mini/instances_train2017.json",
    "coco_mini/instances_val2017.json",
    "coco_mini/person_keypoints_train2017.json",
    "coco_mini/person_keypoints_val2017.json",
    "taco/annotations.json",
    "labelformat/COCO/train.json",
    "sharks/coco/train/_annotations.coco.json",
]
PAIRS = ["instances", "person_keypoints"]


def load(path: Path) -> Coco:
    """A COCO file as the standard library reads it."""
    data: Coco = json.loads(path.read_text(encoding="utf-8"))
    return data


def sizes_of(path: Path) -> dict[str, tuple[int, int]]:
    """The image sizes of a COCO file by file name without extension, which YOLO labels do not hold."""
    return {Path(image["file_name"]).stem: (image["width"], image["height"]) for image in load(path)["images"]}


def assert_same_coco(got: Path, want: Path, same: AssertSame) -> None:
    """Two COCO files are the same: annotations, images and categories as multisets, every other top-level key
    whole.
    """
    have, need = load(got), load(want)
    assert have.keys() == need.keys()
    for key in need:
        if key in ("annotations", "images", "categories"):
            same(have[key], need[key])
        else:
            same([have[key]], [need[key]])


def uncrowded(path: Path) -> list[tuple[Coco, list[Coco]]]:
    """Each image of a COCO file with its annotations that are no crowds, in the order of the file."""
    data = load(path)
    return [
        (image, [a for a in data["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]])
        for image in data["images"]
    ]


def rows_of(data_yaml: Path, path: str) -> list[tuple[int, list[float]]]:
    """The rows of one YOLO label file: class number and the other columns."""
    rows = [line.split() for line in (data_yaml.parent / path).read_text(encoding="utf-8").splitlines()]
    return [(int(number), [float(value) for value in values]) for number, *values in rows]


@pytest.mark.parametrize("between", ["boxes.parquet", "boxes.parquet layout=boxes", "boxes.jsonl"])
@pytest.mark.parametrize("source", SOURCES)
def test_coco_comes_back_whole(
    real: Path, tmp_path: Path, convert: Convert, assert_same: AssertSame, source: str, between: str
) -> None:
    """COCO to Parquet, of either layout, or JSON Lines and back gives every key and value of the source again."""
    name, _, layout = between.partition(" layout=")
    there = convert(real / source, tmp_path / name, out={"layout": layout} if layout else {})
    back = convert(tmp_path / name, tmp_path / "back.json", to="coco")
    data = load(real / source)
    assert (there.lost, back.lost, back.filled) == ({}, {}, {})
    counts = tuple(len(data[key]) for key in ("images", "annotations", "categories"))
    assert (there.images, there.boxes, there.categories) == (back.images, back.boxes, back.categories) == counts
    assert_same_coco(tmp_path / "back.json", real / source, assert_same)


@pytest.mark.parametrize("source", SOURCES)
def test_coco_to_coco_is_whole(
    real: Path, tmp_path: Path, convert: Convert, assert_same: AssertSame, source: str
) -> None:
    """COCO to COCO loses and invents nothing."""
    report = convert(real / source, tmp_path / "copy.json", to="coco")
    assert report.lost == {}
    assert_same_coco(tmp_path / "copy.json", real / source, assert_same)


@pytest.mark.parametrize("extension", ["parquet", "jsonl"])
@pytest.mark.parametrize("kind", PAIRS)
def test_two_splits_come_back_as_two_files(
    real: Path, tmp_path: Path, convert: Convert, assert_same: AssertSame, kind: str, extension: str
) -> None:
    """COCO train and val go into one file and come back as two, each whole."""
    sources = {split: real / "coco_mini" / f"{kind}_{split}2017.json" for split in ("train", "val")}
    between = tmp_path / f"boxes.{extension}"
    report = convert([f"{split}={path}" for split, path in sources.items()], between)
    convert(between, tmp_path / "back", to="coco")
    assert report.images == 80 + 79
    assert {path.name for path in (tmp_path / "back").glob("[!.]*")} == {"instances_train.json", "instances_val.json"}
    for split, source in sources.items():
        assert_same_coco(tmp_path / "back" / f"instances_{split}.json", source, assert_same)


def test_taco_negative_boxes_are_kept_and_counted(real: Path, tmp_path: Path, convert: Convert, seen: Seen) -> None:
    """The 7 boxes of TACO that start left of or above their image are written as they are and counted."""
    report = convert(real / "taco/annotations.json", tmp_path / "taco.json", to="coco")
    negative = [a["bbox"] for a in load(real / "taco/annotations.json")["annotations"] if min(a["bbox"][:2]) < 0]
    written = [a["bbox"] for a in load(tmp_path / "taco.json")["annotations"] if min(a["bbox"][:2]) < 0]
    assert seen(report, "box-outside-image") == len(negative) == 7
    assert sorted(written) == sorted(negative)


@pytest.mark.parametrize("name", ["coco.json", "boxes.parquet", "boxes.jsonl"])
def test_taco_repeated_ids_survive(real: Path, tmp_path: Path, convert: Convert, name: str) -> None:
    """The two annotations that share the id 309, and the two that share 4040, are four annotations as before."""
    convert(real / "taco/annotations.json", tmp_path / name)
    convert(tmp_path / name, tmp_path / "back.json", to="coco")
    found, wanted = (
        sorted(
            (a["id"], a["image_id"], a["category_id"], a["bbox"])
            for a in load(path)["annotations"]
            if a["id"] in (309, 4040)
        )
        for path in (tmp_path / "back.json", real / "taco/annotations.json")
    )
    assert [number for number, *_ in wanted] == [309, 309, 4040, 4040]
    assert found == wanted


def test_taco_repeated_ids_are_reported(real: Path, tmp_path: Path, convert: Convert) -> None:
    """The two annotation ids that occur twice in TACO are said, by number."""
    report = convert(real / "taco/annotations.json", tmp_path / "taco.parquet")
    found = [finding for finding in report.findings if finding.code == "duplicate-annotation-id"]
    assert [(finding.count, len(finding.where)) for finding in found] == [(2, 2)]
    assert ["309" in found[0].where[0], "4040" in found[0].where[1]] == [True, True]


@pytest.mark.parametrize("source", ["taco/annotations.json", "coco_mini/instances_val2017.json"])
def test_coco_to_yolo_numbers(real: Path, tmp_path: Path, convert: Convert, source: str) -> None:
    """YOLO rows are the boxes over the image size to 5e-7, in order, class = rank of category id, without crowds."""
    data = load(real / source)
    report = convert(real / source, tmp_path / "yolo", to="yolo")
    rank = {number: i for i, number in enumerate(sorted(category["id"] for category in data["categories"]))}
    wanted: dict[int, list[tuple[int, list[float]]]] = {image["id"]: [] for image in data["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
    crowds = 0
    for a in data["annotations"]:
        if a["iscrowd"]:
            crowds += 1
            continue
        (width, height), (x, y, w, h) = sizes[a["image_id"]], a["bbox"]
        wanted[a["image_id"]].append(
            (rank[a["category_id"]], [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])
        )
    boxes = 0
    for image in data["images"]:
        rows = rows_of(tmp_path / "yolo/data.yaml", f"labels/{Path(image['file_name']).with_suffix('.txt')}")
        assert [number for number, _ in rows] == [number for number, _ in wanted[image["id"]]]
        for (_, have), (_, need) in zip(rows, wanted[image["id"]], strict=True):
            # TACO's negative boxes stand as they are: YOLO's columns may be negative, its box is not clipped unasked
            assert have == pytest.approx(need, rel=0, abs=5e-7 + 1e-12)
        boxes += len(rows)
    assert boxes == report.boxes == len(data["annotations"]) - crowds
    assert len(list((tmp_path / "yolo/labels").rglob("*.txt"))) == report.images == len(data["images"])
    assert sum(count for reason, count in report.left_out_boxes.items() if "crowd" in reason) == crowds
    assert report.read.boxes == len(data["annotations"])
    names = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]
    by_rank = [category["name"] for category in sorted(data["categories"], key=lambda category: category["id"])]
    assert dict(enumerate(names) if isinstance(names, list) else names) == dict(enumerate(by_rank))


def test_coco_to_yolo_pose(real: Path, tmp_path: Path, convert: Convert) -> None:
    """`--out task=pose` writes the 17 keypoints of each person over the image size, each with its visibility."""
    source = real / "coco_mini/person_keypoints_val2017.json"
    convert(source, tmp_path / "yolo", to="yolo", out={"task": "pose"})
    assert yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["kpt_shape"] == [17, 3]
    for image, drawn in uncrowded(source):
        rows = rows_of(tmp_path / "yolo/data.yaml", f"labels/{Path(image['file_name']).with_suffix('.txt')}")
        width, height = image["width"], image["height"]
        for (number, columns), a in zip(rows, drawn, strict=True):
            scaled = [value / scale for value, scale in zip(a["keypoints"], [width, height, 1] * 17, strict=True)]
            (x, y, w, h) = a["bbox"]
            box = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
            assert number == 0
            assert columns == pytest.approx([*box, *scaled], rel=0, abs=5e-7 + 1e-12)


def test_coco_to_yolo_polygons(real: Path, tmp_path: Path, convert: Convert) -> None:
    """`--out task=segment` writes the one polygon of an object over the image size, point for point."""
    source = real / "coco_mini/instances_val2017.json"
    convert(source, tmp_path / "yolo", to="yolo", out={"task": "segment"})
    seen = 0
    for image, drawn in uncrowded(source):
        rows = rows_of(tmp_path / "yolo/data.yaml", f"labels/{Path(image['file_name']).with_suffix('.txt')}")
        if any(len(a["segmentation"]) > 1 for a in drawn):
            continue  # an object in several parts, which one row cannot say
        for (_, columns), a in zip(rows, drawn, strict=True):
            scale = [image["width"], image["height"]] * (len(columns) // 2)
            polygon = [value / size for value, size in zip(a["segmentation"][0], scale, strict=True)]
            assert columns == pytest.approx(polygon, rel=0, abs=5e-7 + 1e-12)
            seen += 1
    assert seen > 300


def test_coco_train_and_val_to_yolo_and_back(
    real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]], boxes_of: Callable[..., Boxes]
) -> None:
    """The commonest job: COCO train and val into one YOLO tree and back keep categories, sizes, boxes to 6
    decimals.
    """
    sources = {split: real / "coco_mini" / f"instances_{split}2017.json" for split in ("train", "val")}
    there = cli("convert", *(f"{split}={path}" for split, path in sources.items()), "yolo/", "--to", "yolo")
    assert (there.returncode, there.stdout) == (ExitCode.DONE, "")
    assert "crowd" in there.stderr
    assert "13" in there.stderr  # 8 crowd boxes in train and 5 in val
    assert {path.name for path in (tmp_path / "yolo/labels").iterdir()} == {"train", "val"}

    images = [image for path in sources.values() for image in load(path)["images"]]
    lines = [
        "file_name,width,height",
        *(f"{image['file_name']},{image['width']},{image['height']}" for image in images),
    ]
    (tmp_path / "sizes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    back = cli("convert", "yolo/data.yaml", "coco/", "--to", "coco", "--image-sizes", "sizes.csv")
    assert (back.returncode, back.stdout) == (ExitCode.DONE, "")
    for split, source in sources.items():
        copy = tmp_path / "coco" / f"instances_{split}.json"
        assert sizes_of(copy) == sizes_of(source)
        assert [c["name"] for c in load(copy)["categories"]] == [c["name"] for c in load(source)["categories"]]
        uncrowded = load(source)
        uncrowded["annotations"] = [a for a in uncrowded["annotations"] if not a["iscrowd"]]
        (tmp_path / "uncrowded.json").write_text(json.dumps(uncrowded), encoding="utf-8")
        have, need = boxes_of("coco", copy), boxes_of("coco", tmp_path / "uncrowded.json")
        for stem in need:
            # 640 pixels wide at most: a centre and half a width of 6 decimals are off by 0.75e-6 * 640 at worst
            assert [name for name, *_ in have[stem]] == [name for name, *_ in need[stem]]
            assert [box for _, *box in have[stem]] == [pytest.approx(box, rel=0, abs=5e-4) for _, *box in need[stem]]


@pytest.mark.parametrize("split", ["train", "val"])
def test_captions_are_refused(
    real: Path, tmp_path: Path, cli: Callable[..., CompletedProcess[str]], split: str
) -> None:
    """A captions file is no detection data: exit 1, a message that says so and where, and nothing written."""
    run = cli("convert", real / f"coco_mini/captions_{split}2017.json", "out.parquet")
    assert (run.returncode, run.stdout) == (ExitCode.REFUSED, "")
    assert "a captions file" in run.stderr
    assert f"captions_{split}2017.json" in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["coco", "voc", "yolo", "jsonl", "parquet"])
def test_captions_raise_a_data_error(real: Path, tmp_path: Path, convert: Convert, target: str) -> None:
    """Whatever the target, a captions file is refused with an error that has a code, a place and a hint."""
    with pytest.raises(DataError, match="captions") as caught:
        convert(real / "coco_mini/captions_val2017.json", tmp_path / "out", to=target)
    first = caught.value.diagnostics[0]
    assert [bool(first.code), bool(first.where), bool(first.hint)] == [True, True, True]
    assert list(tmp_path.iterdir()) == []


def test_captions_beside_instances_refuse_both(real: Path, tmp_path: Path, convert: Convert) -> None:
    """One captions file among several sources refuses the whole run."""
    sources = {"train": "instances_train2017", "val": "captions_val2017"}
    with pytest.raises(DataError, match="captions"):
        convert([f"{split}={real}/coco_mini/{name}.json" for split, name in sources.items()], tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []
