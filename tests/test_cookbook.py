"""The pages of examples/cookbook are true: each is run in a clone of its own, and prints what it says.

`BBOXCONV_GOLDEN=write pytest tests/test_cookbook.py` writes outputs anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from pages import ROOT, clone, commands, fenced, named, play, rewritten, timeless

COOKBOOK = ROOT / "examples" / "cookbook"
PAGES = sorted(path for path in COOKBOOK.glob("*.md") if path.name != "README.md")
NEEDS = {"sql-with-duckdb.md": "duckdb"}
"""Pages whose Python needs what bboxconv does not."""
HEADINGS = ["The command", "Check it", "What goes wrong"]

Played = Callable[[Path], list[str]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, picture: Callable[[Path, int, int], None]) -> Played:
    """Each block of a page as it should be. Beside the examples there is a folder with the photographs of the COCO
    sample, which are black.
    """

    @cache
    def run(page: Path) -> list[str]:
        if page.name in NEEDS:
            pytest.importorskip(NEEDS[page.name], reason=f"{NEEDS[page.name]} is not installed (extra: peers)")
        cwd = clone(tmp_path_factory.mktemp("cookbook"))
        for path in (cwd / "examples/sample/coco").glob("*.json"):
            for image in json.loads(path.read_text(encoding="utf-8"))["images"]:
                picture(cwd / "photos" / image["file_name"], image["width"], image["height"])
        text = page.read_text(encoding="utf-8")
        bodies = list(play(fenced(text), cwd))
        if os.environ.get("BBOXCONV_GOLDEN") == "write":
            page.write_text(rewritten(text, bodies), encoding="utf-8")
        return bodies

    return run


def blocks() -> list[object]:
    """Every block that prints something: its page and its number."""
    found = [(page, *block) for page in PAGES for kind in ("console", "text") for block in named(page, kind)]
    return [pytest.param(page, number, id=f"{page.stem}-{number}-{line[:40]}") for page, number, line in found]


@pytest.mark.parametrize(("page", "number"), blocks())
def test_block(page: Path, number: int, played: Played) -> None:
    """What a session or a Python block of a page prints is what the page says, to the letter."""
    said = played(page)[number]
    assert timeless(said) == timeless(fenced(page.read_text(encoding="utf-8"))[number].body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_parts(page: Path) -> None:
    """A page says what you have, has the command, a check and what goes wrong; its blocks are of known kinds, what its
    Python prints is on it, and its links lead somewhere.
    """
    text = page.read_text(encoding="utf-8")
    assert "**What you have:**" in text
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS
    kinds = [block.language for block in fenced(text)]
    assert set(kinds) <= {"console", "python", "text", "sh"}
    assert {after for kind, after in pairwise([*kinds, ""]) if kind == "python"} <= {"text"}
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_that_it_is_right(page: Path, played: Played) -> None:
    """The checks of a page do not fail: some of what its Python prints is True, and nothing False."""
    blocks = fenced(page.read_text(encoding="utf-8"))
    printed = "".join(body for body, block in zip(played(page), blocks, strict=True) if block.language == "text")
    assert "True" in printed and "False" not in printed


def test_pages_are_listed() -> None:
    """The list of pages has every page, and links to nothing else here."""
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (COOKBOOK / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.name for page in PAGES]


def test_the_trainer_is_given_what_was_made() -> None:
    """The trainer that a page shows is given the data.yaml that the page made."""
    text = (COOKBOOK / "coco-to-yolo.md").read_text(encoding="utf-8")
    shown = next(block.body for block in fenced(text) if block.language == "sh")
    made = [command for block in fenced(text) if block.language == "console" for command in commands(block)]
    data = re.search(r"data=(\S+)", shown)
    assert data and f"cat {data[1]}" in made
