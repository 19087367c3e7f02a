"""Other people's tools open what we write and see the boxes of the source; and we read what they write.

The source is the COCO of examples/sample: images without boxes, crowds, names with spaces, dots, folders and letters
outside ASCII, and two splits. What is expected is read from it by the standard library alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clientscript import CLIENTS

from bboxconv.report import Report

Convert = Callable[..., Report]
Picture = Callable[[Path, int, int], None]
Python = Callable[[str], Path]
Boxes = list[list[Any]]
"""Class, corners and crowd of each."""

TESTS = Path(__file__).parents[1]
SAMPLE = TESTS.parent / "examples" / "sample" / "coco"
SCRIPT = Path(__file__).with_name("clientscript.py")
CONVERSIONS = TESTS / "benchmarks" / "peerscript.py"
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Case:
    """A client and a format. `pixels`: how far its corners may be off; `flat`: it does not look into sub-folders;
    `whole`: it knows no splits; `ordered`: it keeps the order of the boxes; `numbers`: a class is its number;
    `out`: how we write for it.
    """

    client: str
    form: str
    pixels: float = 1e-9
    flat: bool = False
    whole: bool = False
    ordered: bool = True
    numbers: bool = False
    out: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.client}-{self.form}"


# YOLO has 6 decimals: half of the last one, for centre and size together, is less than a thousandth of a pixel here.
# supervision has 32-bit floats, and takes VOC for 1-based pixels; datumaro has floats of two decimals.
CASES = (
    Case("pycocotools", "coco"),
    Case("supervision", "coco", 1e-3),
    Case("supervision", "voc", 1e-3, flat=True, whole=True, out=(("origin", "1"),)),
    Case("supervision", "yolo", 1e-3, flat=True),
    Case("labelformat", "coco"),
    Case("labelformat", "voc", flat=True, whole=True),
    Case("labelformat", "yolo", 1e-3),
    Case("globox", "coco"),
    Case("globox", "voc", whole=True),
    Case("globox", "yolo", 1e-3, numbers=True),
    Case("datumaro", "coco", 0.0101, ordered=False),
    Case("datumaro", "voc", 0.0101),
    Case("datumaro", "yolo", 0.0101, flat=True),
    *(
        Case(client, form, numbers=form == "parquet")
        for client in ("pandas", "polars", "duckdb")
        for form in ("parquet", "parquet-boxes")
    ),
)


def sample(split: str, *, flat: bool) -> dict[str, Any]:
    """The COCO file of a split, with its pictures in one folder if it is to be flat."""
    data: dict[str, Any] = json.loads((SAMPLE / f"instances_{split}.json").read_text(encoding="utf-8"))
    if flat:
        for image in data["images"]:
            image["file_name"] = image["file_name"].replace("/", " - ")
    return data


def classes_of(data: Mapping[str, Any]) -> list[str]:
    """The names of the categories in the order of their ids."""
    return [category["name"] for category in sorted(data["categories"], key=lambda category: category["id"])]


def boxes_of(data: Mapping[str, Any], *, crowds: bool = True) -> dict[str, Boxes]:
    """The boxes by file name."""
    names = {category["id"]: category["name"] for category in data["categories"]}
    files = {image["id"]: image["file_name"] for image in data["images"]}
    boxes: dict[str, Boxes] = {file: [] for file in files.values()}
    for a in data["annotations"]:
        x, y, w, h = a["bbox"]
        if crowds or not a["iscrowd"]:
            boxes[files[a["image_id"]]].append([names[a["category_id"]], x, y, x + w, y + h, bool(a["iscrowd"])])
    return boxes


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, convert: Convert, picture: Picture) -> Callable[[Case], Path]:
    """The folder with what we write of the sample for a case, and with its pictures where the format has them."""
    made: dict[tuple[object, ...], Path] = {}

    def write(case: Case) -> Path:
        key = (case.form, case.flat, case.out)
        if key not in made:
            made[key] = folder = tmp_path_factory.mktemp(case.form)
            _write(case, folder)
        return made[key]

    def _write(case: Case, folder: Path) -> None:
        data = {split: sample(split, flat=case.flat) for split in SPLITS}
        sources = []
        for split, document in data.items():
            path = folder / "source" / f"{split}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(document), encoding="utf-8")
            sources.append(f"{split}={path}")
        form, _, layout = case.form.partition("-")
        out = {"parquet": "boxes.parquet", "coco": "annotations"}.get(form, "data")
        convert(sources, folder / out, to=form, out=dict(case.out) | ({"layout": layout} if layout else {}))
        if form == "parquet":
            return
        pictures = {"coco": "images", "voc": "data/JPEGImages"}
        for split, document in data.items():
            for image in document["images"]:
                path = folder / pictures.get(form, f"data/images/{split}") / image["file_name"]
                picture(path, image["width"], image["height"])
        if form == "voc":  # which has no list of its classes: labelformat and datumaro want to be told
            (folder / "data/classes.txt").write_text("\n".join(classes_of(data["val"])), encoding="utf-8")

    return lambda case: write(case) / ("data" if case.form in ("voc", "yolo") else "")


def run(words: Sequence[object]) -> str:
    """What a client prints on stdout; it must not fail. Some of them open files in the encoding of the locale; those in
    an environment of their own are compiled as they are imported, once.
    """
    env = os.environ | {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [*map(str, words)], env=env, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def seen(python: Path, case: Case, folder: Path) -> dict[str, Any]:
    """What a client sees, by split."""
    words = [python, SCRIPT, case.client, case.form, folder, *(() if case.whole else SPLITS)]
    views: dict[str, Any] = json.loads(run(words))
    return views


def nearest(found: Boxes, wanted: Boxes) -> Boxes:
    """The boxes found, each in the place of the wanted one of its class to which it is nearest."""
    left = sorted(found)
    for place, row in enumerate(wanted):
        same = [n for n in range(place, len(left)) if left[n][0] == row[0]]
        best = min(
            same, default=place, key=lambda n: sum(abs(a - b) for a, b in zip(left[n][1:5], row[1:5], strict=True))
        )
        left[place:] = [left[best], *left[place:best], *left[best + 1 :]] if same else left[place:]
    return left


def assert_same(found: Boxes, wanted: Boxes, pixels: float, *, ordered: bool = True) -> None:
    """The same classes in the same order if it is kept, the same corners to so many pixels, and the same crowds where
    they are known.
    """
    if not ordered:
        found = nearest(found, wanted)
    assert [row[0] for row in found] == [row[0] for row in wanted]
    assert [row[1:5] for row in found] == [pytest.approx(row[1:5], rel=0, abs=pixels) for row in wanted]
    assert [row[5] for row in found] in ([None] * len(found), [row[5] for row in wanted])


def assert_seen(case: Case, views: Mapping[str, Any], data: Mapping[str, Mapping[str, Any]]) -> None:
    """What a client sees is what the COCO files of the splits hold: images, sizes, classes and boxes."""
    classes = classes_of(next(iter(data.values())))
    wanted = {split: boxes_of(document, crowds=case.form != "yolo") for split, document in data.items()}
    sizes = {i["file_name"]: [i["width"], i["height"]] for document in data.values() for i in document["images"]}
    if case.whole:
        wanted = {"": {name: rows for images in wanted.values() for name, rows in images.items()}}
    if case.client == "datumaro":  # it names images without their extensions
        wanted = {split: {bare(name): rows for name, rows in images.items()} for split, images in wanted.items()}
        sizes = {bare(name): size for name, size in sizes.items()}
    assert views.keys() == wanted.keys()
    for split, view in views.items():
        images = {name: rows for name, _, rows in view["images"]}
        assert images.keys() == wanted[split].keys()
        assert len(view["images"]) == len(images)
        assert {name: size for name, size, _ in view["images"] if size} in ({}, {name: sizes[name] for name in images})
        if view["classes"] and case.form != "voc":
            assert view["classes"] == classes
        for name, rows in images.items():
            named = [[classes[int(row[0])], *row[1:]] if case.numbers else row for row in rows]
            assert_same(named, wanted[split][name], case.pixels, ordered=case.ordered)


def bare(name: str) -> str:
    """A file name without its extension."""
    return Path(name).with_suffix("").as_posix()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_client_sees_the_source(case: Case, written: Callable[[Case], Path], client_python: Python) -> None:
    """A client sees the images of the source, each with its size, and the boxes of each with their classes, empty
    images and odd names included, in each split; crowds are as the format has them.
    """
    views = seen(client_python(case.client), case, written(case))
    assert_seen(case, views, {split: sample(split, flat=case.flat) for split in SPLITS})


@pytest.mark.parametrize("case", [case for case in CASES if case.form == "coco"], ids=str)
def test_a_client_sees_real_coco(
    case: Case, real: Path, tmp_path: Path, convert: Convert, client_python: Python
) -> None:
    """Real COCO, with 13 crowds, that went through Parquet is to a client what the source is."""
    sources = {split: real / f"coco_mini/instances_{split}2017.json" for split in SPLITS}
    convert([f"{split}={path}" for split, path in sources.items()], tmp_path / "between.parquet")
    convert(tmp_path / "between.parquet", tmp_path / "annotations", to="coco")
    (tmp_path / "images").mkdir()
    data = {split: json.loads(path.read_text(encoding="utf-8")) for split, path in sources.items()}
    assert sum(a["iscrowd"] for document in data.values() for a in document["annotations"]) == 13
    assert_seen(case, seen(client_python(case.client), case, tmp_path), data)


def test_all_clients_have_a_case() -> None:
    """Every client of the script has a case, and the sample has what makes the cases hard."""
    assert {case.client for case in CASES} == set(CLIENTS)
    boxes = boxes_of(sample("train", flat=False))
    assert sum(row[5] for rows in boxes.values() for row in rows) == 2
    assert sum(not rows for rows in boxes.values()) == 3


@dataclass(frozen=True)
class Writing:
    """A client that makes a format of COCO. `pixels`: how far its corners may be off; `lost`: what it leaves out,
    "crowds" or "empty" images; `read`: how we read it.
    """

    client: str
    form: str
    pixels: float = 1e-9
    lost: str = ""
    read: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.client}-{self.form}"


WRITINGS = (
    Writing("supervision", "coco", 1e-3),
    Writing("supervision", "voc", 0.51, read=(("origin", "1"),)),  # whole pixels, from 1
    Writing("supervision", "yolo", 0.01),  # 5 decimals
    Writing("labelformat", "coco", 1.0),  # whole pixels
    Writing("labelformat", "voc"),
    Writing("labelformat", "yolo"),
    Writing("globox", "coco"),
    Writing("globox", "voc"),
    Writing("globox", "yolo"),
    Writing("datumaro", "coco", 0.0101),
    Writing("datumaro", "voc", 0.0101, lost="empty"),
    Writing("datumaro", "yolo", 0.0101, lost="crowds"),
)


def command(python: Path, case: Writing, folder: Path, out: Path) -> list[object]:
    """What makes OUT, a file for COCO and a folder else, of FOLDER's annotations/instances_train.json."""
    source = folder / "annotations/instances_train.json"
    if case.client in ("supervision", "datumaro"):
        return [python, CONVERSIONS, case.client, "coco", case.form, folder, source, out]
    if case.client == "globox":
        names = {"voc": "pascalvoc", "yolo": "yolov5"}
        options = ["--reverse_mapping_out", folder / "classes.txt"] if case.form == "yolo" else []
        form = names.get(case.form, case.form)
        return [python, "-m", "globox", "convert", source, out, "-f", "coco", "-F", form, *options]
    target: dict[str, list[object]] = {
        "coco": ["coco", "--output-file", out],
        "voc": ["pascalvoc", "--output-folder", out],
        "yolo": ["yolov8", "--output-file", out / "data.yaml", "--output-split", "train"],
    }
    run = [python, "-c", "from labelformat.cli.cli import main; main()", "convert", "--task", "object-detection"]
    return [*run, "--input-format", "coco", "--input-file", source, "--output-format", *target[case.form]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, picture: Picture) -> Path:
    """A folder with the sample's train split as a client takes it: without sub-folders, and without segmentations, of
    which some make boxes of their own; a list of the classes beside it.
    """
    folder = tmp_path_factory.mktemp("plain")
    data = sample("train", flat=True)
    for annotation in data["annotations"]:
        annotation.pop("segmentation", None)
        annotation.pop("score", None)
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_train.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "classes.txt").write_text("\n".join(classes_of(data)), encoding="utf-8")
    for image in data["images"]:
        picture(folder / "images" / image["file_name"], image["width"], image["height"])
    return folder


@pytest.mark.parametrize("case", WRITINGS, ids=str)
def test_we_read_what_a_client_writes(
    case: Writing, plain: Path, tmp_path: Path, convert: Convert, client_python: Python
) -> None:
    """What a client makes of COCO is read with the boxes, the classes and the images that the COCO has."""
    out = tmp_path / ("out.json" if case.form == "coco" and case.client != "datumaro" else "out")
    words = command(client_python(case.client), case, plain, out)
    run(words)
    more: dict[str, Any] = {"images": plain / "images"} if case.form == "yolo" else {}
    if str(case) == "globox-yolo":  # it writes no list of its classes
        shutil.copy(plain / "classes.txt", out)
    if str(case) == "datumaro-yolo":  # where it puts them itself, were it told to
        more = {}
        shutil.copytree(plain / "images", out / "obj_train_data", dirs_exist_ok=True)
    convert(out, tmp_path / "read.json", to="coco", in_=dict(case.read), **more)
    boxes = boxes_of(json.loads((tmp_path / "read.json").read_text(encoding="utf-8")))
    found = {name.removeprefix("obj_train_data/"): rows for name, rows in boxes.items()}
    source = json.loads((plain / "annotations/instances_train.json").read_text(encoding="utf-8"))
    wanted = boxes_of(source, crowds=case.lost != "crowds")
    if case.lost == "empty":
        wanted = {name: rows for name, rows in wanted.items() if rows}
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        unflagged = [[*row[:5], None] for row in found[name]]
        assert_same(unflagged, rows, case.pixels, ordered=case.client != "datumaro")
