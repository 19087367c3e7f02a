"""COCO: what a reader and a writer of it owe to the specification, and to files that ignore it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bboxconv
from bboxconv import registry, schema
from bboxconv.codec import Source
from bboxconv.errors import DataError, ExitCode, UsageError
from bboxconv.formats import coco
from bboxconv.formats.coco import reading
from bboxconv.readers.jsonstream import read_document
from bboxconv.report import Report

Coco = dict[str, Any]
GOLDEN = Path(__file__).parent / "golden" / "coco"


def image(number: object = 1, name: str = "a.jpg", **more: object) -> Coco:
    """An image, and more keys of it."""
    return {"id": number, "file_name": name, "width": 100, "height": 50, **more}


def annotation(number: object = 1, **more: object) -> Coco:
    """A whole annotation; a key whose value is ... is left out."""
    whole = {"id": number, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0, **more}
    return {key: value for key, value in whole.items() if value is not ...}


def document(*annotations: Coco, **more: object) -> Coco:
    """A document of one image and one category; a key whose value is ... is left out."""
    found = {"images": [image()], "annotations": list(annotations), "categories": [{"id": 1, "name": "cat"}], **more}
    return {key: value for key, value in found.items() if value is not ...}


def save(path: Path, what: object) -> Path:
    """Write a text, bytes, or a document as JSON."""
    path.write_bytes(
        what if isinstance(what, bytes) else (what if isinstance(what, str) else json.dumps(what)).encode()
    )
    return path


def unique(pairs: list[tuple[str, object]]) -> Coco:
    """For json.loads: an object in which no key stands twice."""
    assert len({key for key, _ in pairs}) == len(pairs), f"a key stands twice: {pairs}"
    return dict(pairs)


def convert(tmp_path: Path, what: object, name: str = "out.json", **options: object) -> tuple[Report, Coco]:
    """The report of a conversion, and what was written as the standard library reads it."""
    report = bboxconv.convert(save(tmp_path / "in.json", what), tmp_path / name, from_="coco", **options)  # type: ignore[arg-type]
    text = (tmp_path / name).read_text(encoding="utf-8") if name.endswith(".json") else "{}"
    return report, json.loads(text, object_pairs_hook=unique)


def through(tmp_path: Path, what: object, between: str = "between.parquet", **options: object) -> Coco:
    """What comes back from COCO to another format and to COCO again."""
    convert(tmp_path, what, between, **options)
    bboxconv.convert(tmp_path / between, tmp_path / "back.json", to="coco")
    found: Coco = json.loads((tmp_path / "back.json").read_text(encoding="utf-8"), object_pairs_hook=unique)
    return found


def faults(tmp_path: Path, what: object, **options: object) -> list[tuple[str, list[str]]]:
    """Code and places, without the path, of every error of a document that is refused; nothing is written."""
    with pytest.raises(DataError) as caught:
        convert(tmp_path, what, **options)
    assert {path.name for path in tmp_path.iterdir()} <= {"in.json", "header.json"}
    errors = [d for d in caught.value.diagnostics if d.severity == "error"]
    return [(d.code, [place.where.rpartition("in.json")[2].removeprefix(": ") for place in d.places]) for d in errors]


def seen(report: Report) -> dict[str, int]:
    """How often each code was found."""
    return {finding.code: finding.count for finding in report.findings}


# -- whole documents


def test_written_text_is_this(tmp_path: Path) -> None:
    """A document with every oddity that the format allows is written as the golden file, which keeps all of it."""
    report = bboxconv.convert(GOLDEN / "in.json", tmp_path / "out.json", to="coco")
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == (GOLDEN / "out.json").read_text(encoding="utf-8")
    assert report.filled == {"object.id": 1, "object.area": 1, "object.iscrowd": 1}
    assert report.lost == {}


def test_the_golden_output_holds_what_the_input_holds() -> None:
    """By the standard library's reading, the golden files differ in what is filled in and in nothing else."""
    given, written = (json.loads((GOLDEN / name).read_text(encoding="utf-8")) for name in ("in.json", "out.json"))
    given["annotations"][2].update(id=13, area=56, iscrowd=0)
    for key in ("annotations", "categories"):
        given[key].sort(key=lambda item: item["id"])
    assert written == given


def test_writing_again_changes_no_byte(tmp_path: Path) -> None:
    """What was written reads and is written again to the same bytes."""
    bboxconv.convert(GOLDEN / "out.json", tmp_path / "again.json", to="coco")
    assert (tmp_path / "again.json").read_bytes() == (GOLDEN / "out.json").read_bytes()


@pytest.mark.parametrize("between", ["b.parquet", "b.jsonl"])
def test_the_golden_document_survives_the_lossless_formats(tmp_path: Path, between: str) -> None:
    """Through Parquet and JSON Lines every key and value comes back, nested nulls and raw numbers included."""
    back = through(tmp_path, (GOLDEN / "in.json").read_bytes(), between)
    assert back == json.loads((GOLDEN / "out.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "order",
    [
        ("annotations", "categories", "images"),
        ("images", "annotations", "categories"),
        ("categories", "images", "annotations"),
    ],
)
@pytest.mark.parametrize(
    "style", [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False, "indent": "\t"}]
)
def test_order_and_white_space_do_not_matter(tmp_path: Path, order: tuple[str, ...], style: dict[str, Any]) -> None:
    """Any order of the top-level keys and any white space gives the same file."""
    whole = document(annotation(2, note="e"), annotation(1), images=[image(2, "b.jpg"), image()])
    convert(tmp_path, whole, "plain.json")
    convert(tmp_path, json.dumps({key: whole[key] for key in order}, **style), "other.json")
    assert (tmp_path / "plain.json").read_bytes() == (tmp_path / "other.json").read_bytes()


@pytest.mark.parametrize("name", ["in.json.gz", "in.json.zst", "in.json"])
def test_compressed_input_reads_as_its_text(tmp_path: Path, name: str) -> None:
    """gzip and zstd are known by their content, whatever the name."""
    text = json.dumps(document(annotation())).encode()
    packed = gzip.compress(text) if name != "in.json.zst" else pa.Codec("zstd").compress(text, asbytes=True)
    bboxconv.convert(save(tmp_path / name, packed), tmp_path / "out.json", from_="coco")
    assert json.loads((tmp_path / "out.json").read_text())["annotations"] == [annotation()]


@pytest.mark.parametrize("name", ["out.json.gz", "out.json.zst"])
def test_compressed_output_is_the_same_text(tmp_path: Path, name: str) -> None:
    """A destination that ends with .gz or .zst is compressed, to the same bytes every time."""
    source = save(tmp_path / "in.json", document(annotation()))
    for folder in ("one", "two"):
        bboxconv.convert(source, tmp_path / folder / name)
    convert(tmp_path, document(annotation()), "plain.json")
    with pa.input_stream(str(tmp_path / "one" / name)) as file:
        assert file.read() == (tmp_path / "plain.json").read_bytes()
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_other_top_level_keys_are_kept_raw(tmp_path: Path) -> None:
    """info, licenses and every unknown key come back, whatever their type, an explicit null too."""
    more = {"info": None, "licenses": [], "version": "5.2", "x": {"images": [{}]}, 'é"': 1e-7, "": [[]]}
    _, found = convert(tmp_path, document(annotation(), **more))
    assert {key: found[key] for key in more} == more


# -- values


NULLS = ["id", "area", "iscrowd", "segmentation", "keypoints", "score", "track_id", "difficult", "truncated"]


@pytest.mark.parametrize("between", ["b.parquet", "out.json"])
@pytest.mark.parametrize("key", NULLS)
def test_an_explicit_null_comes_back_as_null(tmp_path: Path, key: str, between: str) -> None:
    """A null is no value to fill over: pycocotools' users tell an unknown area from one that was left out."""
    whole = annotation(**{key: None}) if key != "id" else annotation(None)
    assert through(tmp_path, document(whole), between)["annotations"] == [whole]


@pytest.mark.parametrize("key", ["file_name", "width", "height", "video", "frame", "license"])
def test_a_null_of_an_image_comes_back_as_null(tmp_path: Path, key: str) -> None:
    """The nulls of images are kept as those of annotations are."""
    whole = {**image(), key: None}
    assert through(tmp_path, document(images=[whole]))["images"] == [whole]


def lines(path: Path, *rows: Coco) -> Path:
    """JSON Lines of a header with the class cat, which the first row adds to, and of images."""
    first = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"id": 1, "name": "cat"}], **rows[0]}
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, *rows[1:])), encoding="utf-8")
    return path


def test_top_level_keys_of_its_own_are_written_once(tmp_path: Path) -> None:
    """What another format says under a key that COCO has itself is lost, counted, and no second key."""
    given = lines(tmp_path / "a.jsonl", {"extra": {"images": [1], "info": {"year": 1}, "scenes": [2]}})
    report = bboxconv.convert(given, tmp_path / "out.json")
    assert report.lost == {"extra.images": 1, "extra.info": 1}
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"), object_pairs_hook=unique)
    assert (found["images"], found["scenes"], "info" in found) == ([], [2], False)


def test_keys_inside_of_a_line_make_no_document(tmp_path: Path) -> None:
    """JSON Lines that hold keys of COCO inside of others are no COCO; a document on one line is."""
    given = lines(tmp_path / "a.jsonl", {"info": {"annotations": [], "images": []}})
    assert registry.detect(Source(given))[0].INFO.name == "jsonl"
    text = json.dumps(document(annotation())).encode()
    for found in (text, text + b"\n", text[:200]):
        match = coco.detect(tmp_path / "a.json", found)
        assert match is not None
        assert match.evidence.startswith("top-level keys images, annotations")


@pytest.mark.filterwarnings("error")
def test_an_area_beyond_numbers_is_not_written(tmp_path: Path) -> None:
    """A box whose area is no float64 has none, and it is not counted as filled."""
    big = annotation(1, bbox=[0, 0, 1e200, 1e200], area=...)
    report, found = convert(tmp_path, document(big, annotation(2, area=...)))
    assert ["area" in one for one in found["annotations"]] == [False, True]
    assert report.filled == {"object.area": 1}


def test_rotations_are_counted_of_what_is_written(tmp_path: Path) -> None:
    """A turned box that is left out for another reason is not among those whose rotation was changed."""
    boxes = [{"category": 0, "bbox": [0, 0, 4, 2], "rotation": 90.0}, {"bbox": [0, 0, 4, 2], "rotation": 90.0}]
    form = {"kind": "xywh", "rotation": {"unit": "degree", "sense": "cw", "pivot": "center"}}
    given = lines(tmp_path / "a.jsonl", {"box": form}, {"type": "image", "file": "a.jpg", "objects": boxes})
    report = bboxconv.convert(given, tmp_path / "out.json", on_error="skip")
    assert (report.boxes, report.left_out_boxes) == (1, {"without a class": 1})
    values = report.fields["object.rotation"]
    assert (values.count, dict(values.changed)) == (1, {"envelope": 1})


def test_a_segmentation_of_null_is_no_segmentation(tmp_path: Path) -> None:
    """A null segmentation is not counted as one that a target cannot carry."""
    report, _ = convert(tmp_path, document(annotation(segmentation=None)), "voc", to="voc")
    assert "object.segmentation" not in report.lost


ODD = {
    "area": ["12", 9007199254740993, 10**400, -0.0, 1e-300, True, [1]],
    "iscrowd": [2, "0", 1.0, -1, 300, []],
    "score": ["high", 0.1, 1, {}],
    "keypoints": ["none", {}, 7],
    "segmentation": ["none", 7, [], [[]]],
    "track_id": ["t", 1.5, 2**64, -(2**63)],
    "attributes": [None, {"a": [1, {"b": None}]}, "\u0041\U0001f600", 1e-320, 2**70],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ODD.items() for value in values])
def test_a_value_of_an_unusual_type_survives(tmp_path: Path, key: str, value: object) -> None:
    """What does not fit its column is carried as it is written, to the last digit."""
    whole = annotation(**{key: value})
    (found,) = through(tmp_path, document(whole))["annotations"]
    assert found == whole


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", "640"), ("width", 0), ("height", -1), ("width", 1.5), ("frame", 0), ("video", 3), ("file_name", 5)],
)
def test_an_unusual_value_of_an_image_survives(tmp_path: Path, key: str, value: object) -> None:
    """A size or a name that is none is carried as it is written."""
    whole = {**image(), key: value}
    assert through(tmp_path, document(images=[whole]))["images"] == [whole]


def test_the_first_frame_is_a_number(tmp_path: Path) -> None:
    """Frames are counted from 0: the first one stands in the column as the others do."""
    convert(tmp_path, document(images=[image(1, frame=0), image(2, frame=1)]), "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["frame"].to_pylist() == [0, 1]


def test_a_size_with_a_point_is_a_size(tmp_path: Path) -> None:
    """640.0 is the number 640."""
    convert(tmp_path, document(images=[{**image(), "width": 640.0}]), "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["width"].to_pylist() == [640]


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "a\\b",
        "a\nb",
        "a` - at `$[0]",
        "",
        "é",
        "$",
        "self",
        "__class__",
        "element",
        "extra",
        "split",
        "objects",
        "f0",
    ],
)
def test_a_key_of_any_name_survives(tmp_path: Path, name: str) -> None:
    """A key may hold quotes, backslashes and control characters, or be called as a column is."""
    whole, wide = annotation(**{name: [1]}), image(1, **{name: "x"})
    back = through(tmp_path, document(whole, images=[wide]))
    assert (back["annotations"], back["images"]) == ([whole], [wide])


def test_more_keys_than_a_struct_may_have_survive(tmp_path: Path) -> None:
    """A hundred different keys, a new one in every element, are all carried."""
    rows = [annotation(i, **{f"k{i}": i, f"l{i % 7}": [i]}) for i in range(1, 101)]
    assert through(tmp_path, document(*rows))["annotations"] == rows


def test_the_last_of_two_equal_keys_wins(tmp_path: Path) -> None:
    """Inside an element the standard library's rule holds: the last one."""
    text = json.dumps(document(annotation())).replace('"area": 12', '"area": 5, "x": 1, "x": 2, "\\u0061rea": 7')
    _, found = convert(tmp_path, text)
    assert found["annotations"] == [annotation(area=7, x=2)]


NAMES = ["\u0041\U0001f600é", "a\u0000b", "\x01\x1f\x7f", 'a "quoted" name', "back\\slash", "null", "\u2028", "{},{"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_text_survives(tmp_path: Path, name: str, ascii_only: bool) -> None:
    """Escaped and plain characters of names and values come back, NUL and other control characters too."""
    whole = document(
        annotation(note=name), images=[image(1, name)], categories=[{"id": 1, "name": name, "supercategory": name}]
    )
    back = through(tmp_path, json.dumps(whole, ensure_ascii=ascii_only))
    assert back == whole


# -- ids

WRITTEN = [1, "1", 1.5, "é", -7, 0, 2**53 + 1, 2**53, 2**63 - 1, 2**64, 2**64 + 1, '"', "1.0", -(2**63), 1e300, ""]


@pytest.mark.parametrize("between", ["b.parquet", "out.json"])
def test_ids_of_every_kind_join_their_own_and_no_other(tmp_path: Path, between: str) -> None:
    """Ids that differ as JSON never become equal: 1 and "1", 2^53 and 2^53+1, 2^64 and 2^64+1."""
    whole = document(
        *(annotation(i, image_id=key, category_id=key) for i, key in enumerate(WRITTEN)),
        images=[image(key, f"{i}.jpg") for i, key in enumerate(WRITTEN)],
        categories=[{"id": key, "name": f"c{i}"} for i, key in enumerate(WRITTEN)],
    )
    back = through(tmp_path, whole, between)
    names = {json.dumps(item["id"]): item["file_name"] for item in back["images"]}
    classes = {json.dumps(item["id"]): item["name"] for item in back["categories"]}
    assert names == {json.dumps(key): f"{i}.jpg" for i, key in enumerate(WRITTEN)}
    assert classes == {json.dumps(key): f"c{i}" for i, key in enumerate(WRITTEN)}
    assert sorted((a["id"], json.dumps(a["image_id"]), json.dumps(a["category_id"])) for a in back["annotations"]) == [
        (i, json.dumps(key), json.dumps(key)) for i, key in enumerate(WRITTEN)
    ]


def test_an_integer_with_a_point_is_that_integer(tmp_path: Path) -> None:
    """1.0 and 1 are one id: pandas writes whole columns with a point."""
    rows = [annotation(1.0, image_id=1.0, category_id=1), annotation(2, image_id=1, category_id=1.0)]
    _, found = convert(tmp_path, document(*rows, categories=[{"id": 1.0, "name": "cat"}]))
    assert found["annotations"] == [annotation(1), annotation(2)]
    assert '"id":1,' in (tmp_path / "out.json").read_text()


def test_escapes_do_not_make_another_id(tmp_path: Path) -> None:
    """An id written with an escape joins the same id written without."""
    text = json.dumps(
        document(annotation(image_id="A", category_id="é"), images=[image("A")], categories=[{"id": "é", "name": "c"}])
    )
    report, _ = convert(
        tmp_path, text.replace('"image_id": "A"', '"image_id": "\\u0041"').replace('{"id": "\\u00e9"', '{"id": "é"')
    )
    assert report.boxes == 1


@pytest.mark.parametrize("key", ["1", 1.5, 2, 2**64, 0])
@pytest.mark.parametrize("what", ["image", "category"])
def test_an_orphan_is_a_fault_with_its_place(tmp_path: Path, what: str, key: object) -> None:
    """An annotation whose image or category does not exist is a fault at that key; the id is named, 0 too."""
    whole = document(annotation(1), annotation(2, **{f"{what}_id": key}))
    assert faults(tmp_path, whole) == [("orphan-annotation", [f"$.annotations[1].{what}_id"])]
    with pytest.raises(DataError, match=rf"{what}_id {json.dumps(key)}$".replace('"', '\\"')):
        convert(tmp_path, whole)


@pytest.mark.parametrize("ids", [(7, 5, 6), (-3, 20, 4), (-(2**63), 0, 2**63 - 1), (10**18, 10**18 + 1, 5)])
def test_annotations_find_their_images_however_far_apart_ids_lie(tmp_path: Path, ids: tuple[int, ...]) -> None:
    """Each annotation is with the image of its id, whether ids are close together or at the ends of int64, and those
    beside the known ids are orphans."""
    images = [image(key, f"{key}.jpg") for key in ids]
    known = [annotation(number, image_id=key) for number, key in enumerate(ids, 1)]
    convert(tmp_path, document(*known, images=images), "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    assert [(line["id"], [item["id"] for item in line["objects"]]) for line in lines] == [
        (key, [number]) for number, key in enumerate(ids, 1)
    ]
    (tmp_path / "out.jsonl").unlink()
    beside = [key for key in {key + step for key in ids for step in (-1, 1)} - {*ids} if -(2**63) <= key < 2**63]
    strays = [annotation(9, image_id=key) for key in beside]
    found = faults(tmp_path, document(*strays, images=images))
    assert found == [("orphan-annotation", [f"$.annotations[{n}].image_id" for n in range(len(beside))][:5])]


@pytest.mark.parametrize("key", [True, [], {}, [[1]]])
@pytest.mark.parametrize("name", ["id", "image_id", "category_id", "track_id"])
def test_what_is_no_id_is_a_fault(tmp_path: Path, name: str, key: object) -> None:
    """A boolean, an array or an object is no id."""
    assert faults(tmp_path, document(annotation(), {**annotation(), name: key})) == [
        ("bad-value", [f"$.annotations[1].{name}"])
    ]


def test_an_annotation_without_an_image_is_a_fault(tmp_path: Path) -> None:
    """image_id is needed, and null is none."""
    rows = [annotation(image_id=...), annotation(image_id=None)]
    assert faults(tmp_path, document(*rows)) == [
        ("missing-field", ["$.annotations[0]"]),
        ("bad-value", ["$.annotations[1].image_id"]),
    ]


def test_repeated_annotation_ids_are_kept_and_named(tmp_path: Path) -> None:
    """Two annotations of one id are both kept, with a warning that names it."""
    report, found = convert(tmp_path, document(annotation(5), annotation(5, area=1)))
    assert seen(report) == {"duplicate-annotation-id": 1}
    assert [a["area"] for a in found["annotations"]] == [12, 1]


def test_repeated_images(tmp_path: Path) -> None:
    """The same image twice is kept once with a warning; one id for two images is a fault that names both."""
    report, found = convert(tmp_path, document(annotation(), images=[image(), image()]))
    assert (seen(report), len(found["images"])) == ({"duplicate-image": 1}, 1)
    (tmp_path / "out.json").unlink()
    with pytest.raises(DataError, match=r"in\.json: \$\.images\[1\]: id 1: a\.jpg and b\.jpg"):
        convert(tmp_path, document(annotation(), images=[image(), image(1, "b.jpg")]))


def test_repeated_categories(tmp_path: Path) -> None:
    """One id for two categories is a fault; one name for two is a warning, and both are kept."""
    same_name = [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]
    report, found = convert(tmp_path, document(annotation(category_id=2), categories=same_name))
    assert (seen(report), found["categories"]) == ({"duplicate-category-name": 1}, same_name)
    assert found["annotations"][0]["category_id"] == 2
    (tmp_path / "out.json").unlink()
    same_id = [{"id": 1, "name": "cat"}, {"id": 1.0, "name": "dog"}]
    assert faults(tmp_path, document(annotation(), categories=same_id)) == [
        ("duplicate-category-id", ["$.categories[1]"])
    ]


def test_odd_categories(tmp_path: Path) -> None:
    """A category without an id is a fault with its place; one without a name gets its id with a warning."""
    report, found = convert(
        tmp_path, document(annotation(category_id="b"), categories=[{"id": "b"}, {"id": 4, "name": None}])
    )
    assert seen(report) == {"category-without-name": 2}
    assert [c["name"] for c in found["categories"]] == ["4", "b"]
    (tmp_path / "out.json").unlink()
    odd = [
        {"id": 1, "name": "cat"},
        {"name": "x"},
        {"id": None, "name": "y"},
        {"id": True, "name": "z"},
        {"id": [], "name": "w"},
    ]
    places = [f"$.categories[{i}]" for i in (1, 2, 3, 4)]
    assert faults(tmp_path, document(annotation(), categories=odd)) == [("missing-field", places)]


# -- boxes

BAD_BOXES = [
    "[1, 2, 3]",
    "[1, 2, 3, 4, 5]",
    '["1", 2, 3, 4]',
    "[true, 2, 3, 4]",
    "[null, 2, 3, 4]",
    "{}",
    '"1 2 3 4"',
    "[]",
    "7",
    "false",
    "[[1, 2, 3, 4]]",
]


@pytest.mark.parametrize("text", BAD_BOXES)
def test_what_is_no_box_is_a_fault(tmp_path: Path, text: str) -> None:
    """A bbox is four numbers; a boolean is none."""
    whole = json.dumps(document(annotation(), annotation(bbox=0), annotation())).replace('"bbox": 0', f'"bbox": {text}')
    assert faults(tmp_path, whole) == [("bad-value", ["$.annotations[1].bbox"])]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("NaN", ""),
        ("Infinity", ""),
        ("-Infinity", ""),
        ("1e400", ".bbox"),
        ("1" + "0" * 400, ".bbox"),
        ("1" * 5000, ".bbox"),
    ],
)
def test_a_number_that_is_not_finite_is_a_fault(tmp_path: Path, text: str, path: str) -> None:
    """Neither json.dump's NaN nor a number beyond a double is a coordinate."""
    whole = json.dumps(document(annotation(), annotation(bbox=[0, 7, 0, 0]))).replace("[0, 7,", f"[0, {text},")
    assert faults(tmp_path, whole) == [("bad-number", [f"$.annotations[1]{path}"])]


def test_a_box_from_polygons(tmp_path: Path) -> None:
    """An annotation without bbox gets the extent of all its polygons, and shape polygon."""
    whole = annotation(bbox=..., segmentation=[[5, 5, 9, 5, 9, 7.5], [1, 20, 2, 21, 3, 22]])
    convert(tmp_path, document(annotation(1), {**whole, "id": 2}), "b.parquet")
    objects = pq.read_table(tmp_path / "b.parquet")["objects"].to_pylist()[0]
    assert [o["bbox"] for o in objects] == [[1, 2, 3, 4], [1, 5, 8, 17]]
    assert [o["shape"] for o in objects] == [None, "polygon"]


RLE = [{"size": [50, 100], "counts": [5, 3, 4992]}, {"size": [50, 100], "counts": "PPYo1"}]


@pytest.mark.parametrize(
    "more", [{"segmentation": RLE[0]}, {"segmentation": RLE[1]}, {"keypoints": [1, 2, 2], "num_keypoints": 1}]
)
def test_a_mask_or_keypoints_without_a_bbox_are_kept(tmp_path: Path, more: Coco) -> None:
    """Results of masks and of keypoints have no bbox: they are carried without one, and no area is made up."""
    whole = annotation(bbox=..., area=..., **more)
    assert through(tmp_path, document(whole))["annotations"] == [whole]
    report, _ = convert(tmp_path, document(whole), "voc", to="voc")
    assert report.left_out_boxes == {"without a bbox": 1}


@pytest.mark.parametrize("place", ["", ',"segmentation":[[1,2,3]]', ',"segmentation":"12"'])
def test_an_object_that_nothing_places_is_left_out(tmp_path: Path, place: str) -> None:
    """It could not be read again: it is counted by its reason, and the others are written."""
    (tmp_path / "in.jsonl").write_text(
        '{"bboxconv":1,"type":"dataset","box":"xywh","categories":[{"name":"cat"}]}\n'
        '{"type":"image","file":"a.jpg","objects":['
        f'{{"category":0{place}}},{{"category":0,"keypoints":[1,2,2]}},{{"category":0,"bbox":[1,2,3,4]}}]}}\n'
    )
    report = bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out.json", verify=True)
    assert report.left_out_boxes == {"without a bbox, polygon, mask or keypoints": 1}
    written = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [row.get("bbox") for row in written] == [None, [1, 2, 3, 4]]


def test_an_area_that_is_no_finite_number_is_not_filled_in(tmp_path: Path) -> None:
    """JSON has no infinity, and null would be another value than none."""
    rows = (annotation(1, bbox=[0, 0, 1e200, 1e200], area=...), annotation(2, bbox=[1, 2, 3, 4], area=...))
    report, found = convert(tmp_path, document(*rows), verify=True)
    assert [row.get("area", "none") for row in found["annotations"]] == ["none", 12]
    assert report.filled["object.area"] == 1


NOWHERE: list[object] = [
    ...,
    [],
    [[]],
    [[1, 2, 3]],
    [["1", "2"]],
    [[None, 1]],
    "12",
    ["12"],
    5,
    [[1e308, 0, -1e308, 0]],
    [[[1, 2], [3, 4]]],
]


@pytest.mark.parametrize("segmentation", NOWHERE)
def test_an_annotation_that_nothing_places_is_a_fault(tmp_path: Path, segmentation: object) -> None:
    """Without bbox, polygon, mask and keypoints there is no place: a polygon is pairs of finite numbers."""
    whole = document(annotation(), annotation(bbox=..., segmentation=segmentation))
    assert faults(tmp_path, whole) == [("missing-field", ["$.annotations[1]"])]


@pytest.mark.parametrize("first", ["images", "annotations"])
def test_drawn_fields_that_are_not_written_are_read_all_the_same(tmp_path: Path, first: str) -> None:
    """On the way to YOLO polygons and keypoints are counted as lost where they stand, give boxes that are lacking, and
    are faults where they are no text."""
    whole = document(
        annotation(1, bbox=..., segmentation=[[10, 10, 30, 10, 20, 40]]),
        annotation(2, segmentation={"counts": [0, 4], "size": [2, 2]}, iscrowd=0),
        annotation(3, segmentation=None),
        annotation(4, keypoints=[1, 2, 2]),
    )
    ordered = {first: whole[first], **whole}
    report = bboxconv.convert(save(tmp_path / "in.json", ordered), tmp_path / "yolo", to="yolo", from_="coco")
    assert {key: report.lost[key] for key in ("object.segmentation", "object.keypoints")} == {
        "object.segmentation": 2,
        "object.keypoints": 1,
    }
    assert report.fields["object.segmentation"].places == (
        f"{tmp_path / 'in.json'}: image a.jpg, id 1",
        f"{tmp_path / 'in.json'}: image a.jpg, id 2",
    )
    rows = (tmp_path / "yolo" / "labels" / "a.txt").read_text().splitlines()
    assert rows == ["0 0.2 0.5 0.2 0.6", *["0 0.025 0.08 0.03 0.08"] * 3]
    broken = json.dumps(ordered).replace("[10, 10, 30", '["?", 10, 30').encode().replace(b"?", b"\xff")
    with pytest.raises(DataError, match="bad-encoding"):
        bboxconv.convert(save(tmp_path / "in.json", broken), tmp_path / "again", to="yolo", from_="coco")


def test_a_null_bbox_comes_back_as_null(tmp_path: Path) -> None:
    """A null bbox beside a polygon is read as its extent, and written as null to COCO."""
    whole = annotation(bbox=None, segmentation=[[1, 2, 5, 2, 5, 8]])
    assert through(tmp_path, document(whole))["annotations"] == [whole]
    assert pq.read_table(tmp_path / "between.parquet")["objects"].to_pylist()[0][0]["bbox"] == [1, 2, 4, 6]


@pytest.mark.parametrize("value", [..., None])
def test_an_annotation_without_a_category(tmp_path: Path, value: object) -> None:
    """It reads; COCO needs a class, which --default-class gives, and the key stands once."""
    whole = document(annotation(category_id=value))
    assert [code for code, _ in faults(tmp_path, whole)] == ["missing-class"]
    convert(tmp_path, whole, "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["objects"].to_pylist()[0][0]["category"] is None
    _, found = convert(tmp_path, whole, default_class="cat")
    assert found["annotations"] == [annotation()]


# -- segmentation


def test_segmentation_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """While units stay, polygons and masks are text: spelling of numbers and white space included."""
    texts = [
        "[[1.50,2e0 ,3.0,\n4,5,6]]",
        '{"counts" : [1,2], "size":[ 50,100]}',
        '{"size":[50,100],"counts":"a\\\\b"}',
        "[[ ]]",
    ]
    whole = json.dumps(document(*(annotation(i, segmentation=f"s{i}") for i in range(4))))
    for i, text in enumerate(texts):
        whole = whole.replace(f'"s{i}"', text)
    convert(tmp_path, whole)
    written = (tmp_path / "out.json").read_text()
    assert [text in written for text in texts] == [True] * 4


def test_polygons_follow_the_units_of_the_boxes(tmp_path: Path) -> None:
    """As fractions of the image polygons and keypoints are divided by its size and come back to 1e-9; masks stay."""
    polygon, points = [[10.5, 20, 33.3, 40.1, 7, 49]], [25, 10, 2, 0, 0, 0]
    rows = [
        annotation(1, segmentation=polygon, keypoints=points),
        annotation(2, segmentation=RLE[0]),
        annotation(3, segmentation=RLE[1], iscrowd=1),
    ]
    back = through(tmp_path, document(*rows), box="xywhn")["annotations"]
    objects = pq.read_table(tmp_path / "between.parquet")["objects"].to_pylist()[0]
    assert json.loads(objects[0]["segmentation"]) == [[v / s for v, s in zip(polygon[0], [100, 50] * 3, strict=True)]]
    assert json.loads(objects[0]["keypoints"]) == [0.25, 0.2, 2, 0, 0, 0]
    assert [json.loads(o["segmentation"]) for o in objects[1:]] == RLE
    assert back[0]["segmentation"][0] == pytest.approx(polygon[0], rel=0, abs=1e-9)
    assert back[0]["keypoints"] == pytest.approx(points, rel=0, abs=1e-9)
    assert [a["bbox"] for a in back] == [pytest.approx([1, 2, 3, 4], rel=0, abs=1e-9)] * 3
    assert [a["segmentation"] for a in back[1:]] == RLE


# -- documents that are not instances


RESULTS = [
    {"image_id": 9, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.25},
    {"image_id": 8, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 1},
]


def test_results_alone(tmp_path: Path) -> None:
    """A list of results names its images and categories by their ids."""
    report, found = convert(tmp_path, RESULTS)
    assert found["images"] == [{"id": 9}, {"id": 8}]
    assert found["categories"] == [{"id": 1, "name": "1"}, {"id": 3, "name": "3"}]
    filled = {"iscrowd": 0}
    assert found["annotations"] == [
        {**RESULTS[0], "id": 1, "area": 12, **filled},
        {**RESULTS[1], "id": 2, "area": 56, **filled},
    ]
    assert report.filled == {"object.id": 2, "object.area": 2, "object.iscrowd": 2}


def test_results_with_ids_that_are_texts(tmp_path: Path) -> None:
    """Text ids of images and categories work in a list too."""
    _, found = convert(tmp_path, [{"image_id": "é", "category_id": "dog", "bbox": [1, 2, 3, 4]}])
    assert (found["images"], found["categories"]) == ([{"id": "é"}], [{"id": "dog", "name": "dog"}])
    assert (found["annotations"][0]["image_id"], found["annotations"][0]["category_id"]) == ("é", "dog")


def header(tmp_path: Path) -> Path:
    """A COCO file of two images and two categories, with annotations that nobody asks for."""
    whole = document(
        *(annotation(i) for i in range(50)), images=[image(8, "b.jpg"), image(9, "c.jpg")], info={"y": 1}, more=[1]
    )
    return save(tmp_path / "header.json", {**whole, "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}]})


def test_results_with_a_header(tmp_path: Path) -> None:
    """`--in header` gives images, categories, info and other keys, and none of its annotations."""
    report, found = convert(tmp_path, RESULTS, in_={"header": str(header(tmp_path))})
    assert [i["file_name"] for i in found["images"]] == ["b.jpg", "c.jpg"]
    assert [c["name"] for c in found["categories"]] == ["cat", "dog"]
    assert (found["info"], found["more"], report.boxes) == ({"y": 1}, [1], 2)
    assert [(a["image_id"], a["score"]) for a in found["annotations"]] == [(8, 1), (9, 0.25)]


def test_results_of_other_images_than_the_header_has(tmp_path: Path) -> None:
    """A result whose image is not in the header is an orphan, with its place in the list."""
    whole = [*RESULTS, {**RESULTS[0], "image_id": 7}]
    assert faults(tmp_path, whole, in_={"header": str(header(tmp_path))}) == [("orphan-annotation", ["$[2].image_id"])]


def test_a_header_that_does_not_exist(tmp_path: Path) -> None:
    """It is a wrong command, as every missing path."""
    with pytest.raises(UsageError, match="path-not-found"):
        convert(tmp_path, RESULTS, in_={"header": str(tmp_path / "none.json")})


def test_results_with_image_sizes(tmp_path: Path) -> None:
    """Sizes come from another COCO file by image id; without any they are asked for."""
    convert(tmp_path, RESULTS, "b.parquet", box="xywhn", image_sizes=header(tmp_path))
    found = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert [(i["id"], i["width"], i["height"]) for i in found] == [(9, 100, 50), (8, 100, 50)]
    assert found[0]["objects"][0]["bbox"] == [0.01, 0.04, 0.03, 0.08]
    with pytest.raises(DataError, match="missing-image-size"):
        convert(tmp_path, RESULTS, "c.parquet", box="xywhn")


def test_a_list_of_masks_first_is_known_for_what_it_is(tmp_path: Path) -> None:
    """Results are detected wherever image_id stands in them."""
    source = save(
        tmp_path / "r.json",
        [{"segmentation": {"counts": "PPYo1", "size": [50, 100]}, "score": 1, "category_id": 1, "image_id": 1}],
    )
    assert bboxconv.convert(source, tmp_path / "out.json").read.images == 1


def test_no_annotations_key_is_no_background(tmp_path: Path) -> None:
    """Without `annotations` nobody looked: such images are left out and counted, unless they are asked for."""
    whole = document(annotations=...)
    report, found = convert(tmp_path, whole)
    assert (report.left_out_images, found["images"]) == ({"not annotated": 1}, [])
    convert(tmp_path, whole, "b.parquet", unannotated="keep")
    assert pq.read_table(tmp_path / "b.parquet")["objects"].to_pylist() == [None]
    convert(tmp_path, document(), "c.parquet")
    assert pq.read_table(tmp_path / "c.parquet")["objects"].to_pylist() == [[]]


@pytest.mark.parametrize("whole", [[], document(images=[], categories=[]), document(), {"images": []}])
def test_empty_arrays(tmp_path: Path, whole: object) -> None:
    """Nothing is written as nothing, in a file that pycocotools loads."""
    _, found = convert(tmp_path, whole)
    assert (found["annotations"], {*found}) == ([], {"images", "annotations", "categories"})


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [{}, None, "x", 5])
def test_what_is_no_array_is_refused(tmp_path: Path, key: str, value: object) -> None:
    """Images, annotations and categories are arrays."""
    assert faults(tmp_path, document(**{key: value})) == [("bad-value", [f"$.{key}"])]


@pytest.mark.parametrize("whole", [{}, {"categories": []}, {"info": {"images": []}}])
def test_other_json_is_refused(tmp_path: Path, whole: object) -> None:
    """Without images and annotations it is no COCO file."""
    assert faults(tmp_path, whole) == [("not-coco", [""])]


@pytest.mark.parametrize("odd", [{}, {"id": "text"}, {"id": None}, {'a"b': 1}])
def test_captions_are_refused_with_one_message(tmp_path: Path, odd: Coco) -> None:
    """A captions file is refused as such, not once for each caption, also where its elements are unusual."""
    rows = [{"id": i, "image_id": 1, "caption": "a cat", **odd} for i in range(9)]
    assert faults(tmp_path, document(*rows)) == [("no-boxes", [""])]


def test_a_block_of_images_that_are_all_faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of a block, and another one has an id twice: both are told."""
    monkeypatch.setattr(reading, "read_document", partial(read_document, block=64))
    images = [*[image(True, "x" * 99)] * 9, image(1), image(1, "b.jpg")]
    codes, places = zip(*faults(tmp_path, document(images=images)), strict=True)
    assert codes == ("bad-value", "duplicate-image-id")
    assert places[1] == ["$.images[10]"]


def test_captions_before_boxes_are_faults_and_no_box_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boxes follow in another block, the annotations without one are faults each."""
    monkeypatch.setattr(reading, "read_document", partial(read_document, block=64))
    rows = [{"id": 7, "image_id": 1, "caption": "c" * 99}, annotation(caption="x" * 99), annotation(2)]
    assert faults(tmp_path, document(*rows)) == [("missing-field", ["$.annotations[0]"])]


# -- broken text


def text_of(*rows: Coco) -> bytes:
    """A document as bytes."""
    return json.dumps(document(*rows), ensure_ascii=False).encode()


LONE = "a text holds half of a surrogate pair, which is no character"
BROKEN = {
    "invalid UTF-8 in a known text": (b'"file_name": "\xff.jpg"', "bad-encoding", "$.images[0]"),
    "invalid UTF-8 in an unknown text": (b'"file_name": "a.jpg", "x": "\xc3("', "bad-encoding", "$.images[0]"),
    "invalid UTF-8 in a key": (b'"file_name": "a.jpg", "\xff": 1', "bad-encoding", "$.images[0]"),
    "half a surrogate pair in a name": (b'"file_name": "\\ud800.jpg"', "bad-encoding", "$.images[0]"),
    "half a surrogate pair in an unknown text": (
        b'"file_name": "a.jpg", "x": "\\udcff"',
        "bad-encoding",
        "$.images[0]",
    ),
    "half a surrogate pair in a key": (b'"file_name": "a.jpg", "\\ud800": 1', "bad-encoding", "$.images[0]"),
    "NaN in an unknown value": (b'"file_name": "a.jpg", "x": [NaN]', "bad-number", "$.images[0]"),
    "no JSON": (b'"file_name": "a.jpg", "x": 01', "bad-json", "$.images[0]"),
    "a raw line break in a text": (b'"file_name": "a\nb.jpg"', "bad-json", "$.images[0]"),
    "an escape that does not exist": (b'"file_name": "a.jpg", "x": "\\q"', "bad-json", "$.images[0]"),
    "2,000 levels": (b'"file_name": "a.jpg", "x": ' + b"[" * 2000 + b"]" * 2000, "too-deep", "$.images[0]"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_element_that_cannot_be_read_is_one_fault(tmp_path: Path, name: str) -> None:
    """The element is named; the others are read, and with --on-error skip they are written."""
    put, code, place = BROKEN[name]
    whole = (
        json.dumps(document(annotation(image_id=2), images=[image(1, "A"), image(2)]))
        .encode()
        .replace(b'"file_name": "A"', put)
    )
    assert faults(tmp_path, whole) == [(code, [place])]
    report = bboxconv.convert(tmp_path / "in.json", tmp_path / "out.json", from_="coco", on_error="skip")
    found = json.loads((tmp_path / "out.json").read_text())
    assert (report.exit_code, found["images"], len(found["annotations"])) == (ExitCode.SET_ASIDE, [image(2)], 1)


@pytest.mark.parametrize("row", [1, None, "x", [], [1], True])
def test_an_element_that_is_no_object_is_a_fault(tmp_path: Path, row: object) -> None:
    """Arrays of COCO hold objects."""
    whole = document(annotation())
    whole["annotations"].insert(0, row)
    assert faults(tmp_path, whole) == [("bad-value", ["$.annotations[0]"])]


def test_a_fault_in_every_tenth_element(tmp_path: Path) -> None:
    """2,000 faults in 20,000 elements are counted, the first five named; the list of rejects names all of them by
    their numbers, and the others are written."""
    rows = [
        annotation(i, bbox=[i, 0, 1, 1] if i % 10 else [i], segmentation=[[0, 0, i, 0, i, i]]) for i in range(20000)
    ]
    found = faults(tmp_path, document(*rows))
    assert found == [("bad-value", [f"$.annotations[{i}].bbox" for i in range(0, 50, 10)])]
    rejects = tmp_path / "rejects.jsonl"
    report, back = convert(tmp_path, document(*rows), on_error="skip", on_invalid="keep", rejects=rejects)
    listed = [json.loads(line)["pointer"] for line in rejects.read_text().splitlines()]
    assert listed == [f"$.annotations[{i}].bbox" for i in range(0, 20000, 10)]
    assert seen(report)["bad-value"] == 2000
    assert (report.boxes, report.exit_code) == (18000, ExitCode.SET_ASIDE)
    assert [a["id"] for a in back["annotations"]] == [i for i in range(20000) if i % 10]


FATAL = {
    "two equal keys at the top level": (b'{"images": [], "annotations": [], "images": []}', "duplicate-key"),
    "cut off in an element": (text_of(annotation())[:150], "truncated-json"),
    "cut off at its end": (text_of(annotation())[:-1], "truncated-json"),
    "something behind the end": (text_of(annotation()) + b" x", "bad-json"),
    "two documents": (text_of(annotation()) * 2, "bad-json"),
    "UTF-16": (text_of(annotation()).decode().encode("utf-16"), "bad-encoding"),
    "UTF-16 without a mark": (text_of(annotation()).decode().encode("utf-16-le"), "bad-encoding"),
    "gzip cut off": (gzip.compress(text_of(*(annotation(i) for i in range(500))))[:-20], "bad-compression"),
    "a key that is no text": (b'{"images": [], "\\ud800": 1}', "bad-json"),
    "NaN in info": (b'{"images": [], "info": {"a": NaN}}', "bad-json"),
}


@pytest.mark.parametrize("name", FATAL)
def test_text_that_is_broken_outside_of_an_element_is_refused(tmp_path: Path, name: str) -> None:
    """One error with its code and the file, and nothing written."""
    text, code = FATAL[name]
    assert [found for found, _ in faults(tmp_path, text)] == [code]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Windows tools put one before UTF-8."""
    _, found = convert(tmp_path, b"\xef\xbb\xbf" + text_of(annotation()))
    assert found == document(annotation())


# -- splits and filling


def test_splits_give_a_file_each(tmp_path: Path) -> None:
    """A folder gets instances_{split}.json for each split, instances.json for images of none, and reads back."""
    lines = [
        {"type": "image", "file_name": f"{i}.jpg", "split": split, "objects": []}
        for i, split in enumerate(["train", "val_a", "", None, "train"])
    ]
    save(
        tmp_path / "in.jsonl",
        '{"type": "dataset", "names": ["cat"]}\n' + "".join(json.dumps(line) + "\n" for line in lines),
    )
    bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out", to="coco")
    names = {
        path.name: [i["file_name"] for i in json.loads(path.read_text())["images"]]
        for path in (tmp_path / "out").glob("*.json")
        if path.name[0] != "."
    }
    assert names == {
        "instances_train.json": ["0.jpg", "4.jpg"],
        "instances_val_a.json": ["1.jpg"],
        "instances.json": ["2.jpg", "3.jpg"],
    }
    back = bboxconv.read(tmp_path / "out").to_table().select(["file_name", "split"]).to_pylist()
    assert {row["file_name"]: row["split"] for row in back} == {
        "0.jpg": "train",
        "4.jpg": "train",
        "1.jpg": "val_a",
        "2.jpg": None,
        "3.jpg": None,
    }


@pytest.mark.parametrize("split", ["../out", "a/b", "/etc", "a\0b"])
def test_a_split_that_is_no_file_name_is_refused(tmp_path: Path, split: str) -> None:
    """A name from the data never leads out of the folder."""
    save(
        tmp_path / "in.jsonl", json.dumps({"type": "image", "file_name": "a.jpg", "split": split, "objects": []}) + "\n"
    )
    with pytest.raises(DataError, match="unsafe-name"):
        bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out", from_="jsonl", to="coco")
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl"}


def test_folders_name_their_splits(tmp_path: Path) -> None:
    """The year of COCO's files is no part of the split, unless two would be one."""
    cases = {
        ("instances_train2017.json", "instances_val2017.json"): ["train", "val"],
        ("instances_train2014.json", "instances_train2017.json"): ["train2014", "train2017"],
        ("instances_test-dev2017.json", "instances_valid.json.gz"): ["test-dev2017", "val"],
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"): ["train", "val"],
    }
    for number, (files, splits) in enumerate(cases.items()):
        for name in (*files, "instances_train2017.json.bak"):
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, document())
        match = coco.detect(tmp_path / str(number), b"")
        assert match is not None
        assert [split for split, _ in match.parts] == splits


def test_one_file_cannot_hold_two_images_of_one_id(tmp_path: Path) -> None:
    """Splits that number their images alike are refused in one file, text ids too, with the way out."""
    for key in (1, "x"):
        paths = [save(tmp_path / f"{s}.json", document(images=[image(key, f"{s}.jpg")])) for s in ("train", "val")]
        sources = [f"{path.stem}={path}" for path in paths]
        with pytest.raises(DataError) as caught:
            bboxconv.convert(sources, tmp_path / "one.json", to="coco")
        (found,) = (d for d in caught.value.diagnostics if d.severity == "error")
        assert (found.code, found.count, [str(p) for p in found.places]) == (
            "image-id-clash",
            1,
            [f"one.json: id {json.dumps(key)}: val.jpg"],
        )
        bboxconv.convert(sources, tmp_path / f"two{key}", to="coco")


@pytest.mark.parametrize("batch_size", [1, 3, 4096])
@pytest.mark.parametrize("numbered", ["all", "images", "boxes", "none"])
def test_the_second_image_of_an_id_is_left_out(tmp_path: Path, batch_size: int, numbered: str) -> None:
    """With on_error=skip an image whose id one before it has is left out with its own boxes alone, counted and named,
    whatever ids are there and however images lie in batches."""
    keys = [7, "x", 7, 2**70, "x", 5, 2**70, 7, None]
    lines = ['{"type":"dataset","bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat"}]}']
    for row, key in enumerate(keys if numbered in ("all", "images") else keys[:-1]):
        own = {} if key is None else {"id": key}
        boxes: list[dict[str, object]] = [{"category": 0, "bbox": [row, b, 1, 1]} for b in range(row % 3 + 1)]
        if numbered in ("all", "boxes"):
            boxes = [{"id": 100 * row + b, **box} for b, box in enumerate(boxes)]
        lines.append(json.dumps({"type": "image", "file": f"{row}.jpg", **own, "objects": boxes}))
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    report = bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "o.json", on_error="skip", batch_size=batch_size)
    found = json.loads((tmp_path / "o.json").read_text())
    kept = [0, 1, 3, 5] + ([8] if numbered in ("all", "images") else [])
    assert [one["file_name"] for one in found["images"]] == [f"{row}.jpg" for row in kept]
    assert [one["id"] for one in found["images"]] == [7, "x", 2**70, 5, 8][: len(kept)]
    ids = {one["id"]: int(one["file_name"][0]) for one in found["images"]}
    wanted = [(row, [row, b, 1, 1]) for row in kept for b in range(row % 3 + 1)]
    assert [(ids[one["image_id"]], one["bbox"]) for one in found["annotations"]] == wanted
    numbers = [one["id"] for one in found["annotations"]]
    if numbered in ("all", "boxes"):
        assert numbers == [100 * row + b for row in kept for b in range(row % 3 + 1)]
    else:
        assert numbers == list(range(1, len(wanted) + 1))
    (fault,) = (one for one in report.findings if one.severity == "error")
    assert (fault.code, fault.count, fault.places[0].detail) == ("image-id-clash", 4, "id 7: 2.jpg")
    assert report.left_out_images == {"image-id-clash": 4}
    assert report.read.images == report.images + 4
    assert report.read.boxes == report.boxes + report.left_out_boxes["image-id-clash"]
    assert (report.images, report.boxes) == (len(kept), len(wanted))


@pytest.mark.parametrize("batch_size", [1, 2, 4096])
def test_ids_are_filled_from_behind_the_largest(tmp_path: Path, batch_size: int) -> None:
    """Ids that are lacking never meet one that comes later, whatever the size of a batch."""
    lines = [{"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"name": "cat"}]}]
    ids = [None, 1, None, 7, 2]
    for i, key in enumerate(ids):
        boxes = [{"id": k, "category": 0, "bbox": [0, 0, 2, 3]} for k in (key, None if key == 7 else 10 + i)]
        lines.append({"type": "image", "id": key, "file_name": f"{i}.jpg", "width": 9, "height": 9, "objects": boxes})
    save(tmp_path / "in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    report = bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out.json", from_="jsonl", batch_size=batch_size)
    found = json.loads((tmp_path / "out.json").read_text())
    assert [i["id"] for i in found["images"]] == [8, 1, 9, 7, 2]
    assert [a["id"] for a in found["annotations"]] == [15, 10, 1, 11, 16, 12, 7, 17, 2, 14]
    assert [a["image_id"] for a in found["annotations"]] == [8, 8, 1, 1, 9, 9, 7, 7, 2, 2]
    assert all((a["area"], a["iscrowd"]) == (6, 0) for a in found["annotations"])
    filled = {"image.id": 2, "object.id": 3, "object.area": 10, "object.iscrowd": 10}
    assert {key: report.filled[key] for key in filled} == filled


def test_no_number_behind_the_largest_is_an_error(tmp_path: Path) -> None:
    """Behind 2^63-1 there is no id: refused, not wrapped around."""
    with pytest.raises(DataError, match="no number is left for an id"):
        convert(tmp_path, document(annotation(2**63 - 1), annotation(...)))


@pytest.mark.parametrize("lacking", [1, 2, 3])
def test_the_last_numbers_are_written_as_they_are(tmp_path: Path, lacking: int) -> None:
    """Ids that are lacking are numbered up to 2^63-1, each to its last digit."""
    last = 2**63 - 1
    head = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"name": "cat"}]}
    box = {"category": 0, "bbox": [1, 2, 3, 4]}
    lines = [
        {"type": "image", "file_name": f"{i}.jpg", **({} if i else {"id": last - lacking}), "objects": []}
        for i in range(lacking + 1)
    ]
    lines[0]["objects"] = [{"id": last - lacking, **box}, *[box] * lacking]
    save(tmp_path / "in.jsonl", "".join(json.dumps(line) + "\n" for line in [head, *lines]))
    bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out.json", from_="jsonl", verify=True)
    found = json.loads((tmp_path / "out.json").read_text())
    for key in ("images", "annotations"):
        assert [one["id"] for one in found[key]] == [*range(last - lacking, last + 1)]


def test_a_key_that_a_column_has_is_written_once(tmp_path: Path) -> None:
    """Where further keys of another format are called as COCO's are, the value of COCO's own field stands."""
    box = {"category": 0, "bbox": [1, 2, 3, 4], "extra": {"image_id": -5, "category_id": "e", "bbox": "x", "area": 3}}
    line = {"type": "image", "id": 1, "file_name": "a.jpg", "extra": {"file_name": "g", "width": 7}, "objects": [box]}
    head = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"id": 1, "name": "cat"}]}
    save(tmp_path / "in.jsonl", json.dumps(head) + "\n" + json.dumps(line) + "\n")
    bboxconv.convert(tmp_path / "in.jsonl", tmp_path / "out.json", from_="jsonl")
    found = json.loads((tmp_path / "out.json").read_text(), object_pairs_hook=unique)
    assert found["images"] == [{"id": 1, "file_name": "a.jpg", "width": 7}]
    assert found["annotations"] == [{**annotation(1), "area": 3}]


def test_a_folder_of_nothing_is_a_file_of_nothing(tmp_path: Path) -> None:
    """No image, no split: the folder holds one document, which reads back."""
    bboxconv.convert(save(tmp_path / "in.json", document(images=[])), tmp_path / "out", to="coco")
    assert json.loads((tmp_path / "out" / "instances.json").read_text()) == document(images=[])
    assert bboxconv.read(tmp_path / "out").to_table().num_rows == 0


def test_a_box_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    """JSON has no NaN: such a box of another format is a fault with its place, and is left out with --on-error
    skip.
    """
    data = bboxconv.read(save(tmp_path / "in.json", document(annotation(1), annotation(2))), from_="coco")
    (batch,) = data
    objects = schema.flat(batch)
    boxes = schema.bbox_array(np.array([[1, 2, 3, 4], [np.nan, 0, np.inf, 1]]))
    changed = schema.with_objects(batch, replace(objects, rows=schema.with_columns(objects.rows, {"bbox": boxes})))
    with pytest.raises(DataError) as caught:
        bboxconv.write(replace(data, stream=lambda: iter([changed])), tmp_path / "out.json", to="coco")
    (found,) = (d for d in caught.value.diagnostics if d.severity == "error")
    assert (found.code, found.count) == ("bad-number", 1)
    assert not (tmp_path / "out.json").exists()


# -- the same bytes


def varied() -> Coco:
    """Images and annotations in no order, whose unknown keys change their order from element to element."""
    rows = []
    for i in range(600):
        more: Mapping[str, object] = {"zeta": i, "alpha": [i]} if i % 2 else {"alpha": [], "mid": None, "zeta": "z"}
        odd = {"area": None} if i % 50 == 0 else {"id": ...} if i % 70 == 0 else {}
        rows.append(annotation(i, **{"image_id": (i * 37) % 90, **more, **odd}))
    return document(
        *rows, images=[image(i, f"{i}.jpg", **({"b": 1, "a": 2} if i % 3 else {"a": 1, "c": 0})) for i in range(90)]
    )


@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.parquet"])
def test_the_same_bytes_whatever_the_run(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch size, number of processes, memory and where blocks are cut do not show in the output."""
    source = save(tmp_path / "in.json", varied())
    monkeypatch.setattr(reading, "SMALL", 0)
    runs: list[tuple[int, dict[str, int]]] = [
        (1 << 22, {}),
        (3000, {}),
        (3000, {"jobs": 3}),
        (700, {"memory": 1}),
    ]
    if name != "out.parquet":  # which has a row group for each batch
        runs += [(700, {"batch_size": 1, "memory": 1}), (1 << 22, {"batch_size": 7})]
    found = set()
    for number, (block, options) in enumerate(runs):
        monkeypatch.setattr(reading, "read_document", partial(read_document, block=block))
        out = tmp_path / str(number) / name
        bboxconv.convert(source, out, **{"jobs": 1, **options})
        found.add(out.read_bytes())
    assert len(found) == 1


def test_a_data_set_may_be_read_again(tmp_path: Path) -> None:
    """The stream of a data set gives the same batches each time, of at most batch_size images, in the file's
    order.
    """
    data = bboxconv.read(save(tmp_path / "in.json", varied()), from_="coco", batch_size=7)
    first, second = list(data), list(data)
    assert pa.Table.from_batches(first) == pa.Table.from_batches(second)
    assert {len(batch) for batch in first} == {7, 90 % 7}
    assert [name for batch in first for name in batch["file_name"].to_pylist()] == [f"{i}.jpg" for i in range(90)]
    assert data.images == 90
