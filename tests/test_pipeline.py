"""One run: what is read, converted, left out, lost, refused and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import coco, dataset

import bboxconv
from bboxconv.errors import DataError, ExitCode, UsageError

CATEGORIES = [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}]
IMAGES = [
    {"id": 10, "file_name": "a.jpg", "width": 100, "height": 50},
    {"id": 11, "file_name": "b.jpg", "width": 10, "height": 10},
]


def annotation(
    number: int, image: int = 10, category: int = 1, bbox: Any = (10, 20, 30, 10), **rest: object
) -> dict[str, object]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), **rest}


@pytest.fixture
def simple(tmp_path: Path) -> Path:
    rows = [
        annotation(1),
        annotation(2, category=3, bbox=(0.5, 0, 10, 10)),
        annotation(3, 11, 3, (1, 1, 2, 2), iscrowd=1),
    ]
    return coco(tmp_path / "simple.json", IMAGES, rows, CATEGORIES)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def labels(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder / "labels").as_posix(): p.read_text() for p in (folder / "labels").rglob("*.txt")}


def codes(error: DataError | UsageError) -> list[str]:
    return [d.code for d in error.diagnostics]


def test_class_index_is_the_rank_of_the_category_id(tmp_path: Path, simple: Path) -> None:
    """Category 1 is class 0 and category 3 is class 1, whatever their order in the file; crowd is left out and
    counted.
    """
    report = bboxconv.convert(simple, tmp_path / "yolo")
    assert labels(tmp_path / "yolo") == {"a.txt": "0 0.25 0.5 0.3 0.2\n1 0.055 0.1 0.1 0.2\n", "b.txt": ""}
    assert (report.images, report.boxes, report.categories) == (2, 2, 2)
    assert report.left_out_boxes == {"crowd": 1}
    assert report.read.boxes == report.boxes + sum(report.left_out_boxes.values())


def test_splits_go_to_their_places_and_back(tmp_path: Path, simple: Path) -> None:
    """Two COCO files become one YOLO tree, and that one COCO file for each split again."""
    other = coco(
        tmp_path / "other.json",
        [{"id": 10, "file_name": "c.jpg", "width": 8, "height": 8}],
        [annotation(1, bbox=(1, 2, 3, 4))],
        CATEGORIES,
    )
    bboxconv.convert([f"train={simple}", f"val={other}"], tmp_path / "yolo")
    assert set(labels(tmp_path / "yolo")) == {"train/a.txt", "train/b.txt", "val/c.txt"}
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("a.jpg,100,50\nb.jpg,10,10\nc.jpg,8,8\n")
    bboxconv.convert(tmp_path / "yolo", tmp_path / "back", to="coco", image_sizes=sizes)
    back = {p.name: json.loads(p.read_text()) for p in (tmp_path / "back").glob("*.json")}
    assert set(back) == {"instances_train.json", "instances_val.json"}
    assert back["instances_val.json"]["annotations"][0]["bbox"] == [1, 2, 3, 4]
    assert [c["name"] for c in back["instances_train.json"]["categories"]] == ["cat", "dog"]


def test_classes_in_another_order_in_each_source_are_the_same_classes(tmp_path: Path, simple: Path) -> None:
    """Boxes follow the name of their class."""
    swapped = [{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}]
    other = coco(tmp_path / "other.json", IMAGES[:1], [annotation(1, category=1)], swapped)
    bboxconv.convert([f"train={simple}", f"val={other}"], tmp_path / "o.jsonl")
    header, *images = lines(tmp_path / "o.jsonl")
    names = [c["name"] for c in header["categories"]]
    assert [names[o["category"]] for i in images for o in i["objects"]] == ["cat", "dog", "dog", "dog"]


def test_every_fault_of_every_source_is_reported_in_one_run(tmp_path: Path, simple: Path) -> None:
    """Two broken files and one broken element are three errors; nothing is written."""
    cut = tmp_path / "cut.json"
    cut.write_text('{"images": [')
    bad = coco(tmp_path / "bad.json", IMAGES, [annotation(1), annotation(2, bbox=(1, 2, 3))], CATEGORIES)
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({"images": IMAGES, "annotations": [{"id": 1, "image_id": 10, "caption": "a"}]}))
    with pytest.raises(DataError) as caught:
        bboxconv.convert([cut, bad, captions], tmp_path / "o.jsonl", from_="coco")
    assert sorted(codes(caught.value)) == ["bad-value", "no-boxes", "truncated-json"]
    assert not (tmp_path / "o.jsonl").exists()


def test_faults_are_set_aside_where_the_user_asks_for_it(tmp_path: Path) -> None:
    """The rest is written as if the bad record were not there, exit code 3, and the rejects say which."""
    bad = coco(tmp_path / "bad.json", IMAGES, [annotation(1), annotation(2, bbox=(1, 2, 3)), annotation(3)], CATEGORIES)
    report = bboxconv.convert(bad, tmp_path / "o.jsonl", on_error="skip", rejects=tmp_path / "r.jsonl")
    assert report.exit_code == ExitCode.SET_ASIDE
    assert [o["id"] for o in lines(tmp_path / "o.jsonl")[1]["objects"]] == [1, 3]
    assert [(r["code"], r["where"]) for r in lines(tmp_path / "r.jsonl")] == [
        ("bad-value", f"{bad}: $.annotations[1].bbox")
    ]


def test_a_hopeless_run_stops_early(tmp_path: Path) -> None:
    """More faults than --max-errors end the run with a word about it."""
    rows = [annotation(n, bbox=(1, 2)) for n in range(20)]
    bad = coco(tmp_path / "bad.json", IMAGES, rows, CATEGORIES)
    with pytest.raises(DataError) as caught:
        bboxconv.convert(bad, tmp_path / "o.jsonl", on_error="skip", max_errors=5)
    assert codes(caught.value)[-1] == "too-many-errors"


OUTSIDE = [
    annotation(1, bbox=(-5, 0, 10, 10)),
    annotation(2, bbox=(95, 45, 10, 10)),
    annotation(3, bbox=(1, 1, 0, 5)),
    annotation(4),
]


@pytest.mark.parametrize(
    ("how", "boxes"),
    [
        ("keep", [[-5, 0, 10, 10], [95, 45, 10, 10], [1, 1, 0, 5], [10, 20, 30, 10]]),
        ("clip", [[0, 0, 5, 10], [95, 45, 5, 5], [1, 1, 0, 5], [10, 20, 30, 10]]),
        ("drop", [[10, 20, 30, 10]]),
    ],
)
def test_boxes_past_an_edge_are_treated_as_asked_and_counted(
    tmp_path: Path, how: Any, boxes: list[list[float]]
) -> None:
    """keep, clip and drop; two boxes pass an edge and one has no width."""
    source = coco(tmp_path / "s.json", IMAGES, OUTSIDE, CATEGORIES)
    report = bboxconv.convert(source, tmp_path / "o.jsonl", on_invalid=how)
    assert [o["bbox"] for o in lines(tmp_path / "o.jsonl")[1]["objects"]] == boxes
    assert {d.code: d.count for d in report.findings} == {"box-outside-image": 2, "box-without-area": 1}
    assert report.read.boxes == report.boxes + sum(report.left_out_boxes.values())


def test_boxes_past_an_edge_are_refused_where_asked(tmp_path: Path) -> None:
    """on_invalid=fail names the image and the object."""
    source = coco(tmp_path / "s.json", IMAGES, OUTSIDE, CATEGORIES)
    with pytest.raises(DataError) as caught:
        bboxconv.convert(source, tmp_path / "o.jsonl", on_invalid="fail")
    assert codes(caught.value) == ["box-outside-image", "box-without-area"]
    assert caught.value.diagnostics[0].where[0] == f"{source}: image a.jpg, id 1: [-5.0, 0.0, 10.0, 10.0]"


def test_sizes_that_nobody_gave_are_faults_for_each_image(tmp_path: Path) -> None:
    """Fractions to pixels without sizes names every image and three remedies."""
    (tmp_path / "labels").mkdir()
    for name in ("a", "b"):
        (tmp_path / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(DataError) as caught:
        bboxconv.convert(tmp_path / "labels", tmp_path / "o.json", from_="yolo")
    found = next(d for d in caught.value.diagnostics if d.code == "missing-image-size")
    assert found.count == 2
    assert all(word in found.hint for word in ("--images", "--image-sizes", "--image-size"))


@pytest.mark.parametrize("given", ["size", "table", "dataset"])
def test_sizes_come_from_where_the_user_says(tmp_path: Path, given: str) -> None:
    """One size for all, a table, or any data set that can be read."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "t.csv").write_text("file_name,width,height\na.jpg,100,50\n")
    sizes = coco(tmp_path / "c.json", IMAGES, [], [])
    options: dict[str, Any] = {
        "size": {"image_size": (100, 50)},
        "table": {"image_sizes": tmp_path / "t.csv"},
        "dataset": {"image_sizes": sizes},
    }[given]
    bboxconv.convert(tmp_path / "labels", tmp_path / "o.json", from_="yolo", **options)
    assert json.loads((tmp_path / "o.json").read_text())["annotations"][0]["bbox"] == [25, 12.5, 50, 25]


def test_class_names_are_renamed_merged_and_left_out(tmp_path: Path, simple: Path) -> None:
    """--class-map renames and merges, --exclude-class leaves out, and the account says how many."""
    report = bboxconv.convert(simple, tmp_path / "o.jsonl", class_map={"dog": "cat"})
    header, *_ = lines(tmp_path / "o.jsonl")
    assert [c["name"] for c in header["categories"]] == ["cat"]
    assert report.boxes == 3
    report = bboxconv.convert(simple, tmp_path / "p.jsonl", exclude_class=["dog"])
    assert (report.boxes, report.categories) == (1, 1)
    assert report.left_out_boxes == {"class left out": 2}


def test_a_list_of_classes_pins_their_order(tmp_path: Path, simple: Path) -> None:
    """The class index is the place in the file, also of a class that the data lacks."""
    (tmp_path / "names.txt").write_text("bird\ndog\ncat\n")
    bboxconv.convert(simple, tmp_path / "yolo", classes=tmp_path / "names.txt", out={"crowd": "keep"})
    assert [row.split()[0] for row in labels(tmp_path / "yolo")["a.txt"].splitlines()] == ["2", "1"]


@pytest.mark.parametrize(
    "option", [{"include_class": ["dgo"]}, {"exclude_class": ["dgo"]}, {"class_map": {"dgo": "x"}}]
)
def test_unknown_classes_are_errors_with_a_suggestion(tmp_path: Path, simple: Path, option: dict[str, Any]) -> None:
    """A class that no source has is refused, and the one that was meant is named."""
    with pytest.raises(UsageError) as caught:
        bboxconv.convert(simple, tmp_path / "o.jsonl", **option)
    assert codes(caught.value) == ["unknown-class"]
    assert "dog" in caught.value.diagnostics[0].hint


def test_what_the_target_lacks_is_counted_by_field(tmp_path: Path) -> None:
    """Each value that does not survive is in the account, unknown keys by their name; flags where they are set."""
    rows = [
        annotation(1, segmentation=[[1, 2, 3, 4, 5, 6]], iscrowd=0, area=3.5, colour="red"),
        annotation(2, iscrowd=1),
    ]
    source = coco(
        tmp_path / "s.json",
        [{**IMAGES[0], "license": 4}],
        rows,
        [{**CATEGORIES[1], "supercategory": "animal"}],
        info={"a": 1},
        extra_key=[1],
    )
    report = bboxconv.convert(source, tmp_path / "voc", to="voc")
    assert report.lost == {
        "category.id": 1,
        "category.supercategory": 1,
        "extra.extra_key": 1,
        "image.id": 1,
        "info": 1,
        "object.area": 1,
        "object.id": 2,
        "object.iscrowd": 1,
        "object.segmentation": 1,
    }


@pytest.mark.parametrize(
    ("strict", "out", "refused"),
    [
        ("default", {}, ["object.iscrowd", "object.segmentation"]),
        ("default", {"task": "detect", "crowd": "drop"}, []),
        ("all", {"task": "detect"}, ["object.iscrowd", "image.id", "object.segmentation"]),
        ("object.area", {}, ["object.area"]),
        (None, {}, []),
    ],
)
def test_strict_refuses_loss_that_nobody_asked_for(
    tmp_path: Path, strict: str | None, out: dict[str, str], refused: list[str]
) -> None:
    """Geometry, labels and flags by default, everything with all, or what is named; an option that says what becomes
    of a field asks for it.
    """
    rows = [annotation(1, segmentation=[[1, 2, 3, 4, 5, 6]], area=4.0), annotation(2, iscrowd=1)]
    source = coco(tmp_path / "s.json", IMAGES, rows, CATEGORIES)
    if not refused:
        assert bboxconv.convert(source, tmp_path / "yolo", strict=strict, out=out).boxes == 1
        return
    with pytest.raises(DataError) as caught:
        bboxconv.convert(source, tmp_path / "yolo", strict=strict, out=out)
    found = {d.message.removesuffix(" would be lost") for d in caught.value.diagnostics if d.code == "loss-refused"}
    assert set(refused) <= found
    if strict != "all":
        assert set(refused) == found
    assert not (tmp_path / "yolo").exists()


STRICT_OUT = {"task": "detect", "decimals": "3"}


@pytest.mark.parametrize(
    ("strict", "out", "wanted"),
    [
        ("default", STRICT_OUT, set()),
        ("all", STRICT_OUT, {"object.bbox would be changed: rounded", "category.id would be changed: remapped"}),
        ("all", {"task": "detect", "decimals": "full"}, {"category.id would be changed: remapped"}),
        ("object.bbox", STRICT_OUT, {"object.bbox would be changed: rounded"}),
        ("object.score,category", STRICT_OUT, {"category.id would be changed: remapped"}),
    ],
)
def test_strict_all_refuses_change(tmp_path: Path, strict: str, out: dict[str, str], wanted: set[str]) -> None:
    """What is rounded or numbered anew is refused with all, and where it is named; the same box in another notation
    is not, and by default no change is."""
    rows = [annotation(1, bbox=[1.23, 2.0, 3.0, 4.0])]
    source = coco(tmp_path / "s.json", IMAGES, rows, CATEGORIES)
    words: dict[str, Any] = {"strict": strict, "out": out, "to": "yolo"}
    if not wanted:
        assert bboxconv.convert(source, tmp_path / "yolo", **words).boxes == 1
        return
    with pytest.raises(DataError) as caught:
        bboxconv.convert(source, tmp_path / "yolo", **words)
    found = {d.message for d in caught.value.diagnostics if d.code == "loss-refused"}
    assert {message for message in found if "changed" in message} == wanted
    assert all("lost" in message for message in found - wanted)


@pytest.mark.parametrize(
    ("box", "words", "wanted"),
    [
        ([90.0, 5.0, 120.0, 25.0], {"strict": "all", "on_invalid": "clip"}, {"object.bbox would be changed: clipped"}),
        ([90.0, 5.0, 120.0, 25.0], {"strict": "default", "on_invalid": "clip"}, set()),
        (None, {"strict": "all"}, {"object would be lost"}),
        (None, {"strict": "default"}, {"object would be lost"}),
        (None, {"strict": "object.score"}, set()),
    ],
)
def test_strict_refuses_what_becomes_of_whole_boxes(
    tmp_path: Path, box: list[float] | None, words: dict[str, Any], wanted: set[str]
) -> None:
    """A box that is cut is a change, and one for which the target has no place is a loss of geometry."""
    image = {"type": "image", "file": "a.jpg", "width": 100, "height": 80, "objects": [{"category": 0, "bbox": box}]}
    head = {"type": "dataset", "bboxconv": 1, "box": {"kind": "xyxy"}, "categories": [{"name": "cat"}]}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(image)}\n")
    if not wanted:
        assert bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "voc", to="voc", **words).images == 1
        return
    with pytest.raises(DataError) as caught:
        bboxconv.convert(tmp_path / "a.jsonl", tmp_path / "voc", to="voc", **words)
    assert {d.message for d in caught.value.diagnostics if d.code == "loss-refused"} == wanted


def test_a_dry_run_reports_and_writes_nothing(tmp_path: Path, simple: Path) -> None:
    """The account is that of the real run; the destination does not appear."""
    dry = bboxconv.convert(simple, tmp_path / "yolo", dry_run=True)
    assert not (tmp_path / "yolo").exists()
    real = bboxconv.convert(simple, tmp_path / "yolo")
    assert (dry.read, dry.written, dry.lost, dry.left_out_boxes) == (
        real.read,
        real.written,
        real.lost,
        real.left_out_boxes,
    )


def test_images_at_which_nobody_looked_are_no_background(tmp_path: Path) -> None:
    """A writer that cannot say the difference leaves them out, counted, unless they are wanted."""
    source = tmp_path / "s.json"
    source.write_text(json.dumps({"images": IMAGES, "categories": CATEGORIES}))
    report = bboxconv.convert(source, tmp_path / "yolo")
    assert (report.images, report.left_out_images) == (0, {"not annotated": 2})
    assert bboxconv.convert(source, tmp_path / "kept", to="yolo", unannotated="keep").images == 2
    bboxconv.convert(source, tmp_path / "o.jsonl")
    assert all("objects" not in image for image in lines(tmp_path / "o.jsonl")[1:])


def test_empty_images_stay_unless_they_are_dropped(tmp_path: Path) -> None:
    """An image without boxes survives; with drop_empty it is left out and counted."""
    source = coco(tmp_path / "s.json", IMAGES, [annotation(1)], CATEGORIES)
    assert bboxconv.convert(source, tmp_path / "a", to="voc").images == 2
    report = bboxconv.convert(source, tmp_path / "b", to="voc", drop_empty=True)
    assert (report.images, report.left_out_images) == (1, {"without boxes": 1})


def test_units_change_in_polygons_and_keypoints_too(tmp_path: Path) -> None:
    """Pixels to fractions and back: polygons and labelled keypoints follow, masks and unlabelled keypoints stay."""
    rows = [
        annotation(1, segmentation=[[10, 5, 20, 10, 50, 25]], keypoints=[10, 25, 2, 0, 0, 0]),
        annotation(2, segmentation={"size": [50, 100], "counts": [1, 4999]}, iscrowd=1),
    ]
    source = coco(tmp_path / "s.json", IMAGES, rows, CATEGORIES)
    bboxconv.convert(source, tmp_path / "n.jsonl", box="cxcywhn")
    first, second = lines(tmp_path / "n.jsonl")[1]["objects"]
    assert first["bbox"] == [0.25, 0.5, 0.3, 0.2]
    assert first["segmentation"] == [[0.1, 0.1, 0.2, 0.2, 0.5, 0.5]]
    assert first["keypoints"] == [0.1, 0.5, 2, 0, 0, 0]
    assert second["segmentation"] == {"size": [50, 100], "counts": [1, 4999]}
    bboxconv.convert(tmp_path / "n.jsonl", tmp_path / "b.json")
    back = json.loads((tmp_path / "b.json").read_text())["annotations"]
    assert back[0]["segmentation"] == [[10, 5, 20, 10, 50, 25]]


def test_the_same_box_format_is_carried_to_the_last_bit(tmp_path: Path) -> None:
    """COCO to Parquet to COCO runs no arithmetic: numbers that no rounding would spare come back."""
    numbers = [0.1 + 0.2, 1e-17, 123456.78901234567, 5e-324]
    source = coco(tmp_path / "s.json", IMAGES, [annotation(1, bbox=numbers, area=1 / 3)], CATEGORIES)
    bboxconv.convert(source, tmp_path / "p.parquet")
    bboxconv.convert(tmp_path / "p.parquet", tmp_path / "b.json")
    back = json.loads((tmp_path / "b.json").read_text())["annotations"][0]
    assert (back["bbox"], back["area"]) == (numbers, 1 / 3)


def test_output_does_not_depend_on_batches_jobs_or_memory(tmp_path: Path) -> None:
    """Same input, same bytes."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in range(50)]
    rows = [
        annotation(n, image=(n * 7) % 50, bbox=(n / 3, 1, 2, 3), segmentation=[[n, 1, 2, 3, 4, 5]]) for n in range(300)
    ]
    source = coco(tmp_path / "s.json", images, rows, CATEGORIES)
    found = set()
    for number, options in enumerate([{}, {"batch_size": 1}, {"batch_size": 16, "memory": 1}, {"jobs": 3}]):
        bboxconv.convert(source, tmp_path / f"{number}.json", **options)  # type: ignore[arg-type]
        found.add((tmp_path / f"{number}.json").read_bytes())
    assert len(found) == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"src": "gone.json"}, "path-not-found"),
        ({"from_": "cocoo"}, "unknown-format"),
        ({"to": "yolov"}, "unknown-format"),
        ({"dst": "o.xyz"}, "unknown-target"),
        ({"out": {"layuot": "boxes"}}, "unknown-option"),
        ({"out": {"layout": "box"}}, "bad-option"),
        ({"in_": {"heade": "x"}}, "unknown-option"),
        ({"split": ["train"], "src": "train=@", "_": 0}, None),
        ({"split": ["trian"], "src": "train=@"}, "unknown-split"),
        ({"box": "xyhw"}, "unknown-box-format"),
        ({"box": "xyxy", "dst": "o.json"}, "fixed-box-format"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(
    tmp_path: Path, simple: Path, call: dict[str, Any], code: str | None
) -> None:
    """Each mistake has its code, exit code 2, and leaves no output."""
    call = {k: v for k, v in call.items() if k != "_"}
    source = str(call.pop("src", "@")).replace("@", str(simple))
    dst = tmp_path / str(call.pop("dst", "o.parquet"))
    if code is None:
        bboxconv.convert(source, dst, **call)
        return
    with pytest.raises(UsageError) as caught:
        bboxconv.convert(source, dst, **call)
    assert codes(caught.value) == [code]
    assert caught.value.exit_code == 2
    assert not dst.exists()


def test_a_data_set_of_a_program_is_written_like_any_other(tmp_path: Path) -> None:
    """bboxconv.write takes what read gives, and what a program makes."""
    data = dataset(
        [{"file_name": "a.jpg", "width": 100, "height": 50, "objects": [{"category": 1, "bbox": [10.0, 20, 30, 10]}]}]
    )
    report = bboxconv.write(data, tmp_path / "yolo")
    assert labels(tmp_path / "yolo") == {"a.txt": "1 0.25 0.5 0.3 0.2\n"}
    assert report.boxes == 1
    bboxconv.write(bboxconv.read(tmp_path / "yolo"), tmp_path / "o.parquet")
    again = bboxconv.read(tmp_path / "o.parquet")
    assert again.to_table()["objects"][0].as_py()[0]["bbox"] == [0.25, 0.5, 0.3, 0.2]
    assert [c.name for c in again.header.categories] == ["cat", "dog"]


def test_reading_again_gives_the_same_again(simple: Path) -> None:
    """A data set may be iterated more than once."""
    data = bboxconv.read(simple)
    assert data.to_table().equals(data.to_table())
    assert data.images == 2


def test_reading_a_faulty_data_set_raises(tmp_path: Path) -> None:
    """The library does not hand out what the command line would refuse."""
    bad = coco(tmp_path / "bad.json", IMAGES, [annotation(1, image=99)], CATEGORIES)
    with pytest.raises(DataError) as caught:
        bboxconv.read(bad).to_table()
    assert codes(caught.value) == ["orphan-annotation"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jobs": -1}, "jobs must be a whole number from 0 on, not -1"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 on, not 0"),
        ({"memory": 0.5}, "memory must be a whole number from 1 on, not 0.5"),
        ({"max_errors": 0}, "max_errors must be a whole number from 1 on, not 0"),
        ({"image_size": "640x480"}, "image_size must be (width, height), not '640x480'"),
        ({"on_error": "skipp"}, "on_error must be one of fail, skip, not 'skipp'\n  hint: did you mean 'skip'?"),
    ],
)
def test_the_library_refuses_values_that_the_flags_refuse(
    tmp_path: Path, simple: Path, given: dict[str, Any], message: str
) -> None:
    """A value that an option does not take is an error that says what it takes, before anything is read."""
    with pytest.raises(UsageError) as refused:
        bboxconv.convert(simple, tmp_path / "out.jsonl", **given)
    assert str(refused.value) == f"error[bad-argument]: {message}"


def test_one_split_or_class_need_be_in_no_list(tmp_path: Path, simple: Path) -> None:
    """A single name where several may stand is that name, and not its letters."""
    report = bboxconv.convert(f"train={simple}", tmp_path / "out.jsonl", split="train", include_class="cat")
    assert (report.images, report.boxes) == (2, 1)
