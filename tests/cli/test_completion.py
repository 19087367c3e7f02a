"""Completion: what is offered for a line, and the scripts in their shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Shell

FORMATS = ["coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bboxconv ", ["convert", "inspect", "validate", "formats", "boxes", "explain", "verify", "schema", "report"]),
        ("bboxconv con", ["convert"]),
        ("bboxconv convert a.json b --to ", FORMATS),
        ("bboxconv convert -f ", FORMATS),
        ("bboxconv convert --to=c", ["--to=coco", "--to=csv"]),
        ("bboxconv formats y", ["yolo"]),
        ("bboxconv convert --on-inv", ["--on-invalid"]),
        ("bboxconv convert --on-invalid ", ["keep", "clip", "drop", "fail"]),
        ("bboxconv boxes --from ce", ["center"]),
        ("bboxconv convert --out dec --to yolo --out 'dec", ["decimals="]),
        ("bboxconv convert a b --to yolo --out crowd=", ["crowd=keep", "crowd=drop"]),
        ("bboxconv verify a.json b --to y", ["yolo"]),
        ("bboxconv verify a.json b --unan", ["--unannotated"]),
        ("bboxconv explain output-e", ["output-exists"]),
        ("bboxconv --completion ", ["bash", "zsh", "fish"]),
        ("bboxconv convert a", []),
        ("bboxconv convert --strict ", []),
    ],
)
def test_answers(line: str, offered: list[str], anywhere: Shell) -> None:
    """Commands, flags, formats, values and option keys are offered; for files nothing: the anywhere offers its own."""
    done = anywhere(line, _BBOXCONV_COMPLETE="zsh")
    assert [answer.partition("\t")[0] for answer in done.out.splitlines()] == offered
    assert (done.err, done.code) == ("", 0)


def test_flags_have_help(anywhere: Shell) -> None:
    """A flag is offered with its help."""
    assert anywhere("bboxconv convert --dry", _BBOXCONV_COMPLETE="fish").out == "--dry-run\tDo everything but write.\n"


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts(name: str, shell: Shell) -> None:
    """`--completion SHELL` prints a script that the shell accepts."""
    script = shell("--completion", name)
    assert (script.err, script.code) == ("", 0)
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    checked = subprocess.run([program, "-n"], input=script.out, text=True, capture_output=True, check=False)
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("bboxconv convert --to j", "jsonl"),
        ("bboxconv convert --to=j", "jsonl"),
        ("bboxconv convert --to yolo --out crowd=k", "keep"),
    ],
)
def test_in_bash(line: str, reply: str, shell: Shell, tmp_path: Path) -> None:
    """bash, which ends words at =, is given what stands after it."""
    tool = tmp_path / "bin" / "bboxconv"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bboxconv "$@"\n')
    tool.chmod(0o755)
    script = f"""eval "$(bboxconv --completion bash)"
COMP_LINE='{line}' COMP_POINT={len(line)} _bboxconv_completion bboxconv
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    env = shell.environment(PATH=f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(["bash", "--norc"], input=script, text=True, capture_output=True, env=env, check=False)
    assert done.stdout == f"{reply}\n"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_in_fish(shell: Shell, tmp_path: Path) -> None:
    """fish completes formats and values of option keys."""
    tool = tmp_path / "bin" / "bboxconv"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bboxconv "$@"\n')
    tool.chmod(0o755)
    asked = ("bboxconv convert --to yo", "bboxconv convert -q --overw")
    script = "; ".join(["bboxconv --completion fish | source", *(f"complete -C '{line}'" for line in asked)])
    env = shell.environment(PATH=f"{tool.parent}{os.pathsep}{os.environ['PATH']}", HOME=str(tmp_path))
    done = subprocess.run(["fish", "--private", "-c", script], text=True, capture_output=True, env=env, check=False)
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["yolo", "--overwrite"]
