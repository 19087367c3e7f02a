"""The entry point: signals, streams, completion, and the exit code."""
# ruff: noqa: PLC0415 - completion, help and version load only what they need

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from bboxconv.errors import ExitCode

if TYPE_CHECKING:
    from typer import Typer
    from typer.models import CommandInfo

    from bboxconv.cli.completion import Group


_STOPPED = {
    getattr(signal, name): (code, word)
    for name, code, word in (
        ("SIGHUP", ExitCode.HUNG_UP, "hung up"),
        ("SIGINT", ExitCode.INTERRUPTED, "interrupted"),
        ("SIGTERM", ExitCode.TERMINATED, "terminated"),
    )
    if hasattr(signal, name)
}
"""What a run ends with, and says, where a signal stops it."""
_PATIENCE = 2.0
"""Seconds in which the threads of a run that was stopped end."""


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    for stream in (sys.stdout, sys.stderr):  # a name that the locale cannot write must not end a run
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    stops = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        stops.append(signal.SIGHUP)
    for number in stops:
        signal.signal(number, _stop)
    gc.set_threshold(200_000)  # to import makes some 150,000 objects, all of which stay: a search at each 700 is slow
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = ExitCode.DONE
        _forget(sys.stdout)
        _forget(sys.stderr)
    except KeyboardInterrupt as stop:
        code, word = _STOPPED[stop.args[0] if stop.args else signal.SIGINT]
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"{word}\n")
            sys.stderr.flush()
        _leave_stuck(code)
    except OSError as error:
        code = ExitCode.IO
        sys.stderr.write(f"error[io-failed]: writing to stdout failed: {error.strerror}\n")
        _forget(sys.stdout)
    for number in stops:  # all is cleared up: what comes now may end the process at once
        if signal.getsignal(number) == _stop:
            signal.signal(number, signal.SIG_DFL)
    gc.freeze()  # Python searches all objects at exit, more than once: 40 ms, and all of them go with the process
    sys.exit(code)


def run(argv: Sequence[str]) -> ExitCode:
    """Run a command line and return its exit code.

    Raises KeyboardInterrupt, and BrokenPipeError where the reader of our output went away.
    """
    import typer

    from bboxconv.cli import usage
    from bboxconv.cli.outcome import settle
    from bboxconv.cli.sets import app

    shell = os.environ.get("_BBOXCONV_COMPLETE")
    command = typer.main.get_command(app if shell else _needed(app, argv))
    for params in (command.params, *(one.params for one in cast("Group", command).commands.values())):
        usage.keep_as_written(cast("list[usage.Parameter]", params))
    if shell:
        from bboxconv.cli.completion import reply

        sys.stdout.write(reply(cast("Group", command), shell, argv[0] if argv else ""))
        return ExitCode.DONE
    # The base of all that the parser says, in every version of it.
    complaints = cast("type[Exception]", typer.BadParameter.__bases__[0])

    def work() -> ExitCode:
        try:  # not command(): that ends with 1 where the reader of our output went away
            with command.make_context("bboxconv", usage.arguments(argv)) as context:
                return ExitCode(command.invoke(context) or 0)
        except typer.Exit as leave:
            return ExitCode(leave.exit_code)
        except complaints as error:
            commands = cast("Group", command).commands
            name = next((word for word in argv if word in commands), None)
            params = command.params if name is None else commands[name].params
            path = "bboxconv" if name is None else f"bboxconv {name}"
            raise usage.complaint(error, list(commands), cast("list[usage.Parameter]", params), path) from error

    return settle(work, usage.Look(json="--json" in argv, debug="--debug" in argv))


def _needed(app: Typer, argv: Sequence[str]) -> Typer:
    """The application with what is needed of its commands: of the one that the first word names all, and of the others
    nothing; where help is wanted, or the version, the names and the help of all. To make them all takes 40 ms."""
    named = [one for one in app.registered_commands if one.callback and argv[:1] == [one.callback.__name__]]
    if not named and (not argv or argv[0] in ("-h", "--help", "--version")):
        named = [_bare(one) for one in app.registered_commands]
    if not named:
        return app
    needed = copy(app)
    needed.registered_commands = named
    return needed


def _bare(command: CommandInfo) -> CommandInfo:
    """A command without its parameters."""

    def bare() -> None:
        return None

    bare.__name__, bare.__doc__ = command.callback.__name__, command.callback.__doc__  # type: ignore[union-attr]
    changed = copy(command)
    changed.callback = bare
    return changed


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Ctrl-C, or the same by SIGTERM or SIGHUP: once, so that a second one does not stop the clearing up."""
    for name in _STOPPED:
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _leave_stuck(code: ExitCode) -> None:
    """End where a thread waits for the rest of a result, of a process that the signal ended while it sent it: Python
    would wait for that thread at exit, and all is cleared up."""
    import threading

    until = time.monotonic() + _PATIENCE
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                os._exit(code)


def _forget(stream: TextIO) -> None:
    """Let what is left in a stream that nobody reads go nowhere, without a word at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
