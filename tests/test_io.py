"""Files and folders: output that appears whole or not at all, and names that lead nowhere else."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bboxconv import errors, io
from bboxconv.errors import BboxconvError, OutputError, UsageError


def write(dst: Path, files: dict[str, str], overwrite: bool = False) -> None:
    with io.staged(dst, "folder", overwrite=overwrite) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    found.pop(io.MANIFEST, None)
    return found


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """Until the block ends the destination does not exist; afterwards nothing else does."""
    dst = tmp_path / "sub" / "a.json"
    with io.staged(dst, "file", overwrite=False) as stage:
        stage.write_text("x")
        assert not dst.exists()
    assert dst.read_text() == "x"
    assert [p.name for p in dst.parent.iterdir()] == ["a.json"]


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception in the block removes the stage and keeps the old output."""
    dst = tmp_path / "a.json"
    dst.write_text("old")
    with pytest.raises(ZeroDivisionError), io.staged(dst, "file", overwrite=True) as stage:
        stage.write_text("half")
        raise ZeroDivisionError
    assert dst.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_what_exists_is_refused(tmp_path: Path, layout: str) -> None:
    """Without overwrite neither a file nor a folder with something in it is touched."""
    dst = tmp_path / "out"
    if layout == "file":
        dst.write_text("old")
    else:
        write(dst, {"a": "old"})
    with pytest.raises(UsageError) as caught, io.staged(dst, layout, overwrite=False):  # type: ignore[arg-type]
        raise AssertionError("the block must not run")
    assert caught.value.diagnostics[0].code == "output-exists"


def test_an_empty_folder_does_not_exist(tmp_path: Path) -> None:
    """A folder with nothing in it may be written to."""
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", {"a": "1"})
    assert tree(tmp_path / "out") == {"a": "1"}


def test_overwriting_replaces_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    """Files of the last run go or are replaced; an image and a note stay as they are."""
    dst = tmp_path / "out"
    write(dst, {"labels/train/a.txt": "1", "labels/train/b.txt": "2", "data.yaml": "y"})
    (dst / "images").mkdir()
    (dst / "images" / "a.jpg").write_text("jpg")
    (dst / "labels" / "train" / "note.md").write_text("mine")
    write(dst, {"labels/val/c.txt": "3", "data.yaml": "z"}, overwrite=True)
    assert tree(dst) == {
        "labels/val/c.txt": "3",
        "data.yaml": "z",
        "images/a.jpg": "jpg",
        "labels/train/note.md": "mine",
    }


def test_a_file_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    """A file in the way that no manifest names is an error that names it, and nothing changes."""
    dst = tmp_path / "out"
    dst.mkdir()
    (dst / "data.yaml").write_text("mine")
    with pytest.raises(UsageError) as caught:
        write(dst, {"data.yaml": "ours", "labels/a.txt": "1"}, overwrite=True)
    assert caught.value.diagnostics[0].code == "foreign-file"
    assert str(dst / "data.yaml") in caught.value.diagnostics[0].where[0]
    assert tree(dst) == {"data.yaml": "mine"}


def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    """A manifest that a stranger wrote makes no file outside of the folder go."""
    dst = tmp_path / "out"
    write(dst, {"a": "1"})
    (tmp_path / "precious").write_text("keep")
    (dst / io.MANIFEST).write_text('{"bboxconv": 1, "files": ["../precious", "a"]}')
    write(dst, {"b": "2"}, overwrite=True)
    assert (tmp_path / "precious").read_text() == "keep"
    assert tree(dst) == {"b": "2"}


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    """Writing below a file is refused with the exit code of failed writing."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises((OutputError, BboxconvError)) as caught,
        io.staged(tmp_path / "file" / "a.json", "file", overwrite=False),
    ):
        pass
    assert caught.value.exit_code == 74


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
    usual, io._USUAL_NAME = io._USUAL_NAME, re.compile("(?!)")
    try:
        said = io.unsafe_name(longer)
    finally:
        io._USUAL_NAME = usual
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
    assert io.listing(tmp_path).ending(".xml") == [".xml", "B.XML", "a.Xml", "a.xml", "b.xml"]
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
    assert (found.files, found.others) == (("a.txt", "b.txt"), ("c.txt",))
