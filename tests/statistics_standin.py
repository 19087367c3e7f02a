"""Statistics of a data set from its pandas frame, for tests of the page while `bboxconv.stats.collect` is not there."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bboxconv
from bboxconv.codec import Progress, silent
from bboxconv.report import Side
from bboxconv.request import Request
from bboxconv.statistics import ClassCount, Group, Histogram, Statistics


def collect(request: Request, progress: Progress = silent, by: str = "") -> Statistics:
    """The statistics of the sources of a request; boxes are taken as pixels with a corner and a size."""
    data = bboxconv.read(list(request.sources), from_=request.from_)
    table = data.to_table()
    frame = data.to_pandas()
    images = pd.DataFrame(
        {
            "split": table.column("split").to_pandas(),
            "n": [len(objects or []) for objects in table.column("objects").to_pylist()],
            "size": [f"{w}x{h}" for w, h in zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)],
        }
    )
    names = [category.name for category in data.header.categories]
    per_image = frame.groupby("category", observed=True)["file_name"].nunique()
    counts = frame["category"].value_counts()
    classes = tuple(
        ClassCount(c.name, c.id, int(counts.get(c.name, 0)), int(per_image.get(c.name, 0)))
        for c in data.header.categories
    )
    assert len(names) == len(classes)
    group = _group("", images, frame)
    splits = [
        _group(name, images[images["split"] == name], frame[frame["split"] == name])
        for name in images["split"].dropna().unique()
    ]
    sides = tuple(Side(source, data.header.source) for source in request.sources)
    return Statistics(sides, data.header.box.name, group, tuple(splits), classes)


def _group(name: str, images: pd.DataFrame, frame: pd.DataFrame) -> Group:
    corners = [column for column in ("x1", "x", "cx") if column in frame]
    first = list(frame.columns).index(corners[0])
    a, b, c, d = (frame.iloc[:, first + at].to_numpy(float) for at in range(4))
    w, h = (c - a, d - b) if corners[0] == "x1" else (c, d)
    cx, cy = (a, b) if corners[0] == "cx" else (a + w / 2, b + h / 2)
    width, height = (frame[side].to_numpy(float) for side in ("width", "height"))
    area = w * h
    edges = (0, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, np.inf)
    ratios = (0, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, np.inf)
    many = (*range(11), 15, 20, 30, 50, 100, np.inf)
    with np.errstate(all="ignore"):
        grid, _, _ = np.histogram2d(cy / height, cx / width, bins=10, range=((0, 1), (0, 1)))
        relative, ratio = area / (width * height), w / h
    return Group(
        name=name,
        images=len(images),
        boxes=len(frame),
        empty_images=int((images["n"] == 0).sum()),
        flags={flag: _marked(frame[flag]) for flag in ("iscrowd", "difficult")},
        sizes={
            "small": int((area < 1024).sum()),
            "medium": int(((area >= 1024) & (area < 9216)).sum()),
            "large": int((area >= 9216).sum()),
            "unknown": int(np.isnan(area).sum()),
        },
        boxes_per_image=_histogram(images["n"].to_numpy(float), many),
        relative_areas=_histogram(relative, edges),
        aspect_ratios=_histogram(ratio, ratios),
        positions=tuple(tuple(int(n) for n in row) for row in grid),
        image_sizes={str(size): int(n) for size, n in images["size"].value_counts().head(10).items()},
    )


def _marked(column: pd.Series) -> int:
    return int((pd.to_numeric(column).to_numpy(float, na_value=0) > 0).sum())


def _histogram(values: np.ndarray, edges: tuple[float, ...]) -> Histogram:
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    return Histogram(tuple(float(edge) for edge in edges), tuple(int(n) for n in counts))
