"""The README is true: its sessions and its Python are run, its tables and names are compared with the program.

`BBOXCONV_GOLDEN=write pytest tests/test_readme.py` writes outputs and tables anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from bboxconv.errors import ExitCode

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"
DECIDING = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "GITHUB_ACTIONS", "CI", "PY_COLORS", "PYTHONPATH")
TABLE = re.compile(r"(<!-- formats:.*?-->\n).*?(<!-- /formats -->)", re.DOTALL)

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


@dataclass(frozen=True)
class Block:
    """A fenced block of the README: its language, its text, and where the text stands."""

    language: str
    body: str
    span: tuple[int, int]


def fenced(text: str) -> list[Block]:
    """All fenced blocks of a Markdown text, in order."""
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], match.span(2)) for match in found]


def commands(block: Block) -> list[str]:
    """What stands behind the prompts of a session."""
    return [line.removeprefix("$ ") for line in block.body.splitlines() if line.startswith("$ ")]


def timeless(text: str) -> str:
    """The text without what differs from run to run: seconds, and the size of Parquet files, which pyarrow's release decides."""
    text = re.sub(r"(-> parquet, .*), [\d.]+ [kMG]?B, ", r"\1, N B, ", text)
    return re.sub(r"\b\d+\.\d s\b", "N.N s", text)


def environment(folder: Path) -> dict[str, str]:
    """80 columns, no colour, and `bboxconv` and `python` are those that run this test."""
    programs = folder / "bin"
    if not programs.exists():
        programs.mkdir(parents=True)
        for name, words in (("bboxconv", "-m bboxconv"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
            program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if key not in DECIDING}
    return {**kept, "COLUMNS": "80", "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def session(lines: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """A session of one shell as a terminal shows it: each command behind a prompt, then both of its outputs."""
    script = "exec 2>&1 </dev/null\n" + "".join(f"{line}\ncode=$?; printf '\\0'; (exit $code)\n" for line in lines)
    done = subprocess.run(["bash", "-c", script], cwd=cwd, env=env, stdout=subprocess.PIPE, timeout=120, check=False)
    outputs = done.stdout.decode().split("\0")
    return "".join(f"$ {line}\n{output}" for line, output in zip(lines, outputs[:-1], strict=True))


def play(blocks: Sequence[Block], folder: Path) -> Iterator[str]:
    """What each block of a README should say, all run in order in one copy of the examples."""
    env, cwd = environment(folder), folder / "clone"
    shutil.copytree(ROOT / "examples", cwd / "examples")
    printed = ""
    for block in blocks:
        if block.language == "console":
            yield session(commands(block), cwd, env)
        elif block.language == "text":
            yield printed
        else:
            yield block.body
        if block.language == "python":
            run = [sys.executable, "-c", block.body]
            printed = subprocess.run(run, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=True).stdout


def bboxconv(*words: str) -> str:
    """What a command prints on stdout, at 80 columns."""
    env = {key: value for key, value in os.environ.items() if key not in DECIDING} | {"COLUMNS": "80"}
    run = [sys.executable, "-m", "bboxconv", *words]
    return subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=True).stdout


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
    """Fields in a few words: `object.area` and `object.id` as `object: area, id`, those of the data set last."""
    parts = sorted((owner if name else "~data set", name or owner) for owner, _, name in (f.partition(".") for f in fields))
    groups = groupby(parts, key=lambda part: part[0])
    return "; ".join(f"{owner.lstrip('~')}: {', '.join(name for _, name in names)}" for owner, names in groups) or "nothing"


def with_table(text: str) -> str:
    """The text with the table of formats as it should be."""
    return TABLE.sub(lambda match: match[1] + formats_table() + match[2], text)


def rewritten(text: str, played: Sequence[str]) -> str:
    """The text with what was played in its blocks and with the table of formats; what differs in time alone stays."""
    for block, body in reversed(list(zip(fenced(text), played, strict=True))):
        if timeless(block.body) != timeless(body):
            start, end = block.span
            text = text[:start] + body + text[end:]
    return with_table(text)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Each block of the README as it should be."""
    text = README.read_text(encoding="utf-8")
    bodies = list(play(fenced(text), tmp_path_factory.mktemp("readme")))
    if os.environ.get("BBOXCONV_GOLDEN") == "write":
        README.write_text(rewritten(text, bodies), encoding="utf-8")
    return bodies


@pytest.fixture(scope="module")
def text(played: list[str]) -> str:
    """The README."""
    return README.read_text(encoding="utf-8")


def named(language: str) -> list[object]:
    """The numbers of the blocks in a language, each with its first line as its name."""
    blocks = enumerate(fenced(README.read_text(encoding="utf-8")))
    return [pytest.param(number, id=block.body.split("\n")[0]) for number, block in blocks if block.language == language]


@pytest.mark.parametrize("number", named("console"))
def test_session(number: int, text: str, played: list[str]) -> None:
    """A session of the README prints what the README says, to the letter."""
    assert timeless(played[number]) == timeless(fenced(text)[number].body)


@pytest.mark.parametrize("number", named("text"))
def test_python(number: int, text: str, played: list[str]) -> None:
    """The README's Python runs without an error and prints what the README says."""
    assert played[number] == fenced(text)[number].body


def test_formats_table(text: str) -> None:
    """The table of formats says what the formats themselves declare."""
    assert len(TABLE.findall(text)) == 1
    assert text == with_table(text)


def test_exit_codes(text: str) -> None:
    """The table of exit codes has every code, with the words of `bboxconv --help`."""
    table = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)}
    helped = re.findall(r"^  (\d+) +(.+)$", bboxconv("--help").partition("Exit codes:")[2], re.MULTILINE)
    assert table == {int(code): meaning for code, meaning in helped}
    assert set(table) == set(ExitCode)


def test_set_up_is_what_ci_runs(text: str) -> None:
    """The commands that set up and test are those of .ci/run, which ends with the tests; the first session is set up so."""
    blocks = fenced(text)
    steps = [step for block in blocks if block.language == "sh" for line in block.body.splitlines() for step in line.split(" && ")]
    lines = CI.read_text(encoding="utf-8").splitlines()
    assert set(steps) == set(IN_CI)
    assert [line for line in IN_CI.values() if line not in lines] == []
    assert lines[-1] == IN_CI[steps[-1]]
    first = next(block for block in blocks if block.language == "console")
    assert f".venv/bin/{commands(first)[0]}" in steps


def test_blocks_are_checked(text: str) -> None:
    """Every block is of a kind that a test looks at."""
    assert {block.language for block in fenced(text)} == {"console", "python", "sh", "text"}


def test_commands(text: str) -> None:
    """Every command has a place in the README."""
    listed = re.findall(r"^  (\w+) {3,}", bboxconv("--help").partition("Commands:")[2].partition("\n\n")[0], re.MULTILINE)
    assert len(listed) >= 6
    assert [name for name in listed if f"bboxconv {name}" not in text] == []


def test_flags(text: str) -> None:
    """Every flag that the README names exists."""
    known = "".join(bboxconv(*words) for words in (("--help",), ("convert", "--help"), ("boxes", "--help"), ("formats", "--help")))
    spoken = re.findall(r"(?<=[ `])--[a-z-]+", text)
    assert spoken
    assert [flag for flag in spoken if not re.search(rf"{flag}\b", known)] == []


def test_format_options(text: str) -> None:
    """Every option of a format that the README names exists, with that value."""
    spoken = re.findall(r"--(in|out) (\w+)=(\w+)", text)
    sides = {"in": "read_options", "out": "write_options"}
    taken = {
        (side, option["name"], choice)
        for side, key in sides.items()
        for known in formats()
        for option in known[key]
        for choice in option["choices"]
    }
    assert spoken
    assert [choice for choice in spoken if choice not in taken] == []


def test_names_of_files(text: str) -> None:
    """Links lead to files and sections that exist, and so do the modules named."""
    links = re.findall(r"\]\(([^)]+)\)", text)
    titles = {re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert [link for link in links if not link.startswith("#") and not (ROOT / link).exists()] == []
    assert [link for link in links if link.startswith("#") and link[1:] not in titles] == []
    modules = re.findall(r"`([\w/]+\.py)`", text)
    assert [name for name in modules if not (ROOT / "bboxconv" / name).exists()] == []
