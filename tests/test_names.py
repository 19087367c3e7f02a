"""Columns of names: order, encoding, and what they hold."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from bboxconv import io
from bboxconv.codec import ReadContext, Source
from bboxconv.errors import Findings
from bboxconv.formats.voc.lists import Files, list_files
from bboxconv.formats.yolo.tree import Tree, find_tree
from bboxconv.names import Names

T = TypeVar("T")

ODD = ["b.xml", "a/z.xml", "a.xml", "é.xml", "😀.xml", "\uffee.xml", "a b.xml", "a-b.xml", "A.XML", "a.xml.xml", "\x7f"]
NOT_UTF8 = os.fsdecode(b"\xff\xc3.xml")


def held_by(make: Callable[[], T]) -> tuple[T, int]:
    """What is made, and the bytes of Python objects that stay with it; those of Arrow are not among them."""
    make()  # whatever is loaded with the first
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("names", [[], ["a"], [""], ODD, [*ODD, NOT_UTF8, "\ue000", "\ud800"], ODD * 3000])
def test_names_are_what_they_were_in_the_order_of_their_code_points(names: list[str]) -> None:
    """One by one, in slices and all together, those that are not UTF-8 too."""
    column, ordered = Names.of(iter(names)), sorted(names)
    placed = column.sorted()
    assert (list(column), list(placed), len(column)) == (names, ordered, len(names))
    assert [placed[number] for number in range(-len(names), 0)] == ordered
    assert [placed[number] for number in range(len(names))] == ordered
    assert placed[3:9] == tuple(ordered[3:9])
    assert column.all_text() == (NOT_UTF8 not in names)


def test_names_below_a_folder_begin_with_its_path() -> None:
    """Whether they are taken one by one, in slices or all together."""
    column = Names(Names.of(["b", "é"]).column, "a/")
    assert (column[0], column[-1], column[:], list(column)) == ("a/b", "a/é", ("a/b", "a/é"), ["a/b", "a/é"])
    assert list(column.ending("b")) == ["a/b"]


def test_a_million_names_hold_no_object_for_each() -> None:
    """Names take their bytes and eight more."""
    count = 100_000
    names, objects = held_by(lambda: Names.of(f"{number:08d}.xml" for number in range(count, 0, -1)).sorted())
    assert objects < count / 10
    assert names.column.nbytes <= 21 * count


def test_the_listing_of_a_folder_holds_no_object_for_each_file(tmp_path: Path) -> None:
    """Neither the listing itself, which is remembered, nor what asks it for the files of a suffix."""
    count = 3_000
    for number in range(count):
        (tmp_path / f"{number:08d}.xml").touch()

    def listed() -> Names:
        io._listing.cache_clear()
        return io.listing(tmp_path).ending(".xml")

    names, objects = held_by(listed)
    assert len(names) == count
    assert objects < 10 * count


@pytest.mark.parametrize("split", [None, "train"])
def test_a_folder_of_voc_files_holds_no_object_for_each(tmp_path: Path, split: str | None) -> None:
    """Neither its paths nor their splits."""
    count = 3_000
    (tmp_path / "Annotations").mkdir()
    for number in range(count):
        (tmp_path / f"Annotations/{number:08d}.xml").touch()

    def found() -> Files:
        io._listing.cache_clear()
        return list_files(Source(tmp_path, split), Findings())

    files, objects = held_by(found)
    assert files.paths[-1] == "Annotations/00002999.xml"
    assert files.splits(slice(2, 4)) == [(split,) if split else ()] * 2
    assert objects < 10 * count


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_voc_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """Folders stand among files by code point; a name that is not UTF-8 is told and left out."""
    there = [name for name in ODD if name.lower().endswith(".xml")]
    for name in [*there, NOT_UTF8]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    findings = Findings()
    assert list(list_files(Source(tmp_path), findings).paths) == sorted(there)
    assert [finding.code for finding in findings] == ["bad-encoding"]


@pytest.mark.parametrize("images", [False, True])
def test_a_folder_of_yolo_files_holds_no_object_for_each(tmp_path: Path, *, images: bool) -> None:
    """Neither names nor labels, whether the images are there or their names follow from the labels."""
    count = 3_000
    root = tmp_path / "a" / "b" / "c"  # class names are looked for in the folders above, which have others of tests
    for folder, end in [("labels", "txt"), *([("images", "jpg")] if images else [])]:
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / f"{number:08d}.{end}").touch()

    def found() -> Tree:
        io._listing.cache_clear()
        return find_tree(Source(root), ReadContext())

    tree, objects = held_by(found)
    (part,) = tree.parts
    assert part.names[-1] == "00002999.jpg"
    assert part.labels[2] == f"{root}/labels/00000002.txt"
    assert objects < 10 * count


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.parametrize("images", [False, True])
def test_yolo_images_come_in_the_order_of_their_names(tmp_path: Path, *, images: bool) -> None:
    """Not in that of their label files, as `.jpg` comes before `.k.jpg` where `.k.txt` comes before `.txt`; a name
    that is not UTF-8 is told and left out."""
    stems = ["a", "a.k", "a.b", "a b", "a-b", "é", "😀", "\uffee", "s/z", "B", os.fsdecode(b"\xff")]
    for stem in stems:
        for folder, end in [("labels", "txt"), *([("images", "jpg")] if images else [])]:
            path = tmp_path / folder / f"{stem}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    context = ReadContext()
    (part,) = find_tree(Source(tmp_path), context).parts
    names = sorted(f"{stem}.jpg" for stem in stems[:-1])
    assert list(part.names) == names
    assert list(part.labels) == [f"{tmp_path}/labels/{name[:-4]}.txt" for name in names]
    told = [finding.code for finding in context.findings]
    assert told == ([] if images else ["image-extension-assumed"]) + ["bad-encoding"]
