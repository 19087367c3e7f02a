"""What an account may not leave out, and what a run may not touch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers import coco

import bboxconv
from bboxconv.errors import DataError, ExitCode, UsageError
from bboxconv.io import MANIFEST

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}


def source(path: Path, **rest: object) -> Path:
    """One image with a good box, seven that pass its edge, one beyond it and one without a width."""
    boxes = [[1, 1, 5, 5], *[[90, 90, 20, 20]] * 7, [200, 200, 5, 5], [1, 1, 0, 5]]
    rows = [{"id": n, "image_id": 1, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)]
    return coco(path, [IMAGE], rows, [{"id": 1, "name": "cat"}], **rest)


def test_invalid_boxes_are_set_aside_one_by_one(tmp_path: Path) -> None:
    """on_invalid=fail with on_error=skip writes none of the boxes that it lists, and lists every one of them."""
    report = bboxconv.convert(
        source(tmp_path / "a.json"),
        tmp_path / "o.jsonl",
        on_invalid="fail",
        on_error="skip",
        rejects=tmp_path / "rejects.jsonl",
    )
    assert report.exit_code == ExitCode.SET_ASIDE
    assert (report.read.boxes, report.boxes) == (10, 1)
    assert report.left_out_boxes == {"box-outside-image": 8, "box-without-area": 1}
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 9


def test_boxes_clipped_to_nothing_are_reported(tmp_path: Path) -> None:
    """A box wholly outside its image has no area after on_invalid=clip, and a finding of its own says so."""
    report = bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "o.jsonl", on_invalid="clip")
    clipped = [f.count for f in report.findings if "was clipped to no width" in f.message]
    assert clipped == [1]


def test_boxes_without_a_class_are_left_out_and_counted(tmp_path: Path) -> None:
    """What was read is what was written and what was left out, where boxes without a class are set aside."""
    given = tmp_path / "a.jsonl"
    given.write_text(
        '{"type":"dataset","class_names":{"0":"cat"},"bboxconv":1,"box":"xywh","categories":[{"name":"cat"}]}\n'
        '{"type":"image","file":"a.jpg","width":9,"height":9,'
        '"objects":[{"category":0,"bbox":[1,1,2,2]},{"bbox":[1,1,3,3]}]}\n'
    )
    report = bboxconv.convert(given, tmp_path / "voc", to="voc", on_error="skip")
    assert (report.read.boxes, report.boxes, report.left_out_boxes) == (2, 1, {"without a class": 1})
    report = bboxconv.convert(given, tmp_path / "voc2", to="voc", default_class="dog")
    assert (report.boxes, report.filled) == (2, {"object.category": 1})


def test_what_a_later_source_says_once_is_kept_or_counted(tmp_path: Path) -> None:
    """Top-level keys of a later source are kept where the first lacks them, and counted as lost where it says
    otherwise.
    """
    first = source(tmp_path / "a.json", info={"year": 1}, licenses=[{"id": 1}], scenes=[1])
    later = source(tmp_path / "b.json", info={"year": 2}, licenses=[{"id": 1}], scenes=[2], rooms=[3])
    report = bboxconv.convert([f"train={first}", f"val={later}"], tmp_path / "o.jsonl")
    assert report.lost == {"extra.scenes": 1, "info": 1}
    header = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    assert header["extra"] == {"scenes": [1], "rooms": [3]}
    with pytest.raises(DataError, match="info would be lost"):
        bboxconv.convert([f"train={first}", f"val={later}"], tmp_path / "p.jsonl", strict="all")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_or_device_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    """A special file is neither replaced by the output nor read as a source."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="special-file"):
        bboxconv.convert(source(tmp_path / "a.json"), pipe, to="jsonl", overwrite=overwrite)
    with pytest.raises(UsageError, match="special-file"):
        bboxconv.convert(pipe, tmp_path / "o.jsonl", overwrite=overwrite)
    assert pipe.is_fifo()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The output replaces what a link names, not the link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "link", to="voc")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "Annotations" / "a.xml").is_file()


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    """Folders made for an output are gone when it is refused."""
    with pytest.raises(DataError):
        bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "x" / "y" / "o.jsonl", on_invalid="fail")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]


def test_rejects_spare_the_data(tmp_path: Path) -> None:
    """The list of rejects is never written over a source or the output."""
    given = source(tmp_path / "a.json")
    before = given.read_bytes()
    for rejects in (given, tmp_path / "o.jsonl"):
        with pytest.raises(UsageError, match="report-is-data"):
            bboxconv.convert(given, tmp_path / "o.jsonl", on_invalid="fail", on_error="skip", rejects=rejects)
    assert given.read_bytes() == before


def test_strict_refuses_nothing_where_nothing_is_lost(tmp_path: Path) -> None:
    """strict=all lets a conversion pass that loses nothing, though its target carries less."""
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    report = bboxconv.convert(tmp_path, tmp_path / "voc", from_="yolo", to="voc", image_size=(100, 100), strict="all")
    assert (report.boxes, report.lost) == (1, {})


def test_strict_knows_its_fields(tmp_path: Path) -> None:
    """A misspelled field of strict is an error, not a promise that nobody keeps."""
    with pytest.raises(UsageError, match="unknown-field"):
        bboxconv.convert(source(tmp_path / "a.json"), tmp_path / "o.jsonl", strict="object.scor")


def test_every_split_that_is_asked_for_must_exist(tmp_path: Path) -> None:
    """One unknown split among known ones is refused where the sources name their splits."""
    given = source(tmp_path / "a.json")
    with pytest.raises(UsageError, match="there is no split 'vall'"):
        bboxconv.convert([f"train={given}", f"val={given}"], tmp_path / "o.jsonl", split=["train", "vall"])


@pytest.mark.parametrize("to", ["yolo", "voc"])
@pytest.mark.parametrize("names", [("a.jpg", "b.jpg", "sub/a.jpg"), ("a.jpg", "a.png", "b.jpg"), ()])
def test_the_account_has_the_files_and_bytes_on_disk(to: str, names: tuple[str, ...], tmp_path: Path) -> None:
    """Files and bytes of the account are those that lie in the folder, whether or not images wanted the same file."""
    images = [IMAGE | {"id": n, "file_name": name} for n, name in enumerate(names, 1)]
    rows = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 5, 5]} for n, _ in enumerate(names, 1)]
    given = coco(tmp_path / "a.json", images, rows, [{"id": 1, "name": "cat"}])
    splits = [f"{split}={given}" for split in ("train", "val")]
    for number, sources in enumerate(([str(given)], splits if to == "yolo" else [f"train={given}"])):
        out = tmp_path / str(number)
        report = bboxconv.convert(sources, out, to=to, on_error="skip")
        found = [path.stat().st_size for path in out.rglob("*") if path.is_file() and path.name != MANIFEST]
        assert (report.files, report.bytes) == (len(found), sum(found))
