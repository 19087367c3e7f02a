"""The help of a command: what it does, examples, usage, then its options in groups. Plain text, at most 80
columns.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from bboxconv.cli.usage import Parameter
from bboxconv.errors import ExitCode

FLAG_COLUMN = 28
NARROW = 60
"""Below this width, the text of an option stands below it."""

EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: "data refused, nothing was written",
    ExitCode.USAGE: "wrong command, a missing path too",
    ExitCode.SET_ASIDE: "written, some records set aside",
    ExitCode.DIFFERENT: "compared and different",
    ExitCode.BUG: "a bug in bboxconv or in a plugin",
    ExitCode.IO: "reading or writing failed: disk full, permission denied",
    ExitCode.HUNG_UP: "ended by SIGHUP, as the terminal was closed",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "ended by SIGTERM",
}


def columns() -> int:
    """The width of help: COLUMNS or the terminal's, from 40 to 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return min(max(int(given), 40), 80)
    try:
        return min(max(os.get_terminal_size(1).columns or 80, 40), 80)
    except OSError:
        return 80


def page(path: str, about: str, params: Sequence[Parameter], commands: Mapping[str, str], width: int) -> str:
    """The help of the command at `path` (`bboxconv convert`), `width` columns wide; `about` is its docstring."""
    arguments = [p for p in params if p.param_type_name == "argument"]
    options = [p for p in params if p.param_type_name == "option" and not p.hidden]
    words = [p.metavar or "" for p in arguments] or (["COMMAND", "..."] if commands else [])
    parts = [_prose(about, width), f"Usage: {' '.join([path, '[OPTIONS]', *words])}\n"]
    if arguments:
        parts.append(_section("Arguments", [((p.metavar or "").strip("[]"), p.help or "") for p in arguments], width))
    if commands:
        parts.append(_section("Commands", commands.items(), width))
    for group in dict.fromkeys(p.rich_help_panel or "Options" for p in options):
        rows = [(_flags(p), p.help or "") for p in options if (p.rich_help_panel or "Options") == group]
        parts.append(_section(group, rows, width))
    if commands:
        parts.append(_section("Exit codes", [(str(int(code)), text) for code, text in EXIT_CODES.items()], width, 5))
    return "\n".join(parts)


def _flags(param: Parameter) -> str:
    short = sorted(param.opts, key=len)
    flags = ", ".join(short) if len(short[0]) == 2 else "    " + ", ".join(short)
    return flags if param.is_flag or param.count else flags + (param.metavar or "")


def _prose(about: str, width: int) -> str:
    """Paragraphs wrapped; indented lines, which are examples, kept as they are."""
    blocks = []
    for block in about.strip().split("\n\n"):
        lines = block.splitlines()
        kept = any(line.startswith(" ") for line in lines)
        blocks.append(block if kept else textwrap.fill(" ".join(lines), width, break_on_hyphens=False))
    return "\n\n".join(blocks) + "\n"


def _section(title: str, rows: Iterable[tuple[str, str]], width: int, column: int = FLAG_COLUMN) -> str:
    lines = [f"{title}:"]
    below = width < NARROW and column == FLAG_COLUMN
    indent = 8 if below else column + 2
    for left, right in rows:
        text = textwrap.wrap(right, width - indent, break_on_hyphens=False)
        if below or len(left) > column - 2:
            lines.append(f"  {left}")
        else:
            lines.append(f"  {left:<{column}}{text.pop(0) if text else ''}".rstrip())
        lines += [" " * indent + line for line in text]
    return "\n".join(lines) + "\n"
