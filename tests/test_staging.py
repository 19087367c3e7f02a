"""Output that appears whole or not at all: staging, moving into a folder, what is told of a run that did not end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bboxconv import placing, staging
from bboxconv.errors import BboxconvError, OutputError, UsageError


def write(dst: Path, files: dict[str, str], overwrite: bool = False) -> None:
    with staging.staged(dst, "folder", overwrite=overwrite) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    found.pop(placing.MANIFEST, None)
    return found


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """Until the block ends the destination does not exist; afterwards nothing else does."""
    dst = tmp_path / "sub" / "a.json"
    with staging.staged(dst, "file", overwrite=False) as stage:
        stage.write_text("x")
        assert not dst.exists()
    assert dst.read_text() == "x"
    assert [p.name for p in dst.parent.iterdir()] == ["a.json"]


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception in the block removes the stage and keeps the old output."""
    dst = tmp_path / "a.json"
    dst.write_text("old")
    with pytest.raises(ZeroDivisionError), staging.staged(dst, "file", overwrite=True) as stage:
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
    with pytest.raises(UsageError) as caught, staging.staged(dst, layout, overwrite=False):  # type: ignore[arg-type]
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
    (dst / placing.MANIFEST).write_text('{"bboxconv": 1, "files": ["../precious", "a"]}')
    write(dst, {"b": "2"}, overwrite=True)
    assert (tmp_path / "precious").read_text() == "keep"
    assert tree(dst) == {"b": "2"}


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    """Writing below a file is refused with the exit code of failed writing."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises((OutputError, BboxconvError)) as caught,
        staging.staged(tmp_path / "file" / "a.json", "file", overwrite=False),
    ):
        pass
    assert caught.value.exit_code == 74
