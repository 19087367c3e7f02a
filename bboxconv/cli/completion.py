"""Completion for bash, zsh and fish: the scripts, and the answers to what they ask.

The shell calls `bboxconv` with the words so far and `_BBOXCONV_COMPLETE` set; one `value<TAB>help` comes back per
line. Format names are read from entry points; only keys and values of `--in` and `--out` load a format.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from bboxconv.cli.usage import Parameter


class Command(Protocol):
    """What is used of a command of the parser."""

    params: Sequence[Parameter]
    help: str | None


class Group(Protocol):
    """What is used of the command that holds the others."""

    params: Sequence[Parameter]
    help: str | None
    commands: Mapping[str, Command]


BOXES = (
    "xyxy",
    "xywh",
    "cxcywh",
    "xyxyn",
    "xywhn",
    "cxcywhn",
    "corner",
    "center",
    "coco",
    "voc",
    "yolo",
    "albumentations",
)

SCRIPTS: Mapping[str, str] = {
    "bash": r"""_bboxconv_completion() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <(_BBOXCONV_COMPLETE=bash "$1" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _bboxconv_completion bboxconv
""",
    "zsh": r"""#compdef bboxconv
_bboxconv_completion() {
    local line
    local -a found
    while IFS= read -r line; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <(_BBOXCONV_COMPLETE=zsh bboxconv "${(j: :)words[1,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then _describe -t values value found; else _files; fi
}
compdef _bboxconv_completion bboxconv
""",
    "fish": r"""function _bboxconv_completion
    _BBOXCONV_COMPLETE=fish bboxconv (commandline -cp | string collect) 2>/dev/null
end
complete --command bboxconv --arguments "(_bboxconv_completion)"
""",
}

Answer = Sequence[tuple[str, str]]
"""Values that may stand for the word, each with a few words of help."""


def answers(root: Group, line: str) -> Answer:
    """What may stand for the last word of a command line; nothing where that is a file."""
    *before, word = words_of(line)
    before = before[1:]
    name = next((w for w in before if w in root.commands), None)
    command = root if name is None else root.commands[name]
    flag, sign, value = word.partition("=")
    if sign and flag.startswith("--"):
        return [(f"{flag}={v}", text) for v, text in _values(command, flag, value, before)]
    if before and _takes_value(command, before[-1]):
        return _values(command, before[-1], word, before)
    if word.startswith("-"):
        return [(opt, p.help or "") for p in command.params for opt in p.opts if opt.startswith(word)]
    return _starting(word, _arguments(root, name))


def _arguments(root: Group, name: str | None) -> Answer:
    if name is None:
        return [(command, (sub.help or "").partition("\n")[0]) for command, sub in root.commands.items()]
    if name == "formats":
        return _formats()
    if name == "schema":
        return [("report", "")]
    if name == "explain":
        from bboxconv.codes import catalogue  # noqa: PLC0415 - needed for this answer alone

        return [(code, "") for code in catalogue()]
    return []


def _values(command: Command, flag: str, word: str, before: Sequence[str]) -> Answer:
    param = next((p for p in command.params if flag in p.opts), None)
    if param is None:
        return []
    kind = (param.metavar or "").strip()
    if kind == "FORMAT":
        return _starting(word, _formats())
    if kind == "BOX":
        return _starting(word, [(box, "") for box in BOXES])
    if kind == "KEY=VALUE":
        return _starting(word, _format_options("--in" in param.opts, word, before))
    if "|" in kind and kind.islower():
        return _starting(word, [(value, "") for value in kind.split("|")])
    return []


def _takes_value(command: Command, flag: str) -> bool:
    return any(flag in p.opts and not p.is_flag and not p.count and flag != "--strict" for p in command.params)


def _starting(word: str, known: Answer) -> Answer:
    return [(value, text) for value, text in known if value.startswith(word)]


def _formats() -> Answer:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to load, and not needed for every answer

    return [(name, "") for name in sorted(entry_points(group="bboxconv.formats").names)]


def _format_options(reading: bool, word: str, before: Sequence[str]) -> Answer:
    """`key=` for the options of the format named on the line, or of all formats; after `key=`, its values."""
    from bboxconv import registry  # noqa: PLC0415 - loads formats, for these answers alone

    flags = ("--from", "-f") if reading else ("--to", "-t")
    named = [after for flag, after in pairwise(before) if flag in flags]
    infos = [
        listing.info for listing in registry.formats() if listing.info and (not named or listing.name == named[-1])
    ]
    options = [option for info in infos for option in (info.read_options if reading else info.write_options)]
    key, sign, _ = word.partition("=")
    if sign:
        return list(dict.fromkeys((f"{key}={value}", "") for o in options if o.name == key for value in o.choices))
    return list({f"{option.name}=": option.help for option in options}.items())


def words_of(line: str) -> list[str]:
    """The words of a command line so far; the last is the one to complete. A quote may still be open."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
        return words
    return [*words, ""] if not line or line[-1].isspace() else words


def reply(root: Group, shell: str, line: str) -> str:
    """The answers as the script of this shell reads them."""
    found = answers(root, line)
    if shell == "bash":  # bash takes = as the end of a word, and replaces only what follows it
        cut = words_of(line)[-1].rfind("=") + 1
        found = [(value[cut:], "") for value, _ in found]
    return "".join(f"{value}\t{' '.join(text.split())}\n" for value, text in found)
