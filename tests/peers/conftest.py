"""What the tests with other people's tools share: JSON files as they stand, and where the tools are.

Most tools are in the extra `peers`. Those that ask for other versions of what the others need have environments of
their own, which are made for this run, or in BBOXCONV_CLIENTS, where the next run finds them. A test whose tool cannot
be had is skipped and says why; with BBOXCONV_REQUIRE_CLIENTS=1 it fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

APART = ("datumaro", "globox")
"""The clients with an environment of their own."""


@pytest.fixture(scope="session")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Python that has a client."""
    path = Path(__file__).parents[1] / "benchmarks" / "environments.py"
    spec = importlib.util.spec_from_file_location("environments", path)
    assert spec and spec.loader
    environments = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environments)

    @cache
    def folder() -> Path:
        kept = os.environ.get("BBOXCONV_CLIENTS")
        return Path(kept).absolute() if kept else tmp_path_factory.mktemp("clients")

    @cache
    def lacking(client: str) -> str:
        if client in APART:
            # to compile all of what it needs takes as long as the rest; what is imported is compiled then
            version: str = environments.install(folder(), client, "--no-compile")
            return version.strip("()") if version.startswith("(") else ""
        return "" if importlib.util.find_spec(client) else "not installed (extra: peers)"

    def python(client: str) -> Path:
        if reason := lacking(client):
            refuse = pytest.fail if os.environ.get("BBOXCONV_REQUIRE_CLIENTS") == "1" else pytest.skip
            refuse(f"{client}: {reason}")
        return Path(environments.program(folder(), client)) if client in APART else Path(sys.executable)

    return python


@pytest.fixture(scope="session")
def load() -> Callable[[Path], dict[str, Any]]:
    """A JSON file as the standard library reads it."""
    return lambda path: json.loads(path.read_text(encoding="utf-8"))
