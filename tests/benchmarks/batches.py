"""Images per second in shuffled mini-batches of 64, boxes as centers in fractions: bboxconv from Parquet, pycocotools
with a collate in plain Python, and a map-style loop of Hugging Face's `datasets`, each alone on one core.

    python tests/benchmarks/batches.py /tmp/bench/1 [--images 20000]

The folder is one that inputs.py prepares. What is timed is an epoch; opening stands beside it. The peers see `--images`
of the images, bboxconv all. `datasets` reads a copy of the Parquet file without the columns that nobody looks at.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SIZE = 64
EPOCHS, PEER_EPOCHS = 5, 3
Batch = tuple[object, object, object]


def ours(root: Path, count: int) -> Iterator[Callable[[], int]]:
    """bboxconv: all images, flat."""
    import bboxconv

    batches = bboxconv.minibatches(root / "boxes.parquet", SIZE, shuffle=True)
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        yield lambda: sum(len(batch) for batch in batches)


def pycocotools(root: Path, count: int) -> Iterator[Callable[[], int]]:
    """pycocotools' index, and the loop that stands in many a training script."""
    import numpy as np
    from pycocotools.coco import COCO

    coco = COCO(str(root / "views" / "coco" / "annotations" / "instances_train.json"))
    classes = {number: index for index, number in enumerate(coco.getCatIds())}
    ids = coco.getImgIds()

    def collate(chosen: list[int]) -> Batch:
        boxes, labels, index = [], [], []
        for place, image in enumerate(coco.loadImgs(chosen)):
            width, height = image["width"], image["height"]
            for one in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]], iscrowd=False)):
                x, y, w, h = one["bbox"]
                boxes.append([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])
                labels.append(classes[one["category_id"]])
                index.append(place)
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(index, np.int64)

    yield from [_epoch(ids, count, collate)] * PEER_EPOCHS


def datasets(root: Path, count: int) -> Iterator[Callable[[], int]]:
    """`datasets`, which takes the rows of a batch at once, and the same loop."""
    import numpy as np
    from datasets import Dataset

    with tempfile.TemporaryDirectory() as cache:
        slim = Path(cache) / "slim.parquet"
        _slim(root / "boxes.parquet", slim)
        data = Dataset.from_parquet(str(slim), cache_dir=cache)

        def collate(chosen: list[int]) -> Batch:
            rows = data[chosen]
            boxes, labels, index = [], [], []
            sizes = zip(rows["width"], rows["height"], rows["objects"], strict=True)
            for place, (width, height, objects) in enumerate(sizes):
                for one in objects:
                    if not one["iscrowd"]:
                        x, y, w, h = one["bbox"]
                        boxes.append([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])
                        labels.append(one["category"])
                        index.append(place)
            return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(index, np.int64)

        yield from [_epoch(list(range(len(data))), count, collate)] * PEER_EPOCHS


def _epoch(ids: list[int], count: int, collate: Callable[[list[int]], Batch]) -> Callable[[], int]:
    random.Random(0).shuffle(ids)
    chosen = ids[:count]

    def run() -> int:
        for start in range(0, len(chosen), SIZE):
            collate(chosen[start : start + SIZE])
        return len(chosen)

    return run


def _slim(source: Path, out: Path) -> None:
    """A copy with the columns that a mini-batch is made of."""
    import pyarrow.parquet as pq

    inner = [f"objects.list.element.{name}" for name in ("category", "bbox", "iscrowd")]
    table = pq.ParquetFile(source).read(columns=["id", "file_name", "width", "height", *inner])
    pq.write_table(table.replace_schema_metadata(None), out)


PEERS = {"bboxconv": ours, "pycocotools": pycocotools, "datasets": datasets}


def measure(name: str, root: Path, count: int) -> dict[str, float]:
    """Seconds to open, images per second of the first and of the fastest epoch, peak megabytes: in this process, on one
    core. An epoch is timed in seconds of the processor, so that other programs of the machine do not count."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began = time.perf_counter()
    opened, rates = 0.0, []
    for epoch in PEERS[name](root, count):
        opened = opened or time.perf_counter() - began
        started = time.process_time()
        images = epoch()
        rates.append(images / (time.process_time() - started))
    return {"opened": opened, "first": rates[0], "rate": max(rates), "megabytes": _peak()}


def _peak() -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), float("nan"))


def main() -> None:
    """Measure all three in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.root, given.images)))
        return
    found = {}
    for name in (*PEERS, "bboxconv"):  # once more at the end: the machine's speed drifts
        if name != "bboxconv" and importlib.util.find_spec(name) is None:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        words = [sys.executable, __file__, str(given.root), "--images", str(given.images), "--one", name]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        row = json.loads(said.splitlines()[-1])
        if name not in found or row["rate"] > found[name]["rate"]:
            found[name] = row
    own = found["bboxconv"]["rate"]
    print("| | images/s | first epoch | bboxconv is | opening | peak memory |\n|---|---:|---:|---:|---:|---:|")
    for name, row in found.items():
        times = "" if name == "bboxconv" else f"{own / row['rate']:.1f} times as fast"
        print(
            f"| {name} | {row['rate']:,.0f} | {row['first']:,.0f} | {times} | {row['opened']:.1f} s | {row['megabytes']:.0f} MB |"
        )


if __name__ == "__main__":
    main()
