"""What a data set has twice, and what refers to nothing: each has a code, a count and a treatment, and the account
sums.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import batch, coco, dataset
from test_rejects import CAT, OBJECT, VOC, box, image, set_aside

import bboxconv
from bboxconv import duplicates, flow, pipeline, repeats
from bboxconv.errors import Findings
from bboxconv.repeats import Seen, leave_identities, tell_repeats
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.shelf import Shelf
from bboxconv.spool import Slip, Spool
from bboxconv.workers import at_work


def found(report: Report) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    """Severity, count and first places of each code that is about repeats."""
    return {
        d.code: (d.severity, d.count, tuple(str(p) for p in d.places))
        for d in report.findings
        if d.code.startswith(("duplicate", "orphan", "shared"))
    }


def sums(report: Report) -> bool:
    """Whether what was read is what was written and what was left out."""
    return report.read.images == report.images + sum(report.left_out_images.values()) and (
        report.read.boxes == report.boxes + sum(report.left_out_boxes.values())
    )


@pytest.mark.parametrize("jobs", [1, 3])
def test_repeats_of_coco(tmp_path: Path, jobs: int) -> None:
    """The first of two entries with one id is kept, and all annotations, names of files and of categories."""
    images = [image(1), image(2, file_name="1.jpg"), image(1), image(2)]
    rows = [box(1), box(1), box(2, 2), box(3, 9), box(4, category_id=9)]
    categories = [*CAT, {"id": 2, "name": "cat"}, {"id": 2, "name": "dog"}]
    source = coco(tmp_path / "a.json", images, rows, categories)
    report, rejects = set_aside(source, tmp_path, jobs)
    assert {code: what for code, what in found(report).items() if code != "orphan-annotation"} == {
        "duplicate-category-id": ("error", 1, (f"{source}: $.categories[2]: id 2: dog",)),
        "duplicate-category-name": ("warning", 1, (f"{source}: $.categories: cat",)),
        "duplicate-image": ("warning", 1, (f"{source}: $.images[2]: id 1",)),
        "duplicate-image-id": ("error", 1, (f"{source}: $.images[3]: id 2: 1.jpg and 2.jpg",)),
        "duplicate-annotation-id": ("warning", 1, (f"{source}: $.annotations: id 1",)),
        "duplicate-file-name": ("warning", 1, (f"{source}: image 1.jpg",)),
    }
    orphans = [d for d in report.findings if d.code == "orphan-annotation"]
    assert [(d.message, d.count) for d in orphans] == [
        ("the image of an annotation does not exist", 1),
        ("the category of an annotation does not exist", 1),
    ]
    assert (report.read.images, report.read.boxes, sums(report)) == (2, 3, True)
    assert report.rejected_images == {"duplicate-image": 1, "duplicate-image-id": 1}
    assert report.rejected_boxes == {"orphan-annotation": 2}
    assert [r["code"] for r in rejects] == ["duplicate-category-id", "duplicate-image-id", *["orphan-annotation"] * 2]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("to", ["jsonl", "parquet"])
def test_repeats_of_json_lines_and_parquet(tmp_path: Path, jobs: int, to: str) -> None:
    """All images and boxes are kept, and each repeated id and name is counted, over all batches."""
    rows = [{"id": n % 7, "category": 0, "bbox": [1, 1, 2, 2]} for n in range(9)]
    given = [{"id": n % 3, "file_name": f"{n % 4}.jpg", "objects": [rows[n]]} for n in range(9)]
    source = tmp_path / f"a.{to}"
    pipeline.run(Request(("data",), str(source), batch_size=2), dataset=dataset(given))
    report, rejects = set_aside(source, tmp_path, jobs, batch_size=2)
    shown = str(source)
    assert found(report) == {
        "duplicate-image-id": ("warning", 3, tuple(f"{shown}: id {n}" for n in range(3))),
        "duplicate-annotation-id": ("warning", 2, (f"{shown}: id 0", f"{shown}: id 1")),
        "duplicate-file-name": ("warning", 5, tuple(f"{shown}: image {n}.jpg" for n in (0, 1, 2, 3, 0))),
    }
    assert (report.images, report.boxes, rejects, sums(report)) == (9, 9, [], True)


def test_two_voc_files_of_one_image(tmp_path: Path) -> None:
    """The first is kept, the other a fault; its boxes count as rejected with it."""
    for name in "ab":
        (tmp_path / "v").mkdir(exist_ok=True)
        (tmp_path / "v" / f"{name}.xml").write_text(VOC.format("x", OBJECT.format(1) * 2))
    report, _ = set_aside(tmp_path / "v", tmp_path)
    assert found(report) == {"duplicate-image": ("error", 1, (f"{tmp_path}/v/b.xml: 'x.jpg'",))}
    assert (report.read.images, report.read.boxes, sums(report)) == (1, 2, True)
    assert (report.rejected_images, report.rejected_boxes) == ({"duplicate-image": 1}, {"duplicate-image": 2})


def test_yolo_images_with_one_label_file(tmp_path: Path) -> None:
    """a.jpg and a.png both have the boxes of a.txt, and a note says so; an image that a list names twice is read
    once.
    """
    source = tmp_path / "y"
    for folder in ("images", "labels"):
        (source / folder).mkdir(parents=True)
    for name in ("a.jpg", "a.png", "b.jpg"):
        (source / "images" / name).touch()
    (source / "labels" / "a.txt").write_text("0 .5 .5 .1 .1\n")
    (source / "data.yaml").write_text("names: [cat]\ntrain: images\nval: val.txt\n")
    (source / "val.txt").write_text("images/b.jpg\nimages/b.jpg\n")
    report, _ = set_aside(source, tmp_path, from_="yolo")
    assert found(report) == {
        "shared-label-file": ("warning", 1, ("a.jpg and a.png",)),
        "duplicate-image": ("warning", 1, ("val.txt",)),
    }
    assert (report.read.images, report.read.boxes, sums(report)) == (4, 2, True)
    assert report.rejected_images == {"duplicate-image": 1}


def test_names_are_compared_within_a_split_and_over_sources(tmp_path: Path) -> None:
    """One name in two splits is no repeat; in two sources of one split it is."""
    one = coco(tmp_path / "1.json", [image(1)], [box(1)], CAT)
    two = coco(tmp_path / "2.json", [image(1)], [box(1)], CAT)
    apart = bboxconv.convert([f"train={one}", f"val={two}"], tmp_path / "a.jsonl")
    assert found(apart) == {}
    together = bboxconv.convert([one, two], tmp_path / "b.jsonl")
    assert found(together) == {"duplicate-file-name": ("warning", 1, (f"{two}: image 1.jpg",))}
    checked = pipeline.validate(Request((str(one), str(two))))
    assert found(checked) == found(together)


def test_ids_are_compared_within_a_split(tmp_path: Path) -> None:
    """The ids of each COCO file of a data set begin anew: in what was made of two splits they are no repeat, and in one
    split they are."""
    one = coco(tmp_path / "1.json", [image(1), image(2)], [box(7), box(8, 2)], CAT)
    two = coco(tmp_path / "2.json", [image(1, file_name="x.jpg")], [box(7)], CAT)
    bboxconv.convert([f"train={one}", f"val={two}"], tmp_path / "apart.jsonl")
    assert found(bboxconv.convert(tmp_path / "apart.jsonl", tmp_path / "a.parquet")) == {}
    bboxconv.convert([f"train={one}", f"train={two}"], tmp_path / "one.jsonl")
    path = tmp_path / "one.jsonl"
    assert found(bboxconv.convert(path, tmp_path / "b.parquet")) == {
        "duplicate-image-id": ("warning", 1, (f"{path}: id 1",)),
        "duplicate-annotation-id": ("warning", 1, (f"{path}: id 7",)),
    }


def test_many_ids_are_compared_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on how many are compared at once, nor names on what their numbers happen to be."""
    names = [f"{n * n % 1000}.jpg" for n in range(500)]
    given = [{"id": n * n % 700 - 300, "file_name": name, "objects": []} for n, name in enumerate(names)]
    seen = Seen("a", Spool(0))
    for start in range(0, 500, 70):
        seen.take([leave_identities(batch(given[start : start + 70]), Shelf(), ids=True)])
    results = []
    for at_once in (1_000_000, 7):
        monkeypatch.setattr(duplicates, "AT_ONCE", at_once)
        findings = Findings()
        tell_repeats([seen], findings)
        results.append(list(findings))
    assert results[0] == results[1]
    ids = [row["id"] for row in given]
    assert [(d.code, d.count) for d in results[0]] == [
        ("duplicate-image-id", sum(ids.count(i) > 1 for i in set(ids))),
        ("duplicate-file-name", len(names) - len(set(names))),
    ]
    monkeypatch.setattr(repeats, "hashes", lambda texts: pa.array([0] * len(texts)))
    alike, findings = Seen("a", Spool(0)), Findings()
    alike.take([leave_identities(batch(given[:20]), Shelf(), ids=True)])
    tell_repeats([alike], findings)
    assert [d.code for d in findings] == []


def test_what_may_be_repeated_waits_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other processes read, they leave ids and names in a file: this process holds the place of each alone."""
    held: list[Slip] = []

    def told(sources: Sequence[Seen], findings: Findings) -> None:
        held.extend(slip for one in sources for slip in (*one.images, *one.objects))
        tell_repeats(sources, findings)

    monkeypatch.setattr(flow, "tell_repeats", told)
    source = coco(tmp_path / "a.json", [image(1), image(2, file_name="1.jpg")], [box(1), box(2, 2)], CAT)
    with at_work(2) as workers:
        workers.begin()
        report = pipeline.run(Request((str(source),), str(tmp_path / "b.jsonl")), workers=workers)
        assert found(report) == {"duplicate-file-name": ("warning", 1, (f"{source}: image 1.jpg",))}
        again = pipeline.run(Request((str(tmp_path / "b.jsonl"),), str(tmp_path / "c.jsonl")), workers=workers)
        assert set(found(again)) == {"duplicate-file-name"}
    assert [slip.batch for slip in held] == [None] * len(held)
    assert sum(slip.rows for slip in held) == 6  # images of both; ids of COCO are compared by its reader


def test_repeated_categories_of_json_lines(tmp_path: Path) -> None:
    """All are kept; of those with one id the first has it, so that their boxes stay apart in COCO."""
    header = '{"type":"dataset","class_names":{"0":"cat"},"bboxconv":1,"box":"xywh","categories":[%s]}\n'
    categories = ['{"id":1,"name":"cat"}', '{"id":1,"name":"dog"}', '{"id":2,"name":"dog"}']
    rows = ",".join(f'{{"category":{n},"bbox":[1,1,2,2]}}' for n in range(3))
    source = tmp_path / "a.jsonl"
    source.write_text(header % ",".join(categories) + f'{{"type":"image","file":"a.jpg","objects":[{rows}]}}\n')
    report = bboxconv.convert(source, tmp_path / "b.json")
    assert found(report) == {
        "duplicate-category-id": ("warning", 1, (f"{source}: id 1: dog",)),
        "duplicate-category-name": ("warning", 1, (f"{source}: dog",)),
    }
    written = json.loads((tmp_path / "b.json").read_text())
    ids = [category["id"] for category in written["categories"]]
    assert len(set(ids)) == 3
    assert [box["category_id"] for box in written["annotations"]] == ids
