"""`convert_boxes` against numpy expressions written by hand for each pair of formats: in one process, in turn.

python tests/benchmarks/boxmath.py COUNT RUNS      prints {pair: {"bboxconv": [seconds], "numpy": [seconds]}}
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bboxconv import convert_boxes

Array = NDArray[np.float64]
Columns = tuple[Array, Array, Array, Array]


def xyxy_xywh(x1: Array, y1: Array, x2: Array, y2: Array, w: Array, h: Array) -> Columns:
    return x1, y1, x2 - x1, y2 - y1


def xywh_xyxy(x: Array, y: Array, bw: Array, bh: Array, w: Array, h: Array) -> Columns:
    return x, y, x + bw, y + bh


def xyxy_cxcywh(x1: Array, y1: Array, x2: Array, y2: Array, w: Array, h: Array) -> Columns:
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def xywh_cxcywhn(x: Array, y: Array, bw: Array, bh: Array, w: Array, h: Array) -> Columns:
    return (x + bw / 2) / w, (y + bh / 2) / h, bw / w, bh / h


def cxcywhn_xywh(cx: Array, cy: Array, bw: Array, bh: Array, w: Array, h: Array) -> Columns:
    return (cx - bw / 2) * w, (cy - bh / 2) * h, bw * w, bh * h


def cxcywhn_xyxy(cx: Array, cy: Array, bw: Array, bh: Array, w: Array, h: Array) -> Columns:
    return (cx - bw / 2) * w, (cy - bh / 2) * h, (cx + bw / 2) * w, (cy + bh / 2) * h


def by_hand(boxes: Array, sizes: Array, expression: Callable[..., Columns]) -> Array:
    """An expression of columns written into a new array: faster than np.stack or np.concatenate, which copy twice."""
    result = np.empty_like(boxes)
    for column, numbers in enumerate(expression(*boxes.T, *sizes.T)):
        result[:, column] = numbers
    return result


PAIRS: dict[str, Callable[..., Columns]] = {
    "xyxy xywh": xyxy_xywh,
    "xywh xyxy": xywh_xyxy,
    "xyxy cxcywh": xyxy_cxcywh,
    "xywh cxcywhn": xywh_cxcywhn,
    "cxcywhn xywh": cxcywhn_xywh,
    "cxcywhn xyxy": cxcywhn_xyxy,
}


def main(count: int, runs: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each pair; scaled pairs have a size for each box."""
    random = np.random.default_rng(0)
    near, far = random.random((count, 2)) * 300, random.random((count, 2)) * 300
    sizes = random.choice([480.0, 612.0, 640.0], (count, 2))
    pixels = np.concatenate([near, near + far], axis=1)
    times: dict[str, dict[str, list[float]]] = {}
    for pair, expression in PAIRS.items():
        source, target = pair.split()
        boxes = pixels / 640 if source.endswith("n") else pixels
        tools: dict[str, Callable[[], Array]] = {
            "bboxconv": lambda b=boxes, s=source, t=target: convert_boxes(b, s, t, sizes),
            "numpy": lambda b=boxes, e=expression: by_hand(b, sizes, e),
        }
        np.testing.assert_allclose(tools["bboxconv"](), tools["numpy"]())
        times[pair] = {tool: [] for tool in tools}
        for _ in range(runs):
            for tool, convert in tools.items():
                began = time.perf_counter()
                convert()
                times[pair][tool].append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
