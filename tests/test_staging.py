"""Output that appears whole or not at all: staging, moving into a folder, what is told of a run that did not end."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bboxconv
from bboxconv import lock, placing, staging
from bboxconv.errors import BboxconvError, Findings, OutputError, UsageError
from bboxconv.io import MANIFEST
from bboxconv.placing import names_below

SAMPLE = Path(__file__).parent.parent / "examples" / "sample" / "coco" / "instances_train.json"


def write(dst: Path, files: dict[str, str], overwrite: bool = False) -> None:
    with staging.staged(dst, "folder", overwrite=overwrite) as stage:
        for name, text in files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    found.pop(MANIFEST, None)
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
    (dst / MANIFEST).write_text('{"bboxconv": 1, "files": ["../precious", "a"]}')
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


class KilledError(BaseException):
    """Stands for SIGKILL: nothing is cleared up after it."""


def killed_while_moving(dst: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """Leave what a run leaves that is killed after it has moved so many files."""
    real, seen = os.replace, []

    def replace(source: str, target: str) -> None:
        if str(target).startswith(f"{dst}/"):
            if len(seen) == moves:
                raise KilledError
            seen.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(placing.os, "replace", replace)
        with pytest.raises(KilledError):
            write(dst, files, overwrite=True)


def recovered(dst: Path) -> list[str]:
    """What the next run tells that may not overwrite."""
    with pytest.raises(UsageError) as caught:
        write(dst, {"x": "x"})
    return [d.code for d in caught.value.diagnostics]


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_the_next_run_moves_the_rest(moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after any file: the next run completes it, says so, and removes what was left."""
    dst = tmp_path / "out"
    write(dst, {"a": "1", "sub/old": "1", "b": "1"})
    (dst / "note").write_text("mine")
    killed_while_moving(dst, {"a": "2", "b": "2", "c/d": "2"}, monkeypatch, moves)
    assert tree(dst)["note"] == "mine"
    assert (tmp_path / ".out.bboxconv-stage").is_dir()
    assert recovered(dst) == ["output-completed", "output-exists"]
    assert tree(dst) == {"a": "2", "b": "2", "c/d": "2", "note": "mine"}
    assert not (dst / "sub").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    write(dst, {"e": "3"}, overwrite=True)  # the manifest is that of what was completed
    assert tree(dst) == {"e": "3", "note": "mine"}


def test_what_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody puts in the way after the moving began is neither replaced nor taken for ours."""
    dst = tmp_path / "out"
    write(dst, {"a": "1"})
    killed_while_moving(dst, {"a": "2", "b": "2"}, monkeypatch, 1)
    (dst / "b").write_text("mine")
    assert recovered(dst) == ["foreign-file", "output-completed", "output-exists"]
    assert tree(dst) == {"a": "2", "b": "mine"}
    with pytest.raises(UsageError) as caught:
        write(dst, {"b": "3"}, overwrite=True)
    assert caught.value.diagnostics[0].code == "foreign-file"


def test_what_was_taken_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that waited to be moved and are gone are named, and the manifest does not name them."""
    dst = tmp_path / "out"
    write(dst, {"a": "1"})
    killed_while_moving(dst, {"a": "2", "b": "2"}, monkeypatch, 1)
    for path in (tmp_path / ".out.bboxconv-stage").glob("run-*/"):
        shutil.rmtree(path)
    assert recovered(dst) == ["output-incomplete", "output-completed", "output-exists"]
    assert '"b"' not in (dst / MANIFEST).read_text()


def test_a_folder_that_is_gone_is_not_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder was deleted after the kill, what waited goes too, and the next run writes a new one."""
    dst = tmp_path / "out"
    write(dst, {"a": "1"})
    killed_while_moving(dst, {"a": "2", "b": "2"}, monkeypatch, 1)
    shutil.rmtree(dst)
    findings = Findings()
    with staging.claimed(dst, "folder", overwrite=False, findings=findings) as claim, claim.filled() as stage:
        (stage / "c").write_text("3")
    assert [d.code for d in findings] == ["staging-cleared"]
    assert tree(dst) == {"c": "3"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_refused_move_can_be_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills while files move: an error that says what to do; the next run goes on."""
    dst = tmp_path / "out"
    write(dst, {"a": "1", "b": "1"})
    real = os.replace

    def replace(source: str, target: str) -> None:
        if str(target).endswith("/b"):
            raise OSError(errno.ENOSPC, "No space left on device", source, None, target)
        real(source, target)

    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(placing.os, "replace", replace)
        write(dst, {"a": "2", "b": "2"}, overwrite=True)
    (told,) = caught.value.diagnostics
    assert (told.code, told.hint) == (
        "output-unfinished",
        f"the next run on this folder moves the rest, which waits in {tmp_path}/.out.bboxconv-stage",
    )
    assert tree(dst) == {"a": "2", "b": "1"}
    assert recovered(dst) == ["output-completed", "output-exists"]
    assert tree(dst) == {"a": "2", "b": "2"}


def test_ctrl_c_waits_for_the_moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between two files, a run moves the rest before it ends."""
    dst = tmp_path / "out"
    write(dst, {"a": "1", "b": "1"})
    real, once = os.replace, [KeyboardInterrupt]

    def replace(source: str, target: str) -> None:
        real(source, target)
        if str(target).endswith("/a") and once:
            raise once.pop()

    monkeypatch.setattr(placing.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write(dst, {"a": "2", "b": "2"}, overwrite=True)
    assert tree(dst) == {"a": "2", "b": "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("layout", ["file", "folder"])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("spelling", ["out", "./out", "sub/../out", "link"])
def test_a_second_run_is_refused(
    layout: staging.Layout, overwrite: bool, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run writes, another onto the same output is refused at once, however it is spelled; then it may."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("out")
    monkeypatch.chdir(tmp_path)
    with staging.claimed(tmp_path / "out", layout, overwrite=False):
        with pytest.raises(OutputError) as caught, staging.claimed(Path(spelling), layout, overwrite=overwrite):
            raise AssertionError("the block must not run")
        (told,) = caught.value.diagnostics
        assert (told.code, caught.value.exit_code) == ("output-busy", 74)
        assert told.where == (f"{Path(spelling)}: process {os.getpid()}",)
    with staging.claimed(Path(spelling), layout, overwrite=overwrite):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "sub"]


def test_a_second_run_reads_nothing(tmp_path: Path) -> None:
    """The command line refuses a busy output before it looks at the sources."""
    with staging.claimed(tmp_path / "out.jsonl", "file", overwrite=False):
        words = [sys.executable, "-m", "bboxconv", "convert", "absent.json", "out.jsonl"]
        run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 74
    assert run.stderr == (
        "error[output-busy]: another run is writing this output\n"
        f"  out.jsonl: process {os.getpid()}\n"
        "  hint: wait for it to end, or write to another place\n"
    )


def test_where_there_are_no_locks_the_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks a process that is there is told from one that is gone, or whose number is
    another's by now."""

    def flock(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    dst = tmp_path / "out"
    with staging.claimed(dst, "file", overwrite=False) as claim:
        with pytest.raises(OutputError) as caught, staging.claimed(dst, "file", overwrite=False):
            pass
        assert caught.value.diagnostics[0].code == "output-busy"
        number, _, machine = (claim.lock.folder / "lock").read_text().split()
        (claim.lock.folder / "lock").write_text(f"{number} 1 {machine}")
        with staging.claimed(dst, "file", overwrite=False):
            pass


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_a_stage_that_is_removed_is_told(layout: staging.Layout, tmp_path: Path) -> None:
    """Somebody clears up while a run writes: an error that says so, and the old output."""
    dst = tmp_path / "out"
    with pytest.raises(OutputError) as caught, staging.staged(dst, layout, overwrite=False) as stage:
        shutil.rmtree(tmp_path / ".out.bboxconv-stage")
        (stage / "a" if layout == "folder" else stage).write_text("x")
    assert caught.value.diagnostics[0].code == "staging-removed"
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_is_another_runs_by_now_is_left_alone(tmp_path: Path) -> None:
    """Removed under a run and made again by the next one: the first fails, the second has its output."""
    dst = tmp_path / "out"
    with pytest.raises(OutputError) as caught, staging.staged(dst, "file", overwrite=False) as first:
        first.write_text("1")
        shutil.rmtree(tmp_path / ".out.bboxconv-stage")
        second = staging.staged(dst, "file", overwrite=False)
        second.__enter__().write_text("2")
    assert caught.value.diagnostics[0].code == "staging-removed"
    second.__exit__(None, None, None)
    assert dst.read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "lock", "run-1.journal", ".bboxconv-stage"])
@pytest.mark.parametrize("layout", ["file", "folder"])
def test_any_name_can_be_staged(name: str, layout: staging.Layout, tmp_path: Path) -> None:
    """Names as long as names can be, and those that staging uses itself."""
    for overwrite in (False, True):
        with staging.staged(tmp_path / name, layout, overwrite=overwrite) as stage:
            (stage / "journal" if layout == "folder" else stage).write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """What a link names is replaced, the link stays; staging stands beside what it names."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.json").write_text("old")
    (tmp_path / "a.json").symlink_to("far/a.json")
    with staging.staged(tmp_path / "a.json", "file", overwrite=True) as stage:
        assert stage.parts[: len(tmp_path.parts) + 1] == (tmp_path / "far").parts
        stage.write_text("new")
    assert (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "far" / "a.json").read_text() == "new"


def test_the_folder_that_one_stands_in_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written to `.`, an empty folder is filled and not exchanged for another: a shell stands in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = folder.stat().st_ino
    write(Path(), {"a": "1"})
    assert (folder.stat().st_ino, tree(folder)) == (before, {"a": "1"})
    write(Path(), {"b": "1"}, overwrite=True)
    assert tree(Path()) == {"b": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_an_empty_folder_keeps_its_permissions(tmp_path: Path) -> None:
    """A folder that was made for the output is replaced by one that the same people may enter."""
    (tmp_path / "out").mkdir(mode=0o750)
    write(tmp_path / "out", {"a": "1"})
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_a_link_to_a_folder_is_in_the_way(tmp_path: Path) -> None:
    """Nothing is written, nor removed, through a link inside of the output."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "old").write_text("mine")
    dst = tmp_path / "out"
    write(dst, {"labels/old": "1"})
    shutil.rmtree(dst / "labels")
    (dst / "labels").symlink_to("../far")
    with pytest.raises(UsageError) as caught:
        write(dst, {"labels/a": "1"}, overwrite=True)
    assert caught.value.diagnostics[0].where == (str(dst / "labels"),)
    write(dst, {"b": "1"}, overwrite=True)
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["old"]


@pytest.mark.parametrize(("old", "new"), [("a", "a/b/c"), ("a/b/c", "a")])
def test_a_file_of_ours_gives_way_to_a_folder(old: str, new: str, tmp_path: Path) -> None:
    """And a folder of our files alone to a file; with a file of somebody else in it, it stays."""
    dst = tmp_path / "out"
    write(dst, {old: "1", "z": "1"})
    write(dst, {new: "2"}, overwrite=True)
    assert tree(dst) == {new: "2"}
    if new == "a/b/c":
        (dst / "a" / "note").write_text("mine")
        with pytest.raises(UsageError):
            write(dst, {"a": "3"}, overwrite=True)
        assert tree(dst) == {new: "2", "a/note": "mine"}


def test_a_file_that_appears_is_not_replaced(tmp_path: Path) -> None:
    """Without overwrite, what somebody else wrote during the run stays."""
    dst = tmp_path / "a.json"
    with pytest.raises(UsageError), staging.staged(dst, "file", overwrite=False) as stage:
        stage.write_text("ours")
        dst.write_text("mine")
    assert dst.read_text() == "mine"


def test_a_stage_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A link, or a file, where the staging folder would be: refused, and not followed."""
    (tmp_path / "far").mkdir()
    (tmp_path / ".out.bboxconv-stage").symlink_to("far")
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "out", {"a": "1"})
    assert caught.value.diagnostics[0].code == "staging-foreign"
    assert list((tmp_path / "far").iterdir()) == []


def test_a_name_that_is_no_text_can_be_replaced(tmp_path: Path) -> None:
    """A file name of bytes that are no UTF-8 goes into the manifest and comes back."""
    name = os.fsdecode(b"a\xff")
    write(tmp_path / "out", {name: "1"})
    write(tmp_path / "out", {"b": "2"}, overwrite=True)
    assert tree(tmp_path / "out") == {"b": "2"}


def test_a_dry_run_leaves_a_killed_run_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes nothing, so it completes nothing."""
    dst = tmp_path / "out"
    write(dst, {"a": "1"})
    killed_while_moving(dst, {"a": "2", "b": "2"}, monkeypatch, 1)
    bboxconv.convert(SAMPLE, dst, to="yolo", overwrite=True, dry_run=True)
    assert (tmp_path / ".out.bboxconv-stage").is_dir()
    assert tree(dst) == {"a": "2"}


def test_the_names_of_a_folder_are_in_the_order_of_their_characters(tmp_path: Path) -> None:
    """The names for a manifest are those that were there when it was begun, ordered by code point, folders included."""
    there = ["b.txt", "a/z.txt", "a.txt", "é.txt", "😀.txt", "\uffee.txt", os.fsdecode(b"\xff.txt")]
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = names_below(tmp_path)
    (tmp_path / "later.txt").write_text("")
    assert list(names) == sorted(there)
