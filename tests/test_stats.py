"""The statistics of a data set are those that pandas, DuckDB and pycocotools count, however the work is divided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import helpers
import pandas as pd
import pytest

import bboxconv
from bboxconv import inspection, pipeline
from bboxconv.cli import histograms, statstable
from bboxconv.errors import UsageError
from bboxconv.formats.coco import reading
from bboxconv.request import Request
from bboxconv.statistics import Group, Statistics

SAMPLE = Path(__file__).parent.parent / "examples" / "sample"
SAMPLES = {name: SAMPLE / "coco" / f"instances_{name}.json" for name in ("train", "val")}
REAL = [
    "coco_mini/instances_train2017.json",
    "coco_mini/person_keypoints_val2017.json",
    "taco/annotations.json",
    "labelformat/COCO/train.json",
    "sharks/coco/train/_annotations.coco.json",
]
INF = float("inf")
PER_IMAGE = [0, 1, 2, 3, 5, 9, 17, 33, 65, 129, INF]
AREAS = [0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, INF]
RATIOS = [0, *[2 ** (n / 4) for n in (-11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11)], INF]


def tables(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
    """The images, boxes and categories of a COCO file, by json and pandas alone."""
    data = json.loads(path.read_text(encoding="utf-8"))
    images = pd.DataFrame(data["images"])[["id", "width", "height"]]
    keys = ("image_id", "category_id", "area", "iscrowd")
    rows = [[a.get(key) for key in keys] + (a.get("bbox") or [None] * 4) for a in data["annotations"]]
    boxes = pd.DataFrame(rows, columns=[*keys, "x", "y", "w", "h"])
    boxes = boxes.merge(images.rename(columns={"id": "image_id"}), on="image_id")
    return images, boxes, data["categories"]


def binned(values: pd.Series, edges: Sequence[float]) -> list[int]:
    """A histogram by pandas, of bins that have their lower edge."""
    return pd.cut(values, edges, right=False).value_counts(sort=False).tolist()


def assert_counts(group: Group, images: pd.DataFrame, boxes: pd.DataFrame) -> None:
    """The figures of a group are those of tables of its images and boxes."""
    lengths = images["id"].map(boxes["image_id"].value_counts()).fillna(0)
    assert (group.images, group.boxes, group.empty_images) == (len(images), len(boxes), int((lengths == 0).sum()))
    area = boxes["area"].astype(float).fillna(boxes["w"] * boxes["h"])
    sizes = {
        "small": area < 1024,
        "medium": (area >= 1024) & (area < 9216),
        "large": area >= 9216,
        "unknown": area.isna(),
    }
    assert group.sizes == {name: int(rows.sum()) for name, rows in sizes.items()}
    assert group.flags["iscrowd"] == int((boxes["iscrowd"] == 1).sum())
    real = boxes[(boxes["w"] > 0) & (boxes["h"] > 0)]
    covered = (boxes["w"].clip(lower=0) * boxes["h"].clip(lower=0)) / (boxes["width"] * boxes["height"])
    for histogram, edges, want in (
        (group.boxes_per_image, PER_IMAGE, binned(lengths, PER_IMAGE)),
        (group.aspect_ratios, RATIOS, binned(real["w"] / real["h"], RATIOS)),
    ):
        assert histogram.edges == pytest.approx(edges)
        assert list(histogram.counts) == want
    near = group.relative_areas.counts
    assert group.relative_areas.edges == pytest.approx(AREAS)
    assert list(near) == binned(covered, AREAS)
    cx, cy = (boxes["x"] + boxes["w"] / 2) / boxes["width"], (boxes["y"] + boxes["h"] / 2) / boxes["height"]
    inside = cx.between(0, 1) & cy.between(0, 1)
    cells = pd.crosstab((cy[inside] * 10 // 1).clip(upper=9), (cx[inside] * 10 // 1).clip(upper=9))
    cells = cells.reindex(index=range(10), columns=range(10), fill_value=0)
    assert [list(row) for row in group.positions] == cells.to_numpy().tolist()


def assert_image_sizes(group: Group, images: pd.DataFrame) -> None:
    """The commonest sizes are those of the table of images; the others are counted together."""
    counts = (images["width"].astype(str) + "x" + images["height"].astype(str)).value_counts()
    known = {name: count for name, count in group.image_sizes.items() if name != "others"}
    assert len(known) == min(20, len(counts)) and known == counts[list(known)].to_dict()
    assert list(known.values()) == sorted(counts, reverse=True)[:20]
    assert group.image_sizes.get("others", 0) == len(images) - sum(known.values())


def assert_classes(found: Statistics, boxes: pd.DataFrame, categories: list[dict[str, Any]]) -> None:
    """Classes have the boxes and images that pandas counts, and their groups the figures."""
    assert [(one.name, one.id) for one in found.classes] == [(c["name"], c["id"]) for c in categories]
    for one, group in zip(found.classes, found.groups, strict=True):
        own = boxes[boxes["category_id"] == one.id]
        assert (one.boxes, one.images) == (len(own), own["image_id"].nunique())
        images = pd.DataFrame({"id": own["image_id"].unique()})
        assert (group.name, group.image_sizes) == (one.name, {})
        assert_counts(group, images, own)


def test_the_sample_is_what_pandas_counts() -> None:
    """All figures of the sample, of all, of each split and of each class, are those of pandas over its JSON."""
    found = bboxconv.stats(SAMPLE / "coco", by="class")
    both = [tables(path) for path in SAMPLES.values()]
    for split, (images, boxes, categories) in zip(found.splits, both, strict=True):
        assert_counts(split, images, boxes)
        assert_image_sizes(split, images)
        counts = boxes["category_id"].value_counts()
        assert {c.name: c.splits[split.name] for c in found.classes} == {
            c["name"]: counts.get(c["id"], 0) for c in categories
        }
    assert [split.name for split in found.splits] == ["train", "val"]
    for table, name in zip(both[1], ("id", "image_id"), strict=False):  # ids are of a split
        table[name] += 10_000
    images, boxes = (pd.concat([split[n] for split in both], ignore_index=True) for n in (0, 1))
    assert_counts(found.all, images, boxes)
    assert_image_sizes(found.all, images)
    assert_classes(found, boxes, sorted(both[0][2], key=lambda one: one["id"]))  # as the lists of two sources differ


@pytest.mark.parametrize("source", REAL)
def test_real_data_is_what_pandas_counts(real: Path, source: str) -> None:
    """All figures of other people's COCO files are those of pandas over their JSON."""
    found = bboxconv.stats(real / source, by="class")
    images, boxes, categories = tables(real / source)
    assert_counts(found.all, images, boxes)
    assert_image_sizes(found.all, images)
    assert_classes(found, boxes, categories)
    repeated = boxes.duplicated(["image_id", "category_id", "x", "y", "w", "h"]).sum()
    assert (found.duplicate_boxes, found.all.unannotated_images) == (repeated, 0)


def test_sizes_are_those_of_pycocotools() -> None:
    """Small, medium and large boxes are those that pycocotools finds by area, as COCO's evaluation has them."""
    coco = pytest.importorskip("pycocotools.coco").COCO(str(SAMPLES["train"]))
    found = bboxconv.stats(SAMPLES["train"])
    want = [len(coco.getAnnIds(areaRng=span)) for span in ([0, 32**2], [32**2, 96**2], [96**2, 1e10])]
    assert [found.all.sizes[name] for name in ("small", "medium", "large")] == want
    assert {one.name: one.images for one in found.classes} == {
        c["name"]: len(coco.getImgIds(catIds=c["id"])) for c in coco.loadCats(coco.getCatIds())
    }


@pytest.mark.parametrize("source", ["bccd", "raccoon"])
def test_real_voc_is_what_duckdb_counts(real: Path, tmp_path: Path, source: str) -> None:
    """The figures of VOC files are those of SQL over the Parquet file that they are converted to."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra: peers)")
    folder = next(path.parent for path in sorted((real / source).rglob("*.xml")))
    bboxconv.convert(folder, tmp_path / "a.parquet", out={"layout": "boxes"}, unannotated="keep")
    found = bboxconv.stats(folder)
    table = f"read_parquet('{tmp_path / 'a.parquet'}')"
    w, h = "(x2 - x1)", "(y2 - y1)"
    images, boxes, small, medium, wide = duckdb.sql(
        f"SELECT count(DISTINCT file_name), count(x1), count(*) FILTER ({w} * {h} < 1024),"
        f" count(*) FILTER ({w} * {h} >= 1024 AND {w} * {h} < 9216),"
        f" count(*) FILTER ({w} > 0 AND {h} > 0 AND {w} / {h} >= 1.189207115002721) FROM {table}"
    ).fetchall()[0]
    assert (found.all.images, found.all.boxes) == (images, boxes)
    assert (found.all.sizes["small"], found.all.sizes["medium"]) == (small, medium)
    assert sum(found.all.aspect_ratios.counts[7:]) == wide
    rows = duckdb.sql(
        f"SELECT category, count(*), count(DISTINCT file_name) FROM {table} WHERE x1 IS NOT NULL GROUP BY ALL"
    )
    assert {one.name: (one.boxes, one.images) for one in found.classes} == {row[0]: row[1:] for row in rows.fetchall()}


def boxes(*rows: Sequence[float], category: int | None = 0, **more: object) -> list[dict[str, object]]:
    """Objects of one class."""
    return [{"bbox": list(row), "category": category, **more} for row in rows]


def saved(path: Path, images: Sequence[Mapping[str, object]], box: str = "xywh") -> Path:
    """A data set in a JSON Lines file."""
    bboxconv.write(helpers.dataset(images, box=box), path)
    return path


def test_repeated_boxes_and_images(tmp_path: Path) -> None:
    """A box is repeated where image, class and numbers are the same, an image where name and split are; splits stand
    in their usual order, those of no split last."""
    images = [
        {
            "file_name": "a",
            "split": "train",
            "objects": boxes([1, 1, 5, 5], [1, 1, 5, 5], [0.0, 2, 3, 4], [-0.0, 2, 3, 4]),
        },
        {"file_name": "a", "split": "val", "objects": boxes([1, 1, 5, 5]) + boxes([1, 1, 5, 5], category=1)},
        {"file_name": "a", "split": "train", "objects": boxes([1, 1, 5, 5], [1, 1, 5, 5.5])},
        {"file_name": "b", "objects": [*boxes([2, 2, 2, 2]), {"category": 0}, {"category": 0}]},
        {"file_name": "b", "objects": boxes([2, 2, 2, 2], [2, 2, 2, 2], category=None)},
    ]
    found = bboxconv.stats(saved(tmp_path / "a.jsonl", images))
    assert (found.duplicate_boxes, found.duplicate_images) == (3, 2)
    assert [(split.name, split.images) for split in found.splits] == [("train", 2), ("val", 1), ("", 2)]


def test_flags_classes_and_images_without(tmp_path: Path) -> None:
    """Flags count where they are set or above zero; boxes without a class, empty images and those at which nobody
    looked are told apart, and the last are in no histogram; a given area says the size."""
    objects = [
        *boxes([0, 0, 1, 1], area=1024.0, iscrowd=True, truncated=0.0, occluded=2.0),
        *boxes([0, 0, 1, 1], iscrowd=False, truncated=0.3, difficult=True),
        *boxes([0, 0, 1, 2], category=None, ignore=True),
        {"category": 1},
    ]
    images = [
        {"file_name": "a", "objects": objects},
        {"file_name": "b", "objects": []},
        {"file_name": "c", "objects": None},
    ]
    found = bboxconv.stats(saved(tmp_path / "a.jsonl", images), by="class")
    group = found.all
    assert group.flags == {"iscrowd": 1, "difficult": 1, "ignore": 1, "truncated": 1, "occluded": 1}
    assert (group.images, group.empty_images, group.unannotated_images) == (3, 1, 1)
    assert group.boxes_per_image.counts == (1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    assert group.sizes == {"small": 2, "medium": 1, "large": 0, "unknown": 1}
    assert (sum(group.relative_areas.counts), group.image_sizes) == (0, {"unknown": 3})
    assert found.splits == () and found.classless_boxes == 1
    assert [(one.name, one.boxes, one.images) for one in found.groups] == [("cat", 2, 1), ("dog", 1, 1), ("", 1, 1)]
    frame = found.groups_to_pandas()
    assert frame[["kind", "name", "boxes"]].to_numpy().tolist() == [
        ["all", "", 4], ["class", "cat", 2], ["class", "dog", 1], ["class", "", 1]
    ]  # fmt: skip
    assert frame["boxes_per_image"].tolist() == [2.0, 2.0, 1.0, 1.0]
    assert found.classes_to_pandas()[["class", "boxes", "share"]].to_numpy().tolist() == [
        ["cat", 2, 0.5],
        ["dog", 1, 0.25],
    ]


@pytest.mark.parametrize("box", ["xywh", "xyxy+1", "cxcywhn", "xyxy%"])
def test_box_formats_say_the_same(tmp_path: Path, box: str) -> None:
    """The figures are those of the boxes, in whatever format their numbers stand."""
    name, size = "a.jsonl", {"width": 200, "height": 100}
    plain = saved(tmp_path / name, [{"file_name": "a", **size, "objects": boxes([20, 10, 40, 10], [100, 50, 100, 50])}])
    bboxconv.convert(plain, tmp_path / "b.jsonl", box=box)
    for found in (bboxconv.stats(plain).all, bboxconv.stats(tmp_path / "b.jsonl").all):
        assert found.sizes == {"small": 1, "medium": 1, "large": 0, "unknown": 0}
        assert found.relative_areas.counts == (0, 0, 0, 0, 0, 1, 0, 1, 0)
        assert found.aspect_ratios.counts == (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0)
        assert [(y, x) for y in range(10) for x in range(10) if found.positions[y][x]] == [(1, 2), (7, 7)]


@pytest.mark.parametrize("name", ["a.parquet", "boxes.parquet", "a.jsonl"])
def test_formats_say_the_same(tmp_path: Path, name: str) -> None:
    """The same data has the same figures in another format, of which only the needed columns are read."""
    out = {"layout": "boxes"} if name == "boxes.parquet" else {}
    bboxconv.convert(SAMPLE / "coco", tmp_path / name, out=out)
    want, found = (bboxconv.stats(source, by="class").as_dict() for source in (SAMPLE / "coco", tmp_path / name))
    told = ("sources", "findings", "seconds")
    assert {key: found[key] for key in found if key not in told} == {key: want[key] for key in want if key not in told}


def test_sizes_that_are_not_known(tmp_path: Path) -> None:
    """Fractions without an image size have a relative area, and no size in pixels and no ratio, until one is given;
    sources in pixels and in fractions are counted side by side, each as it is."""
    fractions = saved(tmp_path / "a.jsonl", [{"file_name": "a", "objects": boxes([0.5, 0.5, 0.2, 0.2])}], "cxcywhn")
    pixels = saved(tmp_path / "b.jsonl", [{"file_name": "b", "objects": boxes([0, 0, 50, 50])}])
    both = bboxconv.stats([f"train={fractions}", f"val={pixels}"])
    assert both.box == "cxcywhn, xywh"
    assert both.all.sizes == {"small": 0, "medium": 1, "large": 0, "unknown": 1}
    assert both.all.relative_areas.counts == (0, 0, 0, 0, 0, 0, 1, 0, 0)
    assert (sum(both.all.aspect_ratios.counts), sum(map(sum, both.all.positions))) == (1, 1)
    found = bboxconv.stats(fractions, image_size=(100, 50)).all
    assert (found.sizes["small"], found.aspect_ratios.counts[8], found.image_sizes) == (1, 1, {"100x50": 1})
    request = Request((f"train={fractions}", f"val={pixels}"))
    seen = inspection.inspect(request)
    assert (seen.counts.boxes, seen.box, pipeline.validate(request).boxes) == (2, "cxcywhn", 2)


def test_odd_boxes(tmp_path: Path) -> None:
    """A box without area covers nothing and has no ratio; a center beyond the image is in no cell, one on its far edge
    in the last."""
    size = {"width": 10, "height": 10}
    objects = boxes([0, 0, 0, 5], [0, 0, -2, 5], [12, 0, 2, 2], [8, 8, 4, 4], [0, 0, 10, 10])
    found = bboxconv.stats(saved(tmp_path / "a.jsonl", [{"file_name": "a", **size, "objects": objects}])).all
    assert found.relative_areas.counts == (2, 0, 0, 0, 0, 0, 1, 1, 1)
    assert sum(found.aspect_ratios.counts) == found.aspect_ratios.counts[6] == 3
    assert [(y, x, n) for y, row in enumerate(found.positions) for x, n in enumerate(row) if n] == [
        (2, 0, 1), (5, 5, 1), (9, 9, 1)
    ]  # fmt: skip


def test_boxes_beyond_all_numbers(tmp_path: Path) -> None:
    """A box whose area is no float is large, and no warning of numpy is shown."""
    image = {"file_name": "a", "width": 10, "height": 10, "objects": boxes([0, 0, 1e300, 1e300], [0, 0, 1, 1])}
    found = bboxconv.stats(saved(tmp_path / "a.jsonl", [image])).all
    assert (found.sizes["small"], found.sizes["large"], found.relative_areas.counts[-1]) == (1, 1, 1)


def document(found: Statistics) -> dict[str, object]:
    """The document without what differs from run to run."""
    return found.as_dict() | {"seconds": 0}


def test_the_same_however_it_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the number of processes nor the size of batches changes the document."""
    want = document(bboxconv.stats(SAMPLE / "coco", by="class"))
    monkeypatch.setattr(reading, "SMALL", 0)
    for jobs, batch_size in ((3, 2), (1, 3), (3, 4096)):
        assert document(bboxconv.stats(SAMPLE / "coco", by="class", jobs=jobs, batch_size=batch_size)) == want


def test_the_document() -> None:
    """The document has these keys, and JSON has no word for an infinite edge: it is null."""
    found = json.loads(json.dumps(bboxconv.stats(SAMPLES["train"], by="class").as_dict(), allow_nan=False))
    assert (found["version"], found["command"], found["by"]) == (1, "stats", "class")
    assert [*found] == [
        "version", "command", "exit_code", "sources", "box", "by", "all", "splits", "classes", "groups",
        "classless_boxes", "duplicate_images", "duplicate_boxes", "findings", "seconds",
    ]  # fmt: skip
    groups = [found["all"], *found["splits"], *found["groups"]]
    assert {tuple(group) for group in groups} == {
        ("name", "images", "boxes", "empty_images", "unannotated_images", "flags", "sizes", "boxes_per_image",
         "relative_areas", "aspect_ratios", "positions", "image_sizes"),
    }  # fmt: skip
    assert found["all"]["boxes_per_image"]["edges"] == [*PER_IMAGE[:-1], None]
    assert {frozenset(one) for one in found["classes"]} == {frozenset(("name", "id", "boxes", "images", "splits"))}


def test_an_empty_data_set(tmp_path: Path) -> None:
    """A data set without images is counted, and shown."""
    source = helpers.coco(tmp_path / "a.json", [], [], [{"id": 1, "name": "cat"}])
    found = bboxconv.stats(source, by="class", from_="coco")
    assert (found.all.images, found.all.boxes, found.classes[0].boxes) == (0, 0, 0)
    shown = statstable.statistics(found, False, 80, lambda style, text: text, histograms.BLOCKS)
    assert "without boxes: cat" in shown


def test_an_unknown_group() -> None:
    """`by` is a word that is known."""
    with pytest.raises(UsageError, match="did you mean 'class'"):
        bboxconv.stats(SAMPLES["train"], by="clas")  # type: ignore[arg-type]


def test_only_the_needed_is_asked_for() -> None:
    """No field is asked for that no figure needs: polygons, keypoints and extra keys stay unread."""
    from bboxconv.measuring import FIELDS

    assert not FIELDS & {"object.segmentation", "object.keypoints", "object.extra", "image.extra", "object.score"}


def test_bars() -> None:
    """A bar is as long as its value, to an eighth of a character, and is there wherever there is anything."""
    drawn = {0: "", 1: "▏", 50: "█████", 55: "█████▌", 100: "██████████"}
    plain = {0: "", 1: "#", 50: "#####", 55: "######", 100: "##########"}
    for marks, bars in ((histograms.BLOCKS, drawn), (histograms.PLAIN, plain)):
        assert {value: histograms.bar(value, 100, 10, marks) for value in bars} == bars


def test_shares() -> None:
    """A part is in per cent, halves go up, and nothing that is there is shown as 0 %."""
    assert [statstable.share(*pair) for pair in ((0, 5), (1, 1000), (1, 200), (1, 8), (5, 5), (0, 0))] == [
        "", "<1%", "1%", "13%", "100%", ""
    ]  # fmt: skip


def test_characters_for_the_stream() -> None:
    """Where an encoding has no blocks, bars are of ASCII."""
    assert histograms.marks_for("utf-8") is histograms.BLOCKS
    assert histograms.marks_for("ascii") is histograms.marks_for("") is histograms.PLAIN
    assert "".join((histograms.PLAIN.parts, histograms.PLAIN.shades, histograms.PLAIN.levels)).isascii()


def test_long_lists_and_narrow_terminals(tmp_path: Path) -> None:
    """Of many classes the first are shown with the total of the others, -v shows all; whatever the width, no line is
    longer; names of data drive no terminal."""
    size = {"width": 640, "height": 480}
    categories = [f"class {n} with quite a long name \x1b[31m" for n in range(50)]
    images = [
        {"file_name": f"{n}", "split": f"fold {n % 9}", **size, "objects": boxes([0, 0, 9, 9], category=n)}
        for n in range(45)
    ]
    bboxconv.write(helpers.dataset(images, categories), tmp_path / "a.jsonl")
    for by in ("", "class", "split"):
        found = bboxconv.stats(tmp_path / "a.jsonl", by=by)  # type: ignore[arg-type]
        for width in (80, 60, 45):
            lines = statstable.statistics(found, False, width, lambda style, text: text, histograms.BLOCKS)
            assert max(map(len, lines[lines.index("") :])) <= width, (by, width)  # below the path
            assert "... and 25 more with 25 boxes, -v lists all" in lines
            assert not any("\x1b" in line for line in lines)
        every = statstable.statistics(found, True, 80, lambda style, text: text, histograms.BLOCKS)
        assert sum(line.startswith("class ") for line in every) == 51


def test_wide_and_long_and_blank_names(tmp_path: Path) -> None:
    """A wide character takes two columns; with -v one long name moves no other row; a blank name is seen."""
    names = ["car", "汽车", "e\u0301t\u00e9", " ", "x" * 300]
    images = [{"file_name": "a", "objects": [one for n in range(5) for one in boxes([0, 0, 9, 9], category=n)]}]
    bboxconv.write(helpers.dataset(images, names), tmp_path / "a.jsonl")
    found = bboxconv.stats(tmp_path / "a.jsonl")
    for verbose, name in ((False, "x" * 21 + "..."), (True, "x" * 300)):
        lines = statstable.statistics(found, verbose, 80, lambda style, text: text, histograms.PLAIN)
        cells = ["car" + " " * 21, "汽车" + " " * 20, "e\u0301t\u00e9" + " " * 21, "' '" + " " * 21, name]
        at = lines.index(f"class{'':19}  boxes       images")
        assert lines[at + 1 : at + 6] == [f"{cell}      1  20%       1  {'#' * 30}" for cell in cells]
