"""Records that are set aside: each is listed with its place and text, the rest is converted as if they were not there,
and the account sums.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import coco
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bboxconv
from bboxconv import pipeline
from bboxconv.errors import DataError, ExitCode, Findings, Record
from bboxconv.rejects import Rejects
from bboxconv.report import Report
from bboxconv.request import Request
from bboxconv.workers import at_work

Reject = dict[str, Any]
CAT = [{"id": 1, "name": "cat"}]


def set_aside(
    source: Path, folder: Path, jobs: int = 1, to: str = "jsonl", **options: Any
) -> tuple[Report, list[Reject]]:
    """The report of a conversion that sets faults aside, in this process or in several, and its rejects."""
    rejects = folder / f"rejects{jobs}.jsonl"
    request = Request(
        (str(source),), str(folder / f"out{jobs}"), to=to, on_error="skip", rejects=rejects, overwrite=True, **options
    )
    with at_work(jobs) as workers:
        workers.begin()
        report = pipeline.run(request, workers=workers)
    return report, [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]


def facts(rejects: Sequence[Reject], source: Path) -> list[tuple[object, ...]]:
    """Code, file below the source, line, pointer, detail and text of each."""
    start = str(source)
    rows = [(r["code"], r["file"].removeprefix(start), r["line"], r["pointer"], r["detail"], r["raw"]) for r in rejects]
    for reject in rejects:
        at = f":{reject['line']}" if reject["line"] else f": {reject['pointer']}" if reject["pointer"] else ""
        assert reject["where"] == reject["file"] + at
        assert list(reject) == ["file", "line", "pointer", "where", "code", "message", "detail", "raw"]
    return rows


def image(number: int, **more: object) -> dict[str, object]:
    """An image of a COCO file."""
    return {"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100, **more}


def box(number: int, of: int = 1, **more: object) -> dict[str, object]:
    """An annotation of a COCO file."""
    return {"id": number, "image_id": of, "category_id": 1, "bbox": [1, 1, 5, 5], **more}


COCO = b"""{"images": [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 100},
 {"file_name": "x.jpg"}, {"id": 2, "file_name": "2.jpg", "width": 100, "height": 100},
 {"id": 2, "file_name": "3.jpg"}, {"id": 1, "file_name": "1.jpg"}],
 "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]},
 {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2]}, "\xc3\xa9",
 {"id": 3, "image_id": 2, "category_id": 9, "bbox": [1, 1, 5, 5]},
 {"id": 4, "image_id": 7, "category_id": 9, "bbox": [1, 1, 5, 5]},
 {"id": 5, "image_id": 2, "category_id": 1}, {"id": 6, "image_id": 2, "category_id": 1, "bbox": [1, 1, NaN, 5]},
 {"id": 7, "image_id": 2, "category_id": 1, "bbox": [9, 9, 5, 5]}],
 "categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}, {"name": "cow"}, 5]}"""


@pytest.mark.parametrize("jobs", [1, 3])
def test_rejects_of_coco(tmp_path: Path, jobs: int) -> None:
    """Each bad element of each array is listed with its pointer and its text, those too that only the whole file shows
    to be bad; the others are converted.
    """
    source = tmp_path / "a.json"
    source.write_bytes(COCO)
    report, rejects = set_aside(source, tmp_path, jobs)
    nine = '"category_id": 9, "bbox": [1, 1, 5, 5]}'
    assert [(code, pointer, detail, raw) for code, _, _, pointer, detail, raw in facts(rejects, source)] == [
        ("bad-number", "$.annotations[6]", "NaN", '{"id": 6, "image_id": 2, "category_id": 1, "bbox": [1, 1, NaN, 5]}'),
        ("bad-value", "$.categories[3]", "Expected `object`, got `int`", "5"),
        ("bad-value", "$.annotations[2]", "", '"é"'),
        ("bad-value", "$.annotations[1].bbox", "[1, 2]", '{"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2]}'),
        ("duplicate-category-id", "$.categories[1]", "id 1: dog", '{"id": 1, "name": "dog"}'),
        ("duplicate-image-id", "$.images[3]", "id 2: 2.jpg and 3.jpg", '{"id": 2, "file_name": "3.jpg"}'),
        ("missing-field", "$.categories[2]", "", '{"name": "cow"}'),
        ("missing-field", "$.annotations[5]", "", '{"id": 5, "image_id": 2, "category_id": 1}'),
        ("missing-field", "$.images[1]", "", '{"file_name": "x.jpg"}'),
        ("orphan-annotation", "$.annotations[3].category_id", "category_id 9", '{"id": 3, "image_id": 2, ' + nine),
        ("orphan-annotation", "$.annotations[4].image_id", "image_id 7", '{"id": 4, "image_id": 7, ' + nine),
    ]  # fmt: skip
    assert (report.read.images, report.read.boxes, report.exit_code) == (2, 2, ExitCode.SET_ASIDE)
    assert report.rejected_images == {"missing-field": 1, "duplicate-image-id": 1, "duplicate-image": 1}
    assert report.rejected_boxes == {"bad-number": 1, "bad-value": 2, "missing-field": 1, "orphan-annotation": 2}
    assert report.as_dict()["rejected"] == {"images": report.rejected_images, "boxes": report.rejected_boxes}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_rejects_of_json_lines(tmp_path: Path, jobs: int, header: bool) -> None:
    """Each bad line is listed with its number and text, bytes that are no UTF-8 escaped, and each object of an unknown
    class with its place in its line.
    """
    rows = [
        b'{"type":"image","file":"a.jpg","objects":[{"category":0,"bbox":[1,1,2,2]},{"category":"cow","bbox":[1,1,2,2]}]}',
        b"nonsense",
        b'{"type":"image","file":"\xff.jpg"}',
        b'{"type":"image","file":"b.jpg","objects":[{"category":0,"bbox":[1,1,2]}]}',
        b'{"type":"image","file":"c.jpg","objects":[]}',
    ]
    first = b'{"type":"dataset","class_names":{"0":"cat"},"bboxconv":1,"box":"xywh","categories":[{"name":"cat"}]}\n'
    source = tmp_path / "a.jsonl"
    source.write_bytes((first if header else b"") + b"\n".join(rows))
    report, rejects = set_aside(source, tmp_path, jobs)
    at = int(header)
    cow = ("unknown-class", "", at + 1, "$.objects[1]", "class 'cow'", '{"category":"cow","bbox":[1,1,2,2]}')
    assert [row[:4] + row[5:] for row in facts(rejects, source)] == [
        ("bad-encoding", "", at + 3, None, r'{"type":"image","file":"\xff.jpg"}'),
        ("bad-json", "", at + 2, None, "nonsense"),
        ("bad-value", "", at + 4, None, rows[3].decode()),
        *([cow[:4] + cow[5:]] if header else []),
    ]
    assert (report.images, report.read.images) == (2, 2)
    assert report.rejected_images == {"bad-encoding": 1, "bad-json": 1, "bad-value": 1}
    assert report.rejected_boxes == ({"unknown-class": 1} if header else {})


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_rejects_of_yolo(tmp_path: Path, jobs: int, named: bool) -> None:
    """Each bad row is listed with its file, line and text; a label file that cannot be read costs its image."""
    source = tmp_path / "y"
    (source / "images").mkdir(parents=True)
    (source / "labels").mkdir()
    for name in "abcd":
        (source / "images" / f"{name}.jpg").touch()
    (source / "labels" / "a.txt").write_bytes(b"0 .5 .5 .1 .1\r\n\r\n0 .5 oops .1 .1  \r0 .5 .5\n0 .5 .5 .2 .2")
    (source / "labels" / "b.txt").write_bytes(
        b"0.5 .5 .5 .1 .1\n\xff\xc3\xa9 .5 .5 .1 .1\n7 .5 .5 .1 .1\n0 .5 .5 .1 .1\n"
    )
    (source / "labels" / "c.txt").mkdir()
    (source / "labels" / "d.txt").write_bytes(b"1000000000 .5 .5 .1 .1")
    if named:
        (source / "data.yaml").write_text("names: [cat]\ntrain: images\n")
    report, rejects = set_aside(source, tmp_path, jobs, from_="yolo", batch_size=jobs)
    unknown = [
        ("unknown-class", "/labels/b.txt", 3, None, "class 7", "7 .5 .5 .1 .1"),
        ("unknown-class", "/labels/d.txt", 1, None, "class 1000000000", "1000000000 .5 .5 .1 .1"),
    ]
    assert facts(rejects, source) == [
        ("bad-number", "/labels/a.txt", 3, None, "oops", "0 .5 oops .1 .1"),
        ("bad-number", "/labels/b.txt", 2, None, "\\xffé", "\\xffé .5 .5 .1 .1"),
        ("bad-row", "/labels/a.txt", 4, None, "3 columns", "0 .5 .5"),
        ("bad-value", "/labels/b.txt", 1, None, "0.5", "0.5 .5 .5 .1 .1"),
        *(unknown if named else unknown[1:]),
    ]
    assert (report.read.images, report.read.boxes) == (4, 3 if named else 4)
    assert report.rejected_boxes == {"bad-number": 2, "bad-row": 1, "bad-value": 1, "unknown-class": 2 if named else 1}


VOC = "<annotation>\n<filename>{}.jpg</filename><size><width>99</width><height>99</height></size>\n{}</annotation>\n"
OBJECT = "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"


@pytest.mark.parametrize("jobs", [1, 3])
def test_rejects_of_voc(tmp_path: Path, jobs: int) -> None:
    """Each bad object is listed with its file, line and text; a file that is no XML, or whose image has another file,
    with its first bytes.
    """
    source = tmp_path / "v"
    source.mkdir()
    nameless = "<object><bndbox><xmin>1</xmin></bndbox></object>"
    sideless = "<object>\n<name>dog</name><bndbox><xmin>1</xmin></bndbox ></object >"
    texts = {
        "a": VOC.format("a", OBJECT.format(1) + nameless + OBJECT.format("x") + "\n" + sideless),
        "b": VOC.format("b", "<!-- <object> -->" + OBJECT.format("<![CDATA[y]]>")),
        "c": "<annotation>" + "é" * 1200 + "</annotatio",
        "d": VOC.format("a", OBJECT.format(1) * 3),
        "e": "<html/>",
    }
    for name, text in texts.items():
        (source / f"{name}.xml").write_text(text, "utf-8")
    report, rejects = set_aside(source, tmp_path, jobs, from_="voc", batch_size=jobs)
    assert facts(rejects, source) == [
        ("bad-number", "/a.xml", 3, None, "xmin is 'x'", OBJECT.format("x")),
        ("bad-number", "/b.xml", 3, None, "xmin is 'y'", OBJECT.format("y")),
        ("bad-xml", "/c.xml", 1, None, rejects[2]["detail"], "<annotation>" + "é" * 994 + "... (2,423 bytes)"),
        ("bad-xml", "/e.xml", 1, None, "it is <html>", "<html/>"),
        ("duplicate-image", "/d.xml", None, None, "'a.jpg'", texts["d"]),
        ("missing-field", "/a.xml", 5, None, "no <ymin>", sideless),
        ("missing-field", "/a.xml", 3, None, "", nameless),
    ]
    assert (report.read.images, report.read.boxes) == (2, 1)
    assert report.rejected_images == {"bad-xml": 2, "duplicate-image": 1}
    assert report.rejected_boxes == {"bad-number": 2, "missing-field": 2, "duplicate-image": 3}


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_a_target_cannot_take_is_listed_by_name(tmp_path: Path, jobs: int) -> None:
    """What was read well and is refused later has a place by image and box, and no text; it counts as read and left
    out.
    """
    rows = [box(1), box(2, bbox=[90, 90, 20, 20]), box(3, 2), box(4, 3), box(5, 4), box(6, 4)]
    images = [image(1), image(2, file_name="../2.jpg"), image(3, file_name=None), image(4, file_name="1.png")]
    source = coco(tmp_path / "a.json", images, rows, CAT)
    report, rejects = set_aside(source, tmp_path, jobs, to="yolo", on_invalid="fail", batch_size=jobs)
    assert [(r["code"], r["file"], r["pointer"], r["raw"]) for r in rejects] == [
        ("box-outside-image", str(source), "image 1.jpg, id 2", None),
        ("file-clash", None, None, None),
        ("missing-file-name", str(source), "image 3", None),
        ("unsafe-name", None, None, None),
    ]
    assert [r["where"] for r in rejects if r["file"] is None] == ["1.jpg and 1.png", "../2.jpg"]
    assert (report.read.images, report.read.boxes, report.images, report.boxes) == (4, 6, 1, 1)
    assert report.left_out_images == {"file-clash": 1, "unsafe-name": 1, "without a file name": 1}
    assert report.left_out_boxes == {
        "box-outside-image": 1,
        "file-clash": 2,
        "unsafe-name": 1,
        "without a file name": 1,
    }


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_class_that_voc_cannot_name_costs_its_boxes(tmp_path: Path, jobs: int) -> None:
    """Boxes of such a class count as left out, those of an image that is left out as well once."""
    rows = [box(1), box(2, category_id=2), box(3, 2), box(4, 2, category_id=2)]
    categories = [*CAT, {"id": 2, "name": "\x01"}]
    source = coco(tmp_path / "a.json", [image(1), image(2, file_name="/2.jpg")], rows, categories)
    report, _ = set_aside(source, tmp_path, jobs, to="voc")
    assert (report.read.boxes, report.boxes, report.images) == (4, 1, 1)
    assert report.left_out_boxes == {"bad-value": 2, "unsafe-name": 1}


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("kind", ["coco", "jsonl", "yolo"])
def test_twenty_thousand_faults_are_twenty_thousand_lines(tmp_path: Path, kind: str, jobs: int) -> None:
    """Every fault has a line of its own, whatever the memory, the batches and the processes; the report counts them and
    names the first five.
    """
    count = 20_000
    if kind == "coco":
        source = coco(tmp_path / "a", [image(1)], [box(n, bbox=[n]) for n in range(count)], CAT)
    elif kind == "jsonl":
        source = tmp_path / "a"
        source.write_text('{"type":"image","file":"a.jpg"}\n' + "".join(f'{{"type": {n}}}\n' for n in range(count)))
    else:
        source = tmp_path / "a"
        source.mkdir()
        for n in range(10):
            (source / f"{n}.txt").write_text("0 .5 .5 .1 .1\n" + "0 x .5 .1 .1\n" * (count // 10))
    report, rejects = set_aside(source, tmp_path, jobs, from_=kind, batch_size=3 if jobs == 3 else 4096, memory=1 << 20)
    assert len(rejects) == len({r["where"] for r in rejects}) == count
    (fault,) = [d for d in report.findings if d.severity == "error"]
    assert (fault.count, len(fault.places)) == (count, 5)
    assert [r["where"] for r in rejects[:5]] == [place.where for place in fault.places]


def test_rejects_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A million of them are held on disk, and written in their order."""
    rejects = Rejects()
    findings = Findings(True, rejects.collect)
    tracemalloc.start()
    for number in range(100_000):
        findings.add("bad-row", "a row", record=Record("a.txt", number + 1, raw=b"x" * 900))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 1 << 20
    rejects.write(tmp_path / "r.jsonl")
    with (tmp_path / "r.jsonl").open() as file:
        assert [json.loads(line)["line"] for line in file] == list(range(1, 100_001))


def test_a_hopeless_run_stops_within_one_source(tmp_path: Path) -> None:
    """The faults that --max-errors allows end the reading of a large file, and of a folder, where they are passed; the
    message says how many were seen.
    """
    large = coco(tmp_path / "a.json", [image(1)], [box(n, bbox=[n], note="x" * 800) for n in range(20_000)], CAT)
    folder = tmp_path / "y"
    folder.mkdir()
    for n in range(5000):
        (folder / f"{n:05}.txt").write_text("0 x .5 .1 .1\n")
    for source, unit in ((large, "bytes"), (folder, "images")):
        done: list[int] = []
        from_ = "coco" if source == large else "yolo"
        request = Request((str(source),), str(tmp_path / "o"), from_, "jsonl", on_error="skip", max_errors=50, jobs=1)
        with pytest.raises(DataError) as caught:
            pipeline.run(
                request,
                lambda what, count, total, of, done=done, unit=unit: done.append(count) if of == unit else None,
            )
        last = caught.value.diagnostics[-1]
        seen = sum(d.count for d in caught.value.diagnostics[:-1] if d.severity == "error")
        assert (last.code, last.message) == ("too-many-errors", f"stopped after {seen:,} errors: --max-errors is 50")
        assert 50 < seen < 5000
        assert sum(done) < (large.stat().st_size if source == large else 5000)
        assert not (tmp_path / "o").exists()


BREAKS = {
    "image": [{"file_name": "x"}, {"id": [], "file_name": "x"}, 7, "x", None],
    "annotation": [
        {"image_id": 1},
        box(1, bbox=[1]),
        box(1, bbox=[1, 2, 3, "4"]),
        box(1, category_id=99),
        box(1, 99),
        box(1, id={}),
        [],
        None,
    ],
}
KINDS = st.lists(st.one_of(st.none(), st.integers(0, 7)), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=KINDS, annotations=KINDS, first=st.booleans(), batch=st.integers(1, 9))
def test_what_is_left_is_what_a_file_without_the_bad_ones_gives(
    tmp_path: Path, images: list[int | None], annotations: list[int | None], first: bool, batch: int
) -> None:
    """COCO elements broken at random are set aside: the result is that of the file without them, byte for byte, each
    has a line with its text, and what was read and rejected is all that the file has.
    """
    good = [image(n) for n, kind in enumerate(images) if kind is None] or [image(0)]
    broken_images = [image(n) if kind is None else BREAKS["image"][kind % 5] for n, kind in enumerate(images)]
    of = [one["id"] for one in good]
    rows = [box(n, of[n % len(of)]) for n in range(len(annotations))]
    broken = [row if kind is None else BREAKS["annotation"][kind] for row, kind in zip(rows, annotations, strict=True)]
    all_images = broken_images if any(kind is None for kind in images) else [*broken_images, *good]
    known = {"images": all_images, "annotations": broken} if first else {"annotations": broken, "images": all_images}
    source, clean = tmp_path / "a.json", tmp_path / "b.json"
    source.write_text(json.dumps({**known, "categories": CAT}))
    left = [row for row, kind in zip(rows, annotations, strict=True) if kind is None]
    # an annotation of image 1 that is broken in its image alone is an orphan where there is no image 1, and else too
    coco(clean, good, left, CAT)
    report, rejects = set_aside(source, tmp_path, batch_size=batch)
    bboxconv.convert(clean, tmp_path / "clean.jsonl", overwrite=True)
    assert (tmp_path / "out1").read_bytes() == (tmp_path / "clean.jsonl").read_bytes()
    bad = [one for one, kind in zip(broken_images, images, strict=True) if kind is not None]
    bad += [one for one, kind in zip(broken, annotations, strict=True) if kind is not None]
    assert sorted(r["raw"] for r in rejects) == sorted(map(json.dumps, bad))
    assert report.read.images + sum(report.rejected_images.values()) == len(all_images)
    assert report.read.boxes + sum(report.rejected_boxes.values()) == len(broken)
    assert report.read.boxes == report.boxes + sum(report.left_out_boxes.values())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(["", "", "0 .5", "a 1 1 1 1", "1 2 3 4 nan", "3 .1 .1 .1 .1"]), max_size=30))
def test_yolo_without_its_bad_rows(tmp_path: Path, kinds: list[str]) -> None:
    """Rows broken at random are set aside, and the others are read as if they were alone."""
    rows = [kind or f"0 .5 .5 .{number + 1} .1" for number, kind in enumerate(kinds)]
    for name, text in (("a", rows), ("b", [row for row, kind in zip(rows, kinds, strict=True) if not kind])):
        folder = tmp_path / name
        (folder / "labels").mkdir(parents=True, exist_ok=True)
        (folder / "data.yaml").write_text("names: [cat]\ntrain: labels\n")
        (folder / "labels" / "1.txt").write_text("\n".join(text))
    report, rejects = set_aside(tmp_path / "a", tmp_path, from_="yolo") if any(kinds) else (None, [])
    bboxconv.convert(tmp_path / "b", tmp_path / "clean.jsonl", from_="yolo", overwrite=True)
    assert [r["raw"] for r in sorted(rejects, key=lambda r: r["line"])] == [kind for kind in kinds if kind]
    if report is not None:
        assert (tmp_path / "out1").read_bytes() == (tmp_path / "clean.jsonl").read_bytes()
        assert report.read.boxes + sum(report.rejected_boxes.values()) == len(kinds)
