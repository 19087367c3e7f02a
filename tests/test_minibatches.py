"""Mini-batches: which images are in which batch, what a batch holds, resumption, and bad input."""

from __future__ import annotations

import gc
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import helpers
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bboxconv
from bboxconv.errors import Findings
from bboxconv.minibatch.batches import MiniBatches
from bboxconv.minibatch.order import LANES, Order, shuffled
from bboxconv.minibatch.pieces import Kept

SAMPLE = Path(__file__).parents[1] / "examples" / "sample"


def images(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Images of different sizes with 0 to 5 boxes each, some crowd, some difficult, some to be ignored."""
    random = np.random.default_rng(seed)
    found: list[dict[str, object]] = []
    for number in range(count):
        objects = [
            {
                "category": int(random.integers(2)),
                "bbox": [float(v) for v in random.integers(1, 50, 4)],
                "iscrowd": bool(random.random() < 0.2),
                "difficult": bool(random.random() < 0.2) or None,
                "ignore": bool(random.random() < 0.1),
            }
            for _ in range(number % 6)
        ]
        found.append(
            {
                "id": 1000 - number,
                "file_name": f"{number}.jpg",
                "width": 100 + number,
                "height": 200,
                "objects": objects,
            }
        )
    return found


def parquet(path: Path, rows: Sequence[Mapping[str, object]], group: int = 16, layout: str = "images") -> Path:
    """A Parquet file with row groups of so many images."""
    given = helpers.dataset(rows, box="xywh", batch_size=group)
    bboxconv.convert(
        _lines(path.with_suffix(".jsonl"), given), path, out={"layout": layout}, batch_size=group, unannotated="keep"
    )
    return path


def _lines(path: Path, given: bboxconv.Dataset) -> Path:
    bboxconv.write(given, path, overwrite=True)
    return path


def names(batches: MiniBatches) -> list[str | None]:
    """The names of all images, as they come."""
    return [name for batch in batches for name in batch.file_names]


# -- which images


@given(
    counts=st.lists(st.integers(0, 40), max_size=12),
    batch_size=st.integers(1, 9),
    shuffle=st.booleans(),
    window=st.integers(1, 150),
    world=st.integers(1, 4),
    workers=st.integers(1, 7),
    epoch=st.integers(0, 3),
)
def test_every_image_is_in_one_batch(
    counts: list[int], batch_size: int, shuffle: bool, window: int, world: int, workers: int, epoch: int
) -> None:
    """Over all ranks the batches of an epoch cover the row of images without a gap and a duplicate, and so do the
    windows of the lanes, whose pieces are what the row has there."""
    ranges: list[tuple[int, int]] = []
    seen: list[tuple[int, int]] = []
    sizes = []
    for rank in range(world):
        order = Order(tuple(counts), batch_size, shuffle, 5, window, False, rank, world)
        own = [order.images_of(number) for number in range(len(order))]
        for worker in range(workers):
            assert own[worker::workers] == [order.images_of(number) for number in range(worker, len(order), workers)]
        ranges += own
        sizes.append(len(order))
        assert [stop - start for start, stop in own[:-1]] == [batch_size] * (len(own) - 1)
        for lane in range(order.lanes):
            place = None
            for piece in order.windows(epoch, lane):
                assert place in (None, piece.start)
                place = piece.stop
                assert sum(run.stop - run.start for run in piece.runs) == piece.stop - piece.start
                seen += [(run.piece, image) for run in piece.runs for image in range(run.start, run.stop)]
                within = order.within(epoch, piece)
                if within is not None:
                    assert sorted(within.tolist()) == list(range(piece.stop - piece.start))
            mine = own[lane :: order.lanes]
            if mine:
                assert (mine[0][0], mine[-1][1]) == (order.begin(lane), place)
                assert [start for start, _ in mine[1:]] == [stop for _, stop in mine[:-1]]
    assert sorted(image for start, stop in ranges for image in range(start, stop)) == list(range(sum(counts)))
    assert sorted(seen) == [(piece, image) for piece, count in enumerate(counts) for image in range(count)]
    assert max(sizes) - min(sizes) <= 1


@given(
    counts=st.lists(st.integers(0, 40), max_size=8),
    batch_size=st.integers(1, 9),
    world=st.integers(1, 4),
    shuffle=st.booleans(),
)
def test_drop_last_gives_all_ranks_the_same(counts: list[int], batch_size: int, world: int, shuffle: bool) -> None:
    """With drop_last every batch is whole and every rank has as many: all that whole ones can be made of."""
    orders = [Order(tuple(counts), batch_size, shuffle, 0, 10, True, rank, world) for rank in range(world)]
    assert {len(order) for order in orders} == {sum(counts) // world // batch_size}
    found = [order.images_of(number) for order in orders for number in range(len(order))]
    assert all(stop - start == batch_size for start, stop in found)
    every = [image for start, stop in found for image in range(start, stop)]
    assert len(set(every)) == len(every)


def test_the_random_order_is_fixed() -> None:
    """What is sorted are raw integers of Philox: the order of seed 7 and epoch 3 is this on every machine."""
    keys = np.random.Philox(np.random.SeedSequence([7, 3])).random_raw(6)
    assert shuffled(6, 7, 3).tolist() == sorted(range(6), key=keys.tolist().__getitem__)
    assert shuffled(6, 7, 3).tolist() == GOLDEN


GOLDEN = [1, 0, 4, 2, 3, 5]


@pytest.mark.parametrize("layout", ["images", "boxes"])
@pytest.mark.parametrize("window", [30, 1000])
def test_an_epoch_has_every_image_once(tmp_path: Path, layout: str, window: int) -> None:
    """From Parquet of both layouts, shuffled or not, an epoch has every image once; epochs and seeds differ, the same
    seed and epoch do not."""
    path = parquet(tmp_path / "a.parquet", images(200), layout=layout)
    every = [f"{number}.jpg" for number in range(200)]
    assert names(bboxconv.minibatches(path, 7)) == every
    batches = bboxconv.minibatches(path, 7, shuffle=True, seed=3, window=window)
    assert len(batches) == 29
    first = names(batches)
    assert names(batches) == first != every
    batches.set_epoch(1)
    second = names(batches)
    other = names(bboxconv.minibatches(path, 7, shuffle=True, seed=4, window=window))
    assert sorted(first, key=str) == sorted(second, key=str) == sorted(other, key=str) == sorted(every)
    assert len({tuple(first), tuple(second), tuple(other)}) == 3
    again = bboxconv.minibatches(path, 7, shuffle=True, seed=3, window=window)
    again.set_epoch(1)
    assert names(again) == second


def test_small_data_are_shuffled_completely(tmp_path: Path) -> None:
    """Where all images fit into the window, any image can come at any place: the mean place of each over many epochs
    is the middle."""
    path = parquet(tmp_path / "a.parquet", images(60), group=16)
    batches = bboxconv.minibatches(path, 60, shuffle=True)
    places = np.zeros(60)
    for epoch in range(200):
        batches.set_epoch(epoch)
        places[[int(str(name).removesuffix(".jpg")) for name in names(batches)]] += np.arange(60)
    assert np.abs(places / 200 - 29.5).max() < 6 * 17.3 / math.sqrt(200)


def test_the_window_is_the_number_of_images_held(tmp_path: Path) -> None:
    """A batch of shuffled data has images of no more row groups than fit into a sixth of the window."""
    path = parquet(tmp_path / "a.parquet", images(960), group=16)
    batches = bboxconv.minibatches(path, 16, shuffle=True, window=LANES * 32)
    for batch in batches:
        groups = {int(str(name).removesuffix(".jpg")) // 16 for name in batch.file_names}
        assert len(groups) <= 2 * 3  # at the seam of two windows those of both, where a piece is cut one more
    near = [len({int(str(n).removesuffix(".jpg")) // 16 for n in batch.file_names}) for batch in batches]
    assert np.mean(near) > 1.5


def test_ranks_share_the_images(tmp_path: Path) -> None:
    """The images of all ranks together are all images, once."""
    path = parquet(tmp_path / "a.parquet", images(100))
    found = [
        names(bboxconv.minibatches(path, 8, shuffle=True, window=20, rank=rank, world_size=3)) for rank in range(3)
    ]
    assert [len(each) for each in found] == [33, 33, 34]
    assert sorted(str(name) for each in found for name in each) == sorted(f"{n}.jpg" for n in range(100))


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 6])
def test_workers_take_turns(tmp_path: Path, workers: int) -> None:
    """The batches of any number of workers, taken in turn, are those of one, to the last number; a worker of two,
    three or six reads but its part of the row groups."""
    path = parquet(tmp_path / "a.parquet", images(600))
    batches = bboxconv.minibatches(path, 4, shuffle=True, window=60, keep=0)
    alone = [(batch.file_names, batch.boxes.tolist()) for batch in batches]
    reads = Reads(batches)
    for worker in range(workers):
        reads.pieces.clear()
        own = [(batch.file_names, batch.boxes.tolist()) for batch in batches.share(worker, workers)]
        assert own == alone[worker::workers]
        if workers in (2, 3, 6):
            assert len(reads.pieces) <= 600 / 16 / workers + 2 * LANES / workers + 1


class Reads:
    """Which pieces of batches are loaded."""

    def __init__(self, batches: MiniBatches) -> None:
        self.pieces: list[int] = []
        held = batches.pieces.pieces
        watched = tuple(_Watched(self, number, piece) for number, piece in enumerate(held))
        object.__setattr__(batches.pieces, "pieces", watched)


class _Watched:
    def __init__(self, reads: Reads, number: int, piece: object) -> None:
        self.reads, self.number, self.piece = reads, number, piece

    @property
    def images(self) -> int:
        return self.piece.images  # type: ignore[attr-defined]

    def load(self) -> object:
        self.reads.pieces.append(self.number)
        return self.piece.load()  # type: ignore[attr-defined]

    def check(self) -> None:
        self.piece.check()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("keep", "read"), [(64 << 20, 0), (1500, 37), (0, 38)])
def test_what_was_read_is_kept_for_the_next_epoch(tmp_path: Path, keep: int, read: int) -> None:
    """A second epoch reads the row groups alone that are not among the first `keep` bytes, and gives the same batches;
    another process is sent none of them."""
    path = parquet(tmp_path / "a.parquet", images(600))
    batches = bboxconv.minibatches(path, 4, keep=keep)
    first = [(batch.file_names, batch.boxes.tolist()) for batch in batches]
    assert pickle.loads(pickle.dumps(batches)).kept == Kept(keep)
    reads = Reads(batches)
    assert [(batch.file_names, batch.boxes.tolist()) for batch in batches] == first
    assert len(reads.pieces) == read


def test_one_process_reads_each_row_group_once(tmp_path: Path) -> None:
    """An epoch loads every row group once, also where lanes cut it."""
    path = parquet(tmp_path / "a.parquet", images(600))
    batches = bboxconv.minibatches(path, 4, shuffle=True, window=60, keep=0)
    reads = Reads(batches)
    assert len(names(batches)) == 600
    assert sorted(reads.pieces) == sorted(set(reads.pieces))


def test_the_order_is_the_same_in_another_process(tmp_path: Path) -> None:
    """Another process, with another hash seed, gives the same batches."""
    path = parquet(tmp_path / "a.parquet", images(100))
    code = (
        "import bboxconv, json, sys\n"
        "batches = bboxconv.minibatches(sys.argv[1], 7, shuffle=True, seed=11, window=30)\n"
        "batches.set_epoch(2)\nprint(json.dumps([batch.file_names for batch in batches]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12"},
    )
    batches = bboxconv.minibatches(path, 7, shuffle=True, seed=11, window=30)
    batches.set_epoch(2)
    assert json.loads(said.stdout) == [list(batch.file_names) for batch in batches]


def test_batches_may_be_sent(tmp_path: Path) -> None:
    """A pickled iterable gives the same batches in this process, from Parquet and from what is held on disk."""
    rows = images(50)
    for src in (parquet(tmp_path / "a.parquet", rows), tmp_path / "a.jsonl", helpers.dataset(rows)):
        batches = bboxconv.minibatches(src, 7, shuffle=True)
        assert names(pickle.loads(pickle.dumps(batches))) == names(batches)


# -- what is in a batch


def collate(
    src: bboxconv.Dataset, size: int, crowd: bool = False, difficult: bool = True
) -> Iterator[list[dict[str, object]]]:
    """The images of a data set in groups, with the boxes that stay, by plain Python."""
    rows = []
    for image in src.to_table().to_pylist():
        if image["objects"] is None:
            continue
        image["objects"] = [
            one
            for one in image["objects"]
            if one["bbox"] is not None
            and not one["ignore"]
            and (crowd or not one["iscrowd"])
            and (difficult or not one["difficult"])
        ]
        rows.append(image)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def center(image: Mapping[str, object], box: Sequence[float]) -> list[float]:
    """The center and size in fractions of a corner and size in pixels."""
    x, y, w, h = box
    width, height = float(image["width"]), float(image["height"])  # type: ignore[arg-type]
    return [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]


SOURCES: list[tuple[str, Callable[[Path], object]]] = [
    ("parquet", lambda path: parquet(path / "a.parquet", images(50))),
    ("boxes", lambda path: parquet(path / "a.parquet", images(50), layout="boxes")),
    ("lines", lambda path: _lines(path / "a.jsonl", helpers.dataset(images(50)))),
    ("dataset", lambda path: helpers.dataset(images(50))),
    ("coco", lambda path: SAMPLE / "coco" / "instances_train.json"),
]


@pytest.mark.parametrize(("name", "make"), SOURCES, ids=[name for name, _ in SOURCES])
@pytest.mark.parametrize(("crowd", "difficult"), [("drop", "keep"), ("keep", "drop")])
def test_layouts(tmp_path: Path, name: str, make: Callable[[Path], object], crowd: str, difficult: str) -> None:
    """Every layout holds what a collate in plain Python makes of `read`, from every kind of source."""
    src = make(tmp_path)
    plain = src if isinstance(src, bboxconv.Dataset) else bboxconv.read(src)  # type: ignore[arg-type]
    assert plain.header.box.name == "xywh"
    groups = list(collate(plain, 8, crowd == "keep", difficult == "keep"))
    every = {
        layout: list(
            bboxconv.minibatches(src, 8, layout=layout, crowd=crowd, difficult=difficult, dtype="float64")  # type: ignore[arg-type]
        )
        for layout in ("flat", "list", "padded")
    }
    assert {len(found) for found in every.values()} == {len(groups)}
    for number, group in enumerate(groups):
        boxes = [[center(image, one["bbox"]) for one in image["objects"]] for image in group]  # type: ignore[attr-defined]
        labels = [[one["category"] for one in image["objects"]] for image in group]  # type: ignore[attr-defined]
        flat, listed, padded = (every[layout][number] for layout in ("flat", "list", "padded"))
        for batch in (flat, listed, padded):
            assert batch.file_names == tuple(image["file_name"] for image in group)
            assert batch.image_sizes.tolist() == [[image["width"], image["height"]] for image in group]
            assert batch.image_ids.tolist() == [-1 if image["id"] is None else image["id"] for image in group]
            assert (len(batch), batch.epoch, batch.number) == (len(group), 0, number)
        np.testing.assert_allclose(flat.boxes, np.reshape([*chain(*boxes)], (-1, 4)), rtol=1e-12)
        assert flat.labels.tolist() == [*chain(*labels)]
        assert flat.image_index.tolist() == [row for row, own in enumerate(labels) for _ in own]
        assert [target["labels"].tolist() for target in listed.targets] == labels
        most = max(map(len, boxes))
        assert padded.boxes.shape == (len(group), most, 4)
        for row, own in enumerate(boxes):
            np.testing.assert_allclose(listed.targets[row]["boxes"], np.reshape(own, (-1, 4)), rtol=1e-12)
            np.testing.assert_allclose(padded.boxes[row][: len(own)], np.reshape(own, (-1, 4)), rtol=1e-12)
            assert padded.labels[row].tolist() == labels[row] + [-1] * (most - len(own))
            assert padded.mask[row].tolist() == [True] * len(own) + [False] * (most - len(own))
            assert not padded.boxes[row][len(own) :].any()


def test_types(tmp_path: Path) -> None:
    """Boxes are float32 unless float64 is asked for, labels and numbers int64; nothing of a batch is another's."""
    path = parquet(tmp_path / "a.parquet", images(20))
    batches = list(bboxconv.minibatches(path, 5))
    first = batches[0]
    assert (first.boxes.dtype, first.labels.dtype, first.image_index.dtype) == (np.float32, np.int64, np.int64)
    assert (first.image_sizes.dtype, first.image_ids.dtype) == (np.int64, np.int64)
    assert all(batch.boxes.flags.owndata or batch.boxes.base.nbytes == batch.boxes.nbytes for batch in batches)
    first.boxes[:] = 9
    assert not (batches[1].boxes == 9).any()
    assert next(iter(bboxconv.minibatches(path, 5, dtype="float64"))).boxes.dtype == np.float64


def test_padding_to_a_number(tmp_path: Path) -> None:
    """`pad_to` gives each batch the same shape, and refuses an image with more boxes, by its name."""
    path = parquet(tmp_path / "a.parquet", [{"file_name": "a.jpg", "width": 9, "height": 9, "objects": [BOX] * 3}])
    (batch,) = bboxconv.minibatches(path, layout="padded", pad_to=5)
    assert batch.boxes.shape == (1, 5, 4)
    with pytest.raises(bboxconv.DataError, match=r"too-many-boxes.*\n.*a\.jpg\n.*pad_to=3"):
        list(bboxconv.minibatches(path, layout="padded", pad_to=2))


BOX: dict[str, object] = {"category": 0, "bbox": [1.0, 2.0, 3.0, 4.0]}


@pytest.mark.parametrize("layout", ["images", "boxes"])
def test_images_without_boxes(tmp_path: Path, layout: str) -> None:
    """Images without boxes stay unless `empty="drop"`; those at which nobody looked go unless they are asked for; an
    image whose boxes are all left out has none."""
    rows = [
        {"file_name": "boxes", "width": 9, "height": 9, "objects": [BOX]},
        {"file_name": "background", "width": 9, "height": 9, "objects": []},
        {"file_name": "unseen", "width": 9, "height": 9, "objects": None},
        {"file_name": "crowd", "width": 9, "height": 9, "objects": [{**BOX, "iscrowd": True}]},
    ]
    path = parquet(tmp_path / "a.parquet", rows, layout=layout)
    for src in (path, path.with_suffix(".jsonl")):
        assert names(bboxconv.minibatches(src)) == ["boxes", "background", "crowd"]
        dropped = bboxconv.minibatches(src, 1, empty="drop")
        assert (names(dropped), len(dropped), dropped.images) == (["boxes"], 1, 1)
        assert names(bboxconv.minibatches(src, empty="drop", crowd="keep")) == ["boxes", "crowd"]
        kept = bboxconv.minibatches(src, unannotated="keep")
        assert names(kept) == ["boxes", "background", "unseen", "crowd"]


def test_options_of_reading(tmp_path: Path) -> None:
    """Splits, classes, sizes and invalid boxes are treated as `convert` treats them."""
    rows = [
        {"file_name": "a.jpg", "split": "train", "objects": [BOX, {**BOX, "category": 1}]},
        {"file_name": "b.jpg", "split": "val", "objects": [{**BOX, "bbox": [90.0, 90.0, 30.0, 30.0]}]},
    ]
    path = parquet(tmp_path / "a.parquet", rows)
    assert names(bboxconv.minibatches(path, split=["val"], box="xywh")) == ["b.jpg"]
    (batch,) = bboxconv.minibatches(path, exclude_class=["cat"], image_size=(100, 50))
    assert (batch.labels.tolist(), batch.image_index.tolist()) == ([0], [0])
    assert batch.boxes.tolist() == [np.array([0.025, 0.08, 0.03, 0.08], np.float32).tolist()]
    assert batch.image_sizes.tolist() == [[100, 50], [100, 50]]
    (clipped,) = bboxconv.minibatches(path, split=["val"], image_size=(100, 100), box="xyxy", on_invalid="clip")
    assert clipped.boxes.tolist() == [[90, 90, 100, 100]]
    (kept,) = bboxconv.minibatches(path, split=["val"], box="xyxy")
    assert (kept.boxes.tolist(), kept.image_sizes.tolist()) == ([[90, 90, 120, 120]], [[0, 0]])


def test_folders_and_several_sources(tmp_path: Path) -> None:
    """A folder of Parquet files, and several sources of different formats with classes in another order, are one data
    set."""
    folder = tmp_path / "shards"
    folder.mkdir()
    parquet(folder / "a.parquet", images(30))
    parquet(folder / "b.parquet", images(20))
    for lines in folder.glob("*.jsonl"):
        lines.unlink()
    assert len(names(bboxconv.minibatches(folder, shuffle=True))) == 50
    other = _lines(
        tmp_path / "c.jsonl",
        helpers.dataset([{"file_name": "c.jpg", "width": 9, "height": 9, "objects": [BOX]}], ["dog", "cat"]),
    )
    batches = bboxconv.minibatches([folder / "a.parquet", other], 31, drop_last=True)
    assert [category.name for category in batches.categories] == ["cat", "dog"]
    (batch,) = batches
    assert (batch.file_names[-1], batch.labels[-1]) == ("c.jpg", 1)


def test_rows_of_an_image_over_row_groups(tmp_path: Path) -> None:
    """Rows of boxes that another tool grouped anew, an image over several groups, are the same images."""
    rows = images(40)
    path = parquet(tmp_path / "a.parquet", rows, layout="boxes")
    whole = [(batch.file_names, batch.boxes.tolist()) for batch in bboxconv.minibatches(path, 6)]
    table = pq.read_table(path)
    for size in (1, 2, 7):
        pq.write_table(table, tmp_path / "b.parquet", row_group_size=size)
        again = bboxconv.minibatches(tmp_path / "b.parquet", 6)
        assert [(batch.file_names, batch.boxes.tolist()) for batch in again] == whole
        assert bboxconv.read(tmp_path / "b.parquet").to_table().equals(bboxconv.read(path).to_table())


def test_no_more_columns_are_read_than_needed(tmp_path: Path) -> None:
    """A file from which another tool took the segmentations, areas and extra keys away serves as well."""
    path = parquet(tmp_path / "a.parquet", images(20), layout="boxes")
    few = pq.read_table(path).drop_columns(["segmentation", "area", "extra", "image_extra", "shape", "category"])
    pq.write_table(few, tmp_path / "b.parquet")
    assert names(bboxconv.minibatches(tmp_path / "b.parquet")) == names(bboxconv.minibatches(path))


def test_jax_and_torch_arrays(tmp_path: Path) -> None:
    """`arrays` says whose arrays a batch has; the numbers are the same."""
    path = parquet(tmp_path / "a.parquet", images(20))
    plain = next(iter(bboxconv.minibatches(path, layout="padded")))
    for library in ("torch", "jax"):
        module = pytest.importorskip(library)
        batch = next(iter(bboxconv.minibatches(path, layout="padded", arrays=library)))  # type: ignore[arg-type]
        kind = module.Tensor if library == "torch" else module.Array
        for name in ("boxes", "labels", "mask", "image_sizes", "image_ids"):
            assert isinstance(getattr(batch, name), kind)
            assert np.asarray(getattr(batch, name)).tolist() == getattr(plain, name).tolist()


# -- resumption


@pytest.mark.parametrize("source", ["a.parquet", "a.jsonl"])
def test_resumption_at_every_batch(tmp_path: Path, source: str) -> None:
    """After every batch, a new iterable that is given the state goes on with the batch that would have come, in the
    epoch in which it was, and begins the next one at its beginning."""
    parquet(tmp_path / "a.parquet", images(100))
    batches = bboxconv.minibatches(tmp_path / source, 7, shuffle=True, window=30)
    batches.set_epoch(3)
    whole = [batch.file_names for batch in batches]
    states = [batches.state_dict()]
    after = []
    for batch in batches:
        states.append(json.loads(json.dumps(batches.state_dict())))
        after.append(batches.state_after(batch))
    assert batches.state_dict() == states[0]
    assert after == states[1:]
    for number, state in enumerate(states):
        again = bboxconv.minibatches(tmp_path / source, 7, shuffle=True, window=30)
        again.load_state_dict(state)
        assert again.epoch == 3
        again.set_epoch(3)
        assert [batch.file_names for batch in again] == whole[number:]
        assert [batch.file_names for batch in again] == whole
    again.load_state_dict(states[5])
    again.set_epoch(4)
    assert len(names(again)) == 100


def test_a_state_of_something_else(tmp_path: Path) -> None:
    """A state is refused where the order is another, and where it is none."""
    path = parquet(tmp_path / "a.parquet", images(30))
    state = bboxconv.minibatches(path, 7, shuffle=True).state_dict()
    bboxconv.minibatches(path, 7, shuffle=True, layout="list", box="xyxy").load_state_dict(state)
    for other in (
        bboxconv.minibatches(path, 8, shuffle=True),
        bboxconv.minibatches(path, 7),
        bboxconv.minibatches(path, 7, shuffle=True, seed=1),
        bboxconv.minibatches(path, 7, shuffle=True, empty="drop"),
    ):
        with pytest.raises(bboxconv.UsageError, match="state-differs"):
            other.load_state_dict(state)
    with pytest.raises(bboxconv.UsageError, match="no state"):
        bboxconv.minibatches(path).load_state_dict({"epoch": 1})


# -- bad input


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1 on, not 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"window": 0}, "window must be"),
        ({"seed": -1}, "seed must be a whole number from 0 on"),
        ({"rank": 2, "world_size": 2}, "rank must be less than world_size, which is 2, not 2"),
        ({"rank": -1}, "rank must be"),
        ({"world_size": 0}, "world_size must be"),
        ({"layout": "flatt"}, "layout must be one of flat, list, padded"),
        ({"arrays": "tensor"}, "arrays must be one of numpy, torch, jax"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64"),
        ({"pad_to": 3}, "pad_to is for layout='padded'"),
        ({"pad_to": 0, "layout": "padded"}, "pad_to must be"),
        ({"crowd": "yes"}, "crowd must be one of keep, drop"),
        ({"batch_size": True}, "batch_size must be a whole number from 1 on, not True"),
        ({"shuffle": "no"}, "shuffle must be True or False, not 'no'"),
        ({"drop_last": 1}, "drop_last must be True or False, not 1"),
        ({"image_size": "640x480"}, "image_size must be (width, height), not '640x480'"),
        ({"image_size": 640}, "image_size must be (width, height), not 640"),
        ({"image_size": (0, 480)}, "image_size must be a whole number from 1 on, not 0"),
        ({"box": None}, "box must be the name of a box format, not None"),
        ({"box": "cxcywhm"}, "there is no box format 'cxcywhm'"),
        ({"from_": "coco", "src": "dataset"}, "from_ is for paths"),
    ],
)
def test_calls_that_are_wrong(tmp_path: Path, given: dict[str, object], said: str) -> None:
    """A value that cannot be is a UsageError that says what can."""
    src = helpers.dataset(images(3)) if given.pop("src", None) else parquet(tmp_path / "a.parquet", images(3))
    with pytest.raises(bboxconv.UsageError) as refused:
        bboxconv.minibatches(src, **given)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert refused.value.diagnostics[0].code in ("bad-argument", "unknown-box-format")


@pytest.mark.parametrize("src", [None, 5, [], [5], b"a.parquet", {"train": "a.parquet"}, pa.table({"xmin": [1]})])
def test_sources_that_are_none(src: object) -> None:
    """What is neither a path nor a data set is a UsageError."""
    with pytest.raises(bboxconv.UsageError, match=r"bad-argument.*src"):
        bboxconv.minibatches(src)  # type: ignore[arg-type]


def test_an_image_without_size(tmp_path: Path) -> None:
    """An image without a size in the middle of an epoch is a DataError that names the file, the image and what can be
    done; what is read without need of a size is not refused, and nor are images without boxes."""
    rows = [*images(60), {"file_name": "lost.jpg", "objects": [BOX]}, {"file_name": "none.jpg", "objects": []}]
    path = parquet(tmp_path / "a.parquet", rows)
    batches = iter(bboxconv.minibatches(path, 8))
    for _ in range(5):
        next(batches)
    with pytest.raises(bboxconv.DataError) as refused:
        list(batches)
    (only,) = refused.value.diagnostics
    assert (only.code, only.where) == ("missing-image-size", (f"{path}: image lost.jpg",))
    assert 'box="cxcywh" needs none' in only.hint
    assert "image_sizes=FILE" in only.hint
    assert len(names(bboxconv.minibatches(path, box="cxcywh"))) == 62
    assert len(names(bboxconv.minibatches(path, image_size=(100, 100)))) == 62
    with pytest.raises(bboxconv.DataError, match=r"missing-image-size.*\n.*a.jsonl: image lost.jpg"):
        bboxconv.minibatches(path.with_suffix(".jsonl"))


@pytest.mark.parametrize("layout", ["images", "boxes"])
def test_a_class_outside_the_header(tmp_path: Path, layout: str) -> None:
    """A class that the header does not have is a DataError that names the file and the image."""
    path = parquet(tmp_path / "a.parquet", images(20), layout=layout)
    metadata = pq.read_metadata(path).metadata[b"bboxconv"].decode()
    header = json.loads(metadata)
    header["categories"] = header["categories"][:1]
    lying = pq.read_table(path).replace_schema_metadata({"bboxconv": json.dumps(header)})
    pq.write_table(lying, path)
    with pytest.raises(bboxconv.DataError) as refused:
        list(bboxconv.minibatches(path))
    assert f"{path}: a category index is not one of the 1 of the header: 1, of a box of image " in str(refused.value)
    rows = [{"file_name": "a.jpg", "width": 9, "height": 9, "objects": [{**BOX, "category": 7}]}]
    with pytest.raises(bboxconv.DataError, match=r"unknown-class.*one of the 2 of the header\n.*image a.jpg.*class 7"):
        bboxconv.minibatches(helpers.dataset(rows))


def test_what_no_batch_can_hold(tmp_path: Path) -> None:
    """A box without a class, and one whose numbers are not finite in the type that was asked for, are faults."""
    rows = [{"file_name": "a.jpg", "width": 9, "height": 9, "objects": [{"bbox": [1.0, 1.0, 1.0, 1.0]}]}]
    with pytest.raises(bboxconv.DataError, match=r"missing-class(.|\n)*default_class"):
        bboxconv.minibatches(helpers.dataset(rows))
    rows[0]["objects"] = [{**BOX, "bbox": [1e300, 1.0, 1.0, 1.0]}]
    assert len(list(bboxconv.minibatches(helpers.dataset(rows), dtype="float64"))) == 1
    with pytest.raises(bboxconv.DataError, match="bad-number"):
        bboxconv.minibatches(helpers.dataset(rows))


@pytest.mark.parametrize("column", ["image", "annotated", "object"])
def test_rows_that_do_not_say_what_they_are(tmp_path: Path, column: str) -> None:
    """A null where a row says of which image it is, or what it is, is a DataError that names file and column."""
    path = parquet(tmp_path / "a.parquet", images(20), layout="boxes")
    table = pq.read_table(path)
    place = table.column_names.index(column)
    values = [*table.column(column).to_pylist()[:-1], None]
    pq.write_table(table.set_column(place, table.field(place), [pa.array(values, table.field(place).type)]), path)
    with pytest.raises(bboxconv.DataError, match=rf"bad-parquet.*\n.*a\.parquet: column '{column}' has nulls"):
        list(bboxconv.minibatches(path))
    with pytest.raises(bboxconv.DataError, match=f"column '{column}' has nulls"):
        list(bboxconv.read(path))


def test_parquet_of_another_tool(tmp_path: Path) -> None:
    """A Parquet file that bboxconv did not write is refused by name, with what is read and a way that works."""
    path = tmp_path / "a.parquet"
    rows = {"file_name": ["a.jpg"], "label": ["cat"], "xmin": [1.0], "ymin": [2.0], "xmax": [3.0], "ymax": [5.0]}
    pq.write_table(pa.table(rows), path)
    with pytest.raises(
        bboxconv.DataError,
        match=r"not-bboxconv-parquet(.|\n)*a\.parquet(.|\n)*hint: .*from_pandas\(pandas.read_parquet",
    ):
        bboxconv.minibatches(path)
    (batch,) = bboxconv.minibatches(bboxconv.from_pandas(pq.read_table(path).to_pandas()), box="xywh")
    assert batch.boxes.tolist() == [[1, 2, 2, 3]]


def test_nothing(tmp_path: Path) -> None:
    """A data set without images has no batches."""
    path = parquet(tmp_path / "a.parquet", [])
    for src in (path, helpers.dataset([])):
        for shuffle in (False, True):
            batches = bboxconv.minibatches(src, shuffle=shuffle)
            assert (len(batches), list(batches)) == (0, [])


@pytest.mark.parametrize("layout", ["images", "boxes"])
@pytest.mark.parametrize("group", [5, 40])
def test_a_file_that_was_replaced(tmp_path: Path, layout: str, group: int) -> None:
    """A Parquet file that is another one by now is a DataError that names it, whatever its row groups; one that was
    copied over itself is the same."""
    path = parquet(tmp_path / "a.parquet", images(60), layout=layout)
    batches = bboxconv.minibatches(path, 8)
    before = names(batches)
    shutil.copy(path, tmp_path / "same.parquet")
    (tmp_path / "same.parquet").replace(path)
    assert names(batches) == before
    under_way = iter(batches)
    next(under_way)
    parquet(tmp_path / "b.parquet", images(60), group, layout).replace(path)
    for iterator in (under_way, iter(batches)):
        with pytest.raises(bboxconv.DataError, match=r"source-changed(.|\n)*a\.parquet(.|\n)*hint: "):
            list(iterator)


def test_parts_that_give_other_images_than_were_counted() -> None:
    """A data set of a program, which can be read at will and has other images the second time, is a DataError."""
    sizes = iter([4, 3])

    class Numbered:
        images = 4

        def __call__(self, findings: Findings) -> Iterator[pa.RecordBatch]:
            return helpers.dataset(images(next(sizes))).stream()

    given = helpers.dataset(images(4))
    changing = bboxconv.Dataset(given.header, given.stream, parts=lambda: iter([Numbered()]), at_will=True)
    with pytest.raises(bboxconv.DataError, match="there are 3 images where 4 were counted"):
        list(bboxconv.minibatches(changing))


@pytest.mark.parametrize("empty", ["keep", "drop"])
@pytest.mark.parametrize("source", ["parquet", "jsonl"])
def test_splits(tmp_path: Path, source: str, empty: str) -> None:
    """A split may be given alone; one that the data do not have is a UsageError, and no epoch of nothing."""
    rows = [{**row, "split": "train" if number % 3 else "val"} for number, row in enumerate(images(30))]
    path = parquet(tmp_path / "a.parquet", rows).with_suffix(f".{source}")
    assert bboxconv.minibatches(path, split="val").images == 10
    assert bboxconv.minibatches(path, split=["val", "train"]).images == 30
    with pytest.raises(bboxconv.UsageError, match=r"there is no split 'trian'\n.*did you mean 'train'"):
        bboxconv.minibatches(path, split=["val", "trian"], empty=empty)


@pytest.mark.parametrize("empty", ["keep", "drop"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_standard_input(tmp_path: Path, format: str, empty: str) -> None:
    """What comes on standard input is there for every epoch, with its split."""
    path = parquet(tmp_path / "a.parquet", images(40)).with_suffix(f".{format}")
    script = f"""
import bboxconv
batches = bboxconv.minibatches("val=-", 8, from_="{format}", split="val", shuffle=True, empty="{empty}")
print([sum(map(len, batches)) for _ in range(2)], batches.images)
"""
    with path.open("rb") as given:
        done = subprocess.run([sys.executable, "-c", script], stdin=given, capture_output=True, text=True)
    count = bboxconv.minibatches(path, empty=empty).images  # type: ignore[arg-type]
    assert done.stdout == f"[{count}, {count}] {count}\n", done.stderr


def test_another_folder_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is that of the folder in which it was given."""
    parquet(tmp_path / "a.parquet", images(20))
    monkeypatch.chdir(tmp_path)
    batches = bboxconv.minibatches("a.parquet", 8)
    monkeypatch.chdir("/")
    assert len(names(batches)) == 20


def test_held_images_that_are_gone(tmp_path: Path) -> None:
    """Of mini-batches that hold their images, a copy outlives them not: it is a DataError, also where others hold
    theirs at the same place by then."""
    _lines(tmp_path / "a.jsonl", helpers.dataset(images(30)))
    batches = bboxconv.minibatches(tmp_path / "a.jsonl", 8, keep=0)
    copy = pickle.loads(pickle.dumps(batches))
    assert names(copy) == names(batches)
    del batches
    gc.collect()
    others = None
    for _ in range(2):
        with pytest.raises(bboxconv.DataError, match=r"held-images-gone(.|\n)*Parquet"):
            names(copy)
        others = others or bboxconv.minibatches(tmp_path / "a.jsonl", 8)
    assert len(names(others)) == 30


def test_an_iterator_keeps_its_epoch(tmp_path: Path) -> None:
    """An iterator gives the epoch that was chosen when it was made, and does not change the state of a later one."""
    batches = bboxconv.minibatches(parquet(tmp_path / "a.parquet", images(60)), 8, shuffle=True)
    expected = names(batches)
    begun, late = iter(batches), iter(batches)
    next(begun)
    batches.set_epoch(1)
    next(begun)
    assert batches.state_dict()["batch"] == 0
    found = list(late)
    assert {batch.epoch for batch in found} == {0}
    assert [name for batch in found for name in batch.file_names] == expected


def test_numbers_of_numpy(tmp_path: Path) -> None:
    """Whole numbers of numpy are whole numbers."""
    path = parquet(tmp_path / "a.parquet", images(30))
    batches = bboxconv.minibatches(path, np.int64(8), shuffle=True, seed=np.int32(3))  # type: ignore[arg-type]
    batches.set_epoch(np.int64(2))  # type: ignore[arg-type]
    same = bboxconv.minibatches(path, 8, shuffle=True, seed=3)
    same.set_epoch(2)
    assert names(batches) == names(same)
    assert batches.state_dict() == same.state_dict()
    assert type(batches.state_dict()["epoch"]) is int


@pytest.mark.parametrize("epoch", [-1, 1.5, "1", None, True])
def test_epochs_that_are_none(epoch: object) -> None:
    """An epoch is a whole number from 0 on."""
    with pytest.raises(bboxconv.UsageError, match="epoch must be a whole number from 0 on"):
        bboxconv.minibatches(helpers.dataset(images(3))).set_epoch(epoch)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [None, {"order": None}, {"batch": -1}, {"stride": 0}, {"epoch": "1"}, {"version": 2}, {"batch": True}]
)
def test_states_that_are_none(change: dict[str, object] | None) -> None:
    """What is no state is a UsageError, before anything is changed."""
    batches = bboxconv.minibatches(helpers.dataset(images(3)))
    state = {name: value for name, value in {**batches.state_dict(), **(change or {})}.items() if value is not None}
    with pytest.raises(bboxconv.UsageError, match="this is no state that `state_dict` gave"):
        batches.load_state_dict(state if change else None)  # type: ignore[arg-type]
    assert len(list(batches)) == 1


def test_large_ids_in_jax(tmp_path: Path) -> None:
    """Ids that JAX has no bits for are those of the source all the same, and float64 is refused where it has none."""
    pytest.importorskip("jax")
    rows = [{**row, "id": 2**40 + number} for number, row in enumerate(images(3))]
    (batch,) = bboxconv.minibatches(helpers.dataset(rows), arrays="jax")
    assert np.asarray(batch.image_ids).tolist() == [2**40, 2**40 + 1, 2**40 + 2]
    with pytest.raises(bboxconv.UsageError, match=r"float64(.|\n)*jax_enable_x64"):
        bboxconv.minibatches(helpers.dataset(rows), arrays="jax", dtype="float64")
