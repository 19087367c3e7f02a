"""YOLO: rows, trees and data.yaml as people have them, and what is written, whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from bboxconv.boxes import BoxFormat
from bboxconv.codec import ReadContext, Source, WriteContext, Writes
from bboxconv.errors import DataError, UsageError
from bboxconv.formats import yolo
from bboxconv.formats.yolo import writing
from bboxconv.schema import SHAPES, Category, Dataset, Header, bbox_array, flat, image_batch, object_rows, shape_array
from bboxconv.workers import at_work

PIXELS = BoxFormat("xywh")
FRACTIONS = BoxFormat("cxcywh", 1.0)
SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "yolo"


def tree(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Files below a folder, with their text."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def read(path: Path, split: str | None = None, **context: object) -> tuple[Dataset, list[dict[str, Any]], ReadContext]:
    """A data set, its images as dicts, and the context with the findings."""
    given = ReadContext(**context)  # type: ignore[arg-type]
    dataset = yolo.read(Source(path, split, "SRC"), given)
    return dataset, [image for batch in dataset for image in batch.to_pylist()], given


def codes(context: ReadContext | WriteContext) -> list[tuple[str, int]]:
    """Code and count of every finding."""
    return [(d.code, d.count) for d in context.findings]


def places(context: ReadContext | WriteContext, code: str) -> list[str]:
    """Where a code was seen."""
    return [where for d in context.findings if d.code == code for where in d.where]


def one(folder: Path, rows: str | bytes, **context: object) -> tuple[list[dict[str, Any]], ReadContext]:
    """The objects of a single label file in a bare folder."""
    context.setdefault("classes", ("a", "b", "c"))
    _, images, given = read(tree(folder, {"x.txt": rows}), **context)
    return images[0]["objects"], given


def batch(images: Sequence[tuple[str, str | None, Sequence[dict[str, Any]]]]) -> pa.RecordBatch:
    """A batch of (file_name, split, objects), an object being a dict with `category`, `bbox` and more."""
    objects = [o for _, _, inside in images for o in inside]
    offsets = np.cumsum([0, *(len(inside) for _, _, inside in images)])
    shapes = [o.get("shape") for o in objects]
    columns = {
        "category": pa.array([o["category"] for o in objects], pa.int32()),
        "bbox": bbox_array(np.array([o["bbox"] for o in objects], dtype=np.float64).reshape(-1, 4)),
        "shape": shape_array(
            np.array([SHAPES.index(s or "box") for s in shapes], np.int8),
            np.array([s is not None for s in shapes], np.bool_),
        ),
        "score": pa.array([o.get("score") for o in objects], pa.float64()),
        "segmentation": pa.array([o.get("segmentation") for o in objects], pa.string()),
        "keypoints": pa.array([o.get("keypoints") for o in objects], pa.string()),
    }
    names = {
        "file_name": pa.array([i[0] for i in images], pa.string()),
        "split": pa.array([i[1] for i in images], pa.string()),
    }
    return image_batch(names, offsets, object_rows(columns, len(objects)))


def write(
    folder: Path,
    images: Sequence[tuple[str, str | None, Sequence[dict[str, Any]]]],
    options: dict[str, str] | None = None,
    *,
    source: BoxFormat = PIXELS,
    names: Sequence[str] = ("a", "b", "c"),
    header: Header | None = None,
    at: Path | None = None,
) -> tuple[dict[str, str], WriteContext]:
    """The written files by relative name, and the context with the findings."""
    folder.mkdir(parents=True, exist_ok=True)
    context = WriteContext(source, options or {}, images=at)
    given = header or Header(FRACTIONS, tuple(Category(name) for name in names))
    yolo.write(given, [batch(images)], folder, context)
    files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {
        name: p.read_text(encoding="utf-8") for name, p in files.items() if name.endswith((".txt", ".yaml"))
    }, context


BOX = {"category": 1, "bbox": [0.5, 0.25, 0.125, 1 / 3]}
TREE = {
    "data.yaml": "train: images/train\nval: images/val\nnames: [a, b]\n",
    "labels/train/x.txt": "0 .5 .5 .1 .1\n",
    "labels/val/y.txt": "",
}


# rows


def test_box_row(tmp_path: Path) -> None:
    """A row of five columns is a box whose numbers are those of the file, to the last bit."""
    objects, context = one(tmp_path, "1 0.3333333333333333 0.1 1e-7 0.30000000000000004\n")
    assert [(o["category"], o["bbox"]) for o in objects] == [(1, [0.3333333333333333, 0.1, 1e-7, 0.30000000000000004])]
    assert objects[0]["shape"] is None and objects[0]["score"] is None and objects[0]["segmentation"] is None
    assert context.findings.errors == 0


def test_score_row(tmp_path: Path) -> None:
    """The sixth column of a row of six is the score; rows without one have none."""
    objects, _ = one(tmp_path, "0 .5 .5 .1 .1 0.875\n0 .5 .5 .1 .1\n")
    assert [o["score"] for o in objects] == [0.875, None]


def test_polygon_row(tmp_path: Path) -> None:
    """An odd number of columns from seven up is a polygon: its points as written, its extent as the box; rows keep
    their order.
    """
    objects, _ = one(tmp_path, "0 .5 .5 .2 .2\n2 0.5 0.125 1 0.25 0.75 0.625 0.625 0.5\n1 0 0 0.5 0 0.5 0.25\n")
    assert [o["shape"] for o in objects] == [None, "polygon", "polygon"]
    assert objects[1]["bbox"] == [0.75, 0.375, 0.5, 0.5]
    assert json.loads(objects[1]["segmentation"]) == [[0.5, 0.125, 1, 0.25, 0.75, 0.625, 0.625, 0.5]]
    assert objects[2]["bbox"] == [0.25, 0.125, 0.5, 0.25]
    assert [o["category"] for o in objects] == [0, 2, 1]


def test_obb_task(tmp_path: Path) -> None:
    """With task=obb nine columns are a quad, and other polygons are faults."""
    objects, context = one(tmp_path, "0 0 0 0.5 0 0.5 0.5 0 0.5\n0 0 0 1 0 1 1\n", options={"task": "obb"})
    assert [(o["shape"], o["bbox"]) for o in objects] == [("quad", [0.25, 0.25, 0.5, 0.5])]
    assert places(context, "bad-row") == ["SRC/x.txt:2: 7 columns"]


def test_detect_task(tmp_path: Path) -> None:
    """With task=detect a polygon row is a fault."""
    objects, context = one(tmp_path, "0 .5 .5 .1 .1\n0 0 0 1 0 1 1\n", options={"task": "detect"})
    assert len(objects) == 1
    assert codes(context)[-1] == ("bad-row", 1)


@pytest.mark.parametrize(
    ("shape", "row", "keypoints"),
    [
        ("[2, 3]", "0 .5 .5 .2 .2 0.25 0.5 2 0 0 0\n", "[0.25,0.5,2,0,0,0]"),
        ("[3, 2]", "0 .5 .5 .2 .2 0.25 0.5 0 0 -1 0.5\n", "[0.25,0.5,2,0,0,0,-1,0.5,0]"),
    ],
)
def test_keypoint_row(tmp_path: Path, shape: str, row: str, keypoints: str) -> None:
    """Rows that fit kpt_shape have keypoints; of two numbers each, they are seen unless they are no place."""
    _, images, _ = read(
        tree(tmp_path, {"data.yaml": f"train: images\nnames: [a]\nkpt_shape: {shape}\n", "labels/x.txt": row})
    )
    assert images[0]["objects"][0]["keypoints"] == keypoints
    assert images[0]["objects"][0]["bbox"] == [0.5, 0.5, 0.2, 0.2]


def test_pose_task_without_shape(tmp_path: Path) -> None:
    """With task=pose and no kpt_shape the columns after the box are triples."""
    objects, _ = one(tmp_path, "0 .5 .5 .2 .2 0.25 0.5 1\n", options={"task": "pose"})
    assert objects[0]["keypoints"] == "[0.25,0.5,1]"


def test_white_space(tmp_path: Path) -> None:
    """A byte order mark, CRLF, CR, tabs, several spaces, blank lines and a missing newline at the end change no
    row.
    """
    objects, context = one(tmp_path, b"\xef\xbb\xbf0\t.5  .5 .1 .1 \r\n\r\n  \n 1 .25 .5 .1 .1\r2 .5 .5 .1 .1")
    assert [(o["category"], o["bbox"][0]) for o in objects] == [(0, 0.5), (1, 0.25), (2, 0.5)]
    assert context.findings.errors == 0


def test_class_as_float(tmp_path: Path) -> None:
    """A class 1.0 is class 1; 0.5 is a fault."""
    objects, context = one(tmp_path, "1.0 .5 .5 .1 .1\n0.5 .5 .5 .1 .1\n")
    assert [o["category"] for o in objects] == [1]
    assert places(context, "bad-value") == ["SRC/x.txt:2: 0.5"]


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    """Each faulty row is named with file and line, and all other rows are read."""
    rows = (
        "0 .5 .5 .1 .1\r\n\r\n0 .5 oops .1 .1\n-1 .5 .5 .1 .1\n3 .5 .5 .1 .1\n0 .5 .5\n0 nan .5 .1 .1\n0 .5 .5 inf .1\n"
    )
    rows += "0 .5 .5 .1 1_0\n2 .5 .5 .1 .1\n"
    objects, context = one(tmp_path, rows)
    assert [o["category"] for o in objects] == [0, 2]
    assert places(context, "bad-number") == [
        "SRC/x.txt:3: oops",
        "SRC/x.txt:7: nan",
        "SRC/x.txt:8: inf",
        "SRC/x.txt:9: 1_0",
    ]
    assert places(context, "unknown-class") == ["SRC/x.txt:4: class -1", "SRC/x.txt:5: class 3"]
    assert places(context, "bad-row") == ["SRC/x.txt:6: 3 columns"]
    assert context.findings.errors == 7


def test_many_faults_are_counted(tmp_path: Path) -> None:
    """Beyond the first five places faults are counted."""
    _, context = one(tmp_path, "x\n" * 100)
    assert len(places(context, "bad-number")) == 5
    assert context.findings.errors == 100


def test_faults_are_not_counted_twice(tmp_path: Path) -> None:
    """Iterating a data set again reads the same images and adds no finding."""
    tree(tmp_path, {**TREE, "labels/train/z.txt": "9 1 1 1 1\n", "labels/val/z.txt": "9 1 1 1 1\n"})
    context = ReadContext()
    dataset = yolo.read(Source(tmp_path), context)
    next(iter(dataset))
    assert context.findings.errors == 1
    assert list(dataset) == list(dataset)
    assert context.findings.errors == 2


def test_hostile_bytes(tmp_path: Path) -> None:
    """NUL, invalid UTF-8, a huge number and a very long token are faults, shown escaped and shortened."""
    objects, context = one(
        tmp_path, b"0 .5\x00.5 .5 .1 .1\n\xff\xfe .5 .5 .1 .1\n0 1e999 .5 .1 .1\n" + b"9" * 5000 + b"x .5 .5 .1 .1\n"
    )
    assert objects == []
    assert places(context, "bad-number") == [
        "SRC/x.txt:1: .5\\x00.5",
        "SRC/x.txt:2: \\xff\\xfe",
        "SRC/x.txt:3: 1e999",
        f"SRC/x.txt:4: {'9' * 40}...",
    ]


def test_outside_is_kept(tmp_path: Path) -> None:
    """Numbers below 0 and above 1 are kept as they are."""
    objects, context = one(tmp_path, "0 -0.1 1.2 0.5 0.5\n")
    assert objects[0]["bbox"] == [-0.1, 1.2, 0.5, 0.5]
    assert "pixels-not-fractions" not in dict(codes(context))


def test_pixels(tmp_path: Path) -> None:
    """Where most rows hold numbers above 2 a warning says that they are pixels."""
    _, context = one(tmp_path, "0 100 100 20 20\n0 50 50 10 10\n0 .5 .5 .1 .1\n")
    assert ("pixels-not-fractions", 2) in codes(context)


def test_long_file(tmp_path: Path) -> None:
    """A label file of more than one read is read whole."""
    objects, _ = one(tmp_path, "1 0.125 0.25 0.5 0.75\n" * 20_000)
    assert len(objects) == 20_000
    assert all(o["bbox"] == [0.125, 0.25, 0.5, 0.75] for o in objects)


# trees


def test_sample() -> None:
    """The sample gives 8 images and 12 boxes in two splits, names with sub-folders, and a note on the image without
    labels.
    """
    dataset, images, context = read(SAMPLE / "data.yaml")
    assert dataset.images == len(images) == 8
    assert sum(len(i["objects"]) for i in images) == 12
    assert [c.name for c in dataset.header.categories] == ["person", "bicycle", "fruit stall", "café table", "dog"]
    assert [(i["file_name"], i["split"], len(i["objects"])) for i in images] == [
        ("crossing.v2 noon.png", "train", 2),
        ("empty_square.png", "train", 0),
        ("not_labelled.png", "train", 0),
        ("phone_upright.jpg", "train", 2),
        ("stall_a.png", "train", 3),
        ("stall_b.jpg", "train", 2),
        ("harbour_a.png", "val", 2),
        ("quay/harbour_b.jpg", "val", 1),
    ]
    assert codes(context) == [("image-without-label-file", 1)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["labels/train/a.txt", "labels/val/b.txt", "images/train/a.png"], [("a.png", "train"), ("b.jpg", "val")]),
        (
            ["train/labels/a.txt", "valid/labels/b.txt", "test/labels/s/c.txt"],
            [("a.jpg", "train"), ("b.jpg", "val"), ("s/c.jpg", "test")],
        ),
        (["train2017/a.txt", "train2017/a.bmp", "val2017/b.txt"], [("a.bmp", "train"), ("b.jpg", "val")]),
        (["labels/a.txt", "labels/train/b.txt", "images/a.JPG"], [("b.jpg", "train"), ("a.JPG", None)]),
        (
            ["a.txt", "a.jpeg", "deep/b.txt", "deep/c.webp"],
            [("a.jpeg", None), ("deep/b.jpg", None), ("deep/c.webp", None)],
        ),
    ],
)
def test_trees_without_yaml(tmp_path: Path, files: list[str], expected: list[tuple[str, str | None]]) -> None:
    """Splits and images are found in the trees of YOLOv5, Roboflow, COCO's years, darknet, and a bare folder."""
    tree(tmp_path, dict.fromkeys(files, "0 .5 .5 .1 .1\n"))
    _, images, _ = read(tmp_path)
    assert [(i["file_name"], i["split"]) for i in images] == expected


def test_other_text_files(tmp_path: Path) -> None:
    """Class names, read-me files and lists of images are no labels; train.txt with rows of numbers is one."""
    other = {
        "classes.txt": "cat\ndog\n\n",
        "README.roboflow.txt": "1 2 3 4 5\n",
        "val.txt": "data/a.jpg\n",
        "obj.names": "x\n",
    }
    dataset, images, _ = read(tree(tmp_path, {**other, "a.txt": "1 .5 .5 .1 .1\n", "train.txt": "0 .5 .5 .1 .1\n"}))
    assert [i["file_name"] for i in images] == ["a.jpg", "train.jpg"]
    assert [c.name for c in dataset.header.categories] == ["cat", "dog"]


def test_labels_of_images_that_are_called_so(tmp_path: Path) -> None:
    """In a folder of labels a file that is empty or begins with a row is that of an image, whatever it is called."""
    files = {
        "data.yaml": "train: images/train\nnames: [a]\n",
        "labels/train/classes.txt": "cat\ndog\n",
        "labels/train/a/classes.txt": "0\n1\n",
        "labels/train/README.txt": "\n0 .5 .5 .1 .1\n",
        "labels/train/labels.txt": "",
        "labels/train/b/README.txt": "5 images\n",
    }
    _, images, _ = read(tree(tmp_path, files))
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("README.jpg", 1), ("labels.jpg", 0)]


def test_one_split_of_another_name(tmp_path: Path) -> None:
    """A split that is none of the usual comes back where it is the only one, though train and val name its folder."""
    written, _ = write(tmp_path, [("a.jpg", "fold 1", [])])
    document = yaml.safe_load(written["data.yaml"])
    assert (document["train"], document["val"], document["fold 1"]) == ("images/fold 1",) * 3
    assert [i["split"] for i in read(tmp_path)[1]] == ["fold 1"]


def test_labels_alone_find_names_above(tmp_path: Path) -> None:
    """A folder of labels inside a tree takes class names from the data.yaml above it and images from the folder
    beside it.
    """
    tree(tmp_path, {**TREE, "images/train/x.png": b""})
    dataset, images, context = read(tmp_path / "labels" / "train")
    assert [c.name for c in dataset.header.categories] == ["a", "b"]
    assert [i["file_name"] for i in images] == ["x.png"]
    assert codes(context) == [("class-names-from", 1)]


def test_numbers_as_names(tmp_path: Path) -> None:
    """Without names anywhere the numbers up to the highest one are the names, and context.classes comes before
    them.
    """
    tree(tmp_path, {"a.txt": "3 .5 .5 .1 .1\n", "b.txt": "1 .5 .5 .1 .1\n"})
    dataset, images, _ = read(tmp_path, batch_size=1)
    assert [c.name for c in dataset.header.categories] == ["0", "1", "2", "3"]
    assert [i["objects"][0]["category"] for i in images] == [3, 1]
    dataset, _, _ = read(tmp_path, classes=("a", "b", "c", "d"))
    assert [c.name for c in dataset.header.categories] == ["a", "b", "c", "d"]


def test_absurd_class_without_names(tmp_path: Path) -> None:
    """A class number that would make millions of names is a fault."""
    _, context = one(tmp_path, "1000000000 .5 .5 .1 .1\n", classes=())
    assert places(context, "unknown-class") == ["SRC/x.txt:1: class 1000000000"]


def test_images_elsewhere(tmp_path: Path) -> None:
    """--images gives the extension of images that are not beside the labels, in its folder of the split first."""
    tree(
        tmp_path,
        {"set/" + name: text for name, text in TREE.items()}
        | {"pictures/x.png": b"", "pictures/val/y.tif": b"", "pictures/y.gif": b""},
    )
    _, images, context = read(tmp_path / "set", images=tmp_path / "pictures")
    assert [i["file_name"] for i in images] == ["x.png", "y.tif"]
    assert codes(context) == []


def test_same_stem(tmp_path: Path) -> None:
    """Two images of one stem both have the rows of the label file, with a warning that names both."""
    _, images, context = read(tree(tmp_path, {"a.jpg": b"", "a.png": b"", "a.txt": "0 .5 .5 .1 .1\n"}))
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("a.jpg", 1), ("a.png", 1)]
    assert places(context, "shared-label-file") == ["a.jpg and a.png"]


def test_split_of_the_source(tmp_path: Path) -> None:
    """A split that the user gave stands over that of the tree."""
    _, images, _ = read(tree(tmp_path, TREE), split="extra")
    assert {i["split"] for i in images} == {"extra"}


def test_link_loop(tmp_path: Path) -> None:
    """A link to a folder above it is not followed for ever."""
    tree(tmp_path, {"labels/a.txt": "0 .5 .5 .1 .1\n"})
    (tmp_path / "labels" / "loop").symlink_to(tmp_path / "labels")
    _, images, _ = read(tmp_path)
    assert [i["file_name"] for i in images] == ["a.jpg"]


def test_pipe_and_broken_link(tmp_path: Path) -> None:
    """A pipe in place of a label file, and a broken link, are unreadable files whose images are left out."""
    tree(tmp_path, {"a.txt": "0 .5 .5 .1 .1\n"})
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone")
    _, images, context = read(tmp_path)
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("a.jpg", 1)]
    assert places(context, "unreadable-file") == [
        "SRC/b.txt: Not a regular file",
        "SRC/c.txt: No such file or directory",
    ]


def test_name_that_is_no_text(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is a fault, and the other images are read."""
    tree(tmp_path, {"a.txt": "0 .5 .5 .1 .1\n"})
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("0 .5 .5 .1 .1\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    _, images, context = read(tmp_path)
    assert [i["file_name"] for i in images] == ["a.jpg"]
    assert [code for code, _ in codes(context)].count("bad-encoding") == 1


def test_no_labels(tmp_path: Path) -> None:
    """A folder without label files is refused."""
    with pytest.raises(DataError, match="no-annotations"):
        read(tree(tmp_path, {"a.jpg": b"", "README.txt": "hello"}))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batch_size(tmp_path: Path, size: int) -> None:
    """Batches hold at most the asked number of images, and any size gives the same images."""
    tree(tmp_path, {f"{i}.txt": f"{i} .5 .5 .1 .1\n" for i in range(5)})
    dataset, images, _ = read(tmp_path, batch_size=size)
    assert max(b.num_rows for b in dataset) <= size
    assert [i["objects"][0]["category"] for i in images] == [0, 1, 2, 3, 4]


def test_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes give what one gives."""
    monkeypatch.setattr("bboxconv.formats.yolo.pairs.MANY", 0)
    tree(tmp_path, {f"{i}.txt": f"{i % 7} .5 .5 .1 .{i + 1}\n0 bad\n" for i in range(40)})
    results = []
    for jobs in (1, 2):
        with at_work(jobs) as workers:
            results.append(read(tmp_path, workers=workers, batch_size=8))
    assert results[0][1] == results[1][1]
    assert list(results[0][2].findings) == list(results[1][2].findings)


# data.yaml


def names_of(folder: Path, text: str) -> list[str]:
    """The class names of a data.yaml."""
    dataset, _, _ = read(tree(folder, {"data.yaml": f"train: images\n{text}", "labels/x.txt": ""}))
    return [c.name for c in dataset.header.categories]


def test_names_are_words(tmp_path: Path) -> None:
    """What YAML 1.1 makes truth values, dates, numbers or null of stays the word that was written."""
    text = "names:\n- yes\n- no\n- 2020-01-01\n- 1:30\n- 0x1F\n- null\n- !!int 7\n- 'a: b'\n"
    assert names_of(tmp_path, text) == ["yes", "no", "2020-01-01", "1:30", "0x1F", "null", "7", "a: b"]


def test_names_as_mapping(tmp_path: Path) -> None:
    """Gaps in a mapping are named by their number."""
    assert names_of(tmp_path, "names: {2: c, 0: a}\n") == ["a", "1", "c"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("names: [a\n", "bad-yaml"),
        ("- a\n- b\n", "bad-yaml"),
        ("train: images\nnames: {x: a}\n", "bad-yaml"),
        ("train: images\nnames: [[a]]\n", "bad-yaml"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: *b\ntrain: images\n", "bad-yaml"),
        ("train: images\nnames: {99999999999: a}\n", "bad-yaml"),
        (b"train: images\nnames: [\xff]\n", "bad-encoding"),
        ("train: gone/images\nval: lost/pictures\nnames: [a]\n", "missing-split-folder"),
    ],
)
def test_refused_yaml(tmp_path: Path, text: str | bytes, code: str) -> None:
    """A data.yaml that cannot be read, or none of whose splits exists, is refused."""
    path = tree(tmp_path, {"data.yaml": text}) / "data.yaml"
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.diagnostics[0].code == code


def test_one_missing_split(tmp_path: Path) -> None:
    """A split that is nowhere is a warning where another exists."""
    _, images, context = read(tree(tmp_path, {**TREE, "data.yaml": "train: images/train\ntest: gone\nnames: [a]\n"}))
    assert len(images) == 1
    assert places(context, "missing-split-folder") == ["SRC/data.yaml: test: gone"]


def test_scalar_alias(tmp_path: Path) -> None:
    """An alias of a word is read; splits of the same folder are read once."""
    files = {"data.yaml": "train: &t images/train\nval: *t\nnames: [a]\n", "labels/train/a.txt": ""}
    _, images, context = read(tree(tmp_path, files))
    assert [(i["file_name"], i["split"]) for i in images] == [("a.jpg", "train")]
    assert ("splits-share-images", 1) in codes(context)


@pytest.mark.parametrize(
    "entry", ["/Users/somebody/tmp/train/images", "../train/images", "C:\\data\\train\\images", "./train/images"]
)
def test_paths_of_another_machine(tmp_path: Path, entry: str) -> None:
    """A path that does not exist is looked for beside the yaml, with a note that says what was used."""
    tree(
        tmp_path,
        {"data.yaml": f"path: /not/here\ntrain: '{entry}'\nnames: [a]\n", "train/labels/a.txt": "0 .5 .5 .1 .1\n"},
    )
    _, images, context = read(tmp_path)
    assert [(i["file_name"], i["split"]) for i in images] == [("a.jpg", "train")]
    if entry != "./train/images":
        assert places(context, "path-not-found-looked-beside") == [f"SRC/data.yaml: {entry} -> train/images"]


def test_rightmost_images_becomes_labels(tmp_path: Path) -> None:
    """Of several folders called images the rightmost one becomes labels."""
    files = {
        "data.yaml": "train: images/set/images/train\nnames: [a]\n",
        "images/set/labels/train/a.txt": "0 .5 .5 .1 .1\n",
    }
    _, images, _ = read(tree(tmp_path, files))
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("a.jpg", 1)]


def test_list_of_folders(tmp_path: Path) -> None:
    """A split of several folders has names that begin where the folders part."""
    files = {
        "data.yaml": "train: [images/a, images/b]\nnames: [a]\n",
        "labels/a/x.txt": "",
        "labels/b/x.txt": "0 .5 .5 .1 .1\n",
    }
    _, images, _ = read(tree(tmp_path, files))
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("a/x.jpg", 0), ("b/x.jpg", 1)]


@pytest.mark.parametrize(
    "prefix", ["./images/train/", "images/train/", "/data/coco/images/train/", "data\\images\\train\\"]
)
def test_list_of_images(tmp_path: Path, prefix: str) -> None:
    """A split may be a text file that lists images, whatever machine it was made on; an image listed twice is read
    once.
    """
    lines = f"{prefix}b.png\n{prefix}a.jpg\r\n\n{prefix}b.png\n{prefix}none.jpg\n"
    files = {
        "data.yaml": "train: train.txt\nnames: [a]\n",
        "train.txt": lines,
        "labels/train/a.txt": "",
        "labels/train/b.txt": "0 .5 .5 .1 .1\n",
    }
    _, images, context = read(tree(tmp_path, files))
    assert [(i["file_name"], len(i["objects"])) for i in images] == [("b.png", 1), ("a.jpg", 0), ("none.jpg", 0)]
    assert codes(context) == [("duplicate-image", 1), ("image-without-label-file", 1)]


def test_other_keys_survive(tmp_path: Path) -> None:
    """Keys that have no place here are kept with their types, and written back."""
    text = "train: images/train\nval: images/val\nnames: [a, b]\nroboflow: {version: 7, license: MIT, on: 1.5}\nnc: 2\n"
    dataset, _, _ = read(tree(tmp_path / "in", {**TREE, "data.yaml": text}))
    assert json.loads(dataset.header.extra or "") == {"roboflow": {"version": 7, "license": "MIT", "on": 1.5}}
    written, _ = write(tmp_path / "out", [], header=dataset.header)
    assert yaml.safe_load(written["data.yaml"])["roboflow"] == {"version": 7, "license": "MIT", "on": 1.5}


def test_image_folders(tmp_path: Path) -> None:
    """The folders of the images are known, even where only labels are there."""
    dataset, _, _ = read(tree(tmp_path, TREE))
    assert dataset.image_folders == (("train", tmp_path / "images/train"), ("val", tmp_path / "images/val"))


# detection


@pytest.mark.parametrize(
    ("files", "weight"),
    [
        (TREE, 0.95),
        ({"own.yaml": "names: [a]\ntrain: x\n", "other.yaml": "a: 1\n"}, 0.95),
        ({"train/labels/a.txt": "0 .5 .5 .1 .1\n"}, 0.8),
        ({"labels/train/e.txt": "", "labels/train/a.txt": "0 .5 .5 .1 .1 .2 .3\n"}, 0.8),
        ({"classes.txt": "a\n", "a.txt": "0 .5 .5 .1 .1\n0 oops\n"}, 0.6),
        ({"a.txt": "Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"}, None),
        ({"a.txt": "684,8,273,116,0,0,0,0\n"}, None),
        ({"a.txt": "2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n"}, None),
        ({"a.txt": "0 100 200 30 40\n"}, None),
        ({"notes.txt": "hello world\n"}, None),
        ({"a.jpg": "", "a.xml": "<annotation/>"}, None),
    ],
)
def test_detect_folder(tmp_path: Path, files: dict[str, str | bytes], weight: float | None) -> None:
    """A folder is YOLO by its data.yaml or by rows of fractions; KITTI, VisDrone, DOTA, pixels and prose are not."""
    match = yolo.detect(tree(tmp_path, files), b"")
    assert (match and match.weight) == weight


def test_detect_file(tmp_path: Path) -> None:
    """A YAML file with names and a split is YOLO's, another is not."""
    assert yolo.detect(tmp_path / "a.yaml", b"names: [a]\ntrain: x\n") is not None
    assert yolo.detect(tmp_path / "a.yaml", b"services:\n  train: x\n") is None
    assert yolo.detect(tmp_path / "a.json", b"names: [a]\ntrain: x\n") is None


# writing


def test_written_tree(tmp_path: Path) -> None:
    """Labels stand below their split, in sub-folders, with six decimals without trailing zeros; an empty image has an
    empty file.
    """
    written, context = write(
        tmp_path, [("a.jpg", "train", [BOX, {"category": 0, "bbox": [1, 0, 0.1, 1e-9]}]), ("s x/b.c.png", "val", [])]
    )
    assert written == {
        "data.yaml": "train: images/train\nval: images/val\nnames:\n  0: a\n  1: b\n  2: c\n",
        "labels/train/a.txt": "1 0.5 0.25 0.125 0.333333\n0 1 0 0.1 0\n",
        "labels/val/s x/b.c.txt": "",
    }
    assert codes(context) == []


@pytest.mark.parametrize(
    ("source", "decimals", "number"),
    [
        (PIXELS, "auto", "0.333333"),
        (FRACTIONS, "auto", "0.3333333333333333"),
        (BoxFormat("xyxy", 1000), "auto", "0.3333333333333333"),
        (FRACTIONS, "3", "0.333"),
        (PIXELS, "full", "0.3333333333333333"),
    ],
)
def test_decimals(tmp_path: Path, source: BoxFormat, decimals: str, number: str) -> None:
    """Fractions of a source of fractions are written in full, those made from pixels with six decimals, or as
    asked.
    """
    written, _ = write(tmp_path, [("a.jpg", None, [BOX])], {"decimals": decimals}, source=source)
    assert written["labels/a.txt"] == f"1 0.5 0.25 0.125 {number}\n"


def test_no_split(tmp_path: Path) -> None:
    """Images without split stand in labels itself; both required keys name them, with a note; read again they have no
    split.
    """
    written, context = write(tmp_path, [("a.jpg", None, [BOX])])
    assert written["data.yaml"].startswith("train: images\nval: images\nnames:\n")
    assert codes(context) == [("no-val-split", 1)]
    _, images, _ = read(tmp_path)
    assert [(i["file_name"], i["split"]) for i in images] == [("a.jpg", None)]


@pytest.mark.parametrize(("split", "missing"), [("train", "val"), ("val", "train")])
def test_missing_split(tmp_path: Path, split: str, missing: str) -> None:
    """Where train or val has no image the other stands for it, with a note, and its images are read once."""
    written, context = write(tmp_path, [("a.jpg", split, [BOX])])
    assert yaml.safe_load(written["data.yaml"]) == {
        "train": f"images/{split}",
        "val": f"images/{split}",
        "names": {0: "a", 1: "b", 2: "c"},
    }
    assert codes(context) == [(f"no-{missing}-split", 1)]
    _, images, _ = read(tmp_path)
    assert [(i["file_name"], i["split"]) for i in images] == [("a.jpg", split)]


def test_other_splits(tmp_path: Path) -> None:
    """A split of another name has a key of its own, and is read again."""
    images = [(f"{split}.jpg", split, [BOX]) for split in ("train", "val", "test", "minival")]
    written, context = write(tmp_path, images)
    assert list(yaml.safe_load(written["data.yaml"]))[:4] == ["train", "val", "test", "minival"]
    assert codes(context) == [("split-not-used", 1)]
    assert [i["split"] for i in read(tmp_path)[1]] == ["train", "val", "test", "minival"]


def test_empty_data_set(tmp_path: Path) -> None:
    """A data set without images is written, and read as one without images."""
    write(tmp_path, [])
    dataset, images, _ = read(tmp_path)
    assert images == []
    assert [c.name for c in dataset.header.categories] == ["a", "b", "c"]


def test_odd_class_names(tmp_path: Path) -> None:
    """Class names that YAML would misread come back as they are, here and with a common YAML reader; two of one name
    are a warning.
    """
    names = [
        "no",
        "1",
        "a: b",
        "# x",
        "café",
        "emoji 🦈",
        "  ",
        "[",
        "2020-01-01",
        "null",
        "a" * 200 + " b",
        "'\"",
        "",
        "next\x85line",
        "line\u2028paragraph\u2029",
        "no",
    ]
    written, context = write(tmp_path, [("a.jpg", "train", [])], names=names)
    assert list(yaml.safe_load(written["data.yaml"])["names"].values()) == names
    assert [c.name for c in read(tmp_path)[0].header.categories] == names
    assert places(context, "duplicate-class") == ["data.yaml: no"]


def test_unused_parent_class(tmp_path: Path) -> None:
    """A class that is the parent of others and has no box gets a note that says how to leave it out; it keeps its
    number.
    """
    classes = (
        Category("pets"),
        Category("cat", supercategory="pets"),
        Category("dog", supercategory="pets"),
        Category("x", supercategory="x"),
    )
    written, context = write(
        tmp_path, [("a.jpg", "train", [BOX]), ("a.jpg", "val", [])], header=Header(FRACTIONS, classes)
    )
    assert written["labels/train/a.txt"][0] == "1"
    assert [(d.code, d.severity, d.where, d.hint) for d in context.findings] == [
        ("unused-parent-class", "note", ("data.yaml: pets",), "--exclude-class pets leaves it out")
    ]


def test_score_option(tmp_path: Path) -> None:
    """The score is a sixth column where it is asked for and there is one."""
    images = [("a.jpg", "train", [{**BOX, "score": 0.1}, BOX])]
    assert write(tmp_path / "no", images)[0]["labels/train/a.txt"] == "1 0.5 0.25 0.125 0.333333\n" * 2
    written, _ = write(tmp_path / "yes", images, {"score": "yes"})
    assert written["labels/train/a.txt"] == "1 0.5 0.25 0.125 0.333333 0.1\n1 0.5 0.25 0.125 0.333333\n"


def test_segment_task(tmp_path: Path) -> None:
    """Each object is a row: its polygon, several of them joined at their nearest points (here both have 1, 1); masks,
    plain boxes and polygons of two points have the corners of their box; all counted.
    """
    square = {"category": 0, "bbox": [0.5, 0.5, 0.5, 0.5]}
    objects = [
        {**square, "segmentation": "[[0.25, 0.25, 0.75, 0.25, 0.7500000001, 0.75]]"},
        {**square, "category": 1, "segmentation": "[[0,0,1,0,1,1],[0.5,0.5,1,0.5,1,1,0.5,1]]"},
        {**square, "segmentation": '{"counts":[1,2],"size":[1,3]}'},
        square,
        {**square, "segmentation": "[]"},
        {**square, "category": 2, "segmentation": "[[0,0,1,1]]"},
    ]
    written, context = write(
        tmp_path,
        [("a.jpg", "train", objects[:2]), ("e.jpg", "train", []), ("b.jpg", "train", objects[2:])],
        {"task": "segment"},
    )
    corners = "0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
    assert (
        written["labels/train/a.txt"]
        == "0 0.25 0.25 0.75 0.25 0.75 0.75\n1 0 0 1 0 1 1 1 1 0.5 1 0.5 0.5 1 0.5 1 1 1 1\n"
    )
    assert written["labels/train/e.txt"] == ""
    assert written["labels/train/b.txt"] == f"0 {corners}0 {corners}0 {corners}2 {corners}"
    assert codes(context)[:4] == [
        ("polygons-joined", 1),
        ("polygon-as-box", 1),
        ("mask-as-box", 1),
        ("box-as-polygon", 2),
    ]


def test_obb_write(tmp_path: Path) -> None:
    """With task=obb polygons of four points are written as they are, everything else by the corners of its box."""
    box = {"category": 0, "bbox": [0.5, 0.5, 0.5, 0.5]}
    objects = [{**box, "segmentation": "[[0.5,0,1,0.5,0.5,1,0,0.5]]"}, {**box, "segmentation": "[[0,0,1,0,1,1]]"}, box]
    written, context = write(tmp_path, [("a.jpg", "train", objects)], {"task": "obb"})
    corners = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
    assert written["labels/train/a.txt"] == f"0 0.5 0 1 0.5 0.5 1 0 0.5\n{corners}{corners}"
    assert codes(context)[0] == ("polygon-as-box", 1)


def test_pose_task(tmp_path: Path) -> None:
    """With task=pose rows have as many keypoints as the classes have, zeros where there are none, and data.yaml says
    how many.
    """
    header = Header(FRACTIONS, (Category("a", extra='{"keypoints":["nose","tail"]}'), Category("b")))
    plain = {"category": 1, "bbox": [0.5, 0.5, 0.5, 0.25]}
    objects = [
        plain,
        {**plain, "category": 0, "keypoints": "[0.5, 0.25, 2, 0,0,0]"},
        {**plain, "keypoints": "[0.125,0.25,1]"},
        {**plain, "keypoints": "[]"},
    ]
    written, context = write(
        tmp_path, [("a.jpg", "train", objects), ("b.jpg", "val", [])], {"task": "pose"}, header=header
    )
    assert written["labels/train/a.txt"] == (
        "1 0.5 0.5 0.5 0.25 0 0 0 0 0 0\n0 0.5 0.5 0.5 0.25 0.5 0.25 2 0 0 0\n"
        "1 0.5 0.5 0.5 0.25 0.125 0.25 1 0 0 0\n1 0.5 0.5 0.5 0.25 0 0 0 0 0 0\n"
    )
    assert yaml.safe_load(written["data.yaml"])["kpt_shape"] == [2, 3]
    assert codes(context) == [("keypoints-differ", 1)]
    assert read(tmp_path)[1][0]["objects"][1]["keypoints"] == "[0.5,0.25,2,0,0,0]"


def test_pose_shape_from_the_boxes(tmp_path: Path) -> None:
    """Where nothing says how many keypoints there are, the boxes do, also those of later batches."""
    plain = {"category": 0, "bbox": [0.5, 0.5, 0.5, 0.25]}
    batches = [
        batch([("a.jpg", "train", [plain])]),
        batch([("b.jpg", "train", [{**plain, "keypoints": "[0.5,0.5,2]"}])]),
        batch([("c.jpg", "train", [plain])]),
    ]
    tmp_path.joinpath("o").mkdir()
    yolo.write(Header(FRACTIONS, (Category("a"),)), batches, tmp_path / "o", WriteContext(PIXELS, {"task": "pose"}))
    texts = [(tmp_path / "o/labels/train" / f"{name}.txt").read_text() for name in "abc"]
    assert texts == ["0 0.5 0.5 0.5 0.25 0 0 0\n", "0 0.5 0.5 0.5 0.25 0.5 0.5 2\n", "0 0.5 0.5 0.5 0.25 0 0 0\n"]


def test_pose_without_keypoints(tmp_path: Path) -> None:
    """task=pose is refused where no object has keypoints."""
    with pytest.raises(UsageError, match="no-keypoints"):
        write(tmp_path, [("a.jpg", "train", [BOX])], {"task": "pose"})


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "a\\b.jpg", "", "x/../../a.jpg", "n\0.jpg", "C:/a.jpg"])
def test_unsafe_names(tmp_path: Path, name: str) -> None:
    """A name that leads out of the folder is a fault, and the other images are written."""
    written, context = write(tmp_path / "out", [(name, None, [BOX]), ("b.jpg", None, [BOX])])
    assert sorted(written) == ["data.yaml", "labels/b.txt"]
    assert codes(context)[0] == ("unsafe-name", 1)


def test_unsafe_split(tmp_path: Path) -> None:
    """A split that leads out of the folder is a fault too."""
    written, context = write(tmp_path / "out", [("a.jpg", "../x", [BOX]), ("a.jpg", "", [BOX])])
    assert sorted(written) == ["data.yaml"]
    assert codes(context)[0][0] == "unsafe-name"


def test_clash(tmp_path: Path) -> None:
    """Two images of one stem in one split are a fault that names both; the same stem in folders or splits is none."""
    images = [
        ("a.jpg", "train", [BOX]),
        ("s/a.jpg", "train", []),
        ("a.jpg", "val", []),
        ("a.png", "train", []),
        ("a", "train", []),
    ]
    written, context = write(tmp_path, images)
    assert sorted(written) == ["data.yaml", "labels/train/a.txt", "labels/train/s/a.txt", "labels/val/a.txt"]
    assert written["labels/train/a.txt"] != ""
    assert places(context, "file-clash") == ["a.jpg and a.png: labels/train/a.txt", "a.jpg and a: labels/train/a.txt"]


@pytest.mark.parametrize("stem", ["\u0130", "\u0391\u03a3"])
def test_clash_of_names_whose_lower_case_is_special(tmp_path: Path, stem: str) -> None:
    """A clash is told for names that tools bring to lower case in different ways."""
    _, context = write(tmp_path, [(f"{stem}.jpg", None, [BOX]), (f"{stem}.png", None, [])])
    assert places(context, "file-clash") == [f"{stem}.jpg and {stem}.png: labels/{stem}.txt"]


def test_clash_beside_a_name_of_other_case(tmp_path: Path) -> None:
    """Names that differ in case alone are files of their own where the file system says so: neither is a fault."""
    (tmp_path / "probe").touch()
    if (tmp_path / "PROBE").exists():
        pytest.skip("the file system makes no difference of case")
    _, context = write(tmp_path, [("A.jpg", None, [BOX]), ("a.jpg", None, [BOX]), ("a.png", None, [])])
    assert places(context, "file-clash") == ["a.jpg and a.png: labels/a.txt"]


def test_folder_and_file_clash(tmp_path: Path) -> None:
    """A label file that would be a folder of another image is a clash, and gives way to it, whichever comes first."""
    written, context = write(
        tmp_path, [("a.txt/b.jpg", None, []), ("a.jpg", None, []), ("c.jpg", None, []), ("c.txt/d.jpg", None, [])]
    )
    assert sorted(written) == ["data.yaml", "labels/a.txt/b.txt", "labels/c.txt/d.txt"]
    assert places(context, "file-clash") == [
        "a.txt/b.jpg and a.jpg: labels/a.txt",
        "c.txt/d.jpg and c.jpg: labels/c.txt",
    ]
    assert dict(codes(context))["file-clash"] == 2


def test_folder_images_in_a_name(tmp_path: Path) -> None:
    """A folder `images` in a file name is left out with a warning: trainers would look for the labels beside it."""
    written, context = write(
        tmp_path, [("images/a.jpg", "train", [BOX]), ("x/images/s/b.jpg", None, [BOX]), ("my images/c.jpg", "val", [])]
    )
    assert sorted(written) == ["data.yaml", "labels/s/b.txt", "labels/train/a.txt", "labels/val/my images/c.txt"]
    assert places(context, "images-folder-in-name") == ["images/a.jpg", "x/images/s/b.jpg"]


def test_copied_images(tmp_path: Path) -> None:
    """Images are copied to where trainers look for them, found with or without a folder of the split; a missing one
    is counted.
    """
    at = tree(tmp_path / "in", {"train/a.jpg": b"one", "s/b.png": b"two"})
    images = [("a.jpg", "train", []), ("s/b.png", "val", []), ("c.jpg", "val", [])]
    _, context = write(tmp_path / "out", images, {"images": "copy"}, at=at)
    assert (tmp_path / "out/images/train/a.jpg").read_bytes() == b"one"
    assert (tmp_path / "out/images/val/s/b.png").read_bytes() == b"two"
    assert places(context, "image-missing") == ["c.jpg"]


def test_linked_images(tmp_path: Path) -> None:
    """With images=link a symbolic link to the image stands there."""
    at = tree(tmp_path / "in", {"a.jpg": b"one"})
    write(tmp_path / "out", [("a.jpg", "train", [])], {"images": "link"}, at=at)
    link = tmp_path / "out/images/train/a.jpg"
    assert link.is_symlink() and link.read_bytes() == b"one"


def test_images_need_a_folder(tmp_path: Path) -> None:
    """images=copy without --images is refused."""
    with pytest.raises(UsageError, match="images-missing"):
        write(tmp_path, [], {"images": "copy"})


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, set()),
        ({"score": "yes"}, {"object.score"}),
        ({"task": "segment"}, {"object.segmentation", "object.shape"}),
        ({"task": "pose"}, {"object.keypoints"}),
    ],
)
def test_target(options: dict[str, str], more: set[str]) -> None:
    """The writer asks for fractions about the centre and says what each task carries; crowd, angles are as asked."""
    target = yolo.target(Header(PIXELS), options)
    assert target.box == FRACTIONS
    assert target.carries == yolo.INFO.carries | more
    assert (target.crowd, target.rotated) == ("drop", "envelope")
    assert yolo.target(Header(PIXELS), {"crowd": "keep", "rotated": "drop"}).crowd == "keep"
    assert isinstance(yolo, Writes)


def test_round_trip(tmp_path: Path) -> None:
    """What is read, written and read again is the same to the last bit: boxes, scores and polygons."""
    dataset, images, _ = read(SAMPLE)
    (tmp_path / "out").mkdir()
    yolo.write(dataset.header, dataset, tmp_path / "out", WriteContext(dataset.header.box))
    again, back, _ = read(tmp_path / "out", images=SAMPLE / "images")
    assert back == images
    assert again.header.categories == dataset.header.categories


def test_slices_are_written_whole(tmp_path: Path) -> None:
    """A slice of a batch has the rows of its own images."""
    whole = batch([(f"{i}.jpg", "train", [{"category": 0, "bbox": [i / 8, 0, 0, 0]}] * i) for i in range(5)])
    yolo.write(Header(FRACTIONS, (Category("a"),)), [whole.slice(2, 2)], tmp_path, WriteContext(PIXELS))
    assert {p.name: p.read_text() for p in (tmp_path / "labels/train").iterdir()} == {
        "2.txt": "0 0.25 0 0 0\n" * 2,
        "3.txt": "0 0.375 0 0 0\n" * 3,
    }
    assert len(flat(whole).rows) == 10


PLAIN = ["person", "traffic light", "Class 1", "a/b", "A_b", "n", "y", "inf", "nan", "e5"]
ODD = ["no", "On", "NULL", "true", "~", "1e5", "0x1F", "a: b", "a #b", " a", "a ", "a  b", "", "é", "a-b", "- a", "'a'"]


@pytest.mark.parametrize("name", [*PLAIN, *ODD, "a" * 300])
def test_config_is_written_as_by_pyyaml(name: str) -> None:
    """data.yaml is to the byte what PyYAML makes of it, whatever the name of a class or of a split."""
    for settings in ({"train": "images/train", "val": "images"}, {"train": "images", name: f"images/{name}"}):
        document = {**settings, "names": {0: "cat", 1: name}}
        expected = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 30)
        assert writing.yaml_text(settings, ["cat", name]) == expected


@pytest.mark.parametrize(
    "row",
    [
        *("1 .1 .2 .3 .4", "01 +.1 1. 1.e1 1E+2", "1\t .1 .2 .3 .4\t", "1 1e-400 .2 .3 5e-324", "1.0 -0 .2 .3 2.5"),
        *("1 inf .2 .3 .4", "1 1e400 .2 .3 .4", "1 nan .2 .3 .4", "0x1 .1 .2 .3 .4", "1 0x1p3 .2 .3 .4"),
        *("3 .1 .2 .3 .4", "-1 .1 .2 .3 .4", "99999999999 .1 .2 .3 .4", "1.5 .1 .2 .3 .4", "nan .1 .2 .3 .4"),
        *(
            "1 .1 .2 .3",
            "1 .1 .2 .3 .4 .5",
            '1 ".1" .2 .3 .4',
            "1 .1 .2 .3 .4\0",
            "\ufeff1 .1 .2 .3 .4",
            "1 1_0 .2 .3 .4",
        ),
    ],
)
def test_a_row_means_the_same_whatever_stands_beside_it(tmp_path: Path, row: str) -> None:
    """What is read of a row, and what is said of it, does not depend on whether all other rows are plain ones."""
    plain = one(tmp_path / "a", f"0 0.5 0.5 0.5 0.5\n\n{row}\n")
    mixed = one(tmp_path / "b", f"0 0.5 0.5 0.5 0.5\n\n{row}\n 2  1 1 1 1 \n")
    assert plain[0] == mixed[0][:-1]
    assert codes(plain[1]) == codes(mixed[1])
