"""The help texts, whole, and what the command line costs before it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SURROUNDINGS, Shell

GOLDEN = Path(__file__).with_name("golden")
COMMANDS = (
    "",
    "convert",
    "inspect",
    "validate",
    "formats",
    "boxes",
    "explain",
    "verify",
    "stats",
    "diff",
    "draw",
    "report",
    "merge",
    "split",
    "sample",
    "filter",
)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, surroundings: str, tmp_path: Path) -> None:
    """`--help` is the golden text in all surroundings, on stdout, exit 0; BBOXCONV_GOLDEN=write writes them anew."""
    done = Shell(tmp_path, SURROUNDINGS[surroundings])(*command.split(), "--help")
    file = GOLDEN / f"help-{command or 'bboxconv'}{'-40' if surroundings == 'narrow' else ''}.txt"
    if os.environ.get("BBOXCONV_GOLDEN") == "write":
        file.write_text(done.out)
    assert (done.out, done.err, done.code) == (file.read_text(), "", 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_short_help(command: str, shell: Shell) -> None:
    """`-h` is `--help`, for every command."""
    assert shell(*command.split(), "-h").out == (GOLDEN / f"help-{command or 'bboxconv'}.txt").read_text()


def test_help_keeps_to_its_columns() -> None:
    """No line of help is wider than 80 columns, and in the narrow texts only words that cannot be broken pass 40."""
    for file in GOLDEN.glob("help-*.txt"):
        for line in file.read_text().splitlines():
            assert len(line) <= 80, (file.name, line)


def test_help_on_a_terminal_has_no_escapes(shell: Shell) -> None:
    """Help is plain text on a terminal too."""
    assert "\x1b" not in shell.terminal("convert", "--help").out


def test_bare_command_is_help(shell: Shell) -> None:
    """`bboxconv` alone shows help on stderr and exits 2."""
    done = shell()
    assert (done.out, done.err, done.code) == ("", (GOLDEN / "help-bboxconv.txt").read_text(), 2)


def test_exit_codes_are_in_help() -> None:
    """Every exit code stands in the help of `bboxconv`."""
    from bboxconv.errors import ExitCode

    section = (GOLDEN / "help-bboxconv.txt").read_text().partition("Exit codes:\n")[2]
    assert [int(line.split()[0]) for line in section.splitlines()] == [int(code) for code in ExitCode]


LIGHT = [["--help"], ["convert", "--help"], ["--version"], ["--completion", "bash"]]


@pytest.mark.parametrize("words", [*LIGHT, ["bboxconv convert --to "]])
def test_light_start(words: list[str], anywhere: Shell) -> None:
    """Help, version and completion load no pyarrow, pandas, numpy or rich, and no format."""
    code = (
        "import sys, json\nfrom bboxconv.__main__ import run\n"
        f"sys.argv[1:] = {words!r}\nrun({words!r})\n"
        "names = list(sys.modules)\n"
        "print(json.dumps(sorted({m.split('.')[0] for m in names} | {m for m in names if 'formats.' in m})))"
    )
    env = anywhere.environment(_BBOXCONV_COMPLETE="zsh") if len(words[0].split()) > 1 else anywhere.environment()
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"pyarrow", "pandas", "numpy", "rich", "lxml", "yaml", "msgspec", "bboxconv.formats.coco"}


def test_version(anywhere: Shell) -> None:
    """`--version` is one line on stdout."""
    from importlib.metadata import version

    done = anywhere("--version")
    assert (done.out, done.err, done.code) == (f"bboxconv {version('bboxconv')}\n", "", 0)
