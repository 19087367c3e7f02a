"""What fuzzing starts from and what it found, through the same targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from .targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_promises_hold_for_what_fuzzing_knows(path: Path) -> None:
    """Every seed and every finding keeps the promises of its target."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_seeds() -> None:
    """A fuzzer without a seed learns slowly what a document is."""
    assert {path.parent.name for path in FILES} == set(TARGETS)
