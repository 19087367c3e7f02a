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
    each group is one image. Each part has its share of images without a class, too."""
    count = len(census.sizes)
    grouped = census.sizes.max(initial=0) > 1
    order = shuffled(count, seed)
    if grouped:  # large ones first, while there is room for them
        order = order[np.argsort(-census.sizes[order], kind="stable")]
    part = np.full(count, -1, np.int64)
    room = [float(size) for size in sizes]
    total = max(sum(sizes), 1)
    if not grouped:
        bare = order[np.bincount(census.pairs[:, 0], minlength=count)[order] == 0]
        own = shares(len(bare), [Fraction(size, total) for size in sizes]) if len(bare) else []
        part[bare] = np.repeat(np.arange(len(own)), own)
        room = [left - taken for left, taken in zip(room, own or [0] * len(room), strict=True)]
    _deal_by_class(census, order, part, room, [size / total for size in sizes])
    rest = order[part[order] < 0]
    for group, size in zip(rest.tolist(), census.sizes[rest].tolist(), strict=True):
        chosen = _neediest(room, room, size)
        part[group] = chosen
        room[chosen] -= size
    return part


def _deal_by_class(
    census: Census, order: NDArray[np.int64], part: NDArray[np.int64], room: list[float], fractions: Sequence[float]
) -> None:
    """Give every group that has a class a part, and take its images from the room that there is."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    group_of, class_of = census.pairs.T
    starts = np.searchsorted(group_of, np.arange(len(order) + 1)).tolist()
    images = np.bincount(class_of, census.weights, minlength=census.classes)
    wants = [[float(count) * fraction for fraction in fractions] for count in images]
    by_class = np.argsort(class_of, kind="stable")
    edges = np.searchsorted(class_of[by_class], np.arange(census.classes + 1))
    classes, weights = class_of.tolist(), census.weights.tolist()  # small numbers, which Python has but once
    for rare in np.argsort(np.diff(edges), kind="stable").tolist():
        groups = group_of[by_class[edges[rare] : edges[rare + 1]]]
        groups = groups[part[groups] < 0]
        groups = groups[np.argsort(place[groups])]
        for group, size in zip(groups.tolist(), census.sizes[groups].tolist(), strict=True):
            chosen = _neediest(wants[rare], room, size)
            part[group] = chosen
            room[chosen] -= size
            at, end = starts[group], starts[group + 1]
            for other, weight in zip(classes[at:end], weights[at:end], strict=True):
                wants[other][chosen] -= weight


def _neediest(wants: Sequence[float], room: Sequence[float], size: int) -> int:
    """The part that lacks most, of those that have room for so many images; else the one with most room."""
    best = -1
    for at, left in enumerate(room):
        if left >= size and (best < 0 or (wants[at], left) > (wants[best], room[best])):
            best = at
    return best if best >= 0 else max(range(len(room)), key=lambda at: (room[at], -at))
