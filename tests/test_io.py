"""Files: what is compressed, and names that lead nowhere else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bboxconv import errors, io


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "C:\\x", "C:x", "a\\b", "", "a\0b", "x" * 251, "a/" + "ä" * 126],
)
def test_names_that_lead_elsewhere_are_unsafe(name: str) -> None:
    """A name that is absolute, leads out, or cannot be a file name is told from one that can."""
    assert io.unsafe_name(name) is not None


@pytest.mark.parametrize("name", ["a.jpg", "sub folder/a b..jpg", "..a", "ä/漢.png", "ab:c"])
def test_odd_names_are_safe(name: str) -> None:
    """Spaces, dots and letters of any script are fine."""
    assert io.unsafe_name(name) is None


def test_control_characters_are_shown_escaped() -> None:
    """What a terminal would obey is shown as text."""
    assert errors.printable("a\x1b[31mb\n\x07é漢\ud800") == "a\\x1b[31mb\\n\\x07é漢\\ud800"


def test_compressed_files_are_known_by_content(tmp_path: Path) -> None:
    """A gzip file without its extension reads; what is written to .gz has no time in it."""
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"hello"))
    assert io.head(path) == b"hello"
    for name in ("b.json.gz", "c.json.gz"):
        with io.open_output(tmp_path / name) as file:
            file.write(b"hello")
    assert (tmp_path / "b.json.gz").read_bytes() == (tmp_path / "c.json.gz").read_bytes()
    assert gzip.decompress((tmp_path / "b.json.gz").read_bytes()) == b"hello"
    assert io.base_suffix(tmp_path / "b.JSON.gz") == ".json"
