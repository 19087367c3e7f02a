"""The flags of `convert` for other commands that convert: they are declared there alone."""
# ruff: noqa: PLC0415 - as in commands.py

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import typer

from bboxconv.cli import usage
from bboxconv.cli.commands import convert, show_usage, waits_for_typing
from bboxconv.cli.outcome import settle
from bboxconv.cli.start import make_ready
from bboxconv.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bboxconv.codec import Progress
    from bboxconv.report import Report
    from bboxconv.request import Request

Command = TypeVar("Command", bound=Callable[..., int])
OWN = ("context", "sources", "dst")
"""Parameters of `convert` that every command has as its own."""


class Given(TypedDict):
    """The values of the flags that are shared, under their names in `convert`."""

    from_: str | None
    to: str | None
    in_: list[str] | None
    out: list[str] | None
    box: str | None
    split: list[str] | None
    classes: Path | None
    class_map: list[str] | None
    include_class: list[str] | None
    exclude_class: list[str] | None
    default_class: str | None
    images: Path | None
    image_sizes: str | None
    image_size: str | None
    drop_empty: bool
    unannotated: str
    on_error: str
    rejects: Path | None
    max_errors: str | None
    on_invalid: str
    strict: str | None
    overwrite: bool
    dry_run: bool
    verify: bool
    report: Path | None
    json: bool
    batch_size: str
    jobs: str
    memory: str
    max_expansion: str | None
    quiet: int
    verbose: bool
    color: str
    debug: bool
    help_: bool


def converts(command: Command) -> Command:
    """The command, which takes `**given`, with the flags of `convert` in their place: the parser sees its signature."""
    shared = {name: one for name, one in _shared().items() if name not in OWN}
    parameters = [*_parameters(command).values(), *shared.values()]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # inspect.signature looks there
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


@cache
def _shared() -> Mapping[str, Parameter]:
    return _parameters(convert)


def _parameters(command: Callable[..., int]) -> Mapping[str, Parameter]:
    """Its own parameters, whose annotations are all the name of a module and one in it: `flags.From`. To compile such
    texts, as `get_type_hints` does, takes 3 ms a command, in every run."""
    known = sys.modules[command.__module__].__dict__

    def declared(text: str) -> object:
        module, _, name = text.partition(".")
        return getattr(known[module], name)

    own = [one for one in signature(command).parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    return {one.name: one.replace(annotation=declared(one.annotation)) for one in own}


def run(
    context: typer.Context,
    sources: Sequence[str],
    output: str | None,
    given: Given,
    work: Callable[[Request, Progress], Report],
    others: Sequence[Path | None] = (),
) -> int:
    """Run a command that makes a data set, by its `work`; `others` are further files that it writes."""
    name = str(context.info_name)
    if (not sources and output is None) or waits_for_typing(list(sources)):
        return show_usage(context)
    dst = output or ""
    usage.spare_data(given["report"], [*sources, dst, *(str(path) for path in others if path)])
    look = usage.Look(
        name,
        json=given["json"],
        report=given["report"],
        quiet=given["quiet"],
        verbose=given["verbose"],
        color=usage.color(given["color"]),
        debug=given["debug"],
    )

    def whole() -> ExitCode:
        if not sources or output is None:
            lacking = "a source" if not sources else "a destination: -o OUT"
            raise UsageError.of("missing-argument", f"{name} needs {lacking}", hint=f"bboxconv {name} --help")
        asked = request(sources, dst, given)
        make_ready(asked.sources, asked.jobs)
        from bboxconv import registry
        from bboxconv.cli import ui

        if dst == "-" and look.json:
            hint = "--report FILE takes the account"
            raise UsageError.of("stdout-taken", "--json and DST - both want stdout", hint=hint)
        if dst == "-" and asked.to and sys.stdout.isatty():
            usage.spare_terminal(registry.writer(asked.to).INFO)
        with ui.progress(look) as progress:
            account = work(asked, progress)
        ui.show_report(account, look)
        return account.exit_code

    return settle(whole, look)


def request(sources: Sequence[str], dst: str, given: Given) -> Request:
    """What is asked for by the shared flags."""
    asked = usage.converting(
        sources, dst, given["from_"], given["to"], given["in_"], given["out"], given["box"], given["split"],
        given["classes"], given["class_map"], given["include_class"], given["exclude_class"], given["default_class"],
        given["images"], given["image_sizes"], given["image_size"], given["drop_empty"], given["unannotated"],
        given["on_error"], given["max_errors"], given["on_invalid"], given["batch_size"], given["jobs"],
        given["memory"], given["max_expansion"],
    )  # fmt: skip
    return replace(
        asked,
        rejects=given["rejects"],
        strict=given["strict"],
        overwrite=given["overwrite"],
        dry_run=given["dry_run"],
        verify=given["verify"],
    )
