"""Classes: one list for several sources, names pinned by a file, renaming, merging and leaving out.

Everything here works on headers and on the `category` column; no box is looked at. An index map is an int32 array:
`index[old]` is the new index of a class, or -1 where the class is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bboxconv.errors import Diagnostic, Findings, UsageError
from bboxconv.schema import Category, Header, flat, keep_objects, with_objects
from bboxconv.suggest import did_you_mean

SHOWN = 10
"""How many names a message lists."""


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What becomes of the classes: the new ones, and for each old one its new index or -1 (left out)."""

    categories: tuple[Category, ...]
    index: NDArray[np.int32]


# -- several sources, one header


def unite(
    headers: Sequence[Header], findings: Findings, shown: Sequence[str] = ()
) -> tuple[tuple[Category, ...], list[NDArray[np.int32]]]:
    """One list of classes for several sources, and the index map of each source. `shown` names the sources in
    messages.

    - The same name is the same class. Equal names within one source stay separate classes; those of a later source
      are matched by id first, then in order.
    - Order: the sources' own where all have the same list; by id where every class has one and all differ; by code
      point where no class has an id and every source is in that order; else by first appearance.
    - The first source's id, supercategory and extra win; what it lacks comes from a later one. An id that another
      class has already is not taken over. Ids that are lost by this are warnings, `category-id-changed`.
    """
    union: list[Category] = []
    maps: list[NDArray[np.int32]] = []
    for number, header in enumerate(headers):
        where = shown[number] if number < len(shown) else f"source {number + 1}"
        index = _match(union, header.categories)
        taken = {category.id: category.name for category in union if category.id is not None}
        for position, new in enumerate(header.categories):
            holder = taken.get(new.id, new.name) if new.id is not None else new.name
            if holder != new.name:
                message = "a category id stands for another class in an earlier source and is left out"
                _id_changed(findings, message, where, f"id {new.id} of {new.name!r} belongs to {holder!r}")
                new = replace(new, id=None)
            entry = int(index[position])
            if entry < 0:
                index[position] = len(union)
                union.append(new)
                continue
            old = union[entry]
            if old.id is not None and new.id is not None and old.id != new.id:
                message = "a class has another category id in an earlier source, which is kept"
                _id_changed(findings, message, where, f"{new.name!r} has id {new.id} here, {old.id} before")
            union[entry] = Category(
                old.name,
                new.id if old.id is None else old.id,
                new.supercategory if old.supercategory is None else old.supercategory,
                new.extra if old.extra is None else old.extra,
            )
        maps.append(index)
    order = _order(headers, union)
    rank = np.empty(len(union), np.int32)
    rank[order] = np.arange(len(union), dtype=np.int32)
    return tuple(union[i] for i in order), [rank[index] for index in maps]


def _match(union: Sequence[Category], categories: Sequence[Category]) -> NDArray[np.int32]:
    """The entry of `union` for each class of a later source, or -1; no entry is given twice."""
    free: dict[str, list[int]] = {}
    for entry, category in enumerate(union):
        free.setdefault(category.name, []).append(entry)
    index = np.full(len(categories), -1, np.int32)
    for same_id in (True, False):
        for position, category in enumerate(categories):
            entries = free.get(category.name, [])
            found = next((e for e in entries if not same_id or union[e].id == category.id), None)
            if index[position] < 0 and found is not None:
                entries.remove(found)
                index[position] = found
    return index


def _order(headers: Sequence[Header], union: Sequence[Category]) -> list[int]:
    as_met = list(range(len(union)))
    if all(header.categories == headers[0].categories for header in headers):
        return as_met
    ids = [category.id for category in union if category.id is not None]
    if len(ids) == len(union) and len(set(ids)) == len(ids):
        return sorted(as_met, key=ids.__getitem__)
    lists = [[category.name for category in header.categories] for header in headers]
    if not ids and all(names == sorted(names) for names in lists):
        return sorted(as_met, key=lambda entry: union[entry].name)
    return as_met


def _id_changed(findings: Findings, message: str, where: str, detail: str) -> None:
    hint = "boxes follow the class name; only the number changes"
    findings.add("category-id-changed", message, severity="warning", where=where, detail=detail, hint=hint)


# -- rename, include, exclude, pin


def plan(
    categories: Sequence[Category],
    *,
    classes: Sequence[str] = (),
    class_map: Mapping[str, str] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> ClassPlan:
    """What becomes of the classes: first renamed, then included and excluded by their new names, then pinned.

    - `class_map`: all at once (`a=b`, `b=a` swaps). Classes that get the same name become one; it keeps the place,
      id, supercategory and extra of the one that had the name already, else of the first.
    - `include` (empty: all), then `exclude`.
    - `classes` pins the list: these names in this order, whatever the data holds, so that every split gets the same
      index. A name that the data lacks, or that was left out, is a class without boxes and without an id.

    Raises UsageError `unknown-class` where an option names a class that is not there, or where `classes` lacks one
    of the data; `duplicate-class` where `classes` holds a name twice.
    """
    renames = class_map or {}
    old_names = [category.name for category in categories]
    faults = _unknown("--class-map", renames, old_names)
    merged, index = _renamed(categories, renames)
    names = [category.name for category in merged]
    known = list(dict.fromkeys([*names, *classes]))
    faults += _unknown("--include-class", include, known) + _unknown("--exclude-class", exclude, known)
    kept = [(not include or name in include) and name not in exclude for name in names]
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        faults.append(Diagnostic("duplicate-class", f"--classes holds a name twice: {_listed(twice)}"))
    missing = list(dict.fromkeys(name for name, keep in zip(names, kept, strict=True) if keep and name not in classes))
    if classes and missing:
        faults.append(_unpinned(missing, classes))
    if faults:
        raise UsageError(faults)
    if classes:
        first = {category.name: category for category in reversed(merged)}
        after = tuple(first.get(name, Category(name)) for name in classes)
        position = {name: new for new, name in enumerate(classes)}
        moved = [position[name] if keep else -1 for name, keep in zip(names, kept, strict=True)]
    else:
        after = tuple(category for category, keep in zip(merged, kept, strict=True) if keep)
        moved = [new - 1 if keep else -1 for new, keep in zip(np.cumsum(kept).tolist(), kept, strict=True)]
    return ClassPlan(after, np.array(moved, np.int32)[index])


def _renamed(categories: Sequence[Category], renames: Mapping[str, str]) -> tuple[list[Category], NDArray[np.int32]]:
    """The classes after renaming, and the index map. Equal names that no renaming touched stay separate."""
    targets = {renames[category.name] for category in categories if category.name in renames}
    groups: dict[str | int, list[int]] = {}
    for position, category in enumerate(categories):
        name = renames.get(category.name, category.name)
        groups.setdefault(name if name in targets else position, []).append(position)
    keeper = [
        next((p for p in group if renames.get(categories[p].name, categories[p].name) == categories[p].name), group[0])
        for group in groups.values()
    ]
    index = np.empty(len(categories), np.int32)
    merged: list[Category] = []
    for place, group in sorted(zip(keeper, groups.values(), strict=True)):
        index[group] = len(merged)
        category = categories[place]
        merged.append(replace(category, name=renames.get(category.name, category.name)))
    return merged, index


def _unknown(option: str, words: Sequence[str] | Mapping[str, str], known: Sequence[str]) -> list[Diagnostic]:
    return [
        Diagnostic(
            "unknown-class",
            f"{option} names a class that the data does not have: {word!r}",
            hint=f"{did_you_mean(word, known)} the classes are: {_listed(list(dict.fromkeys(known)))}".strip(),
        )
        for word in dict.fromkeys(words)
        if word not in known
    ]


def _unpinned(missing: Sequence[str], classes: Sequence[str]) -> Diagnostic:
    near = [f"{name!r}: {meant}" for name in missing[:SHOWN] if (meant := did_you_mean(name, classes))]
    remedy = "add it to the file, rename it with --class-map, or leave it out with --exclude-class"
    return Diagnostic(
        "unknown-class",
        f"--classes lacks a class of the data: {_listed(missing)}",
        count=len(missing),
        hint="; ".join([*near, remedy]),
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(repr(name) for name in names[:SHOWN]) or "none") + more


def remap(batch: pa.RecordBatch, index: NDArray[np.int32]) -> tuple[pa.RecordBatch, int]:
    """The batch with new class indices, without the objects of classes that are left out, and how many those were.

    Objects without a class stay, and so does every image.
    """
    if np.array_equal(index, np.arange(len(index))):
        return batch, 0
    objects = flat(batch)
    column = objects.column("category")
    known = column.is_valid().to_numpy(zero_copy_only=False)
    codes = np.full(len(column), -1, np.int32)
    codes[known] = index[column.drop_null().to_numpy(zero_copy_only=False)]
    changed = objects.with_columns({"category": pa.array(codes, pa.int32(), mask=~known)})
    keep = ~known | (codes >= 0)
    return with_objects(batch, keep_objects(changed, keep)), int(np.count_nonzero(~keep))
