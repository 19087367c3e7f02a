"""Pages of Markdown whose sessions and whose Python are run: the README and the cookbook.

A `console` block is a session: commands behind `$ `, and what they print. A `python` block is run, and the `text` block
behind it is what it prints. Other blocks are shown and not run. All blocks of a page run in order in one copy of the
examples.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DECIDING = (
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "GITHUB_ACTIONS",
    "CI",
    "PY_COLORS",
    "PYTHONUNBUFFERED",
)
"""What in the environment decides how things are printed."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and where the text stands."""

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
    """The text without what differs from run to run: seconds, and a Parquet file's size, which depends on pyarrow,
    and a page's, which depends on its style."""
    text = re.sub(r"(-> (?:parquet|hf), .*), [\d.]+ [kMG]?B, ", r"\1, N B, ", text)
    text = re.sub(r"(\.html, )[\d.]+ [kMG]?B, ", r"\1N B, ", text)
    return re.sub(r"\b\d+\.\d s\b", "N.N s", text)


def bare() -> dict[str, str]:
    """80 columns, no colour."""
    return {key: value for key, value in os.environ.items() if key not in DECIDING} | {"COLUMNS": "80"}


def with_program(folder: Path) -> dict[str, str]:
    """The same, with a command `bboxconv` that is the one under test."""
    program = folder / "bin" / "bboxconv"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bboxconv "$@"\n')
    program.chmod(0o755)
    return bare() | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def session(lines: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """A session of one shell as a terminal shows it: each command behind a prompt, then both of its outputs."""
    script = "exec 2>&1 </dev/null\n" + "".join(f"{line}\ncode=$?; printf '\\0'; (exit $code)\n" for line in lines)
    done = subprocess.run(["bash", "-c", script], cwd=cwd, env=env, stdout=subprocess.PIPE, timeout=120, check=False)
    outputs = done.stdout.decode().split("\0")
    return "".join(f"$ {line}\n{output}" for line, output in zip(lines, outputs[:-1], strict=True))


def clone(folder: Path) -> Path:
    """A folder with a copy of the examples, as a clone of the repository has them."""
    shutil.copytree(
        ROOT / "examples", folder / "clone" / "examples", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    return folder / "clone"


def play(blocks: Sequence[Block], cwd: Path) -> Iterator[str]:
    """What each block of a page should say, all run in order in a folder."""
    env, printed = with_program(cwd.parent), ""
    for block in blocks:
        if block.language == "console":
            yield session(commands(block), cwd, env)
        elif block.language == "text":
            yield printed
        else:
            yield block.body
        if block.language == "python":
            printed = python("-c", block.body, cwd=cwd)


def python(*words: str, cwd: Path = ROOT) -> str:
    """What Python prints on stdout; it must not fail."""
    run = [sys.executable, *words]
    return subprocess.run(run, cwd=cwd, env=bare(), stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout


def rewritten(text: str, played: Sequence[str]) -> str:
    """The text with what was played in its blocks; what differs in time alone stays."""
    for block, body in reversed(list(zip(fenced(text), played, strict=True))):
        if timeless(block.body) != timeless(body):
            start, end = block.span
            text = text[:start] + body + text[end:]
    return text


def named(page: Path, language: str) -> list[tuple[int, str]]:
    """The numbers of the blocks of a page in a language, each with its first line."""
    blocks = enumerate(fenced(page.read_text(encoding="utf-8")))
    return [(n, block.body.split("\n")[0]) for n, block in blocks if block.language == language]
