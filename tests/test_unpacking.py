"""Compression bombs: what is refused, wherever it is read, and what never is."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import coco

import bboxconv
from bboxconv import unpacking
from bboxconv.cli import boxtable
from bboxconv.errors import DataError
from bboxconv.io import open_input
from bboxconv.readers import parquetpages
from bboxconv.unpacking import SPARE

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}
CATEGORY = {"id": 1, "name": "cat"}


def packed(data: bytes, suffix: str, level: int = 9) -> bytes:
    """Compressed data."""
    if suffix == ".gz":
        return gzip.compress(data, level)
    return bytes(pa.Codec("zstd", compression_level=level).compress(data, asbytes=True))


def refused(call: Callable[[], object]) -> tuple[int, int]:
    """The bytes that came, and those of which they came, of the bomb that is refused."""
    with pytest.raises(DataError) as caught:
        call()
    (found,) = (one for one in caught.value.diagnostics if one.severity == "error")
    assert found.code == "compression-bomb"
    assert "--max-expansion" in found.hint
    numbers = re.search(r": ([\d,]+) bytes of ([\d,]+) so far, [\d,]+ times$", str(found.places[0]))
    assert numbers is not None
    return int(numbers[1].replace(",", "")), int(numbers[2].replace(",", ""))


def size_read(path: Path, most: float | None = None, step: int = 1 << 22) -> int:
    """How many bytes can be read."""
    with open_input(path, most) as file:
        return sum(map(len, iter(lambda: file.read(step), b"")))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("step", [10_000, 1 << 22, -1])
def test_a_bomb_is_refused_before_all_of_it_is_there(tmp_path: Path, suffix: str, step: int) -> None:
    """However a file is read, a step beyond SPARE bytes is as far as a bomb comes; a smaller one is none, whatever its
    ratio, and a ratio that is high enough or 0 takes it.
    """
    path, bomb = tmp_path / f"a{suffix}", b" " * (2 * SPARE)
    path.write_bytes(packed(bomb, suffix))
    size = path.stat().st_size
    unpacked, taken = refused(lambda: size_read(path, step=step))
    assert SPARE < unpacked <= SPARE + (1 << 20)
    assert 0 < taken <= size
    assert size_read(path, 0, step) == size_read(path, 1.05 * len(bomb) / size, step) == len(bomb)
    path.write_bytes(packed(bomb[:SPARE], suffix))
    assert size_read(path, step=step) == SPARE


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("step", [1, 999, 1 << 16, 3 << 20, -1])
def test_what_is_read_is_what_was_packed(tmp_path: Path, suffix: str, step: int) -> None:
    """The bytes are those that were packed, in any steps, and so are lines."""
    data = b"\n".join(str(number).encode() for number in range(20_000 if step == 1 else 900_000))
    (tmp_path / f"a{suffix}").write_bytes(packed(data[:5000], suffix, 3) + packed(data[5000:], suffix, 3))
    with open_input(tmp_path / f"a{suffix}") as file:
        assert b"".join(iter(lambda: file.read(step), b"")) == data
    with open_input(tmp_path / f"a{suffix}") as file:
        assert file.readlines() == data.splitlines(keepends=True)


@pytest.mark.parametrize(("suffix", "level"), [(".gz", 9), (".zst", 9)])
def test_data_that_repeats_is_no_bomb(tmp_path: Path, suffix: str, level: int) -> None:
    """Images with the same long text in each, and 100,000 times the same image, are read by default."""
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=2000))
    numbered = [{"id": n, "file_name": f"{n:012}.jpg", "license": text} for n in range(30_000)]
    for images in (numbered, [IMAGE] * 100_000):
        data = json.dumps({"images": images}, indent=4).encode()
        (tmp_path / f"a{suffix}").write_bytes(packed(data, suffix, level))
        assert size_read(tmp_path / f"a{suffix}") == len(data)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_stretch_counts_wherever_it_lies(tmp_path: Path, suffix: str) -> None:
    """A bomb behind much that hardly shrinks is refused, for what comes of it alone."""
    before = random.Random(1).randbytes(1 << 20)
    (tmp_path / f"a{suffix}").write_bytes(packed(before, suffix) + packed(b" " * (SPARE + (3 << 20)), suffix))
    unpacked, taken = refused(lambda: size_read(tmp_path / f"a{suffix}"))
    assert SPARE < unpacked < SPARE + (2 << 20)
    assert taken < 200_000


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_ratio_that_is_kept_to_is_never_refused(tmp_path: Path, suffix: str) -> None:
    """Any amount is read of what unpacks to less than the ratio everywhere; of what does not, none beyond SPARE."""
    text = random.Random(1).randbytes(2000) + b" " * 30_000
    data = text * (3 * SPARE // len(text))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(data, 6) if suffix == ".gz" else b"".join(packed(text, suffix) for _ in range(4700)))
    ratio = len(data) / path.stat().st_size
    assert size_read(path, ratio * 1.2) > 2 * SPARE
    refused(lambda: size_read(path, ratio / 1.2))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bombs are small ones."""
    monkeypatch.setattr(unpacking, "SPARE", 100_000)
    monkeypatch.setattr(parquetpages, "SPARE", 100_000)


@pytest.mark.usefixtures("small")
def test_a_bomb_is_refused_wherever_it_is_read(tmp_path: Path) -> None:
    """Sources, names of classes, renamings, sizes and headers are all weighed, and `max_expansion` holds for each."""
    spaces = b" " * 400_000
    source, out = coco(tmp_path / "a.json", [IMAGE], [], [CATEGORY]), tmp_path / "out.jsonl"

    def bomb(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(packed(data, Path(name).suffix))
        return tmp_path / name

    header = b'{"type":"dataset","bboxconv":1,"box":"xywh","categories":[]}\n'
    results = tmp_path / "results.json"
    results.write_text('[{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5}]')
    table = pa.table({"file_name": ["a.jpg", " " * 4_000_000], "width": [100, 100], "height": [100, 100]})
    pq.write_table(table, tmp_path / "sizes.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    cases: list[dict[str, object]] = [
        {"src": bomb("a.json.gz", source.read_bytes() + spaces)},
        {"src": bomb("a.json.zst", source.read_bytes() + spaces)},
        {"src": bomb("v.json.gz", b'{"info":"' + spaces + b'",' + source.read_bytes()[1:]), "from_": "coco"},
        {"src": bomb("a.jsonl.gz", spaces + header), "from_": "jsonl"},
        {"src": bomb("b.jsonl.gz", header + spaces)},
        {"src": source, "classes": bomb("names.txt.gz", b"cat\n" + spaces)},
        {"src": source, "class_map": [str(bomb("map.csv.gz", b"cat,dog\n" + spaces))]},
        {
            "src": source,
            "image_sizes": bomb("sizes.csv.gz", b"file_name,width,height\na.jpg,100,100\n" + b"\n" * 400_000),
        },
        {"src": source, "image_sizes": tmp_path / "a.json.gz"},
        {"src": source, "image_sizes": tmp_path / "sizes.parquet"},
        {"src": results, "in_": {"header": str(tmp_path / "a.json.gz")}},
    ]
    for words in cases:
        unpacked, _ = refused(lambda words=words: bboxconv.convert(dst=out, **words))  # type: ignore[misc]
        assert unpacked > 100_000
        assert not out.exists()
        bboxconv.convert(dst=out, max_expansion=0, **words)  # type: ignore[arg-type]
        out.unlink()
    rows = bomb("rows.txt.gz", b"1 2 3 4\n" + spaces)
    refused(lambda: boxtable.convert(str(rows), str(tmp_path / "rows.txt"), "xywh", "xyxy"))
    assert boxtable.convert(str(rows), str(tmp_path / "rows.txt"), "xywh", "xyxy", max_expansion=0) == 1
    refused(lambda: bboxconv.read(tmp_path / "a.json.gz"))
    assert bboxconv.read(tmp_path / "a.json.gz", max_expansion=0).images == 1


HEADER = b'{"type":"dataset","bboxconv":1,"box":"xywh","categories":[]}\n'
LINES = [f'{{"type":"image","file":"{random.Random(n).random()}.jpg","objects":[]}}\n'.encode() for n in range(9000)]
ROWS = b'{"images":[' + b",".join(LINES) + b"]}"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("format_", "data", "code"),
    [
        pytest.param("coco", gzip.compress(b'{"images":[' + b" " * 400_000), "compression-bomb", id="coco-bomb"),
        pytest.param("coco", gzip.compress(ROWS)[:-50_000], "bad-compression", id="coco-cut"),
        pytest.param("jsonl", gzip.compress(b" " * 400_000 + HEADER), "compression-bomb", id="bomb-before-lines"),
        pytest.param("jsonl", gzip.compress(HEADER + b" " * 400_000), "compression-bomb", id="bomb-behind-lines"),
        pytest.param("jsonl", gzip.compress(HEADER)[:30], "bad-compression", id="line-cut"),
        pytest.param("jsonl", gzip.compress(HEADER + b"".join(LINES))[:-50_000], "bad-compression", id="lines-cut"),
        pytest.param("parquet", b"PAR1, and no more", "bad-parquet", id="parquet-cut"),
        pytest.param("parquet", None, "compression-bomb", id="parquet-bomb"),
    ],
)
def test_what_is_wrong_with_stdin_names_stdin(
    format_: str, data: bytes | None, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the file to which it was copied, of which nobody knows."""
    if data is None:
        images = [{"id": n, "file_name": f"{n:0500}.jpg", "width": 100, "height": 100} for n in range(20_000)]
        bboxconv.convert(coco(tmp_path / "a.json", images, [], [CATEGORY]), tmp_path / "a.parquet")
        data = (tmp_path / "a.parquet").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(DataError) as caught:
        bboxconv.convert("-", tmp_path / "o.jsonl", from_=format_, max_expansion=2)
    (found,) = (one for one in caught.value.diagnostics if one.severity == "error")
    assert (found.code, found.where[0].partition(": ")[0]) == (code, "<stdin>")
    assert tempfile.gettempdir() not in str(caught.value)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["o.json.gz", "o.jsonl.zst", "o.parquet"])
def test_what_a_run_wrote_itself_is_read_back(tmp_path: Path, name: str) -> None:
    """A limit that the output passes does not stop verify=True, which reads it, and stops whoever reads it with it."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in range(20_000)]
    source = coco(tmp_path / "a.json", images, [], [CATEGORY])
    report = bboxconv.convert(source, tmp_path / name, verify=True, max_expansion=2)
    assert report.images == 20_000
    refused(lambda: bboxconv.convert(tmp_path / name, tmp_path / "again.jsonl", max_expansion=2))
