"""Merge, split, sample and filter: what comes out, against pandas, DuckDB and pycocotools."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest
from helpers import coco
from hypothesis import given, settings
from hypothesis import strategies as st

import bboxconv
from bboxconv.api import Options
from bboxconv.cli.commands import convert
from bboxconv.cli.sharing import OWN, Given
from bboxconv.errors import BboxconvError, DataError, OutputError, UsageError
from bboxconv.report import Report
from bboxconv.sets.census import Grouping
from bboxconv.sets.expression import parsed
from bboxconv.sets.merging import usual_prefixes
from bboxconv.sets.strata import shares
from bboxconv.sets.tree import is_true

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra: peers)")

CLASSES = ("person", "dog", "fruit stall", "bird", "van", "unicycle")
IMAGES = 400
FEW = ("jobs", "batch_size")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO file of 400 images of 40 videos, a tenth without boxes; `unicycle` is on one image alone."""
    random = np.random.default_rng(1)
    images, annotations = [], []
    for number in range(IMAGES):
        width, height = (640, 480) if number % 3 else (1920, 1080)
        name = f"set{number % 4}/clip{number % 40:02}_{number:06}.jpg"
        image = {"id": 10 * number + 7, "file_name": name, "width": width, "height": height, "clip": f"c{number % 40}"}
        images.append({**image, "video": f"v{number % 40}"})
        for _ in range(0 if number % 10 == 3 else int(random.integers(1, 8))):
            x, y, w, h = (float(round(value, 2)) for value in random.uniform((0, 0, 1, 1), (300, 200, 300, 200)))
            box = {"bbox": [x, y, w, h], "area": round(w * h * 0.7, 3), "iscrowd": int(random.random() < 0.05)}
            score = {"score": float(round(random.random(), 2))} if random.random() < 0.5 else {}
            category = int(random.choice(5, p=(0.5, 0.25, 0.15, 0.07, 0.03))) + 1
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image["id"], "category_id": category, **box, **score}
            )
    annotations[200]["category_id"] = 6
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    return coco(tmp_path_factory.mktemp("sets") / "a.json", images, annotations, categories)


@pytest.fixture(scope="module")
def boxes(source: Path) -> pd.DataFrame:
    """Its boxes as a table, one column for each of an expression."""
    document = json.loads(source.read_text())
    found = pd.DataFrame(document["annotations"])
    images = pd.DataFrame(document["images"]).rename(columns={"id": "image_id"})
    found = found.merge(images, on="image_id")
    found["category"] = [CLASSES[number - 1] for number in found.category_id]
    found["iscrowd"] = found.iscrowd == 1
    found[["x1", "y1", "box_width", "box_height"]] = pd.DataFrame(found.bbox.tolist())
    found["x2"], found["y2"] = found.x1 + found.box_width, found.y1 + found.box_height
    found["relative_area"] = found.box_width * found.box_height / (found.width * found.height)
    found["boxes"] = found.groupby("image_id").id.transform("count")
    return found.drop(columns="bbox")


def where(boxes: pd.DataFrame, expression: str) -> set[int]:
    """The ids of the rows of which DuckDB finds the expression true."""
    connection = duckdb.connect()
    connection.register("boxes", boxes)
    return {row[0] for row in connection.execute(f"select id from boxes where {expression}").fetchall()}


def read(path: Path) -> dict[str, Any]:
    """A COCO file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def ids(path: Path, key: str = "annotations") -> set[int]:
    """The ids of its annotations, or images."""
    return {one["id"] for one in read(path)[key]}


def notes(report: Report) -> dict[str, tuple[str, ...]]:
    """Where each kind of finding was seen."""
    return {found.code: found.where for found in report.findings}


def splits(folder: Path) -> dict[str, set[int]]:
    """The ids of the images of each split of a folder of COCO files."""
    return {path.stem.removeprefix("instances_"): ids(path, "images") for path in folder.glob("*.json")}


EXPRESSIONS = (
    "category in ('dog', 'fruit stall')",
    "category = 'person' and area > 5000 and not iscrowd",
    "score > 0.5",
    "not score > 0.5",
    "score is null or score between 0.25 and 0.75",
    "category not in ('person', 'van')",
    "file_name like 'set1/%' or file_name not like '%1_.jpg'",
    "x1 + box_width / 2 < width / 4 and y2 <= 200",
    "relative_area >= 0.05 AND (boxes < 3 OR category <> 'person')",
    "width = 1920 and video in ('v3', 'v6') and id > 0",
    "category = 'unicycle'",
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_filter_is_where(expression: str, source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """The boxes that stay are those that DuckDB selects, images that lose all of theirs go, those that had none stay,
    and the account adds up."""
    report = bboxconv.filter(source, tmp_path / "b.json", expression)
    wanted = where(boxes, expression)
    assert ids(tmp_path / "b.json") == wanted
    without = ids(source, "images") - set(boxes.image_id)
    assert ids(tmp_path / "b.json", "images") == without | set(boxes[boxes.id.isin(wanted)].image_id)
    assert 0 < len(wanted) < len(boxes)
    assert report.left_out_boxes == {"filtered out": len(boxes) - len(wanted)}
    assert report.read.images == report.written.images + report.left_out_images.get("filtered out", 0)


def test_filter_of_images(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """An expression of columns of images keeps images whole; `--keep-empty` keeps those that lose their boxes."""
    bboxconv.filter(source, tmp_path / "b.json", "width = 640 and boxes = 0 or boxes > 5")
    counts = boxes.groupby("image_id").id.count()
    narrow = {image["id"] for image in read(source)["images"] if image["width"] == 640}
    large = set(counts[counts > 5].index)
    assert ids(tmp_path / "b.json", "images") == large | (narrow - set(counts.index))
    assert ids(tmp_path / "b.json") == set(boxes[boxes.image_id.isin(large)].id)
    bboxconv.filter(source, tmp_path / "c.json", "category = 'dog'", keep_empty=True)
    assert ids(tmp_path / "c.json", "images") == ids(source, "images")
    assert ids(tmp_path / "c.json") == set(boxes[boxes.category == "dog"].id)


def test_filter_by_new_names(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """An expression knows classes by the names that they are given, and no longer by those they had."""
    renamed = {"class_map": {"dog": "animal", "bird": "animal"}}
    bboxconv.filter(source, tmp_path / "b.json", "category = 'animal'", **renamed)
    assert ids(tmp_path / "b.json") == set(boxes[boxes.category.isin(("dog", "bird"))].id)
    with pytest.raises(UsageError, match="unknown-class"):
        bboxconv.filter(source, tmp_path / "c.json", "category = 'dog'", **renamed)


def test_filter_in_pixels(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """Of YOLO, whose boxes are fractions, pixels are known where sizes are given; else that is said, and not true."""
    bboxconv.convert(source, tmp_path / "yolo", to="yolo", out={"crowd": "keep"})
    report = bboxconv.filter(tmp_path / "yolo", tmp_path / "b.jsonl", "box_width > 100 and area > 0")
    counts = {found.code: found.count for found in report.findings}
    assert (report.written.boxes, counts["filter-without-size"]) == (0, len(boxes))
    options: Options = {"image_sizes": str(source)}
    report = bboxconv.filter(tmp_path / "yolo", tmp_path / "c.jsonl", "box_width > 100.01 and y1 < 90.5", **options)
    assert report.written.boxes == len(where(boxes, "box_width > 100.01 and y1 < 90.5"))
    report = bboxconv.filter(tmp_path / "yolo", tmp_path / "d", "area > 20000.05", to="yolo", **options)
    assert report.written.boxes == len(where(boxes, "box_width * box_height > 20000.05"))


def test_filter_says_what_nobody_knows(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """What is left out because the data has no value to compare is told and counted, for boxes and for images, with
    any batch size; not where the rest of the expression decides."""
    report = bboxconv.filter(source, tmp_path / "b.json", "score > 0.5 or category = 'dog'", batch_size=7)
    (found,) = [found for found in report.findings if found.code == "filter-without-value"]
    assert (found.severity, found.count) == ("warning", int((boxes.score.isna() & (boxes.category != "dog")).sum()))
    report = bboxconv.filter(source, tmp_path / "c.json", "not difficult and split = 'train'")
    assert {found.count for found in report.findings if found.code == "filter-without-value"} == {len(boxes)}
    report = bboxconv.filter(source, tmp_path / "d.json", "split = 'train'")
    assert [found.count for found in report.findings] == [IMAGES, 1]
    assert [found.code for found in report.findings] == ["filter-without-value", "nothing-left"]
    report = bboxconv.filter(source, tmp_path / "e.json", "score is null or score > 0.5")
    assert not report.findings


# -- the parser

NUMBERS, TEXTS, FLAGS = ("width", "area", "score"), ("category", "split"), ("iscrowd", "difficult")
TABLE: Mapping[str, pa.Array] = {
    "width": pa.array([1, 2, None, 640, -3, 0], pa.int32()),
    "area": pa.array([0.5, None, 2.0, -1.5, 0.0, 8.0]),
    "score": pa.array([None, None, 1.0, 0.5, 2.5, 0.0]),
    "category": pa.array(["dog", "it's", None, "d_g", "Dog", "50%"]),
    "split": pa.array(["train", "", "val", None, "tr\nin", "ä"]),
    "iscrowd": pa.array([True, False, None, True, False, None]),
    "difficult": pa.array([None, True, False, True, False, True]),
}
numeric = st.recursive(
    st.sampled_from([*NUMBERS, "0", "1", "2.5", "-0.5", "640"]),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("(- {})".format, inner)
        | st.builds("{} / 4".format, inner)
    ),
    max_leaves=4,
)
text = st.sampled_from([*TEXTS, "'dog'", "'it''s'", "''", "'ä'"])
pattern = st.sampled_from(["'d%'", "'_og'", "'%''%'", "'50\\%'", "''", "'%'", "'Dog'", "'tr%in'"])
condition = st.recursive(
    st.sampled_from([*FLAGS, "true", "false", "null"])
    | st.builds("{} {} {}".format, numeric, st.sampled_from(("=", "==", "!=", "<>", "<", "<=", ">", ">=")), numeric)
    | st.builds("{} {} {}".format, text, st.sampled_from(("=", "!=", "<", ">=")), text)
    | st.builds("{} {} {}".format, st.sampled_from(TEXTS), st.sampled_from(("like", "NOT LIKE")), pattern)
    | st.builds("{} {}in (1, 2.5, {})".format, numeric, st.sampled_from(("", "not ")), st.sampled_from(("0", "null")))
    | st.builds("{} not in ('dog', {})".format, st.sampled_from(TEXTS), st.sampled_from(("''", "null")))
    | st.builds("{} {}between {} and {}".format, numeric, st.sampled_from(("", "not ")), numeric, numeric)
    | st.builds("{} is {}null".format, numeric | text, st.sampled_from(("", "not "))),
    lambda inner: (
        st.builds("({}) {} ({})".format, inner, st.sampled_from(("and", "or", "AND", "Or")), inner)
        | st.builds("not ({})".format, inner)
        | st.builds("({}) or ({}) and not ({})".format, inner, inner, inner)
    ),
    max_leaves=5,
)


CONNECTION = duckdb.connect()


@settings(max_examples=30, deadline=None)
@given(st.lists(condition, min_size=8, max_size=8))
def test_an_expression_means_what_it_means_in_sql(expressions: list[str]) -> None:
    """Whatever an expression is made of, it is true of the rows of which DuckDB finds the same words true."""
    kinds = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(TEXTS, "text"), **dict.fromkeys(FLAGS, "flag")}
    known = [name for name in TABLE["category"].to_pylist() if name] + ["", "ä"]
    CONNECTION.register("rows", pa.table({**TABLE, "row": pa.array(range(6))}))
    wanted = CONNECTION.execute(
        f"select {', '.join(f'coalesce(({one}), false)' for one in expressions)} from rows order by row"
    ).fetchall()
    for expression, column in zip(expressions, zip(*wanted, strict=True), strict=True):
        found = is_true(parsed(expression, kinds, known), TABLE, 6)  # type: ignore[arg-type]
        assert tuple(found.to_pylist()) == column, expression


HOSTILE = {
    "column in double quotes": "\"category\" = 'cat'",
    "column in double quotes, in": "\"category\" in ('cat', 'dog')",
    "attribute": "area.__class__ = 1",
    "call": "__import__('os').system('true')",
    "function": "area(1) > 0",
    "power": "9**9**9**9 > 1",
    "parentheses": "(" * 4000 + "1" + ")" * 4000 + " > 0",
    "unclosed": "(" * 10_000,
    "nots": "not " * 2000 + "iscrowd",
    "signs": "-" * 9000 + "1 > 0",
    "sums": "1" + "+1" * 4000 + " > 0",
    "long": "area > " + "9" * 20_000,
    "lambda": "lambda: 1",
    "index": "category[0] = 'a'",
    "format": "f'{area}' = ''",
    "assignment": "area := 3",
    "quote": "category = 'it's'",
    "open text": "category = 'dog",
    "statement": "area > 1; drop table boxes",
    "null byte": "area > 1\0",
    "newline": "area > 1\narea < 3",
    "regex": "file_name matches '(a'",
    "types": "category > 3",
    "no condition": "area",
    "empty": " ",
}


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
def test_hostile_expressions(expression: str) -> None:
    """What is no expression over columns is refused, and never run."""
    with pytest.raises(UsageError) as raised:
        parsed(expression, {"area": "number", "category": "text", "iscrowd": "flag", "file_name": "text"}, ["dog"])
    assert {found.code for found in raised.value.diagnostics} <= {"bad-expression", "unknown-column"}


def test_long_expressions() -> None:
    """A thousand conditions in a row are no nesting, and large numbers stay exact."""
    wide = " or ".join(f"width = {number}" for number in range(600))
    columns = {"width": pa.array([599, 600, (1 << 53) + 1])}
    assert is_true(parsed(wide, {"width": "number"}), columns, 3).to_pylist() == [True, False, False]
    exact = parsed(f"width = {(1 << 53) + 1} and width in ({(1 << 53) + 1})", {"width": "number"})
    assert is_true(exact, columns, 3).to_pylist() == [False, False, True]
    assert is_true(parsed("width != 9007199254740992", {"width": "number"}), columns, 3).to_pylist() == [True] * 3


def test_mistaken_words(source: Path, tmp_path: Path) -> None:
    """An unknown column and an unknown class get a did-you-mean, and a class without quotes is recognised."""
    said = {
        "aera > 3": "error[unknown-column]: there is no column 'aera'\n  hint: did you mean 'area'?",
        "category = 'fruit stal'": "error[unknown-class]: the expression names a class that the data does not have: "
        "'fruit stal'\n  hint: did you mean 'fruit stall'?",
        "category = dog": "hint: a text stands in quotes: 'dog'; ",
    }
    for expression, message in said.items():
        with pytest.raises(UsageError) as raised:
            bboxconv.filter(source, tmp_path / "b.json", expression)
        assert message in str(raised.value)
    assert not (tmp_path / "b.json").exists()


# -- split


def test_split_sizes_and_shares(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """Splits have exactly the sizes asked for and every image is in one; each has its share of every class, to three
    images; what cannot be is said."""
    report = bboxconv.split(source, tmp_path / "s", to="coco", parts={"train": 0.7, "val": 0.2, "test": 0.1}, seed=3)
    found = splits(tmp_path / "s")
    assert {name: len(images) for name, images in found.items()} == {"train": 280, "val": 80, "test": 40}
    assert set.union(*found.values()) == ids(source, "images")
    for name, part in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        for category in CLASSES[:-1]:
            images = set(boxes[boxes.category == category].image_id)
            assert abs(len(images & found[name]) - part * len(images)) <= 3, (name, category)
    assert notes(report)["class-not-in-split"] == (f"{tmp_path / 's'}: unicycle: 1 image, none in val and test",)
    annotations = [one for path in (tmp_path / "s").glob("*.json") for one in read(path)["annotations"]]
    assert {one["id"]: one["image_id"] for one in annotations} == dict(zip(boxes.id, boxes.image_id, strict=True))


@pytest.mark.parametrize(
    ("grouping", "key"),
    [
        ({"group_by": "video"}, lambda image: image["video"]),
        ({"group_by": "extra.clip"}, lambda image: image["clip"]),
        ({"group_by": "folder"}, lambda image: image["file_name"].split("/")[0]),
        ({"group_regex": r"clip(\d+)_(\d+)"}, lambda image: image["file_name"][9:11]),
        ({"group_regex": r"^set[0-9]"}, lambda image: image["file_name"][:4]),
    ],
    ids=["video", "extra", "folder", "regex", "whole"],
)
def test_groups_stay_together(
    grouping: dict[str, str], key: Callable[[dict[str, str]], str], source: Path, tmp_path: Path
) -> None:
    """Images of one group are in one split, and sizes are as near as groups of that size come."""
    report = bboxconv.split(source, tmp_path / "s", to="coco", parts={"train": 0.75, "val": 0.25}, **grouping)
    found = splits(tmp_path / "s")
    groups = {image["id"]: key(image) for image in read(source)["images"]}
    assert not {groups[number] for number in found["train"]} & {groups[number] for number in found["val"]}
    assert len(found["train"]) + len(found["val"]) == IMAGES
    assert abs(len(found["val"]) - 100) <= max(Counter(groups.values()).values()) / 2
    assert "image-without-group" not in notes(report)


@pytest.mark.parametrize(
    ("regex", "key"), [(r"\Qx(\E", "x("), (r"\Qx(\E([0-9])", "1"), (r"[[:alpha:](]+([0-9])", "1"), (r"\\Q|x(.)", "(")]
)
def test_parentheses_that_are_no_groups(regex: str, key: str) -> None:
    """What is quoted, and what stands in brackets, is no group."""
    grouping = Grouping.of(None, regex)
    assert grouping is not None
    assert pc.struct_field(pc.extract_regex(pa.array(["x(1"]), grouping.regex), "key").to_pylist() == [key]


def test_images_without_group(source: Path, tmp_path: Path) -> None:
    """Images without a key go on their own, which is said; large groups make other sizes, which is said too."""
    report = bboxconv.split(source, tmp_path / "s", to="coco", group_regex="^(set0)/")
    (loose,) = [found for found in report.findings if found.code == "image-without-group"]
    assert (loose.count, loose.severity) == (300, "warning")
    assert {name: len(images) for name, images in splits(tmp_path / "s").items()} == {
        "train": 320,
        "val": 40,
        "test": 40,
    }
    report = bboxconv.split(source, tmp_path / "t", to="coco", group_by="folder", parts={"train": 0.6, "val": 0.4})
    assert notes(report)["split-not-met"] == (
        f"{tmp_path / 't'}: train: 200, not 240",
        f"{tmp_path / 't'}: val: 200, not 160",
    )


def test_split_says_what_is_wrong(source: Path, tmp_path: Path) -> None:
    """Parts that do not add up, a destination without splits, unknown keys and two groupings are refused; splits that
    there were are replaced, which is said."""
    for options, code in (
        ({"parts": {"train": 0.8, "val": 0.3}, "to": "coco"}, "bad-fractions"),
        ({"dst": tmp_path / "b.json"}, "splits-not-carried"),
        ({"group_by": "vidoe", "to": "coco"}, "unknown-column"),
        ({"group_by": "video", "group_regex": "x", "to": "coco"}, "option-conflict"),
        ({"group_regex": "(", "to": "coco"}, "bad-option-value"),
    ):
        with pytest.raises(UsageError) as raised:
            bboxconv.split(source, **{"dst": tmp_path / "s", **options})
        assert raised.value.diagnostics[0].code == code
    assert raised.value.diagnostics[0].message.endswith("no regular expression: missing ): (")
    report = bboxconv.split(f"old={source}", tmp_path / "b.parquet", stratify=False)
    assert [found.count for found in report.findings if found.code == "split-replaced"] == [IMAGES]
    found = pyarrow.parquet.read_table(tmp_path / "b.parquet", columns=["split"])["split"].to_pylist()
    assert Counter(found) == {"train": 320, "val": 40, "test": 40}


def test_split_of_splits_that_count_alike(tmp_path: Path) -> None:
    """Of files that all count from 1, as exports of one split each do, ids that clash become new ones: every box stays
    on its image, and pycocotools finds all of them."""
    for split in ("train", "val"):
        images = [{"id": n, "file_name": f"{split}{n}.jpg", "width": 99, "height": 99} for n in range(1, 11)]
        boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [n, 0, 9, 9]} for n in range(1, 11)]
        coco(tmp_path / f"{split}.json", images, boxes, [{"id": 1, "name": "dog"}])
    report = bboxconv.split([f"{one}={tmp_path / one}.json" for one in ("train", "val")], tmp_path / "s", to="coco")
    assert "ids-renumbered" in notes(report)
    found = []
    for path in (tmp_path / "s").glob("*.json"):
        document = read(path)
        names = {image["id"]: image["file_name"] for image in document["images"]}
        found += [(one["id"], names[one["image_id"]], one["bbox"][0]) for one in document["annotations"]]
    assert len({number for number, _, _ in found}) == 20
    assert {(name, x) for _, name, x in found} == {
        (f"{one}{n}.jpg", n) for one in ("train", "val") for n in range(1, 11)
    }


def test_split_takes_images_along(tmp_path: Path) -> None:
    """Images are copied from the folders of their old splits into those of the new ones; where names do not tell
    which is which, that is refused."""
    for split, letter in (("train", "t"), ("val", "v")):
        for folder, suffix, text in (("images", "jpg", split), ("labels", "txt", "0 0.5 0.5 0.25 0.25\n")):
            (tmp_path / "a" / folder / split).mkdir(parents=True)
            for number in range(10):
                (tmp_path / "a" / folder / split / f"{letter}{number}.{suffix}").write_text(text)
    (tmp_path / "a/data.yaml").write_text("train: images/train\nval: images/val\nnames: [dog]\n")
    bboxconv.split(tmp_path / "a", tmp_path / "b", to="yolo", out={"images": "copy"}, seed=1)
    found = {path.name: path for path in (tmp_path / "b/images").rglob("*.jpg")}
    assert Counter(path.parent.name for path in found.values()) == {"train": 16, "val": 2, "test": 2}
    assert all(path.read_text() == {"t": "train", "v": "val"}[name[0]] for name, path in found.items())
    (tmp_path / "a/images/val/t0.jpg").write_text("val")
    (tmp_path / "a/labels/val/t0.txt").write_text("")
    with pytest.raises(UsageError, match="option-conflict"):
        bboxconv.split(tmp_path / "a", tmp_path / "c", to="yolo", out={"images": "copy"})


@given(st.integers(0, 1000), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_shares_add_up(total: int, weights: list[int]) -> None:
    """Largest remainders: the sizes add up, and none is a whole image or more from its part."""
    from fractions import Fraction

    parts = [Fraction(weight, sum(weights)) for weight in weights]
    sizes = shares(total, parts)
    assert sum(sizes) == total
    assert all(abs(size - total * part) < 1 for size, part in zip(sizes, parts, strict=True))


# -- sample


def test_sample(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """So many images are chosen as asked for, with all their boxes, others with another seed; more than there are is
    said; the account adds up."""
    report = bboxconv.sample(source, tmp_path / "b.json", count=37, seed=5)
    chosen = ids(tmp_path / "b.json", "images")
    assert len(chosen) == 37
    assert ids(tmp_path / "b.json") == set(boxes[boxes.image_id.isin(chosen)].id)
    assert report.left_out_images == {"not sampled": IMAGES - 37}
    assert report.left_out_boxes == {"not sampled": len(boxes) - report.written.boxes}
    bboxconv.sample(source, tmp_path / "c.json", fraction=0.1, seed=6)
    assert len(ids(tmp_path / "c.json", "images")) == 40
    assert ids(tmp_path / "c.json", "images") - chosen
    report = bboxconv.sample(source, tmp_path / "d.json", count=500)
    assert notes(report)["sample-too-large"] == (f"{tmp_path / 'd.json'}: 400, not 500",)
    assert report.written.images == IMAGES


def test_stratified_sample(source: Path, boxes: pd.DataFrame, tmp_path: Path) -> None:
    """A stratified sample has its share of every class, to three images."""
    bboxconv.sample(source, tmp_path / "b.json", count=100, stratify=True)
    chosen = ids(tmp_path / "b.json", "images")
    assert len(chosen) == 100
    for category in CLASSES[:-1]:
        images = set(boxes[boxes.category == category].image_id)
        assert abs(len(images & chosen) - len(images) / 4) <= 3, category


@pytest.mark.parametrize(
    "options", [{"drop_empty": True, "to": "voc"}, {"to": "csv", "out": {"layout": "tfod"}}, {"to": "voc"}]
)
def test_images_that_are_not_written_are_not_chosen(options: dict[str, Any], tmp_path: Path) -> None:
    """So many images are written as were asked for, and splits have their sizes, where images without boxes are left
    out."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 99, "height": 99} for n in range(200)]
    boxes = [{"id": n, "image_id": 2 * n, "category_id": 1, "bbox": [n, 0, 9, 9]} for n in range(100)]
    path = coco(tmp_path / "a.json", images, boxes, [{"id": 1, "name": "dog"}])
    written = len(images) if options == {"to": "voc"} else len(boxes)
    report = bboxconv.sample(path, tmp_path / "b", count=50, **options)
    assert report.written.images == 50
    assert report.left_out_images.total() == 150
    report = bboxconv.sample(path, tmp_path / "c", count=201, **options)
    assert notes(report)["sample-too-large"] == (f"{tmp_path / 'c'}: {written}, not 201",)
    report = bboxconv.split(path, tmp_path / "d.parquet", drop_empty=True, stratify=False)
    found = pyarrow.parquet.read_table(tmp_path / "d.parquet", columns=["split"])["split"].to_pylist()
    assert Counter(found) == {"train": 80, "val": 10, "test": 10}


def test_sample_of_a_split(source: Path, tmp_path: Path) -> None:
    """Where a split is asked for, images are chosen of that."""
    bboxconv.split(source, tmp_path / "s.parquet", parts={"train": 0.5, "val": 0.5})
    report = bboxconv.sample(tmp_path / "s.parquet", tmp_path / "b.parquet", count=50, split=["val"])
    splits = pyarrow.parquet.read_table(tmp_path / "b.parquet", columns=["split"])["split"].to_pylist()
    assert splits == ["val"] * 50
    assert report.left_out_images == {"split not asked for": 200, "not sampled": 150}


@pytest.mark.parametrize("options", [{}, {"count": 5, "fraction": 0.5}, {"fraction": 1.5}, {"count": 0}])
def test_sample_says_what_is_wrong(options: dict[str, Any], source: Path, tmp_path: Path) -> None:
    """Neither or both of count and fraction, and what is none, are refused."""
    with pytest.raises(UsageError):
        bboxconv.sample(source, tmp_path / "b.json", **options)


# -- merge


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two COCO files that both count from 1, with classes in another order, and one image id that is free."""
    folder = tmp_path_factory.mktemp("twins")
    paths = []
    for letter, names in (("a", ("cat", "dog")), ("b", ("dog", "bird"))):
        images = [
            {"id": number, "file_name": f"{letter}{number}.jpg", "width": 10, "height": 10} for number in (1, 2, 3)
        ]
        if letter == "b":
            images[2]["id"] = 9
        rows = [(1, 1, 1), (2, 1, 2), (3, images[2]["id"], 1), (70 if letter == "b" else 4, 2, 2)]
        annotations = [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": [number, image, 2, 2],
                "area": 4,
                "iscrowd": 0,
            }
            for number, image, category in rows
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
        paths.append(coco(folder / f"{letter}.json", images, annotations, categories))
    return paths[0], paths[1]


def rows_of(path: Path) -> list[tuple[object, ...]]:
    """Each annotation of a COCO file without its ids: image, class, box; by pycocotools."""
    pycocotools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed (extra: peers)")
    with redirect_stdout(StringIO()):
        loaded = pycocotools.COCO(str(path))
    return sorted(
        (image["file_name"], loaded.cats[one["category_id"]]["name"], *one["bbox"])
        for image in loaded.imgs.values()
        for one in loaded.loadAnns(loaded.getAnnIds(imgIds=[image["id"]]))
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_merge_of_the_same_ids(suffix: str, twins: tuple[Path, Path], tmp_path: Path) -> None:
    """All annotations of both are on their images and in their classes; only ids that clash are new, above all others;
    the map has each, the account counts them."""
    report = bboxconv.merge(twins, tmp_path / "m.json", id_map=tmp_path / f"ids.{suffix}", verify=True)
    assert rows_of(tmp_path / "m.json") == sorted(rows_of(twins[0]) + rows_of(twins[1]))
    assert [image["id"] for image in read(tmp_path / "m.json")["images"]] == [1, 2, 3, 10, 11, 9]
    assert [one["id"] for one in read(tmp_path / "m.json")["annotations"]] == [1, 2, 4, 3, 71, 72, 70, 73]
    load = pyarrow.csv.read_csv if suffix == "csv" else pyarrow.parquet.read_table
    found = load(tmp_path / f"ids.{suffix}").to_pandas()
    assert set(found.source) == {str(twins[1])}
    assert [tuple(row) for row in found[["kind", "old_id", "new_id"]].to_numpy().tolist()] == [
        *[("image", 1, 10), ("image", 2, 11)],
        *[("annotation", 1, 71), ("annotation", 2, 72), ("annotation", 3, 73)],
    ]
    assert report.fields["image.id"].changed == {"remapped": 2}
    assert report.fields["object.id"].changed == {"remapped": 3}
    with pytest.raises(DataError, match="image-id-clash"):
        bboxconv.convert(twins, tmp_path / "n.json")


def test_merge_of_the_same_names(source: Path, tmp_path: Path) -> None:
    """Images of one name are refused with both sources, prefixed where that is asked for, and no clash in splits of
    their own where the destination carries these."""
    one = coco(tmp_path / "one.json", [{"id": 1, "file_name": "x.jpg"}, {"id": 2, "file_name": "y.jpg"}], [], [])
    two = coco(tmp_path / "two.json", [{"id": 1, "file_name": "y.jpg"}, {"id": 2, "file_name": "z.jpg"}], [], [])
    with pytest.raises(DataError) as raised:
        bboxconv.merge([one, two], tmp_path / "m.json")
    assert str(raised.value) == (
        "error[source-name-clash]: two sources have an image of the same name\n"
        f"  {one} and {two}: y.jpg\n"
        "  hint: --on-clash prefix puts the name of its source before the name of each image"
    )
    assert not (tmp_path / "m.json").exists()
    report = bboxconv.merge([one, two], tmp_path / "m.json", on_clash="prefix")
    names = [image["file_name"] for image in read(tmp_path / "m.json")["images"]]
    assert names == ["one/x.jpg", "one/y.jpg", "two/y.jpg", "two/z.jpg"]
    assert report.fields["image.file_name"].changed == {"renamed": 4}
    assert "duplicate-file-name" not in notes(report)
    bboxconv.merge([one, two], tmp_path / "p.json", on_clash="prefix", prefix=["1-", "2-"])
    assert [image["file_name"] for image in read(tmp_path / "p.json")["images"]][1:3] == ["1-y.jpg", "2-y.jpg"]
    report = bboxconv.merge([f"a={one}", f"b={two}"], tmp_path / "s", to="coco")
    assert report.fields["image.file_name"].changed == {}
    with pytest.raises(DataError, match="source-name-clash"):
        bboxconv.merge([f"a={one}", f"b={two}"], tmp_path / "q.json")


def test_prefixes() -> None:
    """A prefix is as much of the path as tells the sources apart, or a number."""
    assert usual_prefixes(["data/a.json.gz", "train=data/b.json"]) == ("a/", "b/")
    assert usual_prefixes(["x/instances.json", "/y/instances.json"]) == ("x_instances/", "y_instances/")
    assert usual_prefixes(["voc", "coco/"]) == ("voc/", "coco/")
    assert usual_prefixes(["a.json", "a.json"]) == ("1/", "2/")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"prefix": ["a/", "b/"]}, "option-conflict"),
        ({"prefix": ["a/"], "on_clash": "prefix"}, "bad-option-value"),
        ({"prefix": ["a/", "a/"], "on_clash": "prefix"}, "bad-option-value"),
        ({"id_map": "ids.txt"}, "bad-option-value"),
        ({"id_map": "ids.csv"}, "output-exists"),
    ],
)
def test_merge_says_what_is_wrong(
    options: dict[str, Any], code: str, twins: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prefix without its flag, too few of them, one for two sources, and a map of no known kind or over another
    file are refused."""
    monkeypatch.chdir(tmp_path)
    Path("ids.csv").write_text("mine")
    with pytest.raises(UsageError) as raised:
        bboxconv.merge(twins, "m.json", **options)
    assert raised.value.diagnostics[0].code == code
    assert (Path("ids.csv").read_text(), Path("m.json").exists()) == ("mine", False)


@pytest.mark.parametrize("target", ["m.json", "m"])
def test_no_data_without_its_map(target: str, twins: tuple[Path, Path], tmp_path: Path) -> None:
    """Where the map cannot be written, nothing is; it may lie in the folder that is made."""
    with pytest.raises(OutputError):
        bboxconv.merge(twins, tmp_path / target, to="coco", id_map=twins[0] / "ids.csv")
    assert not (tmp_path / target).exists()
    if target == "m":
        bboxconv.merge(twins, tmp_path / target, to="coco", id_map=tmp_path / target / "ids.csv")
        assert {path.name for path in (tmp_path / target).glob("[!.]*")} == {"instances.json", "ids.csv"}


def test_ids_without_room(tmp_path: Path) -> None:
    """New ids are small where there is room, above those of 31 or 53 bits else; where there is none, the clash is an
    error, and no id is ever made twice."""
    edges = [(1 << 31) - 1, (1 << 53) - 1, (1 << 63) - 2]
    for count, new in ((1, 1 << 31), (2, 1 << 53), (3, None)):
        images = [[{"id": n, "file_name": f"{name}{n}"} for n in edges[:count]] for name in "ab"]
        paths = [coco(tmp_path / f"{at}.json", one, [], []) for at, one in enumerate(images)]
        if new is None:
            with pytest.raises(DataError, match="ids-exhausted"):
                bboxconv.merge(paths, tmp_path / "m.json", overwrite=True)
            continue
        bboxconv.merge(paths, tmp_path / "m.json", overwrite=True)
        assert ids(tmp_path / "m.json", "images") == {*edges[:count], *range(new, new + count)}


# -- all of them

RUNS: Mapping[str, Callable[..., Report]] = {
    "merge": lambda src, dst, **more: bboxconv.merge([f"a={src}", f"b={src}"], dst, **more),
    "split": lambda src, dst, **more: bboxconv.split(src, dst, group_by="video", **more),
    "sample": lambda src, dst, **more: bboxconv.sample(src, dst, count=101, stratify=True, **more),
    "filter": lambda src, dst, **more: bboxconv.filter(src, dst, "area > 3000 and score is null", **more),
}


@pytest.mark.parametrize("command", RUNS)
def test_the_same_bytes_for_any_jobs(
    command: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of processes and any batch size give the same files, and `verify` finds them equal to what was
    chosen."""
    monkeypatch.setattr("bboxconv.formats.coco.reading.SMALL", 1000)  # so that processes are started
    for name, options in (("a", {"verify": True}), ("b", {"batch_size": 7}), ("c", {"jobs": 3, "batch_size": 50})):
        report = RUNS[command](source, tmp_path / name, to="coco", **options)
        assert (report.command, report.exit_code) == (command, 0)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*.json")} for name in "abc"]
    assert files[0] == files[1] == files[2] != {}


@pytest.mark.parametrize("layout", ["images", "boxes"])
def test_parquet_is_divided_as_coco(layout: str, source: Path, tmp_path: Path) -> None:
    """The same images are chosen of Parquet, of which the first look reads few columns, as of COCO."""
    bboxconv.convert(source, tmp_path / "a.parquet", out={"layout": layout}, batch_size=30)
    for number, path in enumerate((source, tmp_path / "a.parquet")):
        bboxconv.sample(path, tmp_path / f"{number}.json", count=50, stratify=True, seed=2)
        bboxconv.split(path, tmp_path / str(number), to="coco", group_by="extra.clip")
        bboxconv.merge([f"a={path}", f"b={path}"], tmp_path / f"m{number}", to="coco")
    assert ids(tmp_path / "0.json", "images") == ids(tmp_path / "1.json", "images")
    assert splits(tmp_path / "0") == splits(tmp_path / "1")
    assert splits(tmp_path / "m0") == splits(tmp_path / "m1")


@pytest.mark.parametrize("command", ["sample", "filter", "split"])
def test_what_is_left_out_when_writing(command: str, tmp_path: Path) -> None:
    """Where two images want the same file and one is set aside, the account is that of the images that were chosen."""
    names = [f"{number}.jpg" for number in range(20)] + [f"{number}.png" for number in range(20)]
    images = [{"id": at, "file_name": name, "width": 9, "height": 9} for at, name in enumerate(names)]
    annotations = [
        {"id": at + 1, "image_id": at, "category_id": 1, "bbox": [1, 1, 2, 2 + at], "area": 4, "iscrowd": 0, "score": 1}
        for at in range(40)
    ]
    path = coco(tmp_path / "a.json", images, annotations, [{"id": 1, "name": "dog"}])
    run = {
        "sample": lambda **more: bboxconv.sample(path, tmp_path / "y", count=30, **more),
        "filter": lambda **more: bboxconv.filter(path, tmp_path / "y", "box_height > 11", **more),
        "split": lambda **more: bboxconv.split(path, tmp_path / "y", parts={"train": 1.0}, **more),
    }[command]
    report = run(to="yolo", on_error="skip")
    labels = len(list((tmp_path / "y").rglob("*.txt"))) - len(list((tmp_path / "y").glob("*.txt")))
    assert report.written.images == report.fields["object.bbox"].count == labels < 40
    assert report.read.images == report.written.images + sum(report.left_out_images.values())


@pytest.mark.parametrize("command", RUNS)
def test_an_empty_data_set(command: str, tmp_path: Path) -> None:
    """Of nothing, nothing is made, and nothing fails."""
    path = coco(tmp_path / "a.json", [], [], [{"id": 1, "name": "dog"}])
    report = RUNS[command](path, tmp_path / "b", to="coco")
    assert (report.exit_code, report.written.images, report.left_out_images) == (0, 0, {})


def test_standard_input(source: Path, tmp_path: Path) -> None:
    """Standard input, which can be read once, is sampled all the same, and standard output taken."""
    words = ["sample", "-", "-o", "-", "--from", "coco", "--to", "coco", "-n", "5", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "bboxconv", *words], input=source.read_bytes(), capture_output=True, check=True
    )
    bboxconv.sample(source, tmp_path / "b.json", count=5)
    assert (done.stdout, done.stderr) == ((tmp_path / "b.json").read_bytes(), b"")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sample", "a.json", "-n", "5"], "missing-argument"),
        (["sample", "-o", "b.json", "-n", "5"], "missing-argument"),
        (["sample", "a.json", "-o", "b.json", "-n", "x"], "bad-option-value"),
        (["split", "a.json", "-o", "b", "--train", "80%"], "bad-option-value"),
        (["filter", "a.json", "-o", "b.json"], "bad-expression"),
        (["merge", "a.json", "-o", "b.json", "--on-clash", "prefixx"], "bad-option-value"),
        (["merge", "a.json", "-o", "b.json", "--verify", "--dry-run"], "option-conflict"),
        (["split", "a.json", "-o", "b", "--sede", "3"], "unknown-option"),
    ],
)
def test_wrong_commands(words: list[str], code: str, tmp_path: Path) -> None:
    """What is missing or wrong on the command line is an error of its own, exit 2."""
    coco(tmp_path / "a.json", [{"id": 1, "file_name": "x.jpg"}], [], [])
    done = subprocess.run(
        [sys.executable, "-m", "bboxconv", *words, "--json"], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["findings"][0]["code"]) == (2, code)


def test_options_are_those_of_convert() -> None:
    """The functions take every option of `convert`, and the commands every flag of it."""
    own = [name for name, one in inspect.signature(bboxconv.convert).parameters.items() if one.kind == one.KEYWORD_ONLY]
    assert [*Options.__annotations__] == own
    assert [*OWN, *Given.__annotations__] == [*inspect.signature(convert).parameters]


def test_unknown_options_are_refused(source: Path, tmp_path: Path) -> None:
    """An option that nobody knows is an error, as in every function."""
    with pytest.raises(TypeError, match="overwrit"):
        bboxconv.sample(source, tmp_path / "b.json", count=1, overwrit=True)  # type: ignore[call-arg]
    assert issubclass(UsageError, BboxconvError)
