"""A COCO file of train2017's shape, from a seed: 118,287 images, 860,001 annotations, polygons of the same lengths,
1.2 % crowd with RLE, some 445 MB.

    python tests/benchmarks/generate.py instances.json [--scale 0.0625] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

IMAGES, ANNOTATIONS, CATEGORIES = 118_287, 860_001, 80
CROWDED = 50_000
"""One image has a hundredth of all boxes, and so many at most."""
CHUNK = 20_000


def categories() -> list[dict[str, object]]:
    """80 categories with ids from 1 to 90 with gaps, as COCO has them."""
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    ids = [number for number in range(1, 91) if number not in gaps]
    return [{"supercategory": f"group {number % 12}", "id": number, "name": f"class {number}"} for number in ids]


def write(path: Path, scale: float = 1.0, seed: int = 0) -> tuple[int, int]:
    """Write the file; returns how many images and annotations it has."""
    random = np.random.default_rng(seed)
    images, annotations = max(1, round(IMAGES * scale)), max(1, round(ANNOTATIONS * scale))
    ids = np.sort(random.choice(600_000 * max(1, round(scale)), images, replace=False))
    order = random.permutation(images)
    widths, heights = random.choice([640, 500, 480, 427, 612], images), random.choice([480, 640, 427, 375, 612], images)
    category_ids = np.array([category["id"] for category in categories()])
    crowded = min(0.01, CROWDED / annotations)
    with path.open("w", encoding="ascii") as file:
        file.write(
            '{"info": {"description": "generated", "version": "1.0", "year": 2026}, "licenses": [{"url": "x", "id": 1, "name": "none"}], "images": ['
        )
        for start in range(0, images, CHUNK):
            rows = [
                f'{{"license": {i % 8 + 1}, "file_name": "{ids[i]:012d}.jpg", "coco_url": "http://images.example.org/train2017/{ids[i]:012d}.jpg", '
                f'"height": {heights[i]}, "width": {widths[i]}, "date_captured": "2013-11-14 17:02:{i % 60:02d}", '
                f'"flickr_url": "http://farm{i % 9}.staticflickr.example.org/{i % 9999}/{ids[i]}_z.jpg", "id": {ids[i]}}}'
                for i in order[start : start + CHUNK].tolist()
            ]
            file.write((", " if start else "") + ", ".join(rows))
        file.write('], "annotations": [')
        for start in range(0, annotations, CHUNK):
            count = min(CHUNK, annotations - start)
            file.write(
                (", " if start else "")
                + ", ".join(_annotations(random, start, count, crowded, ids, widths, heights, category_ids))
            )
        file.write('], "categories": ' + json.dumps(categories()) + "}")
    return images, annotations


def _annotations(
    random: np.random.Generator,
    start: int,
    count: int,
    crowded: float,
    ids: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
    category_ids: np.ndarray,
) -> list[str]:
    image = np.minimum((random.beta(0.9, 1.1, count) * len(ids)).astype(int), len(ids) - 1)
    image[random.random(count) < crowded] = 0
    w = np.round(np.maximum(1, widths[image] * random.beta(0.7, 3, count)), 2)
    h = np.round(np.maximum(1, heights[image] * random.beta(0.7, 3, count)), 2)
    x, y = (
        np.round((widths[image] - w) * random.random(count), 2),
        np.round((heights[image] - h) * random.random(count), 2),
    )
    points = np.clip(random.lognormal(2.85, 0.75, count), 4, 400).astype(int)
    crowd = random.random(count) < 0.012
    numbers = np.round(random.random(int(points.sum()) * 2) * 600, 2).astype("U6").tolist()
    category = category_ids[(random.random(count) ** 2 * len(category_ids)).astype(int)]
    rows, at = [], 0
    for i in range(count):
        if crowd[i]:
            height, width, runs = int(heights[image[i]]), int(widths[image[i]]), int(points[i]) * 4
            counts = [height * width // runs] * (runs - 1) + [height * width // runs + height * width % runs]
            shape = f'{{"counts": {counts}, "size": [{height}, {width}]}}'
        else:
            shape = f"[[{', '.join(numbers[at : at + 2 * points[i]])}]]"
        at += 2 * points[i]
        rows.append(
            f'{{"segmentation": {shape}, "area": {w[i] * h[i] * 0.6:.4f}, "iscrowd": {int(crowd[i])}, "image_id": {ids[image[i]]}, '
            f'"bbox": [{x[i]:.6g}, {y[i]:.6g}, {w[i]:.6g}, {h[i]:.6g}], "category_id": {category[i]}, "id": {start + i + 1}}}'
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.path, given.scale, given.seed)
