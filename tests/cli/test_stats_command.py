"""`bboxconv stats`: what it prints, whole, and how it takes its words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Done, Shell

GOLDEN = Path(__file__).with_name("golden")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "words", "columns"),
    [
        ("stats", ["sample/coco", "-qq"], "80"),
        ("stats-by-class", ["sample/coco", "--by", "class", "-qq"], "80"),
        ("stats-by-split-40", ["sample/voc", "--by", "split", "-qq"], "40"),
    ],
)
def test_output(name: str, words: list[str], columns: str) -> None:
    """The figures of the sample stand on stdout, and nothing else; BBOXCONV_GOLDEN=write writes them anew."""
    done = Shell(EXAMPLES, {"COLUMNS": columns})("stats", *words)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("BBOXCONV_GOLDEN") == "write":
        file.write_text(done.out, encoding="utf-8")
    assert done == Done(file.read_text(encoding="utf-8"), "", 0)


def test_json(shell: Shell) -> None:
    """`--json` writes one document to stdout, compact in a pipe, `--report` the same to a file; warnings stay on
    stderr."""
    done = shell("stats", "a.json", "--from", "coco", "--json", "--report", "stats.json", "--by", "split")
    found = json.loads(done.out)
    assert done.out.count("\n") == 1 and (done.err, done.code) == ("", 0)
    assert (found["version"], found["command"], found["by"], found["all"]["boxes"]) == (1, "stats", "split", 2)
    written = json.loads((shell.folder / "stats.json").read_text())
    assert written | {"seconds": 0} == found | {"seconds": 0}


def test_color_is_not_needed(shell: Shell) -> None:
    """With colour the text is the same, and no line is wider."""
    plain, bright = (shell("stats", "a.json", "--from", "coco", "--color", color).out for color in ("never", "always"))
    assert "\x1b[1m" in bright
    assert bright.replace("\x1b[1m", "").replace("\x1b[0m", "") == plain


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["a.json", "--by", "clas"],
            "bad-option-value]: --by takes class or split, not 'clas'\n  hint: did you mean 'class'?",
        ),
        (["b.json"], "path-not-found]: there is no b.json\n  hint: did you mean 'a.json'?"),
    ],
)
def test_wrong_words(words: list[str], error: str, shell: Shell) -> None:
    """A word that it does not take is told with what was meant, exit 2."""
    assert shell("stats", *words) == Done("", f"error[{error}\n", 2)


def test_bare(shell: Shell) -> None:
    """Without a source it shows its help on stderr, exit 2."""
    assert shell("stats") == Done("", (GOLDEN / "help-stats.txt").read_text(), 2)


def test_faults_are_no_success(shell: Shell) -> None:
    """Figures of less than all the data have exit code 3 and say so last, and a page likewise; advice names a command
    that takes it."""
    data = json.loads((shell.folder / "a.json").read_text())
    data["annotations"] = [{**data["annotations"][0], "bbox": box} for box in ([0, 0, "x", 5], [0, 0, -1, 5])]
    (shell.folder / "faulty.json").write_text(json.dumps(data))
    done = shell("stats", "faulty.json", "--from", "coco", "--json")
    told = json.loads(done.out)
    assert (done.code, told["exit_code"], told["all"]["boxes"]) == (3, 3, 1)
    assert "\n  hint: bboxconv convert --on-invalid clip, " in done.err
    images = f"{len(data['images'])} image" + "s" * (len(data["images"]) > 1)
    assert done.err.endswith(f"\ncounted, 1 fault set aside: {images}, 1 box, 0.0 s\n")
    page = shell("report", "faulty.json", "--from", "coco", "-o", "page.html", "--json")
    assert (page.code, json.loads(page.out)["exit_code"]) == (3, 3)
    assert page.err.splitlines()[-1].startswith("done, 1 fault set aside: ")
