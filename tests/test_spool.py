"""Data held back: in memory or on disk, in its order or in the order of images."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bboxconv.errors import OutputError
from bboxconv.spool import ByImage, Spool


def numbers(start: int, count: int) -> pa.RecordBatch:
    return pa.record_batch(
        {"n": np.arange(start, start + count), "s": pa.array([f"text {i}" for i in range(start, start + count)])}
    )


@pytest.mark.parametrize("memory", [0, 500, 1 << 20])
def test_batches_come_back_in_order_as_often_as_wanted(memory: int) -> None:
    """Whatever the budget, what was appended is read back, twice."""
    spool = Spool(memory)
    for start in range(0, 100, 10):
        spool.append(numbers(start, 10))
    for _ in range(2):
        assert pa.Table.from_batches(list(spool))["n"].to_pylist() == list(range(100))
    assert spool.rows == 100


def test_a_spool_on_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a spool has no name, so that no way to end a run leaves it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool(0)
    spool.append(numbers(0, 10))
    assert list(tmp_path.iterdir()) == []
    assert sum(b.num_rows for b in spool) == 10


def test_a_spool_that_cannot_spill_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the temporary folder is gone the error is one of output, with a hint."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError) as caught:
        Spool(0).append(numbers(0, 1))
    assert caught.value.diagnostics[0].code == "spill-failed"
    assert "TMPDIR" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize(
    ("expected", "memory", "step"), [(1, 1 << 20, 4), (1 << 30, 1 << 20, 4), (1 << 40, 0, 1), (1 << 28, 0, 1000)]
)
def test_rows_come_back_by_image_in_their_order(expected: int, memory: int, step: int) -> None:
    """However many ranges there are and whatever is on disk, rows are ordered by image and keep their order within
    one.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 97, 1000)
    images[500:600] = 7
    grouped = ByImage(97, expected, memory, step)
    for start in range(0, 1000, 50):
        grouped.add(numbers(start, 50), images[start : start + 50])
    found: list[tuple[int, int]] = []
    edges = []
    for first, last, rows, image in grouped.ranges():
        edges.append((first, last))
        if rows is not None:
            assert image.min() >= first
            assert image.max() < last
            found += zip(image.tolist(), rows.column("n").to_pylist(), strict=True)
    assert found == sorted(zip(images.tolist(), range(1000), strict=True))
    assert [a for a, _ in edges] == [0, *[b for _, b in edges[:-1]]]
    assert edges[-1][1] == 97
    assert all(first % step == 0 for first, _ in edges)


def test_no_images_and_no_rows_are_one_empty_range() -> None:
    """An empty data set has a range without rows."""
    assert [(a, b, rows) for a, b, rows, _ in ByImage(0, 0, 0, 8).ranges()] == [(0, 0, None)]


def test_open_files_are_closed_with_the_spool() -> None:
    """A spool that is gone holds no file."""
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        spool = Spool(0)
        spool.append(numbers(0, 1))
        list(spool)
    del spool
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after <= before + 1
