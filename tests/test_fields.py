"""The account of every value: what the report says under `fields`, and its published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from helpers import coco

import bboxconv
from bboxconv.errors import DataError

EXAMPLES = Path(__file__).parent.parent / "examples"
SAMPLE = EXAMPLES / "sample" / "coco" / "instances_train.json"
BROKEN = EXAMPLES / "broken"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bboxconv", *map(str, words)], capture_output=True, text=True)


def schema() -> jsonschema.Draft202012Validator:
    document = json.loads(run("schema", "report").stdout)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("to", ["coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo"])
def test_reports_are_as_the_schema_says(tmp_path: Path, to: str) -> None:
    """The document of --json is valid under the schema that the package publishes, and its fields sum."""
    document = json.loads(run("convert", SAMPLE, tmp_path / "out", "--to", to, "--json").stdout)
    schema().validate(document)
    for values in document["fields"].values():
        assert values["count"] == values["carried"] + values["lost"] + sum(values["changed"].values())


@pytest.mark.parametrize(
    "words",
    [["convert", "missing.json", "a.parquet"], ["validate", str(SAMPLE)], ["convert", str(BROKEN), "a.parquet"]],
)
def test_other_documents_are_too(tmp_path: Path, words: list[str]) -> None:
    """So are the documents of a wrong command, of refused data and of a validation."""
    schema().validate(json.loads(run(*words, "--json").stdout))


def test_an_unknown_schema_is_refused() -> None:
    """There is one schema; another name exits 2."""
    found = run("schema", "nonsense")
    assert (found.returncode, "unknown-schema" in found.stderr) == (2, True)


def source(path: Path) -> Path:
    """Two images and four boxes: one inside, one past the edge, one with many decimals, one crowd."""
    images = [
        {"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100, "license": 3, "note": {"license": 1}}
        for n in (1, 2)
    ]
    boxes = [[10, 10, 20, 20], [90, 90, 20, 20], [1.0000001, 2, 3, 4]]
    rows = [
        {"id": n, "image_id": 1, "category_id": 7, "bbox": box, "iscrowd": 0, "area": 1.5}
        for n, box in enumerate(boxes, 1)
    ]
    rows.append({"id": 9, "image_id": 2, "category_id": 7, "bbox": [1, 1, 5, 5], "iscrowd": 1, "pose": "left"})
    return coco(path, images, rows, [{"id": 7, "name": "cat", "supercategory": "animal"}])


def test_each_box_is_changed_in_one_way(tmp_path: Path) -> None:
    """Of the boxes that are written to YOLO one is clipped, one is rounded to six decimals, one is converted alone."""
    report = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "yolo", to="yolo", on_invalid="clip")
    found = report.fields["object.bbox"]
    assert (found.count, found.carried, found.lost) == (3, 0, 0)
    assert dict(found.changed) == {"clipped": 1, "converted": 1, "rounded": 1}


def test_flags_are_lost_where_they_are_set(tmp_path: Path) -> None:
    """Crowd flags of boxes that VOC takes as plain ones: three say no and are carried, the fourth is lost."""
    report = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "voc", to="voc")
    found = report.fields["object.iscrowd"]
    assert (found.count, found.carried, found.lost) == (4, 3, 1)
    assert found.places == (f"{tmp_path / 'a.json'}: image 2.jpg, id 9",)


def test_keys_are_counted_at_their_own_level(tmp_path: Path) -> None:
    """An extra key is counted where it stands, lost or not; one of the same name inside another is not it."""
    lost = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "yolo", to="yolo").fields["image.extra.license"]
    assert (lost.count, lost.lost, len(lost.places)) == (2, 2, 2)
    kept = bboxconv.convert(tmp_path / "a.json", tmp_path / "a.parquet").fields
    assert {name: kept[name].carried for name in kept if "extra" in name} == {
        "image.extra.license": 2,
        "image.extra.note": 2,
        "object.extra.pose": 1,
    }


def test_renamed_classes_are_counted_as_changed(tmp_path: Path) -> None:
    """A class that the user renames is changed; the class of its boxes is carried."""
    report = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "a.parquet", class_map={"cat": "feline"})
    assert dict(report.fields["category.name"].changed) == {"renamed": 1}
    assert report.fields["object.category"].carried == 4


@pytest.mark.parametrize(
    ("ids", "to", "changed", "lost"),
    [
        ([3, 7], "yolo", {"remapped": 2}, 0),
        ([0, 1], "yolo", {}, 0),
        ([3, 7], "voc", {}, 2),
        ([7, 3], "yolo", {}, 2),
        ([3, None], "yolo", {}, 1),
    ],
)
def test_ids_that_become_indices_are_remapped(
    tmp_path: Path, ids: list[int | None], to: str, changed: dict[str, int], lost: int
) -> None:
    """Ids of classes that YOLO numbers anew in the same order are changed, as metadata, which strict takes and
    strict=all refuses; where the order is another, an id is missing, or the target has no number, they are lost.
    """
    classes = [
        {"name": name} | ({} if own is None else {"id": own}) for name, own in zip(("cat", "dog"), ids, strict=True)
    ]
    head = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": classes}
    line = {
        "type": "image",
        "file": "a.jpg",
        "width": 9,
        "height": 9,
        "objects": [{"category": 1, "bbox": [1, 1, 2, 2]}],
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(head) + "\n" + json.dumps(line) + "\n")
    found = bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "out", to=to, strict="default").fields["category.id"]
    assert (dict(found.changed), found.lost) == (changed, lost)
    if changed or lost:
        for strict in ("all", "category.id"):
            with pytest.raises(DataError) as caught:
                bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "other", to=to, strict=strict)
            (refused,) = (one for one in caught.value.diagnostics if one.message.startswith("category.id"))
            assert (refused.code, refused.count) == ("loss-refused", lost or len(ids))
            assert refused.message == "category.id would be " + ("changed: remapped" if changed else "lost")


def test_the_same_boxes_are_carried(tmp_path: Path) -> None:
    """Where source and target have one box format no box is changed."""
    report = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "b.json")
    assert all(values.carried == values.count for values in report.fields.values())
