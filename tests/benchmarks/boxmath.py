"""`convert_boxes` and `corner_to_center` against what is written by hand: in one process, in turn.

python tests/benchmarks/boxmath.py COUNT RUNS      prints {pair: {"bboxconv": [seconds], "numpy": [seconds]}}

`corner_to_center` on numpy is held to the best numpy known here, which fills the result block by block; on torch, where
that is installed, to torchvision's formula.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bboxconv import convert_boxes, corner_to_center

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


def best_by_hand(boxes: Array) -> Array:
    """Corners to centres without an array between, in blocks that stay in the cache."""
    result = np.empty_like(boxes)
    for start in range(0, len(boxes), 16_384):
        old, new = boxes[start : start + 16_384], result[start : start + 16_384]
        for axis in (0, 1):
            np.add(old[:, axis], old[:, axis + 2], out=new[:, axis])
            new[:, axis] *= 0.5
            np.subtract(old[:, axis + 2], old[:, axis], out=new[:, axis + 2])
    return result


def of_torchvision(boxes: Any) -> Any:
    """torchvision.ops._box_convert._box_xyxy_to_cxcywh."""
    import torch

    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def in_turn(tools: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each tool, one after the other in each run, after a warm-up."""
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    for run in range(runs + 1):
        for tool, convert in tools.items():
            began = time.perf_counter()
            convert()
            if run:
                times[tool].append(time.perf_counter() - began)
    return times


def center_of_corner(pixels: Array, runs: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of `corner_to_center` on numpy and, where it is installed, on torch."""
    assert np.array_equal(corner_to_center(pixels), best_by_hand(pixels))
    tools = {"bboxconv": lambda: corner_to_center(pixels), "numpy": lambda: best_by_hand(pixels)}
    times = {"corner_to_center": in_turn(tools, runs)}
    try:
        import torch
    except ImportError:
        return times
    tensor = torch.from_numpy(pixels.astype(np.float32))
    assert torch.equal(corner_to_center(tensor), of_torchvision(tensor))
    tools = {"bboxconv": lambda: corner_to_center(tensor), "torchvision's formula": lambda: of_torchvision(tensor)}
    return times | {"corner_to_center torch": in_turn(tools, runs)}


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
        tools: dict[str, Callable[[], object]] = {
            "bboxconv": lambda b=boxes, s=source, t=target: convert_boxes(b, s, t, sizes),
            "numpy": lambda b=boxes, e=expression: by_hand(b, sizes, e),
        }
        np.testing.assert_allclose(convert_boxes(boxes, source, target, sizes), by_hand(boxes, sizes, expression))
        times[pair] = in_turn(tools, runs)
    return times | center_of_corner(pixels, runs)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
