"""Mini-batches in torch's DataLoader: the same order for any number of workers, epochs, resumption."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import helpers
import pytest
from test_minibatches import images, parquet

import bboxconv
import bboxconv.torchdata

torch = pytest.importorskip("torch", reason="torch is not installed: the extra bboxconv[torch] installs it")
from torch.utils.data import DataLoader  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # on a machine of few cores
    pytest.mark.filterwarnings("ignore:os.fork"),  # of JAX, where another test has loaded it
]
WORKERS = pytest.mark.parametrize("workers", [0, 2, 3])


def loader(src: object, workers: int, persist: bool = False, **options: object) -> tuple[DataLoader, object]:
    """A DataLoader of shuffled mini-batches of four images, and its data set."""
    batches = bboxconv.minibatches(src, 4, shuffle=True, window=60, **options)  # type: ignore[arg-type]
    dataset = bboxconv.torchdata.iterable_dataset(batches)
    return DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=persist), dataset


def seen(batches: object) -> list[tuple[object, ...]]:
    """What is in each batch."""
    return [(batch.number, batch.file_names, batch.boxes.tolist(), batch.labels.tolist()) for batch in batches]  # type: ignore[attr-defined]


@WORKERS
@pytest.mark.parametrize("source", ["a.parquet", "a.jsonl"])
def test_the_same_batches_for_any_number_of_workers(tmp_path: Path, workers: int, source: str) -> None:
    """Each epoch has every image once, in the order of no workers, as tensors; `len` is the number of batches."""
    parquet(tmp_path / "a.parquet", images(150))
    alone = bboxconv.minibatches(tmp_path / source, 4, shuffle=True, window=60)
    loaded, dataset = loader(tmp_path / source, workers)
    assert len(loaded) == len(alone) == 38
    for epoch in (0, 1):
        alone.set_epoch(epoch)
        dataset.set_epoch(epoch)  # type: ignore[attr-defined]
        found = list(loaded)
        assert all(isinstance(batch.boxes, torch.Tensor) for batch in found)
        assert {batch.epoch for batch in found} == {epoch}
        assert seen(found) == seen(alone)
        assert sorted(str(name) for batch in found for name in batch.file_names) == sorted(
            f"{n}.jpg" for n in range(150)
        )


def test_a_list_of_targets_takes_few_files() -> None:
    """Workers send the targets of many images, also of none with boxes, within a limit of 150 open files."""
    script = """
import resource, sys
sys.path.insert(0, ".")
import torch, bboxconv, bboxconv.torchdata, helpers
from test_minibatches import images
resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))
rows = [{**row, "objects": row["objects"] if n < 400 else []} for n, row in enumerate(images(500))]
batches = bboxconv.minibatches(helpers.dataset(rows), 100, layout="list", crowd="keep")
loaded = torch.utils.data.DataLoader(bboxconv.torchdata.iterable_dataset(batches), batch_size=None, num_workers=2)
def plain(targets):
    return [{name: value.tolist() for name, value in target.items()} for target in targets]
for one, other in zip(loaded, batches, strict=True):
    assert plain(one.targets) == plain(other.targets) and one.file_names == other.file_names, one.number
    assert {value.dtype for target in one.targets for value in target.values()} == {torch.float32, torch.int64}
print("the same")
"""
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=here, timeout=120)
    assert done.stdout == "the same\n", done.stderr


def test_targets_that_were_changed_are_sent_as_they_are() -> None:
    """A copy of a list of targets has what someone put into them."""
    batch = next(iter(bboxconv.minibatches(helpers.dataset(images(9)), layout="list", arrays="torch")))
    batch.targets[3]["area"] = torch.ones(3)
    assert torch.equal(copy.deepcopy(batch).targets[3]["area"], torch.ones(3))
    batch.targets[:] = []
    assert copy.copy(batch).targets == []


@pytest.mark.parametrize("layout", ["flat", "list", "padded"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_batches_of_batches_are_refused(layout: str, batch_size: int) -> None:
    """A DataLoader without batch_size=None is told what it lacks."""
    dataset = bboxconv.torchdata.iterable_dataset(bboxconv.minibatches(helpers.dataset(images(9)), 2, layout=layout))  # type: ignore[arg-type]
    with pytest.raises(bboxconv.UsageError, match=r"batches already(.|\n)*batch_size=None"):
        next(iter(DataLoader(dataset, batch_size=batch_size)))


def test_workers_that_persist(tmp_path: Path) -> None:
    """`set_epoch` reaches workers that live longer than an epoch."""
    path = parquet(tmp_path / "a.parquet", images(150))
    plain, first = loader(path, 0)
    lasting, second = loader(path, 2, persist=True)
    for epoch in (0, 1, 5):
        first.set_epoch(epoch)  # type: ignore[attr-defined]
        second.set_epoch(epoch)  # type: ignore[attr-defined]
        assert seen(lasting) == seen(plain)


def test_workers_that_are_spawned() -> None:
    """Workers that are started anew, not forked, read what is held in a file without a name."""
    alone, dataset = loader(helpers.dataset(images(50)), 0)
    spawned = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="spawn")  # type: ignore[arg-type]
    assert seen(spawned) == seen(alone)


@WORKERS
@pytest.mark.parametrize("later", [0, 2, 3])
def test_resumption(tmp_path: Path, workers: int, later: int) -> None:
    """After some batches, whatever the workers have read ahead, another DataLoader with any number of workers goes on
    with the next batch, and has the whole of the epoch after it."""
    path = parquet(tmp_path / "a.parquet", images(60))
    loaded, dataset = loader(path, workers)
    dataset.set_epoch(2)  # type: ignore[attr-defined]
    whole = seen(loaded)
    stopped = iter(loaded)
    for _ in range(5):
        batch = next(stopped)
    state = dataset.state_after(batch)  # type: ignore[attr-defined]
    again, other = loader(path, later)
    other.load_state_dict(state)  # type: ignore[attr-defined]
    other.set_epoch(2)  # type: ignore[attr-defined]
    assert seen(again) == whole[5:]
    dataset.set_epoch(3)  # type: ignore[attr-defined]
    other.set_epoch(3)  # type: ignore[attr-defined]
    assert seen(again) == seen(loaded)


def test_the_states_of_workers(tmp_path: Path) -> None:
    """As torchdata's StatefulDataLoader does it: the state of each worker, saved and loaded in one of the same place,
    gives the batches that each had left; in another number of workers it is refused."""
    path = parquet(tmp_path / "a.parquet", images(60))
    batches = bboxconv.minibatches(path, 4, shuffle=True, window=20)
    for worker, taken in ((0, 3), (1, 2), (2, 0)):
        own = batches.share(worker, 3)
        for _ in range(taken):
            next(own)
        state = batches.state_dict()
        rest = seen(own)
        again = bboxconv.minibatches(path, 4, shuffle=True, window=20)
        again.load_state_dict(state)
        assert seen(again.share(worker, 3)) == rest
        assert seen(again.share(worker, 3)) == seen(batches.share(worker, 3))
    again.load_state_dict(state)
    with pytest.raises(bboxconv.UsageError, match="one worker of 3"):
        iter(again)


def test_ranks_and_workers(tmp_path: Path) -> None:
    """Two ranks with two workers each share the images without a gap and a duplicate."""
    path = parquet(tmp_path / "a.parquet", images(101))
    found = [str(n) for rank in (0, 1) for b in loader(path, 2, rank=rank, world_size=2)[0] for n in b.file_names]
    assert sorted(found) == sorted(f"{number}.jpg" for number in range(101))


def test_an_error_in_a_worker(tmp_path: Path) -> None:
    """What goes wrong in a worker is the DataError that names file, image and remedy."""
    rows = [*images(30), {"file_name": "lost.jpg", "objects": [{"category": 0, "bbox": [1.0, 1.0, 1.0, 1.0]}]}]
    path = parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(bboxconv.DataError, match=r"missing-image-size(.|\n)*a\.parquet: image lost\.jpg(.|\n)*hint: "):
        list(loader(path, 2)[0])


def test_torchdata_needs_no_import_of_its_own() -> None:
    """`import bboxconv` is enough for `bboxconv.torchdata`, as its documentation writes it."""
    script = "import bboxconv; print(bboxconv.torchdata.iterable_dataset.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "iterable_dataset\n", done.stderr


def test_torch_is_loaded_for_who_uses_it() -> None:
    """The library, and the module for torch, are imported without torch; where that is missing the error names the
    extra."""
    code = (
        "import sys\nsys.modules['torch'] = None\nimport bboxconv, bboxconv.torchdata, pathlib\n"
        "batches = bboxconv.minibatches(sys.argv[1])\n"
        "for use in (lambda: bboxconv.torchdata.iterable_dataset(batches),\n"
        "            lambda: bboxconv.minibatches(sys.argv[1], arrays='torch')):\n"
        "    try:\n        use()\n    except bboxconv.UsageError as error:\n        print(error)\n"
    )
    sample = Path(__file__).parents[1] / "examples" / "sample" / "coco" / "instances_train.json"
    said = subprocess.run([sys.executable, "-c", code, str(sample)], capture_output=True, text=True, check=True).stdout
    assert said.count("missing-library") == said.count("bboxconv[torch]") == 2


@pytest.mark.parametrize("layout", ["flat", "list", "padded"])
def test_a_batch_moves_to_a_device(tmp_path: Path, layout: str) -> None:
    """`to` moves every tensor of a batch, and leaves what is no tensor; a batch of numpy says that it cannot."""
    path = parquet(tmp_path / "a.parquet", images(6))
    (batch,) = bboxconv.minibatches(path, 6, layout=layout, arrays="torch")
    moved = batch.to("meta")
    assert type(moved) is type(batch)
    assert (moved.file_names, moved.epoch, moved.number) == (batch.file_names, 0, 0)
    tensors = [t for target in moved.targets for t in target.values()] if layout == "list" else [moved.boxes]
    assert {t.device.type for t in (*tensors, moved.image_sizes, moved.image_ids)} == {"meta"}
    assert batch.image_ids.device.type == "cpu"
    (plain,) = bboxconv.minibatches(path, 6, layout=layout)
    assert plain.pin_memory().image_ids is plain.image_ids
    with pytest.raises(TypeError, match=r'arrays="torch"'):
        plain.to("meta")
