"""Big JSON in blocks: documents made to defeat the cutting of blocks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bboxconv.errors import DataError
from bboxconv.readers.jsonblocks import ArrayReader, Keys
from bboxconv.readers.jsonstream import Elements, Member, read_document


def _fast(text: bytes, keys: Keys) -> tuple[list[object], Keys]:
    return list(msgspec.json.decode(text, type=list[dict])), keys


def _slow(elements: Sequence[bytes], keys: Keys) -> tuple[list[object], Keys]:
    found: list[object] = []
    for element in elements:
        try:
            found.append(json.loads(element))
        except ValueError:
            found.append("fault")
    return found, keys


READER = ArrayReader(_fast, _slow)


def read(path: Path, text: str | bytes, block: int = 64, keys: Sequence[str] = ("a",)) -> dict[str, object]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found: dict[str, object] = {}
    for item in read_document(path, dict.fromkeys(keys, READER).get, block=block):
        if isinstance(item, Member):
            found[item.key] = json.loads(item.text)
        else:
            assert isinstance(item, Elements)
            found.setdefault(item.key, []).extend(item.value)  # type: ignore[attr-defined]
    return found


HARD = {
    "boundary inside a string": {"a": [{"s": "},{"}, {"s": '"},{"'}, {"s": "},{" * 40}]},
    "objects inside an element": {"a": [{"s": [{"x": 1}, {"y": 2}] * 30}, {"t": {"u": [{}, {}]}}] * 3},
    "element longer than a block": {"a": [{"s": "x" * 1000}, {"s": 1}]},
    "escapes at block ends": {"a": [{"s": "\\" * n + '"'} for n in range(40)]},
    "multi-byte characters": {"a": [{"s": "é" * n + "漢"} for n in range(60)]},
    "the key inside a string and inside another member": {"info": {"a": [1, 2], "t": '"a": ['}, "a": [{"x": 1}]},
    "empty array": {"a": [], "b": 1},
    "array last, values first": {"z": 1.5, "y": "]}", "x": None, "a": [{"k": i} for i in range(100)]},
    "array first": {"a": [{"k": i} for i in range(100)], "b": {"c": [1, [2]]}},
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("style", [{}, {"indent": 3}, {"separators": (",", ":")}, {"ensure_ascii": False}])
@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_every_document_reads_as_json_reads_it(tmp_path: Path, name: str, style: dict[str, object], block: int) -> None:
    """Whatever the white space and the size of a block, the elements are those that the standard library reads."""
    document = HARD[name]
    assert read(tmp_path / "d.json", json.dumps(document, **style), block) == document  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), JSON)),
    st.dictionaries(st.text(min_size=2), JSON),
    st.integers(1, 200),
    st.booleans(),
)
def test_any_document_reads_as_json_reads_it(
    tmp_path_factory: pytest.TempPathFactory, a: list[object], rest: dict[str, object], block: int, first: bool
) -> None:
    """Any document, any block size."""
    document = {"a": a, **rest} if first else {**rest, "a": a}
    assert read(tmp_path_factory.mktemp("j") / "d.json", json.dumps(document), block) == document


def test_a_root_array_is_read_too(tmp_path: Path) -> None:
    """A document that is an array has the key of nothing."""
    assert read(tmp_path / "d.json", '\ufeff [{"x": 1}, {"x": 2}] \n', keys=("",)) == {"": [{"x": 1}, {"x": 2}]}


def test_compressed_text_is_read_as_it_is_decompressed(tmp_path: Path) -> None:
    """A gzip file reads as its text."""
    document = {"b": 1, "a": [{"s": "},{" * 9, "i": i} for i in range(300)]}
    assert read(tmp_path / "d.json.gz", gzip.compress(json.dumps(document).encode()), 100) == document


@pytest.mark.parametrize("block", [1, 48, 1 << 20])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[,{"x": [{}, {}], "y": 01}, {"z": 1}]', ["fault", "fault", {"z": 1}]),
        ('[ ,{"s": "a long element after the comma"}]', ["fault", {"s": "a long element after the comma"}]),
        ('[{"s": "a long element before the comma"}, ]', [{"s": "a long element before the comma"}, "fault"]),
        ("[,]", ["fault", "fault"]),
        ("[ ]", []),
    ],
)
def test_a_comma_with_nothing_beside_it_is_an_element_that_is_missing(
    tmp_path: Path, text: str, wanted: list[object], block: int
) -> None:
    """Whether or not the elements beside it fit into a block, it is a fault and is counted."""
    assert read(tmp_path / "d.json", '{"a": ' + text + "}", block).get("a", []) == wanted


def test_one_bad_element_costs_one_element(tmp_path: Path) -> None:
    """An element that is no JSON is handed over alone, wherever the blocks are cut."""
    text = '{"a": [{"i": 1}, {"i": NaN}, {"i": 01}, {"i": 4}, {"i": x"}, {"i": 6}], "b": 2}'
    for block in (1, 9, 30, 1000):
        found = read(tmp_path / "d.json", text.replace('x"', "x"), block)
        assert found["b"] == 2
        assert [e if isinstance(e, str) else e["i"] for e in found["a"]][0::5] == [1, 6]  # type: ignore[union-attr, attr-defined]
        assert [isinstance(e, str) for e in found["a"]] == [False, False, True, False, True, False]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": [{"i": 1}, {"i": 2', "truncated-json"),
        ('{"a": [{"i": 1}, {"i": 2}', "truncated-json"),
        ('{"a": [{"i": 1}]', "truncated-json"),
        ('{"a": [{"i": 1}], "b": {"c"', "truncated-json"),
        ('{"a": [{"i": 1}]} x', "bad-json"),
        ('{"a": [{"i": 1}}, "b": 2}', "bad-json"),
        ('{"a": [}', "bad-json"),
        ('{"a": [], "a": []}', "duplicate-key"),
        ('{"a": [] "b": 1}', "bad-json"),
        ('{"b": 01}', "bad-json"),
        ("17", "bad-json"),
        ("", "bad-json"),
        ('{"a": []}'.encode("utf-16"), "bad-encoding"),
    ],
)
def test_broken_text_says_where(tmp_path: Path, text: str | bytes, code: str) -> None:
    """Text that is broken outside of an element is an error with its code and byte."""
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.json", text)
    assert caught.value.diagnostics[0].code == code
    assert "byte" in caught.value.diagnostics[0].where[0]
