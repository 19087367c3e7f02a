"""Files: what is compressed, and names that lead nowhere else."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bboxconv import errors, io


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "C:\\x",
        "C:x",
        "a\\b",
        "",
        "a\0b",
        "x" * 251,
        "a/" + "ä" * 126,
        "a/",
        "./",
        "a/.",
        "con.jpg",
        "a/NUL/b",
        "lpt1",
        "a/" * 1001 + "b",
    ],
)
def test_names_that_lead_elsewhere_are_unsafe(name: str) -> None:
    """A name that is absolute, leads out, or cannot be a file name is told from one that can."""
    assert io.unsafe_name(name) is not None


@pytest.mark.parametrize("name", ["a.jpg", "sub folder/a b..jpg", "..a", "ä/漢.png", "ab:c", "./a", "console/com.jpg"])
def test_odd_names_are_safe(name: str) -> None:
    """Spaces, dots and letters of any script are fine."""
    assert io.unsafe_name(name) is None


def test_control_characters_are_shown_escaped() -> None:
    """What a terminal would obey is shown as text."""
    assert errors.printable("a\x1b[31mb\n\x07é漢\ud800") == "a\\x1b[31mb\\n\\x07é漢\\ud800"


@given(st.text(st.sampled_from("aZ0_ .-/\\:\0é\n"), max_size=8), st.sampled_from([0, 99, 100, 249, 251]))
def test_usual_names_are_safe_by_the_rules_for_all_names(name: str, more: int) -> None:
    """A name that is taken for safe by its characters alone is safe by every rule for names."""
    longer = name + "a" * more
    usual, io.USUAL_NAME = io.USUAL_NAME, re.compile("(?!)")
    try:
        said = io.unsafe_name(longer)
    finally:
        io.USUAL_NAME = usual
    assert io.unsafe_name(longer) == said


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


def test_the_files_of_a_suffix_are_found_however_it_is_written(tmp_path: Path) -> None:
    """Files come in code-point order, in large letters or small; folders and the names of other files do not."""
    for name in ("b.xml", "B.XML", "a.Xml", "a.xml", "xml", "a.xml.gz", "a.axml", ".xml"):
        (tmp_path / name).write_text("")
    (tmp_path / "c.xml").mkdir()
    assert [*io.listing(tmp_path).ending(".xml")] == [".xml", "B.XML", "a.Xml", "a.xml", "b.xml"]
    assert io.listing(tmp_path).folders == ("c.xml",)


def test_the_files_whose_names_start_alike_are_found(tmp_path: Path) -> None:
    """All of them and no other, in code-point order, the one that ends where the start does among them."""
    for name in ("a.", "a.b", "a", "a0", "b", "a.\U0010ffff", "A.b"):
        (tmp_path / name).write_text("")
    assert io.listing(tmp_path).starting("a.") == ("a.", "a.b", "a.\U0010ffff")
    assert io.listing(tmp_path).starting("c") == ()


def test_what_is_neither_file_nor_folder_is_told_apart(tmp_path: Path) -> None:
    """A link to nothing is another thing; a link to a file is one."""
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "c.txt").symlink_to(tmp_path / "nothing")
    found = io.listing(tmp_path)
    assert (found.files[:], found.others) == (("a.txt", "b.txt"), ("c.txt",))
