"""What users may expect of the command line, each with its exact output; the numbers are those of the contract."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Done, Shell

JSONL = [
    {
        "type": "dataset",
        "task": "detect",
        "class_names": {"0": "cat", "1": "dog"},
        "bboxconv": 1,
        "box": "xywh",
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog", "supercategory": "animal"}],
        "source": "coco",
    },
    {
        "type": "image",
        "file": "a.jpg",
        "id": 1,
        "width": 100,
        "height": 50,
        "objects": [
            {"id": 1, "category": 0, "bbox": [10, 5, 20, 10], "area": 200, "iscrowd": False},
            {"id": 2, "category": 1, "bbox": [0, 0, 100, 50], "area": 5000, "iscrowd": True},
        ],
    },
    {"type": "image", "file": "b.jpg", "id": 2, "width": 10, "height": 10, "objects": []},
]
READ = "from      coco a.json (--from coco)\nread      2 images, 2 boxes, 2 categories\n"
READ_NARROW = "from      coco a.json (--from coco)\nread      2 images, 2 boxes,\n          2 categories\n"


def lines(text: str) -> list[dict[str, object]]:
    """JSON lines as values."""
    return [json.loads(line) for line in text.splitlines()]


def test_1_2_19_streams_and_last_line(anywhere: Shell) -> None:
    """Nothing on stdout; both formats in the summary; success is one factual line, the last (behaviours 1, 2, 19)."""
    done = anywhere("convert", "a.json", "a.jsonl", "--from", "coco")
    last = "done: 2 images, 2 boxes, 2 categories, coco -> jsonl, a.jsonl, 485 B, 0.0 s\n"
    assert done == Done("", (READ_NARROW if "COLUMNS" in anywhere.extra else READ) + last, 0)
    assert lines((anywhere.folder / "a.jsonl").read_text()) == JSONL


def test_3_stdin_and_stdout(anywhere: Shell) -> None:
    """`-` is stdin and stdout (3)."""
    source = (anywhere.folder / "a.json").read_text()
    done = anywhere("convert", "-", "-", "--from", "coco", "--to", "jsonl", stdin=source)
    assert lines(done.out) == JSONL
    assert done.err.startswith("from      coco <stdin> (--from coco)\n")
    assert done.err.endswith("done: 2 images, 2 boxes, 2 categories, coco -> jsonl, stdout, 485 B, 0.0 s\n")
    assert done.code == 0


def test_3_stdin_needs_from(anywhere: Shell) -> None:
    """Stdin without --from is refused with what to add, exit 2 (3)."""
    error = "error[stdin-needs-format]: standard input does not say its format\n  hint: --from FORMAT says it\n"
    assert anywhere("convert", "-", "b.jsonl", stdin="{}") == Done("", error, 2)


def test_3_folder_formats_refuse_stdout(anywhere: Shell) -> None:
    """A format of many files cannot go to stdout, and says why (3)."""
    message = "yolo is a folder of files, which standard output cannot be"
    error = f"error[stdout-is-no-folder]: {message}\n  hint: name a folder\n"
    assert anywhere("convert", "a.json", "-", "--to", "yolo") == Done("", error, 2)


def test_3_binary_is_not_for_a_terminal(shell: Shell) -> None:
    """A binary format is not written to a terminal; to a pipe it is (3)."""
    words = ("convert", "a.json", "-", "--from", "coco", "--to", "parquet")
    error = "error[stdout-is-terminal]: parquet is binary, and stdout is a terminal\n"
    hint = "  hint: name a file, such as boxes.parquet, or pipe it to a program\n"
    assert shell.terminal(*words, "--color", "never") == Done(error + hint, "", 2)


@pytest.mark.parametrize(
    "words", [("convert", "-", "x.json"), ("inspect", "-"), ("validate", "-"), ("boxes", "-f", "xyxy", "-t", "xywh")]
)
def test_3_terminal_on_stdin(words: tuple[str, ...], shell: Shell) -> None:
    """Where stdin would be typed by hand, the command shows its help and exits 2 (3)."""
    done = shell.terminal(*words)
    golden = Path(__file__).with_name("golden") / f"help-{words[0]}.txt"
    assert (done.out, done.code) == (golden.read_text(), 2)


def test_4_doubt_asks(anywhere: Shell) -> None:
    """A source that no format knows is refused with the flag that settles it, exit 1 (4)."""
    (anywhere.folder / "x.bin").write_bytes(b"\x00\x01")
    error = (
        "error[unknown-content]: no format recognises this file\n  x.bin\n"
        "  hint: --from FORMAT says what it is; `bboxconv formats` lists them\n"
        "refused: 1 error, nothing was written\n"
    )
    assert anywhere("convert", "x.bin", "x.json") == Done("", error, 1)


def test_5_6_nothing_is_overwritten(anywhere: Shell) -> None:
    """An existing file, or folder with anything in it, is refused and left as it was, with nothing beside it (5,
    6).
    """
    (anywhere.folder / "b.json").write_text("mine")
    (anywhere.folder / "yolo").mkdir()
    (anywhere.folder / "yolo" / "mine.txt").write_text("mine")
    error = "error[output-exists]: the output exists\n  b.json\n  hint: --overwrite replaces it\n"
    assert anywhere("convert", "a.json", "b.json") == Done("", error, 2)
    error = (
        "error[output-exists]: the output exists\n  yolo/\n"
        "  hint: --overwrite replaces what bboxconv wrote there before\n"
    )
    done = anywhere("convert", "a.json", "yolo/")
    assert (done.out, done.err.replace("yolo/\n", "yolo\n"), done.code) == ("", error.replace("yolo/\n", "yolo\n"), 2)
    assert sorted(p.name for p in anywhere.folder.iterdir()) == ["a.json", "b.json", "yolo"]
    assert (anywhere.folder / "b.json").read_text() == "mine"


def test_7_dry_run(anywhere: Shell) -> None:
    """--dry-run gives the same account, writes nothing and says what it did not prove (7)."""
    done = anywhere("convert", "a.json", "a.jsonl", "--from", "coco", "--dry-run")
    last = (
        "dry run: 2 images, 2 boxes, 2 categories, coco -> jsonl, a.jsonl, 0.0 s;"
        " nothing was written, space and permissions were not tried\n"
    )
    assert done == Done("", (READ_NARROW if "COLUMNS" in anywhere.extra else READ) + last, 0)
    assert not (anywhere.folder / "a.jsonl").exists()


def test_8_loss_is_counted(anywhere: Shell) -> None:
    """What the target cannot carry is counted field by field (8)."""
    done = anywhere("convert", "a.json", "out", "--from", "coco", "--to", "yolo")
    lost = " ".join(done.err.partition("lost ")[2].partition("\nnext")[0].partition("\ndone")[0].split())
    assert done.code == 0
    assert lost == "object.area 1, object.id 1, category.supercategory 1, image.height 2, image.id 2, image.width 2"
    assert "\nleft out  1 box: crowd\n" in done.err


@pytest.mark.parametrize("flag", ["--strict=all", "--strict=object.area"])
def test_8_strict_refuses(flag: str, anywhere: Shell) -> None:
    """--strict refuses loss, exit 1, and writes nothing (8)."""
    done = anywhere("convert", "a.json", "out", "--from", "coco", "--to", "yolo", flag)
    assert (done.out, done.code) == ("", 1)
    assert "object.area" in done.err
    assert done.err.splitlines()[-1].startswith("refused: ")
    assert not (anywhere.folder / "out").exists()


def test_8_strict_alone_is_a_flag(anywhere: Shell) -> None:
    """--strict needs no value: loss of ids and metadata passes, and what follows it is still a source."""
    assert anywhere("convert", "--strict", "a.json", "a.jsonl", "--from", "coco").code == 0


def test_9_explain(anywhere: Shell) -> None:
    """`explain CODE` gives cause and remedy on stdout (9)."""
    done = anywhere("explain", "output-exists")
    wide = (
        "output-exists\n"
        "  cause:  The destination exists; a folder counts unless it is empty.\n"
        "  remedy: Choose another name, or give --overwrite, which replaces what bboxconv\n"
        "          wrote there before.\n"
    )
    narrow = (
        "output-exists\n"
        "  cause:  The destination exists; a\n"
        "          folder counts unless it is\n"
        "          empty.\n"
        "  remedy: Choose another name, or give\n"
        "          --overwrite, which replaces\n"
        "          what bboxconv wrote there\n"
        "          before.\n"
    )
    assert done == Done(narrow if "COLUMNS" in anywhere.extra else wide, "", 0)


def test_10_faults_are_grouped(anywhere: Shell) -> None:
    """Every fault is told with code, place and hint, and the verdict is the last line (10)."""
    document = json.loads((anywhere.folder / "a.json").read_text())
    document["annotations"] += [{"id": n, "image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1]} for n in range(3, 10)]
    (anywhere.folder / "bad.json").write_text(json.dumps(document))
    done = anywhere("convert", "bad.json", "x.jsonl", "--from", "coco")
    first, *places = done.err.splitlines()
    assert first.startswith("error[orphan-annotation]: ")
    assert first.endswith(" (7 times)")
    assert [place.partition(":")[0] for place in places[:5]] == ["  bad.json"] * 5
    assert places[5] == "  ... and 2 more"
    assert places[-1] == "refused: 7 errors, nothing was written"
    assert (done.out, done.code, (anywhere.folder / "x.jsonl").exists()) == ("", 1, False)


WRONG = {
    "command": (["convrt"], "error[unknown-command]: no command convrt\n  hint: did you mean 'convert'?\n"),
    "option": (
        ["convert", "a.json", "b.json", "--overwite"],
        "error[unknown-option]: no option --overwite\n  hint: did you mean '--overwrite'?\n",
    ),
    "format": (
        ["convert", "a.json", "b.json", "--to", "cocco"],
        "error[unknown-format]: there is no format 'cocco'\n  hint: did you mean 'coco'?\n",
    ),
    "key": (
        ["convert", "a.json", "out", "--to", "yolo", "--out", "decimal=3"],
        "error[unknown-option]: yolo has no option 'decimal' for --out\n  hint: did you mean 'decimals'?\n",
    ),
    "value": (
        ["convert", "a.json", "b.json", "--on-error", "skipp"],
        "error[bad-option-value]: --on-error takes fail or skip, not 'skipp'\n  hint: did you mean 'skip'?\n",
    ),
    "color": (
        ["convert", "a.json", "b.json", "--color", "allways"],
        "error[bad-option-value]: --color takes auto, always or never, not 'allways'\n  hint: did you mean 'always'?\n",
    ),
    "class": (
        ["convert", "a.json", "b.json", "--include-class", "cot"],
        "error[unknown-class]: --include-class names a class that the data does not have: 'cot'\n"
        "  hint: did you mean 'cat'? the classes are: 'cat', 'dog'\n",
    ),
    "code": (
        ["explain", "output-exist"],
        "error[unknown-code]: no message has the code 'output-exist'\n  hint: did you mean 'output-exists'?\n",
    ),
    "no value": (
        ["convert", "a.json", "--to"],
        "error[missing-value]: --to needs a value\n  hint: bboxconv convert --help shows what it takes\n",
    ),
    "value for none": (
        ["convert", "a.json", "b.json", "--overwrite=yes"],
        "error[bad-option-value]: --overwrite takes no value\n  hint: bboxconv convert --help shows what it takes\n",
    ),
    "too many": (
        ["formats", "a", "b"],
        "error[extra-argument]: too many arguments: b\n  hint: bboxconv formats --help shows what it takes\n",
    ),
    "one path": (
        ["convert", "a.json"],
        "error[missing-argument]: convert needs a source and a destination\n  hint: bboxconv convert a.json DST\n",
    ),
    "missing path": (["convert", "nix.json", "b.json"], "error[path-not-found]: there is no nix.json\n"),
    "near path": (
        ["convert", "a.jso", "b.json"],
        "error[path-not-found]: there is no a.jso\n  hint: did you mean 'a.json'?\n",
    ),
    "pattern": (
        ["convert", "b*.json", "b.parquet"],
        "error[path-not-found]: there is no b*.json\n"
        "  hint: no file matches this pattern; leave out the quotes, since it is the shell that knows patterns\n",
    ),
    "folder": (
        ["convert", "gone/a.json", "b.json"],
        "error[path-not-found]: there is no gone/a.json\n  hint: there is no folder gone\n",
    ),
    "images": (
        ["convert", "a.json", "b.jsonl", "--images", "imgs"],
        "error[path-not-found]: --images: there is no folder imgs\n",
    ),
    "sizes": (
        ["convert", "a.json", "b.jsonl", "--from", "coco", "--image-sizes", "a.jso"],
        "error[path-not-found]: --image-sizes: there is no a.jso\n  hint: did you mean 'a.json'?\n",
    ),
    "extension": (
        ["convert", "a.json", "b.parqet"],
        "error[unknown-target]: the destination does not say its format\n  b.parqet\n"
        "  hint: did you mean '.parquet'? --to FORMAT says it, or a name such as boxes.parquet or yolo/"
        " (extensions: .csv .hf .json .jsonl .ndjson .parquet .pq .tsv .xml .yaml .yml)\n",
    ),
    "two formats": (
        ["convert", "a.json", "coco-yolo/"],
        "error[unknown-target]: the name of the destination holds those of several formats: coco, yolo\n"
        "  coco-yolo/\n  hint: --to FORMAT says which\n",
    ),
    "box": (
        ["convert", "a.json", "b.parquet", "--from", "coco", "--box", "xyhw"],
        "error[unknown-box-format]: --box: there is no box format 'xyhw'\n  hint: did you mean 'xywh'?\n",
    ),
    "memory": (
        ["convert", "a.json", "b.json", "--memory", "lots"],
        "error[bad-option-value]: --memory takes an amount such as 256MiB or 1GB, not 'lots'\n",
    ),
    "jobs": (
        ["convert", "a.json", "b.json", "--jobs", "-1"],
        "error[bad-option-value]: --jobs takes a whole number from 0, not '-1'\n",
    ),
    "pair": (
        ["convert", "a.json", "b.json", "--in", "origin"],
        "error[bad-option-value]: --in takes key=value, not 'origin'\n  hint: bboxconv formats NAME lists the keys\n",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_11_wrong_calls(case: str, anywhere: Shell) -> None:
    """A wrong call has one shape of error, names what was meant, writes nothing and exits 2 (10, 11, 13)."""
    words, message = WRONG[case]
    assert anywhere(*words) == Done("", message, 2)
    assert sorted(p.name for p in anywhere.folder.iterdir()) == ["a.json"]


@pytest.mark.parametrize("case", ["command", "option"])
def test_11_did_you_mean(case: str, anywhere: Shell) -> None:
    """What was meant is named in any surroundings (11)."""
    words, message = WRONG[case]
    assert anywhere(*words) == Done("", message, 2)


def test_13_set_aside(anywhere: Shell) -> None:
    """--on-error skip writes the rest, lists what it set aside, and exits 3 (13)."""
    document = json.loads((anywhere.folder / "a.json").read_text())
    document["annotations"].append({"id": 3, "image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1]})
    (anywhere.folder / "bad.json").write_text(json.dumps(document))
    done = anywhere("convert", "bad.json", "x.jsonl", "--on-error", "skip", "--rejects", "r.jsonl")
    facts = "2 images, 2 boxes, 2 categories, coco -> jsonl, x.jsonl, 485 B, 0.0 s"
    assert (done.out, done.code) == ("", 3)
    assert done.err.splitlines()[-1] == f"done, 1 fault set aside: {facts}"
    assert lines((anywhere.folder / "x.jsonl").read_text()) == JSONL
    assert [record["code"] for record in lines((anywhere.folder / "r.jsonl").read_text())] == ["orphan-annotation"]


def test_13_validate(anywhere: Shell) -> None:
    """`validate` ends with one line: ok, exit 0, or refused, exit 1 (13)."""
    assert anywhere("validate", "a.json", "-f", "coco").err == "ok: 2 images, 2 boxes, 2 categories, coco, 0.0 s\n"
    (anywhere.folder / "bad.json").write_text(
        '{"images": [], "annotations": [{"id": 1, "image_id": 9, "bbox": [0, 0, 1, 1]}]}'
    )
    done = anywhere("validate", "bad.json", "-f", "coco")
    assert done.err.splitlines()[-1].startswith("refused: 1 error; ")
    assert (done.out, done.code) == ("", 1)


def test_inspect(anywhere: Shell) -> None:
    """`inspect` shows the data set on stdout, and as a document with --json."""
    done = anywhere("inspect", "a.json", "--from", "coco")
    assert (done.err, done.code) == ("", 0)
    assert done.out.startswith(
        "from      coco a.json (--from coco)\nimages    2 (1 without boxes)\nboxes     2, as xywh\nclasses   2\n"
    )
    assert done.out.endswith("\n\nclass  id  boxes\ncat     1      1\ndog     2      1\n")
    document = json.loads(anywhere("inspect", "a.json", "--json").out)
    assert document["classes"] == [{"name": "cat", "id": 1, "boxes": 1}, {"name": "dog", "id": 2, "boxes": 1}]


BUG = """
import sys
from bboxconv import pipeline
from bboxconv.__main__ import main
def run(*_):
    raise KeyError("x")
pipeline.run = run
sys.argv = ["bboxconv", "convert", "a b.json", "c.json", *sys.argv[1:]]
main()
"""


def test_12_a_bug_is_told(anywhere: Shell) -> None:
    """An unexpected error is one message with command, version and where to report it, exit 70 (12)."""
    import platform
    from importlib.metadata import metadata

    facts = metadata("bboxconv")
    links = dict(link.split(", ", 1) for link in facts.get_all("Project-URL") or ())
    tracker = links.get("Issues", "the project's issue tracker")
    run = subprocess.run(
        [sys.executable, "-c", BUG],
        cwd=anywhere.folder,
        env=anywhere.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == (
        "error[bug]: unexpected KeyError: 'x'\n"
        "  bboxconv convert 'a b.json' c.json\n"
        f"  bboxconv {facts['Version']}, Python {platform.python_version()}, {platform.system()} {platform.machine()}\n"
        f"  hint: please report it at {tracker} with these lines;"
        " --debug shows the traceback\n"
    )
    assert (run.stdout, run.returncode) == ("", 70)


def test_12_debug_shows_the_traceback(anywhere: Shell) -> None:
    """--debug adds the traceback (12)."""
    run = subprocess.run(
        [sys.executable, "-c", BUG, "--debug"], env=anywhere.environment(), capture_output=True, text=True, check=False
    )
    assert run.stderr.startswith("Traceback (most recent call last):\n")
    assert run.returncode == 70


def test_14_json(anywhere: Shell) -> None:
    """--json is one compact line in a pipe; --report holds the same; -q leaves stderr empty (14, 18)."""
    done = anywhere("convert", "a.json", "a.jsonl", "--from", "coco", "--json", "--report", "r.json", "-q")
    assert (done.err, done.code, done.out.count("\n")) == ("", 0, 1)
    document = json.loads(done.out)
    fields = document.pop("fields")
    assert {name: values["count"] for name, values in fields.items() if values["carried"] == values["count"]} == {
        "category.id": 2,
        "category.name": 2,
        "category.supercategory": 1,
        "image.file_name": 2,
        "image.height": 2,
        "image.id": 2,
        "image.width": 2,
        "object.area": 2,
        "object.bbox": 2,
        "object.category": 2,
        "object.id": 2,
        "object.iscrowd": 2,
    }
    assert document == {
        "version": 1,
        "command": "convert",
        "exit_code": 0,
        "sources": [{"path": "a.json", "format": "coco", "evidence": "--from coco"}],
        "target": {"path": "a.jsonl", "format": "jsonl"},
        "read": {"images": 2, "boxes": 2, "categories": 2},
        "written": {"images": 2, "boxes": 2, "categories": 2},
        "rejected": {"images": {}, "boxes": {}},
        "left_out": {"images": {}, "boxes": {}},
        "lost": {},
        "filled": {},
        "findings": [],
        "switches": {},
        "next_step": "",
        "files": 1,
        "bytes": 485,
        "seconds": 0.0,
        "dry_run": False,
    }
    kept = json.loads((anywhere.folder / "r.json").read_text())
    assert {**kept, "seconds": 0.0} == {**document, "fields": fields}


def test_14_json_is_pretty_on_a_terminal(shell: Shell) -> None:
    """On a terminal --json is indented (14)."""
    assert shell.terminal("explain", "bad-row", "--json").out.startswith(
        '{\n  "version": 1,\n  "command": "explain",\n'
    )


@pytest.mark.parametrize(
    ("words", "command", "code"),
    [
        (["convert", "nix.json", "b.json", "--json"], "convert", "path-not-found"),
        (["convert", "--jsn", "--json"], "", "unknown-option"),
    ],
)
def test_14_errors_in_json(words: list[str], command: str, code: str, anywhere: Shell) -> None:
    """A failed run gives a document too, beside the message (14)."""
    done = anywhere(*words)
    document = json.loads(done.out)
    assert (document["version"], document["command"], document["exit_code"]) == (1, command, 2)
    assert [finding["code"] for finding in document["findings"]] == [code]
    assert done.err.startswith(f"error[{code}]: ")
    assert done.code == 2


def test_14_json_and_data_both_want_stdout(anywhere: Shell) -> None:
    """--json with DST - is refused, exit 2 (14)."""
    done = anywhere("convert", "a.json", "-", "--to", "jsonl", "--json")
    error = "error[stdout-taken]: --json and DST - both want stdout\n  hint: --report FILE takes the account\n"
    assert (done.err, done.code) == (error, 2)


def test_14_report_cannot_be_data(anywhere: Shell) -> None:
    """--report with the name of a source is refused before the source is lost."""
    before = (anywhere.folder / "a.json").read_text()
    done = anywhere("convert", "a.json", "b.json", "--report", "./a.json")
    assert done == Done("", "error[report-is-data]: --report names a source or DST\n  a.json\n", 2)
    assert (anywhere.folder / "a.json").read_text() == before


def test_14_report_that_cannot_be_written(anywhere: Shell) -> None:
    """A report goes to a folder that is made for it; where that fails, it is said once, exit 74."""
    assert anywhere("convert", "a.json", "b.jsonl", "--from", "coco", "--report", "new/r.json").code == 0
    assert json.loads((anywhere.folder / "new" / "r.json").read_text())["version"] == 1
    done = anywhere("convert", "a.json", "c.jsonl", "--from", "coco", "-q", "--report", "a.json/r.json")
    assert done == Done("", "error[write-failed]: cannot write the report: Not a directory\n  a.json/r.json\n", 74)


LONG = """
import sys
from bboxconv.cli import ui
from bboxconv.__main__ import main
ui.BAR_AFTER = ui.BAR_EVERY = -1.0
sys.argv = ["bboxconv", "convert", *sys.argv[1:]]
main()
"""


def test_15_bar_of_a_real_run(shell: Shell) -> None:
    """The bar goes from reading, in bytes, to writing, in images, and leaves only the account behind (15)."""
    out = shell.terminal("a.json", "a.parquet", "--from", "coco", "--color", "never", code=LONG).out
    steps = [line.split()[0] for line in re.split(r"\x1b\[2K|\n", out) if "\u2501" in line]
    assert list(dict.fromkeys(steps)) == ["reading", "writing"]
    assert "2 of 2 images" in out
    assert READ in out.rpartition("\x1b[2K")[2]


WATCHED = """
import sys, time
from bboxconv import pipeline
from bboxconv.cli import ui
from bboxconv.__main__ import main
from bboxconv.errors import DataError
ui.BAR_AFTER = 0.0
def run(request, progress):
    for _ in range(30):
        progress("read", 1000, 30000, "images")
        time.sleep(0.02)
    raise DataError.of("bad-row", "stop")
pipeline.run = run
sys.argv = ["bboxconv", "convert", "a", "b", *sys.argv[1:]]
main()
"""


def test_15_bar_on_a_terminal(shell: Shell) -> None:
    """On a terminal a bar shows what is done of how much, and the rate; it is cleared at the end (15)."""
    out = shell.terminal(code=WATCHED).out
    assert "of 30,000 images" in out
    assert "images/s" in out
    bar, _, rest = out.rpartition("\x1b[2K")
    assert "images" in bar
    assert "images" not in rest
    assert "bad-row" in rest


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_16_17_plain_terminals(more: dict[str, str], shell: Shell) -> None:
    """TERM=dumb has neither animation nor colour; NO_COLOR has no colour (16, 17)."""
    out = shell.terminal(code=WATCHED, **more).out
    assert ("\x1b" in out) == ("TERM" not in more)
    assert "\x1b[1;31m" not in out
    assert "error[bad-row]: stop\nrefused: 1 error, nothing was written\n" in out


def test_16_no_animation_in_a_log(anywhere: Shell) -> None:
    """Without a terminal there is no bar, no escape and no carriage return (16)."""
    run = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=anywhere.folder,
        env=anywhere.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == "error[bad-row]: stop\nrefused: 1 error, nothing was written\n"


@pytest.mark.parametrize(("name", "to"), [("loop", "loop"), ("a.jso", "gone.json")])
def test_a_link_that_leads_to_nothing_is_said_to(name: str, to: str, shell: Shell) -> None:
    """A loop of links, or one to what is gone, is not taken for a misspelled name."""
    (shell.folder / name).symlink_to(to)
    done = shell("convert", name, "b.json")
    said = f"error[path-not-found]: there is no {name}\n  hint: it is a link, and leads to nothing\n"
    assert (done.code, done.out, done.err) == (2, "", said)


COLORED = "\x1b[1;31merror[path-not-found]\x1b[0m: there is no nix.json\n"
PLAIN = "error[path-not-found]: there is no nix.json\n"


@pytest.mark.parametrize(
    ("words", "more", "shown"),
    [
        ([], {}, PLAIN),
        (["--color", "always"], {}, COLORED),
        (["--color", "always"], {"NO_COLOR": "1"}, COLORED),
        ([], {"FORCE_COLOR": "1"}, COLORED),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, PLAIN),
        (["--color", "never"], {"FORCE_COLOR": "1"}, PLAIN),
    ],
)
def test_17_color(words: list[str], more: dict[str, str], shown: str, shell: Shell) -> None:
    """--color decides, then NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal (17)."""
    assert shell("convert", "nix.json", "b.json", *words, **more).err == shown


def test_17_color_on_a_terminal(shell: Shell) -> None:
    """On a terminal errors have colour (17)."""
    assert shell.terminal("convert", "nix.json", "b.json").out == COLORED


def test_18_quiet(anywhere: Shell) -> None:
    """-q leaves warnings, -qq none; errors stay (18)."""
    document = json.loads((anywhere.folder / "a.json").read_text())
    document["annotations"][0]["bbox"] = [-1, 5, 20, 10]
    (anywhere.folder / "w.json").write_text(json.dumps(document))
    warned = anywhere("convert", "w.json", "w.jsonl", "-q")
    assert warned.err.startswith("warning[box-outside-image]: ")
    assert "done" not in warned.err
    assert anywhere("convert", "w.json", "w2.jsonl", "-qq") == Done("", "", 0)
    assert anywhere("convert", "nix.json", "b.json", "-qq") == Done("", PLAIN, 2)


def test_21_formats(anywhere: Shell) -> None:
    """`formats` lists every format within 80 columns; `formats NAME` its options; --json all of both (21)."""
    done = anywhere("formats")
    assert (done.err, done.code) == ("", 0)
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert [line.split()[0] for line in done.out.splitlines() if line[:1].isalpha()][1:8] == [
        "coco",
        "csv",
        "hf",
        "jsonl",
        "parquet",
        "voc",
        "yolo",
    ]
    document = json.loads(anywhere("formats", "--json").out)
    assert [entry["name"] for entry in document["formats"]] == ["coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo"]
    keys = {
        "title",
        "aliases",
        "read",
        "write",
        "extensions",
        "box",
        "cannot_carry",
        "write_options",
        "spec",
        "provider",
    }
    assert all(keys <= entry.keys() for entry in document["formats"])
    assert "\n--out options\n" in anywhere("formats", "yolo").out


def test_21_broken_plugin(anywhere: Shell, tmp_path: Path) -> None:
    """A plugin that cannot be loaded is listed with its error and its package; the others work (21)."""
    package = tmp_path / "site"
    (package / "broken-1.0.dist-info").mkdir(parents=True)
    (package / "broken-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (package / "broken-1.0.dist-info" / "entry_points.txt").write_text("[bboxconv.formats]\nkaputt = no_such_module\n")
    done = anywhere("formats", PYTHONPATH=os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]))
    line = "kaputt  error: ModuleNotFoundError: No module named 'no_such_module' (broken 1.0)"
    assert line in done.out.splitlines()
    assert (done.err, done.code) == ("", 0)
    assert anywhere("convert", "a.json", "a.jsonl", PYTHONPATH=str(package)).code == 0


ENDLESS = """
import sys, time
from bboxconv import pipeline, staging
from bboxconv.__main__ import main
from pathlib import Path
def run(request, progress):
    with staging.staged(Path("out.json"), "file", overwrite=False) as stage:
        stage.write_text("x")
        print("ready", flush=True)
        time.sleep(60)
pipeline.run = run
sys.argv = ["bboxconv", "convert", "a", "b"]
main()
"""


@pytest.mark.parametrize(
    ("number", "said", "code"),
    [(signal.SIGINT, "interrupted\n", 130), (signal.SIGTERM, "terminated\n", 143), (signal.SIGHUP, "hung up\n", 129)],
)
def test_24_interrupted(number: signal.Signals, said: str, code: int, anywhere: Shell) -> None:
    """Ctrl-C, SIGTERM and SIGHUP: one line, staging removed, exit 130, 143 and 129, as a shell has it (24)."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        cwd=anywhere.folder,
        env=anywhere.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert (err, process.returncode) == (said, code)
    assert time.monotonic() - began < 10
    assert sorted(p.name for p in anywhere.folder.iterdir()) == ["a.json"]


@pytest.mark.parametrize("words", ["convert --help", "formats --json", "convert big.json - -t jsonl -q", "explain"])
def test_24_closed_pipe(words: str, anywhere: Shell) -> None:
    """Where the reader of stdout goes away, the run ends silently with 0 (24)."""
    images = [{"id": n, "file_name": f"{n:06}.jpg", "width": 10, "height": 10} for n in range(20_000)]
    (anywhere.folder / "big.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    process = subprocess.Popen(
        [sys.executable, "-m", "bboxconv", *words.split()],
        cwd=anywhere.folder,
        env=anywhere.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == (b"", 0)
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["--help", "formats --json", "convert a.json - -t jsonl -q"])
def test_full_disk_on_stdout(words: str, shell: Shell) -> None:
    """Where stdout cannot be written, the run says so in one line and exits 74."""
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "bboxconv", *words.split()],
            cwd=shell.folder,
            env=shell.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.stderr.startswith("error[")
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.returncode == 74


def test_25_same_bytes(anywhere: Shell) -> None:
    """The same command gives the same bytes, for any --jobs (25)."""
    written = []
    for jobs in ("1", "2", "1"):
        anywhere("convert", "a.json", "x.jsonl", "--jobs", jobs, "--overwrite")
        written.append((anywhere.folder / "x.jsonl").read_bytes())
    assert len(set(written)) == 1
