"""`datasets` opens what we write, without a network, and sees the boxes and classes of the source; we read what it
writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bboxconv
from bboxconv.errors import DataError

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"
HUB = {"val": "validation"}
Load = Callable[[Path], Any]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package, kept from asking the hub for anything."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    return pytest.importorskip("datasets", reason="datasets is not installed")


@pytest.fixture
def load_dataset(hub: ModuleType, tmp_path: Path) -> Load:
    """`load_dataset` of a folder, which shares no cache with anybody."""
    return lambda path: hub.load_dataset(str(path), cache_dir=str(tmp_path / "cache"))


def source_boxes(source: Path) -> dict[str, dict[str, list[tuple[str, list[float]]]]]:
    """The class and the box of each object, by split and name of the image."""
    data = bboxconv.read(source, in_={})
    classes = [category.name for category in data.header.categories]
    found: dict[str, dict[str, list[tuple[str, list[float]]]]] = {}
    for image in data.to_table().to_pylist():
        objects = [(classes[one["category"]], one["bbox"]) for one in image["objects"] or []]
        found.setdefault(HUB.get(image["split"], image["split"]) or "train", {})[image["file_name"]] = objects
    return found


def seen_boxes(opened: Mapping[str, Any], hub: ModuleType) -> dict[str, dict[str, list[tuple[str, list[float]]]]]:
    """The same, as `datasets` shows it."""
    found: dict[str, dict[str, list[tuple[str, list[float]]]]] = {}
    for split, rows in opened.items():
        label = rows.features["objects"]["category"].feature
        for row in rows.cast_column("image", hub.Image(decode=False)):
            objects = row["objects"]
            pairs = zip(objects["category"], objects["bbox"], strict=True)
            found.setdefault(split, {})[row["image"]["path"]] = [(label.int2str(one), box) for one, box in pairs]
    return found


def test_shards_open_with_their_classes(hub: ModuleType, load_dataset: Load, tmp_path: Path) -> None:
    """From COCO: the same images, boxes to the last bit and class names in each split."""
    bboxconv.convert(SAMPLE / "coco", tmp_path / "o", to="hf", verify=True)
    opened = load_dataset(tmp_path / "o")
    assert seen_boxes(opened, hub) == source_boxes(SAMPLE / "coco")
    assert opened["train"].features["objects"]["category"].feature.names == [
        category.name for category in bboxconv.read(SAMPLE / "coco").header.categories
    ]


def test_real_data_open(hub: ModuleType, load_dataset: Load, real: Path, tmp_path: Path) -> None:
    """From a real VOC data set: all images, boxes and classes."""
    bboxconv.convert(real / "bccd", tmp_path / "o", to="hf", verify=True)
    bboxconv.convert(real / "bccd", tmp_path / "o.json")
    wanted, seen = source_boxes(tmp_path / "o.json"), seen_boxes(load_dataset(tmp_path / "o"), hub)
    assert {name: boxes for one in seen.values() for name, boxes in one.items()} == {
        name: boxes for one in wanted.values() for name, boxes in one.items()
    }


@pytest.mark.parametrize(
    "out",
    [
        {"images": "embed"},
        {"layout": "imagefolder", "images": "copy"},
        {"layout": "imagefolder", "images": "link", "metadata": "parquet"},
    ],
)
def test_images_open(out: dict[str, str], hub: ModuleType, load_dataset: Load, tmp_path: Path) -> None:
    """Images come with their boxes, decoded, in the size that their row says."""
    pytest.importorskip("PIL", reason="pillow is not installed")
    bboxconv.convert(SAMPLE / "yolo", tmp_path / "o", to="hf", out=out, verify=True)
    opened = load_dataset(tmp_path / "o")
    assert {split: len(rows) for split, rows in opened.items()} == {"train": 6, "validation": 2}
    for rows in opened.values():
        for row in rows:
            assert row["image"].size == (row["width"], row["height"])
    table = bboxconv.read(tmp_path / "o").to_table()
    wanted = [[one["bbox"] for one in image["objects"]] for image in table.to_pylist()]
    assert [row["objects"]["bbox"] for rows in opened.values() for row in rows] == wanted


def test_metadata_lines_open(hub: ModuleType, load_dataset: Load, tmp_path: Path) -> None:
    """An image folder with metadata.jsonl opens where all splits have the same fields."""
    pytest.importorskip("PIL", reason="pillow is not installed")
    bboxconv.convert(
        SAMPLE / "yolo", tmp_path / "y", to="yolo", out={"images": "copy", "task": "detect", "score": "no"}
    )
    bboxconv.convert(tmp_path / "y", tmp_path / "o", to="hf", out={"layout": "imagefolder", "images": "copy"})
    assert (tmp_path / "o" / "train" / "metadata.jsonl").is_file()
    opened = load_dataset(tmp_path / "o")
    table = bboxconv.read(tmp_path / "o").to_table().to_pylist()
    assert [row["objects"]["bbox"] for rows in opened.values() for row in rows] == [
        [one["bbox"] for one in image["objects"]] for image in table
    ]


@pytest.mark.parametrize("kind", ["struct of lists", "list of structs"])
def test_what_it_writes_is_read(kind: str, hub: ModuleType, tmp_path: Path) -> None:
    """A data set that `datasets` wrote, in either form of `objects`, is read with its classes."""
    label = hub.ClassLabel(names=["cat", "dog"])
    box = hub.Sequence(hub.Value("float32"), length=4)
    if kind == "struct of lists":
        objects: object = {"bbox": hub.Sequence(box), "categories": hub.Sequence(label)}
        values = [{"bbox": [[1, 2, 3, 4], [5, 6, 7, 8]], "categories": [1, 0]}, {"bbox": [], "categories": []}]
    else:
        objects = [{"bbox": box, "categories": label}]
        values = [  # type: ignore[assignment]
            [{"bbox": [1, 2, 3, 4], "categories": 1}, {"bbox": [5, 6, 7, 8], "categories": 0}],
            [],
        ]
    features = hub.Features({"image_id": hub.Value("int64"), "objects": objects})
    made = hub.Dataset.from_dict({"image_id": [5, 6], "objects": values}, features=features)
    made.to_parquet(str(tmp_path / "data" / "validation-00000-of-00001.parquet"))
    data = bboxconv.read(tmp_path)
    assert [category.name for category in data.header.categories] == ["cat", "dog"]
    images = data.to_table().to_pylist()
    assert [(image["id"], image["split"]) for image in images] == [(5, "val"), (6, "val")]
    assert [[(one["category"], one["bbox"]) for one in image["objects"]] for image in images] == [
        [(1, [1, 2, 3, 4]), (0, [5, 6, 7, 8])],
        [],
    ]


def test_text_is_refused(hub: ModuleType, tmp_path: Path) -> None:
    """A data set of `datasets` without boxes is refused with its columns."""
    hub.Dataset.from_dict({"text": ["a"]}).to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(DataError, match="no-boxes-column"):
        bboxconv.read(tmp_path, from_="hf")
