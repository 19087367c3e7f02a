"""A run over several processes: what goes wrong in them, and what a small run does not start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import bboxconv
from bboxconv import pipeline
from bboxconv.errors import OutputError
from bboxconv.request import Request
from bboxconv.shelf import Shelf, Unnamed
from bboxconv.workers import at_work

SAMPLE = Path(__file__).parent.parent / "examples" / "sample" / "coco" / "instances_train.json"


def test_a_full_disk_for_what_is_held_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where annotations cannot be held back on disk the run ends with the reason, and leaves nothing behind."""
    source = tmp_path / "a.json"
    source.write_text(json.dumps(LARGE), encoding="utf-8")
    monkeypatch.setattr(Unnamed, "own_shelf", Shelf("/dev/full"))
    with pytest.raises(OutputError) as caught:
        bboxconv.convert(source, tmp_path / "b.json", memory=1)
    assert [d.code for d in caught.value.diagnostics] == ["spill-failed"]
    assert "No space left on device" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_killed_worker_ends_the_run(tmp_path: Path) -> None:
    """A process of the pool that dies is an error, and nothing is written. The other one is stopped: it could do all
    the work before the system tells of the death, and such a run is whole."""
    source = tmp_path / "a.json"
    source.write_text(json.dumps(LARGE), encoding="utf-8")
    with at_work(2) as workers, pytest.raises(OutputError) as caught:
        workers.begin()
        processes: set[int] = set()
        while len(processes) < 2:
            processes.update(workers.run(_pid, range(2)))
        for process, number in zip(processes, (signal.SIGSTOP, signal.SIGKILL), strict=True):
            os.kill(process, number)
        pipeline.run(Request((str(source),), str(tmp_path / "b.json")), workers=workers)
    assert [d.code for d in caught.value.diagnostics] == ["worker-died"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def _pid(task: int) -> int:
    return os.getpid()


LARGE = {
    "images": [{"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in range(300)],
    "annotations": [
        {"id": i, "image_id": i % 300, "category_id": 1, "bbox": [0, 0, 1, 2], "segmentation": [[0.5] * 60]}
        for i in range(3000)
    ],
    "categories": [{"id": 1, "name": "a"}],
}


@pytest.mark.parametrize("absent", ["pandas", "multiprocessing", "imagesize", "pydantic", "lxml", "rich"])
def test_a_small_conversion_loads_little(absent: str, tmp_path: Path) -> None:
    """Neither pandas, nor what starts processes, converts flags, reads XML or draws is loaded for a small input of JSON
    on the command line.
    """
    script = (
        "import sys\nfrom bboxconv.__main__ import run\n"
        f"code = run(['convert', {str(SAMPLE)!r}, {str(tmp_path / 'y')!r}, '--to', 'yolo', '-qq'])\n"
        f"sys.exit(int(code) or ({absent!r} in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_pandas_is_there_for_who_asks(tmp_path: Path) -> None:
    """A process that kept pyarrow from importing pandas makes data frames still."""
    script = (
        "from bboxconv.workers import leave_pandas_out\nleave_pandas_out()\n"
        f"import bboxconv\nframe = bboxconv.read({str(SAMPLE)!r}).to_pandas()\n"
        "assert type(frame).__module__.startswith('pandas') and len(frame) == 30"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_rows_number_the_images_that_are_written(size: int, tmp_path: Path) -> None:
    """In Parquet of one row a box images are numbered from 0 without a gap, whatever is left out and in whatever
    batches."""
    source = tmp_path / "a.json"
    held = [row for row in LARGE["annotations"] if row["image_id"] % 2 == 0]
    source.write_text(json.dumps({**LARGE, "annotations": held}), encoding="utf-8")
    out = tmp_path / "a.parquet"
    bboxconv.convert(source, out, out={"layout": "boxes"}, drop_empty=True, batch_size=size)
    table = pq.read_table(out)
    assert list(dict.fromkeys(table["image"].to_pylist())) == list(range(150))
    images = dict(zip(table["image"].to_pylist(), table["file_name"].to_pylist(), strict=True))
    assert [images[number] for number in range(150)] == [f"{2 * number}.jpg" for number in range(150)]
    assert [len(image["objects"]) for image in bboxconv.read(out).to_table().to_pylist()] == [10] * 150
