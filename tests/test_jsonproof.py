"""JSON text of a stranger's column: proved to be JSON, text by text."""

from __future__ import annotations

import pyarrow as pa
import pytest

from bboxconv.jsonproof import check_json


@pytest.mark.parametrize(
    "texts",
    [
        ['],"x":['],
        ["[1", "2]", "3,4"],
        ['"', '"', "1,2"],
        ['1},{"a":2'],
        ["[01]"],
        ["[1]]"],
        ["[1 2]"],
        [""],
        ["[" * 300_000 + "]" * 300_000],
    ],
)
def test_text_that_is_no_value_is_refused(texts: list[str]) -> None:
    """No text passes that is not one JSON value by itself, whatever stands before and behind it."""
    with pytest.raises(ValueError, match="segmentation is"):
        check_json(pa.array(["[[1,2]]", *texts, '{"counts":"a"}']), "segmentation")


@pytest.mark.parametrize("text", ["[]", "1", '{"a":1} ', ' {"a":1}', '{"a":1},{}', '{"a"}', "not json"])
def test_extra_that_is_no_object_is_refused(text: str) -> None:
    """An extra is an object from its first character to its last."""
    with pytest.raises(ValueError, match="extra is"):
        check_json(pa.array(["{}", text, None]), "extra")


def test_json_of_every_kind_passes() -> None:
    """Polygons, keypoints, masks, other values and null pass; an extra may be any object."""
    texts = ["[[1, -2.5e3],[0.1,2]]", "[1,2,0]", "[]", "[[]]", '{"size":[1,2],"counts":"a"}', ' "x" ', "null", None]
    check_json(pa.array(texts), "segmentation")
    check_json(pa.array(["{}", '{"a":{"b":[1]}}', None]), "extra")
    check_json(pa.nulls(3, pa.string()), "keypoints")
