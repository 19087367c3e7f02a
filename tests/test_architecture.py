"""The directions of the design, read from the source: who imports whom, who prints, which codes are explained."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import bboxconv
from bboxconv.codes import catalogue

PACKAGE = Path(bboxconv.__file__).parent
ABOVE_FORMATS = frozenset(
    {"registry", "sources", "request", "flow", "step", "recount", "pipeline", "stages", "loss", "inspection", "api"}
    | {"rejects", "repeats", "sizesource", "minibatch", "torchdata", "tally", "measuring", "counting", "statistics"}
    | {"readback", "diffing", "comparing"}
    | {"choosing", "picking", "drawing", "pictures"}
    | {"page", "sets"}
)
"""What a format does not know of."""
HEAVY = ("pyarrow", "pandas", "numpy", "rich")
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")


@dataclass(frozen=True)
class Import:
    """One name that a module imports: `bboxconv.schema` or `pyarrow.compute`. `late`: inside a function; `typing`:
    for the type checker alone.
    """

    module: str
    late: bool
    typing: bool

    @property
    def top(self) -> str:
        """The package."""
        return self.module.partition(".")[0]

    @property
    def ours(self) -> str:
        """The module of bboxconv, without the package: `schema`, `formats.coco`; else nothing."""
        return self.module.removeprefix("bboxconv.") if self.top == "bboxconv" else ""


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of bboxconv by name, parsed."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str) -> list[Import]:
    """All imports of a module."""
    return list(_imports(trees()[name], late=False, typing=False))


def _imports(node: ast.AST, *, late: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, late, typing) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative import"
            package = child.module or ""
            known = {f"{package}.{alias.name}" for alias in child.names} & SUBMODULES
            rest = len(known) < len(child.names)
            yield from (Import(module, late, typing) for module in [*sorted(known), *([package] if rest else [])])
        elif isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from _imports(child, late=late, typing=True)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, late=late or inside, typing=typing)


def _format_of(name: str) -> str:
    """`formats.coco` for it and the modules inside its package; nothing for what is no format."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "formats" and len(parts) > 1 else ""


SUBMODULES = {f"bboxconv.{name}" for name in trees()}
FORMATS = tuple(name for name in trees() if _format_of(name))
MODULES = tuple(name for name in trees() if not _format_of(name))
TERMINAL = frozenset(name for name in MODULES if name.split(".")[0] in ("cli", "__main__"))
"""The command line: the only one who may print, and whom nobody else imports."""
SHOWING = frozenset(
    f"cli.{name}" for name in ("formatlist", "render", "ui", "boxtable", "statstable", "histograms", "difftable")
)
"""Those of it that a command loads when it has something to show."""
TESTING = frozenset(name for name in MODULES if name.startswith("testing"))


def test_the_reading_of_imports_finds_them() -> None:
    """Imports in functions, under TYPE_CHECKING and of submodules are seen as what they are."""
    source = (
        "import a.b\nfrom bboxconv import io, schema\nif TYPE_CHECKING:\n    from rich.x import Y\n"
        "def f():\n    from bboxconv.formats import coco\n"
    )
    assert list(_imports(ast.parse(source), late=False, typing=False)) == [
        Import("a.b", False, False),
        Import("bboxconv.io", False, False),
        Import("bboxconv.schema", False, False),
        Import("rich.x", False, True),
        Import("bboxconv.formats.coco", True, False),
    ]
    assert len(MODULES) > 30
    assert {_format_of(name) for name in FORMATS} == {
        f"formats.{name}" for name in ("coco", "csv", "hf", "jsonl", "parquet", "voc", "yolo")
    }


@pytest.mark.parametrize(
    ("name", "third"),
    [("errors", set()), ("boxformat", set()), ("boxnumpy", {"numpy"}), ("boxes", {"numpy"}), ("suggest", set())],
)
def test_the_base_stands_alone(name: str, third: set[str]) -> None:
    """errors and suggest import nothing of ours, boxformat and boxes only each other's base; boxes needs numpy
    alone, and loads what other arrays and frames need when it is given one.
    """
    found = [one for one in imports(name) if not one.typing]
    allowed = {"boxes": {"boxformat", "boxnumpy"}, "boxnumpy": {"boxformat"}, "boxformat": {"suggest"}}.get(name, set())
    late = {"boxes": {"boxarrays", "boxframes"}}.get(name, set())
    assert {one.ours for one in found if one.late} == late
    found = [one for one in found if one.ours not in late]
    assert {one.ours for one in found if one.ours} == allowed
    assert {one.top for one in found} - set(sys.stdlib_module_names) - {"bboxconv"} == third


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_knows_what_is_below_it(name: str) -> None:
    """A format imports neither another one, nor the registry, the pipeline or the command line."""
    others = {one.ours for one in imports(name) if _format_of(one.ours) not in ("", _format_of(name))}
    above = {one.ours for one in imports(name) if one.ours in ABOVE_FORMATS | TERMINAL | TESTING}
    assert others | above == set()


@pytest.mark.parametrize("name", MODULES)
def test_nobody_imports_a_format(name: str) -> None:
    """Formats are found by their entry points alone; their names stand in no import."""
    assert {one.module for one in imports(name) if _format_of(one.ours)} == set()


def _reach(name: str) -> set[str]:
    """All that a module imports, directly or through others, late imports included, those for types left out."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for one in imports(waiting.pop()):
            if one.ours and one.ours in trees() and not one.typing and one.ours not in seen:
                seen.add(one.ours)
                waiting.append(one.ours)
    return seen


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("schema", {"codec", "registry", "pipeline"}),
        ("codec", {"registry", "pipeline", "sources"}),
        ("registry", {"sources", "flow", "pipeline", "api"}),
        ("sources", {"flow", "pipeline", "api"}),
        ("flow", {"pipeline", "api"}),
        ("pipeline", {"api"}),
        *((format_, {"registry", "sources", "flow", "pipeline", "api"}) for format_ in FORMATS),
    ],
)
def test_imports_go_one_way(name: str, above: set[str]) -> None:
    """cli -> pipeline -> registry -> codec -> schema -> errors: none reaches what stands above it, by whatever way,
    and none the command line.
    """
    assert _reach(name) & (above | TERMINAL | TESTING) == set()


def test_there_is_no_circle() -> None:
    """No module reaches itself by the imports at module level."""
    graph = {
        name: {one.ours for one in imports(name) if not one.late and not one.typing and one.ours in trees()}
        for name in trees()
    }
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert graph == {}


@pytest.mark.parametrize("name", [name for name in trees() if name != "boxarrays"])
def test_only_boxarrays_has_the_array_api(name: str) -> None:
    """array_api_compat, and what it loads, is for arrays that are none of numpy."""
    assert "array_api_compat" not in {one.top for one in imports(name)}


@pytest.mark.parametrize("name", [name for name in trees() if name != "cli.ui"])
def test_only_the_ui_has_rich(name: str) -> None:
    """rich is imported by ui alone."""
    assert "rich" not in {one.top for one in imports(name)}


@pytest.mark.parametrize(
    "name",
    sorted(
        TERMINAL
        - {
            "cli.formatlist",
            "cli.render",
            "cli.ui",
            "cli.boxtable",
            "cli.statstable",
            "cli.histograms",
            "cli.difftable",
        }
    ),
)
def test_the_command_line_starts_light(name: str) -> None:
    """What the command line imports at module level, by whatever way, has none of numpy, pyarrow, pandas and rich."""
    waiting, seen, heavy = [name], {name}, set()
    while waiting:
        module = waiting.pop()
        for one in imports(module):
            if one.late or one.typing:
                continue
            if one.top in HEAVY:
                heavy.add(f"{module}: {one.module}")
            if one.ours in trees() and one.ours not in seen:
                seen.add(one.ours)
                waiting.append(one.ours)
    assert heavy == set()


def test_help_loads_nothing_heavy() -> None:
    """`--help` of every command runs without numpy, pyarrow, pandas and rich in memory."""
    code = (
        "import sys\nfrom bboxconv.__main__ import run\n"
        "for words in (['--help'], ['convert', '--help'], ['formats', '--help'], ['--version']):\n    run(words)\n"
        f"sys.stderr.write(' '.join(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [name for name in trees() if name not in TERMINAL])
def test_library_code_does_not_print(name: str) -> None:
    """Outside the command line nobody calls print, writes to a standard stream as text, or logs."""
    for node in ast.walk(trees()[name]):
        assert not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input")
        ), node.lineno
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
            assert node.attr not in ("stderr", "__stdout__", "__stderr__", "exit"), node.lineno
    silences = {"warnings"} if name == "page.pictures" else set()  # those of Pillow, which would print
    assert not ({"logging", "warnings"} - silences) & {one.top for one in imports(name)}


def codes_in(tree: ast.Module) -> dict[str, int]:
    """The codes of diagnostics that a module makes, with a line of each: first arguments of `.add`, `.add_each`,
    `.of`, `Diagnostic`, `Fault`, keywords `code=`, and all that stands in their expressions.
    """
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr
            if isinstance(node.func, ast.Attribute)
            else node.func.id
            if isinstance(node.func, ast.Name)
            else ""
        )
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if node.args and re.search(r"^(add|add_each|of)$|Diagnostic$|Fault$|fault$|refuse|problem", name):
            given.append(node.args[0])
        for value in given:
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and CODE.fullmatch(part.value):
                    found[part.value] = node.lineno
    return found


def test_codes_are_found() -> None:
    """Codes are seen in all the ways in which diagnostics are made."""
    source = (
        'findings.add("a-b", "x y")\nDataError.of("c-d" if x else "e-f", "m")\nDiagnostic("g-h", "m")\n'
        'Fault(code="i-j")\nseen.add("word")'
    )
    assert set(codes_in(ast.parse(source))) == {"a-b", "c-d", "e-f", "g-h", "i-j"}
    assert len({code for tree in trees().values() for code in codes_in(tree)}) > 40


@pytest.mark.parametrize("name", list(trees()))
def test_every_code_is_explained(name: str) -> None:
    """`bboxconv explain` knows the code of every message that the source can make."""
    if name == "testing":
        return
    assert {code: f"{name}:{line}" for code, line in codes_in(trees()[name]).items() if code not in catalogue()} == {}


def test_every_explanation_is_of_a_code() -> None:
    """No code is explained that nobody uses: each stands somewhere in the source as a string."""
    words = {
        node.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    patterns = {"no-train-split", "no-val-split"}  # made from the name of the split
    assert set(catalogue()) - words - patterns == set()


@pytest.mark.parametrize("name", list(trees()))
def test_modules_stay_small(name: str) -> None:
    """No module has more than 400 lines, and each says in its docstring what it is for."""
    path = PACKAGE.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert ast.get_docstring(trees()[name])


@pytest.mark.parametrize("name", [name for name in trees() if "." in name])
def test_no_module_hides_a_name(name: str) -> None:
    """No package defines what a sub-module of it is called: to import that one later would put it in the place."""
    package = name.rpartition(".")[0]
    own = {node.name for node in trees().get(package, ast.Module([], [])).body if isinstance(node, ast.FunctionDef)}
    assert name.rpartition(".")[2] not in own
