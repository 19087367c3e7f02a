"""The difference of two data sets: twins in other formats are the same, planted changes are found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import product
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import numpy as np
import pytest
from helpers import coco
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bboxconv
from bboxconv import difference, diffing
from bboxconv.difference import Change, Difference
from bboxconv.errors import DataError, ExitCode, UsageError
from bboxconv.matching import KINDS, Boxes, match, pairs_iou
from bboxconv.precision import Precision
from bboxconv.request import Request
from bboxconv.workers import at_work

SAMPLE = Path(__file__).parents[1] / "examples" / "sample"
Document = dict[str, Any]

IMAGES = [
    {"id": n, "file_name": f"{place}/{n}.jpg", "width": 640, "height": 480}
    for n, place in enumerate(("yard", "yard", "hall", "hall", "dock"), 1)
]
BOXES = [
    {"id": 10 * image + n, "image_id": image, "category_id": 1 + n % 2, "bbox": [100 * n, 40 + image, 60, 50 + n]}
    for image in (1, 2, 3, 4)
    for n in range(4)
]
DATA: Document = {
    "images": IMAGES,
    "annotations": BOXES,
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes the document, after a change, as a COCO file of that name."""

    def write(name: str, change: Callable[[Document], object] = lambda document: None) -> Path:
        document = deepcopy(DATA)
        change(document)
        return coco(tmp_path / name, **document)

    return write


def box(document: Document, identity: int) -> Document:
    """A box of the document."""
    found: Document = next(row for row in document["annotations"] if row["id"] == identity)
    return found


def counts(found: Difference) -> dict[str, int]:
    """How often there is each kind of difference."""
    groups: Mapping[str, Mapping[str, Change]] = {
        "image": found.images, "class": found.classes, "box": found.boxes, "field": found.fields
    }  # fmt: skip
    return {f"{name} {key}": c.count for name, group in groups.items() for key, c in group.items() if c.count}


# -- what is the same


LABELFORMAT = ("COCO/train.json", "PascalVOC", "YOLOv8/example.yaml")


@pytest.mark.parametrize("b", LABELFORMAT)
@pytest.mark.parametrize("a", LABELFORMAT)
def test_twins_of_labelformat(real: Path, a: str, b: str) -> None:
    """The 2 images and 16 boxes that their owner exported in three formats are the same, whichever are compared."""
    found = bboxconv.diff(real / "labelformat" / a, real / "labelformat" / b)
    assert (counts(found), found.paired_images, found.same_boxes) == ({}, 2, 16)
    assert {one.counts.boxes for one in (found.a, found.b)} == {16}
    assert found.largest < (1.0 if "YOLO" in a + b else 1e-9)


def test_raccoon_is_its_csv(real: Path) -> None:
    """The 217 boxes of the XML files are those of the csv that their owner made of them."""
    found = bboxconv.diff(real / "raccoon/annotations", real / "raccoon/raccoon_labels.csv")
    assert (counts(found), found.paired_images, found.same_boxes, found.largest) == ({}, 200, 217, 0.0)


def test_parts_of_a_data_set_are_found_in_it(real: Path) -> None:
    """Of the csv of all boxes that for training lacks what that for testing has, and else they are the same."""
    files = {name: real / f"raccoon/{name}_labels.csv" for name in ("raccoon", "train", "test")}
    rows = {name: path.read_text().splitlines()[1:] for name, path in files.items()}
    names = {name: {row.partition(",")[0] for row in lines} for name, lines in rows.items()}
    found = bboxconv.diff(files["raccoon"], files["train"])
    assert counts(found) == {"image only_in_a": len(names["raccoon"] - names["train"])}
    assert found.images["only_in_a"].boxes == len(rows["test"])
    assert found.same_boxes == len(rows["train"])


SOURCES = ("coco/instances_train.json", "voc", "yolo")
TARGETS: Mapping[str, tuple[str, dict[str, str]]] = {
    "a.json": ("coco", {}),
    "voc": ("voc", {}),
    "rounded": ("voc", {"decimals": "0"}),
    "yolo": ("yolo", {"crowd": "keep"}),
    "a.csv": ("csv", {}),
    "a.jsonl": ("jsonl", {}),
    "a.parquet": ("parquet", {}),
    "hf": ("hf", {}),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_the_sample_in_every_format_is_the_sample(source: str, target: str, tmp_path: Path) -> None:
    """What each format carries of a sample is the same in it, within the precision with which it is written."""
    name, out = TARGETS[target]
    sizes: dict[str, Any] = {"image_size": (640, 480)} if source == "yolo" else {}
    written = bboxconv.convert(SAMPLE / source, tmp_path / target, to=name, out=out, **sizes)
    found = bboxconv.diff(SAMPLE / source, tmp_path / target, **sizes)
    assert counts(found) == {}
    assert (found.paired_images, found.same_boxes) == (written.images, written.boxes)
    assert found.largest <= (1.0 if target == "rounded" else 0.01)


def test_the_order_of_images_boxes_and_classes_does_not_matter(put: Callable[..., Path]) -> None:
    """A document written backwards, with other numbers of its classes, is the same; a note tells of these."""

    def backwards(document: Document) -> None:
        for rows in document.values():
            rows.reverse()
        for key, rows in (("id", document["categories"]), ("category_id", document["annotations"])):
            for row in rows:
                row[key] = 3 - row[key]

    found = bboxconv.diff(put("a.json"), put("b.json", backwards))
    assert (counts(found), found.same_boxes, found.exit_code) == ({}, 16, ExitCode.DONE)
    assert [finding.code for finding in found.findings] == ["diff-class-order"]


# -- what differs


def test_planted_changes_are_found_and_nothing_else(put: Callable[..., Path], tmp_path: Path) -> None:
    """A box moved by 3 pixels, one resized, one of another class, one gone, one new, an image gone, one new, a flag:
    each is found where it is, once."""

    def change(document: Document) -> None:
        box(document, 10)["bbox"][0] += 3
        box(document, 21)["bbox"][2] += 9
        box(document, 12)["category_id"] = 2
        document["annotations"].remove(box(document, 23))
        document["annotations"].append({"id": 99, "image_id": 1, "category_id": 1, "bbox": [400, 300, 20, 20]})
        document["images"] = [image for image in document["images"] if image["id"] != 4]
        document["annotations"] = [row for row in document["annotations"] if row["image_id"] != 4]
        document["images"].append({"id": 6, "file_name": "new.jpg", "width": 640, "height": 480})
        box(document, 30)["iscrowd"] = 1

    wanted = {
        "image only_in_a": 1, "image only_in_b": 1, "box moved": 1, "box resized": 1, "box reclassified": 1,
        "box removed": 1, "box added": 1, "field iscrowd": 1,
    }  # fmt: skip
    a, b = put("a.json", lambda d: [row.update(iscrowd=0) for row in d["annotations"]]), put("b.json", change)
    changed = json.loads(b.read_text())
    for row in changed["annotations"]:
        row.setdefault("iscrowd", 0)
    b.write_text(json.dumps(changed))
    bboxconv.convert(b, tmp_path / "b.parquet", box="cxcywh")
    bboxconv.convert(b, tmp_path / "b.jsonl", box="xyxyn")
    for other in (b, tmp_path / "b.parquet", tmp_path / "b.jsonl"):
        found = bboxconv.diff(a, other)
        assert (counts(found), found.exit_code, found.differences) == (wanted, ExitCode.DIFFERENT, 8)
        moved, resized, swapped = (found.boxes[name].first[0] for name in ("moved", "resized", "reclassified"))
        assert (moved.image, moved.box_a) == ("yard/1.jpg", pytest.approx((0, 41, 60, 91)))
        assert (moved.box_b, moved.iou) == (pytest.approx((3, 41, 63, 91)), pytest.approx(57 / 63))
        assert (resized.box_b, resized.iou) == (pytest.approx((100, 42, 169, 93)), pytest.approx(60 / 69))
        assert (swapped.class_a, swapped.class_b, swapped.box_a) == ("cat", "dog", pytest.approx((200, 41, 260, 93)))
        assert found.boxes["removed"].first[0].box_a == pytest.approx((300, 42, 360, 95))
        assert found.boxes["added"].first[0].box_b == pytest.approx((400, 300, 420, 320))
        assert [found.images[key].first[0].image for key in ("only_in_a", "only_in_b")] == ["hall/4.jpg", "new.jpg"]
        assert (found.images["only_in_a"].boxes, found.fields["iscrowd"].compared) == (4, 11)


@pytest.mark.parametrize("target", ["voc", "yolo", "a.csv"])
def test_three_pixels_are_seen_in_every_precision(put: Callable[..., Path], tmp_path: Path, target: str) -> None:
    """A box moved by 3 pixels is found beside rounded pixels and fractions, where the others are the same."""
    a = put("a.json", lambda d: [row.update(bbox=[v + 0.37 for v in row["bbox"]]) for row in d["annotations"]])
    moved = put("b.json", lambda d: [row.update(bbox=[v + 0.37 for v in row["bbox"]]) for row in d["annotations"]])
    document = json.loads(moved.read_text())
    box(document, 31)["bbox"][1] -= 3
    moved.write_text(json.dumps(document))
    out = {} if target == "yolo" else {"decimals": "0"}
    bboxconv.convert(moved, tmp_path / target, out=out, to=target if target == "voc" else None)
    found = bboxconv.diff(a, tmp_path / target)
    assert counts(found) == {"box moved": 1}
    assert found.boxes["moved"].first[0].image == "hall/3.jpg"


def test_numbers_written_alike_must_be_equal(put: Callable[..., Path]) -> None:
    """Where both sides have the same decimals, a difference in the last one counts; --tolerance says otherwise."""
    a, b = put("a.json"), put("b.json", lambda d: box(d, 20)["bbox"].__setitem__(0, 1))
    assert counts(bboxconv.diff(a, b)) == {"box moved": 1}
    assert counts(bboxconv.diff(a, b, tolerance=0.99)) == {"box moved": 1}
    assert (found := bboxconv.diff(a, b, tolerance=1)).same
    assert found.largest == 1
    assert counts(bboxconv.diff(a, b, tolerance=0)) == {"box moved": 1}


def test_the_least_iou_decides_what_is_one_box(put: Callable[..., Path]) -> None:
    """A box that moved by half of its width, an IoU of a third, is another one by default, and the same one with a
    lower limit."""
    a, b = put("a.json"), put("b.json", lambda d: box(d, 23)["bbox"].__setitem__(0, 330))
    assert counts(bboxconv.diff(a, b)) == {"box removed": 1, "box added": 1}
    assert counts(bboxconv.diff(a, b, iou=0.34)) == {"box removed": 1, "box added": 1}
    assert counts(bboxconv.diff(a, b, iou=0.33)) == {"box moved": 1}


def test_classes_are_compared_by_name(put: Callable[..., Path]) -> None:
    """A class renamed in case alone is another one, which a note says; one without boxes is no difference."""

    def change(document: Document) -> None:
        document["categories"][1]["name"] = "Dog"
        document["categories"].append({"id": 7, "name": "bird"})

    found = bboxconv.diff(put("a.json"), put("b.json", change))
    assert counts(found) == {"class only_in_a": 1, "class only_in_b": 1, "box reclassified": 8}
    assert (found.classes["only_in_a"].boxes, found.classes["only_in_b"].first[0].class_b) == (8, "Dog")
    assert {finding.code for finding in found.findings} == {"diff-class-case", "diff-class-unused"}


def test_names_of_images_are_paired_as_far_as_they_are_clear(put: Callable[..., Path]) -> None:
    """An image has its partner by its whole name, by the name without extension, or by the last part where that is the
    only one; notes say so."""

    def change(document: Document) -> None:
        for image, name in zip(
            document["images"], ("yard/1.png", "yard/2", "elsewhere/3.jpg", "elsewhere/4", "dock/5.jpg"), strict=True
        ):
            image["file_name"] = name

    found = bboxconv.diff(put("a.json"), put("b.json", change))
    assert (counts(found), found.paired_images) == ({}, 5)
    assert [(finding.code, finding.count) for finding in found.findings] == [
        ("diff-image-name", 2), ("diff-image-name", 1), ("diff-image-name", 1)
    ]  # fmt: skip

    def ambiguous(document: Document) -> None:
        document["images"][0]["file_name"] = "x/3.jpg"
        document["images"][2]["file_name"] = "y/3.jpg"

    found = bboxconv.diff(put("a.json"), put("b.json", ambiguous))
    assert counts(found) == {"image only_in_a": 2, "image only_in_b": 2}


def test_sizes_and_splits_of_images(tmp_path: Path) -> None:
    """An image of another size or in another split is the same image, and a difference; names in two splits are two."""
    rows = [("a.jpg", "train", 10), ("a.jpg", "val", 10), ("b.jpg", "train", 10), ("c.jpg", None, 10)]
    others = [("a.jpg", "val", 10), ("a.jpg", "train", 10), ("b.jpg", "test", 10), ("c.jpg", "val", 20)]
    for name, images in (("a.jsonl", rows), ("b.jsonl", others)):
        lines = [
            {"type": "image", "file": f, "width": w, "height": 10, "objects": [], "split": s} for f, s, w in images
        ]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = bboxconv.diff(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert counts(found) == {"image size": 1, "image split": 1}
    assert found.images["size"].first[0].as_dict() == {"image": "c.jpg", "value_a": "10x10", "value_b": "20x10"}
    assert (found.images["split"].first[0].value_a, found.images["split"].first[0].value_b) == ("train", "test")


def test_sizes_are_needed_between_pixels_and_fractions(tmp_path: Path) -> None:
    """Without any size, pixels and fractions cannot be compared, and the error says what helps; fractions alone can,
    and so can pixels."""
    line = {"type": "image", "file": "a.jpg", "objects": [{"category": 0, "bbox": [0.25, 0.25, 0.5, 0.5]}]}
    for name, kind in (("a.jsonl", "cxcywhn"), ("b.jsonl", "xywhn"), ("c.jsonl", "xywh")):
        (tmp_path / name).write_text(
            json.dumps({"type": "dataset", "bboxconv": 1, "box": kind, "categories": [{"name": "cat"}]})
            + "\n"
            + json.dumps(line)
        )
    a, b, c = (tmp_path / f"{name}.jsonl" for name in "abc")
    with pytest.raises(DataError, match="missing-image-size") as refused:
        bboxconv.diff(a, c)
    assert "--image-sizes" in refused.value.diagnostics[0].hint
    found = bboxconv.diff(a, b)
    assert (counts(found), found.box) == ({"box removed": 1, "box added": 1}, "xyxyn")
    assert found.boxes["added"].first[0].box_b == (0.25, 0.25, 0.75, 0.75)
    with pytest.raises(DataError, match="missing-image-size"):
        bboxconv.diff(a, b, tolerance=1)
    assert bboxconv.diff(a, b, tolerance=30, image_size=(100, 100)).same
    assert counts(bboxconv.diff(a, c, image_size=(4, 4))) == {"box removed": 1, "box added": 1}


def test_sizes_are_read_from_images_beside_the_labels(
    tmp_path: Path, picture: Callable[[Path, int, int], None]
) -> None:
    """Pixels without sizes are compared with YOLO's fractions by the images that lie beside these."""
    (tmp_path / "yolo/labels").mkdir(parents=True)
    (tmp_path / "yolo/labels/a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (tmp_path / "yolo/data.yaml").write_text("names: [cat]\ntrain: images\n")
    picture(tmp_path / "yolo/images/a.png", 200, 100)
    (tmp_path / "a.csv").write_text("filename,class,xmin,ymin,xmax,ymax\na.png,cat,75,25,125,75\n")
    for sides in (("yolo", "a.csv"), ("a.csv", "yolo")):
        found = bboxconv.diff(*(tmp_path / side for side in sides))
        assert (counts(found), found.same_boxes, found.box) == ({}, 1, "xyxy")


def test_faults_are_refused(put: Callable[..., Path]) -> None:
    """A side with faults is refused with all of them: what could not be read is no difference."""
    bad = put("bad.json", lambda d: box(d, 10).update(image_id=77))
    with pytest.raises(DataError, match="orphan-annotation"):
        bboxconv.diff(put("a.json"), bad)


# -- the arithmetic


coordinates = st.integers(0, 7)
one_box = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
near_box = st.tuples(one_box, st.sampled_from([0, 0, 0.25])).map(lambda one: tuple(edge + one[1] for edge in one[0]))
one_image = st.lists(st.tuples(one_box, st.integers(-1, 1)), max_size=6)
near_image = st.lists(st.tuples(near_box, st.integers(-1, 1)), max_size=6)


def sides(images: Sequence[Sequence[tuple[tuple[float, ...], int]]]) -> Boxes:
    """The boxes of images."""
    rows = [row for image in images for row in image]
    edges = np.array([edges for edges, _ in rows], np.float64).reshape(-1, 4)
    offsets = np.cumsum([0, *map(len, images)])
    return Boxes(offsets.astype(np.int64), edges, np.array([c for _, c in rows], np.int64))


def tally(one: Boxes, other: Boxes, tolerance: float, iou: float) -> tuple[int, ...]:
    """How many pairs there are of each kind."""
    limits = np.full((len(one.offsets) - 1, 4), tolerance)
    return tuple(np.bincount(match(one, other, limits, iou).kind, minlength=len(KINDS)).tolist())


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(one_image, near_image), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.randoms(use_true_random=False),
)
def test_what_a_is_to_b_is_b_to_a(
    images: list[tuple[list[Any], list[Any]]], tolerance: float, iou: float, random: Any
) -> None:
    """A data set is itself in whatever order its boxes stand; the pairs of a and b are as many of each kind as those of
    b and a, in any order; and none that was not taken is better than those that took its boxes."""
    a, b = sides([one for one, _ in images]), sides([other for _, other in images])
    shuffled = [random.sample(one, len(one)) for one, _ in images]
    assert tally(a, sides(shuffled), tolerance, iou) == (len(a.classes), 0, 0, 0)
    wanted = tally(a, b, tolerance, iou)
    assert tally(b, a, tolerance, iou) == wanted
    mixed = sides([random.sample(other, len(other)) for _, other in images])
    assert tally(sides(shuffled), mixed, tolerance, iou) == wanted
    found = match(a, b, np.full((len(images), 4), tolerance), iou)
    assert len(set(found.left.tolist())) == len(set(found.right.tolist())) == len(found.left)
    pairs = dict(zip(found.left.tolist(), found.right.tolist(), strict=True))
    kinds = dict(zip(found.left.tolist(), (KINDS[kind] for kind in found.kind), strict=True))
    back = {right: left for left, right in pairs.items()}
    for left, right in product(range(len(a.classes)), range(len(b.classes))):
        key = claim(a, b, left, right, tolerance, iou)
        if pairs.get(left) == right:
            assert kinds[left] in {0: ["same"], 1: ["moved", "resized"], 2: ["reclassified"]}[key[0]]
            if key[0] == 1:
                sizes = [side.edges[row, 2:] - side.edges[row, :2] for side, row in ((a, left), (b, right))]
                assert (kinds[left] == "moved") == (np.abs(sizes[0] - sizes[1]) <= 2 * tolerance).all()
        elif key[0] < 3:
            taken = [claim(a, b, left, pairs[left], tolerance, iou)] if left in pairs else []
            taken += [claim(a, b, back[right], right, tolerance, iou)] if right in back else []
            assert taken and min(taken) <= key


def claim(a: Boxes, b: Boxes, left: int, right: int, tolerance: float, iou: float) -> tuple[int, float]:
    """How good a pair is, the less the better: 0 the same, 1 of one class, 2 of others, 3 none; then by IoU."""
    if a.images[left] != b.images[right]:
        return 3, 0.0
    overlap = by_hand(a.edges[left].tolist(), b.edges[right].tolist())
    near = np.abs(a.edges[left] - b.edges[right]).max() <= tolerance
    if a.classes[left] == b.classes[right] and near:
        return 0, 0.0
    if not near and overlap < iou - 1e-12:
        return 3, 0.0
    return (1 if a.classes[left] == b.classes[right] else 2), -round(1.0 if near else overlap, 9)


def by_hand(one: Sequence[float], other: Sequence[float]) -> float:
    """The IoU of two boxes, 0 where neither has an area."""
    width, height = (max(0.0, min(one[n + 2], other[n + 2]) - max(one[n], other[n])) for n in (0, 1))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / ((sum(areas) - width * height) or 1.0)


@given(one_box, near_box)
def test_iou_is_that_of_the_cells(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    """The IoU of two boxes is the share of the cells of both that both have; of two without area there is none."""
    found = float(pairs_iou(np.array([one]), np.array([other]))[0])
    cells = [
        {(x, y) for x in range(int(4 * b[0]), int(4 * b[2])) for y in range(int(4 * b[1]), int(4 * b[3]))}
        for b in (one, other)
    ]
    union = len(cells[0] | cells[1])
    assert found == pytest.approx(len(cells[0] & cells[1]) / union, abs=1e-12) if union else np.isnan(found)


def test_the_best_pairs_are_taken_first() -> None:
    """Of boxes that overlap several, the pair of the largest IoU is one, not that of the first box in order; a box of
    the class is preferred to a nearer one of another."""
    a = sides([[((0, 0, 10, 10), 0), ((2, 0, 12, 10), 0)], [((0, 0, 10, 10), 0)]])
    b = sides([[((2.5, 0, 12.5, 10), 0), ((40, 0, 50, 10), 0)], [((0, 0, 10, 10), 1), ((2, 0, 12, 10), 0)]])
    found = match(a, b, np.zeros((2, 4)), 0.5)
    assert [*zip(found.left.tolist(), found.right.tolist(), strict=True)] == [(1, 0), (2, 3)]
    assert [KINDS[kind] for kind in found.kind] == ["moved", "moved"]


def test_crowded_images_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared at once is limited, and does not change what is found."""
    random = np.random.default_rng(5)
    corner = random.integers(0, 900, (2, 500, 2)) / 2
    a, b = (
        Boxes(np.array([0, 100, 500]), np.concatenate([c, c + 60], axis=1), np.zeros(500, np.int64)) for c in corner
    )
    wanted = tally(a, b, 0.5, 0.3)
    monkeypatch.setattr("bboxconv.matching._AT_ONCE", 700)
    assert tally(a, b, 0.5, 0.3) == wanted
    assert min(wanted[1], 500 - sum(wanted)) > 10


@pytest.mark.parametrize(
    ("numbers", "decimals", "unit"),
    [
        ([1, 250, 3e17], 0, 1.0),
        ([1.5, 20, np.nan], 1, 0.1),
        ([10.1 + 20.2, 1234567.25], 2, 0.01),
        ([0.1234567, 3], 7, 1e-7),
        ([1 / 3, 2], 10, 0.0),
        ([np.float32(1 / 3), 200], 10, float(np.spacing(np.float32(200)))),
        ([], 0, 1.0),
    ],
)
def test_decimals(numbers: list[float], decimals: int, unit: float) -> None:
    """The decimals of numbers are those with which the longest is written; floats of 32 bits have a last bit."""
    halves = [Precision.of(np.array(part, np.float64)) for part in (numbers[:1], numbers[1:])]
    for found in (Precision.of(np.array(numbers, np.float64)), halves[0].joined(halves[1])):
        assert (found.decimals, found.unit(None)) == (decimals, unit)


# -- the run


def test_it_is_the_same_for_any_jobs_and_parts(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, memory, parts and processes change nothing of what is found, nor of its examples."""

    def many(document: Document) -> None:
        document["images"] = [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 64} for n in range(300)]
        document["annotations"] = [
            {"id": n, "image_id": n % 300, "category_id": 1 + n % 2, "bbox": [n % 7, n % 5, 20, 30]}
            for n in range(1500)
        ]

    def changed(document: Document) -> None:
        many(document)
        for row in document["annotations"][::9]:
            row["bbox"][0] += 2
        del document["annotations"][::31], document["images"][-3:]
        document["annotations"] = [row for row in document["annotations"] if row["image_id"] < 297]
        for image in document["images"][::5]:
            image["file_name"] = f"elsewhere/{image['id']}.png"

    a, b = (Request((str(put(name, edit)),), jobs=1) for name, edit in (("a.json", many), ("b.json", changed)))
    wanted = replace(diffing.diff(a, b), seconds=0.0)
    assert set(counts(wanted)) == {"image only_in_a", "box moved", "box removed"}
    assert [(finding.code, finding.count) for finding in wanted.findings] == [("diff-image-name", 60)]
    monkeypatch.setattr("bboxconv.dividing._PART", 2000)
    for more in ({"batch_size": 7}, {"memory": 2}, {}):
        found = diffing.diff(replace(a, **more), replace(b, **more))
        assert replace(found, seconds=0.0) == wanted
    with at_work(3) as workers:
        workers.begin()
        assert workers.apart
        monkeypatch.setattr(diffing, "at_work", lambda jobs: _lent(workers))
        assert replace(diffing.diff(a, b), seconds=0.0) == wanted


class _lent:  # noqa: N801
    """Workers that stay."""

    def __init__(self, workers: object) -> None:
        self.workers = workers

    def __enter__(self) -> object:
        return self.workers

    def __exit__(self, *_: object) -> None:
        pass


def shell(*words: str, cwd: Path, stdin: str = "") -> tuple[int, str, str]:
    """The exit code and the outputs of `bboxconv`, in 80 columns."""
    done = run(
        [executable, "-m", "bboxconv", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_what_differs(put: Callable[..., Path], tmp_path: Path) -> None:
    """The result is on stdout, to the letter; the exit code is 4 where there is a difference, and 0 where not."""
    put("a.json"), put("b.json", lambda d: [box(d, 10)["bbox"].__setitem__(0, 3), d["images"].pop()])
    code, out, err = shell("diff", "a.json", "b.json", cwd=tmp_path)
    seconds = out.rpartition(", ")[2]
    assert (code, err) == (4, "")
    assert out.removesuffix(seconds) == (
        "a         coco a.json (top-level keys images, annotations, categories)\n"
        "          5 images, 16 boxes, 2 classes; boxes as xywh, integers\n"
        "b         coco b.json (top-level keys images, annotations, categories)\n"
        "          4 images, 16 boxes, 2 classes; boxes as xywh, integers\n"
        "images    4 in both, 1 only in a\n"
        "boxes     15 the same, 1 moved\n"
        "\n"
        "images only in a (1)\n"
        "  dock/5.jpg\n"
        "\n"
        "moved (1, shown as xyxy)\n"
        "  yard/1.jpg: cat, [0, 41, 60, 91] -> [3, 41, 63, 91], IoU 0.90\n"
        "\n"
        "different: 2 differences; 4 images in both, 15 boxes the same, "
    )
    code, out, err = shell("diff", "a.json", "a.json", cwd=tmp_path)
    assert (code, out.splitlines()[-1].startswith("the same: 5 images, 16 boxes, "), err) == (0, True, "")


def test_json(put: Callable[..., Path], tmp_path: Path) -> None:
    """--json is the document of the library, with a version and the exit code; a side may be standard input."""
    a, b = put("a.json"), put("b.json", lambda d: box(d, 10)["bbox"].__setitem__(0, 3))
    code, out, _ = shell("diff", "a.json", "-", "--from", "coco", "--json", cwd=tmp_path, stdin=b.read_text())
    document, wanted = json.loads(out), bboxconv.diff(a, b, from_=("coco", "coco")).as_dict()
    assert (code, document["version"], document["exit_code"], document["same"]) == (4, difference.VERSION, 4, False)
    assert document["b"]["sources"][0]["path"] == "<stdin>"
    for each in (document, wanted):
        del each["seconds"], each["a"]["sources"], each["b"]["sources"]
    assert document == json.loads(json.dumps(wanted))
    assert document["boxes"]["moved"] == {
        "count": 1,
        "first": [
            {
                "image": "yard/1.jpg", "class_a": "cat", "class_b": "cat", "box_a": [0, 41, 60, 91],
                "box_b": [3, 41, 63, 91], "iou": 0.904762,
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["a.json"], "missing-argument"),
        (["a.json", "b.jsn"], "path-not-found"),
        (["a.json", "b.json", "--iou", "0"], "bad-option-value"),
        (["a.json", "b.json", "--tolerance", "-1"], "bad-option-value"),
        (["a.json", "b.json", "--in", "orign=1"], "unknown-option"),
        (["a.json", "b.json", "-f", "coco", "-f", "voc", "-f", "yolo"], "option-given-twice"),
        (["-", "-", "-f", "coco"], "option-conflict"),
    ],
)
def test_wrong_calls(put: Callable[..., Path], tmp_path: Path, words: list[str], code: str) -> None:
    """A wrong call exits 2 with its code, and writes nothing to stdout."""
    put("a.json"), put("b.json")
    done = shell("diff", *words, cwd=tmp_path)
    assert (done[0], done[1]) == (2, "")
    assert f"error[{code}]" in done[2]


def test_options_of_reading_go_to_the_side_that_knows_them(tmp_path: Path, put: Callable[..., Path]) -> None:
    """`origin=1`, which VOC knows, is not refused beside COCO; `b.origin=1` is for one of two."""
    a = put("a.json")
    bboxconv.convert(a, tmp_path / "voc", to="voc", out={"origin": "1"})
    assert counts(bboxconv.diff(a, tmp_path / "voc")) == {"box moved": 16}
    assert bboxconv.diff(a, tmp_path / "voc", in_={"origin": "1"}).same
    assert bboxconv.diff(tmp_path / "voc", tmp_path / "voc", in_={"a.origin": "1", "b.origin": "1"}).same
    assert not bboxconv.diff(tmp_path / "voc", tmp_path / "voc", in_={"b.origin": "1"}).same
    with pytest.raises(UsageError, match="unknown-option"):
        bboxconv.diff(a, a, in_={"a.origin": "1"})
