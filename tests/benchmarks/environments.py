"""Virtual environments for other people's tools, one each, so that none decides the versions that another runs with.

The benchmarks take their peers from them, and the tests those clients that cannot be installed beside the others.
"""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path


def program(folder: Path, package: str, name: str = "python") -> Path:
    """A program of the environment of a package, its Python unless another is named."""
    return folder / package / "bin" / name


def install(folder: Path, package: str, *options: str) -> str:
    """Make the environment of a package, FOLDER/<package>, unless it is there; the version of the package in it, or
    in brackets why it is not. Wheels alone: nothing is built. `options` are more ones of pip.
    """
    python = program(folder, package)
    if not python.exists():
        venv.create(folder / package, with_pip=True)
    if version := _version(python, package):
        return version
    usual = ("--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--retries", "2")
    words = [python, "-m", "pip", "install", *usual, *options, package]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return _version(python, package) or f"({lines[-1][:120] if lines else 'not installed'})"


def _version(python: Path, package: str) -> str:
    words = [python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
