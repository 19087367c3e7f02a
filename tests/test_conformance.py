"""The conformance suite, run over the formats that come with bboxconv."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bboxconv import api
from bboxconv.testing import Broken, FormatConformance, contents, reference_dataset

_COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
    "categories": [{"id": 3, "name": "person"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3]},
        {"id": 3, "image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"id": 4, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]},
    ],
}


def _coco(**members: object) -> bytes:
    return json.dumps({**_COCO, **members}).encode()


class TestCoco(FormatConformance):
    """COCO as one file."""

    format_name = "coco"
    broken_sources = (
        Broken({"a.json": _coco()}, "bad-value", "a.json: $.annotations[1].bbox"),
        Broken({"a.json": _coco()}, "orphan-annotation", "a.json: $.annotations[2].image_id"),
        Broken({"a.json": _coco()}, "orphan-annotation", "a.json: $.annotations[3].category_id"),
        Broken({"a.json": _coco(images=[{"file_name": "a.jpg"}])}, "missing-field", "a.json: $.images[0]"),
        Broken({"a.json": _coco()[:-40]}, "truncated-json", "a.json"),
        Broken({"a.json": b'{"images": {}}'}, "bad-value", "a.json: $.images"),
    )


class TestCocoFolder(FormatConformance):
    """COCO as a folder with a file for each split."""

    format_name = "coco"
    folder = True
    broken_sources = (
        Broken(
            {"instances_val.json": _coco(), "instances_train.json": _coco()},
            "bad-value",
            "instances_val.json: $.annotations[1].bbox",
        ),
    )


def _voc(box: str) -> bytes:
    return (
        "<annotation>\n<filename>a.jpg</filename>\n<size><width>640</width><height>480</height></size>\n"
        f"<object>\n<name>person</name>\n<bndbox>{box}</bndbox>\n</object>\n</annotation>\n"
    ).encode()


_SOUND = "<xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"


class TestVoc(FormatConformance):
    """Pascal VOC as a tree."""

    format_name = "voc"
    lists_classes = False
    broken_sources = (
        Broken({"a.xml": _voc(_SOUND.replace("3", "three"))}, "bad-number", "a.xml:6"),
        Broken({"a.xml": _voc("<xmin>1</xmin>")}, "missing-field", "a.xml:6"),
        Broken(
            {"Annotations/a.xml": _voc(_SOUND), "Annotations/b.xml": _voc(_SOUND)[:-30]}, "bad-xml", "Annotations/b.xml"
        ),
    )


class TestVocOrigin(FormatConformance):
    """Pascal VOC with the pixels of its development kit."""

    format_name = "voc"
    lists_classes = False
    options: Mapping[str, str] = {"origin": "1"}
    read_options: Mapping[str, str] = {"origin": "1"}
    broken_sources = TestVoc.broken_sources


_YAML = b"train: images/train\nval: images/train\nnames: [person]\n"


class TestYolo(FormatConformance):
    """YOLO label files with data.yaml."""

    format_name = "yolo"
    decimals = 6
    assumed_extension = ".jpg"
    broken_sources = (
        Broken(
            {"data.yaml": _YAML, "labels/train/a.txt": b"0 .5 .5 .1 .1\n0 .5 oops .1 .1\n"},
            "bad-number",
            "labels/train/a.txt:2",
        ),
        Broken({"data.yaml": _YAML, "labels/train/a.txt": b"0 .5 .5 .1\n"}, "bad-row", "labels/train/a.txt:1"),
        Broken({"data.yaml": _YAML, "labels/train/a.txt": b"4 .5 .5 .1 .1\n"}, "unknown-class", "labels/train/a.txt:1"),
        Broken({"data.yaml": b"names: [", "labels/train/a.txt": b""}, "bad-yaml", "data.yaml"),
    )


_HEADER = b'{"type":"dataset","bboxconv":1,"box":"xywh","categories":[{"id":1,"name":"cat"}]}\n'


class TestJsonl(FormatConformance):
    """JSON Lines."""

    format_name = "jsonl"
    broken_sources = (
        Broken(
            {"a.jsonl": _HEADER + b'{"type":"image","file":"a.jpg","objects":[]}\n{"type":\n'}, "bad-json", "a.jsonl:3"
        ),
        Broken(
            {"a.jsonl": _HEADER + b'{"type":"image","file":"a.jpg","objects":[{"category":5,"bbox":[1,2,3,4]}]}\n'},
            "unknown-class",
            "a.jsonl:2",
        ),
        Broken({"a.jsonl": b""}, "no-annotations", "a.jsonl"),
    )


class TestParquet(FormatConformance):
    """Parquet with a row for each image."""

    format_name = "parquet"
    broken_sources = (Broken({"a.parquet": b"PAR1 and no more"}, "bad-parquet", "a.parquet"),)


class TestParquetBoxes(FormatConformance):
    """Parquet with a row for each box."""

    format_name = "parquet"
    options: Mapping[str, str] = {"layout": "boxes"}
    broken_sources = TestParquet.broken_sources


_COLUMNS = b"file_name,category,x1,y1,x2,y2\n"


class TestCsv(FormatConformance):
    """csv with the usual columns."""

    format_name = "csv"
    lists_classes = False
    broken_sources = (
        Broken({"a.csv": _COLUMNS + b"a.jpg,dog,1,2,3,4\nb.jpg,dog,1,two,3,4\n"}, "bad-number", "a.csv:3"),
        Broken({"a.csv": _COLUMNS + b"a.jpg,dog,1,2,3\n"}, "bad-row", "a.csv:2"),
        Broken({"a.csv": _COLUMNS + b"a.jpg,dog,1,,3,4\n"}, "missing-field", "a.csv:2"),
        Broken({"a.csv": _COLUMNS + b'\na.jpg,"dog,1,2,3,4\n'}, "open-quote", "a.csv:3"),
        Broken({"a.csv": _COLUMNS + b"a.jpg,d\xffg,1,2,3,4\n"}, "bad-encoding", "a.csv:2"),
        Broken({"a.csv": b"file_name,category\n"}, "missing-column", "a.csv"),
    )


class TestCsvFull(FormatConformance):
    """csv with all columns."""

    format_name = "csv"
    lists_classes = False
    options: Mapping[str, str] = {"layout": "full"}
    broken_sources = TestCsv.broken_sources


class TestCsvTfod(FormatConformance):
    """csv as TensorFlow's tutorials have it."""

    format_name = "csv"
    lists_classes = False
    options: Mapping[str, str] = {"layout": "tfod"}
    broken_sources = TestCsv.broken_sources


_CARD = b"""---
dataset_info:
  features:
  - name: objects
    struct:
    - name: category
      sequence:
        class_label: {names: [person]}
---
"""


def _row(name: str, boxes: str, classes: str) -> bytes:
    return f'{{"file_name": "{name}", "objects": {{"bbox": {boxes}, "category": {classes}}}}}\n'.encode()


class TestHf(FormatConformance):
    """Hugging Face datasets as Parquet shards."""

    format_name = "hf"
    broken_sources = (
        Broken({"data/train-00000-of-00001.parquet": b"PAR1 and no more"}, "bad-parquet", "train-00000-of-00001"),
        Broken(
            {"README.md": b"---\nconfigs: [\n---\n", "metadata.jsonl": _row("a.jpg", "[]", "[]")},
            "bad-yaml",
            "README.md",
        ),
    )


class TestHfImageFolder(FormatConformance):
    """Hugging Face datasets as a folder of images."""

    format_name = "hf"
    options: Mapping[str, str] = {"layout": "imagefolder"}
    broken_sources = (
        Broken(
            {"README.md": _CARD, "metadata.jsonl": _row("a.jpg", "[[1,2,3,4]]", "[0]") + b'{"file_name":\n'},
            "bad-json",
            "metadata.jsonl:2",
        ),
        Broken(
            {"README.md": _CARD, "train/metadata.jsonl": _row("a.jpg", "[[1,2,3,4]]", "[0, 0]")},
            "bad-row",
            "train/metadata.jsonl:1",
        ),
        Broken(
            {"README.md": _CARD, "metadata.jsonl": _row("a.jpg", "[[1,2,3,4], [1,2,3]]", "[0, 0]")},
            "bad-value",
            "metadata.jsonl:1: objects[1]",
        ),
        Broken(
            {"README.md": _CARD, "metadata.jsonl": _row("a.jpg", "[[1,2,3,4]]", "[7]")},
            "unknown-class",
            "metadata.jsonl:1: objects[0]",
        ),
    )


SUITES = (
    TestCoco,
    TestCocoFolder,
    TestVoc,
    TestYolo,
    TestJsonl,
    TestParquet,
    TestParquetBoxes,
    TestCsv,
    TestCsvFull,
    TestHf,
    TestHfImageFolder,
)


@pytest.mark.parametrize("name", ["full", "odd keys"])
@pytest.mark.parametrize("target", SUITES)
@pytest.mark.parametrize("source", SUITES)
def test_each_to_each(
    source: type[FormatConformance], target: type[FormatConformance], name: str, tmp_path: Path
) -> None:
    """What one format read each other one carries as far as it can, and `convert` writes what read and write do."""
    if source is TestYolo and target in (TestCoco, TestCocoFolder, TestVoc, TestHf, TestHfImageFolder):
        pytest.skip("pixels need the sizes of the images, which YOLO does not have")
    first, second = source(), target()
    path, there, at_once = (
        first.destination(tmp_path),
        second.destination(tmp_path / "b"),
        second.destination(tmp_path / "c"),
    )
    first.put(reference_dataset(name), path)
    second.round_trip(first.get(path), tmp_path / "b")
    api.convert(path, at_once, from_=first.format_name, to=second.format_name, out=second.options, jobs=1)
    assert contents(at_once) == contents(there)
