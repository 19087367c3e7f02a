"""Hostile and odd inputs against the command line: each row of cases.md is one, with what a user may expect of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from makers import APART, MAKERS

from bboxconv import codes
from bboxconv.__main__ import run

HERE = Path(__file__).parent
SECONDS = 10
ACCOUNT = "account: "
"""How a shortfall begins that is one of the account alone: all else of the row is checked."""
MEMORY = 6 << 30
"""Bytes of addresses that a process of its own may have: a file without end must not take the machine."""


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    format: str
    name: str
    to: str
    exits: tuple[int, ...]
    """Of the run as it is and, where records are set aside, of the run with --on-error skip."""
    codes: frozenset[str]
    """The codes of all errors and warnings."""
    images: tuple[int, int] | None
    """Kept, and in the source; None where nothing is read."""
    boxes: tuple[int, int] | None
    holds: tuple[str, ...]
    """What must stand in the output: in a file, or as the name of one."""
    falls_short: str

    @property
    def words(self) -> list[str]:
        """The destination and the options."""
        return self.to.split() or ["out.jsonl"]


def table() -> Iterator[Case]:
    """The rows of cases.md."""
    for line in (HERE / "cases.md").read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 9 or cells[0] in ("format", "---"):
            continue
        plain = [cell.strip("`") for cell in cells]
        yield Case(
            plain[0],
            plain[1],
            plain[2],
            tuple(map(int, plain[3].split("/"))),
            frozenset(plain[4].split()),
            _pair(plain[5]),
            _pair(plain[6]),
            tuple(piece for piece in plain[7].split(" ; ") if piece),
            plain[8],
        )


def _pair(cell: str) -> tuple[int, int] | None:
    if cell == "-":
        return None
    kept, there = cell.split("/")
    return int(kept), int(there)


CASES = list(table())


def _fails(case: Case) -> bool:
    """Whether a row falls short in more than its account, which alone does not excuse the rest of the row."""
    return bool(case.falls_short) and not case.falls_short.startswith(ACCOUNT)


def _params() -> list[Any]:
    return [
        pytest.param(
            case,
            id=f"{case.format}-{case.name}",
            marks=[pytest.mark.xfail(strict=True, reason=case.falls_short)] if _fails(case) else [],
        )
        for case in CASES
    ]


@dataclass(frozen=True)
class Done:
    """What a run left on its streams, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The account of the run."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def _hang(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def _inside(words: list[str]) -> Done:
    """A run in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True) for _ in range(2)]
    before = signal.signal(signal.SIGALRM, _hang)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            code = int(run(words))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    out, err = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return Done(code, out, err)


def _apart(words: list[str]) -> Done:
    """A run in a process of its own, which may hang, crash or take memory."""
    done = subprocess.run(
        [sys.executable, "-m", "bboxconv", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def _source(case: Case, folder: Path) -> Path:
    """The input of a case, in a folder of its own."""
    folder.mkdir()
    if (case.format, case.name) in MAKERS:
        return MAKERS[case.format, case.name](folder)
    (found,) = [path for path in (HERE / case.format).iterdir() if path.name.partition(".")[0] == case.name]
    target = folder / found.name
    if found.is_dir():
        shutil.copytree(found, target)
    else:
        shutil.copyfile(found, target)
    return target


def _files(folder: Path) -> dict[bytes, tuple[int, ...]]:
    """What is below a folder, with what shows whether it was touched."""
    found: dict[bytes, tuple[int, ...]] = {}
    for path in folder.rglob("*"):
        seen = path.lstat()
        plain = not stat.S_ISDIR(seen.st_mode)
        found[os.fsencode(path)] = (seen.st_mode, seen.st_size, seen.st_mtime_ns) if plain else (seen.st_mode,)
    return found


def _written(dst: Path) -> tuple[int, int]:
    """Images and boxes of an output, counted without bboxconv."""
    if dst.suffix == ".jsonl":
        rows = [json.loads(line, parse_int=str) for line in dst.read_text(encoding="utf-8").split("\n")[1:] if line]
        return len(rows), sum(len(row.get("objects") or ()) for row in rows)
    if dst.suffix == ".json":
        whole = json.loads(dst.read_text(encoding="utf-8"), parse_int=str)
        return len(whole["images"]), len(whole["annotations"])
    if dst.suffix == ".parquet":
        column = pq.read_table(dst)["objects"].to_pylist()
        return len(column), sum(len(objects or ()) for objects in column)
    if (dst / "data.yaml").exists():
        labels = list((dst / "labels").rglob("*.txt"))
        return len(labels), sum(len(path.read_text(encoding="utf-8").splitlines()) for path in labels)
    if (dst / "Annotations").exists():
        roots = [ElementTree.parse(path).getroot() for path in (dst / "Annotations").rglob("*.xml") if path.is_file()]
        return len(roots), sum(len(root.findall("object")) for root in roots)
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in dst.glob("*.json")]
    return sum(len(d["images"]) for d in documents), sum(len(d["annotations"]) for d in documents)


def _check(case: Case, done: Done, exit_code: int, dst: Path, before: dict[bytes, tuple[int, ...]], base: Path) -> None:
    """What holds of every run, whatever it was given."""
    shown = f"exit {done.code}\n{done.out}\n{done.err}"
    assert done.code == exit_code, shown
    assert "Traceback" not in done.err, shown
    raw = {c for c in done.out + done.err if not c.isprintable() and c != "\n"}
    assert not raw, f"raw on the terminal: {raw!r}"
    findings = done.document["findings"]
    seen = {finding["code"] for finding in findings if finding["severity"] != "note"}
    assert seen == case.codes, shown
    assert {finding["code"] for finding in findings} <= codes.catalogue().keys()
    assert all(finding["count"] >= 1 for finding in findings)
    after = _files(base)
    own = os.fsencode(dst)
    touched = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    foreign = {path for path in touched if path != own and not path.startswith(own + b"/")}
    assert not foreign, f"outside of the destination: {foreign}"
    if exit_code not in (0, 3):
        assert not touched, f"left behind: {touched}"


def _check_output(case: Case, dst: Path) -> None:
    """What can be kept is kept, by the output's own count, and reads as it should."""
    assert case.images is not None
    assert case.boxes is not None
    assert _written(dst) == (case.images[0], case.boxes[0])
    paths = [dst] if dst.is_file() else sorted(path for path in dst.rglob("*") if path.is_file())
    text = "\n".join(str(path.relative_to(dst.parent)) for path in paths) + "\n"
    if dst.suffix != ".parquet":
        text += "\n".join(path.read_text(encoding="utf-8") for path in paths)
    for piece in case.holds:
        assert piece in text, f"{piece!r} is not in the output:\n{text}"


def _check_account(case: Case, done: Done) -> None:
    """Nothing disappears: what was in the source is in the output, left out by a name, or a fault."""
    account = done.document
    named = sum(f["count"] for f in account["findings"] if f["severity"] != "note")
    for kind, pair in (("images", case.images), ("boxes", case.boxes)):
        assert pair is not None
        kept, there = pair
        left_out = sum(account["left_out"][kind].values())
        assert account["written"][kind] == kept, f"{kind}: {account}"
        assert account["read"][kind] == account["written"][kind] + left_out, f"{kind}: {account}"
        assert there - kept <= left_out + named, f"{kind} that nobody names: {account}"


@pytest.mark.parametrize("case", _params())
def test_every_case_ends_as_the_table_says(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with its exit code and codes, what can be kept is kept and the rest named, nothing is written
    elsewhere, and nothing raw is shown.
    """
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    source = _source(case, work / "in").relative_to(work)
    dst, *options = case.words
    go = _apart if (case.format, case.name) in APART else _inside
    for number, exit_code in enumerate(case.exits):
        place, rejects = work / f"{number}" / dst, work / f"{number}.jsonl"
        place.parent.mkdir()
        before = _files(tmp_path)
        more = ["--on-error", "skip", "--rejects", rejects.name] if number else []
        done = go(["convert", str(source), f"{number}/{dst}", *options, "--json", "-v", "--jobs", "1", *more])
        aside = rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []
        rejects.unlink(missing_ok=True)
        _check(case, done, exit_code, place, before, tmp_path)
        if exit_code in (0, 3):
            _check_output(case, place)
            with pytest.raises(AssertionError) if case.falls_short.startswith(ACCOUNT) else contextlib.nullcontext():
                _check_account(case, done)
            assert len(aside) == sum(f["count"] for f in done.document["findings"] if f["severity"] == "error")


def test_the_table_and_the_files_are_of_the_same_cases() -> None:
    """Every row has its input and every input its row, once; there are at least 150."""
    rows = [(case.format, case.name) for case in CASES]
    kept = [
        (folder.name, path.name.partition(".")[0])
        for folder in HERE.iterdir()
        if folder.is_dir() and folder.name != "__pycache__"
        for path in folder.iterdir()
    ]
    assert sorted(rows) == sorted([*kept, *MAKERS])
    assert len(set(rows)) == len(rows) >= 150
    assert MAKERS.keys() >= APART
