"""The package in examples/plugin, as a stranger would have it: installed beside bboxconv, used through the command
line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from plugins import FORMAT, install

PLUGIN = Path(__file__).parent.parent / "examples" / "plugin"
COCO = {
    "images": [
        {"id": 1, "file_name": "sub/a.jpg", "width": 640, "height": 480},
        {"id": 2, "file_name": "none, here.jpg", "width": 640, "height": 480},
        {"id": 3, "file_name": "b.jpg", "width": 640, "height": 480},
    ],
    "categories": [{"id": 4, "name": "dog"}, {"id": 7, "name": 'cat "big"'}],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 7, "bbox": [0.5, 1, 10, 20], "area": 200, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [5, 6, 7, 8], "area": 56, "iscrowd": 0},
    ],
}
CSV = """\
sub/a.jpg,1,2,4,6,dog
sub/a.jpg,5,6,12,14,"cat ""big\"""
"none, here.jpg",,,,,
b.jpg,0.5,1,10.5,21,"cat ""big\"""
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin as an installer leaves it: its package, and the entry points that its pyproject.toml
    names.
    """
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["bboxconv.formats"]
    install(folder, project["project"]["name"], points, {})
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.copytree(PLUGIN / package, folder / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Runs a module of Python in an empty folder, with the plugin (and further folders) installed."""

    def start(*words: str, also: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (site, *also))), "COLUMNS": "80"}
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return start


def test_it_is_listed(run: Run) -> None:
    """The plugin is listed beside the others, with its package and what it cannot carry."""
    done = run("bboxconv", "formats", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    formats = {row["name"]: row for row in json.loads(done.stdout)["formats"]}
    assert set(formats) == {"coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo", "retinacsv"}
    row = formats["retinacsv"]
    assert (row["provider"], row["read"], row["write"], row["box"]) == ("bboxconv-retinacsv 1.0", True, True, "xyxy")
    assert "image.width" in row["cannot_carry"]
    assert not {"image.file_name", "object.category", "object.bbox"} & set(row["cannot_carry"])


def test_there_and_back(run: Run, tmp_path: Path) -> None:
    """COCO becomes the csv that is asked for, which is recognised by its content, and the boxes are the
    same again.
    """
    (tmp_path / "a.json").write_text(json.dumps(COCO))
    done = run("bboxconv", "convert", "a.json", "a.csv", "--to", "retinacsv", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.csv").read_text() == CSV
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["written"] == {"images": 3, "boxes": 3, "categories": 2}
    assert report["lost"] == {
        "category.id": 2,
        "image.height": 3,
        "image.id": 3,
        "image.width": 3,
        "object.area": 3,
        "object.id": 3,
    }

    done = run("bboxconv", "convert", "a.csv", "b.json", "--image-size", "640x480")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "b.json").read_text())
    names = {row["id"]: row["name"] for row in document["categories"]}
    images = {row["id"]: row["file_name"] for row in document["images"]}
    assert list(images.values()) == ["sub/a.jpg", "none, here.jpg", "b.jpg"]
    assert [(images[row["image_id"]], names[row["category_id"]], row["bbox"]) for row in document["annotations"]] == [
        ("sub/a.jpg", "dog", [1, 2, 3, 4]),
        ("sub/a.jpg", 'cat "big"', [5, 6, 7, 8]),
        ("b.jpg", 'cat "big"', [0.5, 1, 10, 20]),
    ]


def test_faults_have_their_line(run: Run, tmp_path: Path) -> None:
    """Every row that cannot be read is told with its line, blank lines counted, and nothing is written."""
    (tmp_path / "a.csv").write_text(
        "a.jpg,1,2,3,4,cat\n\nb.jpg,1,two,3,4,cat\nc.jpg,1,2\nd.jpg,1,2,3,4,\n,1,2,3,4,cat\n"
    )
    done = run("bboxconv", "convert", "a.csv", "a.json", "--json")
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    places = [
        (place["where"], place["detail"])
        for found in findings
        if found["code"] == "bad-row"
        for place in found["places"]
    ]
    assert sorted(places) == [
        ("a.csv:3", "b.jpg,1,two,3,4,cat"),
        ("a.csv:4", "c.jpg,1,2"),
        ("a.csv:5", "d.jpg,1,2,3,4,"),
        ("a.csv:6", ",1,2,3,4,cat"),
    ]
    assert not (tmp_path / "a.json").exists()


def test_the_suite_passes(run: Run, tmp_path: Path) -> None:
    """The plugin's own test, the conformance suite in five lines, passes as its author would run it."""
    shutil.copy(PLUGIN / "tests" / "test_conformance.py", tmp_path)
    done = run("pytest", "-q", "-p", "no:cacheprovider", "test_conformance.py")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_the_suite_finds_what_is_wrong(run: Run, tmp_path: Path) -> None:
    """A format that shifts its boxes, invents a field, loses an image or counts wrongly fails the suite, each in the
    test that is for it.
    """
    text = (PLUGIN / "src" / "bboxconv_retinacsv" / "__init__.py").read_text()
    numbers, carried = "test_numbers_of_its_own_box_format", "test_what_is_carried_comes_back"
    full = f"{carried}[full]"
    flags = "pa.array([False] * len(rows))"
    faults = {
        "shifts": ("pa.float64()", "pa.float32()).cast(pa.float64()", f"{numbers}_come_back_to_the_last_bit"),
        "invents": ('"bbox": bbox_array(', f'"iscrowd": {flags}, "bbox": bbox_array(', full),
        "loses": ("np.maximum(counts, 1)", "counts", f"{carried}[no boxes]"),
        "claims": ('frozenset({"image.file_name", ', 'frozenset({"image.id", "image.file_name", ', f"{carried}[full]"),
        "hides": (':{lines[row]}"', '"', "test_a_fault_has_a_code_and_a_place"),
    }  # fmt: skip
    tests = []
    for name, (old, new, test) in faults.items():
        assert old in text
        module = text.replace(old, new).replace('name="retinacsv"', f'name="{name}"')
        folder = install(tmp_path / name, name, {name: f"mod_{name}"}, {f"mod_{name}": module})
        suite = (PLUGIN / "tests" / "test_conformance.py").read_text().replace('"retinacsv"', f'"{name}"')
        (folder / f"test_{name}.py").write_text(suite)
        tests.append(f"{name}/test_{name}.py::TestRetinaCsv::{test}")
    done = run("pytest", "-q", "-p", "no:cacheprovider", *tests, also=tuple(tmp_path / name for name in faults))
    failed = [
        line.split(" - ")[0].removeprefix("FAILED ") for line in done.stdout.splitlines() if line.startswith("FAILED ")
    ]
    assert sorted(failed) == sorted(tests), done.stdout
    assert "ERROR" not in done.stdout


def test_a_broken_neighbour_is_told(run: Run, tmp_path: Path) -> None:
    """A package that cannot be loaded and one that takes a name that is taken are listed as errors with their names;
    the others convert on.
    """
    broken = install(
        tmp_path / "site1", "broken-one", {"kaputt": "kaputt_module"}, {"kaputt_module": "import no_such_thing"}
    )
    twin = install(
        tmp_path / "site2",
        "twin-two",
        {"retinacsv": "twin_module"},
        {"twin_module": FORMAT.format(name="retinacsv", weight=1)},
    )
    done = run("bboxconv", "formats", "--json", also=(broken, twin))
    assert done.returncode == 0, done.stderr
    errors = [
        (row["name"], row["provider"], row["error"]) for row in json.loads(done.stdout)["formats"] if "error" in row
    ]
    taken = "the name is provided more than once: bboxconv-retinacsv 1.0, twin-two 1.0"
    assert errors == [
        ("kaputt", "broken-one 1.0", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("retinacsv", "bboxconv-retinacsv 1.0", taken),
        ("retinacsv", "twin-two 1.0", taken),
    ]
    (tmp_path / "a.json").write_text(json.dumps(COCO))
    assert run("bboxconv", "convert", "a.json", "a.parquet", also=(broken, twin)).returncode == 0
    done = run("bboxconv", "convert", "a.json", "b.csv", "--to", "retinacsv", also=(broken, twin))
    assert done.returncode == 2
    assert "error[broken-plugin]" in done.stderr
    assert "twin-two 1.0" in done.stderr
    assert not (tmp_path / "b.csv").exists()
