"""What an account may not leave out, and what a run may not touch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers import coco

import bboxconv
from bboxconv import pipeline
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import DataError, ExitCode, UsageError
from bboxconv.formats import jsonl
from bboxconv.io import MANIFEST
from bboxconv.request import Request
from bboxconv.schema import Dataset
from bboxconv.workers import at_work

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


def lines(path: Path, names: Sequence[str], **rest: Sequence[object]) -> Path:
    """JSON Lines of an image for each name, which loses, changes and fills: the third alone has a score, a crowd flag
    and a size that nobody knows. `rest` are further keys of the images, in order."""
    head = {"type": "dataset", "bboxconv": 1, "box": "xywh", "categories": [{"name": "cat"}]}
    rows = []
    for number, name in enumerate(names):
        own = {key: values[number] for key, values in rest.items()}
        size = {} if number == 2 else {"width": 100, "height": 80}
        box: dict[str, object] = {"category": 0, "bbox": [number + 1 / 3, 1, 5, 5], "track_id": number}
        more = {"score": 0.5, "iscrowd": False} if number == 2 else {}
        rows.append({"type": "image", "file": name, **size, **own, "objects": [box | more, box]})
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))
    return path


NAMES = ("a.jpg", "b.jpg", "a.png", "../x.jpg", "c.jpg", "sub/d.jpg")
IDS = {"id": [1, 2, 1, 4, 5, 4]}
SPLITS = {"split": ["train", "train", "../x", "train", "../x", "val"]}
ALL = range(len(NAMES))


@pytest.mark.parametrize(
    ("to", "rest", "kept"),
    [
        ("yolo", {}, [0, 1, 4, 5]),
        ("voc", {}, [0, 1, 4, 5]),
        ("coco", IDS, [0, 1, 3, 4]),
        ("coco/", SPLITS, [0, 1, 3, 5]),
        ("jsonl", IDS | SPLITS, ALL),
        ("parquet", IDS | SPLITS, ALL),
    ],
)
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 4096])
def test_what_the_writer_left_out_counts_for_no_field(
    tmp_path: Path, to: str, rest: dict[str, list[object]], kept: Sequence[int], jobs: int, batch_size: int
) -> None:
    """An image that the writer leaves out, for its name, its file, its id or its split, is in no count of values:
    the account is that of the other images alone, and `--strict` minds only these."""
    given = lines(tmp_path / "a.jsonl", NAMES, **rest)
    others = tmp_path / "others.jsonl"
    head, *images = given.read_text().splitlines()
    others.write_text("\n".join([head, *(images[number] for number in kept), ""]))
    words: dict[str, Any] = {"to": to.rstrip("/"), "image_size": (50, 60), "on_error": "skip"}
    end = "/" if to[-1] == "/" or to in ("voc", "yolo") else f".{to}"
    wanted = bboxconv.convert(others, f"{tmp_path}/wanted{end}", **words)
    with at_work(jobs) as workers:
        workers.begin()
        request = Request((str(given),), f"{tmp_path}/out{end}", batch_size=batch_size, jobs=jobs, **words)
        found = pipeline.run(request, workers=workers)
    assert (found.exit_code, wanted.exit_code) == (3 if len(kept) < len(NAMES) else 0, 0)
    assert (found.images, found.boxes, sum(found.left_out_images.values())) == (len(kept), 2 * len(kept), 6 - len(kept))
    bare = [{name: replace(one, places=()) for name, one in report.fields.items()} for report in (found, wanted)]
    assert (bare[0], found.lost, found.filled) == (bare[1], wanted.lost, wanted.filled)
    for name, values in found.fields.items():
        places = tuple(place.replace(str(given), str(others)) for place in values.places)
        assert places == wanted.fields[name].places[: len(places)]
    if to == "yolo":
        assert (found.fields["object.bbox"].count, found.lost["object.track_id"]) == (8, 8)
        bboxconv.convert(given, tmp_path / "strict", strict="object.score", **words)


POSED = ("object.bbox", "object.keypoints", "object.score")


def test_what_waits_for_keypoints_is_left_out_by_its_own_number(tmp_path: Path) -> None:
    """Images that YOLO holds back until it knows how many keypoints there are, are known by the same numbers."""
    given = lines(tmp_path / "a.jsonl", ("b.jpg", "a.jpg", "a.png", "c.jpg"))
    points = '"keypoints":[1,1,2],"category"'
    head, *images = given.read_text().splitlines()
    given.write_text("\n".join([head, *images[:3], images[3].replace('"category"', points), ""]))
    words: dict[str, Any] = {"image_size": (50, 60), "on_error": "skip", "out": {"task": "pose"}}
    for size in (1, 3, 4096):
        report = bboxconv.convert(given, tmp_path / str(size), to="yolo", batch_size=size, **words)
        assert (report.images, report.left_out_images) == (3, {"file-clash": 1})
        found = {name: values.count for name, values in report.fields.items() if name in POSED}
        assert found == {"object.bbox": 6, "object.keypoints": 2}


def test_what_is_read_again_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings of a reader that tells them whenever its images are asked for, as one of a plugin may, are counted
    once where images are read again to be taken out of the account."""
    given = lines(tmp_path / "a.jsonl", ("a.jpg", "a.png"))
    read = jsonl.read

    def telling(source: Source, context: ReadContext) -> Dataset:
        data = read(source, context)

        def stream() -> Iterator[pa.RecordBatch]:
            context.findings.add("bad-row", "a row is odd", where="here")
            yield from data

        return replace(data, stream=stream, parts=None)

    monkeypatch.setattr(jsonl, "read", telling)
    report = bboxconv.convert(given, tmp_path / "yolo", to="yolo", image_size=(9, 9), on_error="skip", max_errors=2)
    assert {one.code: one.count for one in report.findings if one.severity == "error"} == {
        "bad-row": 1,
        "file-clash": 1,
    }
    assert report.fields["object.bbox"].count == 2
