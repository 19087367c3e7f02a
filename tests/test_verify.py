"""Reading an output back: what a conversion gives is the same, and what was damaged afterwards is found, and nothing
else."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest
from helpers import batch, coco
from test_conformance import SUITES
from test_conformance import TestYolo as YoloSuite

import bboxconv
from bboxconv import flow, pipeline, registry
from bboxconv.agreement import Agreement
from bboxconv.codec import EVERYTHING, Encoding, Target
from bboxconv.dividing import Parts, number_of_parts
from bboxconv.errors import DataError, ExitCode, Findings, UsageError
from bboxconv.readback import Divider
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.spool import Spool
from bboxconv.testing import reference_dataset
from bboxconv.workers import at_work

Edit = Callable[[Any], None]

DATA = {
    "images": [
        {"id": n, "file_name": f"{name}.jpg", "width": 640, "height": 480, "license": n}
        for n, name in enumerate("dbca", 1)
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog", "supercategory": "animal"}],
    "annotations": [
        {
            "id": 10 * image + n,
            "image_id": image,
            "category_id": 1 + n % 2,
            "bbox": [10.0 * n + image + 1 / 3, 20.5, 30.25, 40.125],
            "area": 1213.78125,
            "iscrowd": 0,
            "segmentation": [[10.5, 20.25, 30.125, 20.0, 30.0, 60.0]],
            "note": {"seen": [1, 2.5, None, True], "by": "a"},
        }
        for image in (1, 2, 3)
        for n in range(1, 5)
    ],
    "info": {"year": 2024},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A COCO file of four images, one without boxes, and twelve boxes."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DATA))
    return path


def checked(report: Report) -> Agreement:
    """What a report says of the comparison."""
    assert report.verify is not None
    return report.verify


def differences(report: Report) -> dict[str, int]:
    """How many values differ, by field or kind."""
    found = checked(report)
    return {name: tally.differ for name, tally in {**found.unpaired, **found.fields}.items() if tally.differ}


def fractions() -> list[tuple[float, int]]:
    """Every number that YOLO has of the boxes, and the side of the image that it is a part of."""
    found = []
    for row in cast("list[Any]", DATA["annotations"]):
        x, y, w, h = row["bbox"]
        found += [((x + w / 2) / 640, 640), ((y + h / 2) / 480, 480), (w / 640, 640), (h / 480, 480)]
    return found


def changed(path: Path, edit: Edit) -> None:
    """Change a JSON file."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


# -- what is the same


@pytest.mark.parametrize("name", ["full", "odd keys", "odd names", "unannotated"])
@pytest.mark.parametrize("target", SUITES)
@pytest.mark.parametrize("origin", SUITES)
def test_each_to_each_is_the_same(origin: type, target: type, name: str, tmp_path: Path) -> None:
    """What one format read and another wrote passes, while it is written and afterwards, whatever the data hold."""
    first, second = origin(), target()
    path, output = first.destination(tmp_path), second.destination(tmp_path / "b")
    first.put(reference_dataset(name), path)
    request = Request(
        (str(path),),
        str(output),
        from_=first.format_name,
        to=second.format_name,
        in_=first.read_options,
        out=second.options,
        image_size=(640, 480) if origin is YoloSuite else None,
        jobs=1,
    )
    at_once = pipeline.run(replace(request, verify=True))
    later = pipeline.verify(request)
    assert (differences(later), later.exit_code) == ({}, ExitCode.DONE)
    for found in (checked(at_once), checked(later)):
        assert (found.images, found.boxes) == (at_once.images, at_once.boxes)


REAL = [
    "coco_mini/instances_train2017.json",
    "coco_mini/person_keypoints_val2017.json",
    "taco/annotations.json",
    "labelformat/COCO/train.json",
    "labelformat/YOLOv8/example.yaml",
    "labelformat/PascalVOC",
    "bccd",
    "raccoon",
    "sharks/yolov9/data.yaml",
]
WAYS: list[tuple[str, Mapping[str, str]]] = [
    ("coco", {}),
    ("jsonl", {}),
    ("parquet", {}),
    ("parquet", {"layout": "boxes"}),
    ("hf", {}),
    ("hf", {"layout": "imagefolder"}),
    ("voc", {"origin": "1"}),
    ("voc", {"decimals": "0", "defaults": "yes"}),
    ("yolo", {}),
    ("yolo", {"decimals": "3"}),
    ("yolo", {"task": "segment"}),
    ("yolo", {"task": "obb"}),
]


@pytest.mark.parametrize(("to", "out"), WAYS)
@pytest.mark.parametrize("name", REAL)
def test_real_data_are_the_same(name: str, to: str, out: Mapping[str, str], real: Path, tmp_path: Path) -> None:
    """Other people's files pass in every format, with every image and box compared."""
    output = tmp_path / {"coco": "o.json", "jsonl": "o.jsonl", "parquet": "o.parquet"}.get(to, "out")
    size = (640, 640) if "yolov9" in name else None
    report = bboxconv.convert(real / name, output, to=to, out=out, image_size=size)
    found = checked(bboxconv.verify(real / name, output, to=to, out=out, image_size=size))
    assert (found.same, found.images, found.boxes) == (True, report.images, report.boxes)
    if to in ("coco", "jsonl", "parquet"):
        assert found.error.units == 0


def test_keypoints_are_the_same(real: Path, tmp_path: Path) -> None:
    """Keypoints written as YOLO's pose rows pass, with the zeros of those that have none."""
    name = real / "coco_mini/person_keypoints_val2017.json"
    bboxconv.convert(name, tmp_path / "yolo", out={"task": "pose"}, verify=True)
    found = checked(bboxconv.verify(name, tmp_path / "yolo", out={"task": "pose"}))
    assert (found.same, found.fields["object.keypoints"].equal > 0) == (True, True)


def test_splits_and_several_sources(source: Path, tmp_path: Path) -> None:
    """Images of the same name in two splits are told apart, in folders and in one file; a year in the name of a
    split is none."""
    other = tmp_path / "b.json"
    other.write_text(json.dumps(DATA).replace('"bbox": [1', '"bbox": [2'))
    sources = [f"train2017={source}", f"val2017={other}"]
    for output, to in (("yolo", "yolo"), ("voc.parquet", "parquet"), ("many", "coco"), ("one.jsonl", "jsonl")):
        bboxconv.convert(sources, tmp_path / output, to=to, verify=True)
        assert differences(bboxconv.verify(sources, tmp_path / output, to=to)) == {}
        swapped = [f"val2017={source}", f"train2017={other}"]
        assert "object.bbox" in differences(bboxconv.verify(swapped, tmp_path / output, to=to))


def test_options_that_change_meaning(source: Path, tmp_path: Path) -> None:
    """What options leave out, rename, clip and fill is expected of the output, and missed without them."""
    changed(source, lambda d: d["annotations"][0].update(bbox=[-5, 2, 30, 40], iscrowd=1))
    options: dict[str, Any] = {
        "class_map": ["cat=lion"], "on_invalid": "clip", "drop_empty": True, "out": {"decimals": "4", "crowd": "keep"},
    }  # fmt: skip
    bboxconv.convert(source, tmp_path / "yolo", verify=True, **options)
    assert differences(bboxconv.verify(source, tmp_path / "yolo", **options)) == {}
    assert differences(bboxconv.verify(source, tmp_path / "yolo", **{**options, "drop_empty": False})) == {
        "missing-image": 1
    }
    assert differences(bboxconv.verify(source, tmp_path / "yolo", **{**options, "class_map": []})) == {
        "category.name": 1,
        "object.category": 6,
    }
    assert differences(bboxconv.verify(source, tmp_path / "yolo", **{**options, "out": {"decimals": "4"}})) == {
        "extra-box": 1
    }


def test_records_set_aside_are_not_missed(source: Path, tmp_path: Path) -> None:
    """With `--on-error skip` what was set aside, in reading or in writing, is not expected of the output."""
    changed(source, lambda d: d["annotations"][0].update(bbox=[1, 2]))
    changed(source, lambda d: d["images"][3].update(file_name="../x.jpg"))
    report = bboxconv.convert(source, tmp_path / "yolo", on_error="skip", verify=True)
    assert (report.exit_code, checked(report).images, checked(report).boxes) == (ExitCode.SET_ASIDE, 3, 11)


HEAD = {"type": "dataset", "bboxconv": 1, "box": {"kind": "xywh"}, "categories": [{"id": 1, "name": "cat"}]}
BOX = {"category": 0, "bbox": [10, 20, 30, 40]}
IMAGE = {"type": "image", "file": "a.jpg", "width": 100, "height": 80, "objects": [BOX]}
NAMELESS = {key: value for key, value in IMAGE.items() if key != "file"}
TARGETS = {"coco": "o.json", "hf": "hf", "voc": "voc", "yolo": "yolo", "jsonl": "o.jsonl", "parquet": "o.parquet"}


def put(path: Path, *images: Mapping[str, object]) -> Path:
    """Write images as JSON Lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in (HEAD, *images)))
    return path


def with_object(**values: object) -> dict[str, object]:
    """An image whose one object has these values."""
    return {**IMAGE, "objects": [{**BOX, **values}]}


ODD: Mapping[str, list[Mapping[str, object]]] = {
    "an image without name and id": [{**NAMELESS, "objects": []}, {**NAMELESS, "width": 50}, {**NAMELESS, "id": 3}],
    "an id among extra keys": [{**IMAGE, "extra": {"id": 5}}, with_object(extra={"id": 5.0})],
    "a column among extra keys": [{**IMAGE, "extra": {"video": "v", "frame": 3}}, with_object(extra={"score": 0.5})],
    "a column of another type": [{**IMAGE, "extra": {"frame": "x", "id": "y"}}, with_object(extra={"score": [1]})],
    "a null in place of an id": [{**IMAGE, "extra": {"id": None}}, with_object(extra={"id": None})],
    "what cannot be read": [with_object(extra={"track_id": [1], "id": {}, "image_id": 7, "category_id": "x"})],
    "a box beside none": [with_object(bbox=None, segmentation=[[1, 2, 3, 4, 5, 7]], extra={"bbox": [1, 2, 3, 4]})],
    "a polygon among extra keys": [with_object(extra={"segmentation": [[1, 2, 3, 4, 5, 7]], "keypoints": []})],
    "a null box that its polygon does not give": [
        with_object(extra={"bbox": None}),
        with_object(segmentation=[[1, 2, 3, 4, 5, 7]], extra={"bbox": None}),
        with_object(bbox=[1, 2, 4, 5], segmentation=[[1, 2, 3, 4, 5, 7]], extra={"bbox": None}),
    ],
    "a negative frame": [{**IMAGE, "frame": -1}],
    "a level below zero": [with_object(truncated=-1, occluded=-0.5)],
    "a level beyond all": [with_object(truncated=1e300, occluded=1000)],
    "a number beyond all": [with_object(extra={"n": 0}), {**IMAGE, "extra": {"n": [0, {"m": 0}]}}],
}


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("name", ODD)
def test_odd_values_pass(name: str, to: str, tmp_path: Path) -> None:
    """What is odd and yet written right is the same when it is read back, in every format; what a format cannot take
    is counted as changed or lost, and every value is counted once."""
    images = [{**image, "file": f"{at}.jpg"} if "file" in image else image for at, image in enumerate(ODD[name])]
    path = put(tmp_path / "a.jsonl", *images)
    path.write_text(path.read_text().replace('"n": 0', '"n": 1e400').replace('"m": 0', '"m": 1e-400'))
    report = bboxconv.convert(path, tmp_path / TARGETS[to], to=to, on_error="skip", verify=True)
    assert (checked(report).same, checked(report).images) == (True, report.images)
    assert differences(bboxconv.verify(path, tmp_path / TARGETS[to], to=to, on_error="skip")) == {}
    assert all(values.carried >= 0 for values in report.fields.values())


@pytest.mark.parametrize("to", ["coco", "hf", "yolo", "parquet"])
def test_images_without_name_and_id_pass_in_several_splits(to: str, tmp_path: Path) -> None:
    """Each document of COCO gives such images ids of its own, which are those of images of other splits."""
    found = [(None, "train2017"), (5, "train2017"), (None, "val"), (6, "val"), (None, "train2017"), (7, None)]
    images = [
        {**NAMELESS, "id": number, "split": split, "objects": [{**BOX, "bbox": [at + 1, 1, 5, 5]}]}
        for at, (number, split) in enumerate(found)
    ]
    out = tmp_path / ("out.parquet" if to == "parquet" else "out/")
    report = bboxconv.convert(put(tmp_path / "a.jsonl", *images), out, to=to, verify=True, on_error="skip")
    assert (checked(report).same, checked(report).images) == (True, 0 if to == "yolo" else 6)


@pytest.mark.parametrize("task", ["detect", "segment", "obb", "mixed"])
@pytest.mark.parametrize("kind", ["xywh", "xyxy", "cxcywh"])
def test_a_negative_size_passes(kind: str, task: str, tmp_path: Path) -> None:
    """A box of negative size is the same where its corners are written, also far from the image."""
    boxes = [[10, 20, -5, 40], [10.3, 20.7, -5.1, -40.2], [0.1, 0.2, -0.3, 0.4], [1e17, 5, -1e17, 7], [9, 9, -0.0, 3]]
    image = {**IMAGE, "objects": [{**BOX, "bbox": box} for box in boxes]}
    path = put(tmp_path / "a.jsonl", image)
    path.write_text(path.read_text().replace('"xywh"', f'"{kind}"'))
    for decimals in ("6", "full"):
        out = {"task": task, "decimals": decimals}
        report = bboxconv.convert(path, tmp_path / decimals, to="yolo", out=out, verify=True)
        assert (checked(report).same, checked(report).boxes) == (True, 5)


def test_what_coco_takes_for_its_own(tmp_path: Path) -> None:
    """Extra keys under the names of COCO's own become its values where they are such, and are counted as lost where
    COCO has no such value or nobody could read it; where a size was found for a null, the size is written."""
    images = [
        {**NAMELESS, "extra": {"id": 5, "file_name": "a.jpg", "frame": "x"}},
        {**with_object(extra={"track_id": [1], "score": 0.5, "area": "big", "image_id": 7}), "file": "b.jpg"},
    ]
    report = bboxconv.convert(put(tmp_path / "a.jsonl", *images), tmp_path / "o.json", verify=True)
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["images"][0] == {"id": 5, "file_name": "a.jpg", "width": 100, "height": 80, "frame": "x"}
    assert {key: document["annotations"][1].get(key) for key in ("track_id", "score", "area", "image_id")} == {
        "track_id": None,
        "score": 0.5,
        "area": "big",
        "image_id": 6,
    }
    assert report.lost == {"object.extra.image_id": 1, "object.extra.track_id": 1}
    assert report.fields["object.score"].carried == 1
    sizeless = {"images": [{"id": 1, "file_name": "a.jpg", "width": None, "height": None}], "annotations": []}
    (tmp_path / "b.json").write_text(json.dumps({**sizeless, "categories": []}))
    report = bboxconv.convert(tmp_path / "b.json", tmp_path / "p.json", image_size=(64, 48), verify=True)
    image = json.loads((tmp_path / "p.json").read_text())["images"][0]
    assert (image["width"], image["height"], report.lost) == (64, 48, {})
    assert report.fields["image.extra.width"].changed == {"filled": 1}


def test_an_id_among_extra_keys_is_an_id(tmp_path: Path) -> None:
    """An image whose id stands among its extra keys and one with the same id clash in one COCO file."""
    path = put(tmp_path / "a.jsonl", {**IMAGE, "id": 5}, {**IMAGE, "file": "b.jpg", "extra": {"id": 5}})
    with pytest.raises(DataError) as refused:
        bboxconv.convert(path, tmp_path / "o.json")
    assert [found.code for found in refused.value.diagnostics] == ["image-id-clash"]


def test_numbers_that_xml_cannot_say_are_counted(tmp_path: Path) -> None:
    """Numbers beyond those of a float become text in VOC, others are rounded to them: counted by key."""
    path = put(tmp_path / "a.jsonl", with_object(extra={"a": 0, "b": [0], "c": 0.1, "d": 2**70, "e": "1e400"}))
    path.write_text(path.read_text().replace('"a": 0', '"a": -1E+400').replace("[0]", "[1, 1e-99999999999999999999]"))
    fields = bboxconv.convert(path, tmp_path / "voc", verify=True).fields
    wanted = {"a": {"converted": 1}, "b": {"rounded": 1}, "c": {}, "d": {}, "e": {}}
    assert {key: dict(fields[f"object.extra.{key}"].changed) for key in wanted} == wanted
    fields = bboxconv.convert(path, tmp_path / "o.json", verify=True).fields
    assert not any(fields[f"object.extra.{key}"].changed for key in wanted)


# -- what is damaged


def moved(document: Any) -> None:
    """Move the second box of the third image by a hundredth of a pixel."""
    document["annotations"][9]["bbox"][0] += 0.01


def uncrowded(document: Any) -> None:
    """Change the crowd flag of the first box."""
    document["annotations"][0]["iscrowd"] = 1


def rekeyed(document: Any) -> None:
    """Change a value deep in an extra key, of the third box, and of an image."""
    document["annotations"][2]["note"]["seen"][1] = 2.25
    document["images"][0]["license"] = True


def dropped(document: Any) -> None:
    """Leave out the second box of the first image."""
    del document["annotations"][1]


def doubled(document: Any) -> None:
    """Add a box to the second image, and an image."""
    document["annotations"].insert(5, {**document["annotations"][4], "id": 99, "bbox": [1, 2, 3, 4]})
    document["images"].append({"id": 9, "file_name": "z.jpg", "width": 1, "height": 1})


def unlisted(document: Any) -> None:
    """Leave out an image and its boxes, and rename a supercategory."""
    document["images"] = document["images"][1:]
    document["annotations"] = document["annotations"][4:]
    document["categories"][1]["supercategory"] = "plant"


def redrawn(document: Any) -> None:
    """Change a point of a polygon, an id and an area."""
    document["annotations"][3]["segmentation"][0][2] = 31
    document["annotations"][4].update(id=1000)
    document["annotations"][5].update(area=1)


def spelled(document: Any) -> None:
    """Change what means nothing: the spelling of numbers and the order of keys and of images."""
    document["annotations"][0]["note"] = dict(reversed(document["annotations"][0]["note"].items()))
    document["annotations"][0]["note"]["seen"][0] = 1.0
    document["images"].reverse()


@pytest.mark.parametrize(
    ("edit", "wanted", "place"),
    [
        (moved, {"object.bbox": 1}, "image c.jpg, id 32"),
        (uncrowded, {"object.iscrowd": 1}, "image d.jpg, id 11"),
        (rekeyed, {"object.extra": 1, "image.extra": 1}, "image d.jpg"),
        (dropped, {"missing-box": 1}, "image d.jpg, id 12"),
        (doubled, {"extra-box": 1, "extra-image": 1}, "image z.jpg"),
        (unlisted, {"missing-image": 1, "category.supercategory": 1}, "image d.jpg"),
        (redrawn, {"object.segmentation": 1, "object.id": 1, "object.area": 1}, "image b.jpg, id 21"),
        (spelled, {}, ""),
    ],
)
def test_damage_of_a_coco_file_is_found(
    edit: Edit, wanted: dict[str, int], place: str, source: Path, tmp_path: Path
) -> None:
    """Each damage is found where it is, and nothing beside it."""
    output = tmp_path / "out.json"
    bboxconv.convert(source, output)
    changed(output, edit)
    report = bboxconv.verify(source, output)
    assert differences(report) == wanted
    assert report.exit_code == (ExitCode.REFUSED if wanted else ExitCode.DONE)
    places = [str(seen) for finding in report.findings for seen in finding.places]
    assert not place or any(f"{output}: {place}" in one for one in places), places


def test_the_largest_error_is_measured(source: Path, tmp_path: Path) -> None:
    """A box that was moved by 0.01 pixels is an error of that, also in fractions of an image of 640 pixels."""
    bboxconv.convert(source, tmp_path / "out.json")
    changed(tmp_path / "out.json", moved)
    assert checked(bboxconv.verify(source, tmp_path / "out.json")).error.pixels == pytest.approx(0.01, abs=1e-9)
    bboxconv.convert(source, tmp_path / "yolo")
    label = tmp_path / "yolo/labels/c.txt"
    number, cx, rest = label.read_text().split(" ", 2)
    label.write_text(f"{number} {float(cx) + 0.01} {rest}")
    assert checked(bboxconv.verify(source, tmp_path / "yolo")).error.pixels == pytest.approx(6.4, abs=640e-6)


def test_damage_of_yolo_labels_is_found(source: Path, tmp_path: Path) -> None:
    """A class that was swapped, a row that was left out, and a label file that has gone, each by itself."""
    bboxconv.convert(source, tmp_path / "yolo")
    label = tmp_path / "yolo/labels/c.txt"
    whole = label.read_text()
    label.write_text("1" + whole[1:] if whole[0] == "0" else "0" + whole[1:])
    assert differences(bboxconv.verify(source, tmp_path / "yolo")) == {"object.category": 1}
    rows = whole.splitlines(keepends=True)
    for gone in range(4):
        label.write_text("".join(rows[:gone] + rows[gone + 1 :]))
        report = bboxconv.verify(source, tmp_path / "yolo")
        assert differences(report) == {"missing-box": 1}
        assert f"image c.jpg, object {gone}" in str(report.findings[-1].places[0])
    label.write_text(whole + "0 0.5 oops 0.1 0.1\n")
    assert differences(bboxconv.verify(source, tmp_path / "yolo")) == {"what can be read": 1}
    label.unlink()
    assert differences(bboxconv.verify(source, tmp_path / "yolo")) == {"missing-image": 1}


def test_damage_of_polygons_is_found(source: Path, tmp_path: Path) -> None:
    """A point of a polygon that moved within its box is a difference, though the box is the same."""
    options = {"task": "segment"}
    bboxconv.convert(source, tmp_path / "yolo", out=options, verify=True)
    label = tmp_path / "yolo/labels/c.txt"
    y = str(round(20.25 / 480, 6))
    assert label.read_text().count(y) == 4
    label.write_text(label.read_text().replace(y, "0.05", 1))
    assert differences(bboxconv.verify(source, tmp_path / "yolo", out=options)) == {"object.segmentation": 1}


def test_an_image_in_another_split_is_found(source: Path, tmp_path: Path) -> None:
    """An image that came into another split is compared, and its split differs."""
    sources = [f"train={source}"]
    bboxconv.convert(sources, tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text()
    (tmp_path / "out.jsonl").write_text(text.replace('"split":"train"', '"split":"test"', 1))
    report = bboxconv.verify(sources, tmp_path / "out.jsonl")
    assert (differences(report), checked(report).boxes) == ({"image.split": 1}, 12)


def test_damage_of_voc_is_found(source: Path, tmp_path: Path) -> None:
    """A file that was removed, one that nobody wrote, a side of a box, and a key."""
    output = tmp_path / "voc"
    bboxconv.convert(source, output)
    file = output / "Annotations/c.xml"
    whole = file.read_text()
    file.write_text(whole.replace("<ymin>20.5<", "<ymin>20.51<", 1))
    assert differences(bboxconv.verify(source, output)) == {"object.bbox": 1}
    file.write_text(whole.replace("<by>a<", "<by>b<", 1))
    assert differences(bboxconv.verify(source, output)) == {"object.extra": 1}
    file.write_text(whole.replace("<width>640<", "<width>641<"))
    assert differences(bboxconv.verify(source, output)) == {"image.width": 1}
    file.unlink()
    (output / "Annotations/q.xml").write_text(whole.replace("c.jpg", "q.jpg"))
    assert differences(bboxconv.verify(source, output)) == {"missing-image": 1, "extra-image": 1}


def test_damage_of_parquet_is_found(source: Path, tmp_path: Path) -> None:
    """A row that was dropped, and a number in the last bit."""
    output = tmp_path / "out.parquet"
    bboxconv.convert(source, output, out={"layout": "boxes"})
    table = pq.read_table(output)
    pq.write_table(table.slice(0, 5).filter(table["object"].slice(0, 5)), output)
    found = checked(bboxconv.verify(source, output, out={"layout": "boxes"}))
    assert (found.images, found.boxes, found.lost_boxes) == (2, 5, 4)
    column = table.column_names.index("x")
    bits = table["x"].to_numpy().copy()
    bits[3] += 2**-46
    pq.write_table(table.set_column(column, table.schema.field("x"), [bits]), output)
    report = bboxconv.verify(source, output, out={"layout": "boxes"})
    assert differences(report) == {"object.bbox": 1}
    assert 0 < checked(report).error.units < 16


@pytest.mark.parametrize("text", ["1", "true", '{"a":2}', '[1,"2"]', "[1]", "123456789012345678901234567891", "null"])
def test_values_that_are_not_the_same(text: str, source: Path, tmp_path: Path) -> None:
    """A value of another type, or an integer that differs behind the 53rd bit, is another value."""
    given = {
        "1": "true",
        "true": "1",
        '{"a":2}': '{"a":2,"b":null}',
        '[1,"2"]': "[1,2]",
        "[1]": "[1,2]",
        "null": "0",
    }.get(text, "123456789012345678901234567890")
    source.write_text(source.read_text().replace('"by": "a"', f'"by": {given}', 1))
    bboxconv.convert(source, tmp_path / "out.json")
    output = (tmp_path / "out.json").read_text()
    assert f'"by": {given}' in output
    (tmp_path / "out.json").write_text(output.replace(f'"by": {given}', f'"by": {text}', 1))
    assert differences(bboxconv.verify(source, tmp_path / "out.json")) == {"object.extra": 1}


# -- precision


def test_six_decimals_explain_what_three_do_not(source: Path, tmp_path: Path) -> None:
    """Labels rounded to six decimals pass, those rounded to three where nobody said so do not; VOC's integers pass
    with their option alone."""
    bboxconv.convert(source, tmp_path / "yolo", verify=True)
    six = bboxconv.verify(source, tmp_path / "yolo")
    assert six.exit_code == ExitCode.DONE
    errors = [(abs(round(share, 6) - share), side) for share, side in fractions()]
    assert checked(six).error.units == pytest.approx(max(error for error, _ in errors) * 1e6, rel=1e-6)
    assert checked(six).error.pixels == pytest.approx(max(error * side for error, side in errors), rel=1e-6)
    bboxconv.convert(source, tmp_path / "three-yolo", out={"decimals": "3"}, verify=True)
    assert differences(bboxconv.verify(source, tmp_path / "three-yolo")) == {"object.bbox": 12}
    assert differences(bboxconv.verify(source, tmp_path / "three-yolo", out={"decimals": "3"})) == {}
    bboxconv.convert(source, tmp_path / "voc", out={"decimals": "0"}, verify=True)
    assert differences(bboxconv.verify(source, tmp_path / "voc")) == {"object.bbox": 12}
    assert differences(bboxconv.verify(source, tmp_path / "voc", out={"decimals": "0"})) == {}


def test_another_box_format_is_read(source: Path, tmp_path: Path) -> None:
    """Boxes that were written in another format are the same without the option that says so."""
    bboxconv.convert(source, tmp_path / "out.parquet", box="cxcywhn", verify=True)
    assert differences(bboxconv.verify(source, tmp_path / "out.parquet")) == {}
    assert differences(bboxconv.verify(source, tmp_path / "out.parquet", box="cxcywhn")) == {}


# -- memory, batches, processes


def test_memory_batches_and_processes_do_not_show(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found, and its first places, are the same for any batch size, with no memory, in many parts, and in three
    processes."""
    images = [{"id": n, "file_name": f"{n * 7919 % 500:03}.jpg", "width": 640, "height": 480} for n in range(1, 500)]
    boxes = [
        {"id": n, "image_id": 1 + n % 499, "category_id": 1, "bbox": [n % 97, 1, 2 + n % 7, 3]} for n in range(1, 3000)
    ]
    coco(source, images, boxes, DATA["categories"])
    output = tmp_path / "yolo"
    bboxconv.convert(source, output)
    for number, file in enumerate(sorted((output / "labels").iterdir())):
        rows = file.read_text().splitlines(keepends=True)
        if number % 50 == 7:
            file.unlink()
        elif number % 40 == 3:
            file.write_text("".join(rows[1:]))
        elif number % 11 == 5:
            file.write_text("".join(row.replace("0 ", "1 ", 1) for row in rows))
    request = Request((str(source),), str(output), jobs=1)
    wanted = pipeline.verify(request)
    assert set(differences(wanted)) == {"missing-image", "missing-box", "object.category"}
    parts: list[Agreement] = []
    whole = Agreement.add
    monkeypatch.setattr(Agreement, "add", lambda self, other: parts.append(other) or whole(self, other))
    monkeypatch.setattr("bboxconv.dividing._PART", 1000)
    for more in ({"batch_size": 7}, {"memory": 1}, {"batch_size": 1000, "memory": 1 << 30}):
        parts.clear()
        found = pipeline.verify(replace(request, **more))
        assert len(parts) > 50
        assert checked(found).as_dict() == checked(wanted).as_dict()
        assert found.findings == wanted.findings
    with at_work(3) as workers:
        workers.begin()
        monkeypatch.setattr(pipeline, "at_work", lambda jobs: _lent(workers))
        assert checked(pipeline.verify(request)).as_dict() == checked(wanted).as_dict()


@pytest.mark.parametrize("apart", [False, True])
def test_pieces_of_parts_are_no_objects(*, apart: bool) -> None:
    """What is known of each piece is in arrays: there are as many as batches times parts, of a large data set a
    hundred thousand."""
    parts, spool = 50, Spool(1 << 30)
    divide = Divider(spool.shelf(apart=apart), parts, Target(None, EVERYTHING))
    batches = [batch([{"file_name": f"{n}-{m}.jpg", "objects": []} for m in range(400)]) for n in range(20)]
    held = Parts.of((divide(one, Encoding(Findings())).pieces for one in batches), parts, spool)
    pieces = [slip for part in range(parts) for slip in held.of_part(part)]
    assert len(pieces) == 20 * parts
    found = [slip.load() for slip in pieces]
    names = [name for piece in found for name in piece.column("file_name").to_pylist()]
    assert sorted(names) == sorted(name for one in batches for name in one.column("file_name").to_pylist())
    del pieces, found, names
    gc.collect()
    before = sys.getallocatedblocks()
    del held
    gc.collect()
    assert before - sys.getallocatedblocks() < 20 * parts


def test_there_are_more_parts_the_larger_an_output_is(tmp_path: Path) -> None:
    """A part is not larger in an output of eight gigabytes than in a small one."""
    output = tmp_path / "a.json"
    for size, wanted in ((0, 1), (1 << 20, 1), (1 << 30, 128), (1 << 33, 1024), (1 << 40, 1024)):
        with output.open("wb") as file:
            file.truncate(size)
        assert number_of_parts(output, registry.writer("coco").INFO) == wanted


def test_repeats_are_looked_for_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What occurs more than once is told of the source, once; nobody looks for it in the output, nor anew."""
    document = json.loads(source.read_text())
    document["images"][1]["file_name"] = "d.jpg"
    source.write_text(json.dumps(document))
    looked: list[str] = []
    leave = flow.leave_identities
    monkeypatch.setattr(flow, "leave_identities", lambda *a, **b: looked.append("") or leave(*a, **b))
    request = Request((str(source),), str(tmp_path / "out.parquet"), jobs=1)
    for once in (lambda: pipeline.run(replace(request, verify=True)), lambda: pipeline.verify(request)):
        assert [(found.code, found.count) for found in once().findings] == [("duplicate-file-name", 1)]
        assert len(looked) == 1
        looked.clear()


class _lent:  # noqa: N801 - a context that closes nothing
    def __init__(self, workers: Any) -> None:
        self.workers = workers

    def __enter__(self) -> Any:
        return self.workers

    def __exit__(self, *_: object) -> None:
        pass


# -- what a failure leaves, and the command line


def test_a_wrong_output_never_appears(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that writes something else is found out: nothing is put in place, and what was there stays."""
    output = tmp_path / "out.json"
    output.write_text("before")
    write = pipeline._write

    def wrong(*given: Any) -> Any:
        *rest, fill, settle = given

        def spoiled(stage: Path) -> Any:
            done = fill(stage)
            changed(stage, moved)
            return done

        return write(*rest, spoiled, settle)

    monkeypatch.setattr(pipeline, "_write", wrong)
    with pytest.raises(DataError) as refused:
        bboxconv.convert(source, output, overwrite=True, verify=True)
    assert [found.code for found in refused.value.diagnostics] == ["verify-differs"]
    assert refused.value.details["verify"]["fields"]["object.bbox"]["differ"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "out.json"]
    assert output.read_text() == "before"
    bboxconv.convert(source, output, overwrite=True)  # without it, nobody looks
    assert output.read_text() != "before"


def test_a_dry_run_has_nothing_to_verify(source: Path, tmp_path: Path) -> None:
    """`--dry-run --verify` is refused."""
    with pytest.raises(UsageError) as refused:
        bboxconv.convert(source, tmp_path / "out.json", dry_run=True, verify=True)
    assert [found.code for found in refused.value.diagnostics] == ["option-conflict"]


def test_faults_of_a_source_are_told(source: Path, tmp_path: Path) -> None:
    """Where a source has faults they are the error, unless they are to be set aside."""
    changed(source, lambda d: d["annotations"][0].update(bbox=[1, 2]))
    bboxconv.convert(source, tmp_path / "out.json", on_error="skip")
    with pytest.raises(DataError) as refused:
        bboxconv.verify(source, tmp_path / "out.json")
    assert [found.code for found in refused.value.diagnostics] == ["bad-value"]
    report = bboxconv.verify(source, tmp_path / "out.json", on_error="skip")
    assert (differences(report), report.exit_code) == ({}, ExitCode.DONE)


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The command line, as a process of its own."""
    command = [sys.executable, "-m", "bboxconv", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )


def test_the_command_line(source: Path, tmp_path: Path) -> None:
    """`convert --verify` says what was compared; `verify` exits 0 and 1, with places and a document; a missing output
    is a wrong command."""
    done = run(tmp_path, "convert", "a.json", "yolo", "--verify")
    assert done.returncode == 0
    error = max(abs(round(share, 6) - share) * side for share, side in fractions())
    assert f"verified  4 images, 12 boxes, largest error {error:.1g} px\n" in done.stderr
    same = run(tmp_path, "verify", "a.json", "yolo")
    assert (same.returncode, same.stdout) == (0, "")
    assert same.stderr.startswith(f"verified: 4 images, 12 boxes, largest error {error:.1g} px, coco -> yolo, ")
    label = tmp_path / "yolo/labels/c.txt"
    label.write_text(label.read_text().split("\n", 1)[1])
    other = run(tmp_path, "verify", "a.json", "yolo", "--json")
    document = json.loads(other.stdout)
    assert (other.returncode, document["exit_code"], document["command"]) == (1, 1, "verify")
    assert document["verify"]["boxes"] == {"compared": 11, "missing": 1, "extra": 0}
    assert document["verify"]["same"] is False
    assert "error[verify-missing-box]: a box of the source is not in the output\n  yolo: image c.jpg, object 0\n" in (
        other.stderr
    )
    assert other.stderr.splitlines()[-1].startswith("different: 1 difference; 4 images, 11 boxes, ")
    assert run(tmp_path, "verify", "a.json", "none.json").returncode == 2
    assert run(tmp_path, "verify", "a.json").returncode == 2
    assert run(tmp_path, "convert", "a.json", "b.json", "--verify", "--dry-run").returncode == 2
    piped = run(tmp_path, "convert", "a.json", "-", "--to", "jsonl", "--verify")
    assert (piped.returncode, len(piped.stdout.splitlines())) == (0, 5)
