"""Data held back: in memory or on disk, in its order or in the order of images; and shelves between processes."""

from __future__ import annotations

import gc
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from bboxconv.errors import OutputError
from bboxconv.shelf import Left, Shared, Shelf, Unnamed, share
from bboxconv.spool import Slip, Slips, Spool, _write, divided, in_order, leave, leave_parts, leave_pieces, width_of
from bboxconv.workers import at_work


def numbers(start: int, count: int) -> pa.RecordBatch:
    return pa.record_batch(
        {"n": np.arange(start, start + count), "s": pa.array([f"text {i}" for i in range(start, start + count)])}
    )


@pytest.mark.parametrize("memory", [0, 500, 1 << 20])
def test_batches_come_back_as_often_as_wanted(memory: int) -> None:
    """Whatever the budget, what was kept is read back, twice."""
    spool = Spool(memory)
    slips = [spool.keep(numbers(start, 10)) for start in range(0, 100, 10)]
    for _ in range(2):
        assert pa.Table.from_batches([slip.load() for slip in slips])["n"].to_pylist() == list(range(100))
    assert spool.rows == 100


def test_no_more_than_the_budget_stays_in_memory() -> None:
    """Batches beyond it are on disk."""
    spool = Spool(3 * numbers(0, 10).nbytes)
    slips = [spool.keep(numbers(0, 10)) for _ in range(10)]
    assert [slip.left is None for slip in slips] == [True] * 3 + [False] * 7


def test_a_spool_on_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a spool has no name, so that no way to end a run leaves it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slip = (spool := Spool(0)).keep(numbers(0, 10))
    assert list(tmp_path.iterdir()) == []
    assert slip.load().num_rows == spool.rows == 10


def test_a_spool_that_cannot_spill_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the temporary folder is gone the error is one of output, with a hint."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError) as caught:
        Spool(0).keep(numbers(0, 1))
    assert caught.value.diagnostics[0].code == "spill-failed"
    assert "TMPDIR" in caught.value.diagnostics[0].hint


def test_no_room_beside_the_output_is_told_as_that(tmp_path: Path) -> None:
    """What is held back beside the output has another remedy than TMPDIR."""
    shelf = replace(Unnamed.open(tmp_path).own_shelf, path="/dev/full")
    with pytest.raises(OutputError) as caught:
        shelf.leave([b"text"])
    (found,) = caught.value.diagnostics
    assert (str(found.places[0]), found.hint) == (
        str(tmp_path),
        "the output takes twice its size there while it is written",
    )


def test_a_full_disk_is_told() -> None:
    """A shelf on a disk that takes nothing is an error of output that says why."""
    with pytest.raises(OutputError) as caught:
        Shelf("/dev/full").leave([b"x" * 100])
    assert caught.value.diagnostics[0].message == "cannot hold data back on disk: No space left on device"


def test_open_files_are_closed_with_the_spool() -> None:
    """A spool that is gone holds no file."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert Spool(0).keep(numbers(0, 1)).load().num_rows == 1  # a slip alone keeps what it stands for
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize("step", [1, 4, 1000])
@pytest.mark.parametrize("expected", [1, 1 << 28, 1 << 40])
def test_rows_come_back_by_image_in_their_order(expected: int, step: int) -> None:
    """However wide partitions are, each has its images alone; rows are ordered by image and keep their order within
    one."""
    random = np.random.default_rng(0)
    images = random.integers(0, 97, 1000)
    images[500:600] = 7
    width = width_of(97, expected, step)
    pieces: dict[int, list[pa.RecordBatch]] = {}
    for start in range(0, 1000, 50):
        for number, piece in divided(numbers(start, 50), images[start : start + 50], width):
            pieces.setdefault(number, []).append(piece)
    found: list[tuple[int, int]] = []
    for number in sorted(pieces):
        rows, image = in_order(pieces[number])
        assert set(image // width) == {number}
        found += zip(image.tolist(), rows.column("n").to_pylist(), strict=True)
    assert found == sorted(zip(images.tolist(), range(1000), strict=True))


@pytest.mark.parametrize(
    ("images", "expected", "step", "width"),
    [(100_000, 1, 64, 100_032), (0, 0, 8, 8), (118_287, 450 << 20, 4096, 4096), (10, 450 << 20, 4096, 1)],
)
def test_partitions_are_of_whole_batches_unless_images_are_full(
    images: int, expected: int, step: int, width: int
) -> None:
    """A partition is a multiple of a batch, and less where so many images have more rows than should be ordered at
    once."""
    assert width_of(images, expected, step) == width


def test_a_column_that_a_piece_lacks_is_null_there() -> None:
    """Pieces of blocks with other columns fit together."""
    one = next(divided(numbers(0, 2), np.array([0, 1]), 8))[1]
    two = next(divided(numbers(2, 2).drop_columns(["s"]), np.array([1, 0]), 8))[1]
    rows, image = in_order([one, two])
    assert rows.column("n").to_pylist() == [0, 3, 1, 2]
    assert rows.column("s").to_pylist() == ["text 0", None, "text 1", None]
    assert image.tolist() == [0, 0, 1, 1]


# -- between processes


def put(task: tuple[int, Shelf]) -> tuple[Left, Slip]:
    number, shelf = task
    return shelf.leave([b"%d," % number * 1000])[0], leave([numbers(number, 3)], shelf)[0]


@pytest.mark.parametrize("path", [True, False])
def test_what_tasks_leave_is_read_elsewhere(path: bool) -> None:
    """Several processes leave on one shelf at once; where it has no path all is sent."""
    file = Unnamed.open()
    shelf = file.shelf if path else Shelf()
    with at_work(3) as workers:
        workers.begin()
        found = list(workers.run(put, ((number, shelf) for number in range(60))))
    for number, (left, slip) in enumerate(found):
        assert bytes(left.read()) == b"%d," % number * 1000
        out = io.BytesIO()
        left.copy_to(out, skip=1)
        assert out.getvalue() == (b"%d," % number * 1000)[1:]
        assert slip.load().equals(numbers(number, 3))


def length(task: Shared[list[int]]) -> int:
    return len(task.get())


@pytest.mark.parametrize("path", [True, False])
def test_a_shared_value_is_sent_as_its_place(path: bool) -> None:
    """Tasks of other processes load it; where the shelf has no file it is sent whole."""
    file = Unnamed.open()
    shared = share(list(range(1000)), file.shelf if path else Shelf())
    with at_work(2) as workers:
        workers.begin()
        assert set(workers.run(length, [shared] * 9)) == {1000}
    assert (len(shared.__reduce__()[1][0] or []) == 0) == path  # type: ignore[index]


def total(task: Shared[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> int:
    large, small = task.get()
    assert not large.flags.writeable
    return int(large.sum() + small.sum())


def test_large_arrays_of_a_shared_value_are_mapped() -> None:
    """Every process sees the same bytes of an array, wherever in the file they begin, and cannot change them."""
    file = Unnamed.open()
    file.shelf.leave([b"something before"])
    shared = share((np.arange(100_000), np.arange(10)), file.shelf)
    with at_work(2) as workers:
        workers.begin()
        assert set(workers.run(total, [shared] * 4)) == {100_000 * 99_999 // 2 + 45}


def test_an_empty_data_set_is_one_partition() -> None:
    """No images and no rows have a width, and no piece."""
    assert width_of(0, 0, 8) == 8
    assert list(divided(numbers(0, 0), np.zeros(0, np.int64), 8)) == []


@pytest.mark.parametrize("apart", [False, True])
def test_many_slips(*, apart: bool) -> None:
    """Slips that are kept together give each batch that was left again, and are counted as each alone."""
    batches = [pa.record_batch({"a": pa.array(range(rows))}) for rows in (3, 0, 5)]
    spool = Spool(1 << 20)
    held = spool.take_all(Slips.of(leave(batches, spool.shelf(apart=apart))))
    assert [slip.load() for slip in held] == batches
    assert [slip.load() for slip in held[1:]] == batches[1:]
    assert (len(held), spool.rows) == (3, 8)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_pieces_of_a_batch(memory: int, *, apart: bool) -> None:
    """They come back each alone, and stay in memory all or none."""
    batch = numbers(0, 10)
    spool = Spool(memory)
    held = spool.take_all(leave_pieces(batch, [0, 3, 10], spool.shelf(apart=apart)))
    assert [slip.load() for slip in held] == [numbers(0, 3), numbers(3, 7)]
    assert [slip.rows for slip in held] == [3, 7]
    assert {slip.left is None for slip in held} == {bool(memory) and not apart}
    assert all(slip.load().get_total_buffer_size() < batch.get_total_buffer_size() for slip in held)
    assert spool.rows == 10
    assert len(spool.take_all(leave_pieces(numbers(0, 0), [0], spool.shelf(apart=apart)))) == 0


def test_pieces_of_batches_beyond_the_budget_are_on_disk() -> None:
    """Of many batches as many stay in memory as fit."""
    spool = Spool(3 * numbers(0, 10).nbytes)
    held = [spool.take_all(leave_pieces(numbers(0, 10), [0, 5, 10], Shelf())) for _ in range(5)]
    assert [pieces.whole is not None for pieces in held] == [True] * 3 + [False] * 2
    assert all([slip.load() for slip in pieces] == [numbers(0, 5), numbers(5, 5)] for pieces in held)


def test_batches_are_left_one_at_a_time() -> None:
    """Each is written before the next is asked for: no two of them are held as bytes."""
    shelf = (file := Unnamed.open()).shelf
    sizes: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(3):
            sizes.append(os.fstat(file.files[0].fileno()).st_size)
            yield numbers(start, 10)

    slips = leave(batches(), shelf)
    assert sizes == [0, slips[0].size, slips[0].size + slips[1].size]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_parts_of_a_batch(rows: int, *, apart: bool) -> None:
    """Each part that has rows has them in their order, be they of more rows than are ordered at once or of few."""
    batch, part = numbers(0, rows), np.random.default_rng(0).choice([1, 2, 5, 6, 7], rows, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    spool = Spool(0)
    found, left = leave_parts(batch, part, spool.shelf(apart=apart))
    assert found.tolist() == sorted(set(part.tolist()))
    for number, slip in zip(found.tolist(), spool.take_all(left), strict=True):
        assert slip.load() == batch.filter(pa.array(part == number))


def test_a_large_batch_comes_back_whole() -> None:
    """One with a dictionary, and some of its rows."""
    texts = pa.array(["x" * 1000 * (row % 7) for row in range(3000)])
    batch = pa.record_batch({"text": texts, "kind": pa.array(["a", None, "b"] * 1000).dictionary_encode()})
    file = Unnamed.open()
    slips = leave([batch, batch.slice(1000, 1500)], file.shelf)
    assert [slip.load() for slip in slips] == [batch, batch.slice(1000, 1500)]


def test_parts_are_left_without_a_copy_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows at a time are brought in order, and the bytes of what is large are made once."""
    texts = pa.array([f"{row:01000}" for row in range(8000)])
    batch, held = pa.record_batch({"text": texts}), list[int]()
    before = pa.total_allocated_bytes()
    monkeypatch.setattr(
        "bboxconv.spool._write", lambda *given: _write(*given) or held.append(pa.total_allocated_bytes())
    )
    part = np.arange(8000) % 100
    part[part < 30] = 0  # one of 2.4 MB
    file = Unnamed.open()
    leave_parts(batch, part, file.shelf)
    assert len(held) >= 71
    assert max(held) - before < 2.3 * 2_400_000
