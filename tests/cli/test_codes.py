"""The catalogue behind `explain`."""

from __future__ import annotations

import ast
from pathlib import Path

import bboxconv
from bboxconv import codes

from .conftest import Done, Shell

SOURCES = sorted(Path(bboxconv.__file__).parent.rglob("*.py"))
MAKERS = {"add", "of", "Diagnostic"}


def used() -> set[str]:
    """Every code that stands as a word in the source: the first argument of what makes a diagnostic with a
    message.
    """
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and len(node.args) > 1:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                first = node.args[0]
                if name in MAKERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_code_is_explained() -> None:
    """Every code in the source has a cause and a remedy."""
    assert used() - codes.catalogue().keys() == set()


def test_catalogue_is_in_order() -> None:
    """Codes are kebab-case and sorted, and both texts are sentences."""
    known = codes.catalogue()
    assert list(known) == sorted(known)
    for code, text in known.items():
        assert code.replace("-", "").isalpha()
        assert code.islower()
        assert text.cause.endswith(".")
        assert text.remedy.endswith((".", "meanwhile."))


def test_explain_lists_all(shell: Shell) -> None:
    """`explain` alone lists every code."""
    done = shell("explain")
    assert [line for line in done.out.splitlines() if not line.startswith(" ")] == list(codes.catalogue())


def test_explain_as_json(anywhere: Shell) -> None:
    """`explain --json` is a document with a version."""
    done = anywhere("explain", "missing-value", "--json")
    assert done == Done(
        '{"version":1,"command":"explain","exit_code":0,"codes":[{"code":"missing-value",'
        '"cause":"A flag that takes a value was given none.",'
        '"remedy":"Write the value after it; the command\'s --help says what it takes."}]}\n',
        "",
        0,
    )
