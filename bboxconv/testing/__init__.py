"""For authors of formats: the conformance suite and its reference data. Needs pytest.

from bboxconv.testing import Broken, FormatConformance

class TestMine(FormatConformance):
    format_name = "mine"
    broken_sources = (Broken({"a.mine": b"no row"}, code="bad-row", where="a.mine:1"),)
"""

from __future__ import annotations

import pytest

# before its import: a failing test then shows both sides
pytest.register_assert_rewrite("bboxconv.testing.conformance")

from bboxconv.testing.conformance import FormatConformance  # noqa: E402
from bboxconv.testing.referencedata import REFERENCES, Broken, contents, dataset_of, reference_dataset  # noqa: E402

__all__ = ["REFERENCES", "Broken", "FormatConformance", "contents", "dataset_of", "reference_dataset"]
