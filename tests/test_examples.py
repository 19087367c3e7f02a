"""The examples run as they stand: the library in ten lines, the Makefile, the workflow's command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, so that nothing is built beside them."""
    shutil.copytree(
        EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("build", "__pycache__", "*.egg-info")
    )
    return tmp_path / "examples"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the `bboxconv` of this Python first on the path."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        words, cwd=folder, env={"PATH": path}, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_library_in_ten_lines_runs(examples: Path) -> None:
    """It prints the classes, the batches, a table, and how many boxes were converted."""
    done = run(examples, sys.executable, "library.py")
    assert done.returncode == 0, done.stderr
    assert "batch: 12 images" in done.stdout
    assert "converted: 12 boxes" in done.stdout
    assert done.stdout.rstrip().endswith("center: [[30. 50. 40. 60.]]")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_makefile_validates_converts_and_does_nothing_twice(examples: Path) -> None:
    """Each COCO file becomes a Parquet file; a second run has nothing to do."""
    first = run(examples, "make")
    assert first.returncode == 0, first.stderr
    assert len(list((examples / "build").rglob("*.parquet"))) == 2
    second = run(examples, "make")
    assert (second.returncode, "bboxconv" in second.stdout) == (0, False)


def test_the_gate_of_a_pull_request_refuses_faults(examples: Path) -> None:
    """`bboxconv validate --json`, as the workflow runs it, exits 1 and says why in one document."""
    text = (examples / "annotations.yml").read_text()
    assert "bboxconv validate --json" in text
    done = run(examples, "bboxconv", "validate", "--json", "broken/coco_three_faults.json")
    assert done.returncode == 1
    assert sum(f["count"] for f in json.loads(done.stdout)["findings"] if f["severity"] == "error") == 3
