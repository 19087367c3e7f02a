"""The README is true: its sessions and its Python are run, its tables and names are compared with the program.

`BBOXCONV_GOLDEN=write pytest tests/test_readme.py` writes outputs and tables anew; read the difference before
committing it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import pytest
from pages import ROOT, clone, commands, fenced, named, play, python, rewritten, timeless

from bboxconv.errors import ExitCode

README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"
TABLE = re.compile(r"(<!-- formats:.*?-->\n).*?(<!-- /formats -->)", re.DOTALL)

WITH_FLAGS = ("convert", "boxes", "stats", "diff", "draw", "report", "merge", "split", "sample", "filter")
"""Commands that have all flags of which the README speaks."""
IN_CI: Mapping[str, str] = {
    "python3 -m venv .venv": '"${PYTHON:-python3}" -m venv "$venv"',
    ".venv/bin/pip install .": '"$venv/bin/pip" install --quiet "$wheel[test,peers,lint]"',
    ".venv/bin/pip install '.[test]'": '"$venv/bin/pip" install --quiet "$wheel[test,peers,lint]"',
    ".venv/bin/bboxconv convert examples/sample/coco/instances_train.json boxes.parquet": (
        '"$venv/bin/bboxconv" convert examples/sample/coco/instances_train.json "$work/boxes.parquet"'
    ),
    ".venv/bin/pytest": '"$venv/bin/pytest"',
}
"""The commands that set up and test, which are not run here, and the lines of .ci/run that run them."""


@cache
def bboxconv(*words: str) -> str:
    """What a command that changes nothing prints on stdout."""
    return python("-m", "bboxconv", *words)


def lines_of(pattern: str, text: str) -> list[Any]:
    """What the groups of a pattern, which is for whole lines, match."""
    return re.findall(f"^{pattern}$", text, re.MULTILINE)


def formats() -> list[dict[str, Any]]:
    """The formats that come with bboxconv, as `bboxconv formats --json` has them."""
    listed = json.loads(bboxconv("formats", "--json"))["formats"]
    ours = [known for known in listed if known["provider"].startswith("bboxconv ")]
    assert [known["error"] for known in ours if "error" in known] == []
    return ours


def formats_table() -> str:
    """The README's table of formats, from what the formats declare."""
    rows = ["| format | what it is | does | boxes | files | cannot carry |", "|---|---|---|---|---|---|"]
    for known in formats():
        does = ", ".join(word for word in ("read", "write") if known[word])
        files = " ".join(f"`{extension}`" for extension in known["extensions"])
        cells = [f"`{known['name']}`", known["title"], does, f"`{known['box']}`", files, lost(known["cannot_carry"])]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def lost(fields: Sequence[str]) -> str:
    """Fields in a few words: `object.area` and `object.id` as `object: area, id`, those of no owner last."""
    halves = [field.partition(".") for field in fields]
    parts = sorted((owner if name else "~also", name or owner) for owner, _, name in halves)
    groups = groupby(parts, key=lambda part: part[0].lstrip("~"))
    return "; ".join(f"{owner}: {', '.join(name for _, name in names)}" for owner, names in groups) or "nothing"


def with_table(text: str) -> str:
    """The text with the table of formats as it should be."""
    return TABLE.sub(lambda match: f"{match[1]}\n{formats_table()}\n{match[2]}", text)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Each block of the README as it should be."""
    text = README.read_text(encoding="utf-8")
    bodies = list(play(fenced(text), clone(tmp_path_factory.mktemp("readme"))))
    if os.environ.get("BBOXCONV_GOLDEN") == "write":
        README.write_text(with_table(rewritten(text, bodies)), encoding="utf-8")
    return bodies


@pytest.fixture(scope="module")
def text(played: list[str]) -> str:
    """The README."""
    return README.read_text(encoding="utf-8")


def numbers(language: str) -> list[object]:
    """The numbers of the README's blocks in a language, each with its first line as its name."""
    return [pytest.param(number, id=line) for number, line in named(README, language)]


@pytest.mark.parametrize("number", numbers("console"))
def test_session(number: int, text: str, played: list[str]) -> None:
    """A session of the README prints what the README says, to the letter."""
    assert timeless(played[number]) == timeless(fenced(text)[number].body)


@pytest.mark.parametrize("number", numbers("text"))
def test_python(number: int, text: str, played: list[str]) -> None:
    """The README's Python runs without an error and prints what the README says."""
    assert played[number] == fenced(text)[number].body


def test_formats_table(text: str) -> None:
    """The table of formats says what the formats themselves declare."""
    assert len(TABLE.findall(text)) == 1
    assert text == with_table(text)


def test_exit_codes(text: str) -> None:
    """The table of exit codes has every code, with the words of `bboxconv --help`."""
    table = lines_of(r"\| (\d+) \| (.+) \|", text)
    assert table == lines_of(r"  (\d+) +(.+)", bboxconv("--help").partition("Exit codes:")[2])
    assert [int(code) for code, _ in table] == [int(code) for code in ExitCode]


def test_set_up_is_what_ci_runs(text: str) -> None:
    """The two commands that set up and test are what .ci/run runs, tests behind all else but fuzzing; the first ends as
    the first session.
    """
    blocks = fenced(text)
    set_up, tests = (block.body.strip().split(" && ") for block in blocks if block.language == "sh")
    lines = CI.read_text(encoding="utf-8").splitlines()
    assert [line for step in [*set_up, *tests] if (line := IN_CI[step]) not in lines] == []
    steps = [line for line in lines if line.startswith('"$venv/bin/')]
    assert steps[-1] == IN_CI[tests[-1]]
    first = next(block for block in blocks if block.language == "console")
    assert set_up[-1] == f".venv/bin/{commands(first)[0]}"


def test_blocks_are_checked(text: str) -> None:
    """Every block is of a kind that a test looks at."""
    assert {block.language for block in fenced(text)} == {"console", "python", "sh", "text"}


def test_commands(text: str) -> None:
    """Every command has a place in the README."""
    listed = lines_of(r"  (\w+) {3,}\w.+", bboxconv("--help").partition("Commands:")[2].partition("\n\n")[0])
    assert len(listed) >= 6
    assert [name for name in listed if f"bboxconv {name}" not in text] == []


def test_flags(text: str) -> None:
    """Every flag that the README names exists."""
    pages = [bboxconv("--help"), *(bboxconv(command, "--help") for command in WITH_FLAGS)]
    known = set(re.findall(r"--[a-z-]+", "".join(pages)))
    spoken = set(re.findall(r"(?<=[ `])--[a-z-]+", text))
    assert len(spoken) > 20
    assert spoken <= known


def test_format_options(text: str) -> None:
    """Every option of a format that the README names exists, with that value."""
    spoken = re.findall(r"--(in|out) (\w+)=(\w+)", text)
    taken = {
        (side, option["name"], choice)
        for known in formats()
        for side, options in (("in", known["read_options"]), ("out", known["write_options"]))
        for option in options
        for choice in option["choices"]
    }
    assert spoken
    assert [choice for choice in spoken if choice not in taken] == []


def test_names_of_files(text: str) -> None:
    """Links lead to files and sections that exist, and the modules named exist."""
    links = re.findall(r"\]\(([^)]+)\)", text)
    sections = {"#" + re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in lines_of("## (.+)", text)}
    modules = re.findall(r"`([\w/]+\.py)`", text)
    assert len(links) > 3 and len(modules) > 5
    assert [link for link in links if link not in sections and not (ROOT / link).exists()] == []
    assert [name for name in modules if not (ROOT / "bboxconv" / name).exists()] == []
