"""pycocotools, the owner's reader of COCO, sees in our files what it sees in the source, and can evaluate with
them.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bboxconv.report import Report

cocoapi = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed (extra: peers)")
cocoeval = pytest.importorskip("pycocotools.cocoeval", reason="pycocotools is not installed (extra: peers)")

Convert = Callable[..., Report]

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"


def read(path: Path) -> Any:
    """A COCO file through pycocotools, without its talk on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        return cocoapi.COCO(str(path))


@pytest.mark.parametrize(
    ("sources", "crowds"),
    [
        ({"train": "coco_mini/instances_train2017.json"}, 8),
        ({"val": "coco_mini/instances_val2017.json"}, 5),
        ({"train": "coco_mini/instances_train2017.json", "val": "coco_mini/instances_val2017.json"}, 13),
        ({"train": "coco_mini/person_keypoints_train2017.json"}, 5),
        ({"train": "taco/annotations.json"}, 0),
    ],
    ids=["train", "val", "train and val", "keypoints", "taco"],
)
def test_yolo_agrees_with_pycocotools(
    real: Path, tmp_path: Path, convert: Convert, sources: dict[str, str], crowds: int
) -> None:
    """COCO to YOLO: boxes to 5e-7, class = rank of the category id, in order, crowd left out and counted."""
    report = convert([f"{split}={real / path}" for split, path in sources.items()], tmp_path / "yolo", to="yolo")
    boxes = 0
    for split, path in sources.items():
        coco = read(real / path)
        rank = {number: i for i, number in enumerate(sorted(coco.getCatIds()))}
        labels = tmp_path / "yolo/labels" / split
        images = coco.loadImgs(coco.getImgIds())
        written = {str(file.relative_to(labels)) for file in labels.rglob("*.txt")}
        assert written == {str(Path(image["file_name"]).with_suffix(".txt")) for image in images}
        for image in images:
            # not getAnnIds, which goes through ids: of the two 309 and the two 4040 of TACO it gives the last one twice
            annotations = [a for a in coco.imgToAnns[image["id"]] if not a["iscrowd"]]
            text = (labels / Path(image["file_name"]).with_suffix(".txt")).read_text(encoding="utf-8")
            rows = np.array([line.split() for line in text.splitlines()], dtype=float).reshape(-1, 5)
            xywh = np.array([a["bbox"] for a in annotations], dtype=float).reshape(-1, 4)
            size = np.array([image["width"], image["height"]])
            wanted = np.hstack([(xywh[:, :2] + xywh[:, 2:] / 2) / size, xywh[:, 2:] / size])
            assert rows[:, 0].tolist() == [rank[a["category_id"]] for a in annotations]
            np.testing.assert_allclose(rows[:, 1:], wanted, rtol=0, atol=5e-7 + 1e-12)
            boxes += len(rows)
    assert boxes == report.boxes
    assert sum(count for reason, count in report.left_out_boxes.items() if "crowd" in reason) == crowds


def test_voc_to_coco_is_read(real: Path, tmp_path: Path, convert: Convert) -> None:
    """COCO from the blood cells' VOC holds, for pycocotools, the boxes of their csv, the two without area
    included.
    """
    convert(real / "bccd/Annotations", tmp_path / "bccd.json", to="coco")
    coco = read(tmp_path / "bccd.json")
    names = {number: category["name"] for number, category in coco.cats.items()}
    found = sorted(
        (coco.imgs[a["image_id"]]["file_name"], names[a["category_id"]], *a["bbox"])
        for a in coco.loadAnns(coco.getAnnIds())
    )
    with (real / "bccd/test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(name, kind, *map(int, numbers)) for name, kind, *numbers in [*csv.reader(file)][1:]]
    # the columns of this csv are xmin, xmax, ymin, ymax
    assert found == sorted((name, kind, x1, y1, x2 - x1, y2 - y1) for name, kind, x1, x2, y1, y2 in rows)
    assert (len(coco.imgs), len(coco.getAnnIds()), len(coco.getAnnIds(areaRng=[0, 0]))) == (364, 4888, 0)
    assert sum(a["area"] == 0 for a in coco.anns.values()) == 2


# pycocotools 2.0.11 hands numpy 2 an __array__ of the old signature when it decodes a mask
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("extension", ["parquet", "jsonl"])
@pytest.mark.parametrize("source", ["instances_val2017", "person_keypoints_val2017"])
def test_masks_and_keypoints_come_back(
    real: Path, tmp_path: Path, convert: Convert, source: str, extension: str
) -> None:
    """Polygons and crowd RLE that went through Parquet or JSON Lines give the same masks and keypoints."""
    convert(real / f"coco_mini/{source}.json", tmp_path / f"between.{extension}")
    convert(tmp_path / f"between.{extension}", tmp_path / "back.json", to="coco")
    ours, theirs = read(tmp_path / "back.json"), read(real / f"coco_mini/{source}.json")
    assert ours.anns.keys() == theirs.anns.keys()
    assert [n for n in theirs.anns if ours.anns[n].get("keypoints") != theirs.anns[n].get("keypoints")] == []
    assert [
        n for n in theirs.anns if not np.array_equal(ours.annToMask(ours.anns[n]), theirs.annToMask(theirs.anns[n]))
    ] == []


def average_precision(truth: Any, annotations: Iterable[Mapping[str, Any]]) -> float:
    """The AP of annotations taken for detections, all with the score 1, at IoU 0.50 to 0.95."""
    keys = ("image_id", "category_id", "bbox")
    results = [{key: a[key] for key in keys} | {"score": 1.0} for a in annotations]
    with contextlib.redirect_stdout(io.StringIO()):
        run = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        run.params.maxDets = [1, 10, 100]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[0])


@pytest.mark.parametrize("source", ["raccoon/annotations", "sharks/yolov9/train/labels"])
def test_perfect_detections_score_one(real: Path, tmp_path: Path, convert: Convert, source: str) -> None:
    """COCO made from VOC or YOLO evaluates: its own boxes as detections give an average precision of exactly 1."""
    images = {"images": real / "sharks/yolov9/train/images"} if source.startswith("sharks") else {}
    convert(real / source, tmp_path / "truth.json", to="coco", **images)
    truth = read(tmp_path / "truth.json")
    assert average_precision(truth, truth.anns.values()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("source", ["coco/instances_train.json", "coco/instances_val.json", "voc", "yolo"])
@pytest.mark.parametrize("between", ["parquet", "jsonl"])
def test_the_sample_against_itself_scores_one(tmp_path: Path, convert: Convert, source: str, between: str) -> None:
    """The sample, crowds and images without boxes included, that became COCO by way of another format is a ground truth
    of which the source's own boxes find all: AP 1.000; moved by half their width, they do not.
    """
    convert(
        SAMPLE / source, tmp_path / f"between.{between}", images=SAMPLE / "yolo/images" if source == "yolo" else None
    )
    convert(tmp_path / f"between.{between}", tmp_path / "truth.json", to="coco")
    truth = read(tmp_path / "truth.json")
    given = read(SAMPLE / source).anns.values() if source.startswith("coco") else truth.anns.values()
    assert average_precision(truth, given) == pytest.approx(1.0, abs=1e-12)
    moved = [a | {"bbox": [a["bbox"][0] + a["bbox"][2] / 2, *a["bbox"][1:]]} for a in given]
    assert average_precision(truth, moved) < 0.5
