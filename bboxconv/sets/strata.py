"""Groups of images dealt out to parts, so that each part has its share of every class: the rarest class first, each
group to the part that lacks most of it (Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data,
2011). Pure functions of numbers, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bboxconv.minibatch.order import shuffled
from bboxconv.sets.census import Census


def shares(total: int, parts: Sequence[Fraction]) -> list[int]:
    """The sizes of parts that add up to `total`, each its fraction rounded down or up: by the largest remainders, of
    equal ones the first. The fractions add up to 1."""
    exact = [total * part for part in parts]
    sizes = [int(share) for share in exact]
    order = sorted(range(len(parts)), key=lambda at: (sizes[at] - exact[at], at))
    for at in order[: total - sum(sizes)]:
        sizes[at] += 1
    return sizes


def dealt(census: Census, sizes: Sequence[int], seed: int) -> NDArray[np.int64]:
    """The part (G,) of each group: of so many images, as near as whole groups come to it, and exactly so many where
    each group is one image."""
    count, parts = len(census.sizes), len(sizes)
    order = shuffled(count, seed)
    if census.sizes.max(initial=0) > 1:  # large ones first, while there is room for them
        order = order[np.argsort(-census.sizes[order], kind="stable")]
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    part = np.full(count, -1, np.int64)
    room = [float(size) for size in sizes]
    total = max(sum(sizes), 1)
    starts = np.searchsorted(census.pairs[:, 0], np.arange(count + 1)).tolist()
    of_class = np.bincount(census.pairs[:, 1], census.weights, minlength=census.classes)
    wants = [[float(of_class[one]) * size / total for size in sizes] for one in range(census.classes)]
    by_class = np.argsort(census.pairs[:, 1], kind="stable")
    edges = np.searchsorted(census.pairs[by_class, 1], np.arange(census.classes + 1))
    rare = np.argsort(np.bincount(census.pairs[:, 1], minlength=census.classes), kind="stable")
    for one in rare.tolist():
        groups = census.pairs[by_class[edges[one] : edges[one + 1]], 0]
        groups = groups[part[groups] < 0]
        groups = groups[np.argsort(place[groups])]
        for group, size in zip(groups.tolist(), census.sizes[groups].tolist(), strict=True):
            chosen = _neediest(wants[one], room, size)
            part[group] = chosen
            room[chosen] -= size
            at, end = starts[group], starts[group + 1]
            for other, weight in zip(census.pairs[at:end, 1].tolist(), census.weights[at:end].tolist(), strict=True):
                wants[other][chosen] -= weight
    rest = order[part[order] < 0]
    if census.sizes.max(initial=0) <= 1:
        part[rest] = np.repeat(np.arange(parts), [int(left) for left in room])
        return part
    for group, size in zip(rest.tolist(), census.sizes[rest].tolist(), strict=True):
        chosen = _neediest(room, room, size)
        part[group] = chosen
        room[chosen] -= size
    return part


def _neediest(wants: Sequence[float], room: Sequence[float], size: int) -> int:
    """The part that lacks most, of those that have room for so many images; else the one with most room."""
    fitting = [at for at, left in enumerate(room) if left >= size]
    if not fitting:
        return max(range(len(room)), key=lambda at: (room[at], -at))
    return max(fitting, key=lambda at: (wants[at], room[at], -at))
