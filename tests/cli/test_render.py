"""What a person is shown, as whole lines."""

from __future__ import annotations

import pytest

from bboxconv.cli import render, ui
from bboxconv.errors import Diagnostic, ExitCode, Place
from bboxconv.report import Counts, Inspection, Report, Side


def plain(style: str, text: str) -> str:
    """No colour."""
    return text


CONVERTED = Report(
    command="convert",
    sources=(Side("train.json", "coco", "train", "--from"), Side("val.json", "coco", "val", "--from")),
    target=Side("yolo/", "yolo"),
    read=Counts(159, 1363, 80),
    written=Counts(158, 1348, 80),
    left_out_images={"unannotated": 1},
    left_out_boxes={"crowd": 13, "invalid": 2},
    lost={f"object.extra.key{i}": 1000 + i for i in range(12)},
    filled={"image.id": 159},
    switches={"crowd": "drop"},
    next_step="copy the images into yolo/images/, where trainers look for them",
    files=160,
    bytes=421_000,
    seconds=0.24,
)


def test_account() -> None:
    """The account sums, wraps beside its labels, shortens long lists of fields and ends with the result in one
    line.
    """
    assert render.report(CONVERTED, 80, False, plain) == [
        "from      coco train.json as train",
        "          coco val.json as val",
        "read      159 images, 1,363 boxes, 80 categories",
        "filled    image.id 159",
        "left out  1 image: unannotated; 15 boxes: crowd 13, invalid 2",
        "lost      object.extra.key0 1,000, object.extra.key1 1,001,",
        "          object.extra.key2 1,002, object.extra.key3 1,003,",
        "          object.extra.key4 1,004, object.extra.key5 1,005,",
        "          object.extra.key6 1,006, object.extra.key7 1,007,",
        "          and 4 more fields (-v lists all)",
        "next      copy the images into yolo/images/, where trainers look for them",
        "done: 158 images, 1,348 boxes, 80 categories, coco -> yolo, yolo/, 160 files, 421.0 kB, 0.2 s",
    ]


def test_account_in_detail() -> None:
    """-v adds why each source has its format, every field and the switches."""
    lines = render.report(CONVERTED, 80, True, plain)
    assert lines[0] == "from      coco train.json as train (--from)"
    assert "          object.extra.key10 1,010, object.extra.key11 1,011" in lines
    assert "switches  crowd=drop" in lines


def test_set_aside() -> None:
    """A run that set records aside says how many in its last line."""
    fault = Diagnostic("bad-row", "row is not numbers", count=3, places=(Place("a.txt:1"),))
    account = Report(
        command="convert",
        exit_code=ExitCode.SET_ASIDE,
        sources=(Side("a", "yolo"),),
        target=Side("b.json", "coco"),
        read=Counts(1, 1, 1),
        written=Counts(1, 1, 1),
        findings=(fault,),
        files=1,
        bytes=999,
    )
    last = "done, 3 faults set aside: 1 image, 1 box, 1 category, yolo -> coco, b.json, 999 B, 0.0 s"
    assert render.report(account, 80, False, plain)[-1] == last


def test_diagnostic_shows_five_places() -> None:
    """A fault seen 12 times shows its first five places, how many more there are, and the hint."""
    places = tuple(Place(f"labels/a.txt:{n}", "'x'") for n in range(1, 13))
    found = Diagnostic(
        "bad-row", "row is not numbers", count=12, places=places, hint="--on-error skip sets such rows aside"
    )
    shown = [
        "error[bad-row]: row is not numbers (12 times)",
        "  labels/a.txt:1: 'x'",
        "  labels/a.txt:2: 'x'",
        "  labels/a.txt:3: 'x'",
        "  labels/a.txt:4: 'x'",
        "  labels/a.txt:5: 'x'",
        "  ... and 7 more",
        "  hint: --on-error skip sets such rows aside",
    ]
    assert render.diagnostic(found, plain) == shown
    assert len(render.diagnostic(found, plain, verbose=True)) == 1 + 12 + 1


def test_errors_come_last() -> None:
    """Notes stand first and errors last, whatever their order; hidden severities are left out."""
    found = [Diagnostic("a", "x", "error"), Diagnostic("b", "x", "note"), Diagnostic("c", "x", "warning")]
    assert render.diagnostics(found, plain) == ["note[b]: x", "warning[c]: x", "error[a]: x"]
    assert render.diagnostics(found, plain, hide=("note", "warning")) == ["error[a]: x"]


def test_a_hint_for_several_is_told_once() -> None:
    """Findings of one code and one hint that follow each other have it once, behind the last."""
    pairs = (("a", "do"), ("a", "do"), ("a", "or"), ("b", "or"), ("a", "do"), ("b", ""), ("b", ""))
    found = [Diagnostic(code, str(number), hint=hint) for number, (code, hint) in enumerate(pairs)]
    assert render.diagnostics(found, plain) == [
        *("error[a]: 0", "error[a]: 1", "  hint: do", "error[a]: 2", "  hint: or", "error[b]: 3", "  hint: or"),
        *("error[a]: 4", "  hint: do", "error[b]: 5", "error[b]: 6"),
    ]


def test_names_cannot_drive_the_terminal() -> None:
    """Control characters in text from data are escaped, in messages and in JSON."""
    found = Diagnostic("a", "class 'x\x1b[2J'", places=(Place("b\n.jpg\x9b"),))
    assert render.diagnostic(found, plain) == ["error[a]: class 'x\\x1b[2J'", "  b\\n.jpg\\x9b"]
    assert ui.as_json({"é\x9b": "\ud800"}, pretty=False) == '{"é\\u009b":"\\ud800"}\n'


def test_inspection() -> None:
    """An inspection shows format and evidence, counts, splits, fields and classes with their counts."""
    seen = Inspection(
        sources=(Side("data/", "yolo", None, "data.yaml with names"),),
        counts=Counts(1200, 3456, 2),
        box="cxcywhn",
        splits={"train": Counts(1000, 3000, 2), "val": Counts(200, 456, 2)},
        classes=(("cat", 0, 3000), ("dog\x1b", None, 456)),
        fields={"object.bbox": 3456},
        empty_images=3,
        unannotated_images=1,
        header=("info",),
    )
    assert render.inspection(seen, False, 80, plain) == [
        "from      yolo data/ (data.yaml with names)",
        "images    1,200 (3 without boxes, 1 not annotated)",
        "boxes     3,456, as cxcywhn",
        "classes   2",
        "splits    train  1,000 images  3,000 boxes",
        "          val    200 images    456 boxes",
        "fields    object.bbox 3,456",
        "also      info",
        "",
        "class    id  boxes",
        "cat       0  3,000",
        "dog\\x1b   -    456",
    ]


def test_inspection_lists_twenty_classes() -> None:
    """Of 30 classes 20 are listed, and all with -v."""
    classes = tuple((f"c{n}", n, 1) for n in range(30))
    seen = Inspection((Side("a", "coco"),), Counts(1, 30, 30), "xywh", classes=classes)
    lines = render.inspection(seen, False, 80, plain)
    assert lines[-2:] == ["c19    19      1", "... and 10 more, -v lists all"]
    assert render.inspection(seen, True, 80, plain)[-1] == "c29    29      1"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (42_100, "42.1 kB"), (3 * 10**12, "3.0 TB")],
)
def test_sizes(number: int, text: str) -> None:
    """Bytes are shown in the unit that gives 1 to 999 of it."""
    assert render.size(number) == text


def test_progress_line() -> None:
    """The line for a log says stage, share, amount and rate."""
    assert ui.plain_line("read", 1_500_000, 6_000_000, "bytes", 2) == "read (25%): 1.5 MB of 6.0 MB, 750.0 kB/s"
    assert ui.plain_line("read", 1200, None, "images", 2) == "read: 1,200 images, 600 images/s"


def test_progress_in_a_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, progress is a plain line about every ten seconds, without carriage return."""
    now = [0.0]
    monkeypatch.setattr(ui.time, "monotonic", lambda: now[0])
    ticker = ui.Ticker(animate=False, shown=0.0)
    for second in range(25):
        now[0] = float(second)
        ticker("read", 10, 1000, "images")
    assert capsys.readouterr().err == (
        "read (11%): 110 of 1,000 images, 11 images/s\nread (21%): 210 of 1,000 images, 10 images/s\n"
    )


def test_writing_is_a_stage_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is read before anything is written, the writing is shown; where both alternate, the reading is."""
    now = [0.0]
    monkeypatch.setattr(ui.time, "monotonic", lambda: now[0])
    for steps in (["reading"] * 2 + ["writing"] * 2, ["reading", "writing"] * 2):
        ticker = ui.Ticker(animate=False, shown=-1000.0)
        for step in steps:
            now[0] += 20
            ticker(step, 10, 20, "images")
    lines = [line.partition(" images")[0] for line in capsys.readouterr().err.splitlines()]
    after = ["reading (50%): 10 of 20", "reading (100%): 20 of 20", "writing (50%): 10 of 20"]
    alternating = ["reading (50%): 10 of 20", "writing (50%): 10 of 20", "reading (100%): 20 of 20"]
    assert lines == [*after, "writing (100%): 20 of 20", *alternating]


def test_each_source_has_its_own_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """The second source begins at nothing: what is done never exceeds the total."""
    ticker = ui.Ticker(animate=False, shown=-1000.0)
    for total in (100, 100, 50):
        ticker.shown = -1e9
        ticker("reading", total, total, "images")
    lines = [line.partition(" images")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["reading (100%): 100 of 100", "reading (100%): 100 of 100", "reading (100%): 50 of 50"]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (25, 100, 10.0, ", ETA 0:30"),
        (1, 10_000, 1.0, ", ETA 2:46:39"),
        (100, 100, 10.0, ", ETA 0:00"),
        (25, None, 10.0, ""),
        (25, 100, 0.0, ""),
    ],
)
def test_time_ahead(done: int, total: int | None, seconds: float, text: str) -> None:
    """The time ahead is that at the rate so far; none is told without a total or a rate."""
    assert ui.ahead(done, total, seconds) == text


def test_lost_objects_stand_first() -> None:
    """Lost fields of objects are named before ids and extra keys, which may be many."""
    lost = {"image.extra.url": 1, "category.id": 1, "object.segmentation": 5}
    account = Report(command="convert", sources=(Side("a", "coco"),), target=Side("b", "yolo"), lost=lost)
    assert "lost      object.segmentation 5, category.id 1, image.extra.url 1" in render.report(
        account, 80, False, plain
    )
