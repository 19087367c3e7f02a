"""Two images with one file: what is written does not depend on which process came first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pytest

from bboxconv.clashes import Files, settle, write_files
from bboxconv.spool import Spool
from bboxconv.testing import contents

BATCHES = [["a.jpg", "b.jpg", "s/a.jpg"], ["a.png", "c.jpg", "d.txt/e.jpg"], ["a.gif", "d.jpg", "f.jpg", "f.txt/g.jpg"]]


def written(folder: Path, order: tuple[int, ...]) -> Iterator[tuple[str, str, str]]:
    """Write the batches in this order, and settle them in their own."""
    folder.mkdir()
    done: dict[int, Files] = {}
    for number in order:
        names = BATCHES[number]
        places = [name.rpartition(".")[0] for name in names]
        texts = [name.encode() for name in names]
        done[number] = write_files(str(folder), ".txt", pa.array(names), range(len(names)), places, texts, 10 * number)
    spool = Spool(0)  # as they come from files on disk
    for clash in settle([done[number].held(spool) for number in range(len(BATCHES))], str(folder), ".txt"):
        number, row = clash.key
        assert (clash.boxes, clash.number) == (BATCHES[number].index(clash.name), 10 * number + row)
        yield clash.name, clash.place, clash.other


@pytest.mark.parametrize("order", list(permutations(range(len(BATCHES)))))
def test_the_first_image_has_the_file(order: tuple[int, ...], tmp_path: Path) -> None:
    """Of images with one file the first of the data set has it, and a file gives way to a folder of others."""
    found = sorted(written(tmp_path / "out", order))
    assert found == [
        ("a.gif", "a", "a.jpg"),
        ("a.png", "a", "a.jpg"),
        ("d.jpg", "d", "d.txt/e.jpg"),
        ("f.jpg", "f", "f.txt/g.jpg"),
    ]
    wanted = ["a.jpg", "b.jpg", "s/a.jpg", "c.jpg", "d.txt/e.jpg", "f.txt/g.jpg"]
    assert contents(tmp_path / "out") == {f"out/{name.rpartition('.')[0]}.txt": name.encode() for name in wanted}


def test_without_a_clash_nothing_is_looked_up(tmp_path: Path) -> None:
    """Images that have a file each, and those that have none as their name is not safe, are no clash."""
    out = tmp_path / "out"
    out.mkdir()
    files = write_files(
        str(out), ".txt", pa.array(["a", "../b", "c"]), [1, 1, 1], ["a", None, "s/c"], [b"1", b"2", b"3"], 0
    )
    assert settle([files], str(out), ".txt") == []
    assert contents(out) == {"out/a.txt": b"1", "out/s/c.txt": b"3"}
