"""What the tests on real data share: the command line, and readers of the product's output that are not its own.

Expected values are read from the files with the standard library, lxml and PyYAML.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml
from lxml import etree

from bboxconv.report import Report

Box = tuple[str, float, float, float, float]
"""Class name, left, top, right, bottom in pixels."""
Boxes = dict[str, list[Box]]
"""The boxes of each image in their order, by the image's file name without folder and extension."""
Sizes = dict[str, tuple[int, int]]


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a process of its own, in an empty folder, without a terminal."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bboxconv", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
        )

    return run


@pytest.fixture(scope="session")
def seen() -> Callable[[Report, str], int]:
    """How often a report counted findings of a code."""
    return lambda report, code: sum(finding.count for finding in report.findings if finding.code == code)


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Iterable[object], Iterable[object]], None]:
    """Compare collections of JSON values as multisets: numbers as numbers, booleans never; shows what differs."""

    def compare(got: Iterable[object], want: Iterable[object]) -> None:
        have, need = Counter(map(_canonical, got)), Counter(map(_canonical, want))
        missing, added = need - have, have - need
        summary = {
            "missing": missing.total(),
            "added": added.total(),
            "first missing": [*missing][:1],
            "first added": [*added][:1],
        }
        assert summary == {"missing": 0, "added": 0, "first missing": [], "first added": []}

    return compare


@pytest.fixture(scope="session")
def boxes_of() -> Callable[..., Boxes]:
    """Read the boxes of a COCO file, of VOC files or of a YOLO tree (given image sizes) without the product's
    code.
    """
    readers: dict[str, Callable[..., Boxes]] = {"coco": _coco, "voc": _voc, "yolo": _yolo}
    return lambda name, path, *sizes: readers[name](path, *sizes)


def _canonical(value: object) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _coco(path: Path) -> Boxes:
    data = json.loads(path.read_text(encoding="utf-8"))
    stems = {image["id"]: Path(image["file_name"]).stem for image in data["images"]}
    names = {category["id"]: category["name"] for category in data["categories"]}
    boxes: Boxes = {stem: [] for stem in stems.values()}
    for annotation in data["annotations"]:
        x, y, w, h = annotation["bbox"]
        boxes[stems[annotation["image_id"]]].append((names[annotation["category_id"]], x, y, x + w, y + h))
    return boxes


def _voc(folder: Path) -> Boxes:
    boxes: Boxes = {}
    for path in sorted(folder.glob("*.xml")):
        root = etree.parse(str(path)).getroot()
        boxes[path.stem] = [
            (
                item.findtext("name") or "",
                float(item.findtext("bndbox/xmin", "")),
                float(item.findtext("bndbox/ymin", "")),
                float(item.findtext("bndbox/xmax", "")),
                float(item.findtext("bndbox/ymax", "")),
            )
            for item in root.iterfind("object")
        ]
    return boxes


def _yolo(data_yaml: Path, sizes: Sizes) -> Boxes:
    names = yaml.safe_load(data_yaml.read_text(encoding="utf-8"))["names"]
    boxes: Boxes = {}
    for path in sorted(data_yaml.parent.rglob("*.txt")):
        if "labels" not in path.parts:
            continue
        width, height = sizes[path.stem]
        boxes[path.stem] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            number, *values = line.split()
            numbers = [float(value) for value in values]
            if len(numbers) == 4:
                cx, cy, w, h = numbers
                x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
            else:
                x1, y1, x2, y2 = min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
            boxes[path.stem].append((names[int(number)], x1 * width, y1 * height, x2 * width, y2 * height))
    return boxes
